"""Layer-normalised GRU stack with residual connections; pure functions over dataclasses, one cache object per step."""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np

Array = np.ndarray


@dataclass
class Cell:
    Wx: Array    # (H, 2H) reset | update, from the input
    Wh: Array    # (H, 2H) the same, from the state
    gx: Array
    gh: Array
    b: Array
    Wn: Array
    Un: Array
    gn: Array
    bn: Array

    @classmethod
    def random(cls, rng, H):
        w = lambda *s: rng.normal(size=s) * 0.7
        return cls(w(H, 2 * H), w(H, 2 * H), 1 + 0.2 * w(2 * H), 1 + 0.2 * w(2 * H), w(2 * H), w(H, H), w(H, H), 1 + 0.2 * w(H), w(H))

    def zeros(self) -> Cell:
        return Cell(**{f.name: np.zeros_like(getattr(self, f.name)) for f in fields(self)})

    def flat(self, tag) -> dict[str, Array]:
        return {f"{tag}.{f.name}": getattr(self, f.name) for f in fields(self)}


class Norm(NamedTuple):
    hat: Array
    std: Array


@dataclass(frozen=True)
class StepCache:
    x: Array
    h_prev: Array
    norm_x: Norm
    norm_h: Norm
    norm_u: Norm
    r: Array
    z: Array
    n: Array


def layer_norm(v: Array) -> Norm:
    mu = v.mean(axis=-1, keepdims=True)
    std = np.sqrt(v.var(axis=-1, keepdims=True) + 1e-2)
    return Norm((v - mu) / std, std)


def layer_norm_vjp(norm: Norm, dL_dhat: Array) -> Array:
    centred = dL_dhat - dL_dhat.mean(axis=-1, keepdims=True)
    return (centred - norm.hat * np.mean(dL_dhat * norm.hat, axis=-1, keepdims=True)) / norm.std


def step(p: Cell, x: Array, h_prev: Array) -> tuple[Array, StepCache]:
    norm_x, norm_h = layer_norm(x @ p.Wx), layer_norm(h_prev @ p.Wh)
    gates = 1 / (1 + np.exp(-(p.gx * norm_x.hat + p.gh * norm_h.hat + p.b)))
    r, z = np.split(gates, 2, axis=-1)
    norm_u = layer_norm((r * h_prev) @ p.Un)
    n = np.tanh(x @ p.Wn + p.gn * norm_u.hat + p.bn)
    return (1 - z) * n + z * h_prev, StepCache(x, h_prev, norm_x, norm_h, norm_u, r, z, n)


def step_vjp(p: Cell, g: Cell, c: StepCache, dL_dh: Array) -> tuple[Array, Array]:
    dL_dpre_n = dL_dh * (1 - c.z) * (1 - c.n ** 2)
    g.Wn += c.x.T @ dL_dpre_n
    g.bn += dL_dpre_n.sum(axis=0)
    g.gn += (dL_dpre_n * c.norm_u.hat).sum(axis=0)
    dL_du = layer_norm_vjp(c.norm_u, dL_dpre_n * p.gn)
    g.Un += (c.r * c.h_prev).T @ dL_du
    dL_drh = dL_du @ p.Un.T
    dL_dr = dL_drh * c.h_prev
    dL_dz = dL_dh * (c.h_prev - c.n)
    gates = np.concatenate([c.r, c.z], axis=-1)
    dL_da = np.concatenate([dL_dr, dL_dz], axis=-1) * gates * (1 - gates)
    g.b += dL_da.sum(axis=0)
    g.gx += (dL_da * c.norm_x.hat).sum(axis=0)
    g.gh += (dL_da * c.norm_h.hat).sum(axis=0)
    dL_dax = layer_norm_vjp(c.norm_x, dL_da * p.gx)
    dL_dah = layer_norm_vjp(c.norm_h, dL_da * p.gh)
    g.Wx += c.x.T @ dL_dax
    g.Wh += c.h_prev.T @ dL_dah
    dL_dx = dL_dax @ p.Wx.T + dL_dpre_n @ p.Wn.T
    dL_dh_prev = dL_dh * c.z + dL_drh * c.r + dL_dah @ p.Wh.T
    return dL_dx, dL_dh_prev


