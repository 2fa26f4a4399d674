"""An edit is verified only if what it claims is right in the edited code, and nothing else is less."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._checking.verifier import Behaviour, Claim, Outcome, Verifier, at_other_parameters, behaviour, objections

pytestmark = pytest.mark.lines

BEFORE = Outcome({"W": "wrong", "b": "right", "x": "vacuous"}, {"T=1": {"W": "wrong", "b": "right"}}, {"purity": True})
CLAIM = Claim(frozenset({"W"}))
MENDED = Outcome({"W": "right", "b": "right", "x": "vacuous"}, {"T=1": {"W": "right", "b": "right"}}, {"purity": True})


def test_what_is_right_is_accepted() -> None:
    """No edit would ever be verified."""
    assert objections(BEFORE, MENDED, CLAIM) == ()


@pytest.mark.parametrize("verdict", ["vacuous", "inconclusive", "wrong"])
def test_not_wrong_is_not_enough(verdict: str) -> None:
    """`x - x` makes a gradient zero where the loss does not move: vacuous, and written into the user's file."""
    after = Outcome({**MENDED.verdicts, "W": verdict}, MENDED.elsewhere, MENDED.laws)
    assert objections(BEFORE, after, CLAIM)


def test_nothing_that_was_right_may_be_less() -> None:
    """An edit would mend one gradient and spoil another, here or at another size."""
    assert objections(BEFORE, Outcome({**MENDED.verdicts, "b": "inconclusive"}, MENDED.elsewhere), CLAIM)
    assert objections(BEFORE, Outcome(MENDED.verdicts, {"T=1": {"W": "right", "b": "vacuous"}}), CLAIM)
    assert objections(BEFORE, Outcome({"W": "right", "x": "vacuous"}, MENDED.elsewhere), CLAIM)


def test_right_at_the_default_sizes_alone_is_refused() -> None:
    """A constant that fits one size would be taken for the mend."""
    assert objections(BEFORE, Outcome(MENDED.verdicts, {"T=1": {"W": "wrong", "b": "right"}}), CLAIM)
    few = {"T=1": {"W": "right"}, "T=2": {"W": "inconclusive"}, "T=3": {"W": "inconclusive"}}
    assert objections(Outcome(BEFORE.verdicts), Outcome(MENDED.verdicts, few), CLAIM)


def test_a_gradient_of_other_sizes_alone_is_judged_there() -> None:
    """Where the number of layers is a size, no edit would be verified: the third layer is missing by default."""
    claim = Claim(frozenset({"W", "W3"}))
    before = Outcome(BEFORE.verdicts, {"L=3": {"W": "wrong", "W3": "wrong"}})
    assert objections(before, Outcome(MENDED.verdicts, {"L=3": {"W": "right", "W3": "right"}}), claim) == ()
    assert objections(before, Outcome(MENDED.verdicts, {"L=3": {"W": "right", "W3": "vacuous"}}), claim)
    assert objections(before, Outcome(MENDED.verdicts, {"L=3": {"W": "right"}}), claim)
    assert objections(Outcome(BEFORE.verdicts), Outcome(MENDED.verdicts), claim) == ()  # asked at one size alone


def test_laws_that_held_must_hold() -> None:
    """An edit that writes into a parameter would be verified."""
    assert objections(BEFORE, Outcome(MENDED.verdicts, MENDED.elsewhere, {"purity": False}), CLAIM)


def test_a_law_that_was_never_asked_is_not_newly_broken() -> None:
    """A clip elsewhere, which shows once all gradients are right, would make every right edit unverifiable."""
    assert not objections(BEFORE, Outcome(MENDED.verdicts, MENDED.elsewhere, {"purity": True, "scale": False}), CLAIM)
    asked = Claim(frozenset({"W"}), frozenset({"scale"}))
    assert objections(BEFORE, Outcome(MENDED.verdicts, MENDED.elsewhere, {"scale": False}), asked)


def test_a_common_factor_is_no_part_of_a_mend() -> None:
    """An edit that makes all gradients T times too large would pass, T being divided out before they are judged."""
    assert objections(BEFORE, Outcome(MENDED.verdicts, MENDED.elsewhere, MENDED.laws, factor="T"), CLAIM)
    known = Claim(frozenset({"W"}), factor="T")
    assert not objections(BEFORE, Outcome(MENDED.verdicts, MENDED.elsewhere, MENDED.laws, factor="T"), known)


def test_every_point_is_asked() -> None:
    """What is right with one seed alone would be verified."""
    after = iter([BEFORE, BEFORE, MENDED, BEFORE])
    asked: list[frozenset[str]] = []

    def point(suspects: frozenset[str]) -> Outcome:
        asked.append(suspects)
        return next(after)

    verifier = Verifier((point, point), suspects=frozenset({"W", "b"}))
    verifier.learn()
    assert verifier.wrong() == {"W"}
    assert verifier.objections(CLAIM)
    assert asked == [{"W", "b"}] * 2 + [{"b"}] * 2  # what is to be right now is judged in full


def test_a_point_at_which_the_code_raises_is_left_out() -> None:
    """Code that does not run at other parameters would never get a verified edit."""

    def raising(_: frozenset[str]) -> Outcome:
        raise gradcheck.TargetError("outside of the domain")

    verifier = Verifier((raising,))
    verifier.learn()
    assert verifier.objections(CLAIM) == ()


def test_lines_that_no_longer_run_and_new_warnings_are_seen() -> None:
    """An edit of a condition's value would switch a clip off, or make it NaN, and be called a mend."""

    def clipped(limit: float) -> float:
        norm = np.sqrt(np.float64(limit))
        value = 2.0
        if norm < value:
            value = norm
        return value

    small, large, invalid = (behaviour(lambda value=value: clipped(value)) for value in (1.0, 9.0, -1.0))
    assert small.objections(small, frozenset()) == ()
    (skipped,) = small.objections(large, frozenset())
    assert "no longer runs" in skipped
    assert any("RuntimeWarning" in one for one in small.objections(invalid, frozenset()))
    ((file, line, _),) = small.lines - large.lines
    assert small.objections(large, frozenset({(file, line)})) == ()
    assert Behaviour(frozenset(), frozenset({"a"})).objections(Behaviour(frozenset(), frozenset()), frozenset()) == ()


def test_a_helper_need_not_be_called_any_more() -> None:
    """An edit that writes out what a wrong helper should have given would never be verified."""

    def helper() -> float:
        return 1.0

    def with_helper(wanted: bool) -> float:
        return helper() if wanted else 2.0

    before, after = (behaviour(lambda wanted=wanted: with_helper(wanted)) for wanted in (True, False))
    assert before.lines != after.lines
    assert before.objections(after, frozenset()) == ()


def test_other_parameters_are_put_back() -> None:
    """A check with lines would leave a model with other weights."""
    w = np.array([1.0, -2.0])
    target = gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})
    with at_other_parameters(target, 0):
        assert np.all(w != [1.0, -2.0])
    assert list(w) == [1.0, -2.0]


def test_it_is_counted_how_widely_an_edit_was_judged() -> None:
    """The help line would promise more sizes and seeds than the edited code was asked with, or none."""
    verifier = Verifier((lambda _: MENDED, lambda _: Outcome(MENDED.verdicts)), (lambda _: MENDED,))
    for number in range(3):
        verifier.know(number, BEFORE)
    assert verifier.objections(CLAIM) == ()
    assert (verifier.sizes, verifier.seeds) == (2, 3)
