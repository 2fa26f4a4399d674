"""Asks a target for numbers: losses, counted; gradients; derivatives along directions, by the scheme that works."""

from __future__ import annotations

import contextlib
import copy
import io
import math
import warnings
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import Any

import numpy as np

from gradcheck._common.arrays import Array, Values, as_complex, entry_scale, norm
from gradcheck._common.errors import UserCodeError
from gradcheck._numeric.difference import Derivative, complex_step, richardson, tableau
from gradcheck._targets.target import Target

#: the first step of a real difference, for an entry of size one, in units of roundoff^(1/7): the best order-six step
STEP_FACTOR = 4.0
#: distances at which losses differ by noise alone, in first steps
NOISE_DISTANCES = (1e-4, 1e-3, 1e-2, 1e-1)
#: the part of a slope that may change over the first step; how many times as long as usual that may make it; for
#: directions over more than so many entries
MAX_SLOPE_CHANGE, MAX_STEP_STRETCH, LARGE_DIRECTION = 5e-3, 32.0, 16
#: noise that is so many times as large as rounding is measured again, so many times as close: what is smooth falls
#: with the fourth power of the distance, noise stays as it is
NOISE_WORTH_REMEASURING, REMEASURE_AT = 64.0, 16.0
#: the step that a complex one is confirmed by, for an entry of size one
CONFIRMING_STEP = 2.0**-20
#: the unit roundoff of float64
DOUBLE = float(np.finfo(np.float64).eps)
#: how precise a real difference must be, relative to its value, before it can confirm a complex step
AGREEMENT_FLOAT64, AGREEMENT_FLOAT32 = 1e-3, 0.1
#: what code raises at a point outside of its domain: math.log(-1.0), math.exp(1e3), assert p > 0
DOMAIN_ERRORS = (ArithmeticError, ValueError, AssertionError)


