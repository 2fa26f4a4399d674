"""Each law: held by correct code, broken by a planted breach, and the message names what was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from gradcheck._laws.laws import finite_loss, linearity, repeatability, scalar, statelessness
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._targets.opening import opened
from gradcheck.report.report import Report
from tests.gradcheck.networks import Lstm, Rnn, rnn_backward, rnn_forward, sine, vjp_target


def rng() -> np.random.Generator:
    """The same numbers in every test."""
    return np.random.default_rng(0)


def broken(report: Report) -> list[str]:
    """The names of the broken laws."""
    return [law.name for law in report.laws.values() if not law.holds]


@pytest.mark.parametrize("kind", ["target", "real_target", "function_target"])
def test_correct_code_breaks_no_law(kind: str) -> None:
    """A law would accuse correct code."""
    report = check(getattr(Rnn(rng()), kind)())
    assert broken(report) == []
    assert report.ok


def test_a_correct_vjp_breaks_no_law() -> None:
    """A law would accuse a correct backward."""
    report = check(vjp_target())
    assert broken(report) == []
    assert report.laws["linearity"].holds


# -- scalar, finite, repeatability -------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [1.0, np.float32(1), np.array(1.0), 3, np.int64(3)])
def test_one_real_number_is_a_loss(raw: Any) -> None:
    """A loss in a common form would be refused."""
    assert scalar(raw).holds


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (True, "the bool True"),
        (np.bool_(False), "the bool False"),
        (None, "NoneType None"),
        ("1.0", "str '1.0'"),
        ([1.0, 2.0], "shape (2,): expected one float; sum or average"),
        (np.ones((1, 1)), "shape (1, 1): expected one float; return it as a float, with .item()"),
        (1 + 2j, "complex number, (1+2j)"),
        (np.array("a"), "ndarray"),
    ],
)
def test_what_is_no_loss_is_said(raw: Any, told: str) -> None:
    """Something that is not one real number would be differenced."""
    law = scalar(raw)
    assert not law.holds
    assert told in law.message


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_loss_must_be_finite(value: float) -> None:
    """NaN would be compared with NaN."""
    assert finite_loss(1.0).holds
    assert str(value) in finite_loss(complex(value)).message


def test_repeatability_allows_rounding_alone() -> None:
    """A random loss would be differenced, or a sum in another order called random."""
    assert repeatability(1.0, 1.0 + 1e-15, 2e-16).holds
    assert repeatability(0.0, 0.0, 2e-16).holds
    law = repeatability(1.0, 1.0 + 1e-12, 2e-16)
    assert not law.holds
    assert law.breach == "inconclusive"


def dropout(seed: int, entries: int) -> Target:
    """A mask drawn by each loss and used by the backward that follows it."""
    draws, w, mask = np.random.default_rng(seed), np.ones(entries), np.zeros(entries)

    def loss() -> float:
        mask[:] = draws.integers(0, 2, entries)
        return float(np.sin(w) @ mask)

    return Target({"w": w}, loss, lambda: {"w": np.cos(w) * mask})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("entries", [3, 6, 32])
def test_a_mask_that_is_redrawn_is_noise_and_not_a_wrong_gradient(entries: int, seed: int) -> None:
    """Dropout would be reported as a wrong gradient, or a small mask, drawn alike twice by chance, as state."""
    report = check(dropout(seed, entries))
    assert report.exit_status == 3
    assert set(broken(report)) <= {"repeatability"}


def test_a_random_loss_is_said_to_be_random() -> None:
    """A random loss would leave the user with blocks that are inconclusive for no reason."""
    report = check(dropout(0, 32))
    assert broken(report) == ["repeatability"]
    assert "draw dropout masks and noise once" in report.laws["repeatability"].message
    assert "not the same when asked twice" in report.blocks["w"].message


def test_reset_brings_hidden_state_back() -> None:
    """Stateful code with a way back would be called random."""
    state, w = [0.0], np.ones(2)

    def loss() -> float:
        state[0] += float(w @ w)
        return state[0]

    assert broken(check(Target({"w": w}, loss, lambda: {"w": 2 * w}))) == ["repeatability"]
    assert check(Target({"w": w}, loss, lambda: {"w": 2 * w}, reset=lambda: state.__setitem__(0, 0.0))).ok


# -- purity, statelessness ---------------------------------------------------------------------------------------------


def tampering(function: str, array: str) -> Target:
    """A right network, one function of which overwrites one of its arrays."""
    model = Rnn(rng())
    arrays = {**model.params, **model.inputs}
    original = getattr(model, function)

    def tampered() -> Any:
        result = original()
        arrays[array][0] += 1e-3
        return result

    setattr(model, function, tampered)
    return model.target()


@pytest.mark.parametrize("array", ["W", "h0", "x"])
@pytest.mark.parametrize("function", ["loss", "grads"])
def test_a_call_that_changes_an_array_is_named(function: str, array: str) -> None:
    """Gradients added into the weights, or an overwritten input, would pass."""
    report = check(tampering(function, array))
    assert "purity" in broken(report)
    assert f"{function}() changed {array} in place" in report.laws["purity"].message


def test_a_cotangent_written_into_is_named() -> None:
    """An upstream gradient mutated in place would pass: it is right once, and the caller's array is spoilt."""

    def backward(cotangents: Any, cache: Any) -> Any:
        grads = rnn_backward(cotangents, cache)
        cotangents[1][:] *= 2
        return grads

    target = vjp_target()
    report = check(Target.from_vjp(rnn_forward, backward, target.values()))
    assert "purity" in broken(report)
    assert "grads() changed cotangent[1] in place" in report.laws["purity"].message


