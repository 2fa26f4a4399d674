"""The entries of wrong gradients by a sweep over the loss, as far as measured slopes confirm it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from gradcheck._checking.taped_entries import TapedEntries
from gradcheck._comparing.comparer import Comparer
from gradcheck._numeric.entries import difference_entries
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._targets.opening import opened


def real_target(loss: Any, dtype: Any = float) -> Target:
    """Of a loss over two arrays that takes no complex numbers; its gradients are zero."""
    rng = np.random.default_rng(0)
    params = {name: rng.standard_normal((3, 2)).astype(dtype) for name in "ab"}
    return Target(
        params, lambda: float(loss(**params)), lambda: {name: np.zeros((3, 2)) for name in params}, name="two"
    )


#: what `a` is in its first column
KINK = np.random.default_rng(0).standard_normal((3, 2)) + np.array([[0.0, 1.0]] * 3)


def smooth(a: Any, b: Any) -> Any:
    """A loss of both."""
    return np.sum(np.tanh(a) * b)


def entries_of(target: Target, name: str) -> tuple[Any, Any, int]:
    """By the sweep, by differences, and how many losses the sweep asked for beside the comparisons."""
    with opened(target, 0):
        evaluator = Evaluator(target)
        comparer = Comparer(evaluator, evaluator.raw_grads_here(), 0)
        comparer.compare([name])
        before = evaluator.evaluations
        taped = TapedEntries(comparer).of(name)
        asked = evaluator.evaluations - before
        return taped, difference_entries(evaluator, name), asked


@pytest.mark.parametrize("name", ["a", "b"])
def test_the_sweep_gives_what_differences_give(name: str) -> None:
    """Wrong entries would be looked for beside a gradient that is not the loss's."""
    taped, differenced, asked = entries_of(real_target(smooth), name)
    assert np.all(np.abs(taped.values - differenced.values) <= differenced.errors + taped.errors)
    assert 0 < taped.errors.max() < 1e-8
    assert asked == 1


def test_what_the_sweep_cannot_follow_is_differenced() -> None:
    """A loss that leaves NumPy would have its gradient taken for a part of it."""
    written = real_target(lambda a, b: smooth(a, b) + sum(float(str(number)) for number in a.ravel()))
    assert entries_of(written, "a")[0] is None
    assert entries_of(written, "b")[0] is not None


def test_single_precision_and_kinks_are_differenced() -> None:
    """A derivative of one side would be given for both, or one of exact numbers for those of rounded ones."""
    assert entries_of(real_target(smooth, np.float32), "a")[0] is None
    kink = real_target(lambda a, b: smooth(a, b) + np.sum(np.abs(a - KINK)))
    assert entries_of(kink, "a")[0] is None
    assert entries_of(kink, "b")[0] is not None


def test_a_report_of_a_wrong_gradient_needs_few_losses() -> None:
    """A small network with one wrong line would be differenced entry by entry, a thousand losses for a table."""
    report = check(real_target(smooth), explain=False)
    assert {name: block.verdict for name, block in report.blocks.items()} == {"a": "wrong", "b": "wrong"}
    assert all(block.worst is not None for block in report.blocks.values())
    assert report.evaluations < 120
