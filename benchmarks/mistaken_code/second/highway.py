"""Recurrent highway network, recurrence depth L, coupled carry gate (1 - t).
One column vector per example; weights are lists inside, flattened to a dict for the outside."""
import numpy as np


def s(z):
    return 1 / (1 + np.exp(-z))


def rhn_step(Wh, Wt, Rh, Rt, bh, bt, x, h_in):
    """L micro steps, the input enters only at the first"""
    st, trace = h_in, []
    for l in range(len(Rh)):
        a = Rh[l] @ st + bh[l]
        b = Rt[l] @ st + bt[l]
        if l == 0:
            a = a + Wh @ x
            b = b + Wt @ x
        h = np.tanh(a)
        t = s(b)
        new = h * t + st * (1 - t)
        trace.append((st, h, t))
        st = new
    return st, trace


def rhn_step_back(g, Wh, Wt, Rh, Rt, x, trace, d):
    for l in range(len(trace)):
        st, h, t = trace[l]
        dh = d * t * (1 - h ** 2)
        dt = d * h * t * (1 - t)
        g['Rh'][l] += dh @ st.T
        g['Rt'][l] += dt @ st.T
        g['bh'][l] += dh
        g['bt'][l] += dt
        if l == 0:
            g['Wh'] += dh @ x.T
            g['Wt'] += dt @ x.T
        d = d * (1 - t) + Rh[l].T @ dh + Rt[l].T @ dt
    return d


def sequence_loss(p, xs, ys):
    h = np.zeros((p['Rh'].shape[1], 1))
    traces, tops = [], []
    total = 0.0
    for x, y in zip(xs, ys):
        h, trace = rhn_step(p['Wh'], p['Wt'], p['Rh'], p['Rt'], p['bh'], p['bt'], x, h)
        traces.append(trace)
        tops.append(h)
        out = s(p['V'] @ h)
        total += np.sum((out - y) ** 2)
    return total, traces, tops


def sequence_grad(p, g, xs, ys):
    _, traces, tops = sequence_loss(p, xs, ys)
    carry = np.zeros_like(tops[0])
    t = len(xs)
    while t > 0:
        t -= 1
        out = s(p['V'] @ tops[t])
        dpre = 2 * (out - ys[t])
        g['V'] += dpre @ tops[t].T
        d = p['V'].T @ dpre + carry
        carry = rhn_step_back(g, p['Wh'], p['Wt'], p['Rh'], p['Rt'], xs[t], traces[t], d)


def make(rng, T=4, B=3, D=2, H=3):
    L = 3
    p = {
        'Wh': rng.standard_normal((H, D)), 'Wt': rng.standard_normal((H, D)),
        'Rh': rng.standard_normal((L, H, H)) * 0.8, 'Rt': rng.standard_normal((L, H, H)) * 0.8,
        'bh': rng.standard_normal((L, H, 1)) * 0.5, 'bt': rng.standard_normal((L, H, 1)) * 0.5 - 0.5,
        'V': rng.standard_normal((2, H)),
    }
    data = [(rng.standard_normal((T, D, 1)), rng.random((T, 2, 1))) for _ in range(B)]

    def loss():
        return float(sum(sequence_loss(p, xs, ys)[0] for xs, ys in data))

    def grads():
        g = {k: np.zeros_like(v) for k, v in p.items()}
        for xs, ys in data:
            sequence_grad(p, g, xs, ys)
        return g

    return p, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [('micro steps are undone in forward order',
  [28],
  [('for l in range(len(trace))', 'for l in reversed(range(len(trace)))')]),
 ("the transform gate's gradient ignores that the carry gate is 1 - t (h in place of h - st)",
  [31],
  [('dt = d * h *', 'dt = d * (h - st) *')]),
 ('derivative of the output sigmoid is missing (as though it were cross entropy)',
  [63],
  [('(out - ys[t])', '(out - ys[t]) * out * (1 - out)')])]
