"""Edits after which a statement gives a derivative, told from its own values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import spoiling
from gradcheck._mending.derivatives import EditsToDerivatives, Look
from gradcheck._repair.derivative_edits import edits_to_derivatives
from gradcheck._tape import TapedRun
from gradcheck._usercode.source import Edit
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for, taped


def look(run: TapedRun, line: int | None = None) -> Look:
    """The first statement that spoils, or that at a line."""
    one = next(one for one in spoiling(run) if line in (None, one.statement.line))
    known = run.once(Ground).standings.full

    def lookup(value):
        found = [run.nodes[k] for k in known.find_all(value) if k < len(run.nodes)] if np.any(value) else []
        return [node for node in found if node.index not in one.sources]

    return Look(
        run,
        one.statement,
        one.executions,
        one.idle,
        one.kept,
        is_known=lambda value: bool(lookup(value)),
        lookup=lookup,
        parts=lambda _: [],
        shares=lambda _: [],
        near=run.nodes[: run.boundary],
    )


def texts(found: list[tuple[Edit, ...]]) -> list[str]:
    """What is written."""
    return [edits[0].text for edits in found]


def test_the_step_that_is_meant_is_found(tmp_path: Path) -> None:
    """Two faults on one way would go without edits, since no gradient is right with one of them."""
    bugs = [("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), ("do = o * (1 - o) * do", "do = o * do")]
    run, others = taped(cell(tmp_path, *bugs, source=LISTS))
    search = EditsToDerivatives(look(run))
    with others[0].taped() as other:
        search.keep(look(other, spoiling(run)[0].statement.line))
    assert any("t + 1" in text for text in texts(search.nearest))


def test_what_holds_at_one_size_only_is_not_kept(tmp_path: Path) -> None:
    """A number that happens to be the right step would be offered for the step."""
    run, others = taped(cell(tmp_path, ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), source=LISTS))
    search = EditsToDerivatives(look(run))
    with others[0].taped() as other:
        search.keep(look(other))
    assert search.nearest
    assert not any(text.isdigit() for text in texts(search.nearest))


def test_a_slope_is_written_out(tmp_path: Path) -> None:
    """A derivative of an activation would only be found where it stands elsewhere already."""
    run, others = taped(cell(tmp_path, ("di = i * (1 - i) * di", "di = sigmoid(i) * di"), source=LISTS))
    search = EditsToDerivatives(look(run))
    with others[0].taped() as other:
        search.keep(look(other))
    assert any("1 - i" in text for text in texts(search.nearest))


def test_what_is_right_at_other_steps_stays(tmp_path: Path) -> None:
    """An edit would be taken that gives a derivative at one step and spoils those of the others."""
    old = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)"
    new = "dc += dh * o * (1 - np.tanh(cs[max(t + 1, 2)]) ** 2)"
    run, _ = taped(cell(tmp_path, (old, new), source=LISTS))
    found = look(run)
    assert found.kept
    assert not any("cs[1]" in text or text == "1" for text in texts(EditsToDerivatives(found).nearest))


def test_a_mask_that_keeps_everything_is_no_edit(tmp_path: Path) -> None:
    """A slope that should not be there would be turned into a comparison that happens to hold."""
    run, _ = taped(cell(tmp_path, ("dg *= 1 - g ** 2", "dg *= (1 - g ** 2) ** 2"), source=LISTS))
    search = EditsToDerivatives(look(run))
    assert search
    assert not any("> 0" in text for text in texts(search.nearest))


def test_what_only_makes_a_term_zero_is_no_edit(tmp_path: Path) -> None:
    """A term too much would be told as a square that should be a zeroth power."""
    old = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)"
    new = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2) + dh * (1 - np.tanh(cs[t + 1]) ** 2)"
    run, _ = taped(cell(tmp_path, (old, new), source=LISTS))
    found = texts(EditsToDerivatives(look(run)).nearest)
    assert found
    assert not any("** 0" in text or text == "0" for text in found)


def test_another_derivative_at_hand_is_not_handed_on(tmp_path: Path) -> None:
    """All that a line calculates would be thrown away for a name that holds a derivative of something else."""
    bug = ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])")
    run, _ = taped(cell(tmp_path, bug, source=LISTS))
    names = {"dh", "dc", "dg", "di", "dh_next", "dc_next"}
    assert not names & set(texts(EditsToDerivatives(look(run)).nearest))


def test_what_is_not_wanted_at_each_execution_is_given_up(tmp_path: Path) -> None:
    """The search ended with an error, and all that would have been found after it was lost."""
    run, _ = taped(cell(tmp_path, ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), source=LISTS))
    known = look(run)
    executions = [*known.executions, 99]
    wanted = [(run.nodes[0], np.ones(3)) for _ in executions]
    assert not EditsToDerivatives(replace(known, executions=executions, wanted=wanted, lookup=lambda _: []))


def test_what_is_wanted_in_another_shape_is_given_up(tmp_path: Path) -> None:
    """One part of a stack, where the whole is written at once, would end the search with an error."""
    run, _ = taped(cell(tmp_path, ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), source=LISTS))
    found = look(run)
    wanted = [(run.nodes[0], np.ones((2, 7))) for _ in found.executions]
    assert not EditsToDerivatives(replace(found, wanted=wanted, lookup=lambda _: []))


#: what comes back through each of three gates is added up in a loop over them
GATES = """\
import numpy as np
import gradcheck


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def forward(W, x):
    h, kept = np.zeros_like(x[0]), []
    for xt in x:
        i, o, z = sigmoid(xt + W[0] @ h), sigmoid(xt + W[1] @ h), np.tanh(xt + W[2] @ h)
        kept.append((h, i, o, z))
        h = o * np.tanh(i * z)
    return kept, h


