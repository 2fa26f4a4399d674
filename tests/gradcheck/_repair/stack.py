"""Two normalised layers of two widths that share their code, read out with attention over the time steps."""

#: features come first, each layer has a width of its own; the loss is the sum of absolute errors of what is read out
#: with attention over the time steps
STACK = """
import numpy as np
import gradcheck


def standardise(a):
    centre = a - a.mean(axis=0)
    spread = np.sqrt((centre**2).mean(axis=0) + 0.05)
    return centre / spread, spread


def standardise_back(g, n, spread):
    inner = g - g.mean(axis=0)
    inner = inner - n * (g * n).mean(axis=0)
    return inner / spread


def layer(V, R, xs):
    h, trace = np.zeros((len(R), xs.shape[2])), []
    for x in xs:
        n, spread = standardise(V @ x + R @ h)
        trace.append((x, h, n, spread))
        h = np.tanh(n)
    return np.array([np.tanh(n) for _, _, n, _ in trace]), trace


def layer_back(V, R, trace, gs):
    gV, gR, gx, carry = np.zeros_like(V), np.zeros_like(R), [], 0.0
    for (x, h, n, spread), g in zip(reversed(trace), gs[::-1]):
        ga = standardise_back((g + carry) * (1 - np.tanh(n) ** 2), n, spread)
        gV, gR = gV + ga @ x.T, gR + ga @ h.T
        gx.insert(0, V.T @ ga)
        carry = R.T @ ga
    return gV, gR, np.array(gx)


def read(P, K, q, tops):
    k = np.tanh(tops.transpose(2, 0, 1) @ K)
    e = np.exp(k @ q)
    w = e / e.sum(axis=1, keepdims=True)
    c = np.einsum("bt,tdb->bd", w, tops)
    return c @ P, (k, w, c)


@gradcheck.target
def cell(rng, *, T=4, B=2, D=3, H=5, J=4):
    ps = {"V1": (H, D), "R1": (H, H), "V2": (J, H), "R2": (J, J), "K": (J, 3), "q": (3,), "P": (J, 2)}
    ps = {name: rng.standard_normal(shape) for name, shape in ps.items()}
    xs, y = rng.standard_normal((T, D, B)), 2 * rng.standard_normal((B, 2))

    def forward():
        lower, one = layer(ps["V1"], ps["R1"], xs)
        upper, two = layer(ps["V2"], ps["R2"], lower)
        out, kept = read(ps["P"], ps["K"], ps["q"], upper)
        return np.abs(out - y).sum(), (one, two, upper, out, kept)

    def grads():
        _, (one, two, upper, out, (k, w, c)) = forward()
        gout = np.sign(out - y)
        gc = gout @ ps["P"].T
        gw = np.einsum("bd,tdb->bt", gc, upper)
        ge = w * (gw - (gw * w).sum(axis=1, keepdims=True))
        gk = ge[:, :, None] * ps["q"] * (1 - k**2)
        states = upper.transpose(2, 0, 1)
        gK = sum(one.T @ two for one, two in zip(states, gk))
        gstates = w[:, :, None] * gc[:, None, :]
        gstates = gstates + gk @ ps["K"].T
        gV2, gR2, glower = layer_back(ps["V2"], ps["R2"], two, gstates.transpose(1, 2, 0))
        gV1, gR1, _ = layer_back(ps["V1"], ps["R1"], one, glower)
        gq = (k * ge[:, :, None]).sum(axis=(0, 1))
        return {"V1": gV1, "R1": gR1, "V2": gV2, "R2": gR2, "K": gK, "q": gq, "P": c.T @ gout}

    return gradcheck.Target(ps, lambda: float(forward()[0]), grads)
"""
