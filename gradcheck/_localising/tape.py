"""What this room takes from the others, in one place."""

from gradcheck._tape import KEEPS, MOVES, Binding, Call, Node, Place, Statement, TapedRun
from gradcheck._tape.last_factor import scaled
from gradcheck._tape.nodes import JOINS, Array
from gradcheck._tape.places import Span
from gradcheck._tape.sweep import ancestors, entries_of, numbered

__all__ = [
    "JOINS",
    "KEEPS",
    "MOVES",
    "Array",
    "Binding",
    "Call",
    "Node",
    "Place",
    "Span",
    "Statement",
    "TapedRun",
    "ancestors",
    "entries_of",
    "numbered",
    "scaled",
]
