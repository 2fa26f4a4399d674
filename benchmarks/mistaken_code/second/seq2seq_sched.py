"""Encoder-decoder forecaster.  At each decoder step a coin (drawn once) decides between the
true previous value (teacher forcing) and the model's own previous output (free running)."""
import numpy as np


def encode(P, X):
    """X: (T, B, D) -> list of states, states[0] is zero"""
    hs = [np.zeros((X.shape[1], P["enc_U"].shape[0]))]
    for x in X:
        hs.append(np.tanh(x @ P["enc_W"] + hs[-1] @ P["enc_U"] + P["enc_b"]))
    return hs


def decode(P, s0, Y, coins):
    """returns list of (inp, s_prev, s, out) tuples"""
    steps = []
    s = s0
    prev_true = np.zeros_like(Y[0])
    prev_out = np.zeros_like(Y[0])
    for y, c in zip(Y, coins):
        inp = c * prev_true + (1 - c) * prev_out
        s_new = np.tanh(inp @ P["dec_W"] + s @ P["dec_U"] + P["dec_b"])
        out = s_new @ P["out_V"] + P["out_c"]
        steps.append((inp, s, s_new, out))
        s, prev_true, prev_out = s_new, y, out
    return steps


def mse(steps, Y):
    return 0.5 * sum(np.sum((st[3] - y) ** 2) for st, y in zip(steps, Y)) / Y.shape[1]


def backprop(P, X, Y, coins):
    hs = encode(P, X)
    steps = decode(P, hs[-1], Y, coins)
    G = {name: np.zeros_like(value) for name, value in P.items()}
    B = Y.shape[1]

    # decoder
    ds = np.zeros_like(hs[0])
    for k in reversed(range(len(steps))):
        inp, s_prev, s, out = steps[k]
        dout = (out - Y[k]) / B
        G["out_V"] += s.T @ dout
        G["out_c"] += dout.sum(0)
        ds = ds + dout @ P["out_V"].T
        da = ds * (1 - s ** 2)
        G["dec_W"] += inp.T @ da
        G["dec_U"] = s_prev.T @ da
        G["dec_b"] += da.sum(0)
        ds = da @ P["dec_U"].T

    # encoder
    dh = da
    for t in range(len(X) - 1, -1, -1):
        da = dh * (1 - hs[t + 1] ** 2)
        G["enc_W"] += X[t].T @ da
        G["enc_U"] += hs[t].T @ da
        G["enc_b"] += da.sum(0)
        dh = da @ P["enc_U"].T
    return G


def make(rng, T=4, B=3, D=2, H=3):
    def init(*shape):
        return rng.normal(0, 0.7, size=shape)

    P = {
        "enc_W": init(D, H), "enc_U": init(H, H), "enc_b": init(H),
        "dec_W": init(D, H), "dec_U": init(H, H), "dec_b": init(H),
        "out_V": init(H, D), "out_c": init(D),
    }
    X = rng.normal(size=(T, B, D))
    Y = rng.normal(size=(T, B, D))
    coins = np.array([[[float(t % 2)]] * B for t in range(T)])
    coins[-1] = rng.integers(0, 2, size=(B, 1))
    coins[-1, 0] = 0.0

    def loss():
        return float(mse(decode(P, encode(P, X)[-1], Y, coins), Y))

    def grads():
        return backprop(P, X, Y, coins)

    return P, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('gradient through the fed back output (free running steps) is missing',
  [43, 48, 51],
  [('    for k', '    dprev_out = np.zeros_like(Y[0])\n    for k'),
   (' / B\n', ' / B + dprev_out\n'),
   ('        ds = da @ P["dec_U"].T\n',
    '        ds = da @ P["dec_U"].T\n        dprev_out = (1 - coins[k]) * (da @ P["dec_W"].T)\n')]),
 ('dec_U gradient is overwritten at each step, only the first decoder step survives',
  [49],
  [('G["dec_U"] = s_prev', 'G["dec_U"] += s_prev')]),
 ("encoder starts from the gradient of the decoder's stale pre-activation da in place of ds",
  [54],
  [('    dh = da\n', '    dh = ds\n')])]
