"""The gradients of one point against differences of the loss: along shared directions, block by block, entry by entry.

Three things keep correct code from being accused. The bar of a comparison holds the error of the difference and the
rounding error of the gradient itself, which is measured: the parameters are moved by a few roundoffs, and what the
gradients change by then is nobody's mistake. A small discrepancy has to be there still at a point nearby, since a wrong
formula is wrong there too, and noise is not. And where the shortest steps side with the gradient against longer ones,
the loss is too steep to be differenced.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from gradcheck._common.arrays import Array, Values, inner_product, norm
from gradcheck._common.errors import UserCodeError
from gradcheck._common.verdict import BEYOND_DOUBT, MAX_RELATIVE_BAR, Verdict, judge, sensitivity, why_undecided
from gradcheck._comparing.wrong_entries import Probe, find_wrong
from gradcheck._numeric.difference import Derivative
from gradcheck._numeric.entries import Entries
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck.report.records import Block, Worst

#: Gaussian directions for each group of blocks; the fewer ones are enough where they show errors of so small a part
MAX_DIRECTIONS, MIN_DIRECTIONS, SENSITIVE_ENOUGH = 4, 2, 1e-9
#: blocks whose gradient norms are within this factor share directions
SIMILAR = 100.0
#: the rounding error of a gradient, in roundoffs of its own norm and of the largest block's
ROUNDING_OWN, ROUNDING_LARGEST = 64.0, 8.0
#: how far the parameters are moved to measure it, in roundoffs
ROUNDOFFS = 4.0
#: along a Gaussian direction a rounding error shows as N(0, its norm): this many deviations are allowed for
DEVIATIONS = 3.0
#: a discrepancy below this part of the gradient is asked once more at a point nearby
SUSPICIOUS = 1e-3
#: one below this part may be the rounding of what is constant, in single precision: it is the same at every point
FLOAT32_ROUNDING = 2 * float(np.finfo(np.float32).eps)
#: noise is in many entries: what one entry of so many explains, but for this part, is none
LARGE_GRADIENT, UNEXPLAINED_PART = 16, 0.1
#: how far away "nearby" is, relative to the parameters: far above roundoff, far below where a formula's error changes
NEARBY = 1e-5
#: how much of a discrepancy may change between points nearby
STEADY = 0.3
#: bars above this part of the gradient may be those of steps across kinks: then these steps are tried, so much shorter
ROUGH, OTHERS = 1e-4, (3.0, 1 / 3)
#: points along a step at which gradients are asked for
QUADRATURE_POINTS = 32
#: how many times as long steps may be where the usual ones resolve too little
FLAT_LOSS_STRETCH = 32.0
#: how far apart the points are, relative to the parameters, that the noise of a gradient is measured from; how many
NOISE_STEP, NOISE_POINTS = 1e-6, 8
#: so many entries of a gradient tell mostly that it is in double precision
PRECISION_SAMPLE = 64


@dataclass(frozen=True)
class Comparison:
    """Analytic minus numerical along one direction, and the bar that tells whether it means anything."""

    direction: Values
    discrepancy: float
    bar: float
    derivative: Derivative


class Comparer:
    """Compares given gradients with differences of the loss, at the evaluator's base point."""

    def __init__(self, evaluator: Evaluator, gradients: Values, seed: int, divisor: float = 1.0) -> None:
        self.evaluator = evaluator
        self.seed = seed
        self.divisor = divisor
        roundoffs = {name: _roundoff(gradient) for name, gradient in gradients.items()}
        self.epsilon = max([evaluator.epsilon, *roundoffs.values()])
        #: the names of gradients that are less precise than the parameters
        self.coarse = [name for name, roundoff in roundoffs.items() if roundoff > evaluator.epsilon]
        self.gradients = {name: gradient.astype(np.float64) / divisor for name, gradient in gradients.items()}
        #: whether complex steps are checked against real ones, once for every group of blocks
        self.probing = True
        #: whether the gradients may be asked for again: not those of a backward that carries state from call to call
        self.stateless = True
        self._measured: dict[str, float] | None = None

    @cached_property
    def norms(self) -> dict[str, float]:
        """Those of the gradients."""
        return {name: norm(gradient) for name, gradient in self.gradients.items()}

    # -- blocks --------------------------------------------------------------------------------------------------------

    def blocks(self) -> Iterator[Block]:
        """Each block judged, by directions that similar blocks share, and alone where those disagree."""
        for group in self._groups():
            comparisons = self.compare(group)
            passed = _judged(comparisons) == "right"
            for name in group:
                if passed and self.norms[name] and _bar(comparisons) <= MAX_RELATIVE_BAR * self.norms[name]:
                    yield self._block(name, "right", comparisons, self.norms[name])
                else:
                    yield self._judge_alone(name)

    def rejudged_by_entries(self, block: Block, entries: Entries) -> Block:
        """The block judged again from its single entries."""
        gradient = self.gradients[block.name]
        apart = np.abs(gradient - entries.values)
        scale = max(norm(entries.values), self.norms[block.name])
        if not scale > norm(entries.errors):
            return block  # no entry is larger than its error: directions, which add entries up, have the last word
        bars = self._entry_bars(block.name, entries)
        at = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), gradient.shape))
        worst = Worst(at, float(gradient[at]), float(entries.values[at]))
        block = replace(block, worst=worst)
        verdict = judge(apart.ravel().tolist(), bars.ravel().tolist())
        if verdict == "right" and block.verdict == "wrong":
            return block  # directions add up what is too small to see in one entry
        error, bar = norm(apart) / scale, norm(bars) / scale
        if verdict == "wrong" and block.verdict != "wrong" and self._entry_may_be_noise(block.name, at, error):
            alone = apart.size >= LARGE_GRADIENT and np.count_nonzero(apart > bars) == 1
            verdict = "wrong" if alone and self._entry_clearly_wrong(block.name, worst) else "inconclusive"
        if verdict == "right" and bar > MAX_RELATIVE_BAR and block.verdict != "right":
            if block.verdict == "vacuous":
                return block
            verdict = "inconclusive"
        reason = block.message or why_undecided(bool(np.any(entries.kinks)), bar)
        message = reason if verdict == "inconclusive" else ""
        # An entry's error may hide behind that of its difference: two bars cannot.
        seen = min(2 * bar, block.sensitivity or math.inf) if verdict == "right" else 2 * bar
        return replace(block, verdict=verdict, error=error, error_bar=bar, sensitivity=seen, message=message)

    def wrong_entries_mask(self, name: str, entries: Entries) -> Array:
        """Which entries are wrong beyond doubt."""
        bars = self._entry_bars(name, entries)
        return np.asarray(np.abs(self.gradients[name] - entries.values) > BEYOND_DOUBT * bars)

    def probe(self, name: str) -> Probe:
        """Compares along directions over parts of a block; a part has its share of the block's rounding error."""
        gradient = self.gradients[name]
        rounding = DEVIATIONS * self._rounding(name) / math.sqrt(gradient.size)

        def along(direction: Array) -> tuple[float, float]:
            derivative = self.evaluator.derivative({name: direction})
            part = direction != 0
            own = ROUNDING_OWN * self.epsilon * norm(gradient[part])
            bar = derivative.error + rounding * math.sqrt(np.count_nonzero(part)) + own
            return inner_product(self.gradients, {name: direction}) - derivative.value, bar

        return along

    def compare(self, names: list[str], count: int | None = None, shorter: float = 1.0) -> list[Comparison]:
        """Comparisons along Gaussian directions over these blocks; the same names have the same directions.

        Without a count, as many as it takes.
        """
        rng = self.rng(*names)
        rounding = DEVIATIONS * math.hypot(*(self._rounding(name) for name in names))
        result: list[Comparison] = []
        for k in range(count or MAX_DIRECTIONS):
            if k == MIN_DIRECTIONS and count is None and self._sensitive_enough(names, result):
                break
            direction = self.direction(names, rng)
            derivative = self.evaluator.derivative(direction, confirm=k == 0 and self.probing, shorter=shorter)
            apart = inner_product(self.gradients, direction) - derivative.value
            result.append(Comparison(direction, apart, derivative.error + rounding, derivative))
        return result

    def _sensitive_enough(self, names: list[str], comparisons: list[Comparison]) -> bool:
        """Whether these comparisons promise as much as anyone needs, of the smallest of the blocks as well."""
        smallest = min(self.norms[name] for name in names)
        return (
            bool(self.evaluator.is_complex)
            and sensitivity(_bar(comparisons), len(comparisons)) <= SENSITIVE_ENOUGH * smallest
        )

    def direction(self, names: list[str], rng: np.random.Generator) -> Values:
        """A Gaussian direction over these blocks."""
        return {name: rng.standard_normal(self.gradients[name].shape) for name in names}

    def rng(self, *names: str) -> np.random.Generator:
        """A generator of its own for each purpose, so that no verdict depends on what was asked before it."""
        return np.random.default_rng([self.seed, 3, *(byte for name in names for byte in name.encode())])

    def at_point(self, values: Values) -> Comparer | None:
        """The same at another point; None where the target has no finite gradients there."""
        try:
            evaluator = self.evaluator.at_point(values)
            _, gradients, faults = parse_gradients(evaluator.raw_grads_here(), evaluator.base)
        except UserCodeError:
            return None  # the code need not run anywhere but where the user put it
        if faults:
            return None
        other = Comparer(evaluator, gradients, self.seed, self.divisor)
        other.probing = False
        return other

    def nearby(self) -> Comparer | None:
        """The same at a point so near that a formula's error is the same there, and noise is not."""
        other = self.at_point(self._jittered(NEARBY))
        if other is None:
            return None
        other.evaluator.room = self.evaluator.room
        return other if math.isfinite(other.evaluator.loss_value) else None

    def confirmed_by_shortest_step(self, direction: Values, discrepancy: float) -> bool:
        """Whether the shortest steps side with the gradient: a loss too steep for longer ones is nobody's mistake."""
        slope = self.evaluator.slope_at_shortest_step(direction, discrepancy)
        return abs(slope - inner_product(self.gradients, direction)) <= STEADY * abs(discrepancy)

    def _across_kinks(self, direction: Values, discrepancy: float) -> bool:
        """Whether kinks beside the point make a discrepancy: it changes with the step, or is gone along the way."""
        return not self._independent_of_step(direction, discrepancy) or self._gradients_integrate_to_change(
            direction, discrepancy
        )

    def _gradients_integrate_to_change(self, direction: Values, discrepancy: float) -> bool:
        """Whether the gradients along a step add up to what the loss changes by, as wrong ones do not.

        A kink may be so close that no step in single precision is shorter: then each of them goes across it.
        """
        if not self.stateless:
            return False
        change, step = self.evaluator.change_over_usual_step(direction)
        slopes = []
        for k in range(QUADRATURE_POINTS):
            there = self.evaluator.moved(direction, step * ((2 * k + 1) / QUADRATURE_POINTS - 1))
            try:
                gradients = parse_gradients(self.evaluator.raw_grads(there), self.evaluator.base)[1]
            except UserCodeError:
                return False
            if any(name not in gradients for name in direction):
                return False
            slopes.append(inner_product(gradients, direction) / self.divisor)
        return abs(sum(slopes) / QUADRATURE_POINTS - change / (2 * step)) <= STEADY * abs(discrepancy)

    def _independent_of_step(self, direction: Values, discrepancy: float) -> bool:
        """Whether it is the same by other first steps: across kinks beside the point each step has another one."""
        slopes = [self.evaluator.real_difference(direction, shorter).value for shorter in OTHERS]
        apart = [inner_product(self.gradients, direction) - slope - discrepancy for slope in slopes]
        return max(map(abs, apart)) <= STEADY * abs(discrepancy)

    # -- one block -----------------------------------------------------------------------------------------------------

    def _judge_alone(self, name: str) -> Block:
        if not self.gradients[name].size:
            return self._empty(name)
        comparisons = self._as_sharp_as_can_be(name)
        numerical, bar = _rms([c.derivative.value for c in comparisons]), _bar(comparisons)
        scale = max(self.norms[name], numerical)
        if scale <= bar:
            return self._below_error_bar(name, comparisons)
        verdict = _judged(comparisons)
        block = self._block(name, verdict, comparisons, scale)
        excuse = self._benign_reason(name, comparisons, scale) if verdict == "wrong" else ""
        if excuse:
            return replace(block, verdict="inconclusive", message=excuse)
        if verdict == "inconclusive" or (verdict == "right" and bar > MAX_RELATIVE_BAR * scale):
            kinked = any(c.derivative.kink for c in comparisons)
            return replace(block, verdict="inconclusive", message=why_undecided(kinked, bar / scale))
        return block

    def _as_sharp_as_can_be(self, name: str) -> list[Comparison]:
        """Comparisons of a block; by longer steps where the loss is too flat for the usual ones to resolve it."""
        comparisons = self.compare([name])
        resolved = self.evaluator.is_complex or _bar(comparisons) <= MAX_RELATIVE_BAR * self.norms[name]
        if resolved or any(c.derivative.kink for c in comparisons):
            return comparisons
        return min(comparisons, self.compare([name], shorter=1 / FLAT_LOSS_STRETCH), key=_bar)

    def _empty(self, name: str) -> Block:
        shape = self.gradients[name].shape
        return Block(name, shape, "vacuous", message="the parameter has no entries: there is nothing to check")

    def _below_error_bar(self, name: str, comparisons: list[Comparison]) -> Block:
        """A block of which neither gradient rises above the error bar."""
        shape = self.gradients[name].shape
        kinked = any(c.derivative.kink for c in comparisons)
        if self.norms[name] == 0 and not kinked:
            message = "both gradients are zero: the loss does not depend on it here, so nothing was verified"
            return Block(name, shape, "vacuous", message=message)
        if _bar(comparisons) <= 1e-6 * max(self.norms.values()):
            message = "both gradients are zero to within rounding, beside those of the others: nothing was verified"
            return Block(name, shape, "vacuous", message=message)
        message = why_undecided(kinked, math.inf if math.isinf(_bar(comparisons)) else 1.0)
        return Block(name, shape, "inconclusive", message=message)

    def _block(self, name: str, verdict: Verdict, comparisons: list[Comparison], scale: float) -> Block:
        bar = _bar(comparisons)
        return Block(
            name,
            self.gradients[name].shape,
            verdict,
            error=_rms([c.discrepancy for c in comparisons]) / scale,
            error_bar=bar / scale,
            sensitivity=sensitivity(bar, len(comparisons)) / scale,
        )

    def _groups(self) -> list[list[str]]:
        """Names in groups of similar gradient norm; those that are exactly zero last, each alone."""
        ordered = sorted((name for name in self.gradients if self.norms[name] > 0), key=lambda name: -self.norms[name])
        groups: list[list[str]] = []
        for name in ordered:
            if groups and self.norms[name] * SIMILAR >= self.norms[groups[-1][0]]:
                groups[-1].append(name)
            else:
                groups.append([name])
        return groups + [[name] for name in self.gradients if self.norms[name] == 0]

    # -- rounding and noise --------------------------------------------------------------------------------------------

    def _rounding(self, name: str) -> float:
        """The norm of the rounding error to expect in a block's gradient."""
        largest = max(self.norms.values())
        usual = self.epsilon * (ROUNDING_OWN * self.norms[name] + ROUNDING_LARGEST * largest)
        return max(usual, self._measured_rounding().get(name, 0.0))

    def _measured_rounding(self) -> dict[str, float]:
        """What the gradients change by when the parameters change by a few roundoffs."""
        if self._measured is None:
            self.measure_rounding(self._gradients_at(self.jittered_by_roundoffs()))
        assert self._measured is not None
        return self._measured

    def jittered_by_roundoffs(self) -> Values:
        """The parameters moved by a few roundoffs."""
        return self._jittered(ROUNDOFFS * self.evaluator.epsilon)

    def measure_rounding(self, gradients: Values) -> None:
        """Take what the gradients change by, to those of `beside`, for their rounding error."""
        self._measured = {
            name: 4 * norm(gradients[name].astype(np.float64) / self.divisor - gradient)
            for name, gradient in self.gradients.items()
            if self.stateless and name in gradients
        }

    def _noise(self, name: str) -> float:
        """The norm of what changes at random in a block's gradient from point to point: float32 inside of it does."""
        points = [self._gradients_at(self._jittered(k * NOISE_STEP)).get(name) for k in range(NOISE_POINTS)]
        found = [point.astype(np.float64) / self.divisor for point in points if point is not None]
        # Of fourth differences nothing smooth is left (see Evaluator); those of unit noise have the variance 70.
        return (
            norm(np.diff(found, n=4, axis=0)) / math.sqrt(70 * (NOISE_POINTS - 4))
            if len(found) == NOISE_POINTS
            else 0.0
        )

    def _gradients_at(self, values: Values) -> Values:
        """The gradients of other parameters; empty where there are none."""
        if not self.stateless:
            return {}
        try:
            raw = self.evaluator.raw_grads(values)
        except UserCodeError:
            return {}
        return parse_gradients(raw, self.evaluator.base)[1]

    def _entry_bars(self, name: str, entries: Entries) -> Array:
        """A bar for each entry. An error estimate may be small by luck: none counts for less than the usual one."""
        errors = np.maximum(entries.errors, np.median(entries.errors))
        spread = DEVIATIONS * self._rounding(name) / math.sqrt(entries.values.size)
        return np.asarray(errors + spread + ROUNDING_OWN * self.epsilon * np.abs(entries.values))

    def _same_error_nearby(self, name: str, comparisons: list[Comparison]) -> bool:
        """Whether the discrepancies are still the same at a point nearby, as those of a wrong formula are."""
        nearby = self.nearby()
        if nearby is None:
            return True
        pairs = zip(comparisons, nearby.compare([name], count=len(comparisons)), strict=True)
        changes = [here.discrepancy - there.discrepancy for here, there in pairs]
        return _rms(changes) <= STEADY * _rms([c.discrepancy for c in comparisons])

    def _benign_reason(self, name: str, comparisons: list[Comparison], scale: float) -> str:
        """Why discrepancies beyond their bars are nobody's mistake all the same; empty if they are one."""
        if any(c.derivative.kink for c in comparisons) and not self._same_error_nearby(name, comparisons):
            return why_undecided(True, math.inf)
        error = _rms([c.discrepancy for c in comparisons])
        if error < FLOAT32_ROUNDING * scale and self._in_one_entry(name, comparisons):
            return ""
        plain = [c for c in comparisons if abs(c.discrepancy) > BEYOND_DOUBT * c.bar]
        if all(self.confirmed_by_shortest_step(c.direction, c.discrepancy) for c in plain):
            steep = "the loss is steeper here than differences can follow, and at the shortest step they agree"
            return f"{steep}: check at a point where it is smoother"
        if _bar(comparisons) > ROUGH * scale and all(self._across_kinks(c.direction, c.discrepancy) for c in plain):
            return "differences of the loss change with their step: kinks beside this point; check at another one"
        if not any(self._seen_by_real(c.direction) for c in plain):
            return (
                "only the complex step sees a difference, and it is below the rounding of the loss: saturation, mostly"
            )
        if error < FLOAT32_ROUNDING * scale:
            return "the two differ by no more than the rounding of single precision: look for float32 in the backward"
        if error < SUSPICIOUS * scale and (
            error <= BEYOND_DOUBT * self._noise(name) or not self._same_error_nearby(name, comparisons)
        ):
            noise = "the two differ by an amount that changes at random from point to point: noise, not a formula"
            return f"{noise}; look for float32 in the backward"
        return ""

    def _in_one_entry(self, name: str, comparisons: list[Comparison]) -> bool:
        """Whether one entry of many explains the discrepancies, by more than single precision rounds it: no noise."""
        gradient = self.gradients[name]
        if gradient.size < LARGE_GRADIENT:
            return False
        worst = find_wrong(self.probe(name), gradient, self.rng(name)).worst
        apart = worst.analytic - worst.numerical
        rest = [c.discrepancy - apart * float(c.direction[name][worst.index]) for c in comparisons]
        explained = _rms(rest) <= max(_bar(comparisons), UNEXPLAINED_PART * _rms([c.discrepancy for c in comparisons]))
        return explained and self._entry_clearly_wrong(name, worst)

    def _entry_clearly_wrong(self, name: str, worst: Worst) -> bool:
        """Whether an entry is off by more than single precision rounds it, in real differences too, and nearby."""
        unit = np.zeros(self.gradients[name].shape)
        unit[worst.index] = 1.0
        off = abs(worst.analytic - worst.numerical) > 2 * FLOAT32_ROUNDING * abs(worst.numerical)
        return off and self._seen_by_real({name: unit}) and self._persists_at(name, worst.index)

    def _seen_by_real(self, direction: Values) -> bool:
        """Whether real differences call the gradient wrong along a direction, too."""
        self.evaluator.measure_noise()
        real = self.evaluator.real_difference(direction)
        return judge([inner_product(self.gradients, direction) - real.value], [real.error]) == "wrong"

    def _entry_may_be_noise(self, name: str, index: tuple[int, ...], error: float) -> bool:
        """Whether an entry that is wrong in a block that is not may be so by noise, or by steepness."""
        unit = np.zeros(self.gradients[name].shape)
        unit[index] = 1.0
        if error < FLOAT32_ROUNDING or not self._seen_by_real({name: unit}):
            return True
        derivative = self.evaluator.entry_derivative(name, index)
        if derivative.kink and not self._persists_at(name, index):
            return True
        apart = float(self.gradients[name][index]) - derivative.value
        if derivative.error > ROUGH * self.norms[name] and self._across_kinks({name: unit}, apart):
            return True
        if error < SUSPICIOUS and (
            abs(apart) <= BEYOND_DOUBT * self._noise(name) or not self._persists_at(name, index)
        ):
            return True
        return self.confirmed_by_shortest_step({name: unit}, apart)

    def _persists_at(self, name: str, index: tuple[int, ...]) -> bool:
        nearby = self.nearby()
        if nearby is None:
            return True
        here = float(self.gradients[name][index]) - self.evaluator.entry_derivative(name, index).value
        there = float(nearby.gradients[name][index]) - nearby.evaluator.entry_derivative(name, index).value
        return abs(here - there) <= STEADY * abs(here)

    def _jittered(self, relative: float) -> Values:
        rng = self.rng("jitter")
        return {
            name: np.asarray(
                array + relative * self.evaluator.typical(name) * (2.0 * rng.integers(0, 2, array.shape) - 1.0),
                dtype=array.dtype,
            )
            for name, array in self.evaluator.base.items()
        }


def _roundoff(gradient: Array) -> float:
    """The unit roundoff of the precision a gradient was computed in, also if it was widened afterwards."""
    own = float(np.finfo(gradient.dtype).eps)
    # most are told by their first entries
    if gradient.dtype != np.float64 or not (
        _fits_single(gradient.ravel()[:PRECISION_SAMPLE]) and _fits_single(gradient)
    ):
        return own
    with np.errstate(over="ignore"):
        half = np.array_equal(gradient.astype(np.float16), gradient)
    # Counts and simple fractions fit into half precision as well, whatever they were computed in: they tell nothing.
    return own if half else float(np.finfo(np.float32).eps)


def _fits_single(array: Array) -> bool:
    with np.errstate(over="ignore"):
        return np.array_equal(array.astype(np.float32), array)


def _judged(comparisons: list[Comparison]) -> Verdict:
    return judge([c.discrepancy for c in comparisons], [c.bar for c in comparisons])


def _bar(comparisons: list[Comparison]) -> float:
    return max(c.bar for c in comparisons)


def _rms(values: list[float]) -> float:
    return norm(np.array(values)) / math.sqrt(len(values))
