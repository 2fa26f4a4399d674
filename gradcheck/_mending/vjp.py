"""The vector-Jacobian product of one operation, written as source: what repair and derivation both write with.

A cotangent is an expression with the shape of its value: that may be smaller than the shape of what it belongs to,
where it would be broadcast anyway (1 / n for every entry of a mean).
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck._mending.syntax import binary, is_minus, name, number, parsed, transposed

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cotangent:
    """A derivative as source, and the shape of its value."""

    node: ast.expr
    shape: Shape


@dataclass(frozen=True)
class Operand:
    """An operand as source, with its shape."""

    node: ast.expr
    shape: Shape


def elementary(
    op: str, which: int, g: Cotangent, operands: Sequence[Operand], out: Shape, like: ast.expr | None = None
) -> Cotangent | None:
    """What comes back to one operand of an arithmetic operation; None for an operation that is not one of these.

    `like` has the shape of the result: needed where the cotangent may be smaller than that.
    """
    own = operands[which]
    match op:
        case "add" | "subtract" if len(operands) == 2:
            back = summed(g, out, own.shape, like)
            return negated(back) if op == "subtract" and which == 1 else back
        case "negative":
            return negated(g)
        case "multiply":
            result = times(g, operands[1 - which])
        case "divide":
            result = _divided(which, g, operands)
        case "matmul" | "dot":
            return _matmul(which, full(g, out, like), operands)
        case _:
            return None
    return summed(result, out, own.shape, like)


def _divided(which: int, g: Cotangent, operands: Sequence[Operand]) -> Cotangent:
    top, bottom = operands
    if which == 0:
        return over(g, bottom)
    square = binary(bottom.node, ast.Pow(), number(2))
    return negated(over(times(g, top), Operand(square, bottom.shape)))


def _matmul(which: int, g: Cotangent, operands: Sequence[Operand]) -> Cotangent | None:
    left, right = operands
    ranks = len(left.shape), len(right.shape)
    own = operands[which].shape
    a, d = left.node, g.node
    if which == 0:
        return _to_left(ranks, d, right, own)
    match ranks:
        case (2, 2) | (2, 1):
            written = _product(turned(a), d)
        case (1, 1):
            written = binary(d, ast.Mult(), a)
        case (1, 2):
            written = call("np.outer", a, d)
        case (n, 1):
            written = call("np.tensordot", d, a, axes=number(n - 1))
        case (n, 2):
            axes = ast.Tuple([number(k) for k in range(n - 1)], ast.Load())
            both = ast.Tuple([axes, axes], ast.Load())
            written = call("np.tensordot", a, d, axes=both)
        case (n, m) if n == m and left.shape[:-2] == right.shape[:-2]:
            written = _product(_swapped(left), d)
        case _:
            return None
    return Cotangent(written, own)


def _to_left(ranks: tuple[int, int], d: ast.expr, right: Operand, own: Shape) -> Cotangent | None:
    b = right.node
    match ranks:
        case (1, 1):
            return Cotangent(binary(d, ast.Mult(), b), own)
        case (2, 1):
            return Cotangent(call("np.outer", d, b), own)
        case (_, 1):
            return Cotangent(binary(parsed_with("{}[..., None]", d), ast.Mult(), b), own)
        case (1, 2):
            return Cotangent(_product(b, d), own)
        case (_, 2):
            return Cotangent(_product(d, turned(b)), own)
        case (n, m) if n == m:
            return Cotangent(_product(d, _swapped(right)), own)
    return None


def _swapped(operand: Operand) -> ast.expr:
    """With its last two axes exchanged: of a batch of columns, x[:, :, None], it is x[:, None, :]."""
    match operand.node:
        case ast.Subscript(value=value, slice=ast.Tuple(elts=[*before, last, other])) if len(before) + 2 == len(
            operand.shape
        ) and all(map(_is_axis, (*before, last, other))):
            return ast.Subscript(value, ast.Tuple([*before, other, last], ast.Load()), ast.Load())
    return call(ast.Attribute(operand.node, "swapaxes", ast.Load()), number(-1), number(-2))


def _is_axis(index: ast.expr) -> bool:
    """Whether it stands for a whole axis, or a new one."""
    match index:
        case ast.Slice(lower=None, upper=None, step=None) | ast.Constant(value=None):
            return True
    return False


def turned(node: ast.expr) -> ast.expr:
    """The transpose of a matrix; of x.T it is x, and of a product that of the factors in the other order."""
    match node:
        case ast.Attribute(value=value, attr="T"):
            return value
        case ast.BinOp(left=left, op=ast.MatMult(), right=right):
            return _product(turned(right), turned(left))
    return transposed(node)


def _product(left: ast.expr, right: ast.expr) -> ast.expr:
    return binary(left, ast.MatMult(), right)


def einsum_back(text: str, which: int) -> str | None:
    """The equation that brings the derivative of an einsum back to one operand: of that derivative and the others.

    None where an axis of the operand is nowhere else, or the result is not written.
    """
    if "->" not in text or "." in text:
        return None
    left, result = text.replace(" ", "").split("->")
    own, others = left.split(",")[which], [one for k, one in enumerate(left.split(",")) if k != which]
    if len(set(own)) < len(own) or not set(own) <= set(result).union(*others):
        return None
    return ",".join([result, *others]) + "->" + own


# -- arithmetic of what is written ---------------------------------------------------------------------------------


def times(g: Cotangent, other: Operand) -> Cotangent:
    """Their product; numbers are multiplied here, and 1 is left out."""
    shape = np.broadcast_shapes(g.shape, other.shape)
    a, b = g.node, other.node
    if is_minus(a) and _number(a) is None:
        return negated(times(Cotangent(a.operand, g.shape), other))
    if _number(a) == 1:
        return Cotangent(binary(number(1.0), ast.Mult(), b) if _is_mask(b) else b, shape)
    if _number(b) == 1:
        return Cotangent(a, shape)
    if _number(a) == -1:
        return Cotangent(ast.UnaryOp(ast.USub(), b), shape)
    first, second = _number(a), _leading(b)
    if first is not None and second is not None:
        folded = first * second[0]
        if second[1] is None:
            return Cotangent(_written(folded), shape)
        return times(Cotangent(_written(folded), ()), Operand(second[1], shape))
    return Cotangent(binary(a, ast.Mult(), b), shape)


def over(g: Cotangent, other: Operand) -> Cotangent:
    """The first divided by the second."""
    a, b = _number(g.node), _number(other.node)
    shape = np.broadcast_shapes(g.shape, other.shape)
    if a is not None and b:
        return Cotangent(_written(a / b), shape)
    return Cotangent(g.node if b == 1 else binary(g.node, ast.Div(), other.node), shape)


def negated(g: Cotangent) -> Cotangent:
    """-g."""
    known = _number(g.node)
    if known is not None:
        return Cotangent(_written(-known), g.shape)
    if is_minus(g.node):
        return Cotangent(g.node.operand, g.shape)
    return Cotangent(ast.UnaryOp(ast.USub(), g.node), g.shape)


def added(terms: Sequence[ast.expr]) -> ast.expr | None:
    """Their sum, those that are taken away at the end, and one that stands there twice as two times itself."""
    if not terms:
        return None
    counts = Counter(map(ast.dump, terms))
    first = {ast.dump(term): term for term in reversed(terms)}
    alike = [term for term in reversed(first.values()) if counts[ast.dump(term)] == 2]
    once = [_twice(one) for one in alike] + [term for term in terms if counts[ast.dump(term)] != 2]
    positive = [term for term in once if not isinstance(term, ast.UnaryOp)]
    negative = [term.operand for term in once if isinstance(term, ast.UnaryOp)]
    result: ast.expr = positive[0] if positive else ast.UnaryOp(ast.USub(), negative.pop(0))
    for term in positive[1:]:
        result = binary(result, ast.Add(), term)
    for term in negative:
        result = binary(result, ast.Sub(), term)
    return result


def _twice(term: ast.expr) -> ast.expr:
    """Two times a term: of one that is divided by two, what is."""
    if isinstance(term, ast.UnaryOp):
        return ast.UnaryOp(term.op, _twice(term.operand))
    return _without_half(term) or binary(number(2), ast.Mult(), term)


def _without_half(term: ast.expr) -> ast.expr | None:
    match term:
        case ast.BinOp(left=left, op=ast.Div(), right=ast.BinOp(left=ast.Constant(value=2), op=ast.Mult(), right=rest)):
            return binary(left, ast.Div(), rest)
        case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
            inner = _without_half(left)
            return None if inner is None else binary(inner, op, right)
    return None


def summed(g: Cotangent, out: Shape, shape: Shape, like: ast.expr | None = None) -> Cotangent:
    """Summed over the axes along which an operand of this shape was broadcast to the shape of the result."""
    extra = len(out) - len(shape)
    kept = [axis for axis, length in enumerate(shape) if length == 1 and out[axis + extra] != 1]
    if not extra and not kept:
        return g
    g = full(g, out, like)
    if not shape:
        return Cotangent(call("np.sum", g.node), ())
    node = g.node
    if extra > 0:
        node = reduced(node, list(range(extra)), keeps=False)
    return Cotangent(reduced(node, kept, keeps=True) if kept else node, shape)


def full(g: Cotangent, shape: Shape, like: ast.expr | None) -> Cotangent:
    """The same with an entry for each of the shape, which `like` has; None if it has that shape."""
    if g.shape == shape or like is None:
        return g
    if not g.shape and isinstance(like, ast.Name):
        return Cotangent(call("np.full_like", like, g.node), shape)
    value = _number(g.node)
    node = g.node if value is None else ast.Constant(float(value))  # sums of integers would stay integers
    return Cotangent(call("np.broadcast_to", node, ast.Attribute(like, "shape", ast.Load())), shape)


def reduced(node: ast.expr, axes: Sequence[int], *, keeps: bool) -> ast.expr:
    """The sum over axes."""
    axis: ast.expr = number(axes[0])
    if len(axes) > 1:
        axis = ast.Tuple([number(one) for one in axes], ast.Load())
    keywords = [ast.keyword("axis", axis), *([ast.keyword("keepdims", ast.Constant(True))] if keeps else [])]
    return ast.Call(ast.Attribute(node, "sum", ast.Load()), [], keywords)


def call(function: str | ast.expr, *arguments: ast.expr, **keywords: ast.expr) -> ast.Call:
    """A call; the function by its name or as an expression."""
    of = parsed(function) if isinstance(function, str) else function
    return ast.Call(of, list(arguments), [ast.keyword(key, value) for key, value in keywords.items()])


def parsed_with(text: str, *parts: ast.expr) -> ast.expr:
    """An expression in which `{}` stands for each part in turn."""
    names = [f"_{k}_" for k in range(len(parts))]
    known = dict(zip(names, parts, strict=True))

    class Filled(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return known.get(node.id, node)

    result = Filled().visit(parsed(text.format(*names)))
    assert isinstance(result, ast.expr)
    return result


def _number(node: ast.expr) -> float | None:
    match node:
        case ast.Constant(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            found = _number(operand)
            return None if found is None else -found
    return None


def _is_mask(node: ast.expr) -> bool:
    """Whether its entries are true or false."""
    return isinstance(node, ast.Compare) or (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd))


def _leading(node: ast.expr) -> tuple[float, ast.expr | None] | None:
    """A number that a product begins with, and the rest of it."""
    found = _number(node)
    if found is not None:
        return found, None
    match node:
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            first = _leading(left)
            if first is not None:
                rest = right if first[1] is None else binary(first[1], ast.Mult(), right)
                return first[0], rest
    return None


def _written(value: float) -> ast.expr:
    whole = int(value) if value == int(value) and abs(value) < 1e6 else value
    return number(whole) if whole >= 0 else ast.UnaryOp(ast.USub(), number(-whole))


__all__ = [
    "Cotangent", "Operand", "Shape", "added", "call", "einsum_back", "elementary", "full", "name", "negated", "over",
    "parsed_with", "reduced", "summed", "times", "turned",
]  # fmt: skip
