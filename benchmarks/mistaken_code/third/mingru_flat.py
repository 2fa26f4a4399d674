# minGRU, two layers, everything in ONE flat vector theta (so that an L-BFGS can have it).
#   z = sig(x Wz + bz)     g = G(x Wh + bh)     h[t] = (1-z[t]) h[t-1] + z[t] g[t]
# Batch first: X is (N, T, D); the sequences have different lengths, read-out at the last
# valid frame, label-smoothed cross entropy, ridge on the matrices.
import numpy as np

D, H, K, L = 2, 4, 3, 2
RIDGE, SMOOTH = 0.03, 0.1


def layout():
    where, at = {}, 0
    for l in range(L):
        d = D if l == 0 else H
        for name, shape in (('Wz', (d, H)), ('bz', (H,)), ('Wh', (d, H)), ('bh', (H,)), ('h0', (H,))):
            n = int(np.prod(shape))
            where[name, l] = slice(at, at + n), shape
            at += n
    for name, shape in (('Wo', (H, K)), ('bo', (K,))):
        n = int(np.prod(shape))
        where[name, 'out'] = slice(at, at + n), shape
        at += n
    return where, at


WHERE, SIZE = layout()


def view(vec, name, l):
    sl, shape = WHERE[name, l]
    return vec[sl].reshape(shape)


def sig(a):
    return 1 / (1 + np.exp(-a))


def G(a):
    return np.where(a >= 0, a + 0.5, sig(a))


def scan(a, b, h0):
    """h[:,t] = a[:,t] h[:,t-1] + b[:,t].  Returns T+1 states, the first one is h0."""
    N, T, _ = a.shape
    h = np.empty((N, T + 1, H))
    h[:, 0] = h0
    for t in range(T):
        h[:, t + 1] = a[:, t] * h[:, t] + b[:, t]
    return h


def rscan(a, dh):
    """adjoint of scan: lam[:,t] = dh[:,t] + a[:,t+1] lam[:,t+1]"""
    lam = dh.copy()
    for t in range(a.shape[1] - 2, -1, -1):
        lam[:, t] += a[:, t + 1] * lam[:, t + 1]
    return lam


def run(theta, X, n_valid):
    tape, inp = [], X
    for l in range(L):
        zp = inp @ view(theta, 'Wz', l) + view(theta, 'bz', l)
        hp = inp @ view(theta, 'Wh', l) + view(theta, 'bh', l)
        z = sig(zp)
        h = scan(1 - z, z * G(hp), view(theta, 'h0', l))
        tape.append((inp, zp, hp, z, h))
        inp = h[:, 1:]
    last = inp[np.arange(len(X)), n_valid - 1]
    s = last @ view(theta, 'Wo', 'out') + view(theta, 'bo', 'out')
    s = s - s.max(axis=1, keepdims=True)
    logp = s - np.log(np.exp(s).sum(axis=1, keepdims=True))
    return logp, last, tape


def smoothed(y):
    q = np.full((len(y), K), SMOOTH / K)
    q[np.arange(len(y)), y] += 1 - SMOOTH
    return q


def f(theta, X, n_valid, y):
    logp, _, _ = run(theta, X, n_valid)
    ridge = sum((theta[sl] ** 2).sum() for (name, _), (sl, _) in WHERE.items() if name[0] == 'W')
    return -(smoothed(y) * logp).sum() / len(y) + 0.5 * RIDGE * ridge


def fprime(theta, X, n_valid, y):
    g = np.zeros(SIZE)
    logp, last, tape = run(theta, X, n_valid)
    N = len(X)
    ds = (np.exp(logp) - np.eye(K)[y]) / N
    view(g, 'Wo', 'out')[:] = last.T @ ds
    view(g, 'bo', 'out')[:] = ds.sum(axis=0)
    dh = np.zeros((N, X.shape[1], H))
    dh[np.arange(N), n_valid - 1] = ds @ view(theta, 'Wo', 'out').T
    for l in reversed(range(L)):
        inp, zp, hp, z, h = tape[l]
        lam = rscan(1 - z, dh)
        da, db = lam * h[:, 1:], lam
        dz = db * G(hp) - da
        sh = sig(hp)
        dzp = dz * z * (1 - z)
        dhp = db * z * np.where(hp >= 0, 1.0, sh * (1 - sh))
        view(g, 'h0', l)[:] = lam[:, 0].sum(axis=0)
        flat = inp.reshape(-1, inp.shape[2])
        for W, b, dp in (('Wz', 'bz', dzp), ('Wh', 'bh', dhp)):
            view(g, W, l)[:] = flat.T @ dp.reshape(-1, H)
            view(g, b, l)[:] = dp.sum(axis=(0, 1))
        dh = dzp @ view(theta, 'Wz', l).T + dhp @ view(theta, 'Wh', l).T
    for (name, _), (sl, _) in WHERE.items():
        if name[0] == 'W':
            g[sl] += RIDGE * theta[sl]
    return g


def make(rng):
    theta = 0.7 * rng.standard_normal(SIZE)
    X = rng.standard_normal((4, 6, D))
    n_valid = np.array([6, 3, 5, 2])
    y = rng.integers(0, K, 4)
    return ({'theta': theta},
            lambda: float(f(theta, X, n_valid, y)),
            lambda: {'theta': fprime(theta, X, n_valid, y)})


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('label smoothing forgotten in the gradient',
  [92],
  [('(np.exp(logp) - np.eye(K)[y]) / N', '(np.exp(logp) - smoothed(y)) / N')]),
 ('gradient of the decay with the new state instead of the previous one',
  [100],
  [('lam * h[:, 1:], lam', 'lam * h[:, :-1], lam')]),
 ('learned initial state: factor (1 - z[0]) missing',
  [105],
  [('lam[:, 0].sum(axis=0)', '((1 - z[:, 0]) * lam[:, 0]).sum(axis=0)')])]
