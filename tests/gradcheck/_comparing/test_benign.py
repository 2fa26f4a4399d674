"""The excuses, one by one: what each excuses, and what none of them does."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._comparing import benign
from gradcheck._comparing.benign import EntryDoubt, GradientDoubt, benign_reason
from gradcheck._comparing.comparer import Comparer
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.scheme import Scheme
from tests.gallery.test_no_false_alarm import near_kinks


def doubt_of(loss: Any, slope: Any, w: Any, real: bool = True) -> GradientDoubt:
    """The doubt about a gradient that is compared with real differences, or with complex steps that were confirmed."""
    params = {"w": np.array(w, dtype=float)}
    value = (lambda: float(loss(params["w"]))) if real else (lambda: loss(params["w"]))
    evaluator = Evaluator(Target(params, value, lambda: {"w": np.asarray(slope(params["w"]), dtype=float)}))
    comparer = Comparer(evaluator, evaluator.raw_grads_here(), 0)
    evaluator.scheme, comparer.probing = Scheme.REAL if real else Scheme.COMPLEX, False
    comparisons = comparer.compare(["w"])
    return GradientDoubt(comparer, "w", comparisons, max(comparer.norms["w"], comparisons.slope))


def plain_error(size: float = 0.5, n: int = 20) -> GradientDoubt:
    """A formula that is wrong by a factor, of a smooth loss."""
    return doubt_of(lambda w: np.sin(w).sum(), lambda w: (1 + size) * np.cos(w), np.linspace(0.1, 1.0, n))


def one_entry(relative: float, n: int = 20) -> GradientDoubt:
    """A right gradient but for one entry."""
    return doubt_of(
        lambda w: np.sin(w).sum(), lambda w: np.cos(w) * (1 + relative * np.eye(1, n, 3)[0]), np.linspace(0.1, 1.0, n)
    )


EVERY_EXCUSE = sorted({*benign.GRADIENT_EXCUSES, *benign.ENTRY_EXCUSES}, key=lambda excuse: excuse.__name__)


@pytest.mark.parametrize("excuse", EVERY_EXCUSE, ids=lambda excuse: excuse.__name__)
def test_no_excuse_for_a_plain_error(excuse: Any) -> None:
    """A wrong formula would be excused."""
    doubt = plain_error()
    assert doubt.comparisons.verdict == "wrong"
    assert excuse(doubt) is None
    assert excuse(EntryDoubt(doubt.comparer, "w", (3,), 0.5)) is None


def test_the_first_excuse_that_answers_ends_the_search() -> None:
    """An error that is certain would be excused by a later excuse; or the reason be one that does not apply."""
    doubt = plain_error()
    assert benign_reason(doubt, (lambda _: None, lambda _: "first", lambda _: "second")) == "first"
    assert benign_reason(doubt, (lambda _: "", lambda _: "second")) == ""
    assert benign_reason(doubt, (lambda _: None,)) == ""
    assert benign_reason(doubt, ()) == ""


def test_a_kink_at_the_point_excuses_any_slope_between() -> None:
    """The choice of a subgradient would be called an error."""
    at_kink = doubt_of(lambda w: np.abs(w).sum(), lambda w: np.sign(w) + 0.5 * (w == 0), [0.0, 1.0])
    assert at_kink.has_kink
    assert "kink" in (benign.kink_at_the_point(at_kink) or "")


def test_a_kink_does_not_excuse_what_is_wrong_beside_it() -> None:
    """A wrong formula would hide behind a kink of the loss."""
    wrong = doubt_of(lambda w: np.abs(w).sum() + (w**2).sum(), lambda w: np.sign(w) + 4 * w, [0.0, 1.0])
    assert benign.kink_at_the_point(wrong) is None


def test_one_clear_entry_ends_the_search() -> None:
    """An error of a millionth in one entry would be put down to single precision."""
    assert benign.one_clear_entry(one_entry(7e-7)) == ""
    assert benign.one_clear_entry(one_entry(1e-2)) is None


def test_a_small_gradient_has_no_clear_entry() -> None:
    """In a gradient of few entries rounding is as often in one of them alone."""
    assert benign.one_clear_entry(one_entry(3e-7, n=4)) is None


def test_a_loss_that_is_too_steep() -> None:
    """A loss that turns faster than any step would have its right gradient accused."""
    steep = doubt_of(lambda w: np.sin(1e8 * w).sum(), lambda w: 1e8 * np.cos(1e8 * w), [0.3, 0.7])
    assert "too steep" in (benign.too_steep(steep) or "")


@pytest.mark.parametrize(("factor", "excused"), [(1.0, True), (1.5, False)])
def test_kinks_beside_the_point(factor: float, excused: bool) -> None:
    """Kinks within the long steps of single precision would be called a wrong formula; or would excuse one."""
    evaluator = Evaluator(near_kinks(16, factor))
    comparer = Comparer(evaluator, evaluator.raw_grads_here(), 16)
    name = "c" if excused else "V"
    doubt = GradientDoubt(comparer, name, comparer.compare([name]), comparer.norms[name])
    assert doubt.comparisons.verdict == "wrong"
    assert ("kinks beside" in (benign.kinks_beside_the_point(doubt) or "")) is excused


def test_what_a_complex_step_alone_sees() -> None:
    """A saturated unit, whose slope is far below the rounding of the loss, would be called wrong."""
    saturated = doubt_of(lambda w: 1.0 + np.exp(w).sum(), lambda w: 3 * np.exp(w), [-60.0, -61.0], real=False)
    assert saturated.comparisons.verdict == "wrong"
    expected = "the difference is too small for real differences to confirm; usually a saturated unit"
    assert benign.seen_by_complex_step_only(saturated) == expected


def test_the_rounding_of_single_precision() -> None:
    """A constant that was rounded in single precision would be called a wrong formula."""
    third = float(np.float32(1 / 3))
    rounded = doubt_of(lambda w: np.sin(w).sum() / 3, lambda w: np.cos(w) * third, np.linspace(0.1, 1.0, 20))
    assert "single precision" in (benign.single_precision(rounded) or "")
    assert benign.single_precision(plain_error(1e-5)) is None


def test_random_noise() -> None:
    """float32 inside a backward would be called a wrong formula, or a small wrong factor be called noise."""
    w = np.linspace(0.1, 1.0, 20)
    noisy = doubt_of(lambda w: np.sin(w).sum(), lambda w: np.cos(w) * (1 + 1e-5 * np.sin(1e9 * w)), w)
    assert "changes at random" in (benign.random_noise(noisy) or "")
    assert benign.random_noise(plain_error(1e-5)) is None


def test_the_doubt_about_an_entry_asks_for_its_derivative_once() -> None:
    """Each excuse would pay for the same derivative again."""
    comparer = one_entry(1e-2).comparer
    doubt = EntryDoubt(comparer, "w", (3,), 1e-3)
    before = comparer.evaluator.evaluations
    assert doubt.discrepancy == pytest.approx(1e-2 * math.cos(0.1 + 3 * 0.9 / 19), rel=1e-4)
    asked = comparer.evaluator.evaluations - before
    assert asked > 0
    assert not doubt.has_kink
    assert not doubt.is_rough
    assert doubt.discrepancies[0][0]["w"].tolist() == np.eye(1, 20, 3)[0].tolist()
    assert comparer.evaluator.evaluations - before == asked
    assert doubt.persists_nearby()
    assert not doubt.is_within_noise


def test_an_entry_is_clearly_wrong_beyond_single_precision_alone() -> None:
    """The rounding of a constant would be called an error of one entry; or an error of one entry be excused."""
    for relative, clear in ((1e-2, True), (1e-7, False)):
        doubt = one_entry(relative)
        worst = benign.find_wrong(doubt.comparer.probe("w"), doubt.comparer.gradients["w"], np.random.default_rng(0))
        assert benign.is_entry_clearly_wrong(doubt.comparer, "w", worst.worst) is clear
