"""The whole order of a check: verdicts, what it costs, progress, and the two ways to call it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import lstm_core
from gradcheck import GradientError, Target, TargetError, assert_gradients, check
from tests.gradcheck import networks
from tests.gradcheck._checking.chain import weights
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


def test_right_code_does_not_pay_for_the_search_for_lines() -> None:
    """Each check of right code would import all that looks for lines, which takes longer than the check."""
    code = (
        "import sys, numpy as np, gradcheck; w = np.ones(2); "
        "assert gradcheck.check(gradcheck.Target({'w': w}, lambda: np.sum(w**2), lambda: {'w': 2 * w})).ok; "
        "names = 'lines', 'outcomes', 'verifier', 'clip_lines'; "
        "print([one for one in names if f'gradcheck._checking.{one}' in sys.modules], "
        "'gradcheck._repair' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
