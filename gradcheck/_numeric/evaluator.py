"""Asks a target for numbers: losses, counted; gradients; derivatives along directions, by the scheme that works."""

from __future__ import annotations

import contextlib
import copy
import math
import weakref
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import replace
from enum import Enum, auto
from itertools import product
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Array, Values, add_multiple, as_complex, largest_ratio, usual_size
from gradcheck._common.drawing import gaussian
from gradcheck._common.errors import UserCodeError
from gradcheck._common.silence import heard, muted
from gradcheck._common.thread_filters import raising
from gradcheck._numeric.difference import (
    GOOD_ENOUGH,
    Derivative,
    Tableau,
    complex_step,
    confirmation,
    richardson,
)
from gradcheck._numeric.noise import measure_noise, measure_step_stretch
from gradcheck._numeric.scheme import FLOAT32_PRECISION, FLOAT64_PRECISION, Agreement, Scheme, compare_schemes
from gradcheck._targets.target import Target

#: the first step of a real difference, for an entry of size one, in units of roundoff^(1/7): the best order-six step
STEP_FACTOR = 4.0
#: first steps of directions over more than so many entries are made as long as the loss is straight
LARGE_DIRECTION = 16
#: the step that a complex one is confirmed by, for an entry of size one
CONFIRMING_STEP = 2.0**-20
#: the longer of the steps that one is confirmed by sharply
CONFIRMING_SHARPLY = 2.0**-6
#: how sharply, relative to the slope, if no real difference is to be asked besides
SHARP = 1e-8
#: the loss is chaotic if its noise is more than this part of what it changes by over a usual step
CHAOTIC = 0.02
#: and so many times its rounding error
CHAOTIC_ROUNDINGS = 1e4
#: the longest short step, in usual ones, that a chaotic loss is differenced over; and the shortest, in roundoffs
CHAOS_STEPS = (1e-4, 16.0)
#: how well the slopes of three steps must agree, relatively, to be the slope
PLATEAU = 0.05
#: lines along which a flat loss is followed; how often the distance is made four times as long; halvings to a jump
FLAT_LINES, FLAT_DOUBLINGS, FLAT_HALVINGS = 3, 8, 40
#: how often the first step is a quarter of the usual one: a loss that moves over it is neither flat nor in pieces
FLAT_QUARTERINGS = 8
#: how many usual steps away the size of a loss is looked at
FLAT_RANGE = 16.0
#: the part of a change that a jump makes at once
JUMP = 1e-3
#: and by this part of the loss, since one that is rounded jumps as well
JUMP_OF_LOSS = 1e-5
#: the unit roundoff of float64
DOUBLE = float(np.finfo(np.float64).eps)
#: what code raises at a point outside of its domain: math.log(-1.0), math.exp(1e3), assert p > 0
DOMAIN_ERRORS = (ArithmeticError, ValueError, AssertionError)
#: what was found out about a loss: the scheme, its value, its noise
Calibration: TypeAlias = tuple[Scheme, float, float | None]


class Flatness(Enum):
    """What a loss does far from a point beside which it does not move."""

    #: it stays as it is, whatever the parameters are
    UNMOVED = auto()
    #: it is constant in pieces
    JUMPS = auto()
    #: it moves, in some way
    MOVES = auto()


