"""The LSTM of the question this project began with: written by hand, and its loss would not fall.

Column vectors; a network of cells, one for each time step; a cell caches what its backward needs; the network
accumulates gradients. Everything that was wrong with it is still here, each defect behind a switch of `Defects`, all of
them on by default::

    gradcheck check examples/asker_lstm.py                                    # as it was asked
    ASKER_DEFECTS=none gradcheck check examples/asker_lstm.py                 # repaired: everything right
    ASKER_DEFECTS=dWc_uses_dc,mean_loss gradcheck check examples/asker_lstm.py
    python examples/asker_lstm.py                                             # which defects the loss curve shows

The question also drew its biases from a normal distribution, fixed the learning rate, never imported `clip` and
numbered its characters in the order of a set: nothing that a gradient could show.
"""

# ruff: noqa: SIM108  a mistake and its repair stand on lines of their own, so that a line can be named

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy import concatenate, exp, log, tanh, zeros
from numpy.typing import NDArray

import gradcheck

Array = NDArray[Any]
WEIGHTS = ("Wi", "Wf", "Wo", "Wc", "Wy", "bi", "bf", "bo", "bc", "by")
#: what the question clipped the carried gradients to
LIMIT = 6.0


@dataclass(frozen=True)
class Defects:
    """One switch for each thing that was wrong."""

    sigma_prime_of_activated: bool = True  # dsigmoid() squashes its argument again; the gates are squashed already
    tanh_prime_of_activated: bool = True  # dtanh() likewise, of the candidate
    dWc_uses_dc: bool = True  # the gradient of the cell state where the candidate's pre-activation belongs
    dbc_uses_dc: bool = True  # likewise
    swapped_state: bool = True  # the step takes (x, c, h) and is called with (x, h, c)
    fed_positions: bool = True  # the step is fed 0, 1, 2, ... and never sees a character
    clips_inside: bool = True  # dh and dc are clipped on their way back through time
    mean_loss: bool = True  # the loss is a mean over time, the gradients are sums
    carried_over_windows: bool = True  # what flows out of a window's start is injected at the end of the next
    short_window: bool = True  # the last window of a text is taken to be as long as the others
    unstable_softmax: bool = True  # exp() of logits that were not shifted
    loss_is_array: bool = True  # the loss has shape (1,)

    @classmethod
    def none(cls) -> Defects:
        """Everything repaired."""
        return cls(**{field.name: False for field in fields(cls)})

    @classmethod
    def only(cls, *names: str) -> Defects:
        """These and no others."""
        unknown = sorted(set(names) - {field.name for field in fields(cls)})
        if unknown:
            known = ", ".join(field.name for field in fields(cls))
            raise ValueError(f"no defect {', '.join(unknown)}: expected all, none, or some of {known}")
        return replace(cls.none(), **dict.fromkeys(names, True))

    @classmethod
    def chosen(cls) -> Defects:
        """The ones named by the environment variable ASKER_DEFECTS: all (the default), none, or names with commas."""
        names = os.environ.get("ASKER_DEFECTS", "all")
        if names == "all":
            return cls()
        return cls.none() if names == "none" else cls.only(*names.split(","))


def sigmoid(z: Array) -> Array:
    """The logistic function."""
    return np.asarray(0.5 + 0.5 * tanh(0.5 * z))


def dsigmoid(z: Array) -> Array:
    """The derivative of the logistic function at the pre-activation z."""
    return np.asarray(sigmoid(z) * (1 - sigmoid(z)))


def dtanh(z: Array) -> Array:
    """The derivative of tanh at the pre-activation z."""
    return np.asarray(1 - tanh(z) ** 2)


