"""A small recurrent network in which mistakes are planted, one at a time, and mended."""

from __future__ import annotations

import itertools
import linecache
import re
from contextlib import nullcontext

import numpy as np

import gradcheck
from gradcheck._mending import mends
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.trials import Trial
from gradcheck._tape import tape_target
from tests.gradcheck._tape.programs import module

_SEEDS = itertools.count(1)

#: a gated cell with an embedding, fused gates, a mask, layer normalisation and a read-out over all steps
CELL = """
import numpy as np

SCALE = 1.3


def sig(x):
    return 1 / (1 + np.exp(-x))


def slope(y):
    return y * (1 - y)


class Cell:
    def __init__(self, p, tokens, mask, Y):
        self.p, self.tokens, self.mask, self.Y = p, tokens, mask, Y
        self.lam = 0.3

    def loss(self):
        p = self.p
        T, B = self.tokens.shape
        H = p["h0"].shape[1]
        h = p["h0"]
        self.saved, hs = [], []
        for t in range(T):
            x = p["E"][self.tokens[t]]
            z = x @ p["W"] + h @ p["U"] + p["b"]
            u = sig(z[:, :H])
            r = sig(z[:, H:2 * H])
            n = SCALE * np.tanh(z[:, 2 * H:] + p["k"] * (r * h))
            m = self.mask[t][:, None]
            new = (1 - u) * h + u * n
            hp = h
            h = m * new + (1 - m) * h
            self.saved.append((x, hp, u, r, n, m))
            hs.append(h)
        hs = np.stack(hs)
        mu = hs.mean(axis=2, keepdims=True)
        xhat = hs - mu
        out = np.einsum("tbi,ij->tbj", xhat, p["V"]) + p["c"]
        e = out - self.Y
        self.last = (xhat, e)
        return np.sum(e ** 2) / (T * B) + self.lam * np.sum(p["V"] ** 2)

    def grads(self):
        self.loss()
        p = self.p
        T, B = self.tokens.shape
        H = p["h0"].shape[1]
        xhat, e = self.last
        g = {name: np.zeros_like(value) for name, value in p.items()}
        de = 2 * e / (T * B)
        g["V"] = np.einsum("tbi,tbj->ij", xhat, de) + 2 * self.lam * p["V"]
        g["c"] = de.sum(axis=(0, 1))
        dxhat = np.einsum("tbj,ij->tbi", de, p["V"])
        dhs = dxhat - dxhat.mean(axis=2, keepdims=True)
        dh = np.zeros((B, H))
        for t in reversed(range(T)):
            x, hp, u, r, n, m = self.saved[t]
            dh = dh + dhs[t]
            dnew = m * dh
            dn = dnew * u
            du = dnew * (n - hp)
            da = dn * (SCALE - n ** 2 / SCALE)
            dr = da * p["k"] * hp
            du, dr = du * slope(u), dr * slope(r)
            dz = np.concatenate([du, dr, da], axis=1)
            g["k"] += (da * r * hp).sum(axis=0)
            g["W"] += x.T @ dz
            g["U"] += hp.T @ dz
            g["b"] += dz.sum(axis=0)
            dx = dz @ p["W"].T
            np.add.at(g["E"], self.tokens[t], dx)
            dh = dnew * (1 - u) + (1 - m) * dh + da * p["k"] * r + dz @ p["U"].T
        g["h0"] = dh
        return g
"""


def built(made, seed, *, T=3, B=2, D=3, H=4, V=5, K=2):
    """A target that has begun."""
    rng = np.random.default_rng(seed)
    draw = lambda *shape: rng.normal(size=shape) * 0.8  # noqa: E731
    p = {
        "E": draw(V, D), "W": draw(D, 3 * H), "U": draw(H, 3 * H), "b": draw(3 * H), "k": draw(H), "V": draw(H, K),
        "c": draw(K), "h0": draw(B, H),
    }  # fmt: skip
    tokens = rng.integers(0, V, (T, B))
    tokens[0] = tokens[0, 0]
    mask = np.ones((T, B))
    mask[-1, 0] = 0
    cell = made.Cell(p, tokens, mask, draw(T, B, K))
    return gradcheck.Target(p, cell.loss, cell.grads)


def taped(made, seed=1, **sizes):
    """The same on the tape."""
    target = built(made, seed, **sizes)
    return tape_target(target, target.values())


def planted(folder, right, wrong, source=CELL):
    """The module with a mistake, a run of it, and the statement."""
    assert source.count(right) == 1, right
    made = module(folder, source.replace(right, wrong))
    line = source[: source.index(right)].count("\n") + 1
    run = taped(made)
    return made, run, next(one for one in run.statements if one.line == line)


def mended(folder, right, wrong, source=CELL):
    """What is found for a planted mistake, and the text of the mended line."""
    made, run, statement = planted(folder, right, wrong, source)
    found = mends(run, statement, [lambda: nullcontext(taped(made, 7, T=4, B=3, D=2, H=3))])
    if not found:
        return [], ""
    text = apply_edits("".join(linecache.getlines(statement.file)), found[0].edits)
    return found, text.splitlines()[statement.line - 1].strip()


def is_right(folder, text):
    """Whether every gradient of a source is the true one, at a size and a seed of its own."""
    run = taped(module(folder, text), 23, T=2, B=4, D=2, H=3)
    return not Trial(run).wrong


def same(a, b):
    """Whether two lines are the same up to blanks and quotes."""
    return re.sub(r"\s", "", a).replace("'", '"') == re.sub(r"\s", "", b).replace("'", '"')
