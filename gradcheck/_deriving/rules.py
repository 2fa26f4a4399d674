"""The vector-Jacobian product of each NumPy function, as source: what comes back to its operands.

A rule gives pairs of an operand and its cotangent. The arithmetic ones are those that repair writes with, too
(`gradcheck._mending.vjp`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import numpy as np

from gradcheck._deriving.shape_rules import RULES, Part, reshaped, stacked
from gradcheck._deriving.statements import clone, is_active, shape_of, value_of
from gradcheck._deriving.uses import Use
from gradcheck._mending.syntax import binary, number
from gradcheck._mending.vjp import (
    Cotangent,
    Operand,
    call,
    elementary,
    negated,
    over,
    parsed_with,
    summed,
    times,
)  # fmt: skip

#: what hands its first operand on, but for its shape
_SAME = frozenset({
    "asarray", "ascontiguousarray", "asfortranarray", "copy", "astype", "item", "reshape", "ravel", "flatten",
    "squeeze", "expand_dims", "atleast_1d", "atleast_2d", "array", "float64", "float32", "real", "real_if_close",
    "positive",
})  # fmt: skip
#: derivatives of functions of one operand, with x for it, and whether the result is y
_UNARY = {
    "tanh": "1 - {y} ** 2", "exp": "{y}", "sqrt": "0.5 / {y}", "log": "1 / {x}", "log1p": "1 / (1 + {x})",
    "expm1": "{y} + 1", "sin": "np.cos({x})", "cos": "-np.sin({x})", "square": "2 * {x}", "abs": "np.sign({x})",
    "absolute": "np.sign({x})", "fabs": "np.sign({x})", "sinh": "np.cosh({x})", "cosh": "np.sinh({x})",
    "arctan": "1 / (1 + {x} ** 2)", "reciprocal": "-{y} ** 2", "log2": "1 / ({x} * np.log(2))",
    "log10": "1 / ({x} * np.log(10))", "arcsinh": "1 / np.sqrt({x} ** 2 + 1)",
}  # fmt: skip


def parts_of(use: Use, g: Cotangent) -> Iterator[Part] | None:
    """What comes back to each operand; None where there is no rule."""
    arithmetic = {"add", "subtract", "multiply", "divide", "true_divide", "matmul", "dot", "negative"}
    if use.op in arithmetic and len(use.operands) <= 2:
        return _arithmetic(use, g)
    if use.op in _SAME and use.operands and is_active(use.operands[0]):
        return iter([(use.operands[0], reshaped(use, g))]) if isinstance(
            value_of(use.operands[0]), (np.ndarray, float, np.generic)
        ) else stacked(use, g)  # fmt: skip
    if use.op in _UNARY and len(use.operands) == 1:
        return iter([(use.operands[0], _unary(use, g))])
    rule = _RULES.get(use.op)
    return None if rule is None else rule(use, g)


# -- arithmetic ----------------------------------------------------------------------------------------------------


def _operand(node: ast.expr) -> Operand:
    return Operand(clone(node), shape_of(node))


def _arithmetic(use: Use, g: Cotangent) -> Iterator[Part]:
    of = [_operand(one) for one in use.operands]
    op = {"true_divide": "divide"}.get(use.op, use.op)
    for k, one in enumerate(use.operands):
        if is_active(one) and not (k == 1 and op == "subtract" and _is_largest_of(one, use.operands[0])):
            found = elementary(op, k, g, of, shape_of(use.whole), use.like)
            if found is None:
                raise NotImplementedError
            yield one, found


def _is_largest_of(node: ast.expr, x: ast.expr) -> bool:
    """Whether it is the maximum of x: what is made of x less that, a softmax say, does not depend on it."""
    match node:
        case ast.Call(func=ast.Attribute(value=value, attr="max")) if ast.dump(value) == ast.dump(x):
            return True
        case ast.Call(func=ast.Attribute(value=ast.Attribute(value=value, attr="real"), attr="max")):
            return ast.dump(value) == ast.dump(x)
        case ast.Call(func=ast.Attribute(attr="max" | "amax"), args=[first, *_]):
            return ast.dump(first) == ast.dump(x)
    return False


def _unary(use: Use, g: Cotangent) -> Cotangent:
    text = _UNARY[use.op]
    x, y = clone(use.operands[0]), clone(use.whole)
    written = parsed_with(text.replace("{x}", "{}").replace("{y}", "{}"), x if "{x}" in text else y)
    shape = shape_of(use.whole)
    match written:
        case ast.BinOp(left=top, op=ast.Div(), right=bottom):
            return over(times(g, Operand(top, ())), Operand(bottom, shape))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return negated(times(g, Operand(operand, shape)))
    return times(g, Operand(written, shape))


def _power(use: Use, g: Cotangent) -> Iterator[Part]:
    base, exponent = use.operands
    shape = shape_of(use.whole)
    if is_active(base):
        known_power = value_of(exponent) if isinstance(exponent, ast.Constant) else None
        if known_power == 2:
            slope: ast.expr = binary(number(2), ast.Mult(), clone(base))
        elif isinstance(known_power, (int, float)):
            slope = binary(number(known_power), ast.Mult(), binary(clone(base), ast.Pow(), number(known_power - 1)))
        else:
            less = binary(clone(exponent), ast.Sub(), number(1))
            slope = binary(clone(exponent), ast.Mult(), binary(clone(base), ast.Pow(), less))
        yield base, summed(times(g, Operand(slope, shape)), shape, shape_of(base), use.like)
    if is_active(exponent):
        slope = binary(clone(use.whole), ast.Mult(), call("np.log", clone(base)))
        yield exponent, summed(times(g, Operand(slope, shape)), shape, shape_of(exponent), use.like)


def _masked(test: Callable[[Use], ast.expr]) -> Callable[[Use, Cotangent], Iterator[Part]]:
    def rule(use: Use, g: Cotangent) -> Iterator[Part]:
        shape = shape_of(use.whole)
        yield use.operands[0], summed(times(g, Operand(test(use), shape)), shape, shape_of(use.operands[0]), use.like)

    return rule


def _extremum(sign: str) -> Callable[[Use, Cotangent], Iterator[Part]]:
    def rule(use: Use, g: Cotangent) -> Iterator[Part]:
        shape = shape_of(use.whole)
        for one, other in (use.operands, use.operands[::-1]):
            if is_active(one):
                test = parsed_with(f"({{}} {sign} {{}})", clone(one), clone(other))
                yield one, summed(times(g, Operand(test, shape)), shape, shape_of(one), use.like)

    return rule


def _inside(use: Use) -> ast.expr:
    x, low, high = use.operands[0], use.argument("a_min", 1), use.argument("a_max", 2)
    tests = []
    if low is not None and value_of(low) is not None:
        tests.append(parsed_with("({} > {})", clone(x), clone(low)))
    if high is not None and value_of(high) is not None:
        tests.append(parsed_with("({} < {})", clone(x), clone(high)))
    return tests[0] if len(tests) == 1 else binary(tests[0], ast.BitAnd(), tests[1])


def _where(use: Use, g: Cotangent) -> Iterator[Part]:
    test, one, other = use.operands
    shape = shape_of(use.whole)
    for k, of in enumerate((one, other)):
        if is_active(of):
            sides = [g.node, number(0)] if k == 0 else [number(0), g.node]
            chosen = Cotangent(call("np.where", clone(test), *sides), shape)
            yield of, summed(chosen, shape, shape_of(of), use.like)


_RULES = RULES | {
    "power": _power, "pow": _power, "maximum": _extremum(">"), "minimum": _extremum("<"), "clip": _masked(_inside),
    "fmax": _extremum(">"), "fmin": _extremum("<"), "where": _where,
}  # fmt: skip
