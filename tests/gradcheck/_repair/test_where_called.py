"""One edit in a function that all its callers would have to do without."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.tape_findings import tape_findings
from tests.gradcheck._repair.spoiled import cell, line_of

GATES = """\
import numpy as np
import gradcheck


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sigmoid_prime(s):
    return s * (1 - s)


def forward(p, x):
    f, i = sigmoid(x @ p["F"]), sigmoid(x @ p["I"])
    return f, i, np.tanh(f * x) + i**2


def grads(p, x):
    f, i, y = forward(p, x)
    dy = y / len(x)
    df = dy * (1 - np.tanh(f * x) ** 2) * x
    di = dy * 2 * i
    dzf = df * sigmoid_prime(f)
    dzi = di * sigmoid_prime(i)
    return {"F": x.T @ dzf, "I": x.T @ dzi}


@gradcheck.target
def cell(rng, *, B=3, D=3):
    p, x = {name: rng.standard_normal((D, D)) for name in "FI"}, rng.standard_normal((B, D))
    return gradcheck.Target(p, lambda: 0.5 * float(np.sum(forward(p, x)[2] ** 2)) / len(x), lambda: grads(p, x))
"""
DEFINED = "return s * (1 - s)"


def told(folder: Path, *bugs: tuple[str, str]) -> dict[int | None, str]:
    """The lines that are told, each with what it becomes."""
    factory = cell(folder, *bugs, source=GATES)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"F", "I"})
    assert found is not None
    assert found.still_wrong == ()
    return {one.line: one.fix.after for one in tape_findings(found, verified=True)}


@pytest.mark.parametrize("wrong", ["return 1 - s", "return s * (1 + s)"])
def test_a_helper_that_is_wrong_for_all_is_mended_itself(tmp_path: Path, wrong: str) -> None:
    """Each call of it would be written anew, and the helper stay wrong."""
    assert list(told(tmp_path, (DEFINED, wrong))) == [line_of(DEFINED, GATES)]


def test_a_helper_that_is_a_derivative_is_not_changed(tmp_path: Path) -> None:
    """What is right by its name would be changed, since all who call it hand it an activation."""
    found = told(tmp_path, (DEFINED, "return sigmoid(s) * (1 - sigmoid(s))"))
    assert list(found) == [line_of("dzf = df", GATES), line_of("dzi = di", GATES)]


def test_a_helper_that_one_caller_uses_wrongly_stays(tmp_path: Path) -> None:
    """A right helper would be changed for the one who hands it something else."""
    old = "dzf = df * sigmoid_prime(f)"
    found = told(tmp_path, (old, old.replace("(f)", "(np.tanh(f))")))
    assert list(found) == [line_of(old, GATES)]