def accumulating(reset: bool = False) -> Target:
    """A backward that adds to what it returned before."""
    w, kept = np.array([0.3, 0.7]), np.zeros(2)

    def grads() -> dict[str, Any]:
        kept[:] += np.cos(w)
        return {"w": kept.copy()}

    return Target({"w": w}, lambda: np.sin(w).sum(), grads, reset=(lambda: kept.fill(0)) if reset else None)


def test_accumulators_that_are_not_set_to_zero() -> None:
    """A backward that is right on the first call only would pass."""
    report = check(accumulating())
    assert broken(report) == ["statelessness"]
    assert report.blocks["w"].verdict == "right"
    assert (
        "makes the gradients of w twice as large: accumulators are not set to zero"
        in report.laws["statelessness"].message
    )
    assert check(accumulating(reset=True)).ok


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_accumulators_of_any_precision(dtype: type) -> None:
    """What is allowed for rounding would hide a gradient that is twice as large."""
    w, kept = np.array([0.3, 0.7], dtype), np.zeros(2, dtype)

    def grads() -> dict[str, Any]:
        kept[:] += np.cos(w)
        return {"w": kept.copy()}

    report = check(Target({"w": w}, lambda: np.sin(w).sum(), grads), explain=False)
    assert "statelessness" in broken(report)


def test_a_loss_that_is_random_in_single_precision() -> None:
    """Noise that is larger than rounding would pass for rounding, and the check say that all is right."""
    w, rng = np.array([0.3, 0.7], np.float32), np.random.default_rng(0)
    target = Target({"w": w}, lambda: np.sin(w).sum() * (1 + 5e-5 * rng.normal()), lambda: {"w": np.cos(w)})
    report = check(target, explain=False)
    assert broken(report) == ["repeatability"]
    assert not report.ok


def test_what_is_missing_is_said_of_a_random_loss_as_well() -> None:
    """The user would mend the noise first, and be told of the missing gradient only then."""
    w, v, rng = np.ones(2), np.ones(2), np.random.default_rng(0)
    target = Target({"w": w, "v": v}, lambda: float(w.sum() + v.sum() + rng.normal()), lambda: {"v": np.ones(2)})
    report = check(target, explain=False)
    assert report.blocks["w"].verdict == "wrong"
    assert report.blocks["w"].message == "grads() has no entry of this name"
    assert report.blocks["v"].verdict == "inconclusive"


def test_a_gradient_that_is_undefined_at_the_point_alone() -> None:
    """The check would end in an error of its own, since a little beside the point the gradient is there."""
    w, v = np.zeros(2), np.ones(2)

    def grads() -> dict[str, Any]:
        return {"w": w / np.linalg.norm(w), "v": np.cos(v)}

    for params in ({"w": w}, {"w": w, "v": v}):
        target = Target(
            params,
            lambda: float(np.linalg.norm(w) + np.sin(v).sum()),
            lambda names=tuple(params): {name: gradient for name, gradient in grads().items() if name in names},
        )
        report = check(target, explain=False)
        assert report.blocks["w"].verdict == "wrong"
        assert "not finite" in report.blocks["w"].message


