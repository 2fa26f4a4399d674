"""What reads right derivatives and gives none, and what gives a multiple of one where the backward begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import multiples, spoiling, spoiling_further_on, without_right_consequences
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.normalised import NORMALISED
from tests.gradcheck._repair.spoiled import cell, line_of, taped
from tests.gradcheck._repair.stack import STACK


def lines(folder: Path, *bugs: tuple[str, str]) -> list[int]:
    """Where derivatives are spoiled."""
    run, _ = taped(cell(folder, *bugs, source=LISTS))
    return [one.statement.line for one in spoiling(run) if one.executions]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"),
        ("dg *= 1 - g ** 2", "dg *= 1 - np.tanh(g) ** 2"),
        ("dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)", "dc += dh * o * (1 - np.tanh(cs[t]) ** 2)"),
    ],
)
def test_the_statement_that_spoils_is_told(tmp_path: Path, old: str, new: str) -> None:
    """The first fault on a way would not be seen, or what stands behind it be told instead."""
    assert lines(tmp_path, (old, new)) == [line_of(old, LISTS)]


def test_right_code_spoils_nothing(tmp_path: Path) -> None:
    """Right statements would be edited."""
    assert lines(tmp_path) == []


def test_what_reads_what_is_wrong_is_not_told(tmp_path: Path) -> None:
    """A statement behind a fault would be edited to make up for it."""
    bugs = [("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), ("do = o * (1 - o) * do", "do = o * do")]
    assert lines(tmp_path, *bugs) == [line_of(bugs[0][0], LISTS)]


def test_the_last_of_the_steps_to_a_derivative_is_told(tmp_path: Path) -> None:
    """Of a derivative that takes several statements, one that lacks nothing would be the only one to be edited."""
    bug = "    inner = inner - n * (g * n).mean(axis=0)\n"
    run, _ = taped(cell(tmp_path, (bug, ""), source=STACK))
    told = [one.statement.text for one in spoiling_further_on(run)]
    assert told[:1] == ["return inner / spread"]


def test_who_reads_what_others_read_as_well_is_not_told(tmp_path: Path) -> None:
    """Each reader of a spoiled derivative would get an edit that makes up for it."""
    run, _ = taped(cell(tmp_path, ("dg *= 1 - g ** 2", "dg *= 1 - np.tanh(g) ** 2"), source=LISTS))
    assert spoiling_further_on(run) == []


def test_a_multiple_of_a_derivative_is_told_with_its_factor(tmp_path: Path) -> None:
    """Where the backward begins with a sum for a mean, nothing behind it would be recognised."""
    old = "dv = (outs[t] - y[t]) / len(y[t])"
    run, _ = taped(cell(tmp_path, (old, "dv = outs[t] - y[t]"), source=LISTS))
    first = multiples(run)[0]
    assert (first.statement.line, round(first.factor, 9)) == (line_of(old, LISTS), 5.0)


def test_of_several_multiples_of_the_same_the_last_is_told(tmp_path: Path) -> None:
    """What is divided by the wrong number would be accused where it is not divided yet."""
    old = "dv = (outs[t] - y[t]) / len(y[t])"
    made = "dv = np.subtract(outs[t], y[t])\n        dv *= 1.0\n        dv /= x.size"
    run, _ = taped(cell(tmp_path, (old, made), source=LISTS))
    assert [one.statement.text for one in multiples(run) if one.statement.text.startswith("dv")] == ["dv /= x.size"]


def test_right_values_are_no_multiples(tmp_path: Path) -> None:
    """Right code would be scaled."""
    run, _ = taped(cell(tmp_path, source=LISTS))
    assert multiples(run) == []
    assert run.once(Ground) is run.once(Ground)


def test_executions_that_give_what_is_right_are_kept(tmp_path: Path) -> None:
    """An edit for one step would be free to change what is right at the others."""
    old = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)"
    new = "dc += dh * o * (1 - np.tanh(cs[max(t + 1, 2)]) ** 2)"
    run, _ = taped(cell(tmp_path, (old, new), source=LISTS))
    (one,) = (one for one in spoiling(run) if one.executions)
    assert (one.executions, one.kept) == ((3,), (0, 1, 2))


def test_a_step_on_the_way_to_something_right_is_no_fault(tmp_path: Path) -> None:
    """Half of a derivative that is written in two statements would be accused, and the fault beside it not seen."""
    parts = (
        "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)",
        "half = dh * o\n        dc += half - half * np.tanh(cs[t + 1]) ** 2",
    )
    wrong = ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])")
    run, _ = taped(cell(tmp_path, wrong, source=LISTS))
    found = [one for one in spoiling(run) if one.executions]
    assert [one.statement.line for one in without_right_consequences(run, found)] == [line_of(wrong[0], LISTS)]
    run, _ = taped(cell(tmp_path, parts, source=LISTS))
    assert without_right_consequences(run, [one for one in spoiling(run) if one.executions]) == []


#: heads are added up one by one, the same array is shifted round, and only two of three uses are right
ROUND = """\
import numpy as np
import gradcheck


