"""Penalties on the weights that the loss has and the gradient lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.penalties_left_out import mend_of_penalty
from gradcheck._repair.wrong_values import wrong_gradients
from tests.gradcheck._repair.spoiled import HEAD, SIZES, cell, line_of, taped

#: the same network with a penalty on its weights
DECAYED = (
    HEAD.replace("rng.standard_normal((H, D))\n", "rng.standard_normal((H, D))\n        self.decay = 0.05\n")
    .replace("for h in self.h))\n", "for h in self.h)) + self.decay * (np.sum(self.W**2) + np.sum(self.U**2))\n")
    .replace(
        '        return {"W": dW',
        "        dW += 2 * self.decay * self.W\n        dU += 2 * self.decay * self.U\n" + '        return {"W": dW',
    )
)
W, U = ("        dW += 2 * self.decay * self.W\n", ""), ("        dU += 2 * self.decay * self.U\n", "")


@pytest.mark.lines
def test_all_that_are_left_out_are_written(tmp_path: Path) -> None:
    """The commonest thing that a loss has and a backward forgets would be named as the line of some sum."""
    found = find_by_tape(cell(tmp_path, W, U, source=DECAYED), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    (source,) = found.sources.values()
    text = source.edited(found.edits[source.file])
    assert "        dW += 2 * self.decay * self.W\n" in text
    assert "        dU += 2 * self.decay * self.U\n" in text


@pytest.mark.lines
def test_it_is_written_beside_another_fault(tmp_path: Path) -> None:
    """What is wrong elsewhere would hide it."""
    other = ("carry = self.W.T @ da", "carry = self.W @ da")
    found = find_by_tape(cell(tmp_path, U, other, source=DECAYED), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    assert line_of(other[0], DECAYED) in {one.line for one in found.faults}


@pytest.mark.parametrize(
    "bug",
    [("dW += 2 * self.decay * self.W", "dW += 2 * self.decay * self.W + self.W"), ("carry = self.W.T @ da", "pass")],
)
def test_what_no_use_brings_back_is_no_penalty(tmp_path: Path, bug: tuple[str, str]) -> None:
    """A term too much would be mended by its opposite, another fault by a penalty that the loss has not."""
    run, others = taped(cell(tmp_path, bug, source=DECAYED))
    assert mend_of_penalty(run, wrong_gradients(run), others) is None
