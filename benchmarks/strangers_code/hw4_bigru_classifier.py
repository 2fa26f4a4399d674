# CS homework 4, question 3: classify padded sentences with a 2-layer bidirectional GRU.
# Everything is a python list with one entry per time step, (batch, features) inside.
import numpy as np

NUM_LAYERS = 2
DIRS = ["fw", "bw"]


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def init_params(rng, V, D, H, C):
    P = {}
    P["emb"] = rng.normal(size=(V, D))
    for layer in range(NUM_LAYERS):
        n_in = D if layer == 0 else 2 * H
        for d in DIRS:
            p = d + str(layer) + "_"
            for gate in ["z", "r", "n"]:
                P[p + "W" + gate] = rng.normal(size=(n_in, H)) / np.sqrt(n_in)
                P[p + "U" + gate] = rng.normal(size=(H, H)) / np.sqrt(H)
                P[p + "b" + gate] = 0.2 * rng.normal(size=H)
            P[p + "h0"] = 0.5 * rng.normal(size=H)
    P["Wout"] = rng.normal(size=(4 * H, C)) / np.sqrt(2 * H)
    P["bout"] = 0.1 * rng.normal(size=C)
    return P


def time_order(d, T):
    if d == "fw":
        return list(range(T))
    return list(range(T - 1, -1, -1))


# ---------- one GRU, one direction ----------

def gru_forward(P, p, xs, masks, order):
    T, B = len(xs), xs[0].shape[0]
    hs, prevs = [None] * T, [None] * T
    zs, rs, ns = [None] * T, [None] * T, [None] * T
    h = np.tile(P[p + "h0"], (B, 1))
    for t in order:
        prevs[t] = h
        zs[t] = sigmoid(xs[t] @ P[p + "Wz"] + h @ P[p + "Uz"] + P[p + "bz"])
        rs[t] = sigmoid(xs[t] @ P[p + "Wr"] + h @ P[p + "Ur"] + P[p + "br"])
        ns[t] = np.tanh(xs[t] @ P[p + "Wn"] + (rs[t] * h) @ P[p + "Un"] + P[p + "bn"])
        h_new = (1 - zs[t]) * h + zs[t] * ns[t]
        # padded sentences keep their old state
        h = masks[t] * h_new + (1 - masks[t]) * h
        hs[t] = h
    return hs, (prevs, zs, rs, ns)


def gru_backward(P, G, p, xs, masks, order, dhs, cache):
    prevs, zs, rs, ns = cache
    dxs = [None] * len(xs)
    dh_next = np.zeros_like(dhs[0])
    for t in order[::-1]:
        x, h_prev, z, r, n = xs[t], prevs[t], zs[t], rs[t], ns[t]
        dh = dhs[t] + dh_next
        # the mask
        dh_new = dh * masks[t]
        dh_prev = dh * (1 - masks[t])
        # h_new = (1 - z) * h_prev + z * n
        dz = dh_new * (n - h_prev)
        dn = dh_new * z
        dh_prev += dh_new * (1 - z)
        # candidate
        dan = dn * (1 - n ** 2)
        drh = dan @ P[p + "Un"].T
        dr = drh * h_prev
        dh_prev += drh * r
        # gates
        daz = dz * z * (1 - z)
        dar = dr * r * (1 - r)
        dh_prev += daz @ P[p + "Uz"].T
        dh_prev += dar @ P[p + "Ur"].T
        # weights
        G[p + "Wz"] += x.T @ daz
        G[p + "Wr"] += x.T @ dar
        G[p + "Wn"] += x.T @ dan
        G[p + "Uz"] += h_prev.T @ daz
        G[p + "Ur"] += h_prev.T @ dar
        G[p + "Un"] += (r * h_prev).T @ dan
        G[p + "bz"] += daz.sum(axis=0)
        G[p + "br"] += dar.sum(axis=0)
        G[p + "bn"] += dan.sum(axis=0)
        dxs[t] = daz @ P[p + "Wz"].T + dar @ P[p + "Wr"].T + dan @ P[p + "Wn"].T
        dh_next = dh_prev
    G[p + "h0"] += dh_next.sum(axis=0)
    return dxs


# ---------- whole network ----------

