# Homework 3 - character level GRU language model
# one sequence at a time, column vectors, everything in dicts (like min-char-rnn)
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def one_hot(ix, vocab_size):
    v = np.zeros((vocab_size, 1))
    v[ix] = 1
    return v


def init_params(vocab_size, hidden_size, rng):
    p = {}
    for gate in ['z', 'r', 'h']:
        p['W' + gate] = rng.normal(size=(hidden_size, vocab_size)) * 0.6
        p['U' + gate] = rng.normal(size=(hidden_size, hidden_size)) * 0.6
        p['b' + gate] = rng.normal(size=(hidden_size, 1)) * 0.2
    p['Wy'] = rng.normal(size=(vocab_size, hidden_size)) * 0.6
    p['by'] = rng.normal(size=(vocab_size, 1)) * 0.2
    return p


def forward(params, inputs, targets, hprev):
    """
    inputs, targets: lists of integers
    hprev: (H, 1) initial hidden state
    returns the mean loss per character and everything backward needs
    """
    vocab_size = params['by'].shape[0]
    xs, zs, rs, cs, hs, ps = {}, {}, {}, {}, {}, {}
    hs[-1] = np.copy(hprev)
    loss = 0
    for t in range(len(inputs)):
        xs[t] = one_hot(inputs[t], vocab_size)

        # update gate and reset gate
        zs[t] = sigmoid(np.dot(params['Wz'], xs[t]) + np.dot(params['Uz'], hs[t-1]) + params['bz'])
        rs[t] = sigmoid(np.dot(params['Wr'], xs[t]) + np.dot(params['Ur'], hs[t-1]) + params['br'])

        # candidate hidden state
        cs[t] = np.tanh(np.dot(params['Wh'], xs[t]) + np.dot(params['Uh'], rs[t] * hs[t-1]) + params['bh'])

        # new hidden state
        hs[t] = (1 - zs[t]) * hs[t-1] + zs[t] * cs[t]

        # softmax
        y = np.dot(params['Wy'], hs[t]) + params['by']
        e = np.exp(y - np.max(y))
        ps[t] = e / np.sum(e)
        loss += -np.log(ps[t][targets[t], 0])
    return loss / len(inputs), (xs, zs, rs, cs, hs, ps)


def backward(params, inputs, targets, cache):
    xs, zs, rs, cs, hs, ps = cache
    grads = {}
    for name in params:
        grads[name] = np.zeros_like(params[name])
    n = len(inputs)
    dhnext = np.zeros_like(hs[0])

    for t in reversed(range(n)):
        # softmax + cross entropy
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dy = dy / n
        grads['Wy'] += np.dot(dy, hs[t].T)
        grads['by'] += dy

        # hidden state, from the output and from the future
        dh = np.dot(params['Wy'].T, dy) + dhnext

        # h = (1-z) * hprev + z * c
        dc = dh * zs[t]
        dz = dh * (cs[t] - hs[t-1])
        dhprev = dh * (1 - zs[t])

        # candidate
        dc_raw = dc * (1 - cs[t] ** 2)
        grads['Wh'] += np.dot(dc_raw, xs[t].T)
        grads['Uh'] += np.dot(dc_raw, (rs[t] * hs[t-1]).T)
        grads['bh'] += dc_raw
        drh = np.dot(params['Uh'].T, dc_raw)
        dr = drh * hs[t-1]
        dhprev += drh * rs[t]

        # reset gate
        dr_raw = dr * rs[t] * (1 - rs[t])
        grads['Wr'] += np.dot(dr_raw, xs[t].T)
        grads['Ur'] += np.dot(dr_raw, hs[t-1].T)
        grads['br'] += dr_raw
        dhprev += np.dot(params['Ur'].T, dr_raw)

        # update gate
        dz_raw = dz * zs[t] * (1 - zs[t])
        grads['Wz'] += np.dot(dz_raw, xs[t].T)
        grads['Uz'] += np.dot(dz_raw, hs[t-1].T)
        grads['bz'] += dz_raw
        dhprev += np.dot(params['Uz'].T, dz_raw)

        dhnext = dhprev
    return grads


def make(Target, rng, T=5, V=5, H=4):
    params = init_params(V, H, rng)
    text = rng.integers(0, V, size=T + 1)
    inputs = [int(c) for c in text[:-1]]
    targets = [int(c) for c in text[1:]]
    hprev = rng.normal(size=(H, 1)) * 0.5

    def loss():
        return float(forward(params, inputs, targets, hprev)[0])

    def grads():
        _, cache = forward(params, inputs, targets, hprev)
        return backward(params, inputs, targets, cache)

    return Target(params, loss, grads)


BUGS = {
    "tanh-derivative-not-squared": ("dc_raw = dc * (1 - cs[t] ** 2)", "dc_raw = dc * (1 - cs[t])"),
    "z-instead-of-one-minus-z": ("dhprev = dh * (1 - zs[t])", "dhprev = dh * zs[t]"),
    "Uh-not-transposed": ("drh = np.dot(params['Uh'].T, dc_raw)", "drh = np.dot(params['Uh'], dc_raw)"),
    "Uh-outer-without-reset": ("grads['Uh'] += np.dot(dc_raw, (rs[t] * hs[t-1]).T)", "grads['Uh'] += np.dot(dc_raw, hs[t-1].T)"),
    "future-carry-dropped": ("dh = np.dot(params['Wy'].T, dy) + dhnext", "dh = np.dot(params['Wy'].T, dy)"),
    "br-assigned": ("grads['br'] += dr_raw", "grads['br'] = dr_raw"),
    "dz-sign": ("dz = dh * (cs[t] - hs[t-1])", "dz = dh * (hs[t-1] - cs[t])"),
    "Uz-off-by-one-state": ("grads['Uz'] += np.dot(dz_raw, hs[t-1].T)", "grads['Uz'] += np.dot(dz_raw, hs[t].T)"),
}
PAIRS = [
    ("tanh-derivative-not-squared", "br-assigned"),
    ("Uh-not-transposed", "dz-sign"),
    ("future-carry-dropped", "Uz-off-by-one-state"),
]
