"""What the point itself hides: zeros among the parameters, and indices of which none occurs twice.

Where a parameter is zero, so is everything that it multiplies: its weight decay, its way into another gradient. So it
is with each of its entries, as of a bias that is one for the forget gate and zero for the others. Where no token occurs
twice, ``dE[tokens] += d`` is as good as ``np.add.at``. So the gradients are compared once more where it is otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._common.errors import UserCodeError
from gradcheck._common.wording import comma_separated
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.judging import judge_gradients
from gradcheck._laws.off_zero import OffZero
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import OnlyElsewhere, Symptom
from gradcheck.report.finding_phrases import describe_symptom, elsewhere_in_words
from gradcheck.report.records import Block, Law


@dataclass
class Elsewhere:
    """What was found where the point is not so special.

    `wrong` are the gradients that are right here and wrong there, each with what makes the difference; `untested` says
    of what nothing is known there, and why.
    """

    wrong: dict[str, tuple[Block, Symptom]] = field(default_factory=dict)
    untested: list[str] = field(default_factory=list)

    @property
    def laws(self) -> list[Law]:
        """What is to be told besides the gradients that are wrong."""
        return [Law.untested("elsewhere", "; ".join(self.untested))] if self.untested else []


def look_elsewhere(comparer: Comparer, decided: Collection[str], off_zero: OffZero) -> Elsewhere:
    """Compare the gradients where parameters are not zero, and where numbers of an integer input repeat.

    Args:
        comparer: At the point itself.
        decided: The gradients that could be judged there; what cannot is not known to be right.
        off_zero: Other values of what is zero there, if that is still to be asked.
    """
    base, found = comparer.evaluator.base, Elsewhere()
    moved = {**base, **off_zero.values}
    once = tuple(name for name, array in comparer.evaluator.target.inputs().items() if _holds_each_once(array))
    if once and off_zero.is_open:
        with _repeated(comparer, once):
            if _fits(comparer, moved):  # one point answers both
                return found
    if off_zero.is_open:
        there = OnlyElsewhere(zero=off_zero.zero, in_part=off_zero.in_part)
        _note(found, _judged(comparer, moved), decided, FindingCode.NO_PATTERN, there)
    if once:
        with _repeated(comparer, once):
            there = OnlyElsewhere(repeated=once)
            _note(found, _judged(comparer, base), decided, FindingCode.REPEATED_INDEX, there)
    return found


def _note(
    found: Elsewhere, blocks: list[Block] | None, decided: Collection[str], code: FindingCode, what: OnlyElsewhere
) -> None:
    """Add what is wrong at a point, or why that is not known."""
    if blocks is None:
        told = f"the code does not run {elsewhere_in_words(what)}"
        found.untested.append(f"{told}, so that nothing is known of the gradients there")
        return
    symptom = Symptom(code, (what,))
    for one in blocks:
        if one.verdict == "wrong" and one.name in decided:
            found.wrong[one.name] = replace(one, message=describe_symptom(symptom)), symptom
    unknown = [one.name for one in blocks if one.verdict == "inconclusive" and one.name in decided]
    if unknown:
        found.untested.append(f"{comma_separated(unknown)} cannot be judged {elsewhere_in_words(what)}")


def _fits(comparer: Comparer, values: Values) -> bool:
    """Whether the gradients at another point are right at once; not where the code does not run there."""
    try:
        look = comparer.look_at(values)
        return look is not None and look.fits()
    except UserCodeError:
        return False


def _judged(comparer: Comparer, values: Values) -> list[Block] | None:
    """The gradients at another point, judged if they do not fit at once; None where the code does not run."""
    try:  # the code need not run anywhere but where the user put it
        look = comparer.look_at(values)
        if look is None or look.fits():
            return None if look is None else []
        there = look.comparer or comparer.at_point(values)
        return None if there is None else list(judge_gradients(there))
    except UserCodeError:
        return None


def _holds_each_once(array: Array) -> bool:
    """Whether an array of several integers, not only of ones and zeros, holds none of them twice.

    Not if it is an order of all numbers below its size, as of a sorted batch: such an order never repeats.
    """
    if array.dtype.kind not in "iu" or array.size < 2:
        return False
    different = np.unique(array)
    return len(different) == array.size and not np.array_equal(different, np.arange(array.size))


@contextmanager
def _repeated(comparer: Comparer, names: tuple[str, ...]) -> Iterator[None]:
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