def network_forward(P, tokens, masks, lengths):
    T = tokens.shape[1]
    xs = [P["emb"][tokens[:, t]] for t in range(T)]
    inputs, outs, caches = [], [], []
    for layer in range(NUM_LAYERS):
        inputs.append(xs)
        out, cache = {}, {}
        for d in DIRS:
            out[d], cache[d] = gru_forward(P, d + str(layer) + "_", xs, masks, time_order(d, T))
        outs.append(out)
        caches.append(cache)
        xs = [np.concatenate([out["fw"][t], out["bw"][t]], axis=1) for t in range(T)]
    last = np.concatenate([outs[-1]["fw"][T - 1], outs[-1]["bw"][0]], axis=1)
    pooled = sum(masks[t] * xs[t] for t in range(T)) / lengths[:, None]
    features = np.concatenate([last, pooled], axis=1)
    scores = features @ P["Wout"] + P["bout"]
    scores = scores - scores.max(axis=1, keepdims=True)
    probs = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return probs, features, inputs, caches


def cross_entropy(probs, labels):
    return float(-np.mean(np.log(probs[np.arange(len(labels)), labels])))


def network_backward(P, tokens, masks, lengths, labels):
    probs, features, inputs, caches = network_forward(P, tokens, masks, lengths)
    B, T = tokens.shape
    H = P["fw0_h0"].shape[0]
    G = {name: np.zeros_like(value) for name, value in P.items()}

    dscores = probs.copy()
    dscores[np.arange(B), labels] -= 1
    dscores /= B
    G["Wout"] += features.T @ dscores
    G["bout"] += dscores.sum(axis=0)
    dfeatures = dscores @ P["Wout"].T
    dlast, dpooled = dfeatures[:, :2 * H], dfeatures[:, 2 * H:]

    dys = [masks[t] * dpooled / lengths[:, None] for t in range(T)]
    dys[T - 1][:, :H] += dlast[:, :H]
    dys[0][:, H:] += dlast[:, H:]
    for layer in range(NUM_LAYERS - 1, -1, -1):
        xs = inputs[layer]
        dbelow = [np.zeros_like(x) for x in xs]
        for d in DIRS:
            if d == "fw":
                dhs = [dy[:, :H] for dy in dys]
            else:
                dhs = [dy[:, H:] for dy in dys]
            dxs = gru_backward(P, G, d + str(layer) + "_", xs, masks, time_order(d, T), dhs, caches[layer][d])
            for t in range(T):
                dbelow[t] += dxs[t]
        dys = dbelow
    for t in range(T):
        np.add.at(G["emb"], tokens[:, t], dys[t])
    return G


def make(Target, rng, B=3, T=4, V=6, D=3, H=3, C=3):
    P = init_params(rng, V, D, H, C)
    lengths = rng.integers(1, T + 1, size=B)
    lengths[0] = T
    lengths[-1] = max(1, T - 1)
    tokens = rng.integers(1, V, size=(B, T)) if V > 1 else np.zeros((B, T), dtype=int)
    for i in range(B):
        tokens[i, lengths[i]:] = 0  # padding token
    masks = [(t < lengths)[:, None].astype(float) for t in range(T)]
    labels = rng.integers(0, C, size=B)

    def loss():
        return cross_entropy(network_forward(P, tokens, masks, lengths)[0], labels)

    def grads():
        return network_backward(P, tokens, masks, lengths, labels)

    return Target(P, loss, grads)


BUGS = {
    "pad-step-carry-dropped": ("dh_prev = dh * (1 - masks[t])", "dh_prev = np.zeros_like(dh)"),
    "mask-left-out-of-new-state": ("dh_new = dh * masks[t]", "dh_new = dh"),
    "update-gate-sign": ("dz = dh_new * (n - h_prev)", "dz = dh_new * (h_prev - n)"),
    "reset-path-not-gated": ("dh_prev += drh * r", "dh_prev += drh"),
    "un-input-without-reset": ("G[p + \"Un\"] += (r * h_prev).T @ dan", "G[p + \"Un\"] += h_prev.T @ dan"),
    "ur-missing-transpose": ("dh_prev += dar @ P[p + \"Ur\"].T", "dh_prev += dar @ P[p + \"Ur\"]"),
    "bw-final-state-at-wrong-end": ("dys[0][:, H:] += dlast[:, H:]", "dys[T - 1][:, H:] += dlast[:, H:]"),
    "second-direction-overwrites-dx": ("dbelow[t] += dxs[t]", "dbelow[t] = dxs[t]"),
}
PAIRS = [
    ("pad-step-carry-dropped", "mask-left-out-of-new-state"),
    ("reset-path-not-gated", "ur-missing-transpose"),
    ("update-gate-sign", "reset-path-not-gated"),
    ("un-input-without-reset", "ur-missing-transpose"),
    ("bw-final-state-at-wrong-end", "second-direction-overwrites-dx"),
    ("update-gate-sign", "second-direction-overwrites-dx"),
]
