"""Clips of finished gradients: told, taken out while the rest is looked for, and left where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.final_clips import mend_of_final_clip
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.spoiled import HEAD, SIZES, cell, line_of, taped

RETURN = '        return {"W": dW, "U": dU}'
#: clips of the network's gradients, and the statement that clips
CLIPS = {
    "into the array": (
        "        for g in (dW, dU):\n            np.clip(g, -0.1, 0.1, out=g)\n" + RETURN,
        "np.clip(g, -0.1, 0.1, out=g)",
    ),
    "as it is returned": (
        '        return {"W": np.clip(dW, -0.1, 0.1), "U": np.clip(dU, -0.1, 0.1)}',
        'return {"W": np.clip(dW, -0.1, 0.1), "U": np.clip(dU, -0.1, 0.1)}',
    ),
    "from above": (
        "        dW, dU = np.minimum(dW, 0.1), np.minimum(dU, 0.1)\n" + RETURN,
        "dW, dU = np.minimum",
    ),
    "to a norm": (
        "        norm = np.sqrt(sum(np.sum(g * g) for g in (dW, dU)))\n"
        "        coefficient = min(1.0, 0.2 / norm)\n"
        "        dW, dU = dW * coefficient, dU * coefficient\n" + RETURN,
        "dW, dU = dW * coefficient, dU * coefficient",
    ),
}
FAULT = ("carry = self.W.T @ da", "carry = self.W @ da")


@pytest.mark.parametrize("kind", CLIPS)
def test_a_clip_of_finished_gradients_is_taken_out(tmp_path: Path, kind: str) -> None:
    """What a clip takes away would be looked for in the lines before it."""
    clip, statement = CLIPS[kind]
    run, others = taped(cell(tmp_path, (RETURN, clip)))
    found = mend_of_final_clip(run, others)
    assert found is not None
    assert (found.code, found.is_left) == (FindingCode.CLIPS_FINISHED, True)
    assert found.statement.line == line_of(statement, HEAD.replace(RETURN, clip))
    assert set(found.gradients) <= {"W", "U"}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (RETURN, "        dW, dU = np.clip(dW, -99, 99), np.clip(dU, -99, 99)\n" + RETURN),
        ("dh = self.h[t] + carry", "dh = np.clip(self.h[t] + carry, -0.2, 0.2)"),
        (RETURN, "        dW, dU = dW * 0.5, dU * 0.5\n" + RETURN),
        (RETURN, "        dW, dU = dW * self.W[0, 0], dU * self.W[0, 0]\n" + RETURN),
        (RETURN, RETURN),
    ],
)
def test_nothing_else_is_such_a_clip(tmp_path: Path, old: str, new: str) -> None:
    """A clip that clips nothing, one within the recurrence, or a factor would be left as if it were meant."""
    run, others = taped(cell(tmp_path, (old, new)))
    assert mend_of_final_clip(run, others) is None


@pytest.mark.parametrize("kind", ["into the array", "from above", "to a norm"])
def test_a_clip_beside_another_fault(tmp_path: Path, kind: str) -> None:
    """The fault would hide behind the clip, or the fix take out a clip that the user wants."""
    clip, statement = CLIPS[kind]
    found = find_by_tape(cell(tmp_path, (RETURN, clip), FAULT), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    source = HEAD.replace(RETURN, clip)
    assert [(one.is_left, one.statement.line) for one in found.faults] == [
        (True, line_of(statement, source)),
        (False, line_of(FAULT[0], source)),
    ]
    ((file, edits),) = found.kept_patch.edits().items()
    kept = found.sources[file].edited(edits)
    assert clip in kept
    assert FAULT[1] not in kept
    ((_, edits),) = found.patch.edits().items()
    assert clip not in found.sources[file].edited(edits)
