"""One target at one point: in which order it is asked, and how far an audit goes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from gradcheck import Block, Target, UserCodeError
from gradcheck._checking.audit import NOT_REPEATABLE_MESSAGE, Audit, AuditOptions, audit
from gradcheck._laws.choice import EVERY
from gradcheck.report.records import Law
from tests.gradcheck.networks import Rnn, sine, vjp_target


def two_wrong() -> Target:
    """Two gradients that are wrong by a factor, and one that is right."""
    params = {name: np.linspace(0.1, 0.9, 4) for name in "abc"}
    factors = {"a": 1.5, "b": 1.0, "c": 0.5}
    return Target(
        params,
        lambda: sum(np.sin(w).sum() for w in params.values()),
        lambda: {name: factors[name] * np.cos(w) for name, w in params.items()},
    )


def test_a_law_that_was_broken_stays_broken() -> None:
    """A breach would be forgotten when the law is asked again."""
    found = Audit()
    found.note(Law("finite", True, "all finite"))
    found.note(Law("finite", False, "nan"), Law("finite", True, "all finite"))
    assert found.laws["finite"].message == "nan"


@pytest.mark.parametrize(
    ("verdicts", "breach", "expected"),
    [
        (["right", "right"], None, "right"),
        (["right", "vacuous"], None, "vacuous"),
        (["right"], "inconclusive", "inconclusive"),
        (["right"], "wrong", "wrong"),
        (["wrong", "vacuous"], "inconclusive", "wrong"),
    ],
)
def test_the_verdict_is_the_worst_of_gradients_and_breaches(verdicts: list[Any], breach: Any, expected: str) -> None:
    """A broken law would leave a target right."""
    found = Audit(blocks={str(i): Block(str(i), (1,), verdict) for i, verdict in enumerate(verdicts)})
    found.note(Law("names", True, ""))
    if breach:
        found.note(Law("purity", False, "", breach))
    assert found.verdict == expected
    assert len(found.wrong) == verdicts.count("wrong")


def test_entries_of_what_is_wrong_are_differenced() -> None:
    """A wrong gradient would be reported without its worst entry, or right ones be paid for entry by entry."""
    found = audit(two_wrong(), 0, AuditOptions())
    assert found.wrong == ("a", "c")
    assert set(found.numerical) == {"a", "c"}
    assert found.blocks["a"].worst is not None
    assert found.blocks["b"].worst is None
    assert list(found.blocks) == ["a", "b", "c"]
    assert found.scheme == "complex step"
    full = audit(two_wrong(), 0, AuditOptions(full=True))
    assert set(full.numerical) == {"a", "b", "c"}
    assert full.evaluations > found.evaluations


def test_an_audit_stops_at_the_first_wrong_gradient() -> None:
    """Shrinking a failure would pay for gradients that it does not need."""
    found = audit(two_wrong(), 0, AuditOptions(laws=False, entries=False, stop=True))
    assert len(found.wrong) == 1
    assert found.evaluations < audit(two_wrong(), 0, AuditOptions(laws=False, entries=False)).evaluations


def test_laws_that_cost_evaluations_can_be_left_out() -> None:
    """The sweep over sizes would pay for laws at each size."""
    target = Rnn(np.random.default_rng(0)).target()
    with_laws, without = (audit(target, 0, AuditOptions(laws=on)) for on in (True, False))
    assert {"scale", "independence", "dependence"} <= set(with_laws.laws)
    assert set(without.laws) == {"scalar", "finite", "purity", "names", "shapes", "repeatability", "statelessness"}
    assert "linearity" in audit(vjp_target(), 0, AuditOptions()).laws


def test_a_known_divisor_is_divided_out() -> None:
    """A factor that all gradients share would hide what else is wrong."""
    target = sine(np.linspace(0.1, 0.9, 3), slope=lambda w: 4 * np.cos(w))
    assert audit(target, 0, AuditOptions()).verdict == "wrong"
    found = audit(target, 0, AuditOptions(divisor=4.0))
    assert found.verdict == "right"
    assert found.gradients["w"].tolist() == pytest.approx(np.cos(np.linspace(0.1, 0.9, 3)).tolist())


def test_a_loss_that_is_random_leaves_all_undecided() -> None:
    """Differences of noise would be judged."""
    rng = np.random.default_rng(0)
    w = np.ones(2)
    found = audit(Target({"w": w}, lambda: rng.normal(), lambda: {"w": np.ones(2)}), 0, AuditOptions())
    assert found.blocks["w"].verdict == "inconclusive"
    assert found.blocks["w"].message == NOT_REPEATABLE_MESSAGE
    assert found.verdict == "inconclusive"


@pytest.mark.parametrize("loss", [np.nan, 1j])
def test_a_loss_that_is_no_finite_real_number_ends_the_audit(loss: Any) -> None:
    """Gradients would be asked for, and differences be taken, of a loss that has none."""
    asked: list[int] = []
    found = audit(Target({"w": np.ones(2)}, lambda: loss, lambda: asked.append(1) or {}), 0, AuditOptions())
    assert found.blocks["w"].message == "the loss is not one finite real number"
    assert asked == []


def test_low_precision_is_noted() -> None:
    """Single precision would hide errors, and nobody be told."""
    w = np.linspace(0.1, 0.9, 5)
    narrow = sine(w, slope=lambda w: np.cos(w).astype(np.float32))
    told = "low precision: the gradients of w have no more digits than float32, the parameters have more; "
    assert audit(narrow, 0, AuditOptions()).notes == (told + "errors below that precision are not seen",)
    inside = Target({"w": w}, lambda: float(np.sin(w.astype(np.float32)).sum()), lambda: {"w": np.cos(w)})
    assert "low precision: the loss changes at random by" in audit(inside, 0, AuditOptions()).notes[0]


def test_the_target_stands_where_it_stood() -> None:
    """An audit would leave perturbed weights behind, also where the user's code raises."""
    w = np.ones(3)
    audit(sine(w), 0, AuditOptions(full=True))
    assert w.tolist() == [1.0] * 3

    def slope(w: Any) -> Any:
        raise KeyError(len(w))

    with pytest.raises(UserCodeError):
        audit(sine(w, slope=slope), 0, AuditOptions())
    assert w.tolist() == [1.0] * 3


def test_the_options_are_the_usual_ones() -> None:
    """A check without options would leave out laws, or difference every entry."""
    given = dataclasses.asdict(AuditOptions())
    given.pop("difference_entries")
    assert given == {
        "laws": True,
        "asked": EVERY,
        "entries": True,
        "full": False,
        "by_tape": False,
        "stop": False,
        "divisor": 1.0,
        "suspects": frozenset(),
    }
