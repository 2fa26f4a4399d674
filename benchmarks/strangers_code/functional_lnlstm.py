"""Layer-normalised LSTM with variational dropout for time series regression.

Pure functions only.  The dropout masks are drawn once per sequence and handed in.
"""
from typing import NamedTuple

import numpy as np

EPS = 1e-2


class State(NamedTuple):
    h: np.ndarray
    c: np.ndarray


class StepCache(NamedTuple):
    x: np.ndarray        # input after dropout
    h: np.ndarray        # previous hidden state after dropout
    c_prev: np.ndarray
    i: np.ndarray
    f: np.ndarray
    g: np.ndarray
    o: np.ndarray
    tc: np.ndarray
    ln_a: tuple
    ln_c: tuple


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def layer_norm(a, gain):
    mean = a.mean(axis=-1, keepdims=True)
    rstd = 1.0 / np.sqrt(a.var(axis=-1, keepdims=True) + EPS)
    xhat = (a - mean) * rstd
    return xhat * gain, (xhat, rstd, gain)


def layer_norm_vjp(dout, cache):
    xhat, rstd, gain = cache
    dgain = (dout * xhat).sum(axis=0)
    dxhat = dout * gain
    m1 = dxhat.mean(axis=-1, keepdims=True)
    m2 = (dxhat * xhat).mean(axis=-1, keepdims=True)
    return rstd * (dxhat - m1 - xhat * m2), dgain


def step(p, state, x, mask_x, mask_h):
    x = x * mask_x
    h = state.h * mask_h
    na, ln_a = layer_norm(x @ p["Wx"] + h @ p["Wh"], p["gain"])
    ai, af, ag, ao = np.split(na + p["bias"], 4, axis=1)
    i, f, g, o = sigmoid(ai), sigmoid(af), np.tanh(ag), sigmoid(ao)
    c = f * state.c + i * g
    nc, ln_c = layer_norm(c, p["gain_c"])
    tc = np.tanh(nc + p["bias_c"])
    cache = StepCache(x, h, state.c, i, f, g, o, tc, ln_a, ln_c)
    return State(o * tc, c), cache


def step_vjp(p, dstate, cache, mask_x, mask_h):
    """Cotangents of (params, previous state, input) from those of the new state."""
    i, f, g, o = cache.i, cache.f, cache.g, cache.o
    do = dstate.h * cache.tc
    dnc = dstate.h * o * (1.0 - cache.tc ** 2)
    dc_norm, dgain_c = layer_norm_vjp(dnc, cache.ln_c)
    dc = dc_norm + dstate.c
    dai = dc * g * i * (1.0 - i)
    daf = dc * cache.c_prev * f * (1.0 - f)
    dag = dc * i * (1.0 - g ** 2)
    dao = do * o * (1.0 - o)
    da = np.concatenate([dai, daf, dag, dao], axis=1)
    dz, dgain = layer_norm_vjp(da, cache.ln_a)
    dparams = {
        "Wx": cache.x.T @ dz,
        "Wh": cache.h.T @ dz,
        "bias": da.sum(axis=0),
        "gain": dgain,
        "gain_c": dgain_c,
        "bias_c": dnc.sum(axis=0),
    }
    dh_prev = (dz @ p["Wh"].T) * mask_h
    dx = (dz @ p["Wx"].T) * mask_x
    return dparams, State(dh_prev, dc * f), dx


def initial_state(p, batch):
    return State(np.tile(p["h0"], (batch, 1)), np.tile(p["c0"], (batch, 1)))


def unroll(p, xs, mask_x, mask_h):
    state = initial_state(p, xs.shape[1])
    feats = np.tanh(xs @ p["Win"])
    hs, caches = [], []
    for x in feats:
        state, cache = step(p, state, x, mask_x, mask_h)
        hs.append(state.h)
        caches.append(cache)
    return np.stack(hs), feats, caches


def predict(p, hs):
    return hs @ p["Wy"] + p["by"]


def mse(p, xs, ys, mask_x, mask_h):
    hs, _, _ = unroll(p, xs, mask_x, mask_h)
    return float(np.mean((predict(p, hs) - ys) ** 2))


