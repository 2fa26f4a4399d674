"""One edit where a value is made, in the place of those that make up for it wherever it is read.

A step that hands back the derivative of a masked state, in a structure or to several callers, lacks the mask once: each
of its readers can give it, and none of them is at fault. So can they turn the sign of a difference that was taken the
wrong way round. Where a single variable holds the value, it is told where that is bound (`where_bound`); here the tape
tells who made it.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress

from gradcheck._common.errors import TargetError
from gradcheck._localising.standing import origin
from gradcheck._mending.syntax import Code, binary, expressions, parsed, span
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.where_bound import Instead, replacements, takes
from gradcheck._repair.wrong_values import Taped
from gradcheck._tape import TapedRun
from gradcheck._tape.places import Place
from gradcheck._usercode.patching import RebindError
from gradcheck._usercode.source import Edit

#: expressions that are tried
MOST_PLACES = 3


def mend_where_made(found: Found, taped: Taped) -> None:
    """Take one edit for several that multiply a value, or for one that turns its sign, if as much is right with it.

    Args:
        found: What is found.
        taped: Puts edits in place, and gives a run with them.
    """
    by_factor: dict[str, list[Mended]] = defaultdict(list)
    for fault in found.faults:
        for factor in dict.fromkeys(_factors(found, fault)):
            by_factor[factor].append(fault)
    for factor, group in by_factor.items():
        if len(group) > 1 and all(one in found.faults for one in group):
            any(takes(found, taped, group, instead) for instead in _where_made(found, taped, group, factor))
    for fault in [one for one in found.faults if _turns_sign(found, one)]:
        instead = _turned_where_made(found, taped, fault)
        any(takes(found, taped, [fault], one, spares_givers=False, goes_by_values=False) for one in instead)


def _turns_sign(found: Found, fault: Mended) -> bool:
    """Whether all that its edit does is to turn the sign of a variable."""
    return any(
        edits is fault.edits
        and isinstance(old, ast.Name)
        and isinstance(new, ast.UnaryOp)
        and isinstance(new.op, ast.USub)
        and ast.dump(new.operand) == ast.dump(old)
        for edits, (old, new) in replacements(found, fault)
    )


def _turned_where_made(found: Found, taped: Taped, fault: Mended) -> list[Instead]:
    """A difference the other way round in the expression that makes the value which it reads."""
    with suppress(TargetError, SyntaxError, RebindError), taped(found.before_edits()) as run:
        forward = run.once(forward_statements)
        places = [one for one in _made_for(run, fault) if id(one.statement) not in forward]
        return [told for one in places[:MOST_PLACES] for told in _turned_at(one)]
    return []


def _turned_at(place: Place) -> Iterator[Instead]:
    code, made = made_at(place)
    for node in ast.walk(made) if made is not None else ():
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            yield _instead(place, code.replaced(node, binary(node.right, ast.Sub(), node.left)))


def _factors(found: Found, fault: Mended) -> Iterator[str]:
    """What its edits multiply an expression by, each as it is written."""
    for _, (old, new) in replacements(found, fault):
        match new:
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                pairs = (left, right), (right, left)
                yield from (ast.unparse(factor) for one, factor in pairs if ast.dump(one) == ast.dump(old))


def _where_made(found: Found, taped: Taped, group: Sequence[Mended], factor: str) -> list[Instead]:
    """The factor at each expression of the backward whose value all of them read."""
    with suppress(TargetError, SyntaxError, RebindError), taped(found.before_edits()) as run:
        forward = run.once(forward_statements)
        made = [_made_for(run, fault) for fault in group]
        places = [one for one in made[0] if all(one in others for others in made[1:])]
        places = [one for one in places if id(one.statement) not in forward]
        return [told for one in places[:MOST_PLACES] for told in _with_factor(one, factor)]
    return []


def _made_for(run: TapedRun, fault: Mended) -> dict[Place, None]:
    """Where the values were made that the statement of a fault reads."""
    at = fault.statement.file, fault.line
    own = [node for node in run.backward if node.place is not None and _at(node.place) == at]
    read = (origin(one).place for node in own for one in node.inputs)
    return dict.fromkeys(place for place in read if place is not None and _at(place) != at)


def _at(place: Place) -> tuple[str, int]:
    return place.file, place.line


def _with_factor(place: Place, factor: str) -> Iterator[Instead]:
    code, made = made_at(place)
    if made is not None:
        yield _instead(place, code.replaced(made, binary(made, ast.Mult(), parsed(factor))))


def made_at(place: Place) -> tuple[Code, ast.expr | None]:
    """The expression at a place, in its file."""
    code = Code.of(place.statement.source.text)
    tree = code.statement(place.statement.line, place.statement.kind)
    nodes = expressions(tree) if tree is not None else iter(())
    return code, next((node for node in nodes if span(node) == place.span), None)


def _instead(place: Place, edit: Edit) -> Instead:
    statement = place.statement
    return Instead(statement.file, statement.line, statement.kind, statement.text, edit)
