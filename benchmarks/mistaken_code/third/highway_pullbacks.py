"""Recurrent highway network with weight normalisation; every op hands back its own pullback.

op(inputs) -> (output, pullback), pullback(d_output) -> d_inputs.  The network collects the
pullbacks of one pass in a list of (time, pullback) and walks it from the end.
Loss: multi-label logistic loss on every frame + AR and TAR activation penalties.
"""
import numpy as np

DEPTH, ALPHA, BETA = 2, 0.05, 0.2


def matmul(x, W):
    return x @ W, lambda d: (d @ W.T, x.T @ d)


def tanh(a):
    y = np.tanh(a)
    return y, lambda d: d * (1 - y * y)


def sigmoid(a):
    y = 1 / (1 + np.exp(-a))
    return y, lambda d: d * y * (1 - y)


def weight_norm(v, gain):
    """columns of v are rescaled to length gain"""
    length = np.sqrt((v * v).sum(axis=0))
    unit = v / length

    def pullback(dW):
        along = (dW * unit).sum(axis=0)
        return gain / length * (dW - unit * along), along

    return unit * gain, pullback


def highway(s, hh, tt):
    """carry gate coupled to the transform gate: s' = hh*tt + s*(1 - tt)"""
    def pullback(d):
        return d * (1 - tt), d * tt, d * hh

    return hh * tt + s * (1 - tt), pullback


def logistic(score, wanted):
    """sum over labels, mean over the batch"""
    val = (np.logaddexp(0, score) - wanted * score).sum() / len(score)
    return val, lambda: (1 / (1 + np.exp(-score)) - wanted) / len(score)


def normalised(p):
    W, undo = {}, {}
    for l in range(DEPTH):
        for part in 'ht':
            key = part + str(l)
            W[key], undo[key] = weight_norm(p['v_' + key], p['g_' + key])
    return W, undo


def micro_step(s, inject, W, p, l):
    """one layer of the transition; inject = (input to h, input to t) or None"""
    pre, pulls = {}, {}
    for part in 'ht':
        key = part + str(l)
        rec, pulls[part] = matmul(s, W[key])
        pre[part] = rec + p['b_' + key]
        if inject is not None:
            pre[part] = pre[part] + inject[part]
    hh, pull_h = tanh(pre['h'])
    tt, pull_t = sigmoid(pre['t'])
    out, pull_mix = highway(s, hh, tt)

    def pullback(d, acc):
        ds, dhh, dtt = pull_mix(d)
        d_pre = {'h': pull_h(dhh), 't': pull_t(dtt)}
        for part in 'ht':
            back, dW = pulls[part](d_pre[part])
            ds = ds + back
            acc['W_' + part + str(l)] += dW
            acc['b_' + part + str(l)] += d_pre[part].sum(axis=0)
        return ds, d_pre

    return out, pullback


def forward(p, xs, wanted):
    W, undo = normalised(p)
    s = np.tile(p['s0'], (xs.shape[1], 1))
    total, states, pulls, heads = 0.0, [s], [], []
    for t, x in enumerate(xs):
        inject = {part: x @ p['x_' + part] for part in 'ht'}
        for l in range(DEPTH):
            s, pull = micro_step(s, inject if l == 0 else None, W, p, l)
            pulls.append(lambda d, acc, l=l, t=t, pull=pull: (l, t, *pull(d, acc)))
        score, pull_out = matmul(s, p['out'])
        val, pull_loss = logistic(score, wanted[t])
        heads.append((pull_out, pull_loss))
        total += val + ALPHA * (s ** 2).mean() + BETA * ((s - states[-1]) ** 2).mean()
        states.append(s)
    return total, (undo, states, pulls, heads)


def backward(p, xs, trace):
    undo, states, pulls, heads = trace
    acc = {k: np.zeros_like(v) for k, v in p.items()}
    for key in undo:
        acc['W_' + key] = np.zeros_like(p['v_' + key])
    T = len(xs)
    d_state = [np.zeros_like(s) for s in states]
    for t in range(T):
        pull_out, pull_loss = heads[t]
        ds, d_out = pull_out(pull_loss())
        acc['out'] += d_out
        step = 2 * BETA * (states[t + 1] - states[t]) / states[t].size
        d_state[t + 1] += ds + ALPHA * states[t + 1] / states[t].size + step
        d_state[t] -= step
    d = d_state[T]
    for pull in reversed(pulls):
        l, t, d, d_pre = pull(d, acc)
        if l == 0:
            for part in 'ht':
                acc['x_' + part] += xs[t].T @ d_pre[part]
        d = d + d_state[t]
    acc['s0'] += d.sum(axis=0)
    for key, pullback in undo.items():
        acc['v_' + key], acc['g_' + key] = pullback(acc.pop('W_' + key))
    return acc


def make(rng):
    T, B, D, H, O = 5, 3, 2, 3, 2
    p = {'s0': rng.normal(size=H) * 0.5, 'out': rng.normal(size=(H, O))}
    for part in 'ht':
        p['x_' + part] = rng.normal(size=(D, H))
        for l in range(DEPTH):
            p[f'v_{part}{l}'] = rng.normal(size=(H, H))
            p[f'g_{part}{l}'] = rng.uniform(0.6, 1.6, size=H)
            p[f'b_{part}{l}'] = rng.normal(size=H) * 0.4
    xs = rng.normal(size=(T, B, D))
    wanted = (rng.random((T, B, O)) < 0.5).astype(float)
    return (p, lambda: float(forward(p, xs, wanted)[0]),
            lambda: backward(p, xs, forward(p, xs, wanted)[1]))


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [("coupled gate: the carried state's share missing", [41], [('d * tt, d * hh', 'd * tt, d * (hh - s)')]),
 ('direct gradient of the state added after every layer instead of once per frame',
  [121, 124],
  [('        d = d + d_state[t]\n', '            d = d + d_state[t]\n')]),
 ('factor 2 of the activation penalty', [116], [('ALPHA * states[t + 1]', '2 * ALPHA * states[t + 1]')])]
