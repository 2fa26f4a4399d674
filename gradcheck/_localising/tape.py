"""What this room takes from the others, in one place."""

from gradcheck._tape import Binding, Call, Node, Place, Statement, TapedRun
from gradcheck._tape.nodes import Array

__all__ = ["Array", "Binding", "Call", "Node", "Place", "Statement", "TapedRun"]
