"""Stacked bidirectional RNN tagger. Layers are plain dicts; layers above the
first one have a residual connection around them (same width in and out)."""
import numpy as np


def new_direction(rng, n_in, n_hid):
    return {
        "Wx": rng.normal(scale=0.6 / np.sqrt(n_in / 3), size=(n_in, n_hid)),
        "Wh": rng.normal(scale=0.5, size=(n_hid, n_hid)),
        "b": rng.normal(scale=0.2, size=(n_hid,)),
    }


def build(rng, n_in, n_hid, n_layers, n_tags):
    layers = []
    width = n_in
    for _ in range(n_layers):
        layers.append({"fwd": new_direction(rng, width, n_hid),
                       "bwd": new_direction(rng, width, n_hid)})
        width = 2 * n_hid
    head = {"W": rng.normal(scale=0.6, size=(width, n_tags)),
            "b": rng.normal(scale=0.1, size=(n_tags,))}
    return layers, head


def scan(cell, x, order):
    hs = np.zeros(x.shape[:2] + cell["b"].shape)
    h = np.zeros((x.shape[1],) + cell["b"].shape)
    for t in order:
        h = np.tanh(x[t] @ cell["Wx"] + h @ cell["Wh"] + cell["b"])
        hs[t] = h
    return hs


def scan_grad(cell, x, hs, dhs, order):
    """order is the order of the forward pass; we walk it from its end."""
    g = {k: np.zeros_like(v) for k, v in cell.items()}
    dx = np.zeros_like(x)
    carry = np.zeros_like(hs[0])
    order = list(order)
    for pos in range(len(order) - 1, -1, -1):
        t = order[pos]
        da = (dhs[t] + carry) * (1.0 - hs[t] * hs[t])
        g["Wx"] += x[t].T @ da
        g["b"] += da.sum(0)
        if pos > 0:
            g["Wh"] += hs[order[pos - 1]].T @ da
        dx[t] = da @ cell["Wx"].T
        carry = da @ cell["Wh"].T
    return dx, g


def run(layers, head, x):
    T = x.shape[0]
    tape = []
    out = x
    for depth, layer in enumerate(layers):
        inp = out
        hf = scan(layer["fwd"], inp, range(T))
        hb = scan(layer["bwd"], inp, range(T - 1, -1, -1))
        out = np.concatenate([hf, hb], axis=2)
        if depth > 0:
            out = out + inp
        tape.append({"inp": inp, "hf": hf, "hb": hb})
    logits = out @ head["W"] + head["b"]
    return logits, out, tape


def log_softmax(a):
    a = a - a.max(axis=-1, keepdims=True)
    return a - np.log(np.exp(a).sum(axis=-1, keepdims=True))


def nll(logits, tags):
    lp = np.take_along_axis(log_softmax(logits), tags[..., None], axis=2)
    return -lp.mean()


def backprop(layers, head, x, tags):
    T, B = tags.shape
    logits, top, tape = run(layers, head, x)
    d = np.exp(log_softmax(logits))
    d[np.arange(T)[:, None], np.arange(B)[None, :], tags] -= 1.0
    d /= tags.size
    ghead = {"W": np.einsum("tbi,tbk->ik", top, d), "b": d.sum(axis=(0, 1))}
    dout = d @ head["W"].T
    glayers = [None] * len(layers)
    for depth in reversed(range(len(layers))):
        layer, rec = layers[depth], tape[depth]
        n = rec["hf"].shape[2]
        df, db = dout[:, :, :n], dout[:, :, n:]
        dxf, gf = scan_grad(layer["fwd"], rec["inp"], rec["hf"], df, range(T))
        dxb, gb = scan_grad(layer["bwd"], rec["inp"], rec["hb"], db, range(T - 1, -1, -1))
        dinp = dxf + dxb
        if depth >= 1:
            dinp += dout
        glayers[depth] = {"fwd": gf, "bwd": gb}
        dout = dinp
    return glayers, ghead


def flatten(layers, head):
    flat = {"head." + k: v for k, v in head.items()}
    for i, layer in enumerate(layers):
        for side, cell in layer.items():
            for k, v in cell.items():
                flat["%d.%s.%s" % (i, side, k)] = v
    return flat


def make(Target, rng, T=5, B=3, D=3, H=4, L=3, K=4):
    layers, head = build(rng, D, H, L, K)
    x = rng.normal(size=(T, B, D))
    tags = rng.integers(0, K, size=(T, B))
    return Target(flatten(layers, head),
                  lambda: float(nll(run(layers, head, x)[0], tags)),
                  lambda: flatten(*backprop(layers, head, x, tags)))


BUGS = {
    "residual-gradient-one-layer-too-high": ("if depth >= 1:", "if depth > 1:"),
    "backward-cell-in-time-order": ('db, range(T - 1, -1, -1))', 'db, range(T))'),
    "halves-swapped": ("df, db = dout[:, :, :n], dout[:, :, n:]", "db, df = dout[:, :, :n], dout[:, :, n:]"),
    "carry-not-through-Wh-transposed": ('carry = da @ cell["Wh"].T', 'carry = da @ cell["Wh"]'),
    "Wh-pairs-with-same-step": ('g["Wh"] += hs[order[pos - 1]].T @ da', 'g["Wh"] += hs[order[pos]].T @ da'),
    "mean-over-time-only": ("d /= tags.size", "d /= T"),
    "input-gradient-of-one-direction": ("dinp = dxf + dxb", "dinp = dxf"),
    "sigmoid-derivative-for-tanh": ("(1.0 - hs[t] * hs[t])", "hs[t] * (1.0 - hs[t])"),
}
PAIRS = [("residual-gradient-one-layer-too-high", "Wh-pairs-with-same-step"),
         ("halves-swapped", "sigmoid-derivative-for-tanh")]
