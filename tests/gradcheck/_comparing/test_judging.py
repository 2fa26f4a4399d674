"""Gradients judged: planted errors of every size, the promise of the sensitivity, and correct code not accused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck import Block, Target, check
from gradcheck._checking.audit import AuditOptions, audit
from gradcheck._common.arrays import norm
from gradcheck._comparing.judging import group_similar
from tests.gradcheck.networks import Lstm, Rnn, sine

Arrays = dict[str, Any]


def judged(target: Target, *, full: bool = False, seed: int = 0) -> dict[str, Block]:
    """The blocks of a target, without the laws."""
    return audit(target, seed, AuditOptions(laws=False, full=full, entries=full)).blocks


class Planted:
    """loss = sum of sin(a + M a) over a scalar and a matrix, with errors added to its gradients."""

    def __init__(self, seed: int, exact: bool, dtype: Any = float) -> None:
        """Draw what it holds."""
        rng = np.random.default_rng(seed)
        self.params = {"a": np.array(rng.normal(), dtype=dtype), "M": rng.normal(size=(3, 4)).astype(dtype)}
        self.exact = exact
        self.errors: Arrays = {"a": 0.0, "M": 0.0}

    def loss(self) -> Any:
        """A NumPy scalar, which may be complex, or a float, which may not."""
        value = np.sin(self.params["M"] * self.params["a"] + self.params["a"]).sum()
        return value if self.exact else float(value)

    def true(self) -> Arrays:
        """The right gradients."""
        a, M = self.params["a"], self.params["M"]
        slope = np.cos(M * a + a)
        return {"a": (slope * (M + 1)).sum(), "M": slope * a}

    def grads(self) -> Arrays:
        """The gradients with the errors."""
        return {name: grad + self.errors[name] for name, grad in self.true().items()}

    def target(self) -> Target:
        """Over the live dict."""
        return Target(self.params, self.loss, self.grads)

    def plant(self, name: str, size: float, rng: np.random.Generator) -> None:
        """An error of this size relative to the norm of the block's gradient, in a random direction."""
        true = np.asarray(self.true()[name])
        direction = rng.standard_normal(true.shape)
        self.errors = {"a": 0.0, "M": 0.0, name: size * norm(true) / norm(direction) * direction}


# -- what is wrong -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("exact", [False, True])
def test_an_error_of_the_printed_sensitivity_is_not_called_right(exact: bool, full: bool) -> None:
    """The promise of the report would be broken: at most one error in a million of that size is missed."""
    missed = []
    for seed in range(100):
        rng, planted = np.random.default_rng(seed), Planted(seed, exact)
        for name, block in judged(planted.target(), full=full, seed=seed).items():
            assert block.verdict == "right"
            planted.plant(name, block.sensitivity * rng.uniform(1, 2), rng)
            missed.append(judged(planted.target(), full=full, seed=seed)[name].verdict == "right")
            planted.errors = {"a": 0.0, "M": 0.0}
    assert len(missed) == 200
    assert sum(missed) == 0


@pytest.mark.parametrize("exact", [False, True])
def test_the_sensitivity_is_not_modest_beyond_use(exact: bool) -> None:
    """The promise would be kept by promising nothing: float64 code is checked to seven digits at least."""
    for seed in range(50):
        for block in judged(Planted(seed, exact).target(), seed=seed).values():
            assert block.sensitivity < (1e-9 if exact else 1e-7)
            assert block.error <= block.error_bar < block.sensitivity


@pytest.mark.parametrize("relative", [1e-6, 1e-5, 1e-3, 1e-1])
@pytest.mark.parametrize("kind", ["target", "real_target"])
def test_one_wrong_entry(kind: str, relative: float) -> None:
    """A single entry a millionth off would be called right, as stock checkers call it."""
    for seed in range(5):
        model = Lstm(np.random.default_rng(seed))
        original = model.grads

        def grads(original: Any = original) -> Arrays:
            found = original()
            found["W"][1, 2] += relative * norm(found["W"])
            return found

        model.grads = grads
        verdicts = {name: block.verdict for name, block in judged(getattr(model, kind)(), seed=seed).items()}
        assert verdicts.pop("W") == "wrong"
        assert set(verdicts.values()) == {"right"}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", ["target", "real_target"])
