"""The entries of wrong gradients by a sweep over the loss, as far as measured slopes confirm it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Target, TargetError, check
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


def product(loss: Any = smooth, wrong: float = 0.0, dtype: Any = float, more: float = 0.0) -> Target:
    """Of the sum of tanh(a) b, with its gradients; one entry of that of b may be wrong, and that of a larger."""
    rng = np.random.default_rng(0)
    params = {name: rng.standard_normal((3, 2)).astype(dtype) for name in "ab"}

    def grads() -> dict[str, Any]:
        by_b = np.tanh(params["a"])
        by_b[1, 1] += wrong
        return {"a": (1 - np.tanh(params["a"]) ** 2) * params["b"] + more, "b": by_b}

    return Target(params, lambda: loss(**params), grads)


def test_a_full_check_by_tape_asks_for_one_sweep() -> None:
    """It would cost a loss for each entry, as the other full check does, or not tell that it had not asked for them."""
    plain, taped = check(product()), check(product(), full="tape")
    assert taped.ok
    assert taped.full
    assert taped.evaluations == plain.evaluations + 1
    assert all(block.worst is not None for block in taped.blocks.values())
    assert taped.notes == (
        "the entries of a, b were taken from one reverse sweep over the loss, which 2 measured slopes confirm; none of "
        "them was differenced alone",
    )


@pytest.mark.parametrize(("wrong", "verdict"), [(1e-9, "inconclusive"), (1e-6, "wrong")])
def test_a_full_check_by_tape_finds_the_wrong_entry(wrong: float, verdict: str) -> None:
    """What a full check is for would be lost by the short way."""
    for full in (True, "tape"):
        report = check(product(wrong=wrong), full=full, explain=False)  # type: ignore[arg-type]
        assert report.verdict == verdict
        assert report.blocks["a"].verdict == "right"
        assert report.blocks["b"].worst is not None
        assert report.blocks["b"].worst.index == (1, 1)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (
            product(lambda a, b: smooth(a, b) + sum(float(str(number)) for number in a.ravel()), more=1.0),
            "the reverse sweep was not confirmed: the loss has another slope, or a kink",
        ),
        (product(dtype=np.float32), "in single precision a reverse sweep has too few digits"),
    ],
)
def test_where_the_tape_is_not_believed_entries_are_differenced(target: Target, reason: str) -> None:
    """Entries would be compared with a sweep that says nothing of them; or the reader would not know that it failed."""
    report = check(target, full="tape", explain=False)
    assert report.verdict == "right"
    assert any(note.endswith(f"were differenced one by one: {reason}") for note in report.notes)
    assert all(block.worst is not None for block in report.blocks.values())


def test_another_word_for_full_is_refused() -> None:
    """A typing error would make of a full check one along directions."""
    with pytest.raises(TargetError, match=r"full 'taped': expected True, False or \"tape\""):
        check(product(), full="taped")  # type: ignore[arg-type]
