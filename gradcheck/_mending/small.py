"""Small edits of an expression: a part left out, exchanged, turned round; another sign, operator, index or axis."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator

import numpy as np

from gradcheck._mending.slots import Candidate, Slot, Workplace, is_operand
from gradcheck._mending.syntax import binary, name, number, one_minus, squared, transposed
from gradcheck._tape.nodes import Array

Family = Callable[[Workplace], Iterator[Candidate]]
#: two by two of these are exchanged
MOST_EXCHANGED = 10


def other_reads(place: Workplace) -> Iterator[Candidate]:
    """Another value of the same shape that is read or has a name."""
    for slot in place.floats:
        if slot.is_plain:
            for atom in place.around.of_shape(slot.shape):
                if atom.plain and atom.node is not slot.node:
                    yield Candidate.of(slot.node, atom.node)


def unread(place: Workplace) -> Iterator[Candidate]:
    """What the function gives a name and never reads."""
    function = place.code.function(place.hole.root)
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)] if function is not None else []
    written = {id(node) for node in names if _is_written(place, node)}
    loaded = {node.id for node in names if id(node) not in written}
    stored = {node.id: None for node in names if id(node) in written}
    for slot in place.slots:
        if isinstance(slot.node, ast.Name):
            for one in stored:
                if one not in loaded and one in place.hole.first.local:
                    yield Candidate.of(slot.node, name(one))


def _is_written(place: Workplace, node: ast.Name) -> bool:
    """Whether a name is bound, or an item of what it names is."""
    around = place.code.parent(node)
    if isinstance(around, ast.Subscript) and around.value is node:
        return isinstance(around.ctx, ast.Store)
    return isinstance(node.ctx, ast.Store)


def dropped(place: Workplace) -> Iterator[Candidate]:
    """An operand, a call, an attribute or an index left out."""
    for slot in place.slots:
        match slot.node:
            case ast.BinOp(left=left, right=right):
                yield Candidate.of(slot.node, left)
                yield Candidate.of(slot.node, right)
            case ast.Call(func=func, args=args):
                if args:
                    yield Candidate.of(slot.node, args[0])
                if isinstance(func, ast.Attribute):
                    yield Candidate.of(slot.node, func.value)
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.UnaryOp(operand=value):
                if slot.is_float:
                    yield Candidate.of(slot.node, value)


_OPERATORS: dict[type[ast.operator], tuple[ast.operator, ...]] = {
    ast.Add: (ast.Sub(), ast.Mult()), ast.Sub: (ast.Add(), ast.Mult()), ast.Mult: (ast.Div(), ast.Add(), ast.Sub()),
    ast.Div: (ast.Mult(),), ast.MatMult: (ast.Mult(),), ast.Pow: (),
}  # fmt: skip


def operators(place: Workplace) -> Iterator[Candidate]:
    """Another operator, operands the other way round, another sign."""
    for slot in place.slots:
        if isinstance(slot.node, ast.BinOp):
            left, op, right = slot.node.left, slot.node.op, slot.node.right
            if isinstance(op, (ast.Sub, ast.Div, ast.MatMult)):
                yield Candidate.of(slot.node, binary(right, op, left))
            if isinstance(op, ast.MatMult):
                yield Candidate.of(slot.node, binary(transposed(right), op, transposed(left)))
            for other in _OPERATORS.get(type(op), ()):
                yield Candidate.of(slot.node, binary(left, other, right))
        if slot.is_float and not is_operand(slot.node, place.code, (ast.Mult, ast.Div)):
            yield Candidate.of(slot.node, ast.UnaryOp(ast.USub(), slot.node))
        if isinstance(slot.node, ast.Compare):
            for sign in (ast.Gt(), ast.Lt(), ast.GtE(), ast.LtE(), ast.NotEq(), ast.Eq()):
                if type(sign) is not type(slot.node.ops[0]):
                    yield Candidate.of(slot.node, ast.Compare(slot.node.left, [sign], slot.node.comparators))


def rotated(place: Workplace) -> Iterator[Candidate]:
    """A bracket moved: (a + b) * c for a * c + b, a + b * c for (a + b) * c, and their like."""
    for slot in place.slots:
        if not isinstance(slot.node, ast.BinOp):
            continue
        left, op, right = slot.node.left, slot.node.op, slot.node.right
        if isinstance(left, ast.BinOp) and type(left.op) is not type(op):
            yield Candidate.of(slot.node, binary(left.left, left.op, binary(left.right, op, right)))
            yield Candidate.of(slot.node, binary(binary(left.left, op, right), left.op, left.right))
        if isinstance(right, ast.BinOp) and type(right.op) is not type(op):
            yield Candidate.of(slot.node, binary(binary(left, op, right.left), right.op, right.right))
            yield Candidate.of(slot.node, binary(right.left, right.op, binary(left, op, right.right)))


def turned(place: Workplace) -> Iterator[Candidate]:
    """Transposed."""
    for slot in place.floats:
        if len(slot.shape) > 1 and not isinstance(slot.node, ast.List):
            yield Candidate.of(slot.node, transposed(slot.node))


def formed(place: Workplace) -> Iterator[Candidate]:
    """What stands for the derivative of an activation, or a helper, applied to a part."""
    for slot in place.floats:
        if isinstance(slot.node, ast.Constant):
            continue
        for new in forms(slot.node):
            yield Candidate.of(slot.node, new)
        yield Candidate.of(slot.node, ast.Compare(slot.node, [ast.Gt()], [number(0)]))
        for helper in place.around.helpers:
            yield Candidate.of(slot.node, ast.Call(name(helper), [slot.node], []))
        yield Candidate.of(slot.node, ast.Call(_numpys("tanh"), [slot.node], []))
        match slot.node:  # f(x) where a form of x should stand
            case ast.Call(args=[argument]):
                for new in forms(argument):
                    yield Candidate.of(slot.node, new)


#: the same of numbers
FORMS: tuple[Callable[[Array], Array], ...] = (
    lambda x: 1 - x, lambda x: x**2, lambda x: x * (1 - x), lambda x: 1 - x**2,
)  # fmt: skip


def forms(x: ast.expr) -> Iterator[ast.expr]:
    """1 - x, x², x (1 - x), 1 - x²."""
    yield one_minus(x)
    yield squared(x)
    yield binary(x, ast.Mult(), one_minus(x))
    yield one_minus(squared(x))


def _numpys(function: str) -> ast.expr:
    return ast.Attribute(name("np"), function, ast.Load())


def indices(place: Workplace) -> Iterator[Candidate]:
    """Another step, another slice."""
    for slot in place.slots:
        if not isinstance(slot.node, ast.Subscript):
            continue
        index = slot.node.slice
        for part in index.elts if isinstance(index, ast.Tuple) else [index]:
            if isinstance(part, ast.Slice):
                for new in _slices(place):
                    yield Candidate.of(part, new)
            else:
                for one in other_indices(place, part):
                    yield Candidate.of(part, one)


def other_indices(place: Workplace, part: ast.expr) -> Iterator[ast.expr]:
    """What may stand between brackets in the place of an index."""
    if isinstance(part, ast.BinOp) and isinstance(part.op, (ast.Add, ast.Sub)):
        yield part.left
        yield binary(part.left, ast.Add() if isinstance(part.op, ast.Sub) else ast.Sub(), part.right)
    if not isinstance(part, ast.Constant):
        yield binary(part, ast.Sub(), number(1))
        yield binary(part, ast.Add(), number(1))
    yield from (number(value) for value in (0, 1, -1, 2, 3))
    for counter in place.around.counters:
        yield name(counter)
        yield binary(name(counter), ast.Sub(), number(1))
        yield binary(name(counter), ast.Add(), number(1))
    sizes = [one for one in place.around.integers if isinstance(one.node, ast.Name)]
    for size in sizes[:6]:
        yield binary(binary(size.node, ast.Sub(), number(1)), ast.Sub(), part)


def _slices(place: Workplace) -> Iterator[ast.expr]:
    """Slices with the ends that slices in the function have, and with their multiples."""
    ends: dict[str, ast.expr | None] = {"": None}
    for node in place.around.read:
        if isinstance(node, ast.Subscript):
            parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            for part in parts:
                if isinstance(part, ast.Slice):
                    for end in (part.lower, part.upper):
                        if end is not None:
                            ends.setdefault(ast.unparse(end), end)
    for atom in place.around.integers:
        if isinstance(atom.node, ast.Name) and len(ends) < 16:
            ends.setdefault(atom.text, atom.node)
            for factor in (2, 3):
                ends.setdefault(f"{factor} * {atom.text}", binary(number(factor), ast.Mult(), atom.node))
    for lower, upper in itertools.product(ends.values(), ends.values()):
        yield ast.Slice(lower, upper, None)


def reductions(place: Workplace) -> Iterator[Candidate]:
    """A sum over an axis, a mean for a sum, another axis, axes that are kept."""
    for slot in place.slots:
        match slot.node:
            case ast.Call(func=ast.Attribute(attr="sum" | "mean" as given) as func, args=args, keywords=keywords):
                other = ast.Attribute(func.value, "mean" if given == "sum" else "sum", ast.Load())
                yield Candidate.of(slot.node, ast.Call(other, args, keywords))
                for axis in (None, number(0), number(1), number(-1)):
                    for keeps in (False, True):
                        yield Candidate.of(slot.node, _sum(place, func, axis, keeps, args if _is_numpy(func) else []))
        if slot.is_float and slot.shape:
            bases = [slot.node]
            if isinstance(slot.node, ast.Subscript):
                bases.append(slot.node.value)
            for base in bases:
                for axis in (number(0), number(1), number(-1)):
                    for keeps in (False, True):
                        method = ast.Attribute(base, "sum", ast.Load())
                        yield Candidate.of(slot.node, _sum(place, method, axis, keeps, []))


def _is_numpy(function: ast.Attribute) -> bool:
    return isinstance(function.value, ast.Name) and function.value.id in ("np", "numpy")


def _sum(place: Workplace, function: ast.expr, axis: ast.expr | None, keeps: bool, args: list[ast.expr]) -> ast.expr:
    args = args[:1]
    keywords = []
    if axis is not None and (place.code.names_axis or args):
        keywords.append(ast.keyword("axis", axis))
    elif axis is not None:
        args = [axis]
    if keeps:
        keywords.append(ast.keyword("keepdims", ast.Constant(True)))
    return ast.Call(function, args, keywords)


def numbers(place: Workplace) -> Iterator[Candidate]:
    """Another constant or size."""
    for slot in place.slots:
        if isinstance(slot.node, ast.Constant) and type(slot.value) in (int, float):
            v = slot.value
            for new in dict.fromkeys((v + 1, v - 1, -v, 2 * v, v / 2, 0, 1, 2, 1 / v if v else 0)):
                if new != v:
                    whole = isinstance(v, int) and new == int(new)
                    yield Candidate.of(slot.node, number(int(new) if whole else new))
        elif isinstance(slot.value, bool) and isinstance(slot.node, ast.Constant):
            yield Candidate.of(slot.node, ast.Constant(not slot.value))
        if slot.is_integer:
            for atom in place.around.integers:
                if atom.value != slot.value:
                    yield Candidate.of(slot.node, atom.node)


def exchanged(place: Workplace) -> Iterator[Candidate]:
    """Two parts, arguments or elements in each other's place."""
    for slot in place.slots:
        parts = _parts(slot.node)
        for i, j in itertools.combinations(range(min(len(parts), MOST_EXCHANGED)), 2):
            yield Candidate(((parts[i], parts[j]), (parts[j], parts[i])))
    reads = [slot for slot in place.floats if slot.is_plain][:MOST_EXCHANGED]
    for a, b in itertools.combinations(reads, 2):
        if a.shape == b.shape and not _inside(a, b) and not _inside(b, a):
            yield Candidate(((a.node, b.node), (b.node, a.node)))


