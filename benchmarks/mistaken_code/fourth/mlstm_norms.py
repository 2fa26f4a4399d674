"""
Q: numpy mLSTM + LayerNorm -- is this backward pass correct?

I glued Krause's multiplicative LSTM together with Ba's layer norm for a many-to-many binary
task (one logit per step, label -1 = no label).  cs231n style: every fwd returns a cache,
the bwd with the same name eats it.  N = batch, D = input, H = hidden.

    m  = (x Wmx) * (h Wmh)
    a  = LN(x Wx + m Wm; ga, ba)            i, f, o, g = split(a)
    c' = sig(f + 1) c + sig(i) tanh(g)      h' = sig(o) tanh(LN(c'; gc, bc))
"""
import numpy as np

EPS = 1e-3
POS_W = 2.5


def sig(a):
    return 1. / (1. + np.exp(-a))


def ln_fwd(a, gain, bias):
    mu = a.mean(1, keepdims=True)
    sd = np.sqrt(a.var(1, keepdims=True) + EPS)
    xh = (a - mu) / sd
    return xh * gain + bias, (xh, sd, gain)


def ln_bwd(dout, cache):
    xh, sd, gain = cache
    dgain = np.sum(dout * xh, axis=0)
    dbias = np.sum(dout, axis=0)
    dxh = dout
    da = dxh - dxh.mean(1, keepdims=True) - xh * (dxh * xh).mean(1, keepdims=True)
    da /= sd
    return da, dgain, dbias


def step_fwd(x, h, c, p):
    H = h.shape[1]
    mx, mh = x.dot(p['Wmx']), h.dot(p['Wmh'])
    m = mx * mh
    a, ln_a = ln_fwd(x.dot(p['Wx']) + m.dot(p['Wm']), p['ga'], p['ba'])
    a[:, H:2*H] += 1.
    ifo = sig(a[:, :3*H])
    g = np.tanh(a[:, 3*H:])
    i, f, o = ifo[:, :H], ifo[:, H:2*H], ifo[:, 2*H:]
    c_new = f * c + i * g
    cn, ln_c = ln_fwd(c_new, p['gc'], p['bc'])
    tc = np.tanh(cn)
    h_new = o * tc
    return h_new, c_new, (x, h, c, mx, mh, m, i, f, o, g, tc, ln_a, ln_c)


def step_bwd(dh, dc, p, cache):
    x, h, c, mx, mh, m, i, f, o, g, tc, ln_a, ln_c = cache
    H = h.shape[1]
    G = {}
    dcn = dh * o * (1 - tc**2)
    dc_ln, G['gc'], G['bc'] = ln_bwd(dcn, ln_c)
    dc = dc_ln
    da = np.empty((x.shape[0], 4*H))
    da[:, :H] = dc * g * i * (1 - i)
    da[:, H:2*H] = dc * c * f * (1 - f)
    da[:, 2*H:3*H] = dh * tc * o * (1 - o)
    da[:, 3*H:] = dc * i * (1 - g**2)
    da, G['ga'], G['ba'] = ln_bwd(da, ln_a)
    G['Wx'] = x.T.dot(da)
    G['Wm'] = m.T.dot(da)
    dm = da.dot(p['Wm'].T)
    dmx, dmh = dm * mh, dm * mx
    G['Wmx'] = x.T.dot(dmx)
    G['Wmh'] = h.T.dot(dmh)
    dh_prev = dmh.dot(p['Wmh'].T)
    dc_prev = dc * f
    return dh_prev, dc_prev, G


def bce_fwd(h, p, y):
    """h (N, H), y (N,) in {0, 1, -1} -> summed weighted loss of the labelled rows"""
    s = h.dot(p['Wy'])[:, 0] + p['by'][0]
    w = np.where(y == 1, POS_W, 1.) * (y >= 0)
    loss = np.sum(w * (np.logaddexp(0, s) - s * (y == 1)))
    return loss, (h, s, w)


def bce_bwd(p, y, cache):
    h, s, w = cache
    ds = (y >= 0) * (sig(s) - (y == 1))
    return np.outer(ds, p['Wy'][:, 0]), {'Wy': h.T.dot(ds)[:, None], 'by': np.array([ds.sum()])}


def rnn(p, X, Y, backward=False):
    N, T, D = X.shape
    h = c = np.zeros((N, p['Wmh'].shape[0])) + p['h0']
    caches, outs, loss = [], [], 0.
    n_lab = float(np.sum(Y >= 0))
    for t in range(T):
        h, c, cache = step_fwd(X[:, t, :], h, c, p)
        l, out = bce_fwd(h, p, Y[:, t])
        loss += l / n_lab
        caches.append(cache)
        outs.append(out)
    if not backward:
        return loss

    grads = dict((k, np.zeros_like(p[k])) for k in p)
    dh = np.zeros_like(h)
    dc = np.zeros_like(c)
    for t in reversed(range(T)):
        dh_y, G_y = bce_bwd(p, Y[:, t], outs[t])
        dh += dh_y / n_lab
        for k in G_y:
            grads[k] += G_y[k] / n_lab
        dh, dc, G = step_bwd(dh, dc, p, caches[t])
        for k in G:
            grads[k] += G[k]
    grads['h0'] = dh.sum(axis=0)      # h and c start from the same vector
    return grads


def make(rng):
    N, T, D, H = 3, 5, 2, 3
    r = lambda *s: rng.randn(*s) if hasattr(rng, 'randn') else rng.standard_normal(s)
    p = {'Wmx': r(D, H), 'Wmh': r(H, H), 'Wx': r(D, 4*H), 'Wm': r(H, 4*H),
         'ga': 1 + .3 * r(4*H), 'ba': .3 * r(4*H), 'gc': 1 + .3 * r(H), 'bc': .3 * r(H),
         'Wy': r(H, 1), 'by': r(1), 'h0': .5 * r(H)}
    X = r(N, T, D)
    Y = np.array([[1, 0, -1, 1, 0], [-1, 1, 1, 0, -1], [0, -1, 1, -1, 1]])
    return p, lambda: float(rnn(p, X, Y)), lambda: rnn(p, X, Y, backward=True)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('layer norm: gain missing', [33], [('dxh = dout', 'dxh = dout * gain')]),
 ('weight of the positive class missing',
  [89],
  [('ds = (y >= 0) * (sig(s) - (y == 1))', 'ds = w * (sig(s) - (y == 1))')]),
 ("shared start vector: the cell's share missing",
  [118],
  [("grads['h0'] = dh.sum(axis=0)", "grads['h0'] = (dh + dc).sum(axis=0)")]),
 ('cell carry lost', [61], [('dc = dc_ln', 'dc = dc + dc_ln')])]
