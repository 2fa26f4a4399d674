"""The character model: its initial weights, its gradients, its state, and what it draws."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_core import CharLSTM, _path, lstm_forward, softmax_cross_entropy
from tests.lstm_core.lstm_strategies import Array, close, magnitudes, normal, seeds

H_STEP = 1e-20


@st.composite
def cases(draw: st.DrawFn) -> tuple[CharLSTM, Array, Array, tuple[Array, Array]]:
    """A model with its parameters scaled, tokens, targets and a state to begin from."""
    V, H, T, B = (draw(st.integers(1, size)) for size in (5, 5, 6, 4))
    rng = np.random.default_rng(draw(seeds))
    model, scale = CharLSTM(V, H, rng=rng), draw(magnitudes)
    for param in model.params.values():
        param *= scale
    tokens, targets = rng.integers(0, V, (2, T, B))
    return model, tokens, targets, (normal(rng, (B, H)), normal(rng, (B, H)))


@settings(deadline=None)
@given(cases(), seeds, st.booleans())
def test_the_gradients_are_the_derivatives_of_the_loss(
    case: tuple[CharLSTM, Array, Array, tuple[Array, Array]], seed: int, stateful: bool
) -> None:
    """A gradient of the whole model would be wrong, or belong to another loss than the one returned."""
    model, tokens, targets, drawn_state = case
    state = drawn_state if stateful else None
    loss, grads, _ = model.loss_and_grads(tokens, targets, state)
    assert type(loss) is float
    assert list(grads) == ["W", "U", "b", "Wy", "by"]
    rng = np.random.default_rng(seed)
    for name, param in list(model.params.items()):
        assert grads[name].shape == param.shape
        direction = normal(rng, param.shape)
        model.params[name] = param + 1j * H_STEP * direction
        moved = complex(model.loss(tokens, targets, state))
        model.params[name] = param
        assert moved.real == pytest.approx(loss, rel=1e-13)
        expected = np.float64(moved.imag / H_STEP)
        close(np.sum(grads[name] * direction), expected, 1e4, 1 + float(np.abs(model.params["U"]).max()))


@settings(deadline=None)
@given(cases())
def test_the_loss_alone_is_the_same_loss(case: tuple[CharLSTM, Array, Array, tuple[Array, Array]]) -> None:
    """A check of the gradient against the loss would compare two different functions."""
    model, tokens, targets, state = case
    assert model.loss(tokens, targets, state) == model.loss_and_grads(tokens, targets, state)[0]
    assert model.loss(tokens, targets) == model.loss_and_grads(tokens, targets)[0]


@settings(deadline=None)
@given(cases())
def test_nothing_is_written_to(case: tuple[CharLSTM, Array, Array, tuple[Array, Array]]) -> None:
    """A call would change the parameters, the tokens or the state, so that the next one gives something else."""
    model, tokens, targets, state = case
    for array in (tokens, targets, *state, *model.params.values()):
        array.flags.writeable = False
    first = model.loss_and_grads(tokens, targets, state)
    kept = {name: grad.copy() for name, grad in first[1].items()}
    model.loss_and_grads(targets, tokens, None)
    again = model.loss_and_grads(tokens, targets, state)
    assert again[0] == first[0]
    for name, grad in kept.items():
        np.testing.assert_array_equal(first[1][name], grad)
        np.testing.assert_array_equal(again[1][name], grad)


def test_the_model_is_lstm_and_read_out() -> None:
    """The read-out would leave out the bias or a step, or the state handed on would not be the last one."""
    model, rng = CharLSTM(4, 3, rng=1), np.random.default_rng(2)
    tokens, targets = rng.integers(0, 4, (2, 5, 2))
    p = model.params
    h, last, _ = lstm_forward(tokens, *model.zero_state(2), p["W"], p["U"], p["b"])
    expected, _ = softmax_cross_entropy(h @ p["Wy"] + p["by"], targets)
    loss, _, state = model.loss_and_grads(tokens, targets)
    is_numpy = _path.kernels(np.dtype(float)) is None  # compiled steps have an exp of their own: the same to rounding
    assert loss == (expected if is_numpy else pytest.approx(expected, rel=1e-14))
    for actual_state, expected_state in zip(state, last, strict=True):
        np.testing.assert_array_equal(actual_state, expected_state)


def test_the_state_carries_the_text_on() -> None:
    """The loss of a text in two windows would differ from that of the text in one."""
    model, rng = CharLSTM(4, 6, rng=1), np.random.default_rng(2)
    tokens, targets = rng.integers(0, 4, (2, 9, 2))
    first, _, state = model.loss_and_grads(tokens[:6], targets[:6])
    second = model.loss(tokens[6:], targets[6:], state)
    assert (6 * first + 3 * second) / 9 == pytest.approx(model.loss(tokens, targets), rel=1e-14)
    assert second != model.loss(tokens[6:], targets[6:])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_initial_weights(dtype: type) -> None:
    """Weights would be scaled by fan-out, or forget gates start half closed, and training would be slow."""
    V, H = 50, 64
    params = CharLSTM(V, H, dtype, rng=0).params
    shapes = {"W": (V, 4 * H), "U": (H, 4 * H), "b": (4 * H,), "Wy": (H, V), "by": (V,)}
    assert {name: param.shape for name, param in params.items()} == shapes
    assert {param.dtype for param in params.values()} == {np.dtype(dtype)}
    for name in ("W", "U", "Wy"):
        assert 0.95 / 8 < np.abs(params[name]).max() <= np.float32(1 / 8)
        assert abs(params[name].mean()) < 0.01
    np.testing.assert_array_equal(params["b"].reshape(4, H), np.repeat([[0], [1], [0], [0]], H, axis=1))
    assert not params["by"].any()


def test_the_generator_decides() -> None:
    """An experiment could not be repeated, or all models would be the same one."""
    same = [CharLSTM(3, 4, rng=seed).params["U"] for seed in (5, np.random.default_rng(5))]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(CharLSTM(3, 4).params["U"], CharLSTM(3, 4).params["U"])


def test_a_state_of_lists_is_named() -> None:
    """A state that is not of arrays would fail with an AttributeError somewhere inside."""
    with pytest.raises(TypeError, match="h0 is a list, expected a NumPy array"):
        CharLSTM(2, 1).loss([[0]], [[0]], ([[0.0]], [[0.0]]))


def test_samples_follow_the_distribution() -> None:
    """Tokens would be drawn with other probabilities than the model's."""
    model = CharLSTM(3, 2, rng=0)
    for name in ("W", "U", "Wy"):
        model.params[name][...] = 0
    probabilities = np.array([0.5, 0.3, 0.2])
    model.params["by"][...] = np.log(probabilities)
    drawn = model.sample(4000, rng=1)
    np.testing.assert_allclose(np.bincount(drawn, minlength=3) / 4000, probabilities, atol=0.03)
    sharper = model.sample(4000, temperature=0.5, rng=1)
    squares = probabilities**2 / np.sum(probabilities**2)
    np.testing.assert_allclose(np.bincount(sharper, minlength=3) / 4000, squares, atol=0.03)