def test_one_wrong_entry_is_no_rounding(kind: str, full: bool) -> None:
    """An error below the rounding of float32 would be put down to that, though all the other entries are exact."""
    rnn = Rnn(np.random.default_rng(0), D=6, H=12)
    right = rnn.grads

    def grads() -> Arrays:
        found = right()
        found["U"][3, 4] *= 1 + 2e-6
        return found

    rnn.grads = grads
    blocks = judged(getattr(rnn, kind)(), full=full)
    assert blocks["U"].error < 2e-7
    assert {name for name, block in blocks.items() if block.verdict != "right"} == {"U"}
    assert blocks["U"].verdict == "wrong"


@pytest.mark.parametrize("size", [1e-4, 0.5, 3.0])
def test_the_error_is_told_in_its_measure(size: float) -> None:
    """The report's error would not be |analytic - numerical| over the norm of the gradient."""
    planted = Planted(0, exact=True)
    planted.plant("M", size, np.random.default_rng(0))
    block = judged(planted.target(), full=True)["M"]
    scale = max(1.0, norm(planted.grads()["M"]) / norm(planted.true()["M"]))
    assert block.verdict == "wrong"
    assert block.error == pytest.approx(size / scale, rel=1e-6)


def test_errors_that_cancel_over_entries() -> None:
    """Equal and opposite errors would hide in a sum over a block, as they do along a direction of ones."""
    planted = Planted(0, exact=True)
    planted.errors["M"] = 1e-3 * np.tile([1.0, -1.0], (3, 2))
    assert judged(planted.target())["M"].verdict == "wrong"


@pytest.mark.parametrize("small", [1e-3, 1e-8])
def test_a_wrong_block_beside_much_larger_ones(small: float) -> None:
    """A small block's error would drown in the directions it shares with large ones."""
    params = {"large": np.ones(5), "small": np.linspace(0.1, 0.5, 5)}
    target = Target(
        params,
        lambda: (params["large"] ** 3).sum() + small * np.sin(params["small"]).sum(),
        lambda: {"large": 3 * params["large"] ** 2, "small": 1.001 * small * np.cos(params["small"])},
    )
    blocks = judged(target)
    assert blocks["large"].verdict == "right"
    assert blocks["small"].verdict in ("wrong", "inconclusive")
    assert small < 1e-3 or blocks["small"].verdict == "wrong"


# -- what is right -----------------------------------------------------------------------------------------------------

networks = st.tuples(
    st.sampled_from([Rnn, Lstm]),
    st.sampled_from(["target", "real_target"]),
    st.integers(0, 2**32 - 1),
    *(st.integers(1, largest) for largest in (5, 3, 4, 5)),
)


@given(networks, st.sampled_from([1e-3, 1.0, 10.0]))
@settings(deadline=None, max_examples=60)
def test_correct_networks_of_any_size_are_never_wrong(drawn: tuple[Any, ...], scale: float) -> None:
    """Correct code would be accused: at some size, at small weights, or with saturated gates."""
    make, kind, seed, *sizes = drawn
    model = make(np.random.default_rng(seed), *sizes)
    for name in ("W", "U", "b"):
        model.params[name] *= scale
    report = check(getattr(model, kind)(), seed=seed % 7)
    assert report.verdict != "wrong", str(report)
    assert scale != 1.0 or report.ok, str(report)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("kind", ["target", "real_target"])
@pytest.mark.parametrize("bug", ["", "factor"])
def test_the_scale_of_the_loss_changes_no_verdict(bug: str, kind: str, scale: float) -> None:
    """An absolute tolerance would have crept in: all right at a small loss, or all wrong at a large one."""

    class Scaled(Rnn):
        def loss(self) -> Any:
            return scale * super().loss()

        def grads(self) -> Arrays:
            return {name: scale * grad for name, grad in super().grads().items()}

    report = check(getattr(Scaled(np.random.default_rng(0), bug=bug), kind)())
    assert report.verdict == ("wrong" if bug else "right")
    assert [name for name, block in report.blocks.items() if block.verdict == "wrong"] == (["W"] if bug else [])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "make", [lambda rng: Lstm(rng, T=50), lambda rng: Lstm(rng, scale=30.0), lambda rng: Rnn(rng, T=50)]
)
def test_long_sequences_and_saturated_gates(make: Any, seed: int) -> None:
    """Rounding over fifty steps, or gates that are shut, would be called an error of the backward."""
    for kind in ("target", "real_target"):
        report = check(getattr(make(np.random.default_rng(seed)), kind)())
        assert report.verdict != "wrong", str(report)


