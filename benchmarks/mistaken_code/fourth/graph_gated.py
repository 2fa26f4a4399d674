# traffic sensors on a road graph: message passing inside a minimal gated unit, one function
# that does everything (need_grad=False stops after the loss).
# edge lists, no adjacency matrix; sensors can be silent (mask); predictions should not jump.
from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    x: np.ndarray        # (T, nodes, 2) measurements
    y: np.ndarray        # (T, nodes) wanted
    seen: np.ndarray     # (T, nodes) bool
    src: np.ndarray      # (edges,)
    dst: np.ndarray      # (edges,)
    dist: np.ndarray     # (edges,)


JUMP = 0.4
MSG = 2


def traffic(p, data, need_grad):
    x, y, seen, src, dst, dist = data
    T, nodes, nx = x.shape
    H = p['wo'].shape[0]
    indeg = np.maximum(np.bincount(dst, minlength=nodes), 1)[:, None]

    # ------------------------------------------------------------------ forward
    gate = 1 / (1 + np.exp(-(p['edge'][0] * dist + p['edge'][1])))          # constant over time
    h = np.zeros((nodes, H))
    yhat = np.empty((T, nodes))
    saved = []
    for t, xt in enumerate(x):
        raw = np.take(h, src, axis=0) @ p['Wm']
        msg = np.log1p(np.exp(raw))
        agg = np.zeros((nodes, MSG))
        np.add.at(agg, dst, gate[:, None] * msg)
        agg /= indeg
        v = np.concatenate((xt, agg, h), axis=1)
        f = 1 / (1 + np.exp(-(v @ p['Wf'] + p['bf'])))
        v2 = np.concatenate((xt, agg, f * h), axis=1)
        n = np.tanh(v2 @ p['Wn'] + p['bn'])
        saved.append((h, raw, msg, v, f, v2, n))
        h = h + f * (n - h)
        yhat[t] = h @ p['wo'] + p['bo']
    err = np.where(seen, yhat - y, 0.0)
    jump = np.diff(yhat, axis=0)
    loss = 0.5 * np.sum(err ** 2) / np.count_nonzero(seen) + 0.5 * JUMP * np.mean(jump ** 2)
    if not need_grad:
        return float(loss)

    # ------------------------------------------------------------------ backward
    g = {k: np.zeros_like(a) for k, a in p.items()}
    dyhat = err / np.count_nonzero(seen)
    dyhat[1:] += JUMP * jump / jump.size
    dyhat[:-1] -= JUMP * jump / jump.size
    dgate = np.zeros_like(gate)
    dh = np.zeros((nodes, H))
    h_out = h
    for t in range(T - 1, -1, -1):
        h, raw, msg, v, f, v2, n = saved[t]
        g['wo'] += h_out.T @ dyhat[t]
        g['bo'] += dyhat[t].sum()
        dh += np.outer(dyhat[t], p['wo'])

        df = dh * (n - h)
        dn = dh * f * (1 - n * n)
        dprev = dh * (1 - f)
        g['Wn'] += v2.T @ dn
        g['bn'] += dn.sum(axis=0)
        dv2 = dn @ p['Wn'].T
        dagg = dv2[:, nx:nx + MSG].copy()
        df += dv2[:, nx + MSG:] * h
        dprev += dv2[:, nx + MSG:]

        df *= f * (1 - f)
        g['Wf'] += v.T @ df
        g['bf'] += df.sum(axis=0)
        dv = df @ p['Wf'].T
        dagg += dv[:, nx:nx + MSG]
        dprev += dv[:, nx + MSG:]

        dedge = np.take(dagg, dst, axis=0)
        dgate = (dedge * msg).sum(axis=1)
        draw = dedge * gate[:, None]
        g['Wm'] += np.take(h, src, axis=0).T @ draw
        np.add.at(dprev, src, draw @ p['Wm'].T)

        h_out = h
        dh = dprev
    dpre = dgate * gate * (1 - gate)
    g['edge'][0] = dpre @ dist
    g['edge'][1] = dpre.sum()
    return g


def make(rng):
    T, nodes, nx, H = 5, 4, 2, 3
    p = {}
    for name, shape in [('Wm', (H, MSG)), ('edge', (2,)), ('Wf', (nx + MSG + H, H)), ('bf', (H,)),
                        ('Wn', (nx + MSG + H, H)), ('bn', (H,)), ('wo', (H,)), ('bo', (1,))]:
        p[name] = rng.normal(0, 0.8, shape)
    data = Data(x=rng.normal(size=(T, nodes, nx)), y=2 * rng.normal(size=(T, nodes)),
                seen=np.arange(T * nodes).reshape(T, nodes) % 3 != 1,
                src=np.array([0, 0, 1, 2, 3, 2, 0]), dst=np.array([1, 2, 2, 3, 0, 1, 3]),
                dist=rng.uniform(0.5, 2, 7))
    return p, lambda: traffic(p, data, False), lambda: traffic(p, data, True)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('mean aggregation: division by the number of neighbours missing',
  [83],
  [('np.take(dagg, dst, axis=0)', 'np.take(dagg / indeg, dst, axis=0)')]),
 ('gated state: factor f missing', [74], [('dprev += dv2[:, nx + MSG:]', 'dprev += dv2[:, nx + MSG:] * f')]),
 ("edge gate: only the first frame's gradient survives (= for +=)", [84], [('dgate = (dedge', 'dgate += (dedge')]),
 ('softplus derivative missing in the message',
  [85],
  [('draw = dedge * gate[:, None]', 'draw = dedge * gate[:, None] / (1 + np.exp(-raw))')])]