def test_a_cold_sample_reads_the_prompt_and_its_own_tokens() -> None:
    """The sample would ignore the prompt, the state, or the tokens drawn so far."""
    model = CharLSTM(6, 8, rng=3)
    for param in model.params.values():
        param *= 4
    prompt, text = [2, 5, 1], []
    drawn = model.sample(8, prompt=prompt, temperature=1e-9)
    p = model.params
    for _ in range(8):
        read = np.array([prompt + text]).T
        h, _, _ = lstm_forward(read, *model.zero_state(1), p["W"], p["U"], p["b"])
        text.append(int(np.argmax(h[-1] @ p["Wy"] + p["by"])))
    assert drawn.tolist() == text
    assert len(set(text)) > 1
    read = np.array([prompt + text[:3]]).T
    _, state, _ = lstm_forward(read, *model.zero_state(1), p["W"], p["U"], p["b"])
    assert model.sample(4, prompt=text[3:4], temperature=1e-9, state=state).tolist() == text[4:]


def test_the_same_seed_draws_the_same_text() -> None:
    """A sample could not be repeated, or would never vary."""
    model = CharLSTM(9, 4, rng=0)
    first = model.sample(30, rng=1)
    np.testing.assert_array_equal(model.sample(30, rng=1), first)
    assert not np.array_equal(model.sample(30, rng=2), first)
    assert list(islice(model.stream([0], rng=1), 30)) == first.tolist()
    assert model.sample(0).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0, 4), ValueError, "vocab is 0 and hidden 4, expected at least 1"),
        ((4, 0), ValueError, "vocab is 4 and hidden 0"),
        ((4, 4, int), TypeError, "dtype is int64, expected a floating one"),
    ],
)
def test_models_that_cannot_be_are_refused(arguments: tuple, error: type[Exception], message: str) -> None:
    """An empty model, or one of integers, would fail later and elsewhere."""
    with pytest.raises(error, match=message):
        CharLSTM(*arguments)


@pytest.mark.parametrize(
    ("tokens", "targets", "error", "message"),
    [
        ([[4]], [[0]], ValueError, "tokens holds 4, expected 0 to 3: encode the text"),
        ([[0]], [[-1]], ValueError, "targets holds -1, expected 0 to 3"),
        ([[0.0]], [[0]], TypeError, "tokens has dtype float64, expected integers"),
        ([0], [0], ValueError, r"tokens has shape \(1,\), expected 2 axes \(T, B\)"),
        (np.zeros((0, 2), int), np.zeros((0, 2), int), ValueError, r"expected no empty axis in \(T, B\)"),
        ([[0, 1]], [[0]], ValueError, r"targets has shape \(1, 1\), expected \(1, 2\)"),
    ],
)
def test_tokens_that_do_not_fit_are_named(tokens: list, targets: list, error: type[Exception], message: str) -> None:
    """A token outside the vocabulary would select some other row, or an array of another shape be broadcast."""
    model = CharLSTM(4, 3)
    with pytest.raises(error, match=message):
        model.loss_and_grads(tokens, targets)
    with pytest.raises(error, match=message):
        model.loss(tokens, targets)


