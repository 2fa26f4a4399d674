"""Layer-normalised GRU, functional: every *_forward returns (value, cache) and every
*_backward takes (upstream, cache) and returns the gradients in the order of the inputs.

The reset gate is applied after the recurrent product (the cuDNN variant), which lets the
three recurrent products be one matmul.
"""
import numpy as np

EPS = 1e-3


def layernorm_forward(x, gain, bias):
    mu = x.mean(axis=1, keepdims=True)
    xc = x - mu
    inv_std = 1.0 / np.sqrt((xc ** 2).mean(axis=1, keepdims=True) + EPS)
    xhat = xc * inv_std
    return gain * xhat + bias, (xhat, inv_std, gain)


def layernorm_backward(dout, cache):
    xhat, inv_std, gain = cache
    dgain = (dout * xhat).sum(axis=0)
    dbias = dout.sum(axis=0)
    dxhat = dout * gain
    mean_d = dxhat.mean(axis=1, keepdims=True)
    mean_dx = (dxhat * xhat).mean(axis=1, keepdims=True)
    dx = inv_std * (dxhat - mean_d - xhat * mean_dx)
    return dx, dgain, dbias


def sigmoid(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def cell_forward(x, h, W, U, gain_x, bias_x, gain_h, bias_h):
    n = h.shape[1]
    px, cache_x = layernorm_forward(x @ W, gain_x, bias_x)
    ph, cache_h = layernorm_forward(h @ U, gain_h, bias_h)
    r = sigmoid(px[:, :n] + ph[:, :n])
    u = sigmoid(px[:, n:2 * n] + ph[:, n:2 * n])
    hn = ph[:, 2 * n:]
    cand = np.tanh(px[:, 2 * n:] + r * hn)
    h_next = (1 - u) * h + u * cand
    return h_next, (x, h, W, U, r, u, hn, cand, cache_x, cache_h)


def cell_backward(dh_next, cache):
    x, h, W, U, r, u, hn, cand, cache_x, cache_h = cache
    dcand = dh_next * u
    du = dh_next * (cand - h)
    dh = dh_next * (1 - u)

    dcand_pre = dcand * (1 - cand ** 2)
    dr = dcand_pre * hn
    dhn = dcand_pre * r
    dr_pre = dr * r * (1 - r)
    du_pre = du * u * (1 - u)

    dpx = np.concatenate([dr_pre, du_pre, dcand_pre], axis=1)
    dph = np.concatenate([dr_pre, du_pre, dhn], axis=1)
    dxw, dgain_x, dbias_x = layernorm_backward(dpx, cache_x)
    dhu, dgain_h, dbias_h = layernorm_backward(dph, cache_h)
    dW = x.T @ dxw
    dU = h.T @ dhu
    dx = dxw @ W.T
    dh = dh + dhu @ U.T
    return dx, dh, dW, dU, dgain_x, dbias_x, dgain_h, dbias_h


CELL_KEYS = ("W", "U", "gain_x", "bias_x", "gain_h", "bias_h")


def model_forward(params, inputs, labels):
    """inputs (B, T, D); one label per sequence, read from the average state."""
    B, T, _ = inputs.shape
    h = np.zeros((B, params["U"].shape[0]))
    caches, pooled = [], np.zeros_like(h)
    for t in range(T):
        x = np.tanh(inputs[:, t] @ params["W_in"])
        h, cache = cell_forward(x, h, *(params[k] for k in CELL_KEYS))
        caches.append(cache)
        pooled += h / T
    logits = pooled @ params["W_cls"] + params["b_cls"]
    logits = logits - logits.max(axis=1, keepdims=True)
    logp = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    loss = -logp[np.arange(B), labels].mean()
    return loss, (caches, pooled, logp)


def model_backward(params, inputs, labels, cache):
    caches, pooled, logp = cache
    B, T, _ = inputs.shape
    g = {k: np.zeros_like(v) for k, v in params.items()}
    dlogits = np.exp(logp)
    dlogits[np.arange(B), labels] -= 1.0
    dlogits /= B
    g["W_cls"] = pooled.T @ dlogits
    g["b_cls"] = dlogits.sum(axis=0)
    dpooled = dlogits @ params["W_cls"].T
    dh = np.zeros_like(pooled)
    for t in reversed(range(T)):
        dh = dh + dpooled / T
        dx, dh, *rest = cell_backward(dh, caches[t])
        for k, dk in zip(CELL_KEYS, rest):
            g[k] += dk
        x = caches[t][0]
        g["W_in"] += inputs[:, t].T @ (dx * (1 - x ** 2))
    return g


def make(rng):
    D, E, H, C = 2, 3, 3, 3
    params = {
        "W_in": rng.normal(size=(D, E)), "W": rng.normal(size=(E, 3 * H)), "U": rng.normal(size=(H, 3 * H)),
        "gain_x": rng.uniform(0.6, 1.5, 3 * H), "bias_x": rng.normal(0, 0.3, 3 * H),
        "gain_h": rng.uniform(0.6, 1.5, 3 * H), "bias_h": rng.normal(0, 0.3, 3 * H),
        "W_cls": rng.normal(size=(H, C)), "b_cls": rng.normal(size=C),
    }
    inputs = rng.normal(size=(3, 4, D))
    labels = rng.permutation(C)

    def loss():
        return float(model_forward(params, inputs, labels)[0])

    def grads():
        _, cache = model_forward(params, inputs, labels)
        return model_backward(params, inputs, labels, cache)

    return params, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('reset product missing',
   [60],
   [('dph = np.concatenate([dr_pre, du_pre, dcand_pre]', 'dph = np.concatenate([dr_pre, du_pre, dhn]')]),
  ('derivative of the input layer missing',
   [107],
   [('inputs[:, t].T @ dx', 'inputs[:, t].T @ (dx * (1 - x ** 2))')])],
 [('layer norm: standard deviation missing', [27], [('dx = (dxhat - mean_d', 'dx = inv_std * (dxhat - mean_d')]),
  ('wrong side of the gate', [51], [('dh = dh_next * u', 'dh = dh_next * (1 - u)')])]]
