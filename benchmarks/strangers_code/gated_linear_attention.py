from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import einsum

"""Gated linear attention as a recurrence: S_t = a_t * S_{t-1} + k_t v_t^T, read with q_t, normalised, gated by SiLU.
Shapes: b batch, t time, d model, h heads, k key = v value width, o output."""

TAU = 4.0
_EPS = 0.1


class Saved(NamedTuple):
    x: np.ndarray
    pq: np.ndarray
    pk: np.ndarray
    pg: np.ndarray
    q: np.ndarray
    k: np.ndarray
    v: np.ndarray
    s: np.ndarray
    a: np.ndarray
    S: np.ndarray
    z: np.ndarray
    num: np.ndarray
    den: np.ndarray
    y: np.ndarray
    mixed: np.ndarray
    err: np.ndarray


def sigma(u): return 1 / (1 + np.exp(-u))
def softplus(u): return np.logaddexp(0, u)
def silu(u): return u * sigma(u)


def silu_prime(u):
    s = sigma(u)
    return s + u * s * (1 - s)


def gla_forward(p: dict, x: np.ndarray, target: np.ndarray) -> tuple[float, Saved]:
    B, T, _ = x.shape
    Hn, Kd, Vd = p["S0"].shape
    pq = einsum("btd,hdk->bthk", x, p["Wq"])
    pk = einsum("btd,hdk->bthk", x, p["Wk"])
    pg = einsum("btd,hdv->bthv", x, p["Wg"])
    q, k = softplus(pq), softplus(pk)
    v = einsum("btd,hdv->bthv", x, p["Wv"])
    s = sigma(einsum("btd,hdk->bthk", x, p["Wa"]) + p["ba"])
    a = s ** (1 / TAU)
    S = np.empty((B, T + 1, Hn, Kd, Vd), dtype=np.result_type(x, p["S0"], p["Wv"], a, k))
    z = np.empty((B, T + 1, Hn, Kd), dtype=S.dtype)
    S[:, 0], z[:, 0] = p["S0"], 1.0
    for t in range(T):
        S[:, t + 1] = a[:, t, :, :, None] * S[:, t] + einsum("bhk,bhv->bhkv", k[:, t], v[:, t])
        z[:, t + 1] = a[:, t] * z[:, t] + k[:, t]
    num = einsum("bthk,bthkv->bthv", q, S[:, 1:])
    den = einsum("bthk,bthk->bth", q, z[:, 1:]) + _EPS
    y = num / den[..., None]
    mixed = y * silu(pg)
    err = einsum("bthv,hvo->bto", mixed, p["Wo"]) - target
    return float(0.5 * (err ** 2).sum() / (B * T)), Saved(x, pq, pk, pg, q, k, v, s, a, S, z, num, den, y, mixed, err)


def gla_backward(p: dict, m: Saved) -> dict:
    B, T, _ = m.x.shape
    err = m.err / (B * T)
    grads = {"Wo": einsum("bthv,bto->hvo", m.mixed, err)}
    d_mixed = einsum("bto,hvo->bthv", err, p["Wo"])
    d_y = d_mixed * silu(m.pg)
    d_pg = d_mixed * m.y * silu_prime(m.pg)
    # y = num / den
    d_num = d_y / m.den[..., None]
    d_den = -einsum("bthv,bthv->bth", d_y, m.y) / m.den
    d_q = einsum("bthv,bthkv->bthk", d_num, m.S[:, 1:]) + d_den[..., None] * m.z[:, 1:]
    d_S = einsum("bthk,bthv->bthkv", m.q, d_num)
    d_z = einsum("bth,bthk->bthk", d_den, m.q)
    d_k, d_v, d_a = np.empty_like(m.k), np.empty_like(m.v), np.empty_like(m.a)
    # the scan, from right to left
    GS, Gz = np.zeros_like(d_S[:, 0]), np.zeros_like(d_z[:, 0])
    for t in range(T - 1, -1, -1):
        GS = GS + d_S[:, t]
        Gz = Gz + d_z[:, t]
        d_a[:, t] = einsum("bhkv,bhkv->bhk", GS, m.S[:, t]) + Gz * m.z[:, t]
        d_k[:, t] = einsum("bhkv,bhv->bhk", GS, m.v[:, t]) + Gz
        d_v[:, t] = einsum("bhkv,bhk->bhv", GS, m.k[:, t])
        GS = GS * m.a[:, t, :, :, None]
        Gz = Gz * m.a[:, t]
    grads["S0"] = GS.sum(axis=0)
    # to the pre-activations
    d_pq = d_q * sigma(m.pq)
    d_pk = d_k * sigma(m.pk)
    d_pa = d_a * m.a * (1 - m.s) / TAU
    grads["ba"] = einsum("bthk->hk", d_pa)
    d_x = np.zeros_like(m.x)
    for name, d in (("Wq", d_pq), ("Wk", d_pk), ("Wv", d_v), ("Wa", d_pa), ("Wg", d_pg)):
        grads[name] = einsum("btd,bthe->hde", m.x, d)
        d_x += einsum("bthe,hde->btd", d, p[name])
    grads["x"] = d_x
    return grads


def make(Target, rng, T=4, B=2, D=3, heads=2, K=2):
    w = lambda *shape: rng.normal(size=shape)
    p = {n: w(heads, D, K) for n in ("Wq", "Wk", "Wv", "Wa", "Wg")}
    p |= {"ba": w(heads, K), "S0": w(heads, K, K), "Wo": w(heads, K, 2)}
    x, target = w(B, T, D), w(B, T, 2)
    return Target({**p, "x": x}, lambda: gla_forward(p, x, target)[0], lambda: gla_backward(p, gla_forward(p, x, target)[1]))


BUGS = {
    "silu-product-rule": ("return s + u * s * (1 - s)", "return s * (1 - s)"),
    "quotient-rule-numerator": ('d_den = -einsum("bthv,bthv->bth", d_y, m.y) / m.den', 'd_den = -einsum("bthv,bthv->bth", d_y, m.num) / m.den'),
    "state-after-instead-of-before": ("GS, m.S[:, t]) + Gz * m.z[:, t]", "GS, m.S[:, t + 1]) + Gz * m.z[:, t]"),
    "key-in-normaliser": ('d_k[:, t] = einsum("bhkv,bhv->bhk", GS, m.v[:, t]) + Gz', 'd_k[:, t] = einsum("bhkv,bhv->bhk", GS, m.v[:, t])'),
    "decay-of-neighbour": ("GS = GS * m.a[:, t, :, :, None]", "GS = GS * m.a[:, t - 1, :, :, None]"),
    "power-of-decay-forgotten": ("d_pa = d_a * m.a * (1 - m.s) / TAU", "d_pa = d_a * m.a * (1 - m.s)"),
    "einsum-letters-exchanged": ('einsum("bhkv,bhk->bhv", GS, m.k[:, t])', 'einsum("bhvk,bhk->bhv", GS, m.k[:, t])'),
    "input-gradient-of-last-projection": ('d_x += einsum("bthe,hde->btd", d, p[name])', 'd_x = einsum("bthe,hde->btd", d, p[name])'),
}

PAIRS = [("silu-product-rule", "key-in-normaliser")]