def test_a_gradient_that_is_undefined_but_at_the_point() -> None:
    """The check would end in an error of its own where it measures how the gradient is rounded."""
    w = np.array([0.3, 0.7])
    before = w.copy()
    target = Target(
        {"w": w},
        lambda: float(np.sin(w).sum()),
        lambda: {"w": np.cos(w) if np.array_equal(w, before) else np.full(2, np.nan)},
    )
    assert check(target, explain=False).blocks["w"].verdict == "right"


def test_state_of_another_kind() -> None:
    """A gradient carried over would be taken for an accumulator."""
    first, second = {"a": np.ones(2), "b": np.ones(2)}, {"a": np.ones(2), "b": np.full(2, 3.0)}
    law = statelessness(first, second, 2e-16)
    assert not law.holds
    assert "the gradients of b different: " in law.message
    assert statelessness(first, {name: value + 1e-15 for name, value in first.items()}, 2e-16).holds


# -- linearity ---------------------------------------------------------------------------------------------------------


def through(change: Callable[[Any], Any]) -> Target:
    """A correct backward whose cotangent is changed first."""
    x = np.linspace(0.1, 1.0, 12).reshape(3, 4)
    return Target.from_vjp(lambda x: (np.sin(x), x), lambda dy, x: (change(dy) * np.cos(x),), {"x": x})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda dy: np.clip(dy, -5, 5), "look for a clip"),
        (lambda dy: dy * min(1.0, 10 / np.linalg.norm(dy)), "look for a clip"),
        (lambda dy: np.where(np.abs(dy) > 1e-2, dy, 0), "look for a clip"),
        (lambda dy: np.clip(dy, -1e5, 1e5), "look for a clip"),
        (lambda dy: np.where(np.abs(dy) > 1e-6, dy, 0), "look for a clip"),
        (lambda dy: dy / np.linalg.norm(dy), "normalisation"),
        (lambda dy: np.abs(dy), "B(v + w) is not B(v) + B(w)"),
    ],
)
def test_a_backward_that_is_not_linear(change: Callable[[Any], Any], told: str) -> None:
    """A clip, a threshold or a normalisation inside the backward would pass where it is silent."""
    law = check(through(change)).laws["linearity"]
    assert not law.holds
    assert told in law.message


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda dy: dy if np.abs(dy).max() < 1e3 else 0 * dy, "by 1.04858e+06 scales the gradients by only 0, for x:"),
        (
            lambda dy: dy if np.abs(dy).max() > 1e-3 else 4 * dy,
            "9.53674e-07 scales the gradients by 3.81e-06, for x:",
        ),
        (lambda dy: dy if np.abs(dy).max() < 1e3 else np.roll(dy, 1) * 0 + dy[::-1], "does not scale all entries"),
        (lambda dy: dy if np.abs(dy).max() < 1e3 else dy * np.nan, "leaves no gradient to compare, for x:"),
    ],
)
def test_what_scaling_the_cotangents_does_is_told(change: Callable[[Any], Any], told: str) -> None:
    """The message would name another factor than the gradients grew by; or the check end in an error of its own."""
    x = np.ones((3, 4))
    target = Target.from_vjp(lambda x: (x.copy(), None), lambda dy, _: (change(dy),), {"x": x})
    with opened(target, 0):
        law = linearity(Evaluator(target), rng(), 2e-16)
    assert not law.holds
    assert told in law.message


@pytest.mark.parametrize("change", [lambda dy: dy, lambda dy: 3 * dy, lambda dy: np.cumsum(dy, axis=0)])
def test_a_linear_backward_is_linear_even_when_it_is_wrong(change: Callable[[Any], Any]) -> None:
    """A wrong factor would be blamed on a clip."""
    assert check(through(change)).laws["linearity"].holds


def test_low_precision_is_linear() -> None:
    """Products in single precision, in a backward of float64 arrays, would be called a term that does not belong."""

    def single(dy: Any) -> Any:
        return (dy.astype(np.float32) @ np.full((4, 4), 0.3, np.float32)).astype(float)

    report = check(through(single))
    assert report.laws["linearity"].holds
    half = Target.from_vjp(
        lambda x: (np.sin(x), x), lambda dy, x: (dy * np.cos(x),), {"x": np.linspace(0.1, 1.0, 12, dtype=np.float16)}
    )
    assert check(half).laws["linearity"].holds


# -- dependence --------------------------------------------------------------------------------------------------------


