"""Statements whose mistakes an edit of another only makes up for: all is right with it, and it stands elsewhere."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from gradcheck._localising import Suspect
from gradcheck._localising.blame import SUMS
from gradcheck._localising.ground import Ground
from gradcheck._localising.standing import Standing, Standings, origin
from gradcheck._localising.unchanged import unchanged
from gradcheck._mending import Mend
from gradcheck._mending.distance import words_of
from gradcheck._repair.forward import forward_statements
from gradcheck._tape import CLIPS, KEEPS, MOVES, Node, Statement, TapedRun
from gradcheck._usercode.source import Source

#: statements that are looked at in the place of one
MOST_OTHERS = 4
#: what makes arrays in which nothing stands yet
ZEROS = frozenset({"zeros", "zeros_like", "empty", "empty_like"})


def made_up_for(run: TapedRun, suspect: Suspect, mend: Mend) -> list[Statement]:
    """Those of the backward that could be meant where this edit of a suspect mends all, the likeliest first."""
    found = [
        *_of_class_of_use(run, suspect),
        *_takers_of_right(run, suspect),
        *_scaling_next(run, suspect, mend),
        *_makers_of_turned(suspect, mend),
        *_callees_left_aside(run, suspect, mend),
        *(one.statement for one in run.once(unchanged)),
        *_readers_of_zeros(run, suspect),
        *_binders_left_aside(run, suspect, mend),
    ]
    forward = run.once(forward_statements)
    others = {id(one): one for one in found if id(one) not in forward and one is not suspect.statement}
    return list(others.values())[:MOST_OTHERS]


def _takers_of_right(run: TapedRun, suspect: Suspect) -> list[Statement]:
    """The statements that read or hand on what is a derivative as it is, so that an edit would make it none.

    Also of a value whose sign is turned where it is used: the derivative of 1 - z is one, and looks like that of z with
    a wrong sign. Who takes it for that is at fault, of a function that is handed it and of its callers that function
    first.
    """
    standings = run.once(Ground).standings
    # what comes after the first is calculated from wrong ones
    if not any(standings.is_of_turned(node) or _is_right(standings, node) for node in suspect.nodes):
        return []
    readers = list(_readers(run, suspect, MOVES))
    handed_on = {node.index for node in (*suspect.nodes, *(one for one in readers if one.op in MOVES))}
    if any(sink is not None and sink.index in handed_on for sink in run.sinks.values()):
        return []  # it is a gradient that is handed back: nobody else takes it for anything
    takers = [(_depth(node), statement) for node in readers if (statement := _statement(node)) is not None]
    own = min(map(_depth, suspect.nodes))  # what a function returns is its own, and not its caller's
    return [statement for depth, statement in sorted(takers, key=lambda one: -one[0]) if depth >= own]


def _scaling_next(run: TapedRun, suspect: Suspect, mend: Mend) -> list[Statement]:
    """The statements that scale what one gives by a number, if all that an edit adds is another factor."""
    old, new = _words(suspect, mend)
    if old - new or not {"*", "/", "*=", "/="} & (new - old).keys():
        return []
    readers = _readers(run, suspect, MOVES | KEEPS)
    scaling = (node for node in readers if node.op in ("multiply", "divide") and len(node.inputs) == 1)
    return [statement for node in scaling if (statement := _statement(node)) is not None]


def _makers_of_turned(suspect: Suspect, mend: Mend) -> list[Statement]:
    """The statements that calculate what an edit only transposes where it is handed on: they give it the wrong way."""
    old, new = _words(suspect, mend)
    if old - new or set(new - old) != {".", "T"}:
        return []
    result, left = list[Statement](), list(suspect.nodes)
    while left:
        node = left.pop()
        statement = _statement(node)
        if node.op in MOVES | KEEPS | SUMS | CLIPS:
            left += node.inputs
        elif statement is not None and statement is not suspect.statement and node.inputs:
            result.append(statement)
    return result


def _of_class_of_use(run: TapedRun, suspect: Suspect) -> list[Statement]:
    """The statements that hand on what one gives, of the class in whose forward the use is that it lacks.

    Of a block around a layer, as `y = layer(x) + x`, the layer lacks nothing: the block does.
    """
    standings, own = run.once(Ground).standings, _class_of(suspect.statement)
    partial = [node for node in suspect.nodes if standings.of(node) is Standing.PARTIAL]
    sources = {each.index for node in partial for each in _taken_from(standings.source(node))}
    uses = (node for node in run.nodes[: run.boundary] if any(origin(one).index in sources for one in node.inputs))
    classes = {_class_of(one) for node in uses if node.op not in MOVES and (one := _statement(node)) is not None}
    classes -= {"", own}
    readers = (node for node in _readers(run, suspect, MOVES) if node.op in MOVES) if classes else ()
    handing_on = (statement for node in readers if (statement := _statement(node)) is not None)
    return [one for one in handing_on if _class_of(one) in classes]


def _taken_from(node: Node | None) -> Iterator[Node]:
    """A value, and what it was taken out of, or is a name for."""
    while node is not None:
        yield node
        node = node.inputs[0] if node.op in MOVES and len(node.inputs) == 1 else None


def _class_of(statement: Statement) -> str:
    return statement.function.rpartition(".")[0]


def _is_right(standings: Standings, node: Node) -> bool:
    return standings.of(node) is Standing.FULL and not standings.is_doubtful(node)


def _readers_of_zeros(run: TapedRun, suspect: Suspect) -> list[Statement]:
    """The statements that read what one sets to zero: who begins with something else is seldom at fault."""
    if not all(node.op in ZEROS for node in suspect.nodes):
        return []
    going_on = MOVES | KEEPS | SUMS | {"add.at"}
    readers = [node for node in _readers(run, suspect, going_on) if node.op in going_on]
    return [statement for node in reversed(readers) if (statement := _statement(node)) is not None]


def _readers(run: TapedRun, suspect: Suspect, through: Collection[str]) -> Iterator[Node]:
    """What reads the values of a suspect in the backward, also what is made of them by these operations."""
    reached = {node.index for node in suspect.nodes}
    for node in run.backward:
        if any(one.index in reached for one in node.inputs):
            if node.op in through:
                reached.add(node.index)
            yield node


def _words(suspect: Suspect, mend: Mend) -> tuple[Counter[str], Counter[str]]:
    """The words of the lines that a mend changes, before and after, with how often each stands there."""
    old, new = words_changed(mend, suspect.statement.source.text)
    return Counter(old), Counter(new)


def _depth(node: Node) -> int:
    """How many calls it is inside."""
    return 0 if node.call is None else len(node.call.stack)


def _callees_left_aside(run: TapedRun, suspect: Suspect, mend: Mend) -> list[Statement]:
    """The statements that return what a call gives, where an edit does without it, or only changes what it gives."""
    old, new = _words(suspect, mend)
    taken_out = old - new
    if taken_out and not any(taken_out[code.co_name] for code in run.program.codes):
        return []  # another function is called, or with something else
    calls = (node for node in run.backward if node.op == "call" and _statement(node) is suspect.statement)
    statements = (_statement(one) for node in calls for one in node.inputs if one.op == "return")
    return [one for one in statements if one is not None]


def _statement(node: Node) -> Statement | None:
    return None if node.place is None else node.place.statement


def _binders_left_aside(run: TapedRun, suspect: Suspect, mend: Mend) -> list[Statement]:
    """The statements that bind a variable that an edit does without, and that nobody else reads, the last one first.

    Not where it reads another variable in the place of that: then the wrong one was read.
    """
    own = suspect.statement
    old, new = _words(suspect, mend)
    beside = [one for one in run.statements if one.source is own.source and one.function == own.function]
    bound = {name: one for one in beside if one.line < own.line and (name := _bound_by(one))}
    if any(name in bound for name in new if name not in old):
        return []
    readers = Counter(name for one in beside for name in {*words_of(one.text.partition("=")[2] or one.text)})
    return [bound[name] for name in bound if name in old - new and readers[name] == 1][::-1]


def _bound_by(statement: Statement) -> str:
    """The variable that a statement gives its value, or adds to."""
    names = (statement.text.partition(sign)[0] for sign in (" = ", " += "))
    return next((name for name in names if name.isidentifier()), "")


def words_changed(mend: Mend, text: str) -> tuple[list[str], list[str]]:
    """The lines that a mend changes, before and after, in words."""
    old, new = Source(mend.file, text).change(*mend.edits)[1:]
    return words_of(old), words_of(new)
