"""What the point itself hides: parameters that are zero, and indices of which none occurs twice.

Where a parameter is zero, so is everything that it multiplies: its weight decay, its way into another gradient. Where
no token occurs twice, ``dE[tokens] += d`` is as good as ``np.add.at``. So the gradients are compared once more
where it is otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import UserCodeError
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.judging import judge_gradients
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import OnlyElsewhere, Symptom
from gradcheck.report.finding_phrases import describe_symptom
from gradcheck.report.records import Block

#: what parameters that are zero are set to: normal numbers times this
OFF_ZERO = 0.1


def wrong_elsewhere(comparer: Comparer) -> dict[str, tuple[Block, Symptom]]:
    """The gradients that are right here, and wrong where it is not so special, each with what makes the difference."""
    base, rng = comparer.evaluator.base, comparer.given.rng("elsewhere")
    zeros = [name for name, array in base.items() if array.size and not np.any(array)]
    found: dict[str, tuple[Block, Symptom]] = {}
    if zeros:
        values = {name: _off_zero(array, rng) if name in zeros else array for name, array in base.items()}
        found |= _wrong_at(comparer, values, Symptom(FindingCode.NO_PATTERN, (OnlyElsewhere(zero=tuple(zeros)),)))
    once = [name for name, array in comparer.evaluator.target.inputs().items() if _holds_each_once(array)]
    if once:
        symptom = Symptom(FindingCode.REPEATED_INDEX, (OnlyElsewhere(repeated=tuple(once)),))
        with _repeated(comparer, once):
            found = _wrong_at(comparer, base, symptom) | found
    return found


def _wrong_at(comparer: Comparer, values: Values, symptom: Symptom) -> dict[str, tuple[Block, Symptom]]:
    try:  # the code need not run anywhere but where the user put it
        there = comparer.at_point(values)
        if there is None:
            return {}
        names = [name for name, size in there.norms.items() if size]
        if names and there.fit_along_one_direction(names):
            return {}
        blocks = list(judge_gradients(there))
    except UserCodeError:
        return {}
    told = describe_symptom(symptom)
    return {one.name: (replace(one, message=told), symptom) for one in blocks if one.verdict == "wrong"}


def _off_zero(array: Array, rng: np.random.Generator) -> Array:
    return np.asarray(OFF_ZERO * rng.standard_normal(array.shape), dtype=array.dtype)


def _holds_each_once(array: Array) -> bool:
    """Whether an array of several integers, not only of ones and zeros, holds none of them twice.

    Not if it is an order of all numbers below its size, as of a sorted batch: such an order never repeats.
    """
    if array.dtype.kind not in "iu" or array.size < 2:
        return False
    different = np.unique(array)
    return len(different) == array.size and not np.array_equal(different, np.arange(array.size))


@contextmanager
def _repeated(comparer: Comparer, names: list[str]) -> Iterator[None]:
    """These inputs with each number in the place of its neighbour as well."""
    inputs = comparer.evaluator.target.inputs()
    before = {name: inputs[name].copy() for name in names}
    try:
        for name in names:
            flat = before[name].ravel()
            inputs[name][...] = np.repeat(flat[::2], 2)[: flat.size].reshape(before[name].shape)
        yield
    finally:
        for name in names:
            inputs[name][...] = before[name]
