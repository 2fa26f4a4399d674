"""
numpy port of my torch Seq2Seq module (GRUCell encoder, GRUCell decoder with
Luong "general" attention, input feeding); layout and gate order (r, z, n)
as in torch.nn.GRUCell.  Every forward function returns (output, backward_closure).
"""
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def embedding(weight, idx, grad):
    def backward(dout):
        np.add.at(grad, idx, dout)
    return weight[idx], backward


def gru_cell(sd, g, name, x, h):
    w_ih, w_hh = sd[name + ".weight_ih"], sd[name + ".weight_hh"]
    gi = x @ w_ih.T + sd[name + ".bias_ih"]
    gh = h @ w_hh.T + sd[name + ".bias_hh"]
    (i_r, i_z, i_n), (h_r, h_z, h_n) = np.split(gi, 3, axis=1), np.split(gh, 3, axis=1)
    r = sigmoid(i_r + h_r)
    z = sigmoid(i_z + h_z)
    n = np.tanh(i_n + r * h_n)
    h_new = (1 - z) * n + z * h

    def backward(dh_new):
        dn = dh_new * (1 - z) * (1 - n * n)
        dz = dh_new * (h - n) * z * (1 - z)
        dr = dn * h_n * r * (1 - r)
        dgi = np.concatenate([dr, dz, dn], axis=1)
        dgh = np.concatenate([dr, dz, dn * r], axis=1)
        g[name + ".weight_ih"] += dgi.T @ x
        g[name + ".weight_hh"] += dgh.T @ h
        g[name + ".bias_ih"] += dgi.sum(0)
        g[name + ".bias_hh"] += dgh.sum(0)
        dx = dgi @ w_ih
        dh = dh_new * z + dgh @ w_hh
        return dx, dh
    return h_new, backward


def attention(w, gw, query, memory, pad):
    """score_s = memory_s . (W query);  pad is True where the source is padding."""
    proj = query @ w.T                                     # (B, H)
    scores = np.einsum("bsh,bh->bs", memory, proj)
    scores = np.where(pad, -1e9, scores)
    alpha = np.exp(scores - scores.max(axis=1, keepdims=True))
    alpha /= alpha.sum(axis=1, keepdims=True)
    context = np.einsum("bs,bsh->bh", alpha, memory)

    def backward(dcontext):
        dalpha = np.einsum("bh,bsh->bs", dcontext, memory)
        dscores = alpha * (dalpha - (dalpha * alpha).sum(axis=1, keepdims=True))
        dproj = np.einsum("bs,bsh->bh", dscores, memory)
        dmemory = np.einsum("bs,bh->bsh", alpha, dcontext)
        dmemory += np.einsum("bs,bh->bsh", dscores, proj)
        gw[...] += dproj.T @ query
        dquery = dproj @ w
        return dquery, dmemory

    return context, backward


def cross_entropy(logits, target, count):
    rows = np.arange(len(target))
    s = logits - logits.max(axis=1, keepdims=True)
    logp = s - np.log(np.exp(s).sum(axis=1, keepdims=True))

    def backward():
        d = np.exp(logp)
        d[rows, target] -= 1.0
        return d / count

    return -logp[rows, target].sum() / count, backward


