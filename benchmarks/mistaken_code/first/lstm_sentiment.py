"""LSTM sequence classifier (many-to-one) written with numpy only.

x : (N, T, D)  float features, for instance word vectors
y : (N,)       integer class labels

The last hidden state goes through a softmax layer.  Loss is the mean cross
entropy plus an L2 penalty on the weight matrices.
"""
import numpy as np

import gradcheck

NUM_CLASSES = 3


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softmax(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def lstm_step_forward(x, prev_h, prev_c, Wx, Wh, b):
    H = prev_h.shape[1]
    a = x.dot(Wx) + prev_h.dot(Wh) + b
    i = sigmoid(a[:, 0 * H:1 * H])
    f = sigmoid(a[:, 1 * H:2 * H])
    o = sigmoid(a[:, 2 * H:3 * H])
    g = np.tanh(a[:, 3 * H:4 * H])
    next_c = f * prev_c + i * g
    tanh_c = np.tanh(next_c)
    next_h = o * tanh_c
    cache = (x, prev_h, prev_c, next_c, tanh_c, i, f, o, g)
    return next_h, next_c, cache


def lstm_step_backward(dnext_h, dnext_c, cache, Wx, Wh):
    x, prev_h, prev_c, next_c, tanh_c, i, f, o, g = cache
    do = dnext_h * tanh_c
    dc = dnext_c + dnext_h * o * (1 - tanh_c ** 2)
    df = dc * next_c
    di = dc * g
    dg = dc * i
    dprev_c = dc
    da = np.hstack([
        di * i * (1 - i),
        df * f * (1 - f),
        do * o * (1 - o),
        dg * (1 - g ** 2),
    ])
    dWx = x.T.dot(da)
    dWh = prev_h.T.dot(da)
    db = da.sum(axis=0)
    dprev_h = da.dot(Wh.T)
    return dprev_h, dprev_c, dWx, dWh, db


class SentimentLSTM:
    def __init__(self, input_dim, hidden_dim, reg, rng):
        D, H = input_dim, hidden_dim
        self.hidden_dim = hidden_dim
        self.reg = reg
        self.params = {
            "Wx": rng.normal(size=(D, 4 * H)) / np.sqrt(D),
            "Wh": rng.normal(size=(H, 4 * H)) / np.sqrt(H),
            "b": 0.2 * rng.normal(size=4 * H),
            "W_out": rng.normal(size=(H, NUM_CLASSES)),
            "b_out": 0.2 * rng.normal(size=NUM_CLASSES),
        }

    def forward(self, x):
        p = self.params
        N, T, D = x.shape
        h = np.zeros((N, self.hidden_dim))
        c = np.zeros((N, self.hidden_dim))
        caches = []
        for t in range(T):
            h, c, cache = lstm_step_forward(x[:, t, :], h, c, p["Wx"], p["Wh"], p["b"])
            caches.append(cache)
        probs = softmax(h.dot(p["W_out"]) + p["b_out"])
        return probs, h, caches

    def loss(self, x, y):
        probs, _, _ = self.forward(x)
        data_loss = -np.mean(np.log(probs[np.arange(len(y)), y]))
        reg_loss = 0.0
        for name in ("Wx", "Wh", "W_out"):
            reg_loss += 0.5 * self.reg * np.sum(self.params[name] ** 2)
        return float(data_loss + reg_loss)

    def gradients(self, x, y):
        p = self.params
        N, T, D = x.shape
        probs, h_last, caches = self.forward(x)
        grads = {k: np.zeros_like(v) for k, v in p.items()}

        dscores = probs.copy()
        dscores[np.arange(N), y] -= 1
        dscores /= N

        grads["W_out"] = h_last.T.dot(dscores)
        grads["b_out"] = dscores.sum(axis=0)
        dh = dscores.dot(p["W_out"].T)
        dc = np.zeros_like(dh)
        for t in range(T - 1, -1, -1):
            dh, dc, dWx, dWh, db = lstm_step_backward(dh, dc, caches[t], p["Wx"], p["Wh"])
            grads["Wx"] += dWx
            grads["Wh"] += dWh
            grads["b"] += db
        return grads


def _setup(rng, T, B, D, H):
    net = SentimentLSTM(D, H, reg=0.05, rng=rng)
    x = rng.normal(size=(B, T, D))
    y = rng.integers(0, NUM_CLASSES, size=B)
    return net.params, lambda: net.loss(x, y), lambda: net.gradients(x, y)


def make(rng):
    return _setup(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def lstm_sentiment(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = _setup(rng, T=T, B=B, D=D, H=H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('the forget gate gradient uses the updated cell state next_c, should be prev_c',
  [43],
  [('df = dc * next_c', 'df = dc * prev_c')]),
 ('the cell gradient handed to the previous step is not multiplied by the forget gate',
  [46],
  [('    dprev_c = dc\n', '    dprev_c = dc * f\n')]),
 ('the L2 penalty is in the loss but its gradient reg*W is not added',
  [103, 109, 110, 112],
  [('            grads["b"] += db\n        return grads\n',
    '            grads["b"] += db\n'
    '        for name in ("Wx", "Wh", "W_out"):\n'
    '            grads[name] += self.reg * p[name]\n'
    '        return grads\n')])]