class Evaluator:
    """A target at its base point. Create it inside ``target.preserved()``."""

    def __init__(self, target: Target, tick: Callable[[], None] | None = None) -> None:
        self.target = target
        self.base = target.values()
        self.names = list(self.base)
        self._typical: Values = {}
        self._counter = [0]
        #: None: not probed yet
        self.is_complex: bool | None = None if target.takes_complex else False
        self._loss_value: float | None = None
        self.epsilon = max(float(np.finfo(array.dtype).eps) for array in self.base.values())
        self._tick = tick or (lambda: None)
        self._spoken = False
        #: the measured noise of the loss; None: not measured yet
        self._noise: float | None = None
        #: how many times as long first steps over many entries may be; None: not measured yet
        self.room: float | None = None
        self.has_differenced = False
        #: what is to be said of how the numbers came about
        self.remarks: list[str] = []

    @property
    def loss_value(self) -> float:
        """The loss at the base point; asked for when it is first needed."""
        if self._loss_value is None:
            self._loss_value = as_complex(self.raw_loss()).real
        return self._loss_value

    @loss_value.setter
    def loss_value(self, value: float) -> None:
        self._loss_value = value

    @property
    def evaluations(self) -> int:
        """Losses asked for so far."""
        return self._counter[0]

    @property
    def scheme(self) -> str:
        """The scheme of the derivatives, in words; empty before the first one."""
        return {True: "complex step", False: "Richardson", None: ""}[self.is_complex if self.has_differenced else None]

    @property
    def calibration(self) -> tuple[bool | None, float, float | None]:
        """What was found out about the loss: handed to an evaluator elsewhere, so that it gives the same answers."""
        return self.is_complex, self.loss_value, self._noise

    @calibration.setter
    def calibration(self, value: tuple[bool | None, float, float | None]) -> None:
        self.is_complex, self.loss_value, self._noise = value

    def count(self, more: int) -> None:
        """Add losses that were asked for elsewhere."""
        self._counter[0] += more

    # -- the two questions -----------------------------------------------------------------------------------------

    def raw_loss(self, values: Values | None = None) -> Any:
        """What the user's loss returns, untouched."""
        self._counter[0] += 1
        self._tick()
        with self._muted():
            return self.target.loss_at(self.base if values is None else values)

    def raw_losses(self, name: str, copies: Array) -> Any:
        """What the user's batched returns for these copies of a parameter, untouched."""
        self._counter[0] += len(copies)
        self._tick()
        with self._muted(), _strictly_complex():
            return self.target.losses_at(self.base, name, copies)

    def raw_loss_then_grads(self, values: Values | None = None) -> Generator[Any, None, None]:
        """What the user's loss returns, and then what grads does, untouched; to be closed."""
        self._counter[0] += 1
        self._tick()
        with closing(self.target.loss_then_grads_at(self.base if values is None else values)) as asked:
            with self._muted():
                raw_loss = next(asked)
            yield raw_loss
            with self._muted():
                raw_grads = next(asked)
            yield raw_grads

    def raw_grads(self, values: Values | None = None) -> Any:
        """What the user's grads returns, after a loss."""
        with closing(self.raw_loss_then_grads(values)) as asked:
            next(asked)
            return next(asked)

    def raw_grads_here(self) -> Any:
        """The same at the base point, where the loss is remembered."""
        with closing(self.raw_loss_then_grads()) as asked:
            self.loss_value = as_complex(next(asked)).real
            return next(asked)

    def at_point(self, values: Values) -> Evaluator:
        """The same target at another point; evaluations go on being counted here."""
        other = copy.copy(self)
        other.base = values
        other._typical = {}
        other.room = 1.0
        other._loss_value = None
        return other

    # -- derivatives -----------------------------------------------------------------------------------------------

    def derivative(self, direction: Values, *, confirm: bool = False, shorter: float = 1.0) -> Derivative:
        """d/dt loss(x + t direction) at 0; `direction` holds the blocks that move.

        With `confirm` a complex step is believed only if a real difference along the same direction agrees; where it
        does not, every derivative from then on is a real one.
        """
        self.has_differenced = True
        if self.is_complex is False:
            self.measure_noise()
            return self.real_difference(direction, shorter)
        exact = self._tried_complex(direction)
        if exact is not None and (self.is_complex and not confirm):
            return exact
        agreed, real = (None, None) if exact is None else self._confirmed(exact, direction)
        if real is not None and agreed is None and real.kink:
            return real  # a complex step sees one side of a kink
        if exact is not None and (agreed or (agreed is None and self.is_complex)):
            self.is_complex = True
            return exact
        if exact is None or agreed is False:
            self.is_complex = False
        self.measure_noise()
        return self.real_difference(direction, shorter)

    def entry_derivative(self, name: str, index: tuple[int, ...]) -> Derivative:
        """The derivative with respect to one entry."""
        unit = np.zeros(self.base[name].shape)
        unit[index] = 1.0
        return self.derivative({name: unit})

    def loss_along(self, direction: Values, t: complex) -> complex:
        """The loss at the base point moved by t along the direction."""
        complex_step = t.imag != 0
        with _strictly_complex():
            return as_complex(self.raw_loss(self.moved(direction, t if complex_step else t.real, wide=complex_step)))

    def moved(self, direction: Values, t: complex, *, wide: bool = False) -> Values:
        """The base point moved by t along the direction: in the parameters' own precision, or in float64 if `wide`."""
        values: Values = (
            {name: array.astype(np.float64) for name, array in self.base.items()} if wide else dict(self.base)
        )
        for name, step in direction.items():
            moved = values[name] + t * step
            values[name] = moved if isinstance(t, complex) else np.asarray(moved, dtype=values[name].dtype)
        return values

    def noise(self) -> float:
        """An estimate of the rounding error in one value of the loss."""
        return max(self._rounding(), self._noise or 0.0)

    def _rounding(self) -> float:
        return 2 * self.epsilon * abs(self.loss_value)

    def tableau(self, direction: Values) -> Generator[float, tuple[float, float], Derivative]:
        """The tableau of real differences along a direction over a single entry, for whoever asks for its losses."""
        return tableau(self.loss_value, self._step(self.epsilon, direction), self.noise(), self.epsilon)

    def real_difference(self, direction: Values, shorter: float = 1.0) -> Derivative:
        """The derivative by real differences alone, from a first step that is `shorter` times as short as usual."""
        step = self._step(self.epsilon, direction) / shorter
        if not step:
            return Derivative(0.0, 0.0)
        if self._noise is not None and sum(np.count_nonzero(part) for part in direction.values()) > LARGE_DIRECTION:
            step *= self._measure_step_stretch()
        return richardson(
            lambda t: self._real_loss_along(direction, t), self.loss_value, step, self.noise(), self.epsilon
        )

    def slope_at_shortest_step(self, direction: Values, change: float) -> float:
        """The slope over the shortest step that tells slopes apart which differ by `change`."""
        # Not the measured noise: where a loss is too steep, its steepness is measured as noise.
        step = self._shortest_step(direction, change)
        return (self._real_loss_along(direction, step) - self._real_loss_along(direction, -step)) / (2 * step)

    def one_sided_slope(self, direction: Values, change: float) -> float:
        """The same to one side, from a single loss more."""
        step = self._shortest_step(direction, change)
        return (self._real_loss_along(direction, step) - self.loss_value) / step

    def _shortest_step(self, direction: Values, change: float) -> float:
        return max(100 * self._rounding() / abs(change), 2.0**14 * self.epsilon / self._relative_length(direction))

    def change_over_usual_step(self, direction: Values) -> tuple[float, float]:
        """What the loss changes by from one usual step before the point to one after it, and that step."""
        step = self._step(self.epsilon, direction)
        return self._real_loss_along(direction, step) - self._real_loss_along(direction, -step), step

    def _confirmed(self, exact: Derivative, direction: Values) -> tuple[bool | None, Derivative]:
        """Whether a real difference agrees with a complex step, None where it cannot say; and that difference."""
        if self.epsilon > DOUBLE:
            self.measure_noise()
            real = self.real_difference(direction)
            return (self._confirmed_wide(exact, direction) if _agree(exact, real, AGREEMENT_FLOAT32) else False), real
        if self._both_sides_agree(exact, direction):
            return True, exact
        real = self.real_difference(direction)
        agreed = _agree(exact, real, AGREEMENT_FLOAT64)
        if agreed or self._noise is not None:
            return agreed, real
        self.measure_noise()  # before differences are believed, their noise is measured
        real = self.real_difference(direction)
        return _agree(exact, real, AGREEMENT_FLOAT64), real

    def _both_sides_agree(self, exact: Derivative, direction: Values) -> bool:
        """Whether both sides of a short central difference agree with a complex step: no kink, and nothing cut off."""
        reach, margin = self._relative_length(direction), AGREEMENT_FLOAT64 * abs(exact.value)
        if not reach:
            return False
        step = CONFIRMING_STEP / reach
        plus, minus = self._real_loss_along(direction, step), self._real_loss_along(direction, -step)
        slopes = (plus - self.loss_value) / step, (self.loss_value - minus) / step
        return 8 * self._rounding() / step <= margin and all(abs(slope - exact.value) <= margin for slope in slopes)

    def _confirmed_wide(self, exact: Derivative, direction: Values) -> bool | None:
        """The same with float64 copies in the place of float32 parameters."""
        at_zero = as_complex(self.raw_loss(self.moved({}, 0.0, wide=True))).real
        step, noise = self._step(DOUBLE, direction), 8 * DOUBLE * abs(at_zero)
        return _agree(
            exact,
            richardson(lambda t: self._real_loss_along(direction, t, wide=True), at_zero, step, noise),
            AGREEMENT_FLOAT64,
        )

    def measure_noise(self) -> None:
        """From losses a hair apart: of their fourth difference nothing smooth is left, only noise (Hamming 1973).

        Where that is zero, the loss moves in jumps that are larger than a hair, or of one size: the distance grows. A
        loss that never moves has cancelled to its last bit, in terms that are taken to be of size one. The
        direction is one over all parameters, since a single block may not move the loss at all; and all losses are on
        one side of the point, since a kink at the point is no noise.
        """
        if self._noise is not None:
            return
        direction = self._direction_over_all()
        self._noise = 2 * self.epsilon
        for hair in NOISE_DISTANCES:
            distance = self._step(self.epsilon, direction) * hair
            found = self._noise_at(direction, distance)
            if found is not None:
                self._noise = self._noise_without_curvature(found, direction, distance)
                return

    def _noise_at(self, direction: Values, distance: float) -> float | None:
        """The noise of losses so far apart; None if they do not show any."""
        values = [value for k in range(1, 9) if math.isfinite(value := self._real_loss_along(direction, k * distance))]
        if len(set(values)) <= 1:
            return None
        if len(values) < 5:
            return 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            differences = np.diff(values, n=4)
        # The fourth difference of unit noise has the variance 1 + 16 + 36 + 16 + 1.
        return 3 * norm(differences) / math.sqrt(70 * len(differences)) or None

    def _noise_without_curvature(self, found: float, direction: Values, distance: float) -> float:
        """The same at shorter distances, if it falls there: near the edge of a domain it is the shape of the loss."""
        while found > NOISE_WORTH_REMEASURING * self._rounding():
            distance /= REMEASURE_AT
            finer = self._noise_at(direction, distance)
            if finer is None or finer > found / REMEASURE_AT:
                break
            found = finer
        return found

    def _measure_step_stretch(self) -> float:
        """By how straight the loss is along a direction over all parameters: their sizes alone do not tell."""
        if self.room is None:
            direction = self._direction_over_all()
            step = self._step(self.epsilon, direction)
            ends = [self._real_loss_along(direction, part * step) for part in (1.0, -1.0, 0.5, -0.5)]
            change = abs((ends[0] - ends[1]) / 2 - (ends[2] - ends[3])) + self.noise()
            room = math.sqrt(MAX_SLOPE_CHANGE * abs(ends[2] - ends[3]) / change) if change > 0 else 1.0
            self.room = min(max(room, 1.0), MAX_STEP_STRETCH) if math.isfinite(room) else 1.0
        return self.room

    def _direction_over_all(self) -> Values:
        """A direction over all parameters, always the same, since a single block may not move the loss at all."""
        rng = np.random.default_rng(0)
        return {name: rng.standard_normal(array.shape) for name, array in self.base.items()}

    def _step(self, epsilon: float, direction: Values) -> float:
        reach = self._relative_length(direction)
        return STEP_FACTOR * epsilon ** (1 / 7) / reach if reach else 0.0

    def _relative_length(self, direction: Values) -> float:
        """The largest part of the direction, relative to the sizes of the parameters."""
        return max(float(np.max(np.abs(step) / self.typical(name), initial=0.0)) for name, step in direction.items())

    def typical(self, name: str) -> Array:
        """The sizes of the entries of a parameter."""
        if name not in self._typical:
            self._typical[name] = entry_scale(self.base[name])
        return self._typical[name]

    def _real_loss_along(self, direction: Values, t: float, *, wide: bool = False) -> float:
        """The loss beside the base point; NaN where the code refuses it, as it may outside of its domain."""
        try:
            return as_complex(self.raw_loss(self.moved(direction, t, wide=wide))).real
        except UserCodeError as error:
            if isinstance(error.error, DOMAIN_ERRORS):
                return math.nan
            raise

    def _complex(self, direction: Values) -> Derivative:
        def phi(t: complex) -> complex:
            with _strictly_complex():
                return as_complex(self.raw_loss(self.moved(direction, t, wide=True)))

        return complex_step(phi, self.epsilon)

    def _tried_complex(self, direction: Values) -> Derivative | None:
        try:
            exact = self._complex(direction)
        except UserCodeError:
            return None  # the code does not take complex numbers: no fault of its own
        finally:
            self.target.restore_state(if_complex=True)  # what the loss keeps may have become complex
        return exact if math.isfinite(exact.value) else None

    @contextlib.contextmanager
    def _muted(self) -> Iterator[None]:
        """A loss that prints is heard once, not a thousand times."""
        if not self._spoken:
            self._spoken = True
            yield
            return
        with contextlib.redirect_stdout(_NullStream()):
            yield


@contextlib.contextmanager
def _strictly_complex() -> Iterator[None]:
    """Casting a complex number to a float drops the derivative: an error here, not a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", np.exceptions.ComplexWarning)
        yield


class _NullStream(io.TextIOBase):
    def write(self, text: str) -> int:
        return len(text)


def _agree(exact: Derivative, real: Derivative, within: float) -> bool | None:
    """Whether two derivatives are the same; None if the real one has no precision to tell, or a kink."""
    if abs(exact.value - real.value) > 2 * real.error + exact.error:
        return False
    return None if real.kink or not real.error <= within * abs(real.value) else True