def accumulate(total, new):
    return {k: total[k] + new[k] if k in new else total[k] for k in total}


def mse_grad(p, xs, ys, mask_x, mask_h):
    hs, feats, caches = unroll(p, xs, mask_x, mask_h)
    dy = 2.0 * (predict(p, hs) - ys) / ys.size
    total = {k: np.zeros_like(v) for k, v in p.items()}
    total["Wy"] = np.einsum("tbh,tbo->ho", hs, dy)
    total["by"] = dy.sum(axis=(0, 1))
    dhs = dy @ p["Wy"].T
    dfeats = np.zeros_like(feats)
    carry = State(np.zeros_like(hs[0]), np.zeros_like(hs[0]))
    for t in reversed(range(len(caches))):
        dstate = State(carry.h + dhs[t], carry.c)
        dparams, carry, dfeats[t] = step_vjp(p, dstate, caches[t], mask_x, mask_h)
        total = accumulate(total, dparams)
    dpre = dfeats * (1.0 - feats ** 2)
    total["Win"] = np.einsum("tbi,tbd->id", xs, dpre)
    total["h0"] = carry.h.sum(axis=0)
    total["c0"] = carry.c.sum(axis=0)
    return total


KEEP = 0.8


def make(Target, rng, T=4, B=3, I=3, D=4, H=4, O=2):
    p = {
        "Win": rng.normal(size=(I, D)),
        "Wx": rng.normal(size=(D, 4 * H)),
        "Wh": rng.normal(size=(H, 4 * H)),
        "bias": 0.3 * rng.normal(size=4 * H),
        "gain": 1.0 + 0.3 * rng.normal(size=4 * H),
        "gain_c": 1.0 + 0.3 * rng.normal(size=H),
        "bias_c": 0.3 * rng.normal(size=H),
        "h0": 0.5 * rng.normal(size=H),
        "c0": 0.7 * rng.normal(size=H),
        "Wy": rng.normal(size=(H, O)),
        "by": 0.2 * rng.normal(size=O),
    }
    xs, ys = rng.normal(size=(T, B, I)), rng.normal(size=(T, B, O))
    mask_x = (rng.random(size=(B, D)) < KEEP) / KEEP
    mask_h = (rng.random(size=(B, H)) < KEEP) / KEEP
    return Target(p, lambda: mse(p, xs, ys, mask_x, mask_h), lambda: mse_grad(p, xs, ys, mask_x, mask_h))


BUGS = {
    "layernorm-gain-left-out": ("dxhat = dout * gain", "dxhat = dout"),
    "layernorm-variance-term-forgotten": ("return rstd * (dxhat - m1 - xhat * m2), dgain", "return rstd * (dxhat - m1), dgain"),
    "cell-carry-forgotten": ("dc = dc_norm + dstate.c", "dc = dc_norm"),
    "output-tanh-slope-missing": ("dnc = dstate.h * o * (1.0 - cache.tc ** 2)", "dnc = dstate.h * o"),
    "candidate-with-sigmoid-slope": ("dag = dc * i * (1.0 - g ** 2)", "dag = dc * i * g * (1.0 - g)"),
    "gates-concatenated-in-wrong-order": ("da = np.concatenate([dai, daf, dag, dao], axis=1)", "da = np.concatenate([dai, daf, dao, dag], axis=1)"),
    "recurrent-dropout-mask-left-out": ("dh_prev = (dz @ p[\"Wh\"].T) * mask_h", "dh_prev = dz @ p[\"Wh\"].T"),
    "mse-factor-two-missing": ("dy = 2.0 * (predict(p, hs) - ys) / ys.size", "dy = (predict(p, hs) - ys) / ys.size"),
}
PAIRS = [
    ("layernorm-gain-left-out", "layernorm-variance-term-forgotten"),
    ("cell-carry-forgotten", "output-tanh-slope-missing"),
    ("candidate-with-sigmoid-slope", "gates-concatenated-in-wrong-order"),
    ("layernorm-variance-term-forgotten", "recurrent-dropout-mask-left-out"),
    ("cell-carry-forgotten", "recurrent-dropout-mask-left-out"),
    ("candidate-with-sigmoid-slope", "mse-factor-two-missing"),
]
