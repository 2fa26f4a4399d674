"""Elementwise functions: NumPy's ufuncs, the same of `math`, and any ufunc that is not known."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Pull
from gradcheck._tape.pairs import in_double, is_complex
from gradcheck._tape.rules.complex_parts import OF_COMPLEX, direction
from gradcheck._tape.rules.operation import Operation, Pulls, summed_to

#: d(result)/d(operand), of the operands' values and the result's
Slope: TypeAlias = Callable[..., Any]

_ZERO: Slope = lambda *_: 0.0  # noqa: E731
#: one slope for each operand; what it does not look at has a name that begins with an underscore
SLOPES: dict[Any, tuple[Slope, ...]] = {
    np.multiply: (lambda _x, y, _o: y, lambda x, _y, _o: x),
    np.divide: (lambda _x, y, _o: 1 / y, lambda x, y, _o: -x / (y * y)),
    np.power: (
        lambda x, y, _o: _power_slope(x, y),
        lambda x, _y, o: _exponent_slope(x, o),
    ),
    np.float_power: (lambda x, y, _o: _power_slope(x, y), lambda x, _y, o: o * np.log(x)),
    np.remainder: (lambda _x, _y, _o: 1.0, lambda x, y, _o: -np.floor(x / y)),
    np.fmod: (lambda _x, _y, _o: 1.0, lambda x, y, _o: -np.trunc(x / y)),
    np.maximum: (lambda x, y, _o: _first(x, y, x > y), lambda x, y, _o: _first(x, y, y > x)),
    np.minimum: (lambda x, y, _o: _first(x, y, x < y), lambda x, y, _o: _first(x, y, y < x)),
    np.fmax: (lambda x, y, _o: _first(x, y, x > y), lambda x, y, _o: _first(x, y, y > x)),
    np.fmin: (lambda x, y, _o: _first(x, y, x < y), lambda x, y, _o: _first(x, y, y < x)),
    np.hypot: (lambda x, _y, o: x / o, lambda _x, y, o: y / o),
    np.arctan2: (lambda x, y, _o: y / (x * x + y * y), lambda x, y, _o: -x / (x * x + y * y)),
    np.logaddexp: (lambda x, _y, o: np.exp(x - o), lambda _x, y, o: np.exp(y - o)),
    np.logaddexp2: (lambda x, _y, o: np.exp2(x - o), lambda _x, y, o: np.exp2(y - o)),
    np.copysign: (lambda x, _y, o: np.sign(o) * np.sign(x), _ZERO),
    np.heaviside: (_ZERO, lambda x, _y, _o: x == 0),
    np.exp: (lambda _x, o: o,),
    np.exp2: (lambda _x, o: o * math.log(2),),
    np.expm1: (lambda _x, o: o + 1,),
    np.log: (lambda x, _o: 1 / x,),
    np.log2: (lambda x, _o: 1 / (x * math.log(2)),),
    np.log10: (lambda x, _o: 1 / (x * math.log(10)),),
    np.log1p: (lambda x, _o: 1 / (1 + x),),
    np.sqrt: (lambda _x, o: 0.5 / o,),
    np.cbrt: (lambda _x, o: 1 / (3 * o * o),),
    np.square: (lambda x, _o: 2 * x,),
    np.reciprocal: (lambda _x, o: -o * o,),
    np.absolute: (lambda x, _o: direction(x),),
    np.fabs: (lambda x, _o: np.sign(x),),
    np.sin: (lambda x, _o: np.cos(x),),
    np.cos: (lambda x, _o: -np.sin(x),),
    np.tan: (lambda _x, o: 1 + o * o,),
    np.arcsin: (lambda x, _o: 1 / np.sqrt(1 - x * x),),
    np.arccos: (lambda x, _o: -1 / np.sqrt(1 - x * x),),
    np.arctan: (lambda x, _o: 1 / (1 + x * x),),
    np.sinh: (lambda x, _o: np.cosh(x),),
    np.cosh: (lambda x, _o: np.sinh(x),),
    np.tanh: (lambda _x, o: 1 - o * o,),
    np.arcsinh: (lambda x, _o: 1 / np.sqrt(x * x + 1),),
    np.arccosh: (lambda x, _o: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),),
    np.arctanh: (lambda x, _o: 1 / (1 - x * x),),
    np.deg2rad: (lambda _x, _o: math.pi / 180,),
    np.radians: (lambda _x, _o: math.pi / 180,),
    np.rad2deg: (lambda _x, _o: 180 / math.pi,),
    np.degrees: (lambda _x, _o: 180 / math.pi,),
    np.conjugate: (lambda _x, _o: 1.0,),
    np.floor_divide: (_ZERO, _ZERO),
    np.sign: (_ZERO,),
    np.floor: (_ZERO,),
    np.ceil: (_ZERO,),
    np.trunc: (_ZERO,),
    np.rint: (_ZERO,),
    np.spacing: (_ZERO,),
}

#: functions of `math` and `cmath` on numbers, and the ufunc that is the same
SCALAR: dict[Any, Any] = {
    getattr(math, name): getattr(np, ufunc)
    for name, ufunc in {
        "exp": "exp", "expm1": "expm1", "log1p": "log1p", "log2": "log2", "log10": "log10", "sqrt": "sqrt",
        "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin", "acos": "arccos", "atan": "arctan",
        "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh", "acosh": "arccosh", "atanh": "arctanh",
        "fabs": "fabs", "pow": "power", "atan2": "arctan2", "hypot": "hypot", "fmod": "fmod", "copysign": "copysign",
        "degrees": "degrees", "radians": "radians",
    }.items()
}  # fmt: skip
SCALAR |= {
    getattr(cmath, name): getattr(np, ufunc)
    for name, ufunc in {
        "exp": "exp", "log10": "log10", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "tan": "tan", "asin": "arcsin",
        "acos": "arccos", "atan": "arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh", "asinh": "arcsinh",
        "acosh": "arccosh", "atanh": "arctanh",
    }.items()
}  # fmt: skip
#: those whose derivatives need no values
_SIGNS: dict[Any, tuple[float, ...]] = {np.add: (1.0, 1.0), np.subtract: (1.0, -1.0), np.negative: (-1.0,),
                                        np.positive: (1.0,)}  # fmt: skip
#: as an opaque function of one number, a step of this size, relative to it
_STEP = 1e-3
_NOTHING = Cell(None)


def elementwise(ufunc: Any, operands: tuple[Any, ...], operation: Operation) -> Pulls:
    """The way back through a ufunc with one result."""
    if ufunc in OF_COMPLEX and is_complex(operands[0]):
        return OF_COMPLEX[ufunc](operation) or []
    if ufunc in _SIGNS:
        return [(x, _scaled(sign, np.shape(x))) for x, sign in zip(operands, _SIGNS[ufunc], strict=False)]
    slopes = SLOPES.get(ufunc) or tuple(_unknown(ufunc, k) for k in range(len(operands)))
    values = (*operands, operation.out)
    needed = {k for slope in slopes for k in _needed(slope, len(values))}
    cells = [operation.hold(x) if k in needed else _NOTHING for k, x in enumerate(values)]
    return [(x, _pull(slope, cells, np.shape(x))) for x, slope in zip(operands, slopes, strict=False)]


@lru_cache(maxsize=1024)
def _needed(slope: Slope, count: int) -> frozenset[int]:
    """Which values a slope looks at: the others have names that begin with an underscore."""
    code = slope.__code__
    if code.co_argcount != count:
        return frozenset(range(count if slope is not _ZERO else 0))
    return frozenset(k for k, name in enumerate(code.co_varnames[:count]) if not name.startswith("_"))


def _scaled(sign: float, shape: tuple[int, ...]) -> Pull:
    if sign == 1:
        return lambda g: summed_to(g, shape)
    return lambda g: summed_to(-g, shape)


def _pull(slope: Slope, cells: list[Cell], shape: tuple[int, ...]) -> Pull:
    def pull(g: Array) -> Array:
        # in double precision, whatever the values are held in
        with np.errstate(all="ignore"):
            return summed_to(g * slope(*[in_double(cell.value) for cell in cells]), shape)

    return pull


def _power_slope(x: Any, y: Any) -> Any:
    return y * np.power(x, np.where(y == 0, 1, y) - 1)


def _exponent_slope(x: Any, o: Any) -> Any:
    return o * np.log(x) if np.iscomplexobj(x) else np.where(x > 0, o * np.log(np.where(x > 0, x, 1)), 0)


def _first(x: Any, y: Any, chosen: Any) -> Any:
    """The slope of the operand that is chosen; of equal ones half each, but none beside a number: relu'(0) is 0."""
    return np.where(x == y, 0.5 if np.ndim(y) and np.ndim(x) else 0.0, chosen)


def _unknown(ufunc: Any, k: int) -> Slope:
    """The slope of a ufunc that is not in the table: a complex step if it takes one and is right, else a difference."""

    def slope(*values: Any) -> Any:
        operands = list(values[:-1])
        x = operands[k]
        step = _STEP * np.maximum(1.0, np.abs(x))

        def at(value: Any) -> Any:
            return ufunc(*operands[:k], value, *operands[k + 1 :])

        measured = (8 * (at(x + step) - at(x - step)) - (at(x + 2 * step) - at(x - 2 * step))) / (12 * step)
        try:
            exact = np.imag(at(x + 1e-30j)) / 1e-30
        except TypeError:
            return measured
        close = np.abs(exact - measured) <= 1e-6 * np.maximum(1.0, np.abs(measured))
        return np.where(close, exact, measured)

    return slope
