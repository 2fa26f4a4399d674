"""The law "scale": finds what is silent at the usual scale, and accuses nobody else."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from tests.gradcheck.networks import Lstm, Rnn


def linear(through: Any = lambda dz: dz, refuse: float = math.inf, error: type[Exception] = OverflowError) -> Target:
    """loss = sum of (tanh(x W) V)^2 / 2, with a change of the gradient inside."""
    rng = np.random.default_rng(0)
    x, params = rng.normal(size=(3, 2)), {"W": rng.normal(size=(2, 4)), "V": rng.normal(size=(4, 2))}

    def loss() -> Any:
        if np.abs(params["V"]).max() > refuse:
            raise error("too large")
        return ((np.tanh(x @ params["W"]) @ params["V"]) ** 2).sum() / 2

    def grads() -> dict[str, Any]:
        a = np.tanh(x @ params["W"])
        y = a @ params["V"]
        return {"W": x.T @ (through(y @ params["V"].T) * (1 - a**2)), "V": a.T @ y}

    return Target(params, loss, grads)


@pytest.mark.parametrize(
    "clip",
    [
        lambda dz: np.clip(dz, -100, 100),
        lambda dz: dz * min(1.0, 1e3 / np.linalg.norm(dz)),
        lambda dz: np.where(np.abs(dz) < 1e3, dz, 0.0),
    ],
)
def test_a_clip_that_is_silent_here_is_found(clip: Any) -> None:
    """A clip inside the backward would pass, as it does with every checker that looks at one point."""
    report = check(linear(clip))
    assert [block.verdict for block in report.blocks.values()] == ["right", "right"]
    law = report.laws["scale"]
    assert not law.holds
    assert "wrong where V is " in law.message
    assert "clip" in law.message
    assert report.exit_status == 1


@pytest.mark.parametrize("bound", [math.inf, 100.0])
def test_gradients_in_arrays_that_the_next_loss_overwrites(bound: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Large gradients, which are not copied, would be read after the next loss has set them to zero."""
    monkeypatch.setattr("gradcheck._comparing.comparer.LARGE", 0)
    plain = linear(lambda dz: np.clip(dz, -bound, bound))
    params, written = plain.values(), {name: np.zeros_like(array) for name, array in plain.values().items()}

    def at_params(ask: Any) -> Any:
        return ask({name: np.asarray(array) for name, array in params.items()})

    def loss() -> Any:
        for array in written.values():
            array[...] = 0.0
        return at_params(plain.loss_at)

    def grads() -> Any:
        for name, array in at_params(plain.grads_at).items():
            written[name][...] = array
        return written

    assert check(Target(params, loss, grads)).laws["scale"].holds == math.isinf(bound)


def test_a_clip_in_a_recurrent_backward() -> None:
    """The usual place of a clip would be one where it is not found."""
    assert not check(Rnn(np.random.default_rng(0), bug="clip").target()).laws["scale"].holds


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    "make",
    [
        lambda rng: Rnn(rng).target(),
        lambda rng: Rnn(rng).real_target(),
        lambda rng: Rnn(rng, T=20).real_target(),
        lambda rng: Lstm(rng, T=8).target(),
        lambda rng: Lstm(rng, scale=10.0).real_target(),
        lambda rng: Rnn(rng, dtype=np.float32).real_target(),
    ],
)
def test_correct_code_is_not_accused(make: Any, seed: int) -> None:
    """Saturation, chaos or rounding at large weights would be called a clip."""
    law = check(make(np.random.default_rng(seed))).laws["scale"]
    assert law.holds, law.message


@pytest.mark.parametrize("refuse", [10.0, 500.0])
def test_code_that_refuses_large_weights_is_not_accused(refuse: float) -> None:
    """A model that checks its range would be reported as one that raises."""
    assert check(linear(refuse=refuse)).ok


def test_code_that_raises_beside_large_weights_is_not_accused() -> None:
    """A model that raises a hair beyond the largest weights tried would end the check."""
    largest = 1024 * np.abs(linear().values()["V"]).max()
    target = linear(lambda dz: np.clip(dz, -1e5, 1e5), refuse=largest * (1 + 1e-9), error=KeyError)
    assert check(target).laws["scale"].holds
    assert not check(linear(lambda dz: np.clip(dz, -1e5, 1e5))).laws["scale"].holds


def test_the_law_is_not_asked_where_something_is_wrong_already() -> None:
    """A wrong gradient would be blamed on a clip as well."""
    assert "scale" not in check(linear(lambda dz: 2 * dz)).laws


