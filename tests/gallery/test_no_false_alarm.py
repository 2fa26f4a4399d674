"""Correct code in awkward places: never called wrong, no line accused, and what cannot be decided is said.

A target here is a cell of the gallery as it is, or moved to such a place, or a loss of a few lines that stands in one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target
from tests.gallery.plant import correct, plant
from tests.gradcheck.networks import Lstm, Rnn

SEEDS = range(4)


def not_accused(target: Any, seed: int = 0, **sizes: int) -> gradcheck.Report:
    """The report of a check that accuses nobody: of a target, or of a factory at these sizes and around them."""
    report = gradcheck.check(target.with_sizes(**sizes) if sizes else target, seed=seed)
    assert report.verdict != "wrong", str(report)
    assert not any(finding.line for finding in report.findings), str(report)
    return report


def right(target: Any, seed: int = 0, **sizes: int) -> gradcheck.Report:
    """The report of a check that finds everything right."""
    report = not_accused(target, seed, **sizes)
    assert report.ok, str(report)
    return report


def undecided(target: Any, reason: str, seed: int = 0) -> gradcheck.Report:
    """The report of a check that cannot decide, and says why."""
    report = not_accused(target, seed)
    assert report.verdict == "inconclusive", str(report)
    assert reason in " ".join(str(report).split()), str(report)
    return report


def of(loss: Any, slope: Any, w: Any) -> Target:
    """The loss of one array, and its slope."""
    params = {"w": w}
    return Target(params, lambda: loss(params["w"]), lambda: {"w": slope(params["w"])})


# -- kinks -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6])
def test_a_kink_within_the_step(distance, seed):
    """Rectified units close to their kink would be taken for wrong ones by a difference across it."""
    rng = np.random.default_rng(seed)
    W, signs = rng.uniform(0.5, 1, (4, 5)), distance * np.array([1, -1, 1, -1, -1])
    x = np.array([[0.5, -0.5, 0.25, -0.25]])
    b = -(x @ W)[0] + signs
    params = {"W": W, "b": b}

    def loss() -> float:
        return float(np.sum(np.maximum(x @ params["W"] + params["b"], 0) * np.arange(1, 6)))

    def grads() -> dict[str, Any]:
        dz = (x @ params["W"] + params["b"] > 0) * np.arange(1, 6)
        return {"W": x.T @ dz, "b": dz.sum(axis=0)}

    report = not_accused(Target(params, loss, grads), seed)
    assert report.ok or distance < 1e-3, str(report)


@pytest.mark.parametrize("seed", [0, 1, 14, 17])
def test_a_kink_at_the_point(seed):
    """A rectified unit at zero, as one whose weights are still zero, would be called wrong; the kink must be said."""
    at_zero = plant("hard", "bias of zero", ("dg * (zg > 0)", "dg * (zg >= 0)"), *ZERO_CANDIDATE)
    undecided(at_zero.with_sizes(T=1, B=2, D=2, H=3), "kink", seed)


#: the candidate of the cell "hard" is exactly zero
ZERO_CANDIDATE = (
    ('    params = {**w, "h0"', '    w["Wg"] *= 0\n    w["Ug"] *= 0\n    w["bg"] *= 0\n    params = {**w, "h0"'),
)


@pytest.mark.parametrize("seed", SEEDS)
def test_hard_sigmoids(seed):
    """Gates that are flat outside of a range would be called wrong near its ends, or imprecise."""
    assert right(correct("hard"), seed).notes == ()
    narrow = plant("hard", "steep", ("0.2 * zu + 0.5", "20 * zu + 0.5"), ("dzu = 0.2 * du", "dzu = 20 * du"))
    not_accused(narrow, seed)


@pytest.mark.parametrize("seed", [0, 10, 13])
def test_a_hinge_loss(seed):
    """Margins that are met exactly would be called wrong; others near them are right."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(20, 3)), rng.choice([-1.0, 1.0], 20)

    def hinge(w: Any) -> Any:
        return np.maximum(1 - y * (x @ w), 0).sum()

    def slope(w: Any) -> Any:
        return -(x * y[:, None])[y * (x @ w) < 1].sum(axis=0)

    w = rng.normal(size=3)
    right(of(hinge, slope, w.copy()), seed)
    x[0] = y[0] * w / (w @ w)  # its margin is one
    report = not_accused(of(hinge, slope, w), seed)
    assert report.ok or "kink" in str(report)


