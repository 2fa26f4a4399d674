"""Slopes of functions that the forward takes of something at hand, as factors that are missing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradcheck
from gradcheck._mending.residual import Residual
from gradcheck._mending.slopes import slopes
from gradcheck._mending.suspects import Suspect
from gradcheck._tape import tape_target
from tests.gradcheck._mending.pieces import candidates
from tests.gradcheck._repair.spoiled import cell, looked_for
from tests.gradcheck._tape.programs import draw, module

#: a function of a parameter, of which the slope is left out
PROGRAM = """
import numpy as np

def loss(p, u):
    w = p["w"]
    return np.sum({function} * u)

def grads(p, u):
    w = p["w"]
    dw = u * 1
    return {{"w": dw}}
"""


def offered(folder: Path, function: str) -> set[str]:
    """What the statement without a slope becomes."""
    made, u = module(folder, PROGRAM.format(function=function)), draw(3, seed=1)
    p = {"w": np.abs(draw(3)) if "sqrt" in function or "log(w" in function else draw(3)}
    target = gradcheck.Target(p, lambda: made.loss(p, u), lambda: made.grads(p, u))
    run = tape_target(target, target.values())
    statement = next(one for one in run.statements if one.text.startswith("dw ="))
    return set(candidates(Suspect(run, statement, Residual(run)), slopes))


@pytest.mark.parametrize(
    ("function", "slope"),
    [
        ("np.exp(w)", "np.exp(w)"),
        ("np.expm1(w)", "np.exp(w)"),
        ("np.exp(-w)", "-np.exp(-w)"),
        ("np.log(1 + np.exp(w))", "(1 / (1 + np.exp(-w)))"),
        ("np.log(np.exp(w) + 1)", "(1 / (1 + np.exp(-w)))"),
        ("np.log1p(np.exp(w))", "(1 / (1 + np.exp(-w)))"),
        ("np.logaddexp(0, w)", "(1 / (1 + np.exp(-w)))"),
        ("np.abs(w)", "np.sign(w)"),
        ("np.tanh(w)", "(1 - np.tanh(w) ** 2)"),
        ("np.log(w)", "(1 / w)"),
        ("np.sqrt(w)", "(1 / (2 * np.sqrt(w)))"),
        ("np.sin(w)", "np.cos(w)"),
        ("np.cos(w)", "-np.sin(w)"),
        ("np.arctan(w)", "(1 / (1 + w ** 2))"),
    ],
)
def test_the_slope_of_what_the_forward_takes_is_a_factor(function: str, slope: str, tmp_path: Path) -> None:
    """A parameter that is kept as a logarithm, or a rate behind a softplus, without its slope would get no fix."""
    assert f"dw = u * 1 * {slope}" in offered(tmp_path, function)


def test_the_sign_of_what_a_size_is_taken_of_stands_alone_as_well(tmp_path: Path) -> None:
    """The derivative of a penalty on sizes that is written without its sign would get no fix."""
    assert "dw = np.sign(w)" in offered(tmp_path, "np.abs(w)")
    assert "dw = np.exp(w)" not in offered(tmp_path, "np.exp(w)")


@pytest.mark.parametrize("function", ["w * w * w", "np.exp(2 * w)", "np.tanh(w + 1)"])
def test_of_what_the_forward_takes_no_function_there_is_no_slope(function: str, tmp_path: Path) -> None:
    """Slopes of every function of all that is at hand would be tried, and one be right by chance."""
    assert offered(tmp_path, function) == set()


#: a leaky sum over time, whose rates are kept as logarithms
RATES = """\
import numpy as np
import gradcheck


def walk(p, x):
    h, hs = np.zeros(len(p["log_tau"])), [np.zeros(len(p["log_tau"]))]
    for xt in x:
        h = 0.5 * h + np.tanh(np.exp(p["log_tau"]) * xt)
        hs.append(h)
    return hs


def loss(p, x):
    return 0.5 * sum(np.sum(h ** 2) for h in walk(p, x))


def grads(p, x):
    hs, log_tau = walk(p, x), p["log_tau"]
    dtau, carry = np.zeros_like(log_tau), np.zeros_like(log_tau)
    for t in reversed(range(len(x))):
        dh = hs[t + 1] + carry
        v = hs[t + 1] - 0.5 * hs[t]
        dtau += dh * (1 - v ** 2) * x[t] * np.exp(log_tau)
        carry = 0.5 * dh
    return {"log_tau": dtau}


@gradcheck.target
def cell(rng, *, T=3, H=2):
    p, x = {"log_tau": rng.standard_normal(H)}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""


@pytest.mark.lines
def test_the_gradient_of_a_logarithm_is_mended(tmp_path: Path) -> None:
    """What is offered would never be found to be right where a whole backward is looked at."""
    right = "dh * (1 - v ** 2) * x[t] * np.exp(log_tau)"
    factory = cell(tmp_path, (right, "dh * (1 - v ** 2) * x[t]"), source=RATES)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == RATES