def _inside(inner: Slot, outer: Slot) -> bool:
    return any(node is inner.node for node in ast.walk(outer.node))


def _parts(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.Call(args=args):
            return [one for one in args if not isinstance(one, ast.Starred)]
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return list(elts)
        case ast.Dict(values=values):
            return list(values)
    return []


def letters(place: Workplace) -> Iterator[Candidate]:
    """Letters of an einsum exchanged, in one operand or in the result."""
    for slot in place.slots:
        if not (isinstance(slot.node, ast.Constant) and isinstance(slot.value, str) and "->" in slot.value):
            continue
        inputs, _, output = slot.value.partition("->")
        words = [*inputs.split(","), output]
        for k, word in enumerate(words):
            for i, j in itertools.combinations(range(len(word)), 2):
                new = list(word)
                new[i], new[j] = new[j], new[i]
                told = [*words[:k], "".join(new), *words[k + 1 :]]
                yield Candidate.of(slot.node, ast.Constant(",".join(told[:-1]) + "->" + told[-1]))
            for i, letter in itertools.product(range(len(word)), sorted(set(inputs) - set(", "))):
                told = [*words[:k], word[:i] + letter + word[i + 1 :], *words[k + 1 :]]
                yield Candidate.of(slot.node, ast.Constant(",".join(told[:-1]) + "->" + told[-1]))


def callees(place: Workplace) -> Iterator[Candidate]:
    """Another helper called, or a function of numpy that the function calls elsewhere."""
    for slot in place.slots:
        if isinstance(slot.node, ast.Call) and isinstance(slot.node.func, (ast.Name, ast.Attribute)):
            for helper in place.around.helpers:
                yield Candidate.of(slot.node, ast.Call(name(helper), slot.node.args, slot.node.keywords))
            for function in ("zeros_like", "ones_like"):
                if slot.node.args and slot.is_float:
                    yield Candidate.of(slot.node, ast.Call(_numpys(function), slot.node.args[:1], []))


def scaled(place: Workplace) -> Iterator[Candidate]:
    """Twice or half as much; times or divided by a size or a scalar that is at hand."""
    scalars = [one for one in place.around.floats if one.shape == () and not isinstance(one.node, ast.BinOp)][:24]
    sizes = [one for one in place.around.integers if np.abs(one.value) > 1][:24]
    for slot in place.outermost(ast.Mult, ast.Div):
        for factor in (*(number(2),), *(one.node for one in scalars), *(one.node for one in sizes)):
            yield Candidate.of(slot.node, binary(factor, ast.Mult(), slot.node))
            yield Candidate.of(slot.node, binary(slot.node, ast.Div(), factor))


FIRST: tuple[Family, ...] = (
    other_reads, dropped, operators, exchanged, turned, formed, indices, rotated, numbers, reductions, letters, scaled,
    callees,
)  # fmt: skip
