"""Sequence tagger on irregularly sampled data.

Two continuous-time RNNs (left-to-right and right-to-left)
    tau * dh/dt = -h + tanh(LN(x W + h U)),     LN with gain and bias
are integrated over each gap with one explicit midpoint step; their states are
concatenated and scored by a linear-chain CRF with start and end scores.
"""
import numpy as np


def lse(a, axis):
    m = a.max(axis=axis, keepdims=True)
    return np.squeeze(m, axis) + np.log(np.exp(a - m).sum(axis=axis))


class Field:
    """Right-hand side of the ODE and its adjoint; accumulates into grad."""

    def __init__(self, W, U, gain, bias, raw_tau):
        self.W, self.U, self.gain, self.bias, self.raw_tau = W, U, gain, bias, raw_tau
        self.tau = 0.3 + np.logaddexp(0.0, raw_tau)
        self.grad = [np.zeros_like(a) for a in (W, U, gain, bias, raw_tau)]

    def rhs(self, x, h):
        pre = x @ self.W + h @ self.U
        cent = pre - pre.mean(1, keepdims=True)
        istd = 1.0 / np.sqrt((cent ** 2).mean(1, keepdims=True) + 1e-5)
        norm = cent * istd
        s = np.tanh(norm * self.gain + self.bias)
        slope = (s - h) / self.tau
        return slope, (x, h, norm, istd, s, slope)

    def rhs_adjoint(self, saved, d_slope):
        """returns the gradient in h"""
        x, h, norm, istd, s, slope = saved
        gW, gU, ggain, gbias, graw = self.grad
        d_top = d_slope / self.tau
        d_tau = -(d_slope * slope / self.tau).sum(0)
        graw += d_tau / (1.0 + np.exp(-self.raw_tau))
        d_act = d_top * (1.0 - s ** 2)
        ggain += (d_act * norm).sum(0)
        gbias += d_act.sum(0)
        d_norm = d_act * self.gain
        mean_d = d_norm.mean(1, keepdims=True)
        mean_dn = (d_norm * norm).mean(1, keepdims=True)
        d_pre = istd * (d_norm - mean_d - norm * mean_dn)
        gW += x.T @ d_pre
        gU += h.T @ d_pre
        return d_pre @ self.U.T - d_top


def integrate(field, xs, gaps, h):
    states, saved = [], []
    for x, gap in zip(xs, gaps):
        dt = gap[:, None]
        k1, s1 = field.rhs(x, h)
        k2, s2 = field.rhs(x, h + 0.5 * dt * k1)
        h = h + dt * k2
        states.append(h)
        saved.append((dt, s1, s2))
    return np.stack(states), saved


def integrate_adjoint(field, saved, d_states):
    """gradient in the initial state; the field gathers its own"""
    adj = np.zeros_like(d_states[0])
    for j in range(len(saved) - 1, -1, -1):
        dt, s1, s2 = saved[j]
        adj = adj + d_states[j]
        d_mid = field.rhs_adjoint(s2, dt * adj)
        d_k1 = 0.5 * dt * d_mid
        adj = adj + d_mid
        adj = adj + field.rhs_adjoint(s1, d_k1)
    return adj


def crf_forward(emis, trans, start, end):
    alpha = [start + emis[0]]
    for e in emis[1:]:
        alpha.append(lse(alpha[-1][:, :, None] + trans, 1) + e)
    return np.stack(alpha), lse(alpha[-1] + end, 1)


def crf_score(emis, trans, start, end, tags):
    T, B, _ = emis.shape
    score = start[tags[0]] + end[tags[-1]]
    for t in range(T):
        score = score + emis[t, np.arange(B), tags[t]]
        if t > 0:
            score = score + trans[tags[t - 1], tags[t]]
    return score


def crf_backward(emis, trans, start, end, tags):
    """gradients of mean(logZ - score)"""
    T, B, K = emis.shape
    alpha, logZ = crf_forward(emis, trans, start, end)
    beta = np.zeros((T, B, K))
    beta[T - 1] = end
    for t in range(T - 2, -1, -1):
        ahead = emis[t + 1] + beta[t + 1]
        beta[t] = lse(trans[None] + ahead[:, None, :], 2)
    gold = np.eye(K)[tags]
    node = np.exp(alpha + beta - logZ[:, None])
    d_emis = (node - gold) / B
    d_trans = np.zeros((K, K))
    for t in range(1, T):
        joint = alpha[t - 1][:, :, None] + trans + (emis[t] + beta[t])[:, None, :]
        edge = np.exp(joint - logZ[:, None, None])
        d_trans += (edge.sum(0) - gold[t - 1].T @ gold[t]) / B
    return d_emis, d_trans, d_emis[0].sum(0), d_emis[-1].sum(0)


