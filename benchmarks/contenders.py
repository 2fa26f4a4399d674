"""One training step of an LSTM with a linear read-out, written for each library: its loss and all of its gradients.

Each function here takes a `Problem` and returns what is timed: a function without arguments that gives the loss and, by
lstm_core's names, the gradients in whatever arrays the library has. What can be made once is made outside of it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lstm_core import CharLSTM, _path, lstm_backward, lstm_forward
from lstm_core.loss import softmax_cross_entropy, softmax_cross_entropy_backward

Step = Callable[[], tuple[Any, dict[str, Any]]]


class Problem(NamedTuple):
    """What is learned: tokens (T, B), or dense inputs (T, B, V) whose gradient is wanted as well."""

    params: dict[str, Any]
    tokens: Any
    x: Any
    targets: Any
    dense: bool

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """T, B, H and V."""
        return (*self.targets.shape, *self.params["Wy"].shape)

    @property
    def dtype(self) -> Any:
        """That of the parameters."""
        return self.params["U"].dtype

    @property
    def states(self) -> Any:
        """Zeros (B, H)."""
        _, B, H, _ = self.sizes
        return np.zeros((B, H), self.dtype)


def problem(T: int, B: int, H: int, V: int, dtype: Any, dense: bool) -> Problem:
    """One of these sizes, always the same."""
    rng = np.random.default_rng(0)
    tokens, targets = rng.integers(0, V, (2, T, B))
    x = rng.standard_normal((T, B, V)).astype(dtype)
    return Problem(CharLSTM(V, H, dtype, rng).params, tokens, x, targets, dense)


def in_numpy(given: Problem) -> Step:
    """lstm_core in NumPy, whether numba is installed or not."""
    return _along(_path.NUMPY, ours(given))


def compiled(given: Problem) -> Step:
    """lstm_core in the steps that numba compiles."""
    return _along(_path.COMPILED, ours(given))


def _along(path: str, step: Step) -> Step:
    """The step on one of lstm_core's paths."""

    def along() -> tuple[Any, dict[str, Any]]:
        before = _path.use(path)
        try:
            return step()
        finally:
            _path.use(before)

    return along


def ours(given: Problem) -> Step:
    """lstm_core, on the path that it chooses itself."""
    params, zeros = given.params, given.states
    _, _, H, V = given.sizes
    model = CharLSTM(V, H, given.dtype)
    model.params = params

    def of_tokens() -> tuple[Any, dict[str, Any]]:
        return model.loss_and_grads(given.tokens, given.targets)[:2]

    def of_dense() -> tuple[Any, dict[str, Any]]:
        h, _, cache = lstm_forward(given.x, zeros, zeros, params["W"], params["U"], params["b"])
        loss, likelihood = softmax_cross_entropy(h @ params["Wy"] + params["by"], given.targets)
        dy = softmax_cross_entropy_backward(likelihood)
        grads = lstm_backward(dy @ params["Wy"].T, None, None, cache)
        rows = dy.reshape(-1, V)
        grads |= {"Wy": h.reshape(-1, H).T @ rows, "by": rows.sum(axis=0)}
        return loss, {name: grads[name] for name in (*params, "x")}

    return of_dense if given.dense else of_tokens


def floor(given: Problem) -> Step:
    """The matrix products of a step alone, with what they need in place; gradients of nothing."""
    params, dtype = given.params, given.dtype
    T, B, H, V = given.sizes
    h, dz, dy = (np.full(shape, 0.01, dtype) for shape in ((T, B, H), (T, B, 4 * H), (T * B, V)))
    z, back = np.empty((B, 4 * H), dtype), np.empty((B, H), dtype)
    U, U_T, Wy, rows, dz_rows = params["U"], params["U"].T, params["Wy"], h.reshape(T * B, H), dz.reshape(T * B, 4 * H)
    x_rows = given.x.reshape(T * B, V)

    def products() -> tuple[Any, dict[str, Any]]:
        if given.dense:
            np.dot(x_rows, params["W"])
        for h_t in h:
            np.dot(h_t, U, out=z)
        np.dot(rows, Wy)
        np.dot(dy, Wy.T)
        np.dot(rows.T, dy)
        for dz_t in dz:
            np.dot(dz_t, U_T, out=back)
        np.dot(rows.T, dz_rows)
        if given.dense:
            np.dot(x_rows.T, dz_rows)
            np.dot(dz_rows, params["W"].T)
        return 0.0, {}

    return products


