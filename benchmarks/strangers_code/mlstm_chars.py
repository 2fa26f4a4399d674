"""
Minimal character-level multiplicative LSTM. One sequence, column vectors, dicts indexed by time.
"""
import numpy as np

vocab = 4


def init(rng, hidden):
    m = {}
    m['Wmx'] = rng.standard_normal((hidden, vocab)) * 0.9  # input to factor
    m['Wmh'] = rng.standard_normal((hidden, hidden)) * 0.9  # hidden to factor
    for gate in 'ifou':
        m['Wx' + gate] = rng.standard_normal((hidden, vocab)) * 0.6
        m['Wm' + gate] = rng.standard_normal((hidden, hidden)) * 0.6
        m['b' + gate] = rng.standard_normal((hidden, 1)) * 0.3
    m['bf'] += 1.0
    m['Why'] = rng.standard_normal((vocab, hidden))
    m['by'] = rng.standard_normal((vocab, 1)) * 0.3
    m['h0'] = rng.standard_normal((hidden, 1)) * 0.5
    m['c0'] = rng.standard_normal((hidden, 1)) * 0.5
    return m


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def lossFun(model, inputs, targets):
    """
    inputs, targets are both lists of integers; nats per character and the gradients of all of the model
    """
    xs, fx, fh, ms, i, f, o, u, hs, cs, tcs, ps = {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}
    hs[-1], cs[-1] = np.copy(model['h0']), np.copy(model['c0'])
    loss = 0
    # forward pass
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab, 1))
        xs[t][inputs[t]] = 1
        fx[t] = model['Wmx'] @ xs[t]
        fh[t] = model['Wmh'] @ hs[t - 1]
        ms[t] = fx[t] * fh[t]  # the intermediate state that stands in for h
        i[t] = sigmoid(model['Wxi'] @ xs[t] + model['Wmi'] @ ms[t] + model['bi'])
        f[t] = sigmoid(model['Wxf'] @ xs[t] + model['Wmf'] @ ms[t] + model['bf'])
        o[t] = sigmoid(model['Wxo'] @ xs[t] + model['Wmo'] @ ms[t] + model['bo'])
        u[t] = np.tanh(model['Wxu'] @ xs[t] + model['Wmu'] @ ms[t] + model['bu'])
        cs[t] = f[t] * cs[t - 1] + i[t] * u[t]
        tcs[t] = np.tanh(cs[t])
        hs[t] = o[t] * tcs[t]
        y = model['Why'] @ hs[t] + model['by']
        ps[t] = np.exp(y - np.max(y)) / np.sum(np.exp(y - np.max(y)))
        loss += -np.log(ps[t][targets[t], 0])
    loss /= len(inputs)

    # backward pass: compute gradients going backwards
    grads = {k: np.zeros_like(v) for k, v in model.items()}
    dhnext, dcnext = np.zeros_like(hs[0]), np.zeros_like(cs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dy /= len(inputs)
        grads['Why'] += dy @ hs[t].T
        grads['by'] += dy
        dh = model['Why'].T @ dy + dhnext
        dc = dcnext + dh * o[t] * (1 - tcs[t] * tcs[t])
        dgate = {}
        dgate['o'] = dh * tcs[t] * o[t] * (1 - o[t])
        dgate['i'] = dc * u[t] * i[t] * (1 - i[t])
        dgate['f'] = dc * cs[t - 1] * f[t] * (1 - f[t])
        dgate['u'] = dc * i[t] * (1 - u[t] * u[t])
        dm = np.zeros_like(ms[t])
        for gate in 'ifou':
            grads['Wx' + gate] += dgate[gate] @ xs[t].T
            grads['Wm' + gate] += dgate[gate] @ ms[t].T
            grads['b' + gate] += dgate[gate]
            dm += model['Wm' + gate].T @ dgate[gate]
        dfx = dm * fh[t]
        dfh = dm * fx[t]
        grads['Wmx'] += dfx @ xs[t].T
        grads['Wmh'] += dfh @ hs[t - 1].T
        dhnext = model['Wmh'].T @ dfh
        dcnext = dc * f[t]
    grads['h0'], grads['c0'] = dhnext, dcnext
    return loss, grads


def make(Target, rng, T=5, H=4):
    model = init(rng, H)
    text = rng.integers(0, vocab, T + 1)
    inputs, targets = list(text[:-1]), list(text[1:])
    return Target(model, lambda: lossFun(model, inputs, targets)[0], lambda: lossFun(model, inputs, targets)[1])


BUGS = {
    "product-rule-same-factor": ("dfx = dm * fh[t]", "dfx = dm * fx[t]"),
    "gates-overwrite-dm": ("dm += model['Wm' + gate].T @ dgate[gate]", "dm = model['Wm' + gate].T @ dgate[gate]"),
    "hidden-in-place-of-factor-state": ("grads['Wm' + gate] += dgate[gate] @ ms[t].T", "grads['Wm' + gate] += dgate[gate] @ hs[t - 1].T"),
    "cell-carry-dropped": ("dc = dcnext + dh * o[t] * (1 - tcs[t] * tcs[t])", "dc = dh * o[t] * (1 - tcs[t] * tcs[t])"),
    "candidate-as-sigmoid": ("dgate['u'] = dc * i[t] * (1 - u[t] * u[t])", "dgate['u'] = dc * i[t] * u[t] * (1 - u[t])"),
    "factor-weight-not-transposed": ("dhnext = model['Wmh'].T @ dfh", "dhnext = model['Wmh'] @ dfh"),
    "output-gate-of-raw-cell": ("dgate['o'] = dh * tcs[t] * o[t] * (1 - o[t])", "dgate['o'] = dh * cs[t] * o[t] * (1 - o[t])"),
    "initial-states-exchanged": ("grads['h0'], grads['c0'] = dhnext, dcnext", "grads['h0'], grads['c0'] = dcnext, dhnext"),
}

PAIRS = [
    ("product-rule-same-factor", "candidate-as-sigmoid"),
]
