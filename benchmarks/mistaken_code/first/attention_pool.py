"""
Document classification: RNN encoder + additive attention pooling.

    h_t   = tanh(x_t Wx + h_{t-1} Wh + b)
    u_t   = tanh(h_t Wa + ba)
    a     = softmax_t(u_t . v)
    ctx   = sum_t a_t h_t
    p     = softmax(ctx Wc + bc)

All arrays are time-major: X is (T, B, D).
"""
import numpy as np
import gradcheck

N_CLASSES = 4


def softmax(x, axis):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)


def init(rng, D, H):
    theta = {}
    theta['Wx'] = rng.uniform(-1, 1, (D, H))
    theta['Wh'] = rng.uniform(-1, 1, (H, H))
    theta['b'] = rng.uniform(-.3, .3, H)
    theta['Wa'] = rng.uniform(-1, 1, (H, H))
    theta['ba'] = rng.uniform(-.3, .3, H)
    theta['v'] = rng.uniform(-1.5, 1.5, H)
    theta['Wc'] = rng.uniform(-1.5, 1.5, (H, N_CLASSES))
    theta['bc'] = rng.uniform(-.3, .3, N_CLASSES)
    return theta


def forward(theta, X):
    T, B, _ = X.shape
    H = theta['Wh'].shape[0]
    hs = np.zeros((T, B, H))
    h = np.zeros((B, H))
    for t in range(T):
        h = np.tanh(X[t] @ theta['Wx'] + h @ theta['Wh'] + theta['b'])
        hs[t] = h
    us = np.tanh(hs @ theta['Wa'] + theta['ba'])
    scores = us @ theta['v']                               # (T, B)
    alpha = softmax(scores, axis=0)
    ctx = np.sum(alpha[:, :, None] * hs, axis=0)           # (B, H)
    probs = softmax(ctx @ theta['Wc'] + theta['bc'], axis=1)
    return hs, us, alpha, ctx, probs


def cross_entropy(theta, X, labels):
    probs = forward(theta, X)[-1]
    return float(-np.mean(np.log(probs[np.arange(len(labels)), labels])))


def attention_backward(theta, grads, dctx, hs, us, alpha):
    """Gradient of the pooling w.r.t. every encoder state."""
    H = hs.shape[2]
    dalpha = np.sum(dctx[None, :, :] * hs, axis=2)         # (T, B)
    dscores = dalpha * alpha * (1 - alpha)
    grads['v'] = np.einsum('tbh,tb->h', us, dscores)
    dus = dscores[:, :, None] * theta['v'] * (1 - us ** 2)
    grads['Wa'] = hs.reshape(-1, H).T @ dus.reshape(-1, H)
    grads['ba'] = dus.sum(axis=(0, 1))
    dhs = alpha[:, :, None] * dctx[None, :, :]
    return dhs


def encoder_backward(theta, grads, dhs, X, hs):
    T, B, H = hs.shape
    grads['Wx'] = np.zeros_like(theta['Wx'])
    grads['Wh'] = np.zeros_like(theta['Wh'])
    grads['b'] = np.zeros_like(theta['b'])
    carry = np.zeros((B, H))
    for t in range(T - 1, -1, -1):
        dh = dhs[t] + carry
        dpre = dh * (1 - hs[t] ** 2)
        grads['Wx'] += X[t].T @ dpre
        if t > 0:
            grads['Wh'] += hs[t - 1].T @ dpre
        grads['b'] += dpre.sum(axis=0)
        carry = dh @ theta['Wh'].T


def backward(theta, X, labels):
    hs, us, alpha, ctx, probs = forward(theta, X)
    B = len(labels)
    grads = {}

    dlogits = probs.copy()
    dlogits[np.arange(B), labels] -= 1
    dlogits /= B
    grads['Wc'] = ctx.T @ dlogits
    grads['bc'] = dlogits.sum(axis=0)
    dctx = dlogits @ theta['Wc'].T

    dhs = attention_backward(theta, grads, dctx, hs, us, alpha)
    encoder_backward(theta, grads, dhs, X, hs)
    return grads


def task(rng, T, B, D, H):
    theta = init(rng, D, H)
    X = rng.standard_normal((T, B, D))
    labels = rng.integers(0, N_CLASSES, B)
    loss = lambda: cross_entropy(theta, X, labels)
    grads = lambda: backward(theta, X, labels)
    return theta, loss, grads


def make(rng):
    return task(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def attention_pool(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = task(rng, T, B, D, H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('softmax backward uses only the diagonal alpha*(1-alpha) of the Jacobian',
  [61],
  [('dscores = dalpha * alpha * (1 - alpha)',
    'dscores = alpha * (dalpha - np.sum(alpha * dalpha, axis=0, keepdims=True))')]),
 ('encoder states get the gradient through the weighted sum only, the path through the scores (dus Wa.T) is '
  'missing',
  [63, 64, 66, 67],
  [('    return dhs', "    dhs += dus @ theta['Wa'].T\n    return dhs")]),
 ('carry to the previous step uses dh, i.e. without the derivative of tanh',
  [83],
  [("carry = dh @ theta['Wh'].T", "carry = dpre @ theta['Wh'].T")])]
