"""Asks a target for numbers: losses, counted; gradients; derivatives along directions, by the scheme that works."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from gradcheck._difference import Derivative, complex_step, richardson
from gradcheck._errors import UserCodeError
from gradcheck._target import Array, Target, Values

#: the first step of a real difference, for an entry of size one, in units of roundoff^(1/7): the best order-six step
STEP_FACTOR = 4.0


class Evaluator:
    """A target at its base point. Create it inside ``target.preserved()``."""

    def __init__(self, target: Target, tick: Callable[[], None] | None = None) -> None:
        self.target = target
        self.base = target.values()
        self.names = list(self.base)
        self._counter = [0]
        #: None: not probed yet
        self.is_complex: bool | None = None if target.takes_complex else False
        self.loss_value = math.nan
        self.epsilon = max(float(np.finfo(array.dtype).eps) for array in self.base.values())
        self._tick = tick or (lambda: None)
        self._spoken = False
        self.asked = False

    @property
    def evaluations(self) -> int:
        """Losses asked for so far."""
        return self._counter[0]

    @property
    def scheme(self) -> str:
        """The scheme of the derivatives, in words; empty before the first one."""
        return {True: "complex step", False: "Richardson", None: ""}[self.is_complex if self.asked else None]

    def count(self, more: int) -> None:
        """Add losses that were asked for elsewhere."""
        self._counter[0] += more

    # -- the two questions -----------------------------------------------------------------------------------------

    def raw_loss(self, values: Values | None = None) -> Any:
        """What the user's loss returns, untouched."""
        self._counter[0] += 1
        self._tick()
        with self._quietly():
            return self.target.loss_at(self.base if values is None else values)

    def raw_grads(self, values: Values | None = None) -> Any:
        """What the user's grads returns, untouched."""
        self._tick()
        with self._quietly():
            return self.target.grads_at(self.base if values is None else values)

    def based_at(self, values: Values) -> Evaluator:
        """The same target at another point; evaluations go on being counted here."""
        other = copy.copy(self)
        other.base = values
        other.loss_value = number(other.raw_loss()).real
        return other

    # -- derivatives -----------------------------------------------------------------------------------------------

    def derivative(self, direction: Values, *, confirm: bool = False) -> Derivative:
        """d/dt loss(x + t direction) at 0; `direction` holds the blocks that move.

        With `confirm` a complex step is believed only if a real difference along the same direction agrees; where it
        does not, every derivative from then on is a real one.
        """
        self.asked = True
        if self.is_complex is False:
            return self.real(direction)
        if self.is_complex and not confirm:
            return self._complex(direction)
        real = self.real(direction)
        exact = self._tried_complex(direction)
        if exact is None or not _agree(exact, real):
            self.is_complex = False
            return real
        self.is_complex = True
        return exact

    def at(self, name: str, index: tuple[int, ...]) -> Derivative:
        """The derivative with respect to one entry."""
        unit = np.zeros(self.base[name].shape)
        unit[index] = 1.0
        return self.derivative({name: unit})

    def moved(self, direction: Values, t: complex) -> Values:
        """The base point moved by t along the direction, in the parameters' own precision."""
        values = dict(self.base)
        for name, step in direction.items():
            moved = values[name] + t * step
            values[name] = moved if isinstance(t, complex) else np.asarray(moved, dtype=values[name].dtype)
        return values

    def noise(self) -> float:
        """An estimate of the rounding error in one value of the loss."""
        return 2 * self.epsilon * abs(self.loss_value)

    def real(self, direction: Values, shorter: float = 1.0) -> Derivative:
        """The derivative by real differences alone, from a first step that is `shorter` times as short as usual."""
        reach = max(
            float(np.max(np.abs(step) / np.maximum(1.0, np.abs(self.base[name])))) for name, step in direction.items()
        )
        if reach == 0.0:
            return Derivative(0.0, 0.0)
        step = STEP_FACTOR * self.epsilon ** (1 / 7) / reach / shorter
        return richardson(
            lambda t: number(self.raw_loss(self.moved(direction, t))).real, self.loss_value, step, self.noise()
        )

    def _complex(self, direction: Values) -> Derivative:
        def phi(t: complex) -> complex:
            with warnings.catch_warnings():
                # Casting a complex number to a float drops the derivative: an error here, not a warning.
                warnings.simplefilter("error", np.exceptions.ComplexWarning)
                return number(self.raw_loss(self.moved(direction, t)))

        return complex_step(phi, self.epsilon)

    def _tried_complex(self, direction: Values) -> Derivative | None:
        try:
            return self._complex(direction)
        except UserCodeError:
            return None  # the code does not take complex numbers: no fault of its own

    @contextlib.contextmanager
    def _quietly(self) -> Iterator[None]:
        """A loss that prints is heard once, not a thousand times."""
        if not self._spoken:
            self._spoken = True
            yield
            return
        with contextlib.redirect_stdout(_Nowhere()):
            yield


class _Nowhere(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def number(raw: Any) -> complex:
    """A loss as a Python number; NaN for what is not one number."""
    try:
        array = np.asarray(raw.detach() if hasattr(raw, "detach") else raw)
        return (
            complex(array.reshape(()).item()) if array.size == 1 and array.dtype.kind in "fciub" else complex(math.nan)
        )
    except (TypeError, ValueError):
        return complex(math.nan)


def inner(gradient: Values, direction: Values) -> float:
    """<gradient, direction> over the blocks of the direction."""
    return float(sum(np.sum(gradient[name] * step) for name, step in direction.items()))


def norm(array: Array) -> float:
    """The Euclidean norm, safe for entries near the ends of the range."""
    largest = float(np.max(np.abs(array), initial=0.0))
    return largest * float(np.linalg.norm(array / largest)) if 0.0 < largest < math.inf else largest


def _agree(exact: Derivative, real: Derivative) -> bool:
    if not math.isfinite(exact.value) or real.kink or real.error > 1e-3 * abs(real.value):
        return False
    return abs(exact.value - real.value) <= 2 * real.error + exact.error
