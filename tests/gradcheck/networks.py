"""Small recurrent networks with a right backward and switches that break it: what the checker itself is checked on."""

from __future__ import annotations

import multiprocessing
import os
from typing import Any

import numpy as np

import gradcheck
from gradcheck import Target
from gradcheck._numeric.shared_entries import ONE_THREAD_AT_A_TIME

Arrays = dict[str, Any]


def rnn_forward(x: Any, h0: Any, W: Any, U: Any, b: Any) -> tuple[Any, Any]:
    """h_t = tanh(x_t W + h_(t-1) U + b); outputs are all h and the last one."""
    hs = [h0]
    for step in x:
        hs.append(np.tanh(step @ W + hs[-1] @ U + b))
    return (np.stack(hs[1:]), hs[-1]), (x, hs, W, U)


def rnn_backward(cotangents: Any, cache: Any, bug: str = "") -> tuple[Any, ...]:
    """The gradients in the order of the forward's arguments."""
    (dhs, dhT), (x, hs, W, U) = cotangents, cache
    dx, dW, dU, db, dh = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), np.zeros_like(W[0]), dhT
    for t in reversed(range(len(x))):
        dz = (dh + dhs[t]) * (1 - hs[t + 1] ** 2)
        if bug == "clip":
            dz = np.clip(dz, -20, 20)
        match bug:
            case "applied twice":
                dz = dz * (1 - hs[t + 1] ** 2)
            case "tanh left out":
                dz = dh + dhs[t]
            case "tanh of tanh":
                dz = (dh + dhs[t]) * (1 - np.tanh(hs[t + 1]) ** 2)
        dW = x[t].T @ dz + (0 if bug == "assigned" else dW)
        dU, db, dx[t] = dU + hs[t].T @ dz, db + dz.sum(0), dz @ W.T
        dh = np.zeros_like(dhT) if bug == "no carry" else dz @ (U if bug == "not transposed" else U.T)
    return dx, dh, dW, dU, db


