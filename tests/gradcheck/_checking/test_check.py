"""The whole order of a check: verdicts, other sizes, the smallest that fails, progress, and the two ways to call it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import gradcheck
import lstm_core
from gradcheck import GradientError, Target, TargetError, assert_gradients, check
from tests.gradcheck import networks
from tests.gradcheck.networks import Lstm, Rnn, factory, sine


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("model", [Rnn, Lstm])
def test_a_correct_network_is_right_at_every_size(model: type[Rnn], full: bool) -> None:
    """Correct code would be accused at one of the sizes that are tried."""
    report = check(factory(model), full=full)
    assert report.ok
    assert report.verdict == "right"
    assert report.findings == ()
    assert report.smallest is None
    assert all(law.holds for law in report.laws.values())
    assert {trial.verdict for trial in report.trials} == {"right"}
    assert len(report.trials) == 15
    assert report.sizes == {"T": 3, "B": 2, "D": 5, "H": 4}
    assert all((block.worst is not None) == full for block in report.blocks.values())


SMALLEST = {
    (Rnn, "assigned"): {"T": 2, "B": 1, "D": 1, "H": 1},
    (Rnn, "no carry"): {"T": 1, "B": 1, "D": 1, "H": 1},
    (Rnn, "not transposed"): {"T": 1, "B": 1, "D": 1, "H": 2},
    (Rnn, "transposed"): {"T": 1, "B": 1, "D": 1, "H": 2},
    (Rnn, "scalar bias"): {"T": 1, "B": 1, "D": 1, "H": 2},
    (Rnn, "sum over B"): {"T": 1, "B": 2, "D": 1, "H": 1},
    (Rnn, "sign"): {"T": 1, "B": 1, "D": 1, "H": 1},
    (Lstm, "forget gate"): {"T": 1, "B": 1, "D": 1, "H": 1},
    (Lstm, "cell not carried"): {"T": 1, "B": 1, "D": 1, "H": 1},
}


@pytest.mark.parametrize(("model", "bug"), SMALLEST)
def test_the_smallest_size_that_fails(model: type[Rnn], bug: str) -> None:
    """The reader would be sent to a larger example than it takes, or to one at which the bug does not show."""
    report = check(factory(model, bug))
    assert report.verdict == "wrong"
    assert report.smallest == SMALLEST[model, bug]
    assert check(factory(model, bug).with_sizes(**report.smallest), explain=False).verdict == "wrong"


def weights(bug: str) -> gradcheck.TargetFactory:
    """The loss is a product of T weights times an input; no initial state shows what T=1 hides."""

    @gradcheck.target
    def chain(rng: np.random.Generator, *, T: int = 3) -> Target:
        w, x = {"w": rng.uniform(0.5, 1.5, T)}, rng.uniform(0.5, 1.5)
        right = lambda: {"w": x * np.prod(w["w"]) / w["w"]}  # noqa: E731

        def grads() -> Any:
            found = right()["w"]
            if bug == "T > 1" and T > 1:
                found[0] = 0.0
            if (bug == "T == 1" and T == 1) or (bug == "T > 3" and T > 3):
                found *= 2
            if bug == "raises at 1" and T == 1:
                raise IndexError("list index out of range")
            if bug == "raises at 3" and T == 3:
                raise IndexError("list index out of range")
            return {"w": found}

        if bug == "refuses 1" and T == 1:
            raise ValueError("at least two steps")
        return Target(w, lambda: x * np.prod(w["w"]), grads)

    return chain


@pytest.mark.parametrize(("bug", "smallest"), [("T > 1", 2), ("T == 1", 1), ("T > 3", 4)])
def test_a_bug_at_some_sizes_only(bug: str, smallest: int) -> None:
    """A defect that is invisible at T=1, or visible there alone, or in long sequences, would pass or be misplaced."""
    report = check(weights(bug))
    assert report.verdict == "wrong"
    assert report.smallest == {"T": smallest}
    assert report.blocks["w"].verdict == "wrong"
    assert f"smallest failing size: T={smallest}" in report.findings[0].message
    assert ("right at the default sizes" in report.blocks["w"].message) == (bug != "T > 1")
    wrong = {trial.sizes["T"] for trial in report.trials if trial.verdict == "wrong"}
    assert wrong == {"T > 1": {2, 3, 4}, "T == 1": {1}, "T > 3": {4}}[bug]


def test_code_that_raises_at_another_size() -> None:
    """Code that is right at its default sizes and crashes at T=1 would pass, or end the check."""
    report = check(weights("raises at 1"))
    assert report.verdict == "wrong"
    assert report.blocks["w"].verdict == "right"
    assert not report.laws["sizes"].holds
    assert "at T=1: grads() raised IndexError: list index out of range" in report.laws["sizes"].message
    assert report.smallest == {"T": 1}


def test_code_that_raises_at_its_default_sizes() -> None:
    """Code that runs at other sizes would not be checked there."""
    report = check(weights("raises at 3"))
    assert report.sizes == {"T": 1}
    assert report.blocks["w"].verdict == "right"
    assert "at T=3: grads() raised IndexError" in report.laws["sizes"].message


def test_code_that_raises_at_every_size() -> None:
    """Code that never runs would get a report instead of an error."""

    @gradcheck.target
    def made(rng: Any, *, T: int = 2) -> Target:
        raise RuntimeError(f"no {rng} {T}")

    with pytest.raises(TargetError, match=r"made\(rng, T=2\) raised RuntimeError: no Generator"):
        check(made)


def test_a_factory_may_refuse_a_size() -> None:
    """A ValueError of the factory, which says that there is no such target, would be called a failure."""
    report = check(weights("refuses 1"))
    assert report.ok
    assert [trial.sizes["T"] for trial in report.trials] == [3, 2, 4]


def drawn(raises: str, wrong: bool) -> gradcheck.TargetFactory:
    """A factory that NumPy refuses a draw at T=1, and the loss of which may raise at T=2 and its gradient be wrong."""

    @gradcheck.target
    def picks(rng: np.random.Generator, *, T: int = 3) -> Target:
        w, start = rng.uniform(0.5, 1.5, 4), rng.integers(0, T - 1)

        def loss() -> Any:
            if raises == "loss" and T == 2:
                raise IndexError("list index out of range")
            return (T + start) * np.sum(w**2)

        return Target({"w": w}, loss, lambda: {"w": (3 if wrong else 2) * (T + start) * w})

    return picks


def test_sizes_at_which_a_factory_cannot_be_built_tell_nothing() -> None:
    """Right gradients would be called wrong, for a draw that NumPy refuses; or be called right at sizes not tried."""
    report = check(drawn("", wrong=False))
    assert report.verdict == "inconclusive"
    assert report.blocks["w"].verdict == "right"
    assert not report.laws["sizes"].holds
    assert "not tested at T=1: picks(rng, T=1) raised ValueError: " in report.laws["sizes"].message


def test_a_factory_that_cannot_be_built_hides_nothing_else() -> None:
    """A loss that raises, or a wrong gradient, would be excused by sizes at which there is no target."""
    report = check(drawn("loss", wrong=False))
    assert report.verdict == "wrong"
    assert report.laws["sizes"].message.startswith("at T=2: loss() raised IndexError")
    assert report.smallest == {"T": 2}
    report = check(drawn("", wrong=True))
    assert report.verdict == "wrong"
    assert report.smallest == {"T": 2}


def test_a_law_broken_at_another_size_is_told() -> None:
    """A misshapen gradient at one size would leave a failed check without a finding."""

    @gradcheck.target
    def squeezed(rng: np.random.Generator, *, B: int = 2) -> Target:
        w = {"w": rng.normal(size=(B, 3))}
        return Target(w, lambda: np.sin(w["w"]).sum(), lambda: {"w": np.squeeze(np.cos(w["w"]))})

    report = check(squeezed)
    assert report.verdict == "wrong"
    assert report.smallest == {"B": 1}
    assert "at B=1: w: its gradient has shape (3,)" in report.laws["shapes"].message
    assert [finding.kind for finding in report.findings] == ["law:shapes", "structure"]


def test_what_is_vacuous_here_is_judged_elsewhere() -> None:
    """A block that is zero at the default sizes alone would leave the whole check undecided."""

    @gradcheck.target
    def masked(rng: np.random.Generator, *, T: int = 2) -> Target:
        w = {"w": rng.normal(size=3), "u": rng.normal(size=3)}
        on = float(T > 2)
        return Target(
            w,
            lambda: np.sin(w["w"]).sum() + on * np.sin(w["u"]).sum(),
            lambda: {"w": np.cos(w["w"]), "u": on * np.cos(w["u"])},
        )

    report = check(masked)
    assert report.ok
    assert report.blocks["u"].message == "both gradients are zero here; judged at T=3"
    assert check(masked.with_sizes(T=1)).verdict == "vacuous"


def test_pinned_sizes_are_not_varied() -> None:
    """A check of one size would be made at others."""
    report = check(weights("T == 1").with_sizes(T=3))
    assert report.ok
    assert [trial.sizes for trial in report.trials] == [{"T": 3}]


def test_without_explaining() -> None:
    """A quick check would shrink and look for causes all the same."""
    report, explained = (check(weights("T > 1"), explain=explain) for explain in (False, True))
    assert report.verdict == explained.verdict == "wrong"
    assert report.findings == ()
    assert report.smallest is None
    assert report.evaluations < explained.evaluations


def test_progress_is_told() -> None:
    """A long check would be silent, or its count run backwards."""
    told: list[tuple[str, int]] = []
    report = check(weights("T > 1"), progress=lambda stage, count: told.append((stage, count)))
    assert {stage for stage, _ in told} >= {"checking", "trying T=1", "trying T=2"}
    assert told[0] == ("checking", 1)
    assert max(count for _, count in told) >= report.evaluations


@pytest.mark.parametrize(("H", "V", "most"), [(8, 5, 21), (32, 16, 21), (64, 40, 23)])
def test_a_default_check_is_cheap(H: int, V: int, most: int) -> None:
    """People would leave checks out: of code that takes complex steps it asks for twenty losses, whatever its size.

    Two more are asked for where gradients differ so much in size that the smallest would not be seen as well.
    """
    rng = np.random.default_rng(0)
    model = lstm_core.CharLSTM(V, H, rng=rng)
    tokens, targets = rng.integers(0, V, (2, 6, 4))
    asked: list[int] = []

    def loss() -> float:
        asked.append(1)
        return model.loss(tokens, targets)

    report = check(Target(model.params, loss, lambda: model.loss_and_grads(tokens, targets)[1]))
    assert report.ok, str(report)
    assert report.scheme == "complex step"
    assert report.evaluations == len(asked) <= most


@pytest.mark.parametrize("full", [False, True])
def test_evaluations_are_those_that_were_made(full: bool) -> None:
    """The cost in the report would not be the cost."""
    asked = []
    model = Rnn(np.random.default_rng(0))
    target = Target(model.params, lambda: asked.append(1) or model.loss(), model.grads)
    assert check(target, full=full).evaluations == len(asked)


def test_a_plain_function_is_taken_for_a_factory() -> None:
    """A factory without its decorator would be refused."""
    assert check(lambda rng, *, n=2: sine(rng.normal(size=n))).ok


@pytest.mark.parametrize("value", [None, 3, "model.py", {"w": 1}])
def test_what_is_no_target_is_refused(value: Any) -> None:
    """A value of another type would end in an AttributeError of ours."""
    with pytest.raises(
        TargetError, match=r"expected a gradcheck\.Target or a factory made with @gradcheck.target, got"
    ):
        check(value)


def test_assert_gradients_returns_the_report_or_raises_it() -> None:
    """A test would pass whatever the verdict, or fail without saying why."""
    assert assert_gradients(networks.right_rnn).ok
    with pytest.raises(GradientError) as caught:
        assert_gradients(networks.wrong_rnn)
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report.verdict == "wrong"
    assert str(caught.value.report) in str(caught.value)


@pytest.mark.parametrize("params", [{"w": np.zeros(0)}, {"w": np.ones(2), "unused": np.ones(2)}])
def test_assert_gradients_lets_nothing_pass_that_was_not_verified(params: Any) -> None:
    """A vacuous check would pass a test."""
    target = Target(
        params,
        lambda: float(np.sin(params["w"]).sum()),
        lambda: {name: np.cos(value) * (name == "w") for name, value in params.items()},
    )
    with pytest.raises(GradientError):
        assert_gradients(target)


def test_an_executor_needs_a_factory() -> None:
    """A target would be shared out to workers that cannot have it."""
    with ThreadPoolExecutor(1) as executor, pytest.raises(TargetError, match="executor= needs a factory"):
        check(sine(np.ones(2)), executor=executor)


def test_two_defects_are_told_apart() -> None:
    """One finding would hide another."""

    class Both(Lstm):
        def grads(self) -> Any:
            found = super().grads()
            found["V"] = -found["V"]
            found["c0"] = 2 * found["c0"]
            return found

    report = check(factory(Both))
    assert {(found.kind, found.blocks) for found in report.findings} == {("sign", ("V",)), ("factor", ("c0",))}
