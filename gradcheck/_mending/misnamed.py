"""Values that are bound to another's name: exchanged targets, another value bound, another value kept for later.

``i, f, o = cache`` in another order than it was kept, ``tape.append((x, h, h))``, ``f = self.i``: every statement that
reads such a name is right, and gives a wrong value. Of ``{"z": h, "n": h}`` the tape does not tell one ``h`` from the
other, which may lack a factor.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Collection, Iterator, Sequence

from gradcheck._mending.gaps import Function
from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import Code, begins_with_name, binary, index_parts, name, number, parsed, span

_Display = ast.Tuple | ast.List
#: methods with which lists and dictionaries grow
_GROWS = frozenset({"append", "extend", "insert", "appendleft", "setdefault", "update"})
#: what is done to a sequence on the way to the names that its items are bound to
_HANDS_ON = frozenset({"reversed", "zip", "enumerate", "list", "tuple", "pop"})


def bound_names(statement: ast.stmt) -> list[ast.Name]:
    """The names that a statement binds to values that are there already, or to what a call of another gives."""
    match statement:
        case ast.Assign(targets=[target], value=value) if _is_handed_on(value):
            return _leaves(target)
        case ast.For(target=target, iter=value) if _is_handed_on(value):
            return _leaves(target)
    return []


def rebound(code: Code, statement: ast.stmt, read: Collection[str]) -> Iterator[tuple[Edit, ...]]:
    """Edits after which a name that is read is bound to another value: names exchanged, another value read."""
    names = bound_names(statement)
    match statement:
        case ast.Assign(targets=[target], value=value):
            for one, element in side_by_side(target, value):
                if one.id in read:
                    yield from with_others(code, element)
                    for part in _parts(element):
                        yield from (*with_others(code, part), *_with_factors(code, part))
    for one, other in itertools.combinations(names, 2):
        if {one.id, other.id} & set(read):
            yield Edit(*span(one), other.id), Edit(*span(other), one.id)


def kept_otherwise(
    code: Code, function: Function, statement: ast.stmt, read: Collection[str]
) -> Iterator[tuple[ast.stmt, tuple[Edit, ...]]]:
    """Edits where a function keeps side by side what the statement takes apart, each with the statement there."""
    targets = _taken_apart(statement)
    numbers = [k for k, one in enumerate(targets) if isinstance(one, ast.Name) and one.id in read]
    for display in _displays(function, len(targets)) if numbers else ():
        around = code.statement_around(display)
        if around is None or around is statement:
            continue
        for k in numbers:
            yield from ((around, edits) for edits in with_others(code, display.elts[k]))
            for j, other in enumerate(display.elts):
                if j != k and begins_with_name(other) and begins_with_name(display.elts[k]):
                    yield around, _exchanged(code, display.elts[k], other)


def kept_by_name(function: Function) -> Iterator[tuple[ast.expr, set[str]]]:
    """What a function keeps for later where nothing is calculated, each value with the names that it is kept by.

    ``self.f = i``, ``fs[t] = i``, ``fs.append(i)``, ``{"f": i}``, ``Cache(f=i)``.
    """
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Subscript() | ast.Attribute() as target], value=value):
                kept = [(value, words_in(target))]
            case ast.Call(func=ast.Attribute(value=owner, attr="append"), args=[value]):
                kept = [(value, words_in(owner))]
            case ast.Dict(keys=keys, values=values):
                kept = [(value, words_in(key)) for key, value in zip(keys, values, strict=True) if key is not None]
            case ast.Call(keywords=keywords):
                kept = [(one.value, {one.arg}) for one in keywords if one.arg is not None]
            case _:
                continue
        yield from ((value, words) for value, words in kept if begins_with_name(value))


def passed_instead(code: Code, argument: ast.expr) -> Iterator[tuple[Edit, ...]]:
    """Edits after which another value is handed to a function: another item of the same, or something else."""
    for node in ast.walk(argument):
        if isinstance(node, ast.Subscript):
            index = index_parts(node.slice)
            for one in index:
                yield from ((code.replaced(one, other),) for other in _neighbours(one))
    yield from with_others(code, argument)


def _neighbours(index: ast.expr) -> Iterator[ast.expr]:
    """One further, one back, or where it is counted from; of numbers, and what is calculated with them."""
    if isinstance(index, ast.BinOp) and isinstance(index.op, (ast.Add, ast.Sub)):
        yield index.left
    if isinstance(index, (ast.Name, ast.BinOp)):
        yield binary(index, ast.Add(), number(1))
        yield binary(index, ast.Sub(), number(1))


def words_in(tree: ast.AST) -> set[str]:
    """The names, attributes and keys that stand in it, but for the object that a method is of."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.Constant(value=str(word)):
                found.add(word)
    return found - {"self"}