GUARDS: dict[str, tuple[Any, Any]] = {
    "log of p + 1e-15": (lambda z: z, lambda p: p + 1e-15),
    "log of p between bounds": (lambda z: z, lambda p: np.clip(p, 1e-9, 1 - 1e-9)),
    "log of p at least": (lambda z: z, lambda p: np.maximum(p, 1e-10)),
    "logits between bounds": (lambda z: np.clip(z, -100, 100), lambda p: p),
    "logits at most": (lambda z: np.minimum(z, 50), lambda p: p),
}


def classifier(seed: int, guard: str, through: Any = lambda dh: dh) -> Target:
    """Cross-entropy behind a layer of tanh, its forward guarded; a change of the gradient inside."""
    rng = np.random.default_rng(seed)
    params = {"W": rng.normal(size=(3, 6)), "V": rng.normal(size=(6, 5)), "c": np.zeros(5)}
    x, labels = rng.normal(size=(7, 3)), np.eye(5)[rng.integers(0, 5, 7)]
    of_logits, of_p = GUARDS[guard]

    def forward() -> tuple[Any, Any]:
        h = np.tanh(x @ params["W"])
        z = of_logits(h @ params["V"] + params["c"])
        e = np.exp(z - z.max(1, keepdims=True))
        return h, e / e.sum(1, keepdims=True)

    def grads() -> dict[str, Any]:
        h, p = forward()
        dz = p - labels
        return {"W": x.T @ (through(dz @ params["V"].T) * (1 - h**2)), "V": h.T @ dz, "c": dz.sum(0)}

    return Target(params, lambda: -np.sum(labels * np.log(of_p(forward()[1]))), grads)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("guard", GUARDS)
def test_a_guard_of_the_forward_is_no_clip_of_the_backward(guard: str, seed: int) -> None:
    """The usual ways to keep a logarithm or an exponential finite would be called wrong."""
    report = check(classifier(seed, guard))
    assert report.laws["scale"].holds, report.laws["scale"].message
    assert report.ok, str(report)


def test_a_clip_behind_a_guard_is_found() -> None:
    """Whoever guards a logarithm would get away with a clip."""
    law = check(classifier(0, "log of p + 1e-15", lambda dh: np.clip(dh, -3, 3)), explain=False).laws["scale"]
    assert not law.holds


def characters(
    seed: int, guard: str, carried: Any = lambda dh: dh, clipped: float | None = None, norm: float | None = None
) -> Target:
    """A recurrent character model behind a guarded loss; a change of what its backward carries from step to step."""
    rng = np.random.default_rng(seed)
    params = {"W": rng.normal(size=(7, 6)), "U": rng.normal(size=(6, 6)), "V": rng.normal(size=(6, 7))}
    for array in params.values():
        array *= 0.1
    tokens, labels = rng.integers(0, 7, 8), np.eye(7)[rng.integers(0, 7, 8)]
    of_logits, of_p = GUARDS[guard]

    def forward() -> tuple[Any, Any]:
        states = [np.zeros(6)]
        for token in tokens:
            states.append(np.tanh(params["W"][token] + states[-1] @ params["U"]))
        z = of_logits(np.array(states[1:]) @ params["V"])
        e = np.exp(z - z.max(1, keepdims=True))
        return np.array(states), e / e.sum(1, keepdims=True)

    def grads() -> dict[str, Any]:
        h, p = forward()
        dz = p - labels
        found = {name: np.zeros_like(array) for name, array in params.items()} | {"V": h[1:].T @ dz}
        dnext = np.zeros(6)
        for t in reversed(range(8)):
            da = (dz[t] @ params["V"].T + dnext) * (1 - h[t + 1] ** 2)
            found["W"][tokens[t]] += da
            found["U"] += np.outer(h[t], da)
            dnext = carried(da @ params["U"].T)
        size = math.hypot(*(np.linalg.norm(g) for g in found.values()))
        factor = 1.0 if norm is None else min(1.0, norm / size)
        bound = math.inf if clipped is None else clipped
        return {name: np.clip(factor * g, -bound, bound) for name, g in found.items()}

    loss = lambda: -np.sum(labels * np.log(of_p(forward()[1])))  # noqa: E731 - it is handed on
    return Target(params, loss, grads, clipped=clipped, clipped_norm=norm)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("guard", GUARDS)
def test_a_clip_of_what_is_carried_is_no_guard_of_the_forward(guard: str, seed: int) -> None:
    """A clip would pass where what it cuts off happens to point against the rest: in half of the seeds."""
    law = check(characters(seed, guard, lambda dh: np.clip(dh, -5, 5)), explain=False).laws["scale"]
    assert not law.holds, law.message


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("guard", GUARDS)
@pytest.mark.parametrize("declared", [{}, {"clipped": 5.0}, {"norm": 5.0}])
def test_guards_behind_recurrence_are_not_accused(guard: str, seed: int, declared: dict[str, float]) -> None:
    """Right gradients, also such as are clipped as declared, would be told to have a clip on the way."""
    report = check(characters(seed, guard, **declared), explain=False)
    assert report.verdict != "wrong", str(report)


