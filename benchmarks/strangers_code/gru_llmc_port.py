# train_gru.c  ->  train_gru.py
# straight port of my C file: no matrices, everything lives in flat buffers and is
# reached with (buffer, offset). Function names follow llm.c (foo_forward / foo_backward).
#
#   tokens -> wte -> GRU (pytorch gate order r,z,n) -> layernorm -> lm head -> CE
#
# token 0 is <|eot|>: the state starts again from the learned h0 there (packed documents).
# target -1 = don't train on this position.
import math
import numpy as np

EOT = 0
IGNORE = -1
EPS = 1e-5


class Buf(object):
    """struct ActivationTensors { float* ... }"""

    def __init__(self, B, T, C, H, V):
        n = B * T
        for name, size in (("x", n * C), ("gx", n * 3 * H), ("gh", n * 3 * H), ("gate", n * 3 * H),
                           ("h", n * H), ("hp", n * H), ("ln", n * H), ("mean", n), ("rstd", n),
                           ("logits", n * V), ("probs", n * V)):
            setattr(self, name, np.zeros(size))


def sigmoidf(v):
    return 1.0 / (1.0 + math.exp(-v))


def encoder_forward(out, tok, wte, N, C):
    for n in range(N):
        ix = tok[n] * C
        out[n * C:n * C + C] = wte[ix:ix + C]


def encoder_backward(dwte, dout, tok, N, C):
    for n in range(N):
        ix = tok[n] * C
        dwte[ix:ix + C] += dout[n * C:n * C + C]


def matmul_forward(out, outp, inp, inpp, w, bias, N, C, OC):
    # out[n,o] = sum_c inp[n,c] * w[o,c] + bias[o]
    for n in range(N):
        ip = inpp + n * C
        for o in range(OC):
            out[outp + n * OC + o] = bias[o] + np.dot(inp[ip:ip + C], w[o * C:o * C + C])


def matmul_backward(dinp, dinpp, dw, dbias, dout, doutp, inp, inpp, w, N, C, OC):
    for n in range(N):
        ip = inpp + n * C
        dp = dinpp + n * C
        for o in range(OC):
            d = dout[doutp + n * OC + o]
            dinp[dp:dp + C] += d * w[o * C:o * C + C]
            dw[o * C:o * C + C] += d * inp[ip:ip + C]
            dbias[o] += d


def gru_cell_forward(a, bt, H):
    o, o3 = bt * H, bt * 3 * H
    for i in range(H):
        r = sigmoidf(a.gx[o3 + i] + a.gh[o3 + i])
        z = sigmoidf(a.gx[o3 + H + i] + a.gh[o3 + H + i])
        n = math.tanh(a.gx[o3 + 2 * H + i] + r * a.gh[o3 + 2 * H + i])
        a.gate[o3 + i], a.gate[o3 + H + i], a.gate[o3 + 2 * H + i] = r, z, n
        a.h[o + i] = (1.0 - z) * n + z * a.hp[o + i]


def gru_cell_backward(g, a, bt, H, dprev, pp):
    o, o3 = bt * H, bt * 3 * H
    for i in range(H):
        r, z, n = a.gate[o3 + i], a.gate[o3 + H + i], a.gate[o3 + 2 * H + i]
        dh = g.h[o + i]
        dn = dh * (1.0 - z) * (1.0 - n * n)
        dz = dh * (a.hp[o + i] - n) * z * (1.0 - z)
        dr = dn * a.gh[o3 + 2 * H + i] * r * (1.0 - r)
        g.gx[o3 + i] = dr
        g.gh[o3 + i] = dr
        g.gx[o3 + H + i] = dz
        g.gh[o3 + H + i] = dz
        g.gx[o3 + 2 * H + i] = dn
        g.gh[o3 + 2 * H + i] = dn * r
        dprev[pp + i] += dh * z


def layernorm_forward(a, w, bias, N, H):
    for n in range(N):
        row = a.h[n * H:n * H + H]
        m = row.sum() / H
        v = ((row - m) * (row - m)).sum() / H
        s = 1.0 / math.sqrt(v + EPS)
        a.ln[n * H:n * H + H] = s * (row - m) * w + bias
        a.mean[n] = m
        a.rstd[n] = s


def layernorm_backward(dinp, dw, dbias, dout, a, w, N, H):
    for n in range(N):
        off = n * H
        # two reduce operations
        dnorm_mean = 0.0
        dnorm_norm_mean = 0.0
        for i in range(H):
            norm = (a.h[off + i] - a.mean[n]) * a.rstd[n]
            dnorm_mean += w[i] * dout[off + i]
            dnorm_norm_mean += w[i] * dout[off + i] * norm
        dnorm_mean /= H
        dnorm_norm_mean /= H
        for i in range(H):
            norm = (a.h[off + i] - a.mean[n]) * a.rstd[n]
            dbias[i] += dout[off + i]
            dw[i] += norm * dout[off + i]
            dval = w[i] * dout[off + i]     # term 1
            dval -= dnorm_mean              # term 2
            dval -= norm * dnorm_norm_mean  # term 3
            dinp[off + i] += dval * a.rstd[n]


def softmax_ce_forward(a, tgt, N, V):
    total, count = 0.0, 0
    for n in range(N):
        row = a.logits[n * V:n * V + V]
        e = np.exp(row - row.max())
        a.probs[n * V:n * V + V] = e / e.sum()
        if tgt[n] != IGNORE:
            total -= math.log(a.probs[n * V + tgt[n]])
            count += 1
    return total / count


