"""QRNN out of coroutines.

A block is a generator: it yields its output, is sent the gradient of that output, and
yields the gradient of its input.  All arrays are (time, batch, channels).
The same QRNN block (the same weights) is used twice, inside scaled residual connections.
"""
import numpy as np

CH, VOC, BURN_IN = 3, 4, 2


def start(block):
    return next(block)


def linear(p, g, name, x):
    dy = yield x @ p[name + '.w'] + p[name + '.b']
    g[name + '.w'] += np.einsum('tbi,tbo->io', x, dy)
    g[name + '.b'] += dy.sum((0, 1))
    yield dy @ p[name + '.w'].T


def dropout(mask, rate, x):
    dy = yield x * mask / (1 - rate)
    yield dy * mask


def conv2(p, g, x):
    """causal convolution over time, window of two frames"""
    shifted = np.zeros_like(x)
    shifted[1:] = x[:-1]
    dy = yield x @ p['q.now'] + shifted @ p['q.past'] + p['q.b']
    g['q.now'] += np.einsum('tbi,tbo->io', x, dy)
    g['q.past'] += np.einsum('tbi,tbo->io', shifted, dy)
    g['q.b'] += dy.sum((0, 1))
    dx = dy @ p['q.now'].T
    dx[:-1] += dy[1:] @ p['q.past'].T
    yield dx


def fo_pool(zone, acts):
    """c = f c + (1-f) z, h = o c; where zone is 0 the forget gate is forced to 1"""
    z = np.tanh(acts[..., :CH])
    raw_f = 1 / (1 + np.exp(-acts[..., CH:2 * CH]))
    o = 1 / (1 + np.exp(-acts[..., 2 * CH:]))
    f = 1 - zone * (1 - raw_f)
    cs, c = [], np.zeros_like(z[0])
    for zt, ft in zip(z, f):
        cs.append(c)
        c = ft * c + (1 - ft) * zt
    before = np.array(cs)
    after = np.concatenate([before[1:], c[None]])

    dh = yield o * after
    do = dh * after
    dc = dh * o
    for t in range(1, len(dc)):
        dc[t - 1] += f[t] * dc[t]
    dz = dc * f
    df = dc * (before - z)
    yield np.concatenate([dz * (1 - z ** 2), df * raw_f * (1 - raw_f), do * o * (1 - o)], axis=-1)


def qrnn(p, g, zone, x):
    conv = conv2(p, g, x)
    pool = fo_pool(zone, start(conv))
    dy = yield start(pool)
    yield conv.send(pool.send(dy))


def residual(scale, x, inner):
    dy = yield scale * (x + start(inner))
    yield scale * dy + inner.send(scale * dy)


def cross_entropy(labels, weight, logits):
    m = logits.max(-1, keepdims=True)
    logp = logits - m - np.log(np.exp(logits - m).sum(-1, keepdims=True))
    onehot = np.eye(VOC)[labels]
    norm = weight.sum()
    dl = yield -(weight[..., None] * onehot * logp).sum() / norm
    yield dl * weight[..., None] * (np.exp(logp) - onehot) / norm


def network(p, g, data):
    x, labels, weight, zones, drop = data
    blocks = []

    def push(block):
        blocks.append(block)
        return start(block)

    a = push(linear(p, g, 'in', x))
    for zone in zones:
        a = push(residual(0.7, a, qrnn(p, g, zone, a)))
    a = push(dropout(drop, 0.25, a))
    a = push(linear(p, g, 'out', a))
    seed = yield push(cross_entropy(labels, weight, a))
    for block in reversed(blocks):
        seed = block.send(seed)
    yield seed


def make(rng):
    T, B, D = 6, 2, 2
    shapes = {'in.w': (D, CH), 'in.b': (CH,), 'q.now': (CH, 3 * CH), 'q.past': (CH, 3 * CH),
              'q.b': (3 * CH,), 'out.w': (CH, VOC), 'out.b': (VOC,)}
    p = {k: rng.normal(size=s) * (0.3 if k.endswith('b') else 0.8) for k, s in shapes.items()}
    weight = rng.uniform(0.5, 1.5, size=(T, B))
    weight[:BURN_IN] = 0
    data = (rng.normal(size=(T, B, D)), rng.integers(0, VOC, (T, B)), weight,
            (rng.random((2, T, B, CH)) < 0.75).astype(float),
            (rng.random((T, B, CH)) >= 0.25).astype(float))

    def grads():
        g = {k: np.zeros_like(v) for k, v in p.items()}
        net = network(p, g, data)
        next(net)
        net.send(1.0)
        return g

    return p, (lambda: float(next(network(p, None, data)))), grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('zoned-out units still give the forget gate a gradient',
  [60],
  [('df = dc * (before - z)', 'df = dc * (before - z) * zone')]),
 ('dropout: 1/(1-rate) missing on the way back', [25], [('yield dy * mask', 'yield dy * mask / (1 - rate)')]),
 ('pooling recursion runs forwards',
  [57, 58],
  [('for t in range(1, len(dc)):', 'for t in range(len(dc) - 1, 0, -1):')]),
 ('f where 1 - f belongs', [59], [('dz = dc * f', 'dz = dc * (1 - f)')])]
