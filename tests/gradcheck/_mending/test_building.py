"""What holes are built of: variables as they will be once it is right, or as they are with what calls have given."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._mending import Budget, mends
from gradcheck._mending.building import _reads_another
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._tape import Node, TapedRun
from tests.gradcheck._repair.spoiled import HEAD, cell, taped

#: a network in both directions over several sentences, whose function of the backward writes into a dictionary
BOTH_WAYS = """\
import numpy as np
import gradcheck


def run(W, x):
    h, hs = np.zeros(len(W)), [np.zeros(len(W))]
    for xt in x:
        h = np.tanh(W @ h + xt)
        hs.append(h)
    return np.array(hs)


def back(W, hs, dhs, g, name):
    carry = np.zeros(len(W))
    for t in reversed(range(len(dhs))):
        dz = (dhs[t] + carry) * (1 - hs[t + 1] ** 2)
        g[name] = g[name] + np.outer(dz, hs[t])
        carry = W.T @ dz
        dhs[t] = dz
    return dhs


def inputs(p, sentence):
    return np.tanh(sentence * p["E"])


def loss(p, x, y):
    total = 0.0
    for sentence, target in zip(x, y):
        e = inputs(p, sentence)
        out = run(p["F"], e)[1:] + run(p["B"], e[::-1])[1:][::-1]
        total += 0.5 * np.sum((out - target) ** 2)
    return total


def grads(p, x, y):
    g = {name: np.zeros_like(one) for name, one in p.items()}
    for sentence, target in zip(x, y):
        e = inputs(p, sentence)
        forth, other = run(p["F"], e), run(p["B"], e[::-1])
        d = forth[1:] + other[1:][::-1] - target
        de = back(p["F"], forth, d.copy(), g, "F")
        de = de + back(p["B"], other, d[::-1].copy(), g, "B")[::-1]
        g["E"] += (de * (1 - e ** 2) * sentence).sum(axis=0)
    return g


@gradcheck.target
def cell(rng, *, N=2, T=3, H=2):
    p = {"F": rng.standard_normal((H, H)), "B": rng.standard_normal((H, H)), "E": rng.standard_normal(H)}
    x, y = rng.standard_normal((N, T, H)), rng.standard_normal((N, T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
RIGHT = 'back(p["B"], other, d[::-1].copy(), g, "B")[::-1]'
WRONG = RIGHT.removesuffix("[::-1]")


def values_at(run: TapedRun, text: str) -> list[Node]:
    """The values of an expression."""
    return [node for node in run.nodes if node.place is not None and node.place.text == text]


def test_what_a_call_gave_that_cannot_be_called_again_is_kept(tmp_path: Path) -> None:
    """Of a call that writes into what it is handed nothing would be known at other executions than the first."""
    run, _ = taped(cell(tmp_path, (RIGHT, WRONG), source=BOTH_WAYS))
    statement = next(one for one in run.statements if one.text.startswith("de = de + back"))
    found = mends(run, statement, budget=Budget(runs=0))
    assert found
    assert [edit.text for edit in found[0].edits] == [RIGHT]


@pytest.mark.lines
def test_the_result_of_such_a_call_is_turned_round(tmp_path: Path) -> None:
    """A pass in the other direction whose result comes back in the wrong order would get no fix."""
    factory = cell(tmp_path, (RIGHT, WRONG), source=BOTH_WAYS)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"E"})
    assert found is not None
    assert found.still_wrong == ()
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == BOTH_WAYS


def test_executions_that_read_one_another_are_told_apart(tmp_path: Path) -> None:
    """What a carry brings would be taken from a run in which it is wrong, or the results of calls be lost."""
    run, _ = taped(cell(tmp_path, source=HEAD))
    steps = values_at(run, "dh * (1 - self.h[t]**2)")
    assert len(steps) > 1
    assert _reads_another(steps)
    assert not _reads_another(values_at(run, "np.outer(da, self.x[t - 1])"))
    assert not _reads_another(steps[:1])
