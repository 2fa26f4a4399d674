"""Character LSTM on one sequence at a time, column vectors (H,1), caches in dicts keyed by t."""
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def forward(model, inputs, hprev, cprev):
    H = hprev.shape[0]
    V = model['Why'].shape[0]
    xs, hs, cs, gates, ps = {}, {}, {}, {}, {}
    hs[-1] = hprev
    cs[-1] = cprev
    for t in range(len(inputs)):
        xs[t] = np.zeros((V, 1))
        xs[t][inputs[t]] = 1
        z = np.dot(model['Wxh'], xs[t]) + np.dot(model['Whh'], hs[t - 1]) + model['bh']
        i = sigmoid(z[0:H])
        f = sigmoid(z[H:2 * H])
        o = sigmoid(z[2 * H:3 * H])
        g = np.tanh(z[3 * H:4 * H])
        cs[t] = f * cs[t - 1] + i * g
        hs[t] = o * np.tanh(cs[t])
        gates[t] = (i, f, o, g)
        y = np.dot(model['Why'], hs[t]) + model['by']
        e = np.exp(y - np.max(y))
        ps[t] = e / np.sum(e)
    return xs, hs, cs, gates, ps


def backward(model, targets, cache):
    xs, hs, cs, gates, ps = cache
    grad = {k: np.zeros_like(v) for k, v in model.items()}
    dhnext = np.zeros_like(hs[0])
    dcnext = np.zeros_like(cs[0])
    for t in reversed(range(len(targets))):
        i, f, o, g = gates[t]
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        grad['Why'] += np.dot(dy, hs[t].T)
        grad['by'] += dy
        dh = np.dot(model['Why'].T, dy) + dhnext
        do = dh * np.tanh(cs[t]) * o * (1 - o)
        dc = dh * o * (1 - cs[t] ** 2) + dcnext
        di = dc * g * i * (1 - i)
        df = dc * cs[t] * f * (1 - f)
        dg = dc * i * (1 - g ** 2)
        dz = np.concatenate([di, df, dg, do])
        grad['Wxh'] += np.dot(dz, xs[t].T)
        grad['Whh'] += np.dot(dz, hs[t - 1].T)
        grad['bh'] += dz
        dhnext = np.dot(model['Whh'].T, dz)
        dcnext = dc * f
    return grad


def make(rng, T=4, B=3, D=2, H=3):
    V = D + 3
    model = {
        'Wxh': rng.standard_normal((4 * H, V)) * 0.6,
        'Whh': rng.standard_normal((4 * H, H)) * 0.6,
        'bh': rng.standard_normal((4 * H, 1)) * 0.3,
        'Why': rng.standard_normal((V, H)),
        'by': rng.standard_normal((V, 1)) * 0.1,
    }
    text = rng.integers(0, V, T + 1)
    h0 = rng.standard_normal((H, 1)) * 0.5
    c0 = rng.standard_normal((H, 1)) * 0.5

    def loss():
        ps = forward(model, text[:-1], h0, c0)[-1]
        return float(sum(-np.log(ps[t][text[t + 1], 0]) for t in range(T)))

    def grads():
        return backward(model, text[1:], forward(model, text[:-1], h0, c0))

    return model, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('the forward gate order is i, f, o, g but the backward stacks di, df, dg, do',
  [49],
  [('[di, df, dg, do]', '[di, df, do, dg]')]),
 ('derivative of tanh(c) is taken as 1 - c**2 (cell state is not the activated value)',
  [45],
  [('(1 - cs[t] ** 2) + dc', '(1 - np.tanh(cs[t]) ** 2) + dc')]),
 ('the forget gate gradient uses the new cell state, should be cs[t-1]',
  [47],
  [('df = dc * cs[t] *', 'df = dc * cs[t - 1] *')])]