def by_torch(given: Problem) -> Step:
    """torch.nn.LSTM, which takes tokens as one-hot rows, and a linear layer."""
    torch = importlib.import_module("torch")
    T, B, H, V = given.sizes
    params = {name: torch.tensor(array) for name, array in given.params.items()}
    lstm, head = torch.nn.LSTM(V, H, dtype=params["U"].dtype), torch.nn.Linear(H, V, dtype=params["U"].dtype)
    weights = {"weight_ih_l0": params["W"].T, "weight_hh_l0": params["U"].T, "bias_ih_l0": params["b"]}
    lstm.load_state_dict({**weights, "bias_hh_l0": 0 * params["b"]})
    head.load_state_dict({"weight": params["Wy"].T, "bias": params["by"]})
    one_hot = np.eye(V, dtype=given.dtype)[given.tokens]
    x = torch.tensor(given.x if given.dense else one_hot, requires_grad=given.dense)
    targets = torch.tensor(given.targets).reshape(T * B)
    leaves = [*lstm.parameters(), *head.parameters(), x]

    def step() -> tuple[Any, dict[str, Any]]:
        for leaf in leaves:
            leaf.grad = None
        logits = head(lstm(x)[0])
        loss = torch.nn.functional.cross_entropy(logits.reshape(T * B, V), targets)
        loss.backward()
        grads = {"W": lstm.weight_ih_l0.grad.T, "U": lstm.weight_hh_l0.grad.T, "b": lstm.bias_ih_l0.grad}
        grads |= {"Wy": head.weight.grad.T, "by": head.bias.grad}
        return loss.detach(), grads | ({"x": x.grad} if given.dense else {})

    return step