@pytest.mark.parametrize("seed", [0, 7, 8, 12, 25])
@pytest.mark.parametrize("chosen", [0.0, 0.5, 1.0])
def test_any_slope_at_a_kink(chosen, seed):
    """Whatever a backward answers at a kink would be called wrong, though any slope between both sides is one."""
    rng = np.random.default_rng(seed)
    w = rng.normal(size=5)
    w[2] = 0.0
    report = not_accused(
        of(lambda w: np.maximum(w, 0).sum(), lambda w: np.where(w == 0, chosen, w > 0).astype(float), w), seed
    )
    assert report.ok or "kink" in str(report)


@pytest.mark.parametrize("seed", [16, 208, 233, 391])
def test_kinks_within_the_long_steps_of_single_precision(seed):
    """Kinks on both sides of the point, no nearer than a step, would be called wrong where that step is a long one."""
    for factor, said in ((1.0, "inconclusive"), (1.5, "wrong")):
        report = gradcheck.check(near_kinks(seed, factor), explain=False, seed=seed)
        assert report.verdict == said, str(report)


def near_kinks(seed: int, factor: float) -> Target:
    """Absolute errors, many of them small, of weights in float32; one gradient is so many times what it should be."""
    rng = np.random.default_rng(seed)
    params = {"c": rng.normal(size=5).astype(np.float32), "V": rng.normal(size=(2, 5)).astype(np.float32)}
    h = rng.normal(size=(12, 2))

    def outputs() -> Any:
        return h @ params["V"].astype(float) + params["c"]

    goal = outputs() + rng.choice([-1, 1], (12, 5)) * 10.0 ** rng.uniform(-3, 0.5, (12, 5))

    def grads() -> dict[str, Any]:
        signs = np.sign(outputs() - goal)
        return {"c": signs.sum(axis=0).astype(np.float32), "V": factor * (h.T @ signs).astype(np.float32)}

    return Target(params, lambda: float(np.abs(outputs() - goal).sum()), grads)


# -- precision ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_float32(seed):
    """Single precision would be called wrong for its rounding."""
    right(Rnn(np.random.default_rng(seed), dtype=np.float32).target(), seed)
    not_accused(Rnn(np.random.default_rng(seed), dtype=np.float32).real_target(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_float32_weights_and_a_float64_loss(seed):
    """Mixed precision would be called wrong, or be held to the precision of the loss."""
    rng = np.random.default_rng(seed)
    params = {"W": rng.normal(size=(4, 5)).astype(np.float32), "b": rng.normal(size=5).astype(np.float32)}
    x = rng.normal(size=(6, 4)).astype(np.float32)

    def forward() -> Any:
        return np.tanh(x @ params["W"] + params["b"])

    def grads() -> dict[str, Any]:
        h = forward()
        dz = (h * (1 - h**2)).astype(np.float32)
        return {"W": x.T @ dz, "b": dz.sum(axis=0)}

    not_accused(Target(params, lambda: float(np.sum(forward().astype(np.float64) ** 2) / 2), grads), seed)


@pytest.mark.parametrize("seed", [0, 11])
@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        (
            "dWx, dWh, db = np.empty_like(x), np.zeros_like(Wx)",
            "dWx, dWh, db = np.empty_like(x), np.zeros(Wx.shape, 'f4')",
        ),
        ("dz = (dh[t] + dcarried)", "dz = np.float32(dh[t] + dcarried)"),
        ("dcarried = dz @ Wh.T", "dcarried = (dz @ Wh.T).astype(np.float32)"),
        ("dWh += previous.T @ dz", "dWh += np.float32(previous.T) @ np.float32(dz)"),
        ("return dx, dcarried, dWx, dWh, db", "return np.float32(dx), dcarried, np.float32(dWx), np.float32(dWh), db"),
        ("np.result_type(x, h0, Wx, Wh, b)", "np.float32"),
    ],
)
def test_float32_inside_of_float64(wide, narrow, seed):
    """Buffers and products in single precision would be called wrong; that precision is low must be said."""
    report = not_accused(plant("vanilla_rnn", "low precision", (wide, narrow)), seed)
    assert "float32" in str(report), str(report)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_very_small_and_very_large_gradients(scale, seed):
    """A tolerance that is no part of the gradient would pass the small and accuse the large."""
    scaled = plant(
        "coupled",
        "scaled",
        ("return np.mean((forward(p, x)[0] - goal) ** 2)", f"return {scale} * np.mean((forward(p, x)[0] - goal) ** 2)"),
        ("2 * (outputs", f"{scale} * 2 * (outputs"),
    )
    right(scaled, seed)
    wrong = plant(
        "coupled",
        "scaled and wrong",
        ("return np.mean((forward(p, x)[0] - goal) ** 2)", f"return {scale} * np.mean((forward(p, x)[0] - goal) ** 2)"),
        ("2 * (outputs", f"{scale} * 2 * (outputs"),
        ("dzg = dc * i", "dzg = 1.001 * dc * i"),
    )
    assert gradcheck.check(wrong.with_sizes(**wrong.sizes), explain=False, seed=seed).verdict == "wrong"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("offset", [1e6, 1e12])
