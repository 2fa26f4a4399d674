"""Right targets of the benchmark's corpus that were accused once, each by its number."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import gradcheck

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import corpus
import trials


@pytest.mark.parametrize(
    ("number", "full"),
    [
        pytest.param(19581, False, id="a kink closer than any step of single precision"),
        pytest.param(7020, True, id="the same in one entry"),
    ],
)
def test_nobody_is_accused(number: int, full: bool) -> None:
    """Correct code would be called wrong again."""
    report = gradcheck.check(corpus.draw(number).target, seed=number, full=full, explain=False)
    assert "wrong" not in {block.verdict for block in report.blocks.values()}, str(report)


@pytest.mark.parametrize("factor", [1.5, -1.0])
def test_what_excuses_a_kink_excuses_no_error(factor: float) -> None:
    """The excuse for kinks beside the point would let wrong gradients pass for inconclusive ones."""
    target = corpus.draw(19581).target
    gradient = target.grads_at(target.values())["W0"]
    trials._plant(target, "W0", (factor - 1) * gradient)
    assert gradcheck.check(target, seed=19581, explain=False).blocks["W0"].verdict == "wrong"