def grads(W, x):
    kept, carry = forward(W, x)
    dW = np.zeros_like(W)
    for h, i, o, z in reversed(kept):
        dh, c = carry, np.tanh(i * z)
        dc = dh * o * (1 - c ** 2)
        carry = np.zeros_like(h)
        for k, d in enumerate([dc * z * i * (1 - i), dh * c * o * (1 - o), dc * i * (1 - z ** 2)]):
            dW[k] += d @ h.T
            carry = carry + W[k].T @ d
    return {"W": dW}


@gradcheck.target
def cell(rng, *, T=3, B=2, H=3):
    W, x = rng.standard_normal((3, H, H)), rng.standard_normal((T, H, B))
    return gradcheck.Target({"W": W}, lambda: 0.5 * np.sum(forward(W, x)[1] ** 2), lambda: grads(W, x))
"""


@pytest.mark.parametrize("wrong", ["carry = carry + W[k] @ d", "carry = W[k] @ d + carry"])
def test_a_sum_that_goes_on_is_judged_by_what_is_added(wrong: str, tmp_path: Path) -> None:
    """Where a gate's share is wrong, so is what the next gate's is added to: no edit would give a derivative."""
    run, others = taped(cell(tmp_path, ("carry = carry + W[k].T @ d", wrong), source=GATES))
    spoilers = [one for one in spoiling(run) if one.statement.text == wrong]
    (edits,) = edits_to_derivatives(run, spoilers, [one.taped for one in others], set())
    assert [edit.text for edit in edits[0]] == ["W[k].T"]


#: a state that begins anew for each of several sequences
SEQUENCES = """\
import numpy as np
import gradcheck


def walk(p, x):
    D, S, H = len(x), len(x[0]), len(p["f"])
    c, f = np.zeros((D, S + 1, H)), np.zeros((D, S, H))
    for d in range(D):
        for s in range(S):
            f[d, s] = 1 / (1 + np.exp(-p["f"] * x[d, s]))
            c[d, s + 1] = f[d, s] * c[d, s] + np.tanh(p["w"] * x[d, s])
    return c, f


def loss(p, x):
    c, _ = walk(p, x)
    return np.sum(np.sin(c))


def grads(p, x):
    c, f = walk(p, x)
    D, S, H = f.shape
    df, dw = np.zeros(H), np.zeros(H)
    for d in range(D):
        carry = np.zeros(H)
        for s in reversed(range(S)):
            dc = np.cos(c[d, s + 1]) + carry
            dz = dc * c[d, s]
            df += dz * f[d, s] * (1 - f[d, s]) * x[d, s]
            dw += dc * (1 - np.tanh(p["w"] * x[d, s]) ** 2) * x[d, s]
            carry = dc * f[d, s]
    return {"f": df, "w": dw}


@gradcheck.target
def cell(rng, *, D=2, S=3, H=2):
    p, x = {name: rng.standard_normal(H) for name in "fw"}, rng.standard_normal((D, S, H))
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""


def test_the_counter_that_was_read_already_is_not_reckoned_with_another(tmp_path: Path) -> None:
    """Where the first step alone is known, `d` or `s + d` would be written for `s`, which is zero as well there."""
    right, wrong = "dz = dc * c[d, s]", "dz = dc * c[d, s + 1]"
    run, _ = taped(cell(tmp_path, (right, wrong), source=SEQUENCES))
    found = look(run, line_of(right, SEQUENCES))
    first = replace(found, executions=found.executions[:1], idle=(), kept=())
    assert texts(EditsToDerivatives(first).nearest)[0] == "s"


#: the mean over all entries that a mask keeps
MASKED = """\
import numpy as np
import gradcheck


def walk(p, x):
    h, hs = np.zeros((len(x[0]), len(p["U"]))), []
    for xt in x:
        hs.append((h, h := np.tanh(xt @ p["W"] + h @ p["U"])))
    return hs


def loss(p, x, y, mask):
    e = np.array([h for _, h in walk(p, x)]) - y
    return 0.5 * np.sum(mask[:, :, None] * e ** 2) / mask.sum()


def grads(p, x, y, mask):
    hs, g = walk(p, x), {name: np.zeros_like(one) for name, one in p.items()}
    d = mask[:, :, None] * (np.array([h for _, h in hs]) - y)
    d /= mask.sum()
    carry = np.zeros_like(y[0])
    for t in reversed(range(len(x))):
        before, h = hs[t]
        dz = (d[t] + carry) * (1 - h ** 2)
        g["W"] += x[t].T @ dz
        g["U"] += before.T @ dz
        carry = dz @ p["U"].T
    return g


@gradcheck.target
def cell(rng, *, T=3, B=2, D=2, H=3):
    p = {"W": rng.standard_normal((D, H)), "U": rng.standard_normal((H, H))}
    x, y, mask = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, H)), np.ones((T, B))
    mask[-1, 0] = 0
    return gradcheck.Target(p, lambda: loss(p, x, y, mask), lambda: grads(p, x, y, mask))
"""


@pytest.mark.lines
def test_a_number_by_which_an_array_is_divided_in_place_is_mended(tmp_path: Path) -> None:
    """The number has no derivative of its own, and would not be looked at where no gradient is right with it alone."""
    bugs = [("d /= mask.sum()", "d /= mask.size"), ("(1 - h ** 2)", "(1 - h)")]
    factory = cell(tmp_path, *bugs, source=MASKED)
    found = looked_for(factory)
    assert found.still_wrong == ()
    told = {one.line: [edit.text for edit in one.edits] for one in found.faults}
    assert told.keys() == {line_of(old, MASKED) for old, _ in bugs}
    assert told[line_of("d /= ", MASKED)] == ["mask.sum()"]
