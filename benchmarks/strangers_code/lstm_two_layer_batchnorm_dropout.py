"""
Layers for a deep recurrent tagger. All of them follow the same API:

    out, cache = xxx_forward(x, ...)
    dx, dparam1, dparam2, ... = xxx_backward(dout, cache)

Sequences are (N, T, D): minibatch, time, features.
"""
import numpy as np


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm_forward(x, h0, Wx, Wh, b):
    """
    Inputs:
    - x: (N, T, D), h0: (N, H), Wx: (D, 4H), Wh: (H, 4H), b: (4H,).   The initial cell state is zero.
    Returns a tuple of:
    - h: hidden states of all timesteps, (N, T, H)
    - cache
    """
    N, T, D = x.shape
    H = h0.shape[1]
    h = np.zeros((N, T + 1, H))
    c = np.zeros((N, T + 1, H))
    gates = np.zeros((N, T, 4 * H))
    h[:, 0] = h0
    for t in range(T):
        a = x[:, t].dot(Wx) + h[:, t].dot(Wh) + b
        gates[:, t, :3 * H] = sigmoid(a[:, :3 * H])
        gates[:, t, 3 * H:] = np.tanh(a[:, 3 * H:])
        i, f, o, g = np.split(gates[:, t], 4, axis=1)
        c[:, t + 1] = f * c[:, t] + i * g
        h[:, t + 1] = o * np.tanh(c[:, t + 1])
    cache = (x, h, c, gates, Wx, Wh)
    return h[:, 1:].copy(), cache


def lstm_backward(dout, cache):
    """Returns dx, dh0, dWx, dWh, db."""
    x, h, c, gates, Wx, Wh = cache
    N, T, D = x.shape
    H = h.shape[2]
    dx = np.zeros(x.shape)
    dWx = np.zeros(Wx.shape)
    dWh = np.zeros(Wh.shape)
    db = np.zeros(4 * H)
    dh_next = np.zeros((N, H))
    dc_next = np.zeros((N, H))
    for t in range(T - 1, -1, -1):
        i = gates[:, t, 0 * H:1 * H]
        f = gates[:, t, 1 * H:2 * H]
        o = gates[:, t, 2 * H:3 * H]
        g = gates[:, t, 3 * H:4 * H]
        c_prev = c[:, t]
        tanh_c = np.tanh(c[:, t + 1])

        dh = dout[:, t] + dh_next
        dc = dc_next + dh * o * (1 - tanh_c ** 2)
        da = np.zeros((N, 4 * H))
        da[:, 0 * H:1 * H] = dc * g * i * (1 - i)
        da[:, 1 * H:2 * H] = dc * c_prev * f * (1 - f)
        da[:, 2 * H:3 * H] = dh * tanh_c * o * (1 - o)
        da[:, 3 * H:4 * H] = dc * i * (1 - g ** 2)

        dx[:, t] = da.dot(Wx.T)
        dWx += x[:, t].T.dot(da)
        dWh += h[:, t].T.dot(da)
        db += da.sum(axis=0)
        dh_next = da.dot(Wh.T)
        dc_next = dc * f
    return dx, dh_next, dWx, dWh, db


def batchnorm_forward(x, gamma, beta, eps=1e-5):
    """Statistics over minibatch and time, train mode only. x: (N, T, D)."""
    N, T, D = x.shape
    flat = x.reshape(N * T, D)
    mu = flat.mean(axis=0)
    var = flat.var(axis=0)
    inv_std = 1 / np.sqrt(var + eps)
    x_hat = (flat - mu) * inv_std
    out = (gamma * x_hat + beta).reshape(N, T, D)
    return out, (x_hat, inv_std, gamma)


def batchnorm_backward(dout, cache):
    x_hat, inv_std, gamma = cache
    M = x_hat.shape[0]
    dflat = dout.reshape(x_hat.shape)
    dgamma = np.sum(dflat * x_hat, axis=0)
    dbeta = np.sum(dflat, axis=0)
    dx_hat = dflat * gamma
    dx = inv_std / M * (M * dx_hat - dx_hat.sum(axis=0) - x_hat * np.sum(dx_hat * x_hat, axis=0))
    return dx.reshape(dout.shape), dgamma, dbeta


def dropout_forward(x, keep, p):
    """Inverted dropout; keep is a given 0/1 array (N, 1, D), the same for all timesteps, p the keep probability."""
    out = x * keep / p
    return out, (keep, p)


def dropout_backward(dout, cache):
    keep, p = cache
    return dout * keep / p


def temporal_affine_forward(x, w, b):
    N, T, D = x.shape
    out = x.reshape(N * T, D).dot(w).reshape(N, T, -1) + b
    return out, (x, w)


def temporal_affine_backward(dout, cache):
    x, w = cache
    N, T, D = x.shape
    M = w.shape[1]
    dx = dout.reshape(N * T, M).dot(w.T).reshape(N, T, D)
    dw = x.reshape(N * T, D).T.dot(dout.reshape(N * T, M))
    db = dout.sum(axis=(0, 1))
    return dx, dw, db