def reading(read: Callable[[Any], Any], x: Any) -> Report:
    """The report on a loss that reads its input in this way."""
    w = np.array([0.5, 0.7])
    return check(
        Target({"w": w}, lambda: float(np.sin(w).sum() * read(x)), lambda: {"w": np.cos(w) * read(x)}, inputs={"x": x})
    )


@pytest.mark.parametrize("dtype", [float, np.float32, int, np.uint8, bool])
def test_every_kind_of_input_can_be_varied(dtype: Any) -> None:
    """Tokens, masks or unsigned labels could not be told from inputs that are not read."""
    x = np.array([1, 0, 3, 2], dtype=dtype)
    before = x.tobytes()
    report = reading(lambda x: x @ np.array([1.0, 2.0, 3.0, 4.0]), x)
    assert report.ok
    assert "depends on x" in report.laws["dependence"].message
    assert x.tobytes() == before


@pytest.mark.parametrize("x", [np.array([1.0, 2.0]), np.array([0, 0]), np.array(3.0), np.arange(40)])
def test_an_input_that_is_not_read(x: Any) -> None:
    """A loss that ignores its input altogether would pass: the gradient of another function is right."""
    report = reading(lambda _: 1.0, x)
    assert broken(report) == ["dependence"]
    assert "whatever 'x' holds" in report.laws["dependence"].message


def test_a_loop_that_returns_at_the_first_step() -> None:
    """A sequence loop that returns early would pass: its gradient is right, and x[1:] is ignored."""
    report = reading(lambda x: float(x[0]), np.array([0.5, 1.0, 2.0]))
    assert broken(report) == ["dependence"]
    assert "'x'[1, 2]" in report.laws["dependence"].message


def test_a_saturated_gate_reads_its_input() -> None:
    """An input that moves nothing nearby, as behind a saturated gate, would be called one that is not read."""
    assert reading(lambda x: float(np.tanh(100 * x).sum()), np.array([1.0, 2.0, 3.0, 4.0])).ok


def test_an_output_layer_of_zeros_hides_the_inputs() -> None:
    """Weights that begin at zero, as those of output layers do, would be called inputs that are not read."""
    rnn = Rnn(np.random.default_rng(0))
    rnn.params["V"][...] = 0
    before = {name: array.copy() for name, array in rnn.params.items()}
    report = check(rnn.target())
    assert broken(report) == []
    assert report.verdict == "vacuous"
    assert all(np.array_equal(rnn.params[name], array) for name, array in before.items())


def test_a_saturated_step_hides_its_input() -> None:
    """The last step of a network whose gates are shut there would be called one that is not read."""
    lstm = Lstm(np.random.default_rng(42), scale=1000.0)
    assert broken(check(lstm.target())) == []


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_dead_units_hide_their_inputs(scale: float) -> None:
    """An input behind rectified units that are all dead would be called one that is not read."""
    params, x = {"w": -scale * np.ones(3), "b": -scale * np.ones(3)}, np.array([1.0, 2.0])

    def loss() -> float:
        return float(np.maximum(np.maximum(np.outer(x, params["w"]), 0) * params["w"] + params["b"], 0).sum())

    report = check(Target(params, loss, lambda: {"w": np.zeros(3), "b": np.zeros(3)}, inputs={"x": x}))
    assert broken(report) == []
    assert report.verdict == "vacuous"


def test_early_steps_may_fade() -> None:
    """A forget gate that is shut would be taken for an input that is not read."""
    assert reading(lambda x: float(x[2]), np.array([0.5, 1.0, 2.0])).ok


def test_a_value_that_is_refused_was_read() -> None:
    """A token out of range, which the loss refuses, would end the check."""
    x = np.array([0, 2, 1])

    def read(x: Any) -> float:
        if x.tolist() != [0, 2, 1]:
            raise IndexError("token")
        return 1.0

    assert reading(read, x).laws["dependence"].holds
    assert x.tolist() == [0, 2, 1]


def test_an_empty_input_is_left_alone() -> None:
    """A batch of no tokens would break a law that it cannot keep."""
    assert reading(lambda _: 1.0, np.zeros(0)).ok


def test_the_smallest_target_holds_every_law_it_can() -> None:
    """A law would be listed as held that was never asked."""
    report = check(sine(np.ones(2)))
    assert set(report.laws) >= {
        "scalar",
        "finite",
        "purity",
        "names",
        "shapes",
        "repeatability",
        "statelessness",
        "scale",
    }
    assert "dependence" not in report.laws
