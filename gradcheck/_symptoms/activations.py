"""Derivatives of activations that are applied twice, left out or taken of the wrong value, told without any source.

With one time step and one example, the gradient of a bias is wrong by a factor that depends on its pre-activation a
alone: f'(a) where f' is applied twice, 1/f'(a) where it is left out. Moving the bias by b makes that the factor at
a + b. So a is the only unknown, and several values of the bias give as many equations. What fits all is the mistake.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from gradcheck._common.arrays import Array, as_complex
from gradcheck._common.errors import UserCodeError
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._symptoms.patterns import MAX_RESIDUAL, rounded
from gradcheck._symptoms.wrong_regions import GradientContext, index_range
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck.report.evidence import ActivationRatio

#: what a bias is moved by
SHIFTS = np.array([0.0, -1.0, -0.4, 0.5, 1.1])
#: pre-activations are tried up to this size: beyond it σ' and tanh' are too small to tell
RANGE = 12.0
#: how many are tried at first, which is in steps of a hundredth
STEPS = 2401
#: how many are tried around the best in each closer look
POINTS_PER_ZOOM = 21
#: closer looks, each ten times as close: down to rounding
ZOOM_COUNT = 8
#: entries of a bias that are tried: each costs some evaluations
MOST_UNITS = 16
#: entries that must show a mistake, unless all do: one may do so by chance
UNITS = 3
#: how precise a ratio must be to tell one mistake from another
PRECISE = 1e-6
#: where the search for the pre-activation begins
_COARSE = np.linspace(-RANGE, RANGE, STEPS)
#: how much ratios must change with the bias: a constant factor is another matter
VARIED = 1e-3


@dataclass(frozen=True)
class Mistake:
    """analytic / true as a function of the pre-activation."""

    description: str
    formula: str
    ratio: Callable[[Array], Array]


def _sigma(a: Array) -> Array:
    return np.asarray(0.5 + 0.5 * np.tanh(a / 2))


def _d_sigma(a: Array) -> Array:
    return np.asarray(0.25 / np.cosh(a / 2) ** 2)


def _d_tanh(a: Array) -> Array:
    return np.asarray(1 / np.cosh(a) ** 2)


MISTAKES = (
    Mistake("σ' was applied twice", "σ'(a)", _d_sigma),
    Mistake("σ' was left out", "1 / σ'(a)", lambda a: 1 / _d_sigma(a)),
    Mistake(
        "σ' was taken of σ(a), which is activated already",
        "σ'(σ(a)) / σ'(a)",
        lambda a: _d_sigma(_sigma(a)) / _d_sigma(a),
    ),
    # (1 + y) / (1 - y) is the same at another a: 1 + 2 exp(a)
    Mistake("σ stood where σ' should, or 1 + y where 1 - y should, y = σ(a)", "1 + exp(a)", lambda a: 1 + np.exp(a)),
    Mistake("the derivative of tanh stood where σ' should", "tanh'(a) / σ'(a)", lambda a: _d_tanh(a) / _d_sigma(a)),
    Mistake("1 - y² stood where y (1 - y) should, y = σ(a)", "(1 + y) / y", lambda a: 1 + 1 / _sigma(a)),
    Mistake("tanh' was applied twice", "tanh'(a)", _d_tanh),
    Mistake("tanh' was left out", "1 / tanh'(a)", lambda a: 1 / _d_tanh(a)),
    Mistake(
        "tanh' was taken of tanh(a), which is activated already",
        "tanh'(tanh(a)) / tanh'(a)",
        lambda a: _d_tanh(np.tanh(a)) / _d_tanh(a),
    ),
    Mistake("tanh stood where tanh' should", "tanh(a) / tanh'(a)", lambda a: np.tanh(a) / _d_tanh(a)),
    Mistake("1 + y² stood where 1 - y² should, y = tanh(a)", "(1 + y²) / (1 - y²)", lambda a: np.cosh(2 * a)),
    Mistake("σ' stood where tanh' should", "σ'(a) / tanh'(a)", lambda a: _d_sigma(a) / _d_tanh(a)),
    Mistake("y (1 - y) stood where 1 - y² should, y = tanh(a)", "y / (1 + y)", lambda a: -np.expm1(-2 * a) / 2),
)


@dataclass(frozen=True)
class Activation:
    """What entries of a bias's gradient show; `misfit` is the largest part left unexplained."""

    mistake: Mistake
    units: tuple[int, ...]
    misfit: float


