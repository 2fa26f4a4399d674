"""Gated delta-rule linear attention with a mixture-density head, in functional style.

Each op f has a partner f_vjp(cache, cotangent) that returns a tuple of cotangents, one
per differentiable argument of f, in the order of the arguments.
"""
from collections import namedtuple

import numpy as np

DenseCache = namedtuple("DenseCache", "x w")
UnitCache = namedtuple("UnitCache", "unit norm")
StepCache = namedtuple("StepCache", "S decayed err S_new q k alpha beta")   # S: state before the step, (B, V, K)
MdnCache = namedtuple("MdnCache", "resp prior z sigma")


def sigmoid(a):
    return 1.0 / (1.0 + np.exp(-a))


def dense(x, w, b):
    return np.einsum("...i,io->...o", x, w) + b, DenseCache(x, w)


def dense_vjp(cache, g):
    x, w = cache
    gx = np.einsum("...o,io->...i", g, w)
    gw = np.einsum("ni,no->io", x.reshape(-1, w.shape[0]), g.reshape(-1, w.shape[1]))
    return gx, gw, g.reshape(-1, w.shape[1]).sum(0)


def silu(a):
    s = sigmoid(a)
    return a * s, (a, s)


def silu_vjp(cache, g):
    a, s = cache
    return (g * s * (1.0 + a * (1.0 - s)),)


def unit(a):
    norm = np.sqrt((a * a).sum(-1, keepdims=True) + 0.01)
    return a / norm, UnitCache(a / norm, norm)


def unit_vjp(cache, g):
    u, norm = cache
    return ((g - u * (g * u).sum(-1, keepdims=True)) / norm,)


def decay(a, log_rate):
    """alpha = exp(-exp(log_rate) * softplus(a))"""
    sp = np.logaddexp(0.0, a)
    alpha = np.exp(-np.exp(log_rate) * sp)
    return alpha, (a, log_rate, sp, alpha)


def decay_vjp(cache, g):
    a, log_rate, sp, alpha = cache
    g_exponent = -g * alpha * np.exp(log_rate)
    return g_exponent * sigmoid(a), np.sum(g_exponent * sp)


def delta_step(S, q, k, v, alpha, beta):
    decayed = alpha[:, None, None] * S
    err = v - np.einsum("bvk,bk->bv", decayed, k)
    S_new = decayed + beta[:, None, None] * err[:, :, None] * k[:, None, :]
    return S_new, np.einsum("bvk,bk->bv", S_new, q), StepCache(S, decayed, err, S_new, q, k, alpha, beta)


def delta_step_vjp(cache, gS_new, go):
    S, decayed, err, S_new, q, k, alpha, beta = cache
    gq = np.einsum("bvk,bv->bk", S_new, go)
    gS_new = gS_new + go[:, :, None] * q[:, None, :]
    gS_k = np.einsum("bvk,bk->bv", gS_new, k)
    gbeta = np.einsum("bv,bv->b", gS_k, err)
    gerr = beta[:, None] * gS_k
    gk = beta[:, None] * np.einsum("bvk,bv->bk", gS_new, err)
    gk = gk - np.einsum("bvk,bv->bk", decayed, gerr)
    gdecayed = gS_new - gerr[:, :, None] * k[:, None, :]
    galpha = np.einsum("bvk,bvk->b", gdecayed, S)
    return alpha[:, None, None] * gdecayed, gq, gk, gerr, galpha, gbeta


def mdn_nll(raw, y, M):
    """mean negative log-likelihood of scalar y; raw holds logits | means | log sigmas"""
    logit, mu, log_sigma = raw[..., :M], raw[..., M:2 * M], raw[..., 2 * M:]
    log_prior = logit - np.logaddexp.reduce(logit, axis=-1, keepdims=True)
    sigma = np.exp(log_sigma)
    z = (y[..., None] - mu) / sigma
    joint = log_prior - log_sigma - 0.5 * z * z
    total = np.logaddexp.reduce(joint, axis=-1, keepdims=True)
    return -total.mean(), MdnCache(np.exp(joint - total), np.exp(log_prior), z, sigma)


def mdn_nll_vjp(cache, g):
    resp, prior, z, sigma = cache
    scale = g / (resp.shape[0] * resp.shape[1])
    g_logit = prior - resp
    g_mu = -resp * z / sigma
    g_log_sigma = resp * (1.0 - z * z)
    return (scale * np.concatenate([g_logit, g_mu, g_log_sigma], axis=-1),)