PARTS = ("W", "U", "gain", "bias", "raw_tau")


def make(Target, rng, T=5, B=3, D=3, H=4, K=3):
    params = {}
    for side in ("fw", "bw"):
        params[side + ".W"] = rng.normal(0, 0.8, (D, H))
        params[side + ".U"] = rng.normal(0, 0.7, (H, H))
        params[side + ".gain"] = rng.uniform(0.7, 1.3, H)
        params[side + ".bias"] = rng.normal(0, 0.2, H)
        params[side + ".raw_tau"] = rng.normal(0, 0.5, H)
        params[side + ".h0"] = rng.normal(0, 0.5, H)
    params["out.V"] = rng.normal(0, 0.8, (2 * H, K))
    params["crf.trans"] = rng.normal(0, 0.7, (K, K))
    params["crf.start"] = rng.normal(0, 0.5, K)
    params["crf.end"] = rng.normal(0, 0.5, K)
    xs, gaps = rng.normal(size=(T, B, D)), rng.uniform(0.2, 0.9, (T, B))
    tags = rng.integers(0, K, (T, B))

    def encode():
        fields = {s: Field(*(params[s + "." + n] for n in PARTS)) for s in ("fw", "bw")}
        h0 = {s: np.tile(params[s + ".h0"], (B, 1)) for s in fields}
        fw, saved_fw = integrate(fields["fw"], xs, gaps, h0["fw"])
        bw, saved_bw = integrate(fields["bw"], xs[::-1], gaps[::-1], h0["bw"])
        both = np.concatenate([fw, bw[::-1]], axis=2)
        return fields, saved_fw, saved_bw, both, both @ params["out.V"]

    def crf():
        return params["crf.trans"], params["crf.start"], params["crf.end"]

    def loss():
        emis = encode()[-1]
        return float((crf_forward(emis, *crf())[1] - crf_score(emis, *crf(), tags)).mean())

    def grads():
        fields, saved_fw, saved_bw, both, emis = encode()
        g = {}
        d_emis, g["crf.trans"], g["crf.start"], g["crf.end"] = crf_backward(emis, *crf(), tags)
        g["out.V"] = np.einsum("tbh,tbk->hk", both, d_emis)
        d_both = d_emis @ params["out.V"].T
        g["fw.h0"] = integrate_adjoint(fields["fw"], saved_fw, d_both[:, :, :H]).sum(0)
        g["bw.h0"] = integrate_adjoint(fields["bw"], saved_bw, d_both[::-1, :, H:]).sum(0)
        for side, field in fields.items():
            g.update({side + "." + n: v for n, v in zip(PARTS, field.grad)})
        return g

    return Target(params, loss, grads)


BUGS = {
    "leak-term-forgotten": ("return d_pre @ self.U.T - d_top", "return d_pre @ self.U.T"),
    "softplus-derivative-sign": ("graw += d_tau / (1.0 + np.exp(-self.raw_tau))", "graw += d_tau / (1.0 + np.exp(self.raw_tau))"),
    "layernorm-mean-term-dropped": ("(d_norm - mean_d - norm * mean_dn)", "(d_norm - norm * mean_dn)"),
    "gain-overwritten-not-added": ("ggain += (d_act * norm).sum(0)", "ggain[:] = (d_act * norm).sum(0)"),
    "midpoint-half-missing": ("d_k1 = 0.5 * dt * d_mid", "d_k1 = dt * d_mid"),
    "reverse-direction-not-flipped": ("saved_bw, d_both[::-1, :, H:]", "saved_bw, d_both[:, :, H:]"),
    "crf-beta-loop-short": ("for t in range(T - 2, -1, -1):", "for t in range(T - 2, 0, -1):"),
    "crf-beta-wrong-axis": ("beta[t] = lse(trans[None] + ahead[:, None, :], 2)", "beta[t] = lse(trans[None] + ahead[:, None, :], 1)"),
}
PAIRS = [
    ("leak-term-forgotten", "crf-beta-loop-short"),
    ("softplus-derivative-sign", "midpoint-half-missing"),
    ("layernorm-mean-term-dropped", "reverse-direction-not-flipped"),
]
