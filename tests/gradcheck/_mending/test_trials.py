"""Edits that are run, each by itself, whatever the one before has done."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import gradcheck
from gradcheck._common.files import load
from gradcheck._mending.trials import Trial
from gradcheck._repair.points import points_of
from gradcheck._usercode.source import Edit
from tests.gradcheck._mending.pieces import run_of

#: the data and a buffer are in a closure: nobody has handed them to the target
SOURCE = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, D=3):
    w, y, buffer = rng.standard_normal(D), rng.standard_normal(D), np.zeros(D)

    def grads():
        spare = buffer
        spare[:] = 2 * (w - y)
        return {"w": buffer.copy() + spare}

    return gradcheck.Target({"w": w}, lambda: float(np.sum((w - y) ** 2)), grads)
"""


def edit(old: str, new: str) -> Edit:
    """One text in the place of another."""
    before = SOURCE[: SOURCE.index(old)]
    line, column = before.count("\n") + 1, len(before) - before.rindex("\n") - 1
    return Edit((line, column), (line, column + len(old)), new)


def test_an_edit_does_not_meet_what_the_last_one_left(tmp_path: Path) -> None:
    """One edit that writes into the user's data would make all others look wrong, and the right one be missed."""
    file = tmp_path / "cell.py"
    file.write_text(SOURCE)
    points = next(points_of(load(file).cell, 0, {"D": 3}))
    destroys, mends = edit("spare = buffer", "spare = y"), edit(" + spare", "")
    with points[0].taped() as run:
        trial = Trial(run)
        assert trial.mended_by(str(file), [mends]) == {"w"}
        assert trial.mended_by(str(file), [destroys]) == frozenset()
        assert trial.mended_by(str(file), [mends]) == {"w"}
        assert trial.is_alive


def test_data_is_as_it_was_after_a_check() -> None:
    """The user's arrays would hold what an edit has written."""
    y = np.arange(3.0)
    w, buffer = np.ones(3), np.zeros(3)

    def grads() -> dict[str, np.ndarray]:
        spare = buffer
        spare[:] = 2 * (w - y)
        return {"w": buffer + spare}

    report = gradcheck.check(gradcheck.Target({"w": w}, lambda: float(np.sum((w - y) ** 2)), grads))
    assert not report.ok
    assert y.tolist() == [0.0, 1.0, 2.0]
    assert buffer.tolist() == [0.0, 0.0, 0.0]


def test_an_edit_that_leaves_a_loop_endless_is_none(tmp_path):
    """If it fails, one edit of a loop's condition hangs the check for ever."""
    body = "da, n = a.copy(), 0\nwhile n < 3:\n    n += 1\ndb = np.ones_like(b)"
    run = run_of(tmp_path, body)
    statement = next(one for one in run.statements if one.text.startswith("n += 1"))
    trial = Trial(run)
    start = statement.line, len("        n += ")
    assert trial.right_with(statement.file, [Edit(start, (start[0], start[1] + 1), "0")]) is None
    assert trial.endless == 1
    assert trial.is_alive


#: gradients are kept in a dict between calls, where an edit may put what only counts
KEPT = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, D=3):
    w, kept = rng.standard_normal(D), {"w": np.zeros(D)}

    def grads():
        dw = kept["w"]
        dw[...] = 0
        dw += 3 * w
        return {name: one.copy() for name, one in kept.items()}

    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), grads)
"""


def test_a_number_that_an_edit_leaves_is_put_back(tmp_path: Path) -> None:
    """`kept[...] = 0` stays in the dict, the code as it is runs no more, and the whole search ends."""
    file = tmp_path / "cell.py"
    file.write_text(KEPT)
    points = next(points_of(load(file).cell, 0, {"D": 3}))
    line = KEPT[: KEPT.index('dw = kept["w"]')].count("\n") + 1
    with points[0].taped() as run:
        trial = Trial(run)
        assert trial.mended_by(str(file), [Edit((line, 13), (line, 22), "kept")]) == frozenset()
        assert trial.is_alive