def by_jax(given: Problem) -> Step:
    """JAX: jit of value_and_grad, over lax.scan."""
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jnp, T, B = jax.numpy, *given.sizes[:2]
    targets, zeros = jnp.asarray(given.targets), jnp.asarray(given.states)

    def loss(wanted: dict[str, Any], source: Any) -> Any:
        p = wanted
        terms = p["x"] @ p["W"] + p["b"] if given.dense else (p["W"] + p["b"])[source]

        def step(state: Any, term: Any) -> Any:
            i, f, g, o = jnp.split(term + state[0] @ p["U"], 4, axis=1)
            c = jax.nn.sigmoid(f) * state[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        _, h = jax.lax.scan(step, (zeros, zeros), terms)
        logs = jax.nn.log_softmax(h @ p["Wy"] + p["by"])
        return -jnp.take_along_axis(logs, targets[..., None], axis=-1).sum() / (T * B)

    compiled = jax.jit(jax.value_and_grad(loss))
    wanted = {name: jnp.asarray(array) for name, array in given.params.items()}
    wanted |= {"x": jnp.asarray(given.x)} if given.dense else {}
    source = jnp.asarray(given.tokens)
    return lambda: jax.block_until_ready(compiled(wanted, source))


def by_autograd(given: Problem) -> Step:
    """HIPS autograd over a NumPy loop."""
    autograd, anp = importlib.import_module("autograd"), importlib.import_module("autograd.numpy")
    T, B, H, _ = given.sizes
    at = np.arange(T * B), given.targets.reshape(T * B)

    def sigmoid(z: Any) -> Any:
        return 0.5 * anp.tanh(0.5 * z) + 0.5

    def loss(p: dict[str, Any]) -> Any:
        terms = anp.dot(p["x"], p["W"]) if given.dense else p["W"][given.tokens]
        h, c, states = given.states, given.states, []
        for t in range(T):
            z = terms[t] + anp.dot(h, p["U"]) + p["b"]
            i, f, g, o = (z[:, k * H : (k + 1) * H] for k in range(4))
            c = sigmoid(f) * c + sigmoid(i) * anp.tanh(g)
            h = sigmoid(o) * anp.tanh(c)
            states.append(h)
        logits = anp.dot(anp.concatenate(states), p["Wy"]) + p["by"]
        logits = logits - anp.max(logits, axis=1, keepdims=True)
        return -anp.mean((logits - anp.log(anp.sum(anp.exp(logits), axis=1, keepdims=True)))[at])

    wanted = given.params | ({"x": given.x} if given.dense else {})
    gradients = autograd.value_and_grad(loss)
    return lambda: gradients(wanted)


def naive(given: Problem) -> Step:
    """NumPy as guides print it: a matrix a gate over [h, x], one-hot rows, four products a step, forward and back."""
    T, B, H, V = given.sizes
    p, gates = given.params, "ifgo"
    x = given.x if given.dense else np.eye(V, dtype=given.dtype)[given.tokens]
    columns = {gate: slice(k * H, (k + 1) * H) for k, gate in enumerate(gates)}
    weights = {gate: np.vstack([p["U"][:, at], p["W"][:, at]]) for gate, at in columns.items()}
    biases = {gate: p["b"][at] for gate, at in columns.items()}

    def sigmoid(z: Any) -> Any:
        return 1 / (1 + np.exp(-z))

    def forward() -> tuple[Any, list[Any], list[Any]]:
        h, c, loss, caches, probabilities = given.states, given.states, 0.0, [], []
        for t in range(T):
            X = np.hstack([h, x[t]])
            i, f, o = (sigmoid(X @ weights[gate] + biases[gate]) for gate in "ifo")
            g = np.tanh(X @ weights["g"] + biases["g"])
            c_old, c = c, f * c + i * g
            h = o * np.tanh(c)
            logits = h @ p["Wy"] + p["by"]
            e = np.exp(logits - logits.max(axis=1, keepdims=True))
            prob = e / e.sum(axis=1, keepdims=True)
            loss -= np.log(prob[np.arange(B), given.targets[t]]).sum()
            caches.append((X, i, f, g, o, c_old, c, h))
            probabilities.append(prob)
        return loss / (T * B), caches, probabilities

    def step() -> tuple[Any, dict[str, Any]]:
        loss, caches, probabilities = forward()
        dw = {gate: np.zeros_like(weight) for gate, weight in weights.items()}
        db = {gate: np.zeros_like(bias) for gate, bias in biases.items()}
        dWy, dby, dx = np.zeros_like(p["Wy"]), np.zeros_like(p["by"]), np.zeros_like(x)
        dh_next, dc_next = np.zeros_like(given.states), np.zeros_like(given.states)
        for t in reversed(range(T)):
            X, i, f, g, o, c_old, c, h = caches[t]
            dy = probabilities[t].copy()
            dy[np.arange(B), given.targets[t]] -= 1
            dy /= T * B
            dWy += h.T @ dy
            dby += dy.sum(axis=0)
            dh = dy @ p["Wy"].T + dh_next
            dc = dh * o * (1 - np.tanh(c) ** 2) + dc_next
            dz = {"i": dc * g * i * (1 - i), "f": dc * c_old * f * (1 - f), "g": dc * i * (1 - g**2)}
            dz["o"] = dh * np.tanh(c) * o * (1 - o)
            dX = np.zeros_like(X)
            for gate in gates:
                dw[gate] += X.T @ dz[gate]
                db[gate] += dz[gate].sum(axis=0)
                dX += dz[gate] @ weights[gate].T
            dh_next, dc_next, dx[t] = dX[:, :H], dc * f, dX[:, H:]
        grads = {"W": np.hstack([dw[gate][H:] for gate in gates]), "U": np.hstack([dw[gate][:H] for gate in gates])}
        grads |= {"b": np.hstack([db[gate] for gate in gates]), "Wy": dWy, "by": dby}
        return loss, grads | ({"x": dx} if given.dense else {})

    return step


CONTENDERS: dict[str, Callable[[Problem], Step]] = {
    "lstm_core": in_numpy,
    "compiled": compiled,
    "floor": floor,
    "torch": by_torch,
    "JAX": by_jax,
    "autograd": by_autograd,
    "naive": naive,
}
#: what each needs beside NumPy
LIBRARIES = {"compiled": "numba", "torch": "torch", "JAX": "jax", "autograd": "autograd"}