def seq2seq(sd, src, pad, tgt, need_grad):
    """src (B, S) ids, pad (B, S) bool, tgt (B, T+1) ids with tgt[:, 0] = <sos>."""
    g = {k: np.zeros_like(v) for k, v in sd.items()}
    (B, S), T = src.shape, tgt.shape[1] - 1
    H = sd["attn.weight"].shape[0]

    h = np.zeros((B, H))
    enc_tape, memory = [], []
    for s in range(S):
        x, b_emb = embedding(sd["src_emb"], src[:, s], g["src_emb"])
        h, b_cell = gru_cell(sd, g, "encoder", x, h)
        enc_tape.append((b_emb, b_cell))
        memory.append(h)
    memory = np.stack(memory, axis=1)                      # (B, S, H)

    feed = np.zeros((B, H))
    total, dec_tape = 0.0, []
    for t in range(T):
        emb, b_emb = embedding(sd["tgt_emb"], tgt[:, t], g["tgt_emb"])
        h, b_cell = gru_cell(sd, g, "decoder", np.concatenate([emb, feed], axis=1), h)
        ctx, b_attn = attention(sd["attn.weight"], g["attn.weight"], h, memory, pad)
        cat = np.concatenate([ctx, h], axis=1)
        feed = np.tanh(cat @ sd["combine.weight"].T)
        logits = feed @ sd["out.weight"].T + sd["out.bias"]
        l, b_loss = cross_entropy(logits, tgt[:, t + 1], B * T)
        total += l
        dec_tape.append((b_emb, b_cell, b_attn, b_loss, cat, feed))
    if not need_grad:
        return float(total)

    E = sd["tgt_emb"].shape[1]
    dh, dfeed = np.zeros((B, H)), np.zeros((B, H))
    dmemory = np.zeros_like(memory)
    for b_emb, b_cell, b_attn, b_loss, cat, feed in reversed(dec_tape):
        dlogits = b_loss()
        g["out.weight"] += dlogits.T @ feed
        g["out.bias"] += dlogits.sum(axis=0)
        dpre = (dlogits @ sd["out.weight"] + dfeed) * (1 - feed ** 2)
        g["combine.weight"] += dpre.T @ cat
        dctx, dh_comb = np.split(dpre @ sd["combine.weight"], 2, axis=1)
        dh_attn, dmem = b_attn(dctx)
        dmemory += dmem
        dx, dh = b_cell(dh + dh_comb + dh_attn)
        b_emb(dx[:, :E])
        dfeed = dx[:, E:]
    for s in reversed(range(S)):
        b_emb, b_cell = enc_tape[s]
        dx, dh = b_cell(dh + dmemory[:, s])
        b_emb(dx)
    return g


def make(Target, rng, B=3, S=4, T=3, E=3, H=4, V=5):
    def u(*shape):
        return rng.uniform(-0.9, 0.9, size=shape)

    sd = {"src_emb": u(V, E), "tgt_emb": u(V, E), "attn.weight": u(H, H),
          "combine.weight": u(H, 2 * H), "out.weight": u(V, H), "out.bias": u(V)}
    for name, n_in in (("encoder", E), ("decoder", E + H)):
        sd[name + ".weight_ih"], sd[name + ".weight_hh"] = u(3 * H, n_in), u(3 * H, H)
        sd[name + ".bias_ih"], sd[name + ".bias_hh"] = u(3 * H), u(3 * H)
    src = rng.integers(1, V, size=(B, S))
    tgt = np.concatenate([np.zeros((B, 1), dtype=int), rng.integers(1, V, size=(B, T))], axis=1)
    pad = np.arange(S)[None, :] >= S - np.arange(B)[:, None] % (S - 1)
    return Target(sd, lambda: seq2seq(sd, src, pad, tgt, False), lambda: seq2seq(sd, src, pad, tgt, True))


BUGS = {
    "embedding-duplicates-lost": ("np.add.at(grad, idx, dout)", "grad[idx] += dout"),
    "gru-hidden-n-without-reset": ("dgh = np.concatenate([dr, dz, dn * r], axis=1)", "dgh = np.concatenate([dr, dz, dn], axis=1)"),
    "gru-update-gate-sign": ("dz = dh_new * (h - n) * z * (1 - z)", "dz = dh_new * (n - h) * z * (1 - z)"),
    "attention-softmax-wrong-axis": ("(dalpha * alpha).sum(axis=1, keepdims=True)", "(dalpha * alpha).sum(axis=0, keepdims=True)"),
    "attention-weight-transposed": ("dquery = dproj @ w", "dquery = dproj @ w.T"),
    "memory-assigned": ("dmemory += dmem", "dmemory = dmem"),
    "input-feeding-dropped": ("dpre = (dlogits @ sd[\"out.weight\"] + dfeed) * (1 - feed ** 2)", "dpre = (dlogits @ sd[\"out.weight\"]) * (1 - feed ** 2)"),
    "concat-halves-swapped": ("dctx, dh_comb = np.split(", "dh_comb, dctx = np.split("),
}
PAIRS = [
    ("embedding-duplicates-lost", "attention-softmax-wrong-axis"),
    ("gru-update-gate-sign", "input-feeding-dropped"),
    ("attention-weight-transposed", "memory-assigned"),
]
