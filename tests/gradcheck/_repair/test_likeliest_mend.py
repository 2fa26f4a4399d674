"""Of those who could be to blame, the one whose edit mends most and changes least."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gradcheck._localising import localise
from gradcheck._mending import Mend
from gradcheck._repair.each_gradient import without_forward
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import LikeliestMend, Sooner, _change
from gradcheck._repair.wrong_values import wrong_gradients
from gradcheck._usercode.source import Edit
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, looked_for, taped
from tests.gradcheck._repair.two_layers import TWO_LAYERS


def fault_of(
    folder: Path, *bugs: tuple[str, str], source: str = HEAD, sooner: Sooner | None = None, is_brief: bool = False
) -> Mended | None:
    """The fault that is chosen."""
    run, others = taped(cell(folder, *bugs, source=source))
    wrong = sorted(wrong_gradients(run))
    found = without_forward(run, localise(run, wrong, second=others[-1].run()))
    again = [one.taped for one in others]
    return next(iter(LikeliestMend(run, found, again, set(), sooner=sooner, is_brief=is_brief).faults()), None)


@pytest.mark.parametrize(
    ("old", "new", "edit"),
    [
        ("carry = self.W.T @ da", "carry = self.W @ da", "da @ self.W"),
        ("da = dh * (1 - self.h[t]**2)", "da = dh * (1 - self.h[t])**2", "(1 - self.h[t]**2)"),
        ("dU += np.outer(da, self.x[t - 1])", "dU = np.outer(da, self.x[t - 1])", "+="),
    ],
)
def test_the_statement_with_the_smallest_edit_is_chosen(tmp_path: Path, old: str, new: str, edit: str) -> None:
    """Statements beside the fault could make up for it, in more words."""
    fault = fault_of(tmp_path, (old, new))
    assert fault is not None
    assert fault.statement.line == line_of(old)
    assert fault.mend is not None
    assert fault.mend.remaining == ()
    assert [one.text.strip() for one in fault.mend.edits] == [edit]


def test_what_stands_around_is_tried_where_no_suspect_is_mended(tmp_path: Path) -> None:
    """A loop that leaves a step out would be told at a line inside it."""
    old, new = "for t in range(len(self.x), 0, -1):", "for t in range(len(self.x), 1, -1):"
    fault = fault_of(tmp_path, (old, new))
    assert fault is not None
    assert fault.statement.line == line_of(old)


def test_an_innocent_suspect_is_not_chosen(tmp_path: Path) -> None:
    """What only could be at fault would be edited, whether an edit makes anything right or not."""
    run, others = taped(cell(tmp_path, ("carry = self.W.T @ da", "carry = self.W @ da")))
    found = localise(run, ["U", "W"], second=others[-1].run())
    innocent = [one for one in found.alone if one.line == line_of('return {"W"')]
    assert innocent
    search = LikeliestMend(run, replace(found, alone=innocent), [one.taped for one in others], set())
    assert not search.faults()


def test_what_is_found_sooner_elsewhere_is_asked_where_no_small_edit_mends_all(tmp_path: Path) -> None:
    """Edits of a dozen suspects would be tried, though with one step of time the fault is found at once."""
    asked: list[Mended] = []
    loop = ("for t in range(len(self.x), 0, -1):", "for t in range(len(self.x), 1, -1):")
    known = fault_of(tmp_path, loop)
    assert known is not None

    def sooner() -> list[Mended]:
        asked.append(known)
        return [known]

    assert fault_of(tmp_path, loop, sooner=sooner) is known
    assert len(asked) == 1
    beside = tmp_path / "beside"
    beside.mkdir()
    small = fault_of(beside, ("carry = self.W.T @ da", "carry = self.W @ da"), sooner=sooner)
    assert small is not known
    assert len(asked) == 1


#: with as many rows as there are, b is right as well if each label is taken from all rows, divided by their number
CLASSIFIER = """\
import numpy as np
import gradcheck


def forward(p, x):
    z = np.tanh(x @ p["W"]) @ p["V"] + p["b"]
    return z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))


def loss(p, x, labels):
    return float(-np.mean(forward(p, x)[np.arange(len(x)), labels]))


def grads(p, x, labels):
    h, B = np.tanh(x @ p["W"]), len(x)
    dz = np.exp(forward(p, x))
    dz[np.arange(len(x)), labels] -= 1.0
    dz /= B
    da = dz @ p["V"].T * (1 - h ** 2)
    return {"W": x.T @ da, "V": h.T @ dz, "b": dz.sum(axis=0)}


@gradcheck.target
def cell(rng, *, H=4):
    p = {"W": rng.standard_normal((3, H)), "V": rng.standard_normal((H, 5)), "b": rng.standard_normal(5)}
    x, labels = rng.standard_normal((4, 3)), rng.permutation(5)[:4]
    return gradcheck.Target(p, lambda: loss(p, x, labels), lambda: grads(p, x, labels))
"""
ALL_ROWS = "dz[np.arange(len(x)), labels] -= 1.0", "dz[:, labels] -= 1.0"


def test_an_edit_that_mends_all_is_looked_for_where_one_mends_a_part(tmp_path: Path) -> None:
    """A chance would be taken for the mend: divided by the number of rows, the sum over them is right."""
    fault = fault_of(tmp_path, ALL_ROWS, source=CLASSIFIER)
    assert fault is not None
    assert fault.mend is not None
    assert [one.text for one in fault.mend.edits] == ["np.arange(len(x)), labels"]


def test_a_part_that_is_right_by_chance_is_not_written(tmp_path: Path) -> None:
    """The line would be edited so that one gradient is right, though it is to blame for the others still."""
    picked = "forward(p, x)[np.arange(len(x)), labels]", "np.take_along_axis(forward(p, x), labels[:, None], axis=1)"
    factory = cell(tmp_path, ALL_ROWS, picked, source=CLASSIFIER)
    found = looked_for(factory)
    assert [one.line for one in found.faults] == [line_of(ALL_ROWS[0], CLASSIFIER)]
    assert found.edits == {} or found.still_wrong == ()


def test_where_only_what_hands_all_on_could_be_to_blame_no_line_is_mended_in_part(tmp_path: Path) -> None:
    """A divisor that is missing where the error begins would be told at each gradient, beside another fault."""
    bugs = ("- y[t - 1]) / N", "- y[t - 1])"), ("gb += np.sum(d1", "gb += np.sum(d2")
    run, others = taped(cell(tmp_path, *bugs, source=TWO_LAYERS))
    alone = localise(run, sorted(wrong_gradients(run)), second=others[-1].run()).alone
    assert [one.statement.text[:6] for one in alone] == ["return"]
    assert fault_of(tmp_path, *bugs, source=TWO_LAYERS) is None


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("da = f(x)", "da = f(y)", 2),
        ("da = x * y + z", "da = x * (y + z)", 0),
        ("da = (x)", "da = x", 0),
        ("da = x", "da = x * (1 - y)", 4 + 2 * 4),
        ("da = x * (1 - y)", "da = x", 4),
    ],
)
def test_brackets_change_nothing(before: str, after: str, change: int) -> None:
    """An edit that has to put brackets around what it changes would give way to one that changes more."""
    text = before + "\n"
    mend = Mend("net.py", (Edit((1, 0), (1, len(before)), after),), None, (), (), "")  # type: ignore[arg-type]
    assert _change(mend, text) == change
