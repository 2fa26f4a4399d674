"""SimCLR for short sequences, the functional way: time is a recursion.

`contrast(p, views)` builds the function of the whole net; the recursion goes down the
sequence on the way in (forward) and hands the derivative of the state back on the way out.
GRU with the reset gate behind the matrix product; NT-Xent loss with a learned temperature.
Rows 2k and 2k+1 of a batch are the two views of the same thing.
"""
import numpy as np


def affine(p, name, x, h):
    return x @ p[name + 'x'] + h @ p[name + 'h'] + p[name + 'b']


def squash(a):
    return 0.5 + 0.5 * np.tanh(0.5 * a)


def plus(a, b):
    """sum of two gradients given as dicts; a missing key is zero"""
    return {k: a.get(k, 0) + b.get(k, 0) for k in a.keys() | b.keys()}


def nt_xent(p, h):
    """-> loss, dloss/dh, {gradients of the head}"""
    m = len(h)
    v = h @ p['head']
    e = v / (norm := np.sqrt((v * v).sum(1, keepdims=True)))
    sim = (cosine := e @ e.T) * np.exp(p['sharp'])
    off = ~np.eye(m, dtype=bool)
    mate = np.arange(m) ^ 1
    ex = np.exp(sim - (top := sim.max(1, keepdims=True))) * off
    loss = np.mean(np.log(total := ex.sum(1)) + top[:, 0] - sim[np.arange(m), mate])

    dsim = ex / total[:, None]
    dsim[np.arange(m), mate] -= 1
    dsim /= m
    de = (dsim + dsim.T) @ e * np.exp(p['sharp'])
    dv = (de - e * (de * e).sum(0, keepdims=True)) / norm
    return loss, dv @ p['head'].T, {'head': h.T @ dv, 'sharp': np.sum(dsim * cosine)[None]}


def contrast(p, views):
    steps = len(views)

    def at(t, h):
        """everything from time t on, given the state -> loss, d loss / d h, gradients"""
        if t == steps:
            return nt_xent(p, h)
        x = views[t]
        r = squash(affine(p, 'r', x, h))
        z = squash(affine(p, 'z', x, h))
        inner = h @ p['nh'] + p['ni']
        n = np.tanh(x @ p['nx'] + p['nb'] + r * inner)

        loss, dnew, later = at(t + 1, z * h + (1 - z) * n)

        dn = dnew * (1 - z) * (1 - n * n)
        dz = dnew * (h - n) * z * (1 - z)
        dr = dn * h * r * (1 - r)
        di = dn * r
        here = {'nx': x.T @ dn, 'nb': dn.sum(0), 'nh': h.T @ di, 'ni': di.sum(0)}
        for name, d in {'r': dr, 'z': dz}.items():
            here |= {name + 'x': x.T @ d, name + 'h': h.T @ d, name + 'b': d.sum(0)}
        dh = dnew * z + dz @ p['zh'].T + dr @ p['rh'].T + di @ p['nh'].T
        return loss, dh, plus(here, later)

    def whole():
        rows = views[0].shape[0]
        loss, dh, g = at(0, np.tile(p['start'], (rows, 1)))
        return loss, plus(g, {'start': dh.mean(0)})

    return whole


def two_views(rng, things, steps, dim):
    clean = rng.standard_normal((steps, things, dim))
    both = np.repeat(clean, 2, axis=1)
    return both + 0.7 * rng.standard_normal(both.shape)


def make(rng):
    D, H, E = 2, 3, 2
    shape = {'start': (H,), 'head': (H, E), 'sharp': (1,), 'ni': (H,)}
    for name in 'rzn':
        shape |= {name + 'x': (D, H), name + 'h': (H, H), name + 'b': (H,)}
    p = {k: rng.normal(0, 0.9, s) for k, s in sorted(shape.items())}
    whole = contrast(p, two_views(rng, 3, 5, D))
    return p, lambda: float(whole()[0]), lambda: whole()[1]


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('log temperature: cosine instead of the scaled similarity',
  [40],
  [('np.sum(dsim * cosine)[None]', 'np.sum(dsim * sim)[None]')]),
 ('normalisation: projection summed over the batch axis',
  [39],
  [('de - e * (de * e).sum(0, keepdims=True)', 'de - e * (de * e).sum(1, keepdims=True)')]),
 ('reset gate: the state instead of the inner product',
  [60],
  [('dr = dn * h * r * (1 - r)', 'dr = dn * inner * r * (1 - r)')]),
 ('learned start state: mean over the rows instead of the sum',
  [71],
  [("{'start': dh.mean(0)}", "{'start': dh.sum(0)}")])]