def softmax_ce_backward(dlogits, a, tgt, N, V):
    count = sum(1 for n in range(N) if tgt[n] != IGNORE)
    for n in range(N):
        if tgt[n] == IGNORE:
            continue
        for v in range(V):
            ind = 1.0 if v == tgt[n] else 0.0
            dlogits[n * V + v] += (a.probs[n * V + v] - ind) / count


def model_forward(P, a, tok, tgt, B, T, C, H, V):
    encoder_forward(a.x, tok, P["wte"], B * T, C)
    matmul_forward(a.gx, 0, a.x, 0, P["wx"], P["bx"], B * T, C, 3 * H)
    for b in range(B):
        for t in range(T):
            bt = b * T + t
            fresh = t == 0 or tok[bt] == EOT
            a.hp[bt * H:bt * H + H] = P["h0"] if fresh else a.h[(bt - 1) * H:bt * H]
            matmul_forward(a.gh, bt * 3 * H, a.hp, bt * H, P["wh"], P["bh"], 1, H, 3 * H)
            gru_cell_forward(a, bt, H)
    layernorm_forward(a, P["lnw"], P["lnb"], B * T, H)
    matmul_forward(a.logits, 0, a.ln, 0, P["wout"], P["bout"], B * T, H, V)
    return softmax_ce_forward(a, tgt, B * T, V)


def model_backward(P, a, tok, tgt, B, T, C, H, V):
    G = {k: np.zeros(P[k].size) for k in P}
    g = Buf(B, T, C, H, V)
    softmax_ce_backward(g.logits, a, tgt, B * T, V)
    matmul_backward(g.ln, 0, G["wout"], G["bout"], g.logits, 0, a.ln, 0, P["wout"], B * T, H, V)
    layernorm_backward(g.h, G["lnw"], G["lnb"], g.ln, a, P["lnw"], B * T, H)
    for b in range(B):
        for t in range(T - 1, -1, -1):
            bt = b * T + t
            if tok[bt] == EOT or t == 0:
                dprev, pp = G["h0"], 0
            else:
                dprev, pp = g.h, (bt - 1) * H
            gru_cell_backward(g, a, bt, H, dprev, pp)
            matmul_backward(dprev, pp, G["wh"], G["bh"], g.gh, bt * 3 * H, a.hp, bt * H, P["wh"], 1, H, 3 * H)
    matmul_backward(g.x, 0, G["wx"], G["bx"], g.gx, 0, a.x, 0, P["wx"], B * T, C, 3 * H)
    encoder_backward(G["wte"], g.x, tok, B * T, C)
    return G


def make(Target, rng, T=5, B=2, C=3, H=3, V=5):
    sizes = dict(wte=V * C, wx=3 * H * C, bx=3 * H, wh=3 * H * H, bh=3 * H, h0=H,
                 lnb=H, wout=V * H, bout=V)
    P = {k: rng.normal(0.0, 0.9, n) for k, n in sizes.items()}
    P["lnw"] = rng.uniform(0.5, 1.6, H)
    tok = [int(v) for v in rng.integers(0, V, B * T)]
    tok[T // 2] = EOT
    tgt = [int(v) for v in rng.integers(0, V, B * T)]
    if B * T > 1:
        tgt[B * T // 3] = IGNORE
    dims = (B, T, C, H, V)

    def loss():
        return float(model_forward(P, Buf(*dims), tok, tgt, *dims))

    def grads():
        acts = Buf(*dims)
        model_forward(P, acts, tok, tgt, *dims)
        return model_backward(P, acts, tok, tgt, *dims)

    return Target(P, loss, grads)


BUGS = {
    "embedding-row-overwritten": ("dwte[ix:ix + C] += dout[n * C:n * C + C]", "dwte[ix:ix + C] = dout[n * C:n * C + C]"),
    "matmul-dout-column-major": ("d = dout[doutp + n * OC + o]", "d = dout[doutp + o * N + n]"),
    "layernorm-norm-factor-lost": ("dval -= norm * dnorm_norm_mean  # term 3", "dval -= dnorm_norm_mean  # term 3"),
    "reset-gate-lost-on-hidden-side": ("g.gh[o3 + 2 * H + i] = dn * r", "g.gh[o3 + 2 * H + i] = dn"),
    "leak-with-one-minus-z": ("dprev[pp + i] += dh * z", "dprev[pp + i] += dh * (1.0 - z)"),
    "eot-not-seen-in-backward": ("if tok[bt] == EOT or t == 0:", "if t == 0:"),
    "mean-over-all-positions": ("(a.probs[n * V + v] - ind) / count", "(a.probs[n * V + v] - ind) / N"),
    "update-gate-sign": ("dz = dh * (a.hp[o + i] - n) * z * (1.0 - z)", "dz = dh * (n - a.hp[o + i]) * z * (1.0 - z)"),
}
PAIRS = [
    ("embedding-row-overwritten", "update-gate-sign"),
    ("matmul-dout-column-major", "leak-with-one-minus-z"),
    ("layernorm-norm-factor-lost", "eot-not-seen-in-backward"),
    ("reset-gate-lost-on-hidden-side", "mean-over-all-positions"),
    ("eot-not-seen-in-backward", "embedding-row-overwritten"),
    ("mean-over-all-positions", "layernorm-norm-factor-lost"),
]
