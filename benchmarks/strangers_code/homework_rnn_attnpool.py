"""
Assignment 4, part B -- vanilla RNN with attention pooling for regression.

Shapes used everywhere (TIME MAJOR!):
    x: (T, N, D)    h: (T, N, H)    score, alpha: (T, N)    context: (N, H)    pred, y: (N, K)
"""
import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    """One step.  Returns next_h (N, H) and a cache."""
    next_h = np.tanh(x.dot(Wx) + prev_h.dot(Wh) + b)
    cache = (x, prev_h, next_h, Wx, Wh)
    return next_h, cache


def rnn_step_backward(dnext_h, cache):
    """Returns dx, dprev_h, dWx, dWh, db."""
    x, prev_h, next_h, Wx, Wh = cache
    dpre = dnext_h * (1 - np.square(next_h))
    dx = np.dot(dpre, Wx.T)
    dprev_h = np.dot(dpre, Wh.T)
    dWx = np.dot(x.T, dpre)
    dWh = np.dot(prev_h.T, dpre)
    db = np.sum(dpre, axis=0)
    return dx, dprev_h, dWx, dWh, db


def rnn_forward(x, h0, Wx, Wh, b):
    T, N, _ = x.shape
    H = Wh.shape[0]
    h = np.empty((T, N, H))
    caches = []
    prev = h0
    for t in range(T):
        h[t], step_cache = rnn_step_forward(x[t], prev, Wx, Wh, b)
        prev = h[t]
        caches.append(step_cache)
    return h, caches


def rnn_backward(dh, caches):
    """dh (T, N, H) is what comes from ABOVE, not including the recurrence."""
    T, N, H = dh.shape
    D = caches[0][0].shape[1]
    dx = np.zeros((T, N, D))
    dWx, dWh, db = np.zeros((D, H)), np.zeros((H, H)), np.zeros(H)
    dprev = np.zeros((N, H))
    for t in range(T)[::-1]:
        dx[t], dprev, dWx_t, dWh_t, db_t = rnn_step_backward(dh[t] + dprev, caches[t])
        dWx += dWx_t
        dWh += dWh_t
        db += db_t
    dh0 = dprev
    return dx, dh0, dWx, dWh, db


def softmax_time(s):
    e = np.exp(s - np.max(s, axis=0))
    return e / np.sum(e, axis=0)


def attention_pool_forward(h, Wa, ba, v):
    """score_t = v . tanh(Wa h_t + ba), alpha = softmax over time, context = sum_t alpha_t h_t"""
    k = np.tanh(h.dot(Wa) + ba)                 # (T, N, A)
    alpha = softmax_time(k.dot(v))              # (T, N)
    context = np.sum(alpha[:, :, None] * h, axis=0)
    return context, (h, k, alpha, Wa, v)


def attention_pool_backward(dcontext, cache):
    """Returns dh, dWa, dba, dv."""
    h, k, alpha, Wa, v = cache
    T, N, H = h.shape
    # (1) weighted sum
    dalpha = np.sum(dcontext[None] * h, axis=2)
    dh = alpha[:, :, None] * dcontext[None]
    # (2) softmax over time
    inner = np.sum(alpha * dalpha, axis=0, keepdims=True)
    dscore = alpha * (dalpha - inner)
    # (3) score = k . v
    dv = np.einsum('tn,tna->a', dscore, k)
    dk = dscore[:, :, None] * v
    # (4) tanh layer
    dpre_a = dk * (1 - k ** 2)
    dWa = np.dot(h.reshape(T * N, H).T, dpre_a.reshape(T * N, -1))
    dba = np.sum(dpre_a, axis=(0, 1))
    dh += np.dot(dpre_a, Wa.T)
    return dh, dWa, dba, dv


def huber_loss(pred, y, delta=0.5):
    """Mean over the batch, sum over the outputs.  Returns loss, dpred."""
    N = pred.shape[0]
    diff = pred - y
    small = np.abs(diff) <= delta
    values = np.where(small, 0.5 * diff ** 2, delta * (np.abs(diff) - 0.5 * delta))
    dpred = np.where(small, diff, delta * np.sign(diff)) / N
    return float(np.sum(values) / N), dpred