class Evaluator:
    """A target at its base point. Create it while the target is `opened`."""

    def __init__(self, target: Target, tick: Callable[[], None] | None = None) -> None:
        self.target = target
        #: where it stands; nobody writes into these arrays
        self.base = target.problem.values()
        self.names = list(self.base)
        #: arrays of parameters, by their names, and the usual size of their entries; at other points most are the same
        self._usual: dict[str, tuple[weakref.ref[Array], float]] = {}
        #: what real losses are asked for at: overwritten for each, since every problem makes copies of it
        self._scratch: Values = {}
        #: the part of each parameter in the last direction that was measured, its array, and the part's relative length
        self._reaches: dict[str, tuple[weakref.ref[Array], weakref.ref[Array], float]] = {}
        self._counter = [0]
        self.scheme = Scheme.UNKNOWN if target.takes_complex else Scheme.REAL
        self._loss_value: float | None = None
        self.epsilon = max(float(np.finfo(array.dtype).eps) for array in self.base.values())
        self._tick = tick or (lambda: None)
        self._spoken = False
        #: the measured noise of the loss; None: not measured yet
        self._noise: float | None = None
        #: how many times as long first steps over many entries may be; None: not measured yet
        self.step_stretch: float | None = None
        self._has_differenced = False
        self._flatness: Flatness | None = None
        self._is_chaotic: bool | None = None
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
    def scheme_in_words(self) -> str:
        """The scheme of the derivatives; empty before the first one."""
        if not self._has_differenced:
            return ""
        # where no complex step could be confirmed, each derivative was a real one
        used = Scheme.REAL if self.scheme is Scheme.UNKNOWN else self.scheme
        return str(used.value)

    @property
    def calibration(self) -> Calibration:
        """What was found out about the loss: handed to an evaluator elsewhere, so that it gives the same answers."""
        return self.scheme, self.loss_value, self._noise

    @calibration.setter
    def calibration(self, value: Calibration) -> None:
        self.scheme, self.loss_value, self._noise = value

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
        """What grads returns at the base point, where the loss is remembered."""
        with closing(self.raw_loss_then_grads()) as asked:
            self.loss_value = as_complex(next(asked)).real
            return next(asked)

    def at_point(self, values: Values) -> Evaluator:
        """An evaluator of this target at another point; evaluations go on being counted here."""
        other = copy.copy(self)
        other.base = values
        other.step_stretch = 1.0
        other._loss_value = None
        other._flatness = other._is_chaotic = None
        return other

    # -- derivatives -----------------------------------------------------------------------------------------------

    def derivative(
        self,
        direction: Values,
        *,
        confirm: bool = False,
        sharply: bool = False,
        shorter: float = 1.0,
        good_enough: float = GOOD_ENOUGH,
    ) -> Derivative:
        """d/dt loss(x + t direction) at 0; `direction` holds the parameters that move.

        With `confirm` a complex step is believed only if a real difference along the same direction agrees; where it
        does not, every derivative from then on is a real one. `sharply`: agrees to its own error bar, or it is noted
        how well it does. A real difference begins with a step that is `shorter` times as short as usual, and ends with
        an error bar that is `good_enough` a part of it.
        """
        self._has_differenced = True
        exact = None if self.scheme is Scheme.REAL else self._complex_or_none(direction)
        if exact is None:
            self.scheme = Scheme.REAL
            return self._measured_difference(direction, shorter, good_enough)
        if sharply and self.epsilon <= DOUBLE:
            confirmed = self._confirm_sharply(exact, direction)
            if confirmed is not None:
                return confirmed
            exact = replace(exact, confirmed=math.inf)
        if self.scheme is Scheme.COMPLEX and not confirm:
            return exact
        agreement, real = self._confirm(exact, direction)
        if agreement is Agreement.CANNOT_TELL and real.kink:
            return real  # a complex step sees one side of a kink
        if agreement is Agreement.AGREES:
            self.scheme = Scheme.COMPLEX
        elif agreement is Agreement.DIFFERS:
            self.scheme = Scheme.REAL
        return exact if self.scheme is Scheme.COMPLEX else self._measured_difference(direction, shorter, good_enough)

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
        values: Values = {
            name: array.astype(np.float64) if wide and name not in direction else array
            for name, array in self.base.items()
        }
        for name, step in direction.items():
            base = values[name]
            if isinstance(t, complex):
                values[name] = _moved_off_the_axis(base, step, t)
            else:
                moved = np.multiply(step, t, dtype=np.float64)
                moved += base
                values[name] = np.asarray(moved, dtype=np.float64 if wide else base.dtype)
        return values

    def _moved_in_place(self, direction: Values, t: float) -> Values:
        """The same as `moved`, in the user's own arrays or in others that the next call overwrites."""
        values, written = dict(self.base), self.target.problem.written_arrays()
        for name, step in direction.items():
            base = values[name]
            if base.dtype != np.float64:
                return self.moved(direction, t)
            moved = written.get(name)
            if moved is None or moved.shape != base.shape or moved.dtype != base.dtype:
                moved = self._scratch.setdefault(name, np.empty(base.shape))
            add_multiple(base, step, t, moved)
            values[name] = moved
        return values

    def noise(self) -> float:
        """An estimate of the rounding error in one value of the loss."""
        return max(self._rounding(), self._noise or 0.0)

    def _rounding(self) -> float:
        return 2 * self.epsilon * abs(self.loss_value)

    def tableau(self, direction: Values) -> Tableau:
        """A tableau of real differences along a direction over a single entry, for whoever asks for its losses."""
        return Tableau(self.loss_value, self._step(self.epsilon, direction), self.noise(), self.epsilon)

    def real_difference(self, direction: Values, shorter: float = 1.0, good_enough: float = GOOD_ENOUGH) -> Derivative:
        """The derivative by real differences alone, from a first step that is `shorter` times as short as usual."""
        step = self._step(self.epsilon, direction) / shorter
        if not step:
            return Derivative(0.0, 0.0)
        if self._noise is not None and sum(np.count_nonzero(part) for part in direction.values()) > LARGE_DIRECTION:
            step *= self._measure_step_stretch()
        return richardson(
            lambda t: self._real_loss_along(direction, t),
            self.loss_value,
            step,
            self.noise(),
            self.epsilon,
            good_enough,
        )

    def slope_at_shortest_step(self, direction: Values, change: float) -> float:
        """The slope over the shortest step that tells slopes apart which differ by `change`."""
        # Not the measured noise: where a loss is too steep, its steepness is measured as noise.
        step = self._shortest_step(direction, change)
        return (self._real_loss_along(direction, step) - self._real_loss_along(direction, -step)) / (2 * step)

    def one_sided_slope(self, direction: Values, change: float) -> float:
        """The slope over the same step to one side alone, from a single loss more."""
        step = self._shortest_step(direction, change)
        return (self._real_loss_along(direction, step) - self.loss_value) / step

    @property
    def is_chaotic(self) -> bool:
        """Whether the loss changes by nearly as much over a hair as over a usual step: then no usual step tells."""
        if self._is_chaotic is None:
            self.measure_noise()
            direction = self._direction_over_all()
            noise, change = self.noise(), abs(self.change_over(direction, self.usual_step(direction)))
            self._is_chaotic = noise > max(CHAOTIC * change, CHAOTIC_ROUNDINGS * self._rounding())
        return self._is_chaotic

    def slope_of_plateau(self, direction: Values) -> float | None:
        """The slope over short steps, of three lengths that agree; None where no three do."""
        slopes: list[float] = []
        step = CHAOS_STEPS[0] * self.usual_step(direction)
        while step * self._relative_length(direction) > CHAOS_STEPS[1] * self.epsilon:
            slopes.append(self.change_over(direction, step) / (2 * step))
            last = slopes[-3:]
            if len(last) == 3 and max(last) - min(last) <= PLATEAU * abs(last[1]):
                return last[2]
            step /= 8
        return None

    def shape_beside(self) -> Flatness:
        """What the loss does where it does not move at once, or jumps; asked once.

        It is followed along directions over all parameters until it moves. At a jump it moves by as much over a hair.
        """
        if self._flatness is None:
            lines = (self._direction_over_all(seed) for seed in range(FLAT_LINES))
            found = (self._flatness_along(line) for line in lines)
            self._flatness = next((one for one in found if one is not Flatness.UNMOVED), Flatness.UNMOVED)
        return self._flatness

    @property
    def is_in_steps(self) -> bool:
        """Whether the loss was found to be constant in pieces, as far as that was asked."""
        return self._flatness is Flatness.JUMPS

    def _flatness_along(self, direction: Values) -> Flatness:
        step, near = self.usual_step(direction), 0.0
        powers = range(-FLAT_QUARTERINGS, FLAT_DOUBLINGS)
        for power, sign in product(powers, (1, -1)):
            far = sign * step * 4.0**power
            change = self._real_loss_along(direction, far) - self.loss_value
            if math.isfinite(change) and change:
                break
        else:
            return Flatness.UNMOVED
        if power == powers[0]:
            return Flatness.MOVES
        for _ in range(FLAT_HALVINGS):
            middle = (near + far) / 2
            at_middle = self._real_loss_along(direction, middle) - self.loss_value
            near, far = (near, middle) if at_middle else (middle, far)
        over_a_hair = abs(self._real_loss_along(direction, far) - self.loss_value)
        is_jump = over_a_hair > max(JUMP * abs(change), self._largest_rounding(direction))
        return Flatness.JUMPS if is_jump else Flatness.MOVES

    def _largest_rounding(self, direction: Values) -> float:
        """What a loss may jump by that is rounded in single precision somewhere inside."""
        far = self.usual_step(direction) * FLAT_RANGE
        changes = [abs(self._real_loss_along(direction, sign * far) - self.loss_value) for sign in (1, -1)]
        sizes = [size for size in (abs(self.loss_value), *changes) if math.isfinite(size)]
        return max(JUMP_OF_LOSS, 64 * self.epsilon) * max(sizes)

    def _shortest_step(self, direction: Values, change: float) -> float:
        return max(100 * self._rounding() / abs(change), 2.0**14 * self.epsilon / self._relative_length(direction))

    def usual_step(self, direction: Values) -> float:
        """The first step of a real difference."""
        return self._step(self.epsilon, direction)

    def change_over(self, direction: Values, step: float) -> float:
        """What the loss changes by from one step before the point to one after it."""
        return self._real_loss_along(direction, step) - self._real_loss_along(direction, -step)

    def _measured_difference(self, direction: Values, shorter: float, good_enough: float = GOOD_ENOUGH) -> Derivative:
        """A real difference, after the noise was measured: before differences are believed, it has to be."""
        self.measure_noise()
        return self.real_difference(direction, shorter, good_enough)

    def _confirm(self, exact: Derivative, direction: Values) -> tuple[Agreement, Derivative]:
        """What a real difference says of a complex step; and that difference."""
        if self.epsilon > DOUBLE:
            real = self._measured_difference(direction, 1.0)
            if compare_schemes(exact, real, FLOAT32_PRECISION) is Agreement.AGREES:
                return self._confirm_wide(exact, direction), real
            return Agreement.DIFFERS, real
        if self._both_sides_agree(exact, direction):
            return Agreement.AGREES, exact
        real = self.real_difference(direction)
        agreement = compare_schemes(exact, real, FLOAT64_PRECISION)
        if agreement is Agreement.AGREES or self._noise is not None:
            return agreement, real
        real = self._measured_difference(direction, 1.0)
        return compare_schemes(exact, real, FLOAT64_PRECISION), real

    def _confirm_sharply(self, exact: Derivative, direction: Values) -> Derivative | None:
        """The complex step and how well it is confirmed, or the real one that contradicts it; None if neither."""
        reach = self._relative_length(direction)
        if not reach:
            return None
        step = CONFIRMING_SHARPLY / reach
        confirmed = confirmation(
            lambda t: self._real_loss_along(direction, t), self.loss_value, step, self._rounding(), exact.value
        )
        if not confirmed <= SHARP * abs(exact.value):
            real = self._measured_difference(direction, 1.0)
            if real.kink or not real.error <= FLOAT64_PRECISION * abs(real.value):
                return None
            if compare_schemes(exact, real, FLOAT64_PRECISION) is Agreement.DIFFERS:
                self.scheme = Scheme.REAL
                return real
            of_real = 2 * real.error
            confirmed = min(confirmed, of_real) if math.isfinite(confirmed) else of_real
        self.scheme = Scheme.COMPLEX
        return replace(exact, confirmed=confirmed)

    def _both_sides_agree(self, exact: Derivative, direction: Values) -> bool:
        """Whether both sides of a short central difference agree with a complex step: no kink, and nothing cut off."""
        reach, margin = self._relative_length(direction), FLOAT64_PRECISION * abs(exact.value)
        step = CONFIRMING_STEP / reach if reach else 0.0
        if not step:
            return False
        plus, minus = self._real_loss_along(direction, step), self._real_loss_along(direction, -step)
        slopes = (plus - self.loss_value) / step, (self.loss_value - minus) / step
        return 8 * self._rounding() / step <= margin and all(abs(slope - exact.value) <= margin for slope in slopes)

    def _confirm_wide(self, exact: Derivative, direction: Values) -> Agreement:
        """What a real difference of float64 copies, in the place of float32 parameters, says of a complex step."""
        return compare_schemes(exact, self._wide_difference(direction), FLOAT64_PRECISION)

    def wide_slope(self, direction: Values) -> float | None:
        """The slope by differences of float64 copies, in the place of parameters of less precision; None without.

        Their steps are so much shorter that few kinks are as near.
        """
        if self.epsilon <= DOUBLE or not self.target.takes_complex:
            return None
        try:
            found = self._wide_difference(direction).value
        except UserCodeError:
            return None  # the code takes arrays of its own precision alone
        return found if math.isfinite(found) else None

    def _wide_difference(self, direction: Values) -> Derivative:
        def loss_at(t: float) -> float:
            return self._real_loss_along(direction, t, wide=True)

        at_zero = as_complex(self.raw_loss(self.moved({}, 0.0, wide=True))).real
        step, noise = self._step(DOUBLE, direction), 8 * DOUBLE * abs(at_zero)
        return richardson(loss_at, at_zero, step, noise)

    def measure_noise(self) -> None:
        """Measure the noise of the loss, once. A loss that never moves is taken to cancel terms of size one."""
        if self._noise is not None:
            return
        direction = self._direction_over_all()
        self._noise = 2 * self.epsilon
        found = measure_noise(
            lambda t: self._real_loss_along(direction, t), self._step(self.epsilon, direction), self._rounding()
        )
        if found is not None:
            self._noise = found

    def _measure_step_stretch(self) -> float:
        """How many times as long steps may be, along a direction over all parameters: their sizes alone do not tell."""
        if self.step_stretch is None:
            direction = self._direction_over_all()
            step = self._step(self.epsilon, direction)
            ends = [self._real_loss_along(direction, part * step) for part in (1.0, -1.0, 0.5, -0.5)]
            self.step_stretch = measure_step_stretch(ends, self.noise())
        return self.step_stretch

    def _direction_over_all(self, seed: int = 0) -> Values:
        """A direction over all parameters, always the same, since a single parameter may not move the loss at all."""
        rng = np.random.default_rng(seed)
        return {name: gaussian(rng, array.shape) for name, array in self.base.items()}

    def _step(self, epsilon: float, direction: Values) -> float:
        reach = self._relative_length(direction)
        return STEP_FACTOR * epsilon ** (1 / 7) / reach if reach else 0.0

    def _relative_length(self, direction: Values) -> float:
        """The largest part of the direction, relative to the sizes of the parameters."""
        return max(self._reach(name, step) for name, step in direction.items())

    def _reach(self, name: str, step: Array) -> float:
        """The largest part of a step, relative to the size of its parameter; asked once for the same two arrays."""
        known, array = self._reaches.get(name), self.base[name]
        if known is None or known[0]() is not step or known[1]() is not array:
            ratio = largest_ratio(step, array, self.usual_size(name))
            known = self._reaches[name] = weakref.ref(step), weakref.ref(array), ratio
        return known[2]

    def usual_size(self, name: str) -> float:
        """The size that no entry of a parameter counts for less than."""
        known, array = self._usual.get(name), self.base[name]
        if known is None or known[0]() is not array:
            known = self._usual[name] = weakref.ref(array), usual_size(array)
        return known[1]

    def _real_loss_along(self, direction: Values, t: float, *, wide: bool = False) -> float:
        """The loss beside the base point; NaN where the code refuses it, as it may outside of its domain."""
        try:
            at = self.moved(direction, t, wide=True) if wide else self._moved_in_place(direction, t)
            return as_complex(self.raw_loss(at)).real
        except UserCodeError as error:
            if isinstance(error.error, DOMAIN_ERRORS):
                return math.nan
            raise

    def _complex_or_none(self, direction: Values) -> Derivative | None:
        """The derivative by a complex step; None where the code takes no complex numbers, which is no fault."""

        def loss_at(t: complex) -> complex:
            with _strictly_complex():
                return as_complex(self.raw_loss(self.moved(direction, t, wide=True)))

        try:
            exact = complex_step(loss_at, self.epsilon)
        except UserCodeError:
            return None  # the code does not take complex numbers: no fault of its own
        finally:
            if self.scheme is Scheme.UNKNOWN:  # what the loss keeps may have become complex, and it may stay with reals
                self.target.restore_state(if_complex=True)
        return exact if math.isfinite(exact.value) else None

    @contextlib.contextmanager
    def _muted(self) -> Iterator[None]:
        """A loss that prints is heard once, not a thousand times."""
        if not self._spoken:
            self._spoken = True
            with heard():
                yield
            return
        with muted():
            yield


def _moved_off_the_axis(array: Array, step: Array, t: complex) -> Array:
    moved = np.empty(array.shape, np.complex128)
    if t.real:
        np.multiply(step, t.real, out=moved.real, dtype=np.float64)
        moved.real += array
    else:
        moved.real = array
    np.multiply(step, t.imag, out=moved.imag, dtype=np.float64)
    return moved


def _strictly_complex() -> contextlib.AbstractContextManager[None]:
    """Casting a complex number to a float drops the derivative: an error here, not a warning."""
    return raising(np.exceptions.ComplexWarning)