@pytest.mark.parametrize(("name", "shape"), [("by", (3,)), ("by", (1,)), ("by", (4, 1)), ("Wy", (3, 4, 1))])
def test_a_read_out_that_does_not_fit_is_named(name: str, shape: tuple[int, ...]) -> None:
    """A bias would be added to logits that are not its own, and its gradient have another shape than it."""
    model = CharLSTM(4, 3)
    model.params[name] = np.zeros(shape)
    with pytest.raises(ValueError, match=rf"{name} has shape \({', '.join(map(str, shape))}"):
        model.loss(np.array([[0]]), np.array([[0]]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"prompt": []}, ValueError, r"prompt has shape \(0,\), expected no empty axis"),
        ({"prompt": [7]}, ValueError, "prompt holds 7, expected 0 to 3"),
        ({"prompt": [0.5]}, TypeError, "prompt has dtype float64"),
        ({"temperature": 0}, ValueError, "temperature is 0, expected a positive number"),
    ],
)
def test_samples_that_cannot_be_drawn_are_refused(options: dict, error: type[Exception], message: str) -> None:
    """A mistake in the call would show as an endless or a senseless text."""
    with pytest.raises(error, match=message):
        CharLSTM(4, 3).sample(5, **options)


@pytest.mark.parametrize("kind", ["real", "tiny", "both", "imaginary"])
@settings(deadline=None)
@given(cases(), seeds, st.sampled_from(["W", "U", "b", "Wy", "by"]))
def test_losses_of_copies_are_the_loss(
    kind: str, case: tuple[CharLSTM, Array, Array, tuple[Array, Array]], seed: int, name: str
) -> None:
    """A full check of all entries at once would check another loss than the model's."""
    model, tokens, targets, state = case
    rng, base = np.random.default_rng(seed), model.params[name]
    copies = np.repeat(base[np.newaxis], 5, axis=0).astype(base.dtype if kind == "real" else np.complex128)
    for copy in copies[1:]:  # the first stays as it is
        large, tiny = rng.normal(), 1j * H_STEP
        changes = {"real": large, "tiny": tiny, "both": large + tiny, "imaginary": 0.3j * large}
        copy.flat[rng.integers(copy.size)] += changes[kind]
    found = model.losses(name, copies, tokens, targets, state)
    expected = []
    for copy in copies:
        model.params[name] = copy
        expected.append(model.loss(tokens, targets, state))
    model.params[name] = base
    scale = 1 + float(max(np.abs(param).max() for param in model.params.values()))
    close(found.real, np.real(expected), 1e4, scale)
    if kind != "real":
        unit = 1 if kind == "imaginary" else H_STEP
        close(found.imag / unit, np.imag(expected) / unit, 1e5, scale)
        assert found.imag[0] == 0


@pytest.mark.parametrize("name", ["U", "Wy"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_no_copies_have_no_losses(name: str, dtype: type) -> None:
    """The last of many chunks, with nothing in it, would end in an error about shapes."""
    model = CharLSTM(4, 3, rng=0)
    tokens = np.zeros((5, 2), int)
    assert model.losses(name, np.empty((0, *model.params[name].shape), dtype), tokens, tokens).shape == (0,)


def test_copies_that_differ_in_more_than_one_entry() -> None:
    """Copies would be taken for such that differ in one entry, and the others ignored."""
    rng = np.random.default_rng(0)
    model = CharLSTM(4, 3, rng=rng)
    tokens, targets = rng.integers(0, 4, (2, 5, 2))
    copies = rng.normal(size=(3, 3, 12))
    found = model.losses("U", copies, tokens, targets)
    for loss, copy in zip(found, copies, strict=True):
        model.params["U"] = copy
        assert loss == model.loss(tokens, targets)
    apart = np.repeat(model.params["U"][np.newaxis].astype(complex), 2, axis=0)
    apart[0].flat[[3, 5]] += 0.5, 1j * H_STEP  # the real part of one entry, the imaginary part of another
    found = model.losses("U", apart, tokens, targets)
    for loss, copy in zip(found, apart, strict=True):
        model.params["U"] = copy
        assert loss == model.loss(tokens, targets)
    model.params["U"] = copies[2]
    with pytest.raises(ValueError, match=r"copies of U has shape \(3, 12\), expected \(3, 3, 12\)"):
        model.losses("U", copies[0], tokens, targets)
    with pytest.raises(TypeError, match="copies has dtype int64"):
        model.losses("U", np.ones((3, 3, 12), int), tokens, targets)
