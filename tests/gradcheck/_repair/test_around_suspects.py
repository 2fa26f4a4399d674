"""Masks, indices, ranges and conditions, with which no gradient moves, beside the statements that the tape suspects."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gradcheck._localising import localise
from gradcheck._repair.around_suspects import statements_around
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.chain import CHAIN
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import HEAD, SIZES, cell, line_of, looked_for, taped

#: the same with relu, whose mask has a name, an index that has one, and a condition
MASKED = HEAD.replace("np.tanh(self.W @ self.h[-1] + self.U @ xt)", "np.maximum(self.W @ self.h[-1] + self.U @ xt, 0)")
MASKED = MASKED.replace(
    HEAD[HEAD.index("            dh = self") : HEAD.index("        return {")],
    """\
            keep = self.h[t] > 0
            before = t - 1
            da = (self.h[t] + carry) * keep
            dW += np.outer(da, self.h[before])
            if t > 0:
                dU += np.outer(da, self.x[before])
            carry = self.W.T @ da
""",
)

#: what stands around its statements, and the call of its function
AROUND = "keep =", "before =", "if t", "for t", "dW, dU, carry", "return net.backward()"


@pytest.mark.parametrize(
    ("old", "new", "suspect"),
    [
        ("keep = self.h[t] > 0", "keep = self.h[t] < 0", "da = "),
        ("before = t - 1", "before = t - 2", "dW += "),
        ("if t > 0:", "if t > 1:", "dU += "),
        ("for t in range(len(self.x), 0, -1):", "for t in range(len(self.x), 1, -1):", "dU += "),
    ],
)
def test_what_decides_is_found_beside_the_suspect(tmp_path: Path, old: str, new: str, suspect: str) -> None:
    """A wrong mask, index, condition or range could not be mended: no gradient moves with it."""
    factory = cell(tmp_path, (old, new), source=MASKED)
    run, others = taped(factory)
    wrong = [name for name, true in run.true_gradients.items() if abs(run.gradients[name] - true).max() > 1e-7]
    suspects = localise(run, wrong, second=others[-1].run()).suspects
    assert line_of(suspect, MASKED) in [one.line for one in suspects[:3]]
    assert line_of(old, MASKED) not in [one.line for one in suspects]
    assert line_of(old, MASKED) in [one.line for one in statements_around(run, suspects)]


def test_statements_around_are_told_once_and_carry_no_derivative(tmp_path: Path) -> None:
    """Edits of the same statements would be run again and again, or the time be spent where the tape has judged."""
    run, _ = taped(cell(tmp_path, ("carry = self.W.T @ da", "carry = self.W @ da"), source=MASKED))
    suspects = localise(run, ["W", "U"]).suspects
    lines = [one.line for one in statements_around(run, suspects)]
    assert len(set(lines)) == len(lines)
    assert set(lines) <= {line_of(text, MASKED) for text in AROUND}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("keep = self.h[t] > 0", "keep = self.h[t - 1] > 0"),
        ("keep = self.h[t] > 0", "keep = self.h[t] < 0"),
        ("for t in range(len(self.x), 0, -1):", "for t in range(len(self.x), 1, -1):"),
    ],
)
def test_it_is_mended(tmp_path: Path, old: str, new: str) -> None:
    """The gradient would be told to be wrong, and no fix be offered."""
    found = find_by_tape(cell(tmp_path, (old, new), source=MASKED), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.statement.line for one in found.faults if one.edits] == [line_of(old, MASKED)]


#: each step's derivative is kept in a list, and what reads it stands after the loop
LISTED = HEAD.replace(
    "carry = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros(len(self.W))",
    "carry, das = (np.zeros_like(self.W), np.zeros_like(self.U), np.zeros(len(self.W)), [])",
)
LISTED = LISTED.replace("            dU += np.outer(da, self.x[t - 1])\n", "            das.append(da)\n").replace(
    "        return {",
    "        for da, x in zip(das, reversed(self.x)):\n            dU += np.outer(da, x)\n        return {",
)


def test_what_only_hands_on_to_a_list_is_mended(tmp_path: Path) -> None:
    """A term that is missing where a value is kept would be looked for where the value was calculated."""
    bug = ("da = dh * (1 - self.h[t]**2)", "da = self.h[t] * (1 - self.h[t]**2); rest = carry * (1 - self.h[t]**2)")
    kept = ("das.append(da)", "das.append(da)")
    fixed = [
        bug,
        ("carry = self.W.T @ da", "carry = self.W.T @ (da + rest)"),
        ("np.outer(da, self.h", "np.outer(da + rest, self.h"),
    ]
    found = find_by_tape(cell(tmp_path, *fixed, kept, source=LISTED), 0, SIZES, {"U"})
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    assert fault.statement.text == "das.append(da)"
    assert [edit.text for edit in fault.edits] == ["da + rest"]


#: what is read is bound in one of two branches
BRANCHED = LISTS.replace(
    "        di = dc * (g - cs[t])\n",
    """\
        if t == 0:
            before = np.zeros((n, 1))
        else:
            before = cs[t]
        di = dc * (g - before)
