"""Agreement with torch and with JAX: the same weights, the same inputs, every output and every gradient.

``pytest -s -k oracle`` prints the measured differences.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_core import Adam, CharLSTM, lstm_backward, lstm_forward
from tests.lstm_core.lstm_strategies import Array, Problem, problem, problems, seeds

pytestmark = pytest.mark.oracle

LIMIT = 1e-12
SIZES = [(1, 1, 1, 1), (7, 3, 4, 5), (50, 8, 16, 32), (200, 2, 8, 24)]
doubles = problems(st.just(np.dtype(np.float64)))


def ours(drawn: Problem, dh: Array, dhT: Array, dcT: Array) -> dict[str, Array]:
    """Outputs and gradients of lstm_core."""
    h, (hT, cT), cache = lstm_forward(*drawn)
    grads = lstm_backward(dh, dhT, dcT, cache)
    return {"h": h, "hT": hT, "cT": cT, **{f"d{name}": grad for name, grad in grads.items()}}


def from_torch(drawn: Problem, dh: Array, dhT: Array, dcT: Array) -> dict[str, Array]:
    """The same from ``torch.nn.LSTM``, whose gates stand in the same order and which has two biases: one is zero."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[oracle]'")
    x, h0, c0, W, U, b = drawn
    lstm = torch.nn.LSTM(W.shape[0], U.shape[0], dtype=torch.float64)
    weights = {"weight_ih_l0": W.T, "weight_hh_l0": U.T, "bias_ih_l0": b, "bias_hh_l0": 0 * b}
    lstm.load_state_dict({name: torch.tensor(array) for name, array in weights.items()})
    inputs = [torch.tensor(array, requires_grad=True) for array in (x, h0[None], c0[None])]
    h, (hT, cT) = lstm(inputs[0], tuple(inputs[1:]))
    torch.autograd.backward([h, hT, cT], [torch.tensor(array) for array in (dh, dhT[None], dcT[None])])
    dx, dh0, dc0 = (array.grad.numpy() for array in inputs)
    grads = {"dx": dx, "dh0": dh0[0], "dc0": dc0[0]}
    grads |= {"dW": lstm.weight_ih_l0.grad.numpy().T, "dU": lstm.weight_hh_l0.grad.numpy().T}
    grads["db"] = lstm.bias_ih_l0.grad.numpy()
    outputs = {"h": h, "hT": hT[0], "cT": cT[0]}
    return {**{name: array.detach().numpy() for name, array in outputs.items()}, **grads}


def from_jax(drawn: Problem, dh: Array, dhT: Array, dcT: Array) -> dict[str, Array]:
    """The same from a cell written in JAX, ``lax.scan`` and ``jax.vjp``."""
    jax = pytest.importorskip("jax", reason="jax is not installed: pip install 'gradcheck[oracle]'")
    sigma, tanh = jax.nn.sigmoid, jax.numpy.tanh

    def forward(x: Array, h0: Array, c0: Array, W: Array, U: Array, b: Array) -> tuple:
        def step(state: tuple, x_t: Array) -> tuple:
            i, f, g, o = jax.numpy.split(x_t @ W + state[0] @ U + b, 4, axis=1)
            c = sigma(f) * state[1] + sigma(i) * tanh(g)
            h = sigma(o) * tanh(c)
            return (h, c), h

        (hT, cT), h = jax.lax.scan(step, (h0, c0), x)
        return h, hT, cT

    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    try:
        outputs, pull_back = jax.vjp(forward, *drawn)
        grads = dict(zip(("dx", "dh0", "dc0", "dW", "dU", "db"), pull_back((dh, dhT, dcT)), strict=True))
    finally:
        jax.config.update("jax_enable_x64", before)  # other tests may want JAX as it comes
    return {name: np.asarray(a) for name, a in {**dict(zip(("h", "hT", "cT"), outputs, strict=True)), **grads}.items()}


PEERS = {"torch": from_torch, "jax": from_jax}


def differences(actual: Mapping[str, Array], expected: Mapping[str, Array]) -> dict[str, float]:
    """The largest difference in each block, relative to the block's largest entry (absolute below one)."""
    assert actual.keys() == expected.keys()
    assert all(actual[name].shape == expected[name].shape for name in expected)
    return {
        name: float(np.abs(actual[name] - array).max() / max(1.0, np.abs(array).max()))
        for name, array in expected.items()
    }


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_outputs_and_gradients_agree(peer: str, sizes: tuple[int, int, int, int]) -> None:
    """Our LSTM would be another function than the one the field calls by that name, or its gradient be wrong."""
    drawn = problem(*sizes, seed=3, scale=0.3)
    cotangents = drawn.cotangents(4)
    found = differences(ours(drawn, *cotangents), PEERS[peer](drawn, *cotangents))
    figures = "  ".join(f"{name} {value:.0e}" for name, value in found.items())
    print(f"\n{peer:5} T, B, D, H = {sizes}: max {max(found.values()):.1e}   {figures}")
    assert max(found.values()) <= LIMIT, found


@settings(deadline=None, max_examples=40)
@given(doubles, seeds)
def test_torch_agrees_wherever_one_looks(drawn: Problem, seed: int) -> None:
    """Some size, some saturated gate or some zero weight would be treated otherwise than by torch."""
    cotangents = drawn.cotangents(seed)
    found = differences(ours(drawn, *cotangents), from_torch(drawn, *cotangents))
    assert max(found.values()) <= LIMIT, found


def test_the_model_agrees_with_torch() -> None:
    """The loss of the character model, or its gradient through embedding, LSTM and read-out, would be another."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[oracle]'")
    T, B, V, H = 12, 5, 9, 16
    rng = np.random.default_rng(1)
    model = CharLSTM(V, H, rng=rng)
    tokens, targets = rng.integers(0, V, (2, T, B))
    loss, grads, _ = model.loss_and_grads(tokens, targets)

    p = {name: torch.tensor(param, requires_grad=True) for name, param in model.params.items()}
    h = c = torch.zeros(B, H, dtype=torch.float64)
    hidden = []
    for row in torch.tensor(tokens):
        i, f, g, o = (p["W"][row] + h @ p["U"] + p["b"]).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        hidden.append(h)
    logits = torch.stack(hidden) @ p["Wy"] + p["by"]
    expected = torch.nn.functional.cross_entropy(logits.reshape(-1, V), torch.tensor(targets).reshape(-1))
    expected.backward()
    found = differences(grads, {name: param.grad.numpy() for name, param in p.items()})
    found["loss"] = abs(loss - expected.item())
    print(f"\ntorch model: max {max(found.values()):.1e}")
    assert max(found.values()) <= LIMIT, found


def test_adam_agrees_with_torch() -> None:
    """A training of ours would take another path than torch's with the same gradients."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[oracle]'")
    rng = np.random.default_rng(1)
    mine = {"p": rng.normal(size=(3, 4))}
    theirs = torch.tensor(mine["p"].copy(), requires_grad=True)
    adam, reference = Adam(mine, lr=0.01), torch.optim.Adam([theirs], lr=0.01)
    for _ in range(50):
        grad = rng.normal(size=(3, 4))
        theirs.grad = torch.tensor(grad)
        adam.step({"p": grad})
        reference.step()
    found = float(np.abs(mine["p"] - theirs.detach().numpy()).max())
    print(f"\ntorch Adam after 50 steps: {found:.1e}")
    assert found <= LIMIT