def test_a_long_lstm_is_right() -> None:
    """Fifty steps would leave the check undecided."""
    assert check(Lstm(np.random.default_rng(0), T=50).target()).ok


@pytest.mark.parametrize("seed", range(5))
def test_a_chaotic_loss_is_not_accused(seed: int) -> None:
    """A network too steep to be differenced would have its gradient called wrong."""
    model = Rnn(np.random.default_rng(seed), T=50, H=8)
    model.params["U"] *= 6.0
    assert check(model.real_target()).verdict != "wrong"


@pytest.mark.parametrize("frequency", [1e6, 1e8, 1e10])
def test_a_steep_loss_is_inconclusive(frequency: float) -> None:
    """A loss that turns faster than any step of a difference would be called wrong."""
    for seed in range(5):
        w = np.random.default_rng(seed).normal(size=3)
        target = Target(
            {"w": w},
            lambda w=w: float(np.sin(frequency * w).sum()),
            lambda w=w: {"w": frequency * np.cos(frequency * w)},
        )
        assert check(target, seed=seed, full=True).verdict in ("inconclusive", "right")


def test_zero_parameters() -> None:
    """A step relative to the parameters would be no step at all."""
    model = Rnn(np.random.default_rng(0))
    model.params["b"][:] = 0.0
    model.params["h0"][:] = 0.0
    assert check(model.real_target()).ok


@pytest.mark.parametrize("magnitude", [1e-12, 1e-6, 1e6])
def test_parameters_of_any_magnitude(magnitude: float) -> None:
    """A step that suits parameters near one would be too long or too short for others."""
    w = magnitude * np.array([0.3, -0.7, 1.1])
    target = Target(
        {"w": w}, lambda: float(np.sin(w / magnitude).sum()), lambda: {"w": np.cos(w / magnitude) / magnitude}
    )
    assert check(target).ok


# -- what cannot be decided --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
def test_a_kink_is_inconclusive_and_named(full: bool) -> None:
    """The choice of a subgradient at a kink would be called an error."""
    w = np.array([0.0, 1.0])
    block = check(Target({"w": w}, lambda: float(np.abs(w).sum()), lambda: {"w": np.sign(w)}), full=full).blocks["w"]
    assert block.verdict == "inconclusive"
    assert "kink" in block.message


def test_beside_a_kink_a_relu_is_right() -> None:
    """A ReLU near its kink would be inconclusive, or wrong."""
    w = np.array([1e-3, -2e-3, 1.0])
    assert check(Target({"w": w}, lambda: float(np.maximum(w, 0).sum()), lambda: {"w": (w > 0) * 1.0})).ok


def test_a_point_on_the_edge_of_the_domain_is_inconclusive() -> None:
    """A gradient at the edge would be called wrong, or right."""
    w = np.array([0.0, 1.0])
    target = Target({"w": w}, lambda: float(np.sqrt(w).sum()), lambda: {"w": np.array([3.0, 0.5])})
    for full in (False, True):
        block = check(target, full=full).blocks["w"]
        assert block.verdict == "inconclusive"
        assert "not finite beside this point" in block.message


@pytest.mark.parametrize("outside", [np.nan, ValueError("math domain error")])
def test_a_point_near_the_edge_of_the_domain_is_judged(outside: Any) -> None:
    """A logarithm near zero could not be checked."""
    w = np.array([1.0, 1.5])
    left = []

    def loss() -> float:
        if (w <= 0.99).any():
            left.append(True)
            if isinstance(outside, Exception):
                raise outside
            return float(outside)
        return float(np.log(w - 0.99).sum())

    assert check(Target({"w": w}, loss, lambda: {"w": 1 / (w - 0.99)})).ok
    assert check(Target({"w": w}, loss, lambda: {"w": 1.001 / (w - 0.99)})).verdict == "wrong"
    assert left


