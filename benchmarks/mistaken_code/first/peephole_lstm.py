"""
LSTM with peephole connections (Gers & Schmidhuber), one sample at a time.

    i_t = s(Wi [x_t; h_{t-1}] + pi * c_{t-1} + bi)
    f_t = s(Wf [x_t; h_{t-1}] + pf * c_{t-1} + bf)
    g_t = tanh(Wg [x_t; h_{t-1}] + bg)
    c_t = f_t * c_{t-1} + i_t * g_t
    o_t = s(Wo [x_t; h_{t-1}] + po * c_t + bo)
    h_t = o_t * tanh(c_t)
    y_t = V h_t + d

h_{-1} and c_{-1} are learned as well.  Squared error, averaged over samples.
"""
import numpy as np
import gradcheck


def s(x):
    return 1.0 / (1.0 + np.exp(-x))


def init_params(rng, nx, nh, ny):
    P = {}
    for gate in "ifgo":
        P["W" + gate] = rng.normal(0, 0.6, (nh, nx + nh))
        P["b" + gate] = rng.normal(0, 0.3, (nh, 1))
    for gate in "ifo":
        P["p" + gate] = rng.normal(0, 0.8, (nh, 1))
    P["V"] = rng.normal(0, 0.8, (ny, nh))
    P["d"] = rng.normal(0, 0.3, (ny, 1))
    P["h0"] = rng.normal(0, 0.5, (nh, 1))
    P["c0"] = rng.normal(0, 0.5, (nh, 1))
    return P


def forward(P, xs):
    """xs: list of column vectors. Returns a list with one dict per step."""
    h, c = P["h0"], P["c0"]
    steps = []
    for x in xs:
        st = {"c_prev": c}
        z = np.vstack([x, h])
        i = s(P["Wi"] @ z + P["pi"] * c + P["bi"])
        f = s(P["Wf"] @ z + P["pf"] * c + P["bf"])
        g = np.tanh(P["Wg"] @ z + P["bg"])
        c = f * c + i * g
        o = s(P["Wo"] @ z + P["po"] * c + P["bo"])
        h = o * np.tanh(c)
        y = P["V"] @ h + P["d"]
        st.update(z=z, i=i, f=f, g=g, c=c, o=o, h=h, y=y)
        steps.append(st)
    return steps


def sample_loss(P, xs, ts):
    return sum(0.5 * np.sum((st["y"] - t) ** 2) for st, t in zip(forward(P, xs), ts))


def backward(P, xs, ts, G):
    """Adds the gradient of one sample to G."""
    nx = xs[0].shape[0]
    steps = forward(P, xs)
    dh_next = np.zeros_like(P["h0"])
    dc_next = np.zeros_like(P["c0"])
    for k in range(len(xs) - 1, -1, -1):
        st = steps[k]
        dy = st["y"] - ts[k]
        G["V"] += dy @ st["h"].T
        G["d"] += dy
        dh = P["V"].T @ dy + dh_next

        tc = np.tanh(st["c"])
        do = dh * tc * st["o"] * (1 - st["o"])
        dc = dc_next + dh * st["o"]
        dc = dc + P["po"] * do
        di = dc * st["g"] * st["i"] * (1 - st["i"])
        df = dc * st["c_prev"] * st["f"] * (1 - st["f"])
        dg = dc * st["i"] * (1 - st["g"] ** 2)

        G["po"] += do * st["c_prev"]
        G["pi"] += di * st["c_prev"]
        G["pf"] += df * st["c_prev"]

        dz = 0
        for gate, da in zip("ifgo", (di, df, dg, do)):
            G["W" + gate] += da @ st["z"].T
            G["b" + gate] += da
            dz = dz + P["W" + gate].T @ da
        dh_next = dz[nx:]
        dc_next = dc * st["f"]


def total_loss(P, data):
    return float(np.mean([sample_loss(P, xs, ts) for xs, ts in data]))


def total_grad(P, data):
    G = {k: np.zeros_like(v) for k, v in P.items()}
    for xs, ts in data:
        backward(P, xs, ts, G)
    for k in G:
        G[k] /= len(data)
    return G


def experiment(rng, T, B, D, H):
    P = init_params(rng, D, H, 2)
    data = []
    for _ in range(B):
        xs = [rng.normal(size=(D, 1)) for _ in range(T)]
        ts = [rng.normal(size=(2, 1)) for _ in range(T)]
        data.append((xs, ts))
    return P, lambda: total_loss(P, data), lambda: total_grad(P, data)


def make(rng):
    return experiment(rng, 4, 2, 3, 4)


@gradcheck.target
def peephole_lstm(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = experiment(rng, T, B, D, H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('derivative of tanh(c) is missing in dc',
  [74],
  [('dc = dc_next + dh * st["o"]', 'dc = dc_next + dh * st["o"] * (1 - tc ** 2)')]),
 ('output peephole gradient uses c_prev, the forward uses the new c',
  [80],
  [('G["po"] += do * st["c_prev"]', 'G["po"] += do * st["c"]')]),
 ('cell carry lacks the peephole terms pi*di + pf*df',
  [90],
  [('dc_next = dc * st["f"]', 'dc_next = dc * st["f"] + P["pi"] * di + P["pf"] * df')]),
 ('the gradient of the learned initial states h0 and c0 is dropped',
  [59, 63, 64, 65, 89, 90, 91, 92, 98, 100],
  [('\n\n\ndef total_loss', '\n    G["h0"] += dh_next\n    G["c0"] += dc_next\n\n\ndef total_loss')])]
