"""Why no line is named where none is."""

from __future__ import annotations

import array
import sys
from typing import Any

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._repair import no_line, points
from gradcheck._repair.no_line import IN_FLOAT32, OTHERS_ARE_WRONG, TOO_LARGE, why_none_found, why_not_looked_for
from gradcheck._tape import TapeTooLargeError
from gradcheck._usercode.foreign import ForeignCall


def squares(dtype: Any = np.float64) -> Target:
    """loss = sum of w^2, with a wrong gradient, of parameters that cannot be replaced."""
    w = np.arange(1, 4).astype(dtype)
    return Target(lambda: {"w": w}, lambda: (w**2).sum(), lambda: {"w": 3 * w})


def said(subject: Target, expected: set[str] | None = None) -> str:
    """What is said where the check found these gradients wrong."""
    return why_none_found(subject, 0, {}, None, {"w"} if expected is None else expected, ())


def test_nothing_special_is_known() -> None:
    """A reason would be given that is none."""
    assert said(squares()) == ""
    assert why_none_found(squares(), 0, {}, None, None, ()) == ""
    assert why_not_looked_for(squares(), 0, {}) == ""


def test_single_precision_that_cannot_be_replaced() -> None:
    """A user would not know that double precision helps."""
    assert said(squares(np.float32)) == IN_FLOAT32


def test_other_gradients_are_wrong_on_the_tape() -> None:
    """The check and the tape would disagree, and nobody be told."""
    assert said(squares(), set()) == OTHERS_ARE_WRONG


def test_a_backward_that_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user would not know that smaller sizes help."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise TapeTooLargeError("more than allowed")

    monkeypatch.setattr(points, "tape_target", refuse)
    assert said(squares()) == TOO_LARGE


def test_source_that_is_not_at_hand() -> None:
    """A user of a REPL would not know why no line is named."""
    space: dict[str, Any] = {"w": np.ones(3)}
    exec("def loss(): return float((w**2).sum())\ndef grads(): return {'w': 3 * w}", space)
    target = Target({"w": space["w"]}, space["loss"], space["grads"])
    assert said(target) == "no line can be named: the source of the functions that ran is not at hand"


def test_gradients_that_are_not_seen() -> None:
    """A user would not know that an array in place of what is returned helps."""
    w = np.arange(1.0, 4.0)
    target = Target({"w": w}, lambda: float((w**2).sum()), lambda: {"w": array.array("d", 3 * w)})
    assert said(target) == "no line can be named: the gradient of w is returned in a way that the tape cannot see"
    assert said(target, set()) == OTHERS_ARE_WRONG


def test_an_error_of_the_tape() -> None:
    """What the tape fails at would be passed over in silence."""
    w = np.arange(1.0, 4.0)
    # so near to where it has no value that a difference cannot be taken
    target = Target({"w": w}, lambda: float(np.linalg.cholesky(np.diag(1e-6 * w)).sum()), lambda: {"w": 3 * w})
    assert said(target).startswith("no line can be named: the tape cannot go back through cholesky (")


def test_code_that_sees_that_it_is_taped() -> None:
    """The tape's failure would be taken for an error of the user's code."""
    w = np.arange(1.0, 4.0)

    def variable(name: str) -> Any:
        return sys._getframe(1).f_locals[name]

    def loss() -> float:
        v = w * 1.0
        return float((variable("v") * v).sum())

    told = said(Target({"w": w}, loss, lambda: {"w": 3 * w}))
    assert told.startswith("no line can be named: the code runs, but not on the tape: loss() raised KeyError: 'v'")


def test_code_that_raises_has_no_other_reason() -> None:
    """The search for a reason would end in an error of the user's code."""

    def raises() -> Any:
        raise ValueError

    assert said(Target({"w": np.ones(3)}, lambda: 1.0, raises)) == ""


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["lib.f"], "the code calls lib.f (x.py:1), whose code cannot be seen, and"),
        (["lib.f", "lib.g"], "the code calls lib.f (x.py:1) and lib.g (x.py:2), whose code cannot be seen, and"),
    ],
)
def test_what_calls_c_is_told_in_a_sentence(names: list[str], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two kernels it would be said that they is called."""
    calls = [ForeignCall(name, "x.py", line) for line, name in enumerate(names, 1)]
    monkeypatch.setattr(no_line, "foreign_calls", lambda _: calls)
    found = why_not_looked_for(squares(), 0, {})
    assert told in found
    assert ("what they return" in found) == (len(names) > 1)
