"""One small recurrent network as people leave it: in one function, in attributes, updating itself, a list a layer."""

# ruff: noqa: NPY002 - the global generator is what this is about

from __future__ import annotations

import copy
import itertools

import numpy as np

Wx = np.zeros((0, 0))
Wh = np.zeros((0, 0))


def in_one_function(xs, target, hprev):
    """The way of min-char-rnn: weights are variables of the module, loss and gradients come in one tuple."""
    hs = {-1: np.copy(hprev)}
    loss = 0
    for t in range(len(xs)):
        hs[t] = np.tanh(np.dot(Wx, xs[t]) + np.dot(Wh, hs[t - 1]))
        loss += 0.5 * np.sum((hs[t] - target) ** 2)
    dWx, dWh = np.zeros_like(Wx), np.zeros_like(Wh)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(xs))):
        dh = hs[t] - target + dhnext
        draw = (1 - hs[t] * hs[t]) * dh
        dWx += np.outer(draw, xs[t])
        dWh += np.outer(draw, hs[t - 1])
        dhnext = np.dot(Wh.T, draw)
    print("loss", loss)
    return loss, dWx, dWh, hs[len(xs) - 1]


class Accumulating:
    """Gradients are added up in attributes, and nobody sets them to zero."""

    def __init__(self, n_in, n_hidden):
        self.w = np.random.randn(n_hidden, n_in)
        self.u = np.random.randn(n_hidden, n_hidden) * 0.5
        self.w_diff = np.zeros_like(self.w)
        self.u_diff = np.zeros_like(self.u)

    def forward(self, xs, target):
        """The loss; states are kept."""
        self.hs, self.xs, self.target = [np.zeros(len(self.u))], xs, target
        loss = 0.0
        for x in xs:
            self.hs.append(np.tanh(self.w @ x + self.u @ self.hs[-1]))
            loss += 0.5 * np.sum((self.hs[-1] - target) ** 2)
        return loss

    def backward(self):
        """Adds the gradients to the attributes."""
        dnext = np.zeros(len(self.u))
        for t in reversed(range(len(self.xs))):
            dz = (1 - self.hs[t + 1] ** 2) * (self.hs[t + 1] - self.target + dnext)
            self.w_diff += np.outer(dz, self.xs[t])
            self.u_diff += np.outer(dz, self.hs[t])
            dnext = self.u.T @ dz


class Updating(Accumulating):
    """Weights are updated by the backward, and bound anew."""

    def train_step(self, xs, target, rate):
        """Forward, backward, update."""
        loss = self.forward(xs, target)
        dnext, dw, du = 0, 0, 0
        for t in reversed(range(len(xs))):
            dz = (1 - self.hs[t + 1] ** 2) * (self.hs[t + 1] - target + dnext)
            dw = dw + np.outer(dz, xs[t])
            du = du + np.outer(dz, self.hs[t])
            dnext = self.u.T @ dz
        self.w = self.w - rate * dw
        self.u -= rate * du
        return loss


class Optimized(Accumulating):
    """Gradients go to an optimizer, a copy of it for each weight."""

    def set_optimizer(self, optimizer):
        """One for each weight."""
        self.w_opt, self.u_opt = copy.copy(optimizer), copy.deepcopy(optimizer)

    def backward_pass(self):
        """Hands the gradients on."""
        dnext, dw, du = 0, np.zeros_like(self.w), np.zeros_like(self.u)
        for t in reversed(range(len(self.xs))):
            dz = (1 - self.hs[t + 1] ** 2) * (self.hs[t + 1] - self.target + dnext)
            dw += np.outer(dz, self.xs[t])
            du += np.outer(dz, self.hs[t])
            dnext = self.u.T @ dz
        self.w = self.w_opt.update(self.w, dw)
        self.u = self.u_opt.update(self.u, du)


class Stack:
    """Layers in lists; each unit is dropped with a probability, drawn from NumPy's global generator."""

    def __init__(self, sizes):
        self.W = [np.random.randn(m, n) / np.sqrt(n) for n, m in itertools.pairwise(sizes)]
        self.b = [np.random.randn(m) for m in sizes[1:]]

    def loss(self, x):
        """The sum of squares of what comes out."""
        self.a, self.masks = [x], []
        for W, b in zip(self.W, self.b, strict=True):
            self.masks.append(np.random.rand(len(b)) < 0.8)
            self.a.append(np.tanh(W @ self.a[-1] + b) * self.masks[-1])
        return 0.5 * np.sum(self.a[-1] ** 2)

    def gradients(self):
        """(dW, db), a list each."""
        dW, db = [None] * len(self.W), [None] * len(self.b)
        da = self.a[-1]
        for k in reversed(range(len(self.W))):
            dz = da * self.masks[k] * (1 - self.a[k + 1] ** 2)
            dW[k], db[k] = np.outer(dz, self.a[k]), dz
            da = self.W[k].T @ dz
        return dW, db
