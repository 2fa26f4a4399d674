"""The forward says what the gradients are of: no edit touches it, and nobody blames it."""

from __future__ import annotations

from gradcheck._localising.standing import KEEPS, MOVES
from gradcheck._repair.right_helpers import is_right_helper
from gradcheck._tape import Node, TapedRun


def forward_statements(run: TapedRun) -> set[int]:
    """The identities of statements of the forward, which is the specification, whatever it keeps.

    What runs in the loss as well is forward, unless it calculates what the loss does not depend on: one function may
    return both. Helpers that are right count as forward.
    """
    places = [(node, id(node.place.statement)) for node in run.nodes if node.place is not None]
    forward = {statement for node, statement in places if node.index < run.boundary}  # they are told by identity
    forward -= {statement for node, statement in places if _is_apart(run, node)}
    right = {(code.co_filename, code.co_qualname) for code in run.program.codes if is_right_helper(code)}
    return forward | {id(one) for one in run.statements if (one.file, one.function) in right}


def _is_apart(run: TapedRun, node: Node) -> bool:
    """Whether it was calculated, or is what was, and the loss does not depend on it."""
    while node.op in MOVES | KEEPS and node.inputs:
        node = node.inputs[0]
    return bool(node.inputs) and not run.is_forward(node)