def model_forward(P, x):
    h0 = np.repeat(P['h0'][None, :], x.shape[1], axis=0)
    h, rnn_cache = rnn_forward(x, h0, P['Wx'], P['Wh'], P['b'])
    context, att_cache = attention_pool_forward(h, P['Wa'], P['ba'], P['v'])
    # the head sees the context AND the last state
    feat = np.concatenate((context, h[-1]), axis=1)
    pred = feat.dot(P['Wp']) + P['bp']
    return pred, (rnn_cache, att_cache, feat)


def model_backward(P, dpred, cache):
    rnn_cache, att_cache, feat = cache
    grads = {}
    grads['Wp'] = np.dot(feat.T, dpred)
    grads['bp'] = np.sum(dpred, axis=0)
    dcontext, dlast = np.split(np.dot(dpred, P['Wp'].T), 2, axis=1)
    dh, grads['Wa'], grads['ba'], grads['v'] = attention_pool_backward(dcontext, att_cache)
    dh[-1] += dlast
    _, dh0, grads['Wx'], grads['Wh'], grads['b'] = rnn_backward(dh, rnn_cache)
    grads['h0'] = np.sum(dh0, axis=0)
    return grads


def make(Target, rng, T=5, N=3, D=2, H=4, A=3, K=2):
    P = {}
    P['Wx'] = rng.standard_normal((D, H)) * 0.8
    P['Wh'] = rng.standard_normal((H, H)) * 0.6
    P['b'] = rng.standard_normal(H) * 0.2
    P['h0'] = rng.standard_normal(H) * 0.5
    P['Wa'] = rng.standard_normal((H, A))
    P['ba'] = rng.standard_normal(A) * 0.2
    P['v'] = rng.standard_normal(A) * 1.5
    P['Wp'] = rng.standard_normal((2 * H, K))
    P['bp'] = rng.standard_normal(K) * 0.2
    x = rng.standard_normal((T, N, D))
    y = 2 * rng.standard_normal((N, K))

    def loss():
        pred, _ = model_forward(P, x)
        return huber_loss(pred, y)[0]

    def grads():
        pred, cache = model_forward(P, x)
        _, dpred = huber_loss(pred, y)
        return model_backward(P, dpred, cache)

    return Target(P, loss, grads)


BUGS = {
    "huber-always-quadratic": ("dpred = np.where(small, diff, delta * np.sign(diff)) / N", "dpred = diff / N"),
    "last-state-overwrites-pooling": ("dh[-1] += dlast", "dh[-1] = dlast"),
    "softmax-inner-over-batch": ("inner = np.sum(alpha * dalpha, axis=0, keepdims=True)", "inner = np.sum(alpha * dalpha, axis=1, keepdims=True)"),
    "attention-bias-grad-forgotten": ("dba = np.sum(dpre_a, axis=(0, 1))", "dba = np.zeros(dpre_a.shape[2])"),
    "score-path-into-h-missing": ("dh += np.dot(dpre_a, Wa.T)", "dh += 0"),
    "tanh-slope-at-previous-state": ("dpre = dnext_h * (1 - np.square(next_h))", "dpre = dnext_h * (1 - np.square(prev_h))"),
    "wh-not-transposed": ("dprev_h = np.dot(dpre, Wh.T)", "dprev_h = np.dot(dpre, Wh)"),
    "first-state-grad-taken-from-above": ("dh0 = dprev", "dh0 = dh[0]"),
}
PAIRS = [
    ("huber-always-quadratic", "wh-not-transposed"),
    ("softmax-inner-over-batch", "attention-bias-grad-forgotten"),
    ("tanh-slope-at-previous-state", "wh-not-transposed"),
    ("last-state-overwrites-pooling", "tanh-slope-at-previous-state"),
    ("score-path-into-h-missing", "first-state-grad-taken-from-above"),
    ("softmax-inner-over-batch", "wh-not-transposed"),
]