class RNN:
    """The network: weights, accumulated gradients, and a cell for each time step."""

    Wi: Array
    Wf: Array
    Wo: Array
    Wc: Array
    Wy: Array
    bi: Array
    bf: Array
    bo: Array
    bc: Array
    by: Array
    dWi: Array
    dWf: Array
    dWo: Array
    dWc: Array
    dWy: Array
    dbi: Array
    dbf: Array
    dbo: Array
    dbc: Array
    dby: Array

    def __init__(self, n: int, d: int, rl: int, defects: Defects, rng: np.random.Generator) -> None:
        """`n` symbols, `d` memory cells, `rl` steps in a window."""
        self.n, self.d, self.rl, self.defects = n, d, rl, defects
        for gate in "ifoc":
            setattr(self, f"W{gate}", rng.standard_normal((n + d, d)) / np.sqrt((n + d) / 2))
            setattr(self, f"b{gate}", rng.standard_normal((d, 1)))
        self.Wy = rng.standard_normal((d, n)) / np.sqrt(d / 2)
        self.by = rng.standard_normal((n, 1))
        self.cells: list[Cell] = []
        self.begin()

    def clear(self) -> None:
        """Set the accumulated gradients, dWi to dby, to zero."""
        for name, weight in self.weights().items():
            setattr(self, f"d{name}", zeros(weight.shape))

    def weights(self) -> dict[str, Array]:
        """The weights by name, as they are bound now."""
        return {name: getattr(self, name) for name in WEIGHTS}

    def gradients(self) -> dict[str, Array]:
        """The accumulated gradients, under the names of the weights."""
        return {name: getattr(self, f"d{name}") for name in WEIGHTS}

    def feedforward(self, inputs: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """Run a window of characters from the state (h, c); the state after it."""
        while len(self.cells) < len(inputs):
            self.cells.append(Cell(self))
        for t, cell in zip(range(len(inputs)), self.cells, strict=False):
            if self.defects.fed_positions:
                x = t % self.n
            else:
                x = inputs[t]
            if self.defects.swapped_state:
                h, c = cell.feedforward(x, h, c)
            else:
                h, c = cell.feedforward(x, c, h)
        return h, c

    def loss(self, outputs: Array) -> Any:
        """The loss of the window that was fed forward last."""
        total = sum(cell.loss(y) for cell, y in zip(self.cells, outputs, strict=False))
        if self.defects.mean_loss:
            return total / len(outputs)
        return total

    def bptt(self, outputs: Array, dh: Array, dc: Array) -> tuple[Array, Array]:
        """Back through the window, accumulating; what flows out at its start."""
        if self.defects.short_window:
            steps = self.rl
        else:
            steps = len(outputs)
        for t in reversed(range(steps)):
            dh, dc = self.cells[t].backpropagate(outputs[t], dh, dc)
        return dh, dc

    def begin(self) -> None:
        """Before a text: nothing accumulated, nothing carried from one window to the next."""
        self.clear()
        self.carried = zeros((self.d, 1)), zeros((self.d, 1))

    def window(self, inputs: Array, outputs: Array, h: Array, c: Array) -> tuple[Array, Array]:
        """Forward and backward through one window from the state (h, c); the state after it."""
        h, c = self.feedforward(inputs, h, c)
        if self.defects.carried_over_windows:
            dh, dc = self.carried
        else:
            dh, dc = zeros((self.d, 1)), zeros((self.d, 1))
        self.carried = self.bptt(outputs, dh, dc)
        return h, c

    def train(self, text: Array, rate: float) -> float:
        """One pass over a text, window by window; the mean loss of a character."""
        h, c = zeros((self.d, 1)), zeros((self.d, 1))
        total = 0.0
        for start in range(0, len(text) - 1, self.rl):
            end = min(start + self.rl, len(text) - 1)
            self.clear()
            h, c = self.window(text[start:end], text[start + 1 : end + 1], h, c)
            loss = float(np.sum(self.loss(text[start + 1 : end + 1])))
            total += loss * (end - start) if self.defects.mean_loss else loss
            for name, gradient in self.gradients().items():
                setattr(self, name, getattr(self, name) - rate * gradient)
        return total / (len(text) - 1)


class Cell:
    """One time step, with what its backward needs."""

    def __init__(self, rnn: RNN) -> None:
        """A cell of this network; the weights are the network's."""
        self.rnn = rnn

    def feedforward(self, x: int, c: Array, h: Array) -> tuple[Array, Array]:
        """The step from the state (h, c), fed the symbol x; the state after it, h first."""
        net = self.rnn
        one_hot = zeros((net.n, 1))
        one_hot[x] = 1
        self.c_old, self.v = c, concatenate((one_hot, h))
        self.i = sigmoid(net.Wi.T @ self.v + net.bi)
        self.f = sigmoid(net.Wf.T @ self.v + net.bf)
        self.o = sigmoid(net.Wo.T @ self.v + net.bo)
        self.ct = tanh(net.Wc.T @ self.v + net.bc)
        self.c = self.f * c + self.i * self.ct
        self.h = self.o * tanh(self.c)
        self.y = net.Wy.T @ self.h + net.by
        if not net.defects.unstable_softmax:
            self.y = self.y - self.y.real.max()
        self.p = exp(self.y) / exp(self.y).sum()
        return self.h, self.c

    def loss(self, label: int) -> Any:
        """The cross-entropy of this step."""
        if self.rnn.defects.unstable_softmax:
            loss = -log(self.p[label])
        else:
            loss = log(exp(self.y).sum()) - self.y[label]
        if self.rnn.defects.loss_is_array:
            return loss
        return loss[0]

    def backpropagate(self, label: int | None, dh: Array, dc: Array) -> tuple[Array, Array]:
        """Add this step's gradients to the network's; the gradients of the state before it. A label may be None."""
        net, defects = self.rnn, self.rnn.defects
        i, f, o, ct = self.i, self.f, self.o, self.ct

        dy = zeros(self.p.shape)
        if label is not None:
            dy = self.p.copy()
            dy[label] -= 1
        net.dWy += self.h @ dy.T
        net.dby += dy

        dh = dh + net.Wy @ dy
        if defects.clips_inside:
            dh = np.clip(dh, -LIMIT, LIMIT)
        dc = dc + dh * o * dtanh(self.c)
        if defects.clips_inside:
            dc = np.clip(dc, -LIMIT, LIMIT)

        if defects.sigma_prime_of_activated:
            do = dh * tanh(self.c) * dsigmoid(o)
            df = dc * self.c_old * dsigmoid(f)
            di = dc * ct * dsigmoid(i)
        else:
            do = dh * tanh(self.c) * o * (1 - o)
            df = dc * self.c_old * f * (1 - f)
            di = dc * ct * i * (1 - i)
        if defects.tanh_prime_of_activated:
            dct = dc * i * dtanh(ct)
        else:
            dct = dc * i * (1 - ct**2)

        net.dWi += self.v @ di.T
        net.dWf += self.v @ df.T
        net.dWo += self.v @ do.T
        if defects.dWc_uses_dc:
            net.dWc += self.v @ dc.T
        else:
            net.dWc += self.v @ dct.T
        net.dbi += di
        net.dbf += df
        net.dbo += do
        if defects.dbc_uses_dc:
            net.dbc += dc
        else:
            net.dbc += dct

        dv = net.Wi @ di + net.Wf @ df + net.Wo @ do + net.Wc @ dct
        return dv[net.n :], dc * f


@gradcheck.target
def asker_lstm(rng: np.random.Generator, *, T: int = 4, n: int = 5, d: int = 3) -> gradcheck.Target:
    """One window of T characters: loss and gradients as the network reports them."""
    return _window(rng, T, n, d)


@gradcheck.target
def asker_shifted(rng: np.random.Generator, *, T: int = 3, n: int = 5, d: int = 4) -> gradcheck.Target:
    """The same with 1000 added to every logit: a softmax does not change by that, and must not overflow."""
    return _window(rng, T, n, d, shift=1000.0)


def _window(rng: np.random.Generator, T: int, n: int, d: int, shift: float = 0.0) -> gradcheck.Target:
    rnn = RNN(n, d, T, Defects.chosen(), rng)
    rnn.by += shift
    inputs, outputs = rng.integers(0, n, T), rng.integers(0, n, T)
    h, c = rng.standard_normal((d, 1)), rng.standard_normal((d, 1))

    def loss() -> Any:
        rnn.feedforward(inputs, h, c)
        return rnn.loss(outputs)

    def grads() -> dict[str, Array]:
        rnn.feedforward(inputs, h, c)
        rnn.bptt(outputs, zeros((d, 1)), zeros((d, 1)))
        return rnn.gradients()

    labels = {"inputs": inputs, "outputs": outputs}
    return gradcheck.Target(rnn.weights, loss, grads, inputs=labels, reset=rnn.clear)


@gradcheck.target
def asker_windows(rng: np.random.Generator, *, N: int = 6, T: int = 3, n: int = 5, d: int = 4) -> gradcheck.Target:
    """The last of the windows of a text of N characters: nothing but the state may come over from those before it."""
    rnn = RNN(n, d, T, Defects.chosen(), rng)
    text = rng.integers(0, n, N + 1)
    windows = [(text[a : min(a + T, N)], text[a + 1 : min(a + T, N) + 1]) for a in range(0, N, T)]
    states = [(zeros((d, 1)), zeros((d, 1)))]
    for inputs, _ in windows:
        states.append(rnn.feedforward(inputs, *states[-1]))

    def loss() -> Any:
        rnn.feedforward(windows[-1][0], *states[-2])
        return rnn.loss(windows[-1][1])

    def grads() -> dict[str, Array]:
        for window, state in zip(windows, states, strict=False):
            rnn.clear()
            rnn.window(*window, *state)
        return rnn.gradients()

    return gradcheck.Target(rnn.weights, loss, grads, reset=rnn.clear)


@gradcheck.target
def asker_step(rng: np.random.Generator, *, n: int = 5, d: int = 3) -> gradcheck.Target:
    """One cell without a label: the gradients must be linear in those that come from the step after it."""
    rnn = RNN(n, d, 1, Defects.chosen(), rng)
    x = int(rng.integers(n))
    gates = [name for name in WEIGHTS if name not in ("Wy", "by")]

    def forward(h: Array, c: Array, *weights: Array) -> tuple[tuple[Array, Array], Cell]:
        for name, weight in zip(gates, weights, strict=True):
            setattr(rnn, name, weight)
        cell = Cell(rnn)
        return cell.feedforward(x, c, h), cell

    def backward(cotangents: tuple[Array, Array], cell: Cell) -> dict[str, Array]:
        rnn.clear()
        dh, dc = cell.backpropagate(None, *cotangents)
        return {"h": dh, "c": dc, **{name: getattr(rnn, f"d{name}") for name in gates}}

    state = {"h": rng.standard_normal((d, 1)), "c": rng.standard_normal((d, 1))}
    return gradcheck.Target.from_vjp(forward, backward, {**state, **{name: getattr(rnn, name) for name in gates}})


def demo(passes: int = 150) -> None:
    """Train on a toy text with each defect alone: the loss of a character, after so many passes, tells few of them."""
    text = np.array([ord(character) - ord("a") for character in "abcdefghhgfedcbaacegbdfh" * 2 + "a"])
    print(f"loss of a character in nats, before and after {passes} passes over a toy text")
    cases = {"nothing wrong": Defects.none(), "everything": Defects()}
    cases |= {field.name: Defects.only(field.name) for field in fields(Defects)}
    for name, defects in cases.items():
        rnn = RNN(8, 12, 8, defects, np.random.default_rng(0))
        with np.errstate(all="ignore"):
            losses = [rnn.train(text, rate=0.05) for _ in range(passes)]
        print(f"  {name:26} {losses[0]:7.3f} {losses[-1]:7.3f}")


if __name__ == "__main__":
    demo()
