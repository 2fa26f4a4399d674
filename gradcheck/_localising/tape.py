"""What this room takes from the others, in one place."""

from gradcheck._tape import KEEPS, MOVES, Binding, Call, Node, Place, Statement, TapedRun
from gradcheck._tape.last_factor import SCALES, multiple_of
from gradcheck._tape.nodes import Array
from gradcheck._tape.sweep import ancestors

__all__ = [
    "KEEPS",
    "MOVES",
    "SCALES",
    "Array",
    "Binding",
    "Call",
    "Node",
    "Place",
    "Statement",
    "TapedRun",
    "ancestors",
    "multiple_of",
]
