"""What is told of lines, and what is told where none is known."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from gradcheck._checking import lines
from gradcheck._common import errors
from gradcheck._repair import explain
from gradcheck.report.codes import FindingCode
from tests.gradcheck._checking.small_nets import network, squares

pytestmark = pytest.mark.lines


def activations(report: Any) -> list[str]:
    """The messages on mistakes in activations."""
    return [found.message for found in report.findings if found.kind == "activation"]


def test_no_edit_hides_that_one_parameter_is_a_copy() -> None:
    """A right line would be accused, and zeros be advised, where the target hands over another array than is read."""
    shapes = ((3, 2), (2,), (5, 3))
    w, b, x = (np.random.default_rng(seed).normal(size=shape) for seed, shape in enumerate(shapes))

    def grads() -> dict[str, Any]:
        t = np.tanh(x @ w + b)
        d = 2 * t * (1 - t * t) / t.size
        return {"w": x.T @ d, "b": d.sum(0)}

    report = check(Target({"w": w.copy(), "b": b}, lambda: np.mean(np.tanh(x @ w + b) ** 2), grads))
    (finding,) = report.findings
    assert (finding.code, finding.blocks, finding.line) == (FindingCode.PHANTOM, ("w",), None)


@pytest.mark.parametrize(
    ("model", "bug", "said"),
    [
        ("Rnn", "applied twice", "the gradient of b is tanh'(a) times the true one (4 of its entries"),
        ("Rnn", "tanh left out", "as if tanh' was left out"),
        ("Rnn", "tanh of tanh", "as if tanh' was taken of tanh(a), which is activated already"),
        ("Lstm", "forget gate", "at entries 4..7 of 16 (gate 2 of 4), is 1 / σ'(a) times the true one"),
        ("Lstm", "forget gate", "as if σ' was left out"),
    ],
)
def test_an_activation_is_named_without_source(nowhere: dict[str, Any], model: str, bug: str, said: str) -> None:
    """A derivative applied twice or left out would be no more than wrong where no line can be read."""
    report = check(nowhere["factory"](nowhere[model], bug))
    (message,) = activations(report)
    assert said in message
    assert "at T=1, B=1, D=1, H=4 the gradient of b" in message
    assert report.notes == ("no line can be named: the source of the functions that ran is not at hand",)


def test_a_bias_that_is_zero_in_the_loss_is_passed_over() -> None:
    """A check would end in a division by zero where the loss does not depend on a bias."""
    params = {"b": np.ones(3)}
    space = {"np": np, "b": params, "k": np.array([1.0, 2.0, 0.0]), "dk": np.array([1.0, 2.0, 3.0])}
    exec("def loss(): return k @ np.tanh(b['b'])\ndef grads(): return {'b': dk.copy()}", space)
    report = check(Target(params, space["loss"], space["grads"]))
    assert "the gradient of b, at entries 0..1 of 3, is 1 / tanh'(a)" in "".join(activations(report))


@pytest.mark.parametrize(
    ("model", "bug"),
    [
        ("Rnn", "not transposed"),
        ("Rnn", "no carry"),
        ("Rnn", "factor"),
        ("Lstm", "cell not carried"),
        ("Lstm", "i for g"),
    ],
)
def test_no_activation_is_named_where_another_thing_is_wrong(nowhere: dict[str, Any], model: str, bug: str) -> None:
    """Somebody would look for a mistake in an activation that is right."""
    report = check(nowhere["factory"](nowhere[model], bug))
    assert report.verdict == "wrong"
    assert not activations(report)


def test_a_search_that_fails_keeps_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mistake of ours in the search would end a check that knows what is wrong."""

    def failing(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(errors, "SEARCH_ERRORS_RAISE", False)
    monkeypatch.setattr(explain, "find_by_tape", failing)
    report = check(network())
    assert report.blocks["W"].verdict == "wrong"
    assert report.notes[-1] == "the backward could not be followed: of ours"
    assert all(finding.line is None for finding in report.findings)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the addresses of a process")
def test_a_search_that_takes_all_memory_keeps_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system would kill the check, and with it the verdict; and the note would give no reason."""

    def failing(*_: Any, **__: Any) -> None:
        bytes(12 * lines.SEARCH_MEMORY)
        raise AssertionError("not bounded")

    monkeypatch.setattr(errors, "SEARCH_ERRORS_RAISE", False)
    monkeypatch.setattr(explain, "find_by_tape", failing)
    monkeypatch.setattr(lines, "SEARCH_MEMORY", 1 << 28)
    report = check(network())
    assert report.blocks["W"].verdict == "wrong"
    assert report.notes[-1] == "the backward could not be followed: MemoryError"


def test_it_is_told_how_widely_an_edit_was_verified() -> None:
    """The fix would not say at how many sizes, or with how many seeds, the edited code was right."""
    (finding,) = check(network()).findings
    assert finding.fix is not None
    # seven sets of sizes, and those far above the defaults, at which what is wrong is not looked at
    assert (finding.fix.verified, finding.fix.sizes, finding.fix.seeds) == (True, 9, 3)
    (finding,) = check(squares(3.0)).findings
    assert finding.fix is not None
    assert (finding.fix.verified, finding.fix.sizes, finding.fix.seeds) == (True, 1, 3)