def activations(evaluator: Evaluator, name: str, divisor: float) -> list[Activation]:
    """The mistakes that entries of a bias's gradient show, at the point where the evaluator stands."""
    fitted: dict[int, tuple[Mistake, float]] = {}
    tried = 0
    for unit in _sample_units(evaluator.base[name].size):
        ratios = _ratios(evaluator, name, unit, divisor)
        if ratios is None or np.ptp(ratios) <= VARIED * np.max(np.abs(ratios)):
            continue
        tried += 1
        found = fit(ratios)
        if found is not None:
            fitted[unit] = found
    return _supported_by_units(fitted, tried)


def find_mistakes(
    target: Target, name: str, seed: int, divisor: float, tick: Callable[[], None]
) -> tuple[tuple[ActivationRatio, ...], int]:
    """What `activations` finds in a target, as evidence, and the evaluations that it took."""
    with opened(target, seed):
        evaluator = Evaluator(target, tick)
        evaluator.loss_value = as_complex(evaluator.raw_loss()).real
        found = activations(evaluator, name, divisor)
        setting = GradientContext({other: array.shape for other, array in evaluator.base.items()}, target.gates)
        size = evaluator.base[name].size
        return tuple(_evidence(one, name, size, setting) for one in found), evaluator.evaluations


def _evidence(one: Activation, name: str, size: int, setting: GradientContext) -> ActivationRatio:
    where = None if len(one.units) == size else index_range(one.units, size, setting)
    formula, said = one.mistake.formula, one.mistake.description
    return ActivationRatio(name, formula, said, where, len(one.units), len(SHIFTS), rounded(one.misfit, 1))


def fit(ratios: Array) -> tuple[Mistake, float] | None:
    """The mistake that leads to these ratios at the `SHIFTS`, and how well; None if none does, or more than one."""
    fits = [(mistake, misfit) for mistake in MISTAKES if (misfit := _misfit(mistake, ratios)) <= MAX_RESIDUAL]
    return fits[0] if len(fits) == 1 else None


def _misfit(mistake: Mistake, ratios: Array) -> float:
    """The largest part of a ratio that is left unexplained, at the pre-activation where that is least."""
    grid, apart = _COARSE, _apart(_on_coarse_grid(mistake), ratios)
    for _ in range(ZOOM_COUNT - 1):
        best = int(np.argmin(apart))
        grid = np.linspace(grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)], POINTS_PER_ZOOM)
        apart = _apart(mistake.ratio(grid[:, None] + SHIFTS), ratios)
    return float(np.min(apart))


def _apart(expected: Array, ratios: Array) -> Array:
    return np.asarray(np.max(np.abs(expected - ratios), axis=1) / np.max(np.abs(ratios)))


@cache
def _on_coarse_grid(mistake: Mistake) -> Array:
    """The ratios where the search for the pre-activation begins, which is there for every unit."""
    return mistake.ratio(_COARSE[:, None] + SHIFTS)


def _sample_units(size: int) -> list[int]:
    return sorted({int(i) for i in np.linspace(0, size - 1, min(size, MOST_UNITS))})


def _ratios(evaluator: Evaluator, name: str, unit: int, divisor: float) -> Array | None:
    """analytic / true of one entry with the entry moved; None where it is right, or that cannot be said precisely."""
    index = tuple(int(i) for i in np.unravel_index(unit, evaluator.base[name].shape))
    ratios = []
    for shift in SHIFTS:
        moved = evaluator.base[name].copy()
        moved[index] += shift
        try:
            there = evaluator.at_point({**evaluator.base, name: moved})
            gradient = parse_gradients(there.raw_grads_here(), there.base)[1].get(name)
            true = there.entry_derivative(name, index)
        except UserCodeError:
            return None
        if gradient is None or not true.value or not true.error <= PRECISE * abs(true.value):
            return None
        ratios.append(float(gradient[index]) / divisor / true.value)
        if abs(ratios[0] - 1) <= PRECISE:
            return None
    return np.array(ratios) if np.all(np.isfinite(ratios)) else None


def _supported_by_units(fitted: dict[int, tuple[Mistake, float]], tried: int) -> list[Activation]:
    """What at least a few entries show, or all that were tried."""
    result = []
    for mistake in MISTAKES:
        units = tuple(unit for unit, (one, _) in fitted.items() if one is mistake)
        if len(units) >= UNITS or 0 < len(units) == tried:
            result.append(Activation(mistake, units, max(fitted[unit][1] for unit in units)))
    return result
