"""What edits are verified by: a whole check of the edited code, and what it says of each gradient and law."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gradcheck
from gradcheck._checking.outcomes import outcome_in, verifier_of
from gradcheck._checking.pace import Headway, TimeTable
from gradcheck._checking.without_lines import CheckRun
from tests.gradcheck._checking.small_nets import network, squares
from tests.gradcheck.networks import Rnn, factory

pytestmark = pytest.mark.lines


def run_of(subject: Any) -> CheckRun:
    """A check of a subject that is under way."""
    return CheckRun(subject, 0, Headway(None, TimeTable(None), has_limits=False))


#: a wrong backward, and parts of messages that a destructive edit would have
DESTRUCTIVE = {
    "copies": """
class Net:
    def __init__(self, rng): self.w = rng.standard_normal(3)
    def loss(self, x): return float((np.tanh(self.w * x) ** 2).sum())
    def grads(self, x):
        h = np.tanh(self.w * x)
        gw = 2 * h * (1 - h**2) * x
        return {"w": gw}

@gradcheck.target
def subject(rng, *, n=3):
    net, x = Net(rng), rng.standard_normal(3)
    return gradcheck.Target({"w": net.w.copy()}, lambda: net.loss(x), lambda: net.grads(x), inputs={"x": x})
""",
    "piecewise constant": """
@gradcheck.target
def subject(rng, *, N=6, D=3):
    w, x, y = rng.standard_normal(D), rng.standard_normal((N, D)), np.arange(N) % 2
    def loss(): return float(np.mean((x @ w > 0) != y))
    def grads():
        p = 1 / (1 + np.exp(-(x @ w)))
        g = x.T @ (p - y) / len(y)
        return {"w": g}
    return gradcheck.Target({"w": w}, loss, grads)
""",
    "clipped by the norm": """
def backward(d, x):
    dW = x.T @ d
    norm = np.sqrt(np.sum(dW**2))
    if norm > 0.5:
        dW *= 0.5 / norm
    return dW

@gradcheck.target
def subject(rng, *, N=3, D=3, H=5):
    W, x = rng.standard_normal((D, H)), rng.standard_normal((N, D))
    def grads(): return {"W": backward(2 * (x @ W), x)}
    return gradcheck.Target({"W": W}, lambda: float(np.sum((x @ W) ** 2)), grads)
""",
}


@pytest.mark.parametrize("kind", DESTRUCTIVE)
def test_a_destructive_edit_is_refused(kind: str, tmp_path: Path) -> None:
    """A right gradient would be replaced by zero, or its clip be switched off, and that be called verified."""
    from gradcheck._common.files import load

    file = tmp_path / f"{kind.replace(' ', '_')}.py"
    file.write_text("import numpy as np\nimport gradcheck\n" + DESTRUCTIVE[kind])
    report = gradcheck.check(load(file).subject)
    assert not report.ok
    assert not report.patch
    assert not any(finding.fix and finding.fix.verified for finding in report.findings)


def test_an_outcome_has_the_verdicts_at_each_size() -> None:
    """An edit that is right at one size alone would be verified."""
    run = run_of(network())
    report = run.report()
    outcome = outcome_in(run, report)
    assert outcome.verdicts == {"W": "wrong", "b": "right"}
    assert outcome.sizes == len(report.trials) == 7
    assert all(verdicts == {"W": "wrong", "b": "right"} for verdicts in outcome.elsewhere.values())
    assert outcome.laws == {law.name: law.holds for law in report.laws.values()}


def test_a_factor_that_is_all_that_is_wrong_is_excused() -> None:
    """An edit of another fault would never be verified beside gradients that are B times too large."""
    run = run_of(factory(Rnn, "sum over B"))
    outcome = outcome_in(run, run.report())
    assert outcome.factor == "B"
    assert set(outcome.verdicts.values()) == {"right"}
    assert not outcome.wrong


def test_what_is_asked_for_an_edit_is_counted() -> None:
    """The cost of the verification would be missing from the cost of the check."""
    run = run_of(squares(3.0))
    verifier = verifier_of(run, run.report())
    before = run.headway.evaluations
    verifier.learn()
    assert verifier.wrong() == {"w"}
    assert run.headway.evaluations > before