def temporal_softmax_loss(x, y, mask):
    """x: (N, T, V) scores, y: (N, T) labels, mask: (N, T), 0 where the token does not count. Returns loss, dx."""
    N, T, V = x.shape
    x_flat, y_flat, mask_flat = x.reshape(N * T, V), y.reshape(N * T), mask.reshape(N * T)
    probs = np.exp(x_flat - np.max(x_flat, axis=1, keepdims=True))
    probs /= np.sum(probs, axis=1, keepdims=True)
    num_tokens = np.sum(mask_flat)
    loss = -np.sum(mask_flat * np.log(probs[np.arange(N * T), y_flat])) / num_tokens
    dx_flat = probs.copy()
    dx_flat[np.arange(N * T), y_flat] -= 1
    dx_flat *= mask_flat[:, None] / num_tokens
    return loss, dx_flat.reshape(N, T, V)


class DeepTagger(object):
    """lstm - batchnorm - dropout - lstm - affine - softmax"""

    def __init__(self, D, H, V, rng, dropout_mask, p=0.7):
        self.params = {}
        self.dropout_mask = dropout_mask
        self.p = p
        for k, d in (("1", D), ("2", H)):
            self.params["Wx" + k] = rng.standard_normal((d, 4 * H)) / np.sqrt(d)
            self.params["Wh" + k] = rng.standard_normal((H, 4 * H)) / np.sqrt(H)
            self.params["b" + k] = 0.3 * rng.standard_normal(4 * H)
        self.params["gamma"] = 1 + 0.3 * rng.standard_normal(H)
        self.params["beta"] = 0.3 * rng.standard_normal(H)
        self.params["W_vocab"] = rng.standard_normal((H, V))
        self.params["b_vocab"] = 0.3 * rng.standard_normal(V)

    def loss(self, x, y, mask):
        p = self.params
        h0 = np.zeros((x.shape[0], p["Wh1"].shape[0]))

        h1, cache_lstm1 = lstm_forward(x, h0, p["Wx1"], p["Wh1"], p["b1"])
        n1, cache_bn = batchnorm_forward(h1, p["gamma"], p["beta"])
        d1, cache_drop = dropout_forward(n1, self.dropout_mask, self.p)
        h2, cache_lstm2 = lstm_forward(d1, h0, p["Wx2"], p["Wh2"], p["b2"])
        scores, cache_affine = temporal_affine_forward(h2, p["W_vocab"], p["b_vocab"])
        loss, dscores = temporal_softmax_loss(scores, y, mask)

        grads = {}
        dh2, grads["W_vocab"], grads["b_vocab"] = temporal_affine_backward(dscores, cache_affine)
        dd1, _, grads["Wx2"], grads["Wh2"], grads["b2"] = lstm_backward(dh2, cache_lstm2)
        dn1 = dropout_backward(dd1, cache_drop)
        dh1, grads["gamma"], grads["beta"] = batchnorm_backward(dn1, cache_bn)
        _, _, grads["Wx1"], grads["Wh1"], grads["b1"] = lstm_backward(dh1, cache_lstm1)
        return loss, grads


def make(Target, rng, N=3, T=4, D=2, H=3, V=4):
    dropout_mask = np.ones((N, 1, H))
    dropout_mask[np.arange(N), 0, np.arange(N) % H] = 0
    model = DeepTagger(D, H, V, rng, dropout_mask)
    x, y = rng.standard_normal((N, T, D)), rng.integers(0, V, (N, T))
    mask = (np.arange(T) < (T - np.arange(N) % 3)[:, None]).astype(float)
    return Target(model.params, lambda: float(model.loss(x, y, mask)[0]), lambda: model.loss(x, y, mask)[1])


BUGS = {
    "tanh-derivative-of-the-raw-cell": ("dc = dc_next + dh * o * (1 - tanh_c ** 2)", "dc = dc_next + dh * o * (1 - c[:, t + 1] ** 2)"),
    "forget-gate-sees-the-new-cell": ("c_prev = c[:, t]", "c_prev = c[:, t + 1]"),
    "state-gradient-piles-up": ("dh_next = da.dot(Wh.T)", "dh_next += da.dot(Wh.T)"),
    "dropout-not-rescaled": ("return dout * keep / p", "return dout * keep"),
    "batchnorm-without-the-variance-path": ("dx = inv_std / M * (M * dx_hat - dx_hat.sum(axis=0) - x_hat * np.sum(dx_hat * x_hat, axis=0))", "dx = inv_std / M * (M * dx_hat - dx_hat.sum(axis=0))"),
    "mean-over-the-padding-too": ("dx_flat *= mask_flat[:, None] / num_tokens", "dx_flat *= mask_flat[:, None] / (N * T)"),
    "time-major-flattening-of-one-side": ("dw = x.reshape(N * T, D).T.dot(dout.reshape(N * T, M))", "dw = x.reshape(N * T, D).T.dot(dout.transpose(1, 0, 2).reshape(N * T, M))"),
    "gamma-and-beta-unpacked-in-the-wrong-order": ('dh1, grads["gamma"], grads["beta"] = batchnorm_backward(dn1, cache_bn)', 'dh1, grads["beta"], grads["gamma"] = batchnorm_backward(dn1, cache_bn)'),
}

PAIRS = [("tanh-derivative-of-the-raw-cell", "time-major-flattening-of-one-side"), ("state-gradient-piles-up", "dropout-not-rescaled")]