def test_a_large_loss_with_small_gradients(offset, seed):
    """The rounding of a large loss would be taken for an error of its gradients."""
    rnn = Rnn(np.random.default_rng(seed))
    for target in (
        Target(rnn.params, lambda: rnn.loss() + offset, rnn.grads),
        Target(lambda: rnn.params, lambda: float(rnn.loss() + offset), rnn.grads),
    ):
        not_accused(target, seed)


# -- networks in extreme states ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("scale", [10.0, 100.0, 1000.0])
def test_saturated_gates(scale, seed):
    """Gates whose slope is rounding error would be called wrong."""
    not_accused(Lstm(np.random.default_rng(seed), scale=scale).target(), seed)
    not_accused(Lstm(np.random.default_rng(seed), scale=scale).real_target(), seed)


@pytest.mark.parametrize("seed", SEEDS[:2])
def test_two_hundred_steps(seed):
    """Gradients that fade or grow over many steps would be called wrong."""
    right(correct("lstm"), seed, T=200, B=1, D=2, H=3)
    not_accused(Rnn(np.random.default_rng(seed), T=200).real_target(), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_network_that_runs_away(seed):
    """Chaos over many steps, where no difference follows the loss, would be called wrong."""
    rnn = Rnn(np.random.default_rng(seed), T=60, H=8)
    rnn.params["U"] *= 6
    not_accused(rnn.target(), seed)
    not_accused(rnn.real_target(), seed)


# -- what sequences bring with them ------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("sizes", [{"T": 1, "B": 1}, {"T": 2, "B": 6}, {"T": 8, "B": 3}])
def test_masks_and_padding(sizes, seed):
    """Steps that are not there would be called inputs that are not read, or gradients that are missing."""
    right(correct("masked"), seed, **sizes, D=2, H=3)


@pytest.mark.parametrize("seed", SEEDS)
def test_dropout_with_a_fixed_mask(seed):
    """A mask that is drawn once would be called random."""
    right(correct("stacked"), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_dropout_with_a_mask_that_is_drawn_anew(seed):
    """Noise would be called wrong gradients; it must be said that the loss is another one each time."""
    drawn = (
        "dropped = low * self.mask",
        "self.mask = self.drawn(KEEP, low.shape) / KEEP\n        dropped = low * self.mask",
    )
    undecided(plant("stacked", "redrawn", drawn), "random", seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("noise", [1e-3, 1e-8, 1e-13])
def test_a_loss_with_noise(noise, seed):
    """A loss that is not the same twice would have its gradients called wrong, however small the difference."""
    rng, rnn = np.random.default_rng(seed), Rnn(np.random.default_rng(seed))
    not_accused(Target(rnn.params, lambda: rnn.loss() + noise * rng.standard_normal(), rnn.grads), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_tied_weights_and_repeated_tokens_and_penalties(seed):
    """Weights with two uses, tokens that are read twice or never, or a term that is no loss would be called wrong."""
    right(correct("char_model"), seed)
    report = not_accused(correct("char_model"), seed, T=2, B=9, V=12, H=2)
    assert report.ok


@pytest.mark.parametrize("seed", SEEDS)
def test_parameters_that_are_not_used(seed):
    """A gradient of zero that is right would be called wrong, or pass as verified."""
    rnn = Rnn(np.random.default_rng(seed))
    rnn.params["spare"] = np.ones(3)
    report = not_accused(Target(rnn.params, rnn.loss, lambda: {**rnn.grads(), "spare": np.zeros(3)}), seed)
    assert report.verdict == "vacuous"
    assert {name for name, block in report.blocks.items() if block.verdict == "vacuous"} == {"spare"}


@pytest.mark.parametrize("seed", SEEDS)
def test_embeddings_that_are_not_read(seed):
    """Rows of symbols that do not occur, all but one of them, would be called missing."""
    rng = np.random.default_rng(seed)
    tokens = np.array([3, 3, 3])

    def forward(E: Any, tokens: Any) -> Any:
        return np.tanh(E[tokens]), (E, tokens)

    def backward(dy: Any, cache: Any) -> Any:
        E, tokens = cache
        dE = np.zeros_like(E)
        np.add.at(dE, tokens, dy * (1 - np.tanh(E[tokens]) ** 2))
        return dE, None

    right(Target.from_vjp(forward, backward, {"E": rng.normal(size=(9, 4)), "tokens": tokens}), seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.int32, bool])
def test_integer_inputs(dtype, seed):
    """Labels or masks of a small type would be called unread when they are changed, or end the check."""
    rng = np.random.default_rng(seed)
    w, x = rng.normal(size=4), np.array([1, 0, 1, 0], dtype)
    params = {"w": w}
    target = Target(
        params,
        lambda: float(np.sum(np.sin(params["w"]) * (1 + x))),
        lambda: {"w": np.cos(params["w"]) * (1 + x)},
        inputs={"x": x},
    )
    right(target, seed)


# -- edges of the domain -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("near", [1.0, 1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        (lambda w: np.log(w).sum(), lambda w: 1 / w),
        (lambda w: np.sqrt(w).sum(), lambda w: 0.5 / np.sqrt(w)),
        (lambda w: float(np.arccos(1 - w).sum()), lambda w: 1 / np.sqrt(1 - (1 - w) ** 2)),
        (lambda w: float(np.sum(w * np.log(w))), lambda w: np.log(w) + 1),
    ],
)
def test_near_the_edge_of_a_domain(loss, slope, near, seed):
    """Logarithms and roots near the edge of their domain, where a step leads out of it, would be called wrong."""
    not_accused(of(loss, slope, near * np.random.default_rng(seed).uniform(0.5, 1.5, 4)), seed)


@pytest.mark.parametrize("seed", SEEDS)
def test_at_the_edge_of_a_domain(seed):
    """A root of zero has no slope: whatever a backward answers would be called wrong, or right."""
    w = np.random.default_rng(seed).uniform(0.5, 1.5, 4)
    w[1] = 0.0
    report = not_accused(
        of(
            lambda w: float(np.sqrt(np.abs(w)).sum()),
            lambda w: np.where(w > 0, 0.5 / np.sqrt(np.maximum(w, 1e-300)), 0),
            w,
        ),
        seed,
    )
    assert not report.ok


@pytest.mark.parametrize("seed", SEEDS)
def test_code_that_refuses_what_is_outside_of_its_domain(seed):
    """A loss that asserts its range would be reported as one that raises."""

    def loss(w: Any) -> Any:
        if not np.all(w.real > 0):
            raise ValueError("not positive")
        return np.log(w).sum()

    not_accused(of(loss, lambda w: 1 / w, 1e-3 * np.random.default_rng(seed).uniform(0.5, 1.5, 4)), seed)


# -- losses that have no slope to compare with -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_a_chaotic_network(seed):
    """Gradients of 1e9, right to twelve digits, would be called wrong by differences that mean nothing."""
    rng = np.random.default_rng(seed)
    params, x = {"U": rng.standard_normal((12, 12)) * 0.8}, rng.standard_normal((260, 12)) * 0.3

    def states():
        h = [np.zeros(12)]
        for row in x:
            h.append(np.tanh(row + h[-1] @ params["U"]))
        return h

    def grads():
        h = states()
        d, found = h[-1], np.zeros((12, 12))
        for t in reversed(range(len(x))):
            da = d * (1 - h[t + 1] ** 2)
            found += np.outer(h[t], da)
            d = params["U"] @ da
        return {"U": found}

    not_accused(Target(lambda: params, lambda: 0.5 * float((states()[-1] ** 2).sum()), grads), seed)


def test_a_loss_that_counts_errors():
    """The gradient of the smooth loss that was meant would be called wrong, and an edit make it zero."""
    rng = np.random.default_rng(0)
    params, x, y = {"w": rng.standard_normal(3)}, rng.standard_normal((8, 3)), rng.integers(0, 2, 8)

    def grads():
        return {"w": x.T @ (1 / (1 + np.exp(-x @ params["w"])) - y)}

    undecided(Target(params, lambda: float(np.sum((x @ params["w"] > 0) != y)), grads), "piecewise constant")


@pytest.mark.parametrize("seed", [5, 8])
@pytest.mark.parametrize("count", [40, 400])
@pytest.mark.parametrize("errors", [lambda z, y: np.mean((z > 0) != y), lambda z, y: np.abs(np.round(z) - y).mean()])
def test_a_loss_that_counts_many_errors(errors, count, seed):
    """Steps that go across some of the jumps would be taken for a slope, or the loss for a chaotic one."""
    rng = np.random.default_rng(seed)
    params = {"w": rng.standard_normal(3), "b": np.zeros(1)}
    x, y = rng.standard_normal((count, 3)), rng.integers(0, 2, count)

    def scores():
        return x @ params["w"] + params["b"]

    def grads():
        apart = (1 / (1 + np.exp(-scores())) - y) / count
        return {"w": x.T @ apart, "b": np.array([apart.sum()])}

    undecided(Target(params, lambda: float(errors(scores(), y)), grads), "piecewise constant", seed)


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_loss_that_is_rounded_is_not_constant_in_pieces(precision):
    """A wrong gradient would be excused by the jumps that the rounding of single precision makes."""
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal(5), rng.standard_normal((20, 5))

    def loss():
        return float(np.sum(np.abs((x @ w).astype(precision)) ** 3))

    def grads():
        z = x @ w
        return {"w": 1.01 * (x.T @ (3 * z * np.abs(z)))}

    report = gradcheck.check(Target({"w": w}, loss, grads), explain=False)
    assert report.verdict == "wrong"


def test_parameters_that_are_copies():
    """The gradient would be called wrong, where it is the target that hands over the wrong arrays."""
    rng = np.random.default_rng(0)
    w = rng.standard_normal(4)
    undecided(Target({"w": w.copy()}, lambda: np.sum(w**2), lambda: {"w": 2 * w}), "the loss moves with no parameter")


def test_units_that_are_all_dead_are_no_piecewise_constant_loss():
    """A slope that is wrong where a unit is dead would be excused."""
    params = {"w": np.array([-1.0, -2.0])}
    target = Target(params, lambda: np.maximum(params["w"], 0).sum(), lambda: {"w": np.ones(2)})
    report = gradcheck.check(target, explain=False)
    assert report.verdict == "wrong"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_bias_before_a_normalisation(dtype, seed):
    """A slope that is zero but for rounding would be undecided, or be taken for single precision."""
    rng = np.random.default_rng(seed)
    params = {name: rng.standard_normal(shape).astype(dtype) for name, shape in (("W", (3, 5)), ("b", 5))}
    x, r = rng.standard_normal((6, 3)).astype(dtype), rng.standard_normal((6, 5)).astype(dtype)

    def normalised():
        z = x @ params["W"] + params["b"]
        apart = z - z.mean(0)
        spread = np.sqrt((apart**2).mean(0) + dtype(1e-5))
        return apart / spread, spread

    def grads():
        n, spread = normalised()
        dn = r * (1 - np.tanh(n) ** 2)
        dz = (dn - dn.mean(0) - n * (dn * n).mean(0)) / spread
        return {"W": x.T @ dz, "b": dz.sum(0)}

    report = not_accused(Target(params, lambda: np.sum(r * np.tanh(normalised()[0])), grads), seed)
    assert report.blocks["b"].verdict == "vacuous", str(report)
    assert report.blocks["W"].verdict == "right", str(report)


@pytest.mark.parametrize("epsilon", [1e-13, 1e-12])
def test_an_epsilon_that_the_backward_leaves_out(epsilon):
    """Twelve digits that agree would be called undecided; and one epsilon that matters, float32."""

    def target(epsilon):
        w = np.array([0.3, 0.6, 0.8])
        return of(lambda w: -np.log(w + epsilon).sum(), lambda w: -1 / w, w)

    right(target(epsilon))
    undecided(target(1e-8), "an epsilon that the loss adds")


def test_a_gradient_of_which_too_little_is_seen():
    """An error of a quarter of the gradient might not have shown, and it would be called right."""
    rng = np.random.default_rng(0)

    def loss(w):
        return float(np.float32(3000.0 + np.sin(w).sum()))

    report = gradcheck.check(of(loss, np.cos, rng.standard_normal(3) * 0.1))
    assert not report.ok or report.blocks["w"].sensitivity <= 0.1, str(report)