def _is_handed_on(value: ast.expr) -> bool:
    """Whether nothing is calculated: a value is read, or taken out of what it was kept in."""
    match value:
        case ast.Tuple() | ast.List() | ast.Dict():
            return any(map(begins_with_name, _parts(value)))
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in _HANDS_ON
    return begins_with_name(value)


def _parts(display: ast.expr) -> Sequence[ast.expr]:
    """What is put side by side, or by keys."""
    match display:
        case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            return parts
    return ()


def _leaves(target: ast.expr) -> list[ast.Name]:
    if isinstance(target, _Display):
        return [leaf for one in target.elts for leaf in _leaves(one)]
    return [target] if isinstance(target, ast.Name) else []


def side_by_side(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.Name, ast.expr]]:
    """Each name that is bound with the expression that is bound to it, where both are written out."""
    if isinstance(target, ast.Name):
        yield target, value
    elif isinstance(target, _Display) and isinstance(value, _Display) and len(target.elts) == len(value.elts):
        for one, other in zip(target.elts, value.elts, strict=True):
            yield from side_by_side(one, other)


def _taken_apart(statement: ast.stmt) -> Sequence[ast.expr]:
    """The targets that what is kept together is bound to; nothing where it stands there itself."""
    match statement:
        case ast.Assign(targets=[ast.Tuple(elts=elements)], value=value) if not isinstance(value, _Display):
            return elements
        case ast.For(target=ast.Tuple(elts=elements)):
            last = elements[-1]  # as of enumerate
            return last.elts if len(elements) == 2 and isinstance(last, ast.Tuple) else elements
    return ()


def _displays(function: Function, length: int) -> Iterator[_Display]:
    """What a function puts side by side, so many at a time."""
    for node in ast.walk(function):
        if isinstance(node, _Display) and isinstance(node.ctx, ast.Load) and len(node.elts) == length:
            yield node


def with_others(code: Code, element: ast.expr) -> Iterator[tuple[Edit, ...]]:
    """Other reads in the place of an expression that only reads: of what holds it, then variables."""
    function = code.function(element)
    if function is None or not begins_with_name(element):
        return
    for text in dict.fromkeys((*_siblings(code, element), *_variables(function))):
        if text != code.segment(element):
            yield (Edit(*span(element), text),)


def _with_factors(code: Code, element: ast.expr) -> Iterator[tuple[Edit, ...]]:
    """An expression that only reads, times each variable."""
    function = code.function(element)
    if function is not None and begins_with_name(element):
        own = parsed(code.segment(element))
        products = (binary(name(text), ast.Mult(), own) for text in _variables(function))
        yield from ((code.replaced(element, one),) for one in products)


def _variables(function: ast.AST) -> Iterator[str]:
    """What a function binds, and then what it is handed.

    Without what it writes items to: a list that came to hold itself would be an array of endless depth. And without the
    object that a method is of.
    """
    nodes = list(ast.walk(function))
    names = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    arguments = (node.arg for node in nodes if isinstance(node, ast.arg))
    grown = [node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr in _GROWS]
    written = [node.value for node in nodes if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)]
    holders = {word for one in (*grown, *written) for word in words_in(one)}
    found = dict.fromkeys((*(node.id for node in names), *arguments))
    yield from (one for one in found if one not in holders | {"self"})


def _siblings(code: Code, element: ast.expr) -> Iterator[str]:
    """Other attributes, or keys, of what holds an expression: those that the file writes anywhere."""
    nodes = list(ast.walk(code.tree))
    match element:
        case ast.Attribute(value=owner):
            stored = [node for node in nodes if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)]
            fields = [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
            names = (*(one.attr for one in stored), *(one.id for one in fields if isinstance(one, ast.Name)))
            yield from (f"{code.segment(owner)}.{one}" for one in names)
        case ast.Subscript(value=owner, slice=ast.Constant(value=str())):
            keys = [key for node in nodes if isinstance(node, ast.Dict) for key in node.keys]
            keys += [node.slice for node in nodes if isinstance(node, ast.Subscript)]
            named = (one.value for one in keys if isinstance(one, ast.Constant) and isinstance(one.value, str))
            given = (node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg is not None)
            yield from (f"{code.segment(owner)}[{code.quote}{one}{code.quote}]" for one in (*named, *given))


def _exchanged(code: Code, one: ast.expr, other: ast.expr) -> tuple[Edit, ...]:
    return tuple(sorted((Edit(*span(one), code.segment(other)), Edit(*span(other), code.segment(one)))))