""",
)


def test_the_condition_that_decides_what_is_bound_is_looked_at(tmp_path: Path) -> None:
    """A state that is fetched by the wrong branch would be told at the line that reads it, and never mended."""
    old, reader = "if t == 0:", "di = dc * (g - before)"
    run, _ = taped(cell(tmp_path, (old, "if t == 1:"), source=BRANCHED))
    statement = next(one for one in run.statements if one.line == line_of(reader, BRANCHED))
    around = [one.line for one in statements_around(run, [SimpleNamespace(statement=statement)])]
    assert {line_of(old, BRANCHED), line_of("before = cs[t]", BRANCHED)} <= set(around)


def test_the_loop_behind_what_a_suspect_reads_is_mended(tmp_path: Path) -> None:
    """An array over time, of which a loop that stops too soon leaves a row out, would be told where it is read."""
    old, new = "for t in range(T - 2, -1, -1):", "for t in range(T - 2, 0, -1):"
    factory = cell(tmp_path, (old, new), source=CHAIN)
    run, _ = taped(factory)
    for text in ("db = np.exp", 'return {"A": dA'):
        reader = next(one for one in run.statements if one.line == line_of(text, CHAIN))
        around = [one.line for one in statements_around(run, [SimpleNamespace(statement=reader)])]
        assert line_of(old, CHAIN) in around
    found = find_by_tape(factory, 0, dict(factory.sizes), {"b"})
    assert found is not None
    assert found.still_wrong == ()
    assert [(one.statement.line, [edit.text for edit in one.edits]) for one in found.faults] == [
        (line_of(old, CHAIN), ["range(T - 2, -1, -1)"])
    ]


#: a loop that stands on one line with what it repeats
ON_ONE_LINE = """\
import numpy as np
import gradcheck


def loss(p, x):
    n = len(p["w"])
    return 0.5 * sum(np.tanh(p["w"][k] * x[k]) ** 2 for k in range(n))


def grads(p, x):
    w, n = np.zeros_like(p["w"]), len(x)
    h = np.tanh(p["w"] * x)
    for k in range(n): w[k] += h[k] * (1 - h[k] ** 2) * x[k]
    return {"w": w}


@gradcheck.target
def cell(rng, *, H=4):
    p, x = {"w": rng.standard_normal(H)}, rng.standard_normal(H)
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""


@pytest.mark.parametrize("wrong", ["range(1, n)", "range(n - 1)"])
def test_a_loop_on_one_line_is_mended(wrong: str, tmp_path: Path) -> None:
    """A range that leaves a unit out would be told at what returns the gradient, and the loop be written out again."""
    bug = ("for k in range(n): w", f"for k in {wrong}: w")
    factory = cell(tmp_path, bug, source=ON_ONE_LINE)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"w"})
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    assert fault.line == line_of(bug[0], ON_ONE_LINE)
    (edit,) = fault.edits
    assert edit.text.startswith("range(")


#: what is carried goes on through a call, by a condition that stands in another function than what is calculated
RESETS = """\
import numpy as np
import gradcheck


def forward(W, x, first):
    h, hs, before = np.zeros(len(W)), [], []
    for t, xt in enumerate(x):
        before.append(np.zeros(len(W)) if t == 0 or first[t] else h)
        h = np.tanh(W @ before[-1] + xt)
        hs.append(h)
    return hs, before


def step(dW, dh, W, h, before):
    da = dh * (1 - h**2)
    dW += np.outer(da, before)
    return W.T @ da


def backward(W, x, first):
    hs, before = forward(W, x, first)
    dW, carry = np.zeros_like(W), np.zeros(len(W))
    for t in reversed(range(len(x))):
        back = step(dW, hs[t] + carry, W, hs[t], before[t])
        if t == 0 or first[t]:
            carry = np.zeros(len(W))
        else:
            carry = back
    return {"W": dW}


@gradcheck.target
def cell(rng):
    W, x, first = rng.standard_normal((3, 3)), rng.standard_normal((5, 3)), [t == 2 for t in range(5)]
    return gradcheck.Target(
        {"W": W}, lambda: 0.5 * float(sum(np.sum(h**2) for h in forward(W, x, first)[0])),
        lambda: backward(W, x, first),
    )
"""


@pytest.mark.parametrize("wrong", ["if t == 0:", "if t == 0 and first[t]:"])
def test_a_condition_that_asks_less_than_the_forward_is_mended(wrong: str, tmp_path: Path) -> None:
    """What is carried would go on where the forward begins anew, and a right statement would be accused."""
    factory = cell(tmp_path, ("if t == 0 or first[t]:", wrong), source=RESETS)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (fault,) = found.faults
    assert fault.statement.line == line_of("if t == 0 or first[t]:", RESETS)


def test_conditions_that_decide_where_a_derivative_goes_are_looked_at_wherever_they_stand(tmp_path: Path) -> None:
    """A condition that stands far from all suspects would never be edited."""
    run, _ = taped(cell(tmp_path, ("if t == 0 or first[t]:", "if t == 0:"), source=RESETS))
    around = [(one.line, one.kind) for one in statements_around(run, [])]
    assert around == [(line_of("if t == 0 or first[t]:", RESETS), "If")]
