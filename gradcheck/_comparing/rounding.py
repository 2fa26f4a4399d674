"""The gradients under test, and how exactly they are known: their rounding error and their noise.

The rounding error is measured: the parameters are moved by a few roundoffs, and what the gradients change by then is
nobody's mistake.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from gradcheck._common.arrays import Array, Values, blocks, distance, norm
from gradcheck._common.drawing import signs
from gradcheck._common.errors import UserCodeError
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._numeric.noise import FOURTH_DIFFERENCE_VARIANCE
from gradcheck._targets.clipping import Clip

#: the rounding error of a gradient, in roundoffs of its own norm
ROUNDING_OWN = 64.0
#: the part of it that comes from larger gradients, in roundoffs of the largest norm
ROUNDING_LARGEST = 8.0
#: how far the parameters are moved to measure it, in roundoffs
MOVED_ROUNDOFFS = 4.0
#: what the gradients change by then, times this, is their rounding error: one change may be small by luck
ROUNDING_SAFETY = 4
#: how far apart the points are, relative to the parameters, that the noise of a gradient is measured from
NOISE_STEP = 1e-6
#: so many points: half of them are used up by fourth differences
NOISE_POINTS = 8
#: so many entries of a gradient tell mostly that it is in double precision
PRECISION_SAMPLE = 64
#: integers below this are counts; single precision has fractions up to twice as far
MOST_COUNTED = 2.0**22


class GivenGradients:
    """The gradients that the user's code gave at the evaluator's base point, divided by a factor known to be wrong."""

    def __init__(self, evaluator: Evaluator, gradients: Values, seed: int, divisor: float) -> None:
        self.evaluator = evaluator
        self.seed = seed
        self.divisor = divisor
        self.values = {name: as_given(gradient, divisor) for name, gradient in gradients.items()}
        #: which entries are what they were before a clip that is declared; none is named where all are
        self.free: Values = {}
        clip = evaluator.target.clip
        if clip is not None and not clip.of_norm:
            self.leave_out_beyond(clip.bound / divisor)
        #: the relative error of the factor that a clip of the norm is undone by
        self._clip_error = 0.0
        self.divisor_of_clip = 1.0
        # what is left where all cancels has few digits, in whatever precision
        least = ROUNDING_OWN * float(np.finfo(np.float64).eps) * max(self.norms.values(), default=0.0)
        #: for each gradient the unit roundoff of the less precise of it and the loss: one in float32 excuses no other
        self.epsilons = {
            name: max(evaluator.epsilon, roundoff(gradient) if self.norms[name] > least else 0.0)
            for name, gradient in gradients.items()
        }
        #: the unit roundoff of the least precise of loss and gradients
        self.epsilon = max([evaluator.epsilon, *self.epsilons.values()])
        #: the names of gradients that are less precise than the parameters
        self.coarse = [name for name, own in self.epsilons.items() if own > evaluator.epsilon]
        #: whether the gradients may be asked for again: not those of a backward that carries state from call to call
        self.stateless = True
        self._measured: dict[str, float] | None = None

    @cached_property
    def norms(self) -> dict[str, float]:
        """The norm of each gradient; of its entries that a declared clip left alone."""
        free = self.free
        return {name: norm(one * free[name] if name in free else one) for name, one in self.values.items()}

    def leave_out_beyond(self, bound: float) -> None:
        """Compare the entries below a bound alone."""
        self.free = {name: Clip(bound).free(gradient) for name, gradient in self.values.items()}
        self.__dict__.pop("norms", None)

    def undo_norm_clip(self, factor: float, error: float) -> None:
        """Divide all gradients by a factor that a declared clip of their norm has left, known to a relative error."""
        self.divisor *= factor
        self.divisor_of_clip = factor
        self.values = {name: gradient / factor for name, gradient in self.values.items()}
        self._clip_error = error
        if self._measured is not None:
            self._measured = {name: size / factor for name, size in self._measured.items()}
        del self.norms

    def rng(self, *names: str) -> np.random.Generator:
        """A generator of its own for each purpose, so that no verdict depends on what was asked before it."""
        written = "".join(names).encode(errors="surrogatepass")
        return np.random.default_rng([self.seed, 3, *written])

    def rounding(self, name: str) -> float:
        """The norm of the rounding error to expect in a gradient."""
        if self._measured is None:
            self.measure_rounding(self.at(self.jittered_by_roundoffs()))
        assert self._measured is not None
        return max(self.usual_rounding(name), self._measured.get(name, 0.0)) + self._clip_error * self.norms[name]

    def usual_rounding(self, name: str) -> float:
        """The norm of the rounding error that code has which loses no digits."""
        of_own = ROUNDING_OWN * self.norms[name] + ROUNDING_LARGEST * max(self.norms.values())
        return self.epsilons[name] * of_own

    def measure_rounding(self, gradients: Values) -> None:
        """Take what the gradients change by, to these of parameters a few roundoffs away, for their rounding error."""
        self._measured = {
            name: ROUNDING_SAFETY * distance(as_given(gradients[name], self.divisor), gradient)
            for name, gradient in self.values.items()
            if self.stateless and name in gradients
        }

    def change_by_roundoffs(self, name: str) -> float:
        """The norm of what a gradient changed by where parameters were moved by roundoffs; zero if not asked."""
        return (self._measured or {}).get(name, 0.0) / ROUNDING_SAFETY

    def noise(self, name: str) -> float:
        """The norm of what changes at random in a gradient from point to point: float32 inside of it does."""
        return self.noises([name])[name]

    def noises(self, names: Iterable[str]) -> dict[str, float]:
        """The same of several gradients, from the same points; zero where they cannot be asked."""
        points = [self.at(self.jittered(k * NOISE_STEP)) for k in range(NOISE_POINTS)]
        return {name: self._noise_of([point[name] for point in points if name in point]) for name in names}

    def _noise_of(self, found: list[Array]) -> float:
        if len(found) < NOISE_POINTS:
            return 0.0
        wide = [as_given(point, self.divisor) for point in found]
        # of fourth differences nothing smooth is left: see `noise.py`
        return norm(np.diff(wide, n=4, axis=0)) / math.sqrt(FOURTH_DIFFERENCE_VARIANCE * (NOISE_POINTS - 4))

    def at(self, values: Values) -> Values:
        """The gradients of other parameters; empty where there are none."""
        if not self.stateless:
            return {}
        try:
            raw = self.evaluator.raw_grads(values)
        except UserCodeError:
            return {}
        return parse_gradients(raw, self.evaluator.base)[1]

    def jittered_by_roundoffs(self) -> Values:
        """The parameters moved by a few roundoffs."""
        return self.jittered(MOVED_ROUNDOFFS * self.evaluator.epsilon)

    def jittered(self, relative: float) -> Values:
        """The parameters moved by this part of their sizes, up or down."""
        rng = self.rng("jitter")
        return {name: self._jittered(name, relative, rng) for name in self.evaluator.base}

    def _jittered(self, name: str, relative: float, rng: np.random.Generator) -> Array:
        array, least = self.evaluator.base[name], self.evaluator.usual_size(name)
        moved = np.empty(array.shape)
        for part, sign, into in blocks(array, signs(rng, array.shape), moved):
            np.abs(part, out=into)
            np.maximum(into, least, out=into)
            into *= relative
            into *= sign
            into += part
        return np.asarray(moved, dtype=array.dtype)


def as_given(gradient: Array, divisor: float) -> Array:
    """A gradient in double precision, divided; itself, where there is nothing to do."""
    wide = gradient.astype(np.float64, copy=False)
    return wide if divisor == 1.0 else wide / divisor


def roundoff(gradient: Array) -> float:
    """The unit roundoff of the precision a gradient was computed in, also if it was widened afterwards."""
    own = float(np.finfo(gradient.dtype).eps)
    if gradient.dtype != np.float64:
        return own
    # a few tell of most; of all parts, since whole rows may be zero
    sample = np.asarray(gradient).ravel()[:: max(1, gradient.size // PRECISION_SAMPLE)]
    if not (_fits_single(sample) and _fits_single(gradient)):
        return own
    with np.errstate(over="ignore"):
        half = np.array_equal(gradient.astype(np.float16), gradient)
    # Counts and simple fractions are told as well by whatever they were computed in: they tell nothing.
    counts = bool(np.all(np.abs(gradient) < MOST_COUNTED)) and np.array_equal(np.rint(gradient), gradient)
    return own if half or counts else float(np.finfo(np.float32).eps)


def _fits_single(array: Array) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(array.astype(np.float32), array)
