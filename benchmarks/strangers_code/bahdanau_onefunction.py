# seq2seq with Bahdanau attention, everything in a single function (this was a Kaggle notebook cell)
#
#   encoder: bidirectional tanh RNN, padded steps give zeros
#   decoder: tanh RNN, teacher forcing, s0 from the first state of the reversed direction
#   score  : e[b,j] = v . tanh(s[b] Wq + H[b,j] Wk),   softmax over the real source positions
#   loss   : cross entropy, averaged over the real target tokens
#
# src (B,S) ints, src_mask (B,S), trg (B,T+1) ints with <s> in front, trg_mask (B,T)
import numpy as np


def seq2seq(P, src, src_mask, trg, trg_mask, want_grads=True):
    B, S = src.shape
    T = trg.shape[1] - 1
    hid = P["Uf"].shape[0]
    rows = np.arange(B)
    ntok = trg_mask.sum()

    # ---------------- forward ----------------
    X = P["Esrc"][src]                                     # (B,S,D)
    hf = np.zeros((B, S + 2, hid))                         # one column of zeros on both sides
    hb = np.zeros((B, S + 2, hid))
    for j in range(1, S + 1):
        hf[:, j] = np.tanh(X[:, j - 1] @ P["Wf"] + hf[:, j - 1] @ P["Uf"] + P["bf"]) * src_mask[:, j - 1, None]
    for j in range(S, 0, -1):
        hb[:, j] = np.tanh(X[:, j - 1] @ P["Wb"] + hb[:, j + 1] @ P["Ub"] + P["bb"]) * src_mask[:, j - 1, None]
    H = np.concatenate([hf[:, 1:-1], hb[:, 1:-1]], axis=2)  # (B,S,2h)
    K = H @ P["Wk"]                                        # keys, (B,S,A)
    bridge_in = hb[:, 1]
    s = np.tanh(bridge_in @ P["Winit"] + P["binit"])
    Y = P["Etrg"][trg[:, :-1]]                             # (B,T,D)

    states, attn, hid_attn, ctxs, probs = [s], [], [], [], []
    loss = 0.0
    for t in range(T):
        q = s @ P["Wq"]
        u = np.tanh(q[:, None, :] + K)                     # (B,S,A)
        e = u @ P["v"]
        e = np.where(src_mask > 0, e, -1e9)
        a = np.exp(e - e.max(axis=1, keepdims=True))
        a /= a.sum(axis=1, keepdims=True)
        ctx = (a[:, :, None] * H).sum(axis=1)
        s = np.tanh(Y[:, t] @ P["Wy"] + s @ P["Us"] + ctx @ P["Wc"] + P["bs"])
        o = np.concatenate([s, ctx], axis=1) @ P["Wo"] + P["bo"]
        p = np.exp(o - o.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        loss -= (np.log(p[rows, trg[:, t + 1]]) * trg_mask[:, t]).sum()
        states.append(s)
        attn.append(a)
        hid_attn.append(u)
        ctxs.append(ctx)
        probs.append(p)
    loss = loss / ntok
    if not want_grads:
        return float(loss)

    # ---------------- backward ----------------
    G = {k: np.zeros_like(w) for k, w in P.items()}
    dH = np.zeros_like(H)
    dK = np.zeros_like(K)
    dY = np.zeros_like(Y)
    ds = np.zeros((B, states[0].shape[1]))
    nd = ds.shape[1]
    for t in range(T - 1, -1, -1):
        s, sp, a, u, ctx = states[t + 1], states[t], attn[t], hid_attn[t], ctxs[t]
        do = probs[t].copy()
        do[rows, trg[:, t + 1]] -= 1
        do *= trg_mask[:, t, None] / ntok
        G["Wo"] += np.concatenate([s, ctx], axis=1).T @ do
        G["bo"] += do.sum(0)
        dcat = do @ P["Wo"].T
        ds = ds + dcat[:, :nd]
        dctx = dcat[:, nd:]
        dpre = ds * (1 - s ** 2)
        G["Wy"] += Y[:, t].T @ dpre
        G["Us"] += sp.T @ dpre
        G["Wc"] += ctx.T @ dpre
        G["bs"] += dpre.sum(0)
        dY[:, t] = dpre @ P["Wy"].T
        dctx = dctx + dpre @ P["Wc"].T
        ds = dpre @ P["Us"].T
        # attention
        da = (dctx[:, None, :] * H).sum(axis=2)
        dH += a[:, :, None] * dctx[:, None, :]
        de = a * (da - (da * a).sum(axis=1, keepdims=True))
        G["v"] += (de[:, :, None] * u).sum(axis=(0, 1))
        du = de[:, :, None] * P["v"] * (1 - u ** 2)
        dK += du
        dq = du.sum(axis=1)
        G["Wq"] += sp.T @ dq
        ds += dq @ P["Wq"].T
    np.add.at(G["Etrg"], trg[:, :-1], dY)

    # bridge + keys
    dinit = ds * (1 - states[0] ** 2)
    G["Winit"] += bridge_in.T @ dinit
    G["binit"] += dinit.sum(0)
    G["Wk"] += np.tensordot(H, dK, axes=([0, 1], [0, 1]))
    dH += dK @ P["Wk"].T

    # encoder
    dX = np.zeros_like(X)
    dhf = dH[:, :, :hid]
    dhb = dH[:, :, hid:]
    dhb[:, 0] += dinit @ P["Winit"].T
    carry = np.zeros((B, hid))
    for j in range(S, 0, -1):
        g = (dhf[:, j - 1] + carry) * src_mask[:, j - 1, None] * (1 - hf[:, j] ** 2)
        G["Wf"] += X[:, j - 1].T @ g
        G["Uf"] += hf[:, j - 1].T @ g
        G["bf"] += g.sum(0)
        dX[:, j - 1] += g @ P["Wf"].T
        carry = g @ P["Uf"].T
    carry = np.zeros((B, hid))
    for j in range(1, S + 1):
        g = (dhb[:, j - 1] + carry) * src_mask[:, j - 1, None] * (1 - hb[:, j] ** 2)
        G["Wb"] += X[:, j - 1].T @ g
        G["Ub"] += hb[:, j + 1].T @ g
        G["bb"] += g.sum(0)
        dX[:, j - 1] += g @ P["Wb"].T
        carry = g @ P["Ub"].T
    np.add.at(G["Esrc"], src, dX)
    return float(loss), G


def make(Target, rng, S=4, T=3, B=3, D=2, H=2, A=3, N=3, V=4):
    n = lambda *shape: rng.normal(size=shape) * 0.8
    P = dict(Esrc=n(V, D), Wf=n(D, H), Uf=n(H, H), bf=n(H), Wb=n(D, H), Ub=n(H, H), bb=n(H), Winit=n(H, N), binit=n(N),
             Etrg=n(V, D), Wq=n(N, A), Wk=n(2 * H, A), v=n(A) * 2, Wy=n(D, N), Us=n(N, N), Wc=n(2 * H, N), bs=n(N), Wo=n(N + 2 * H, V), bo=n(V))
    src_len = np.maximum(1, S - np.arange(B) % 3)
    trg_len = np.maximum(1, T - (np.arange(B) + 1) % 2)
    src, trg = rng.integers(0, V, (B, S)), rng.integers(0, V, (B, T + 1))
    trg[:, 0] = 0
    data = src, (np.arange(S) < src_len[:, None]) * 1.0, trg, (np.arange(T) < trg_len[:, None]) * 1.0
    return Target(P, lambda: seq2seq(P, *data, want_grads=False), lambda: seq2seq(P, *data)[1])


BUGS = {
    "attention-softmax-over-the-batch": ("de = a * (da - (da * a).sum(axis=1, keepdims=True))", "de = a * (da - (da * a).sum(axis=0, keepdims=True))"),
    "keys-only-of-the-first-step": ("dK += du", "dK = du"),
    "query-path-left-out": ('        ds += dq @ P["Wq"].T', "        pass"),
    "target-padding-not-masked": ("do *= trg_mask[:, t, None] / ntok", "do /= ntok"),
    "context-to-recurrence-forgotten": ('dctx = dctx + dpre @ P["Wc"].T', "dctx = dctx + 0"),
    "reversed-encoder-wrong-neighbour": ('G["Ub"] += hb[:, j + 1].T @ g', 'G["Ub"] += hb[:, j - 1].T @ g'),
    "bridge-derivative-of-the-last-state": ("dinit = ds * (1 - states[0] ** 2)", "dinit = ds * (1 - states[-1] ** 2)"),
    "decoder-recurrent-matrix-not-transposed": ('ds = dpre @ P["Us"].T', 'ds = dpre @ P["Us"]'),
}

PAIRS = [("attention-softmax-over-the-batch", "reversed-encoder-wrong-neighbour"), ("query-path-left-out", "target-padding-not-masked"),
         ("keys-only-of-the-first-step", "bridge-derivative-of-the-last-state")]