def model(p, x, y, M):
    T, B, _ = x.shape
    qa, c_q = dense(x, p["Wq"], p["bq"])
    ka, c_k = dense(x, p["Wk"], p["bk"])
    v, c_v = dense(x, p["Wv"], p["bv"])
    ks, c_silu = silu(ka)
    k, c_unit = unit(ks)
    ab, c_ab = dense(x, p["Wab"], p["bab"])
    alpha, c_decay = decay(ab[..., 0], p["log_rate"])
    beta = sigmoid(ab[..., 1])
    S, outs, steps = np.zeros((B, v.shape[-1], k.shape[-1])), [], []
    for t in range(T):
        S, o, step = delta_step(S, qa[t], k[t], v[t], alpha[t], beta[t])
        outs.append(o)
        steps.append(step)
    hid, c_out = silu(np.stack(outs))
    raw, c_head = dense(hid, p["Wo"], p["bo"])
    nll, c_mdn = mdn_nll(raw, y, M)
    return nll, (c_q, c_k, c_v, c_silu, c_unit, c_ab, c_decay, beta, steps, c_out, c_head, c_mdn)


def model_vjp(caches, g):
    c_q, c_k, c_v, c_silu, c_unit, c_ab, c_decay, beta, steps, c_out, c_head, c_mdn = caches
    (graw,) = mdn_nll_vjp(c_mdn, g)
    ghid, gWo, gbo = dense_vjp(c_head, graw)
    (gouts,) = silu_vjp(c_out, ghid)
    gS = np.zeros_like(steps[0].S)
    rows = []
    for step, go in zip(reversed(steps), gouts[::-1]):
        gS, *row = delta_step_vjp(step, gS, go)
        rows.append(row)
    gq, gk, gv, galpha, gbeta = (np.stack(col) for col in zip(*reversed(rows)))
    ga, glog_rate = decay_vjp(c_decay, galpha)
    gab = np.stack([ga, gbeta * beta * (1.0 - beta)], axis=-1)
    _, gWab, gbab = dense_vjp(c_ab, gab)
    (gka,) = silu_vjp(c_silu, *unit_vjp(c_unit, gk))
    _, gWk, gbk = dense_vjp(c_k, gka)
    _, gWq, gbq = dense_vjp(c_q, gq)
    _, gWv, gbv = dense_vjp(c_v, gv)
    return dict(Wq=gWq, bq=gbq, Wk=gWk, bk=gbk, Wv=gWv, bv=gbv, Wab=gWab, bab=gbab,
                log_rate=np.reshape(glog_rate, (1,)), Wo=gWo, bo=gbo)


def make(Target, rng, T=5, B=3, D=3, K=4, V=3, M=2):
    n = lambda *s: rng.normal(size=s)
    params = dict(Wq=0.4 * n(D, K), bq=0.3 * n(K), Wk=n(D, K), bk=0.8 + 0.3 * n(K), Wv=n(D, V), bv=0.3 * n(V),
                  Wab=0.7 * n(D, 2), bab=0.3 * n(2), log_rate=np.array([-0.5]),
                  Wo=0.25 * n(V, 3 * M), bo=0.3 * n(3 * M))
    x, y = n(T, B, D), n(T, B)
    loss = lambda: float(model(params, x, y, M)[0])
    grads = lambda: model_vjp(model(params, x, y, M)[1], 1.0)
    return Target(params, loss, grads)


BUGS = {
    "silu-derivative": ("return (g * s * (1.0 + a * (1.0 - s)),)", "return (g * s * (1.0 - s),)"),
    "unit-norm-projection-forgotten": ("return ((g - u * (g * u).sum(-1, keepdims=True)) / norm,)", "return (g / norm,)"),
    "query-grad-from-old-state": ("gq = np.einsum(\"bvk,bv->bk\", S_new, go)", "gq = np.einsum(\"bvk,bv->bk\", S, go)"),
    "erase-term-sign": ("gk = gk - np.einsum(", "gk = gk + np.einsum("),
    "carry-not-decayed": ("return alpha[:, None, None] * gdecayed, gq", "return gdecayed, gq"),
    "sigma-missing-in-mean": ("g_mu = -resp * z / sigma", "g_mu = -resp * z"),
    "alpha-grads-in-scan-order": ("decay_vjp(c_decay, galpha)", "decay_vjp(c_decay, galpha[::-1])"),
    "mean-over-batch-only": ("scale = g / (resp.shape[0] * resp.shape[1])", "scale = g / resp.shape[1]"),
}
PAIRS = [
    ("silu-derivative", "query-grad-from-old-state"),
    ("unit-norm-projection-forgotten", "sigma-missing-in-mean"),
    ("carry-not-decayed", "mean-over-batch-only"),
]