@pytest.mark.parametrize("relative", [1e-12, 1e-7, 1e-3])
def test_noise_is_never_wrong(relative: float) -> None:
    """A noisy loss would have its right gradient accused."""
    w, U = np.array([0.3, -0.8, 1.2]), np.random.default_rng(0).normal(size=3)

    def loss() -> float:
        return float(np.sin(w).sum() * (1 + relative * np.sin(1e13 * (U @ w))))

    for full in (False, True):
        assert check(Target({"w": w}, loss, lambda: {"w": np.cos(w)}), full=full).verdict != "wrong"


def test_a_plain_error_is_seen_through_noise() -> None:
    """Noise would excuse everything."""
    w = np.array([0.3, -0.8, 1.2])

    def loss() -> float:
        return float(np.sin(w).sum() * (1 + 1e-9 * np.sin(1e13 * w.sum())))

    assert check(Target({"w": w}, loss, lambda: {"w": 1.5 * np.cos(w)})).verdict == "wrong"


# -- float32 -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["target", "real_target"])
def test_float32_parameters_are_checked_and_not_accused(kind: str, seed: int) -> None:
    """float32 rounding would be called an error, or a float32 model could not be checked at all."""
    blocks = check(getattr(Rnn(np.random.default_rng(seed), dtype=np.float32), kind)()).blocks
    assert {block.verdict for block in blocks.values()} <= {"right", "inconclusive"}
    assert kind != "target" or blocks["W"].verdict == "right"


@pytest.mark.parametrize("kind", ["target", "real_target"])
def test_an_error_in_a_float32_model(kind: str) -> None:
    """float32 would excuse an error of a half."""
    blocks = check(getattr(Rnn(np.random.default_rng(0), bug="factor", dtype=np.float32), kind)()).blocks
    assert blocks["W"].verdict == "wrong"


@pytest.mark.parametrize("inside", ["loss", "grads", "loss, grads"])
def test_float32_inside_float64_code_is_low_precision_and_not_wrong(inside: str) -> None:
    """A float32 buffer in float64 code would be called an error of the backward."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, params = rng.normal(size=(4, 6)), {"W": rng.normal(size=(6, 5))}

        def narrow(array: Any, name: str) -> Any:
            return array.astype(np.float32) if name in inside else array

        def loss(x: Any = x, params: Arrays = params) -> float:
            return float((np.tanh(narrow(x, "loss") @ narrow(params["W"], "loss")) ** 2).sum())

        def grads(x: Any = x, params: Arrays = params) -> Arrays:
            a = np.tanh(narrow(x, "grads") @ narrow(params["W"], "grads"))
            return {"W": x.T @ (2 * a * (1 - a**2))}

        for full in (False, True):
            report = check(Target(params, loss, grads), seed=seed, full=full)
            assert report.verdict != "wrong", str(report)


# -- vacuous -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [False, True])
def test_zero_against_zero_is_vacuous_and_never_a_pass(full: bool) -> None:
    """A parameter that nothing depends on would count as verified."""
    params = {"w": np.ones(2), "unused": np.ones(3)}
    target = Target(
        params, lambda: np.sin(params["w"]).sum(), lambda: {"w": np.cos(params["w"]), "unused": np.zeros(3)}
    )
    report = check(target, full=full)
    assert report.blocks["w"].verdict == "right"
    assert report.blocks["unused"].verdict == "vacuous"
    assert "nothing was verified" in report.blocks["unused"].message
    assert not report.ok
    assert report.exit_status == 3


def test_gradients_that_are_all_zero() -> None:
    """A loss that is constant would pass, or divide by zero."""
    report = check(sine(np.array([np.pi / 2]), slope=lambda w: 0 * w))
    assert report.verdict in ("vacuous", "inconclusive")
    params = {"w": np.ones(2)}
    assert check(Target(params, lambda: 1.0 + 0 * params["w"].sum(), lambda: {"w": np.zeros(2)})).verdict == "vacuous"


def test_a_phantom_gradient_is_wrong() -> None:
    """A gradient for a parameter that the loss ignores would be vacuous."""
    params = {"w": np.ones(2), "v": np.ones(3)}
    report = check(Target(params, lambda: (params["v"] ** 2).sum(), lambda: {"w": np.ones(2), "v": 2 * params["v"]}))
    assert report.blocks["w"].verdict == "wrong"


@pytest.mark.parametrize("spread", [1e-1, 1e-4, 1e-8])
def test_blocks_of_very_different_gradients(spread: float) -> None:
    """A small block would be judged by the bar of a large one, or the large one by the small one's."""
    params = {name: np.linspace(0.1, 0.9, 4) for name in "abc"}
    sizes = dict(zip("abc", (1.0, spread, spread**2), strict=True))
    target = Target(
        params,
        lambda: sum(sizes[name] * np.sin(params[name]).sum() for name in "abc"),
        lambda: {name: sizes[name] * np.cos(params[name]) for name in "abc"},
    )
    verdicts = [block.verdict for block in judged(target).values()]
    assert verdicts[0] == "right"
    assert "wrong" not in verdicts
    assert spread < 1e-4 or verdicts == ["right"] * 3