@gradcheck.target
def cell(rng, *, T=3, H=4):
    p = {"a": rng.standard_normal(H), "s": rng.standard_normal(3)}

    def forward():
        h, kept = np.tanh(p["a"]), []
        for t in range(T):
            w = np.zeros_like(h)
            for j in range(3):
                w = w + p["s"][j] * np.roll(h, j - 1)
            kept.append((h, w))
            h = np.tanh(w)
        return 0.5 * float(h @ h), h, kept

    def grads():
        _, dh, kept = forward()
        ds = np.zeros(3)
        for h, w in reversed(kept):
            dw = dh * (1 - np.tanh(w) ** 2)
            dh = np.zeros_like(h)
            for j in range(3):
                ds[j] += dw @ np.roll(h, j - 1)
                dh = dh + p["s"][j] * np.roll(dw, 1 - j)
        return {"a": dh * (1 - np.tanh(p["a"]) ** 2), "s": ds}

    return gradcheck.Target(p, lambda: forward()[0], grads)
"""


def test_a_sum_that_goes_on_and_a_shifted_copy_are_steps_on_the_way(tmp_path: Path) -> None:
    """Sums over taps or heads would be accused at each of their terms, wherever else a fault is."""
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.mkdir()
    wrong.mkdir()
    run, _ = taped(cell(right, source=ROUND))
    assert [one.statement.line for one in spoiling(run) if one.executions] == []
    bug = ('        return {"a": dh * (1', '        return {"a": dh * (2')
    run, _ = taped(cell(wrong, bug, source=ROUND))
    assert [one.statement.line for one in spoiling(run) if one.executions] == [line_of(bug[0], ROUND)]


def test_a_sum_with_a_wrong_term_is_not_told_for_the_next_one(tmp_path: Path) -> None:
    """A sum is wrong once one of its terms is; what is added to it later would be accused."""
    old = 'dh = dh + p["s"][j] * np.roll(dw, 1 - j)'
    new = f"{old} * (1.0 if j else w)"
    run, _ = taped(cell(tmp_path, (old, new), source=ROUND))
    told = [one for one in spoiling(run) if one.executions]
    assert [one.statement.line for one in told] == [line_of(old, ROUND)]
    assert all(number % 3 == 0 for number in told[0].executions)


def test_parts_of_one_derivative_are_read_as_right(tmp_path: Path) -> None:
    """A slope that goes with one part of a sum alone would not be seen where the parts come from two steps."""
    old = "dh = dhs[t] + dh_next\n        do = dh * c / n"
    new = "dh = dhs[t] + dh_next\n        do = dhs[t] * c / n + dh_next"
    run, _ = taped(cell(tmp_path, (old, new), source=NORMALISED))
    assert line_of("do = dh", NORMALISED) in [one.statement.line for one in spoiling(run) if one.executions]


RUNGE_KUTTA = """\
import numpy as np
import gradcheck

NODES, WEIGHTS = (0.0, 0.5, 0.5, 1.0), (1 / 6, 1 / 3, 1 / 3, 1 / 6)


@gradcheck.target
def cell(rng, *, T=2, H=3):
    p = {"W": rng.standard_normal((H, H)) / 2, "x": rng.standard_normal(H)}

    def step(x):
        k, new, stages = np.zeros_like(x), x.copy(), []
        for c, w in zip(NODES, WEIGHTS):
            at = x + 0.6 * c * k
            k = np.tanh(p["W"] @ at)
            stages.append((at, k))
            new += 0.6 * w * k
        return new, stages

    def states():
        x, kept = p["x"], []
        for _ in range(T):
            x, stages = step(x)
            kept.append(stages)
        return x, kept

    def grads():
        (x, kept), dW = states(), np.zeros_like(p["W"])
        end = 2 * x
        for stages in reversed(kept):
            dx, later = end.copy(), np.zeros_like(end)
            for i in range(3, -1, -1):
                dk = 0.6 * WEIGHTS[i] * end + later
                da = dk * (1 - stages[i][1] ** 2)
                dW += np.outer(da, stages[i][0])
                dat = p["W"].T @ da
                np.add(dx, dat, out=dx)
                later = NODES[i] * 0.6 * dat
            end = dx
        return {"W": dW, "x": end}

    return gradcheck.Target(p, lambda: float(np.sum(states()[0] ** 2)), grads)
"""


def test_who_reads_parts_and_gives_derivatives_at_other_times_is_told(tmp_path: Path) -> None:
    """In a step of Runge and Kutta all that is read are sums that go on: no line would be known to spoil anything."""
    old = "dk = 0.6 * WEIGHTS[i] * end + later"
    run, _ = taped(cell(tmp_path, (old, old.replace("end", "dx")), source=RUNGE_KUTTA))
    told = [one for one in spoiling(run) if one.executions]
    assert [one.statement.line for one in told] == [line_of(old, RUNGE_KUTTA)]
    assert told[0].kept
    assert told[0].executions
    right, _ = taped(cell(tmp_path, source=RUNGE_KUTTA))
    assert [one for one in spoiling(right) if one.executions] == []
