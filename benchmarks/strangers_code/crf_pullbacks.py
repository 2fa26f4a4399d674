"""A tagger: multiplicative-integration RNN -> emissions -> linear-chain CRF. Functions return (value, pullback)."""
import numpy as np
from functools import reduce


def merge(left, right):
    out = dict(left)
    for key, val in right.items():
        out[key] = out[key] + val if key in out else val
    return out


def logsumexp(a, axis):
    top = a.max(axis=axis, keepdims=True)
    expd = np.exp(a - top)
    norm = expd.sum(axis=axis, keepdims=True)
    value = np.squeeze(top + np.log(norm), axis=axis)

    def pullback(bar):
        return np.expand_dims(bar, axis) * expd / norm

    return value, pullback


def affine(theta, w, b, x):
    value = x @ theta[w] + theta[b]

    def pullback(bar):
        return {w: x.T @ bar, b: bar.sum(0)}, bar @ theta[w].T

    return value, pullback


def mi_cell(theta, x, h):
    # tanh( alpha * Wx * Uh + beta1 * Uh + beta2 * Wx + bias ), Wu et al. 2016
    wx = x @ theta["W"]
    uh = h @ theta["U"]
    new = np.tanh(theta["alpha"] * wx * uh + theta["beta1"] * uh + theta["beta2"] * wx + theta["bias"])

    def pullback(bar):
        pre = bar * (1 - new * new)
        bar_wx = pre * (theta["alpha"] * uh + theta["beta2"])
        bar_uh = pre * (theta["alpha"] * wx + theta["beta1"])
        grads = {
            "alpha": np.sum(pre * wx * uh, axis=0),
            "beta1": np.sum(pre * uh, axis=0),
            "beta2": np.sum(pre * wx, axis=0),
            "bias": np.sum(pre, axis=0),
            "W": x.T @ bar_wx,
            "U": h.T @ bar_uh,
        }
        return grads, bar_wx @ theta["W"].T, bar_uh @ theta["U"].T

    return new, pullback


def crf_cell(theta, alpha, emission):
    """alpha'[j] = log sum_i exp(alpha[i] + A[i, j]) + emission[j]"""
    value, lse_pb = logsumexp(alpha[:, :, None] + theta["A"], axis=1)

    def pullback(bar):
        edge = lse_pb(bar)
        return {"A": edge.sum(axis=0)}, edge.sum(axis=2), bar

    return value + emission, pullback


def gold_score(theta, emissions, tags):
    """tags: (T + 1, B), the first row is the tag before the sentence."""
    T, B = tags.shape[0] - 1, tags.shape[1]
    prev, cur = tags[:-1], tags[1:]
    t, b = np.meshgrid(np.arange(T), np.arange(B), indexing="ij")
    value = theta["pi"][tags[0]] + theta["A"][prev, cur].sum(0) + emissions[t, b, cur].sum(0)

    def pullback(bar):
        weights = np.broadcast_to(bar, (T, B))
        bar_A, bar_pi, bar_em = np.zeros_like(theta["A"]), np.zeros_like(theta["pi"]), np.zeros_like(emissions)
        np.add.at(bar_pi, tags[0], bar)
        np.add.at(bar_A, (prev, cur), weights)
        bar_em[t, b, cur] = weights
        return {"A": bar_A, "pi": bar_pi}, bar_em

    return value, pullback


def chain(theta, x, h0):
    h, pbs, ems = h0, [], []
    for xt in x:
        h, cell_pb = mi_cell(theta, xt, h)
        em, em_pb = affine(theta, "V", "d", h)
        pbs.append((cell_pb, em_pb))
        ems.append(em)

    def pullback(bar_ems):
        bar_h, found = 0.0, []
        bar_x = np.zeros_like(x)
        for s in range(len(x) - 1, -1, -1):
            cell_pb, em_pb = pbs[s]
            g_em, from_em = em_pb(bar_ems[s])
            g_cell, bar_x[s], bar_h = cell_pb(from_em + bar_h)
            found += [g_em, g_cell]
        return reduce(merge, found), bar_x, bar_h

    return np.stack(ems), pullback


def negative_log_likelihood(theta, x, h0, tags):
    B = h0.shape[0]
    ems, chain_pb = chain(theta, x, h0)
    alpha = np.tile(theta["pi"], (B, 1))
    crf_pbs = []
    for em in ems:
        alpha, pb = crf_cell(theta, alpha, em)
        crf_pbs.append(pb)
    logz, z_pb = logsumexp(alpha, axis=1)
    gold, gold_pb = gold_score(theta, ems, tags)

    def pullback(bar=1.0):
        each = np.full(B, bar / B)
        bar_alpha = z_pb(each)
        grads, bar_ems = gold_pb(-each)
        for s in reversed(range(len(crf_pbs))):
            g, bar_alpha, bar_em = crf_pbs[s](bar_alpha)
            bar_ems[s] += bar_em
            grads = merge(grads, g)
        grads = merge(grads, {"pi": bar_alpha.sum(axis=0)})
        g, bar_x, bar_h0 = chain_pb(bar_ems)
        return merge(grads, g), bar_x, bar_h0

    return float((logz - gold).mean()), pullback


def make(Target, rng, T=4, B=2, D=2, H=3, K=3):
    if K < 2:
        raise ValueError("one tag leaves nothing to learn")
    shapes = dict(W=(D, H), U=(H, H), alpha=(H,), beta1=(H,), beta2=(H,), bias=(H,), V=(H, K), d=(K,), A=(K, K), pi=(K,))
    theta = {k: rng.normal(size=s) for k, s in shapes.items()}
    x, h0, tags = rng.normal(size=(T, B, D)), rng.normal(size=(B, H)), rng.integers(0, K, (T + 1, B))

    def grads():
        _, pb = negative_log_likelihood(theta, x, h0, tags)
        g, gx, gh = pb()
        return {**g, "x": gx, "h0": gh}

    return Target({**theta, "x": x, "h0": h0}, lambda: negative_log_likelihood(theta, x, h0, tags)[0], grads)


BUGS = {
    "wrong-marginal": ('return {"A": edge.sum(axis=0)}, edge.sum(axis=2), bar', 'return {"A": edge.sum(axis=0)}, edge.sum(axis=1), bar'),
    "softmax-not-normalised": ("return np.expand_dims(bar, axis) * expd / norm", "return np.expand_dims(bar, axis) * expd"),
    "gold-edge-reversed": ("np.add.at(bar_A, (prev, cur), weights)", "np.add.at(bar_A, (cur, prev), weights)"),
    "additive-path-missing": ('bar_uh = pre * (theta["alpha"] * wx + theta["beta1"])', 'bar_uh = pre * (theta["alpha"] * wx)'),
    "tanh-slope-at-old-state": ("pre = bar * (1 - new * new)", "pre = bar * (1 - h * h)"),
    "merge-forgets-left": ("out[key] = out[key] + val if key in out else val", "out[key] = val"),
    "gold-cotangent-sign": ("grads, bar_ems = gold_pb(-each)", "grads, bar_ems = gold_pb(each)"),
    "transition-of-other-step": ("bar_ems[s] += bar_em", "bar_ems[s - 1] += bar_em"),
}

PAIRS = [("wrong-marginal", "additive-path-missing"), ("gold-edge-reversed", "tanh-slope-at-old-state")]
