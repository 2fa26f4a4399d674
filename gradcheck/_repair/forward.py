"""Which statements are of the forward, which says what the gradients are of, and which functions of the backward."""

from __future__ import annotations

from gradcheck._localising.ground import Ground
from gradcheck._mending.gaps import Function
from gradcheck._mending.syntax import Code
from gradcheck._repair.right_helpers import is_right_helper
from gradcheck._tape import KEEPS, MOVES, Node, Statement, TapedRun


def forward_statements(run: TapedRun) -> set[int]:
    """The identities of statements of the forward, which is the specification, whatever it keeps.

    What runs in the loss as well is forward, unless it calculates what the loss does not depend on: one function may
    return both, one statement hold both as lambdas. An expression of a helper that the backward calls besides is the
    loss's all the same: an edit of it would be one of the loss. Helpers that are right count as forward.
    """
    places = [(node, node.place, id(node.place.statement)) for node in run.nodes if node.place is not None]
    of_loss = {place.number for node, place, _ in places if node.index < run.boundary}
    forward = {statement for node, _, statement in places if node.index < run.boundary}  # they are told by identity
    apart = [(node, place, statement) for node, place, statement in places if _is_apart(run, node)]
    forward -= {one for node, place, one in apart if node.index < run.boundary or place.number not in of_loss}
    right = {(code.co_filename, code.co_qualname) for code in run.program.codes if is_right_helper(code)}
    return forward | {id(one) for one in run.statements if (one.file, one.function) in right}


def at_work(run: TapedRun) -> set[int]:
    """The identities of statements of the backward that calculate, or hand a derivative on; others only fetch."""
    carries = run.once(Ground).standings.carries
    working = (node for node in run.backward if carries[node.index] or node.op not in MOVES)
    return {id(node.place.statement) for node in working if node.place is not None}


def backward_functions(run: TapedRun) -> list[tuple[Statement, Function]]:
    """The functions that calculate gradients, in the order in which they begin, each with a statement that ran last."""
    found: dict[int, tuple[Statement, Function]] = {}
    forward = run.once(forward_statements)
    for node in run.backward:
        if node.place is not None and id(node.place.statement) not in forward:
            function = function_around(node.place.statement)
            if function is not None:
                found[id(function)] = node.place.statement, function
    return list(found.values())


def taped_at(run: TapedRun, file: str, line: int) -> Statement | None:
    """The statement of what runs that begins at a line."""
    return next((one for one in run.statements if (one.file, one.line) == (file, line)), None)


def function_around(statement: Statement) -> Function | None:
    """The function that a statement stands in; None for that of a lambda, or outside."""
    code = Code.of(statement.source.text)
    tree = code.statement(statement.line, statement.kind)
    function = None if tree is None else code.function(tree)
    return function if isinstance(function, Function) else None


def _is_apart(run: TapedRun, node: Node) -> bool:
    """Whether it was calculated, or is what was, and the loss does not depend on it."""
    while node.op in MOVES | KEEPS and node.inputs:
        node = node.inputs[0]
    return bool(node.inputs) and not run.is_forward(node)
