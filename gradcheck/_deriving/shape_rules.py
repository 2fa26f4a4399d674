"""Vector-Jacobian products of what sums, moves and joins entries, and of products of several arrays."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import numpy as np

from gradcheck._deriving.statements import clone, is_active, shape_of, value_of
from gradcheck._deriving.uses import Use
from gradcheck._mending.syntax import binary, number
from gradcheck._mending.vjp import Cotangent, Operand, call, einsum_back, over, parsed_with, summed, times, turned

Part = tuple[ast.expr, Cotangent]
Rule = Callable[[Use, Cotangent], Iterator[Part]]


def _axes(use: Use, position: int = 1) -> tuple[int, ...]:
    axis, rank = use.constant("axis", position), len(shape_of(use.operands[0]))
    if axis is None:
        return tuple(range(rank))
    return tuple(one % rank for one in (axis if isinstance(axis, tuple) else (axis,)))


def _spread(use: Use, g: Cotangent) -> Cotangent:
    """The cotangent with the axes that were summed over, one long each."""
    x = use.operands[0]
    axes, keeps = _axes(use), use.constant("keepdims", 9, default=False)
    if not g.shape:
        return g
    if keeps or len(axes) == len(shape_of(x)):
        shape = tuple(1 if k in axes else n for k, n in enumerate(shape_of(x))) if g.shape else ()
        return Cotangent(g.node, shape)
    axis: ast.expr = number(axes[0]) if len(axes) == 1 else ast.Tuple([number(one) for one in axes], ast.Load())
    if axes == tuple(range(len(axes))):
        return g  # it is broadcast along the first axes as it is
    shape = tuple(1 if k in axes else n for k, n in enumerate(shape_of(x)))
    return Cotangent(call("np.expand_dims", use.filled(g).node, axis), shape)


def _sum(use: Use, g: Cotangent) -> Iterator[Part]:
    yield use.operands[0], _spread(use, g)


def _mean(use: Use, g: Cotangent) -> Iterator[Part]:
    yield use.operands[0], over(_spread(use, g), Operand(_count(use), ()))


def _count(use: Use) -> ast.expr:
    """How many entries a mean is over."""
    x, axes = use.operands[0], _axes(use)
    named = next((one for one in ast.walk(x) if isinstance(one, ast.Name) and shape_of(one) == shape_of(x)), x)
    if len(axes) == len(shape_of(x)):
        return ast.Attribute(clone(named), "size", ast.Load())
    shapes = [parsed_with(f"{{}}.shape[{axis}]", clone(named)) for axis in axes]
    result = shapes[0]
    for one in shapes[1:]:
        result = binary(result, ast.Mult(), one)
    return result


def _variance(use: Use, g: Cotangent) -> Iterator[Part]:
    x = use.operands[0]
    axis = use.argument("axis", 1)
    words = {} if axis is None else {"axis": clone(axis)}
    mean = call(ast.Attribute(clone(x), "mean", ast.Load()), keepdims=ast.Constant(True), **words)
    centred = binary(number(2), ast.Mult(), binary(clone(x), ast.Sub(), mean))
    if use.op == "std":
        centred = binary(clone(x), ast.Sub(), mean)
        g = over(g, Operand(clone(use.whole), shape_of(use.whole)))
    yield x, times(over(_spread(use, g), Operand(_count(use), ())), Operand(centred, shape_of(x)))


def _largest(use: Use, g: Cotangent) -> Iterator[Part]:
    x, axis = use.operands[0], use.argument("axis", 1)
    words = {} if axis is None else {"axis": clone(axis)}
    top = call(ast.Attribute(clone(x), use.op.removeprefix("a"), ast.Load()), keepdims=ast.Constant(True), **words)
    test = parsed_with("({} == {})", clone(x), top)
    yield x, times(_spread(use, g), Operand(test, shape_of(x)))


def reshaped(use: Use, g: Cotangent) -> Cotangent:
    x = use.operands[0]
    if shape_of(x) == shape_of(use.whole) or not g.shape:
        return g
    if not shape_of(x):
        return Cotangent(call(ast.Attribute(use.filled(g).node, "item", ast.Load())), ())
    like = ast.Attribute(clone(x), "shape", ast.Load())
    node = use.filled(g).node
    return Cotangent(call(ast.Attribute(node, "reshape", ast.Load()), like), shape_of(x))


def _transpose(use: Use, g: Cotangent) -> Iterator[Part]:
    x = use.operands[0]
    axes = use.constant("axes", 1) if len(use.operands) < 3 else tuple(value_of(one) for one in use.operands[1:])
    node = use.filled(g).node
    if axes is None:
        matrix = len(shape_of(x)) == 2
        yield x, Cotangent(turned(node) if matrix else ast.Attribute(node, "T", ast.Load()), shape_of(x))
        return
    back = [number(int(k)) for k in np.argsort(axes)]
    yield x, Cotangent(call(ast.Attribute(node, "transpose", ast.Load()), *back), shape_of(x))


def _swapped(use: Use, g: Cotangent) -> Iterator[Part]:
    x = use.operands[0]
    node = use.filled(g).node
    rest = [clone(one) for one in use.operands[1:]]
    if use.op == "moveaxis":
        rest.reverse()
    yield x, Cotangent(call(f"np.{use.op}", node, *rest), shape_of(x))


def _broadcast(use: Use, g: Cotangent) -> Iterator[Part]:
    yield use.operands[0], summed(use.filled(g), shape_of(use.whole), shape_of(use.operands[0]))


def _tile(use: Use, g: Cotangent) -> Iterator[Part]:
    x, out = use.operands[0], shape_of(use.whole)
    own = (1,) * (len(out) - len(shape_of(x))) + shape_of(x)
    times_each = [n // m for n, m in zip(out, own, strict=True)]
    node = use.filled(g).node
    if all(k == 1 or own[axis] == 1 for axis, k in enumerate(times_each)):
        yield x, summed(Cotangent(node, out), out, shape_of(x))
        return
    lead = len(out) - len(shape_of(x))
    if all(k == 1 for k in times_each[lead:]):
        yield x, summed(Cotangent(node, out), out, shape_of(x))
        return
    raise NotImplementedError


def _joined(use: Use, g: Cotangent) -> Iterator[Part]:
    """Pieces side by side."""
    pieces = use.operands[0].elts if isinstance(use.operands[0], (ast.List, ast.Tuple)) else None
    if pieces is None:
        raise NotImplementedError
    shape = shape_of(use.whole)
    axis = use.constant("axis", 1, default=0) % len(shape)
    if use.op == "hstack":
        axis = 0 if len(shape) == 1 else 1
    begin: ast.expr | None = None
    node = use.filled(g).node
    for k, one in enumerate(pieces):
        length = parsed_with(f"{{}}.shape[{axis}]", clone(one))
        end = length if begin is None else binary(clone(begin), ast.Add(), length)
        if is_active(one):
            part = ast.Slice(None if begin is None else clone(begin), None if k == len(pieces) - 1 else clone(end))
            yield one, Cotangent(ast.Subscript(clone(node), _along(axis, part), ast.Load()), shape_of(one))
        begin = end


def _along(axis: int, part: ast.expr) -> ast.expr:
    return part if axis == 0 else ast.Tuple([*(ast.Slice() for _ in range(axis)), part], ast.Load())


def stacked(use: Use, g: Cotangent) -> Iterator[Part]:
    """Arrays as the elements of another: written out, or a list."""
    of = use.operands[0]
    shape = shape_of(use.whole)
    axis = use.constant("axis", 1, default=0) if use.op == "stack" else 0
    node = use.filled(g).node
    if isinstance(of, (ast.List, ast.Tuple)):
        for k, one in enumerate(of.elts):
            if is_active(one):
                at = ast.Subscript(clone(node), _along(axis % len(shape), number(k)), ast.Load())
                yield one, Cotangent(at, shape_of(one))
        return
    if axis != 0:
        node = call("np.moveaxis", node, number(axis), number(0))
    yield of, Cotangent(node, shape_of(of))


def _einsum(use: Use, g: Cotangent) -> Iterator[Part]:
    text = value_of(use.operands[0])
    arrays = use.operands[1:]
    for k, one in enumerate(arrays):
        if not is_active(one):
            continue
        written = einsum_back(text, k) if isinstance(text, str) else None
        if written is None:
            raise NotImplementedError
        others = [clone(other) for j, other in enumerate(arrays) if j != k]
        yield one, Cotangent(call("np.einsum", ast.Constant(written), use.filled(g).node, *others), shape_of(one))


def _outer(use: Use, g: Cotangent) -> Iterator[Part]:
    a, b = use.operands
    node = use.filled(g).node
    if len(shape_of(a)) != 1 or len(shape_of(b)) != 1:
        raise NotImplementedError
    if is_active(a):
        yield a, Cotangent(binary(node, ast.MatMult(), clone(b)), shape_of(a))
    if is_active(b):
        yield b, Cotangent(binary(clone(a), ast.MatMult(), clone(node)), shape_of(b))


def _norm(use: Use, g: Cotangent) -> Iterator[Part]:
    x = use.operands[0]
    if use.constant("ord", 1) is not None:
        raise NotImplementedError
    position = Use(use.op, [x, *([use.keywords["axis"]] if "axis" in use.keywords else [])], use.keywords, use.whole)
    scaled = over(g, Operand(clone(use.whole), shape_of(use.whole)))
    yield x, times(_spread(position, scaled), Operand(clone(x), shape_of(x)))


def _cumulated(use: Use, g: Cotangent) -> Iterator[Part]:
    x = use.operands[0]
    axis = use.argument("axis", 1)
    if axis is None:
        raise NotImplementedError
    turned = call("np.flip", use.filled(g).node, clone(axis))
    yield x, Cotangent(call("np.flip", call("np.cumsum", turned, clone(axis)), clone(axis)), shape_of(x))


RULES: dict[str, Rule] = {
    "sum of elements": lambda use, g: iter([(use.operands[0], g)]), "sum": _sum, "mean": _mean, "var": _variance,
    "std": _variance, "max": _largest, "min": _largest, "amax": _largest, "amin": _largest, "transpose": _transpose,
    "swapaxes": _swapped, "moveaxis": _swapped, "flip": _swapped, "broadcast_to": _broadcast, "tile": _tile,
    "concatenate": _joined, "hstack": _joined, "vstack": _joined, "stack": stacked, "array": stacked,
    "asarray": stacked, "einsum": _einsum, "outer": _outer, "norm": _norm, "cumsum": _cumulated,
}  # fmt: skip