class Rnn:
    """loss = sum of (h V)^2 / 2B over an RNN's states; `bug` is one of the backward's or of `spoil`'s."""

    def __init__(
        self,
        rng: np.random.Generator,
        T: int = 3,
        B: int = 2,
        D: int = 3,
        H: int = 4,
        *,
        bug: str = "",
        dtype: Any = float,
    ) -> None:
        """Draw what it holds."""
        self.bug, self.sizes = bug, {"T": T, "B": B, "D": D, "H": H}
        self.inputs: Arrays = {"x": self._drawn(rng, (T, B, D), dtype)}
        shapes = {"h0": (B, H), "W": (D, H), "U": (H, H), "b": (H,), "V": (H, 2)}
        self.params: Arrays = {name: self._drawn(rng, shape, dtype) for name, shape in shapes.items()}

    @staticmethod
    def _drawn(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Any:
        return (rng.normal(size=shape) / 2).astype(dtype)

    def run(self, params: Arrays) -> tuple[Any, Any, Any]:
        """The states, the outputs, and what the backward needs."""
        (hs, _), cache = rnn_forward(self.inputs["x"], *(params[name] for name in ("h0", "W", "U", "b")))
        return hs, hs @ params["V"], cache

    def loss(self) -> Any:
        """One number."""
        y = self.run(self.params)[1]
        return (y * y).sum() / (2 * self.sizes["B"])

    def grads(self) -> Arrays:
        """The gradients of the loss, or what the bug makes of them."""
        hs, y, cache = self.run(self.params)
        dy, V = y / self.sizes["B"], self.params["V"]
        dhs = dy @ V.T
        _, *rest = rnn_backward((dhs, np.zeros_like(dhs[0])), cache, self.bug)
        grads = dict(zip(("h0", "W", "U", "b"), rest, strict=True), V=np.einsum("tbh,tbk->hk", hs, dy))
        return spoil(grads, self.bug, self.sizes)

    def target(self, **keywords: Any) -> Target:
        """Over the live dict, which complex numbers can enter."""
        return Target(self.params, self.loss, self.grads, inputs=self.inputs, **keywords)

    def real_target(self, **keywords: Any) -> Target:
        """Over functions that return the arrays, which complex numbers cannot enter."""
        params = {name: lambda name=name: self.params[name] for name in self.params}
        return Target(params, self.loss, self.grads, inputs=self.inputs, **keywords)

    def function_target(self) -> Target:
        """As a pure function of the parameters."""

        def f(params: Arrays) -> tuple[Any, Arrays]:
            self.params = params
            return self.loss(), self.grads()

        return Target.from_function(f, self.params)


class Lstm(Rnn):
    """The same loss over an LSTM, gates in the order i, f, o, g; `scale` multiplies its weights."""

    def __init__(
        self,
        rng: np.random.Generator,
        T: int = 3,
        B: int = 2,
        D: int = 3,
        H: int = 4,
        *,
        bug: str = "",
        scale: float = 1.0,
    ) -> None:
        """Draw what it holds."""
        super().__init__(rng, T, B, D, H, bug=bug)
        shapes = {"h0": (B, H), "c0": (B, H), "W": (D, 4 * H), "U": (H, 4 * H), "b": (4 * H,), "V": (H, 2)}
        self.params = {name: scale * self._drawn(rng, shape, float) for name, shape in shapes.items()}

    def run(self, params: Arrays) -> tuple[Any, Any, Any]:
        """The states, the outputs, and what the backward needs."""
        h, c, cache = params["h0"], params["c0"], []
        hs = []
        for x in self.inputs["x"]:
            z = x @ params["W"] + h @ params["U"] + params["b"]
            i, f, o = np.split((1 + np.tanh(z[:, : 3 * h.shape[1]] / 2)) / 2, 3, axis=1)
            g = np.tanh(z[:, 3 * h.shape[1] :])
            cache.append((x, h, c, i, f, o, g))
            c = f * c + i * g
            h = o * np.tanh(c)
            hs.append(h)
        return np.stack(hs), np.stack(hs) @ params["V"], cache

    def grads(self) -> Arrays:
        """The gradients of the loss, or what the bug makes of them."""
        hs, y, cache = self.run(self.params)
        p, dy = self.params, y / self.sizes["B"]
        grads = {name: np.zeros_like(p[name]) for name in ("W", "U", "b")}
        dh, dc = np.zeros_like(p["h0"]), np.zeros_like(p["c0"])
        for t in reversed(range(len(hs))):
            x, h, c, i, f, o, g = cache[t]
            tanh_c = np.tanh(f * c + i * g)
            dh = dh + dy[t] @ p["V"].T
            dc = dc + dh * o * (1 - tanh_c**2)
            forget = np.ones_like(f) if self.bug == "forget gate" else f * (1 - f)
            di = dc * (i if self.bug == "i for g" else g) * i * (1 - i)
            dz = np.hstack([di, dc * c * forget, dh * tanh_c * o * (1 - o), dc * i * (1 - g**2)])
            grads["W"] += x.T @ dz
            grads["U"] += h.T @ dz
            grads["b"] += dz.sum(0)
            dh, dc = dz @ p["U"].T, (0 * dc if self.bug == "cell not carried" else dc * f)
        return spoil({**grads, "h0": dh, "c0": dc, "V": np.einsum("tbh,tbk->hk", hs, dy)}, self.bug, self.sizes)


def spoil(grads: Arrays, bug: str, sizes: dict[str, int]) -> Arrays:
    """The gradients with a bug of the kind that shows in one block alone, or in all by one factor."""
    match bug:
        case "sign":
            grads["U"] = -grads["U"]
        case "factor":
            grads["W"] = 1.5 * grads["W"]
        case "transposed":
            grads["U"] = grads["U"].T
        case "missing":
            grads["b"] = 0 * grads["b"]
        case "scalar bias":
            grads["b"] = np.full_like(grads["b"], grads["b"].sum())
        case "one entry":
            grads["W"][1, 2] *= 1.001
        case "sum over B":
            grads = {name: sizes["B"] * grad for name, grad in grads.items()}
        case "norm clip":
            size = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
            grads = {name: grad * min(1, 0.5 / (size + 1e-6)) for name, grad in grads.items()}
        case "all too small":
            grads = {name: grad * 0.37 for name, grad in grads.items()}
        case "mean over T, and sign":
            grads = {name: grad / sizes["T"] for name, grad in grads.items()}
            grads["U"] = -grads["U"]
    return grads


def factory(model: type[Rnn] = Rnn, bug: str = "", **keywords: Any) -> gradcheck.TargetFactory:
    """A factory over the sizes T, B, D, H; the defaults are all different."""

    @gradcheck.target
    def network(rng: np.random.Generator, *, T: int = 3, B: int = 2, D: int = 5, H: int = 4) -> Target:
        return model(rng, T, B, D, H, bug=bug, **keywords).target()

    return network


def vjp_target(bug: str = "", T: int = 3, B: int = 2, D: int = 3, H: int = 4, seed: int = 0) -> Target:
    """The RNN's forward and backward as they stand."""
    rng = np.random.default_rng(seed)
    shapes = {"x": (T, B, D), "h0": (B, H), "W": (D, H), "U": (H, H), "b": (H,)}
    inputs = {name: rng.normal(size=shape) / 2 for name, shape in shapes.items()}
    return Target.from_vjp(rnn_forward, lambda cotangents, cache: rnn_backward(cotangents, cache, bug), inputs)


def sine(w: Any, slope: Any = np.cos, **keywords: Any) -> Target:
    """The smallest target: the loss is the sum of sin w."""
    params = {"w": w}
    return Target(params, lambda: np.sin(params["w"]).sum(), lambda: {"w": slope(params["w"])}, **keywords)


# What worker processes import, so at the top of a module.


@gradcheck.target
def right_rnn(rng: np.random.Generator, *, T: int = 2, H: int = 9) -> Target:
    """An RNN whose gradients are right, with a block of more entries than go into one task."""
    return Rnn(rng, T, 1, 2, H).target()


@gradcheck.target
def wrong_rnn(rng: np.random.Generator, *, T: int = 2, H: int = 9) -> Target:
    """An RNN that carries nothing back."""
    return Rnn(rng, T, 1, 2, H, bug="no carry").target()


@gradcheck.target
def real_rnn(rng: np.random.Generator, *, T: int = 2, H: int = 9) -> Target:
    """The right one, differenced by real steps."""
    return Rnn(rng, T, 1, 2, H).real_target()


@gradcheck.target
def right_vjp(rng: np.random.Generator, *, T: int = 2) -> Target:
    """A forward and a backward, whose cotangents every worker must draw alike."""
    return vjp_target(T=T, seed=int(rng.integers(100)))


#: whether the lock was held that keeps threads apart, at each loss of `watched`
turns: list[bool] = []


@gradcheck.target
def watched(rng: np.random.Generator) -> Target:
    """Notes at each loss whether another thread could be in one as well."""
    w = rng.normal(size=20)
    return Target(
        {"w": w},
        lambda: turns.append(ONE_THREAD_AT_A_TIME.locked()) or float(np.sin(w).sum()),
        lambda: {"w": np.cos(w)},
    )


class CustomError(Exception):
    """An error that pickle cannot restore: it takes two arguments and passes on none."""

    def __init__(self, where: str, number: int) -> None:
        """Keep both, out of pickle's sight."""
        super().__init__()
        self.told = where, number

    def __str__(self) -> str:
        """What it was told."""
        return str(self.told)


@gradcheck.target
def raising(rng: np.random.Generator) -> Target:
    """Raises in a worker alone."""
    w = rng.normal(size=20)

    def loss() -> float:
        if multiprocessing.parent_process() is not None:
            raise CustomError("in a worker", 3)
        return float(np.sin(w).sum())

    return Target({"w": w}, loss, lambda: {"w": np.cos(w)})


def _batched(rng: np.random.Generator, N: int, real: bool) -> Target:
    params = {"w": rng.normal(size=N)}

    def losses(_: str, copies: Any) -> Any:
        return np.sin(copies).sum(axis=1)

    read = (lambda: params) if real else params
    return Target(read, lambda: np.sin(params["w"]).sum(), lambda: {"w": np.cos(params["w"])}, batched=losses)


@gradcheck.target
def batched(rng: np.random.Generator, *, N: int = 30) -> Target:
    """Many copies at once, by complex step."""
    return _batched(rng, N, real=False)


@gradcheck.target
def batched_real(rng: np.random.Generator, *, N: int = 30) -> Target:
    """The same by real differences."""
    return _batched(rng, N, real=True)


@gradcheck.target
def deadly(rng: np.random.Generator) -> Target:
    """Ends the process, if that is a worker."""
    w = rng.normal(size=20)

    def loss() -> float:
        if multiprocessing.parent_process() is not None:
            os._exit(1)
        return float(np.sin(w).sum())

    return Target({"w": w}, loss, lambda: {"w": np.cos(w)})