@pytest.mark.parametrize(("factor", "said"), [(1.0, "right"), (1.2, "wrong")])
def test_a_slope_far_below_its_loss_is_resolved_by_longer_steps(factor: float, said: str) -> None:
    """A small slope would be inconclusive, though the loss is straight enough to be differenced more widely."""
    params = {"w": np.linspace(0.1, 0.9, 5)}
    target = Target(
        params,
        lambda: 1e6 + float(np.sin(params["w"]).sum()) / 1e5,
        lambda: {"w": factor * np.cos(params["w"]) / 1e5},
    )
    assert judged(target)["w"].verdict == said


def test_groups_are_of_similar_norms_and_zeros_stand_alone() -> None:
    """A small gradient would share directions with a large one, whose rounding hides its error."""
    norms = {"zero": 0.0, "small": 1e-5, "large": 1.0, "near": 0.02, "none": 0.0}
    assert group_similar(norms) == [["large", "near"], ["small"], ["zero"], ["none"]]
    assert group_similar({}) == []


def six_vectors(errors: dict[str, float]) -> Target:
    """Six vectors whose loss takes no complex numbers, some with an error of this part of their gradient."""
    rng = np.random.default_rng(3)
    params = {name: rng.standard_normal(4) for name in "abcdef"}

    def grads() -> Arrays:
        return {name: np.cos(array) * (1.0 + errors.get(name, 0.0)) for name, array in params.items()}

    return Target(params, lambda: float(sum(np.sin(array).sum() for array in params.values())), grads)


def real_blocks(errors: dict[str, float], suspects: frozenset[str] = frozenset()) -> tuple[dict[str, Block], int]:
    """The blocks of six vectors, and the losses that it took."""
    found = audit(six_vectors(errors), 0, AuditOptions(laws=False, entries=False, suspects=suspects))
    return found.blocks, found.evaluations


def test_what_is_right_beside_what_is_wrong_is_judged_together() -> None:
    """One wrong gradient would make the check of all others as dear as its own."""
    blocks, losses = real_blocks({"b": 0.5})
    assert [name for name, block in blocks.items() if block.verdict == "wrong"] == ["b"]
    assert all(block.verdict == "right" for name, block in blocks.items() if name != "b")
    every = real_blocks(dict.fromkeys("abcdef", 0.5))[1]
    assert losses < 0.8 * every


def test_suspects_are_wrong_only_where_they_are() -> None:
    """A gradient that is wrong at one size would be called wrong at another, where it is right."""
    blocks, few = real_blocks({"b": 0.5, "c": 1e-5}, frozenset("abc"))
    assert {name: block.verdict for name, block in blocks.items()} == {
        name: "wrong" if name in "bc" else "right" for name in "abcdef"
    }
    many = real_blocks({"b": 0.5, "c": 1e-5})[1]
    assert few < many
    assert next(iter(audit_order({"b": 0.5}, frozenset("b")))) == "b"


def audit_order(errors: dict[str, float], suspects: frozenset[str]) -> list[str]:
    """The gradients that are judged before an audit stops at the first wrong one."""
    options = AuditOptions(laws=False, entries=False, stop=True, suspects=suspects)
    return list(audit(six_vectors(errors), 0, options).blocks)