def run(cells: list[Cell], xs: Array) -> tuple[Array, list[list[StepCache]]]:
    stream, caches = list(xs), []
    for p in cells:
        h, mine, out = np.zeros_like(stream[0]), [], []
        for x in stream:
            h, cache = step(p, x, h)
            mine.append(cache)
            out.append(x + h)
        stream = out
        caches.append(mine)
    return np.stack(stream), caches


def loss(cells, xs, targets) -> float:
    return 0.5 * float(np.mean((run(cells, xs)[0] - targets) ** 2))


def gradients(cells, xs, targets) -> dict[str, Array]:
    out, caches = run(cells, xs)
    dL_dstream = list((out - targets) / out.size)
    grads: list[Cell] = [p.zeros() for p in cells]
    for p, g, mine in zip(reversed(cells), reversed(grads), reversed(caches)):
        dL_dcarry = np.zeros_like(xs[0])
        dL_dbelow = []
        for cache, dL_dy in zip(reversed(mine), reversed(dL_dstream)):
            dL_dx, dL_dcarry = step_vjp(p, g, cache, dL_dy + dL_dcarry)
            dL_dbelow.append(dL_dx + dL_dy)
        dL_dstream = dL_dbelow[::-1]
    named = {k: v for i, g in enumerate(grads) for k, v in g.flat(f"layer{i}").items()}
    return named | {"xs": np.stack(dL_dstream)}


def make(Target, rng, T=3, B=2, H=3):
    cells = [Cell.random(rng, H) for _ in range(2)]
    xs, targets = rng.normal(size=(T, B, H)), rng.normal(size=(T, B, H))
    params = {k: v for i, c in enumerate(cells) for k, v in c.flat(f"layer{i}").items()} | {"xs": xs}
    return Target(params=params, loss=lambda: loss(cells, xs, targets), grads=lambda: gradients(cells, xs, targets))


BUGS = {
    "residual-branch-forgotten": ("dL_dbelow.append(dL_dx + dL_dy)", "dL_dbelow.append(dL_dx)"),
    "order-of-steps-not-restored": ("dL_dstream = dL_dbelow[::-1]", "dL_dstream = dL_dbelow"),
    "gain-left-out-before-norm": ("dL_dah = layer_norm_vjp(c.norm_h, dL_da * p.gh)", "dL_dah = layer_norm_vjp(c.norm_h, dL_da)"),
    "norm-of-the-other-branch": ("g.gh += (dL_da * c.norm_h.hat).sum(axis=0)", "g.gh += (dL_da * c.norm_x.hat).sum(axis=0)"),
    "norm-mean-over-batch": ("norm.hat * np.mean(dL_dhat * norm.hat, axis=-1, keepdims=True)", "norm.hat * np.mean(dL_dhat * norm.hat, axis=0, keepdims=True)"),
    "gates-concatenated-swapped": ("dL_da = np.concatenate([dL_dr, dL_dz], axis=-1)", "dL_da = np.concatenate([dL_dz, dL_dr], axis=-1)"),
    "reset-factor-left-out-of-carry": ("dL_dh_prev = dL_dh * c.z + dL_drh * c.r + dL_dah", "dL_dh_prev = dL_dh * c.z + dL_drh + dL_dah"),
    "candidate-missing-in-input": ("dL_dx = dL_dax @ p.Wx.T + dL_dpre_n @ p.Wn.T", "dL_dx = dL_dax @ p.Wx.T"),
}

PAIRS = [
    ("residual-branch-forgotten", "reset-factor-left-out-of-carry"),
    ("gain-left-out-before-norm", "candidate-missing-in-input"),
]