def test_a_clip_of_the_finished_gradients_is_told_as_one() -> None:
    """A clip that belongs to the update would be looked for on the way back."""
    inner = linear()

    def grads() -> dict[str, Any]:
        return {name: np.clip(gradient, -5e4, 5e4) for name, gradient in inner.problem.grads().items()}

    target = Target(inner.problem._params, inner.problem.loss, grads)
    law = check(target, explain=False).laws["scale"]
    assert not law.holds
    assert "right, then clipped at ±50000" in law.message
    assert "Target(..., clipped=50000)" in law.message


def bounded(through: Any = lambda dh: dh, *, declared: bool = False) -> Target:
    """loss = sum of R tanh(x W + b): with no weight behind the clip, only a larger R brings it out."""
    rng = np.random.default_rng(1)
    params = {"W": rng.normal(size=(3, 4)), "b": rng.normal(size=4)}
    x, readout = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))

    def forward() -> Any:
        return np.tanh(x @ params["W"] + params["b"])

    def grads() -> dict[str, Any]:
        dz = through(readout) * (1 - forward() ** 2)
        return {"W": x.T @ dz, "b": dz.sum(0)}

    return Target(params, lambda: np.sum(readout * forward()), grads, inputs={"R": readout} if declared else None)


def clip(dh: Any) -> Any:
    """Silent at the usual scale."""
    return np.clip(dh, -50, 50)


@pytest.mark.parametrize("through", [lambda dh: dh, clip])
def test_what_cannot_be_asked_is_not_said_to_hold(through: Any) -> None:
    """A clip would be passed in so many words: "laws that hold: scale", where no weight reaches it."""
    report = check(bounded(through), explain=False)
    law = report.laws["scale"]
    assert (law.holds, law.tested, report.verdict) == (True, False, "right")
    assert "would not show" in law.message
    told = str(report)
    assert "law scale was not tested: the gradients are no larger" in " ".join(told.split())
    assert "scale" not in next(line for line in told.splitlines() if "laws that hold" in line)
    assert report.to_dict()["laws"]["scale"]["tested"] is False


def test_inputs_are_made_larger_where_no_weight_makes_the_gradients_so() -> None:
    """A clip behind which there is no weight would never be seen, though an input would bring it out."""
    assert check(bounded(declared=True), explain=False).laws["scale"].is_shown
    target = bounded(clip, declared=True)
    before = target.inputs()["R"].copy()
    law = check(target, explain=False).laws["scale"]
    assert not law.holds
    assert "wrong where R is 1024 times as large" in law.message
    assert np.array_equal(target.inputs()["R"], before)


def test_inputs_are_as_they_were_after_an_error() -> None:
    """A readout that the user goes on with would be 1024 times as large after Ctrl-C."""
    target = bounded(declared=True)
    before, inner = target.inputs()["R"].copy(), target.problem

    def refusing() -> Any:
        if np.abs(target.inputs()["R"]).max() > 100:
            raise KeyboardInterrupt
        return inner.loss()  # type: ignore[attr-defined]  # it has one

    refused = Target(inner.arrays(), refusing, inner.grads, inputs=target.inputs())  # type: ignore[attr-defined]
    with pytest.raises(KeyboardInterrupt):
        check(refused, laws="scale")
    assert np.array_equal(target.inputs()["R"], before)


def test_vectors_are_made_larger_where_there_is_no_matrix() -> None:
    """A clip in a network of gains and diagonals would be said not to be there, since no matrix was tried."""

    def diagonal(through: Any) -> Target:
        params = {"w": np.array([0.5, -1.0, 2.0]), "v": np.array([1.0, 0.5, -0.5])}
        x, y = np.linspace(-1.0, 1.0, 12).reshape(4, 3), np.ones((4, 3))

        def grads() -> dict[str, Any]:
            h = np.tanh(x * params["w"])
            dout = 2 * (h * params["v"] - y)
            return {"v": (dout * h).sum(0), "w": (x * through(dout * params["v"]) * (1 - h * h)).sum(0)}

        return Target(params, lambda: np.sum((np.tanh(x * params["w"]) * params["v"] - y) ** 2), grads)

    assert check(diagonal(lambda dh: dh), explain=False).laws["scale"].is_shown
    law = check(diagonal(clip), explain=False).laws["scale"]
    assert not law.holds
    assert "where v is" in law.message


def test_what_was_asked_says_how_large_the_gradients_were() -> None:
    """A reader could not tell from which size on a clip is not seen."""
    law = check(linear()).laws["scale"]
    assert law.is_shown
    assert law.message.startswith("the gradients stay right where V is 1024 times as large, and they are ")
