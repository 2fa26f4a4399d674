"""What takes complex numbers apart, or puts them together: no function that is differentiable as a complex one.

What a rule is handed and returns is dL/dRe - i dL/dIm (`pairs`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Pull
from gradcheck._tape.pairs import is_complex
from gradcheck._tape.rules.operation import Operation, Pulls, Rule


def direction(x: Any) -> Any:
    """The slope of the absolute value."""
    return np.conj(np.sign(x)) if np.iscomplexobj(x) else np.sign(x)


def _conjugate(operation: Operation) -> Pulls:
    return [(operation.args[0], np.conj)]


def _unit(operation: Operation) -> Pulls:
    """The way back through z / |z|: only what turns z changes it."""
    x = operation.args[0]
    value, out = operation.hold(x), operation.hold(operation.out)

    def pull(g: Array) -> Array:
        z, unit = np.asarray(value.value), np.asarray(out.value)
        with np.errstate(all="ignore"):
            turned: Array = np.where(z == 0, 0.0, 1j * np.conj(unit) * (g * unit).imag / np.abs(z))
        return turned

    return [(x, pull)]


def _real(operation: Operation) -> Pulls:
    return [(operation.args[0], lambda g: g)]


def _imaginary(operation: Operation) -> Pulls:
    x = operation.args[0]
    return [(x, lambda g: -1j * g)] if is_complex(x) else []


def _angle(operation: Operation) -> Pulls:
    x = operation.args[0]
    if not is_complex(x):
        return []
    in_degrees = operation.argument(1, "deg", default=False)
    return [(x, _turned(operation.hold(x), 180 / np.pi if in_degrees else 1.0))]


def _turned(cell: Cell, unit: float) -> Pull:
    def pull(g: Array) -> Array:
        with np.errstate(all="ignore"):
            result: Array = -1j * unit * g / np.asarray(cell.value)
        return result

    return pull


def _put_together(operation: Operation) -> Pulls | None:
    """``complex(re, im)``."""
    if operation.keywords or any(isinstance(x, str) for x in operation.args):
        return None
    return [(x, lambda g, k=k: 1j**k * g) for k, x in enumerate(operation.args)]  # type: ignore[misc]


TABLE: dict[Any, Rule] = {np.real: _real, np.imag: _imaginary, np.angle: _angle, complex: _put_together}
#: ufuncs of which the rule in general holds for real numbers alone
OF_COMPLEX: dict[Any, Rule] = {np.conjugate: _conjugate, np.sign: _unit}
#: by the attribute of a number
PARTS: dict[str, Any] = {"real": np.real, "imag": np.imag}
