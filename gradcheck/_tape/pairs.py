"""Complex numbers as pairs of real ones: the real part, then the imaginary one, along an axis behind all others.

On the tape a complex array of shape s is a value of shape (*s, 2), and so is the derivative with respect to it: those
with respect to the real and to the imaginary part. All that adds, projects and solves knows real numbers alone.

A rule is handed one complex number in the place of both, dL/dRe - i dL/dIm. A function that is differentiable as a
complex one multiplies that by its slope, as a real function does its derivative: its rule needs to know of nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array

_COMPLEX = (complex, np.complexfloating)


def is_complex(x: object) -> bool:
    """Whether it is a complex array or number."""
    return x.dtype.kind == "c" if isinstance(x, np.ndarray) else isinstance(x, _COMPLEX)


def shape_on_tape(x: Any) -> tuple[int, ...]:
    """The shape that a value has on the tape."""
    return (*np.shape(x), 2) if is_complex(x) else np.shape(x)


def as_pairs(x: Any) -> Any:
    """A value as it is on the tape: complex numbers as pairs, matrices and masked arrays as arrays."""
    if isinstance(x, (np.matrix, np.ma.MaskedArray)):
        x = np.asarray(x)
    return np.stack([np.real(x), np.imag(x)], -1) if is_complex(x) else x


def as_before(x: Any, like: Any) -> Any:
    """A value of the tape as the code has it: pairs as complex numbers where `like` has such."""
    if not is_complex(like) or is_complex(x) or np.shape(x) != shape_on_tape(like):
        return x
    return _joined(np.asarray(x), 1.0)


def in_double(x: Any) -> Any:
    """A value in double precision, as the code has it."""
    if x is None or isinstance(x, (float, complex)):
        return x
    return np.asarray(x, np.complex128 if is_complex(x) else np.float64)


def slopes_as_before(slopes: Array, like: Any) -> Array:
    """How something moves with a value, (m, size), for the value as the code has it: one complex number for a pair.

    The real part of its product with a change of the value is what that moves.
    """
    return _conjugated(slopes.reshape(len(slopes), -1, 2)) if is_complex(like) else slopes


def on_pairs(pull: Callable[[Array], Array], out: Any, operand: Any) -> Callable[[Array], Array]:
    """The way back that a rule gave, between derivatives as they are on the tape."""
    is_from, is_to = is_complex(out), is_complex(operand)
    if not is_from and not is_to:
        return pull

    def pulled(g: Array) -> Array:
        found = pull(_conjugated(g) if is_from else g)
        return _as_conjugated_pairs(found) if is_to else np.real(found)

    return pulled


def off_pairs(pull: Callable[[Array], Array], out: Any, operand: Any) -> Callable[[Array], Array]:
    """A way back between derivatives as they are on the tape, as one that a rule gives."""
    is_from, is_to = is_complex(out), is_complex(operand)
    if not is_from and not is_to:
        return pull

    def pulled(g: Array) -> Array:
        found = pull(_as_conjugated_pairs(g) if is_from else g)
        return _conjugated(found) if is_to else found

    return pulled


def _conjugated(pairs: Array) -> Array:
    return _joined(pairs, -1.0)


def _joined(pairs: Array, sign: float) -> Array:
    """By parts: a product with 1j makes NaN of what is infinite."""
    result: Array = np.empty(pairs.shape[:-1], np.complex128)
    result.real, result.imag = pairs[..., 0], sign * pairs[..., 1]
    return result


def _as_conjugated_pairs(x: Array) -> Array:
    return np.stack([np.real(x), -np.imag(x)], -1)
