"""LSTM with a projection layer (r = h P is what recurs) and a mixture density output,
joined from lstmp.py, mdn.py and main.py.  (T, B, .) batches, scalar targets."""
import numpy as np


# ------------------------------------------------------------------ lstmp.py
def sig(x):
    return 1. / (1. + np.exp(-x))


def lstmp_fwd(X, Wx, Wr, b, Wp):
    T, B, _ = X.shape
    H, R = Wp.shape
    r, c = np.zeros((B, R)), np.zeros((B, H))
    outs, memo = [], []
    for t in range(T):
        i, f, g, o = np.split(X[t] @ Wx + r @ Wr + b, 4, axis=1)
        i, f, g, o = sig(i), sig(f), np.tanh(g), sig(o)
        c_new = f * c + i * g
        h = o * np.tanh(c_new)
        memo.append(dict(x=X[t], r=r, c=c, i=i, f=f, g=g, o=o, c_new=c_new, h=h))
        r, c = h @ Wp, c_new
        outs.append(r)
    return np.stack(outs), memo


def lstmp_bwd(dR, memo, Wx, Wr, b, Wp):
    dWx, dWr, db, dWp = map(np.zeros_like, (Wx, Wr, b, Wp))
    dr_next = np.zeros_like(dR[0])
    dc_next = np.zeros_like(memo[0]['c'])
    for dr, m in zip(reversed(list(dR)), reversed(memo)):
        dWp += m['h'].T @ dr
        dh = dr @ Wp.T
        tc = np.tanh(m['c_new'])
        dc = dh * m['o'] * (1 - tc * tc) + dc_next
        dgates = np.concatenate([
            dc * m['g'] * m['i'] * (1 - m['i']),
            dc * m['c'] * m['f'] * (1 - m['f']),
            dc * m['i'] * (1 - m['g'] ** 2),
            dh * tc * m['o'] * (1 - m['o']),
        ], axis=1)
        dWx += m['x'].T @ dgates
        dWr += m['r'].T @ dgates
        db += dgates.sum(0)
        dr_next = dgates @ Wr.T
        dc_next = dc * m['i']
    return dWx, dWr, db, dWp


# -------------------------------------------------------------------- mdn.py
def mdn_split(z):
    logits, mu, logsig = np.split(z, 3, axis=-1)
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True), mu, np.exp(logsig)


def mdn_nll(z, y):
    pi, mu, sd = mdn_split(z)
    comp = pi * np.exp(-0.5 * ((y - mu) / sd) ** 2) / (sd * np.sqrt(2 * np.pi))
    total = comp.sum(-1, keepdims=True)
    gamma = comp / total                       # responsibilities
    return -np.log(total).mean(), gamma


def mdn_grad(z, y, gamma):
    pi, mu, sd = mdn_split(z)
    dlogits = gamma - pi
    dmu = gamma * (mu - y) / sd
    dlogsig = gamma * (1 - ((y - mu) / sd) ** 2)
    return np.concatenate([dlogits, dmu, dlogsig], axis=-1) / (z.shape[0] * z.shape[1])


# ------------------------------------------------------------------- main.py
def make(rng, T=4, B=3, D=2, H=3, K=2):
    R = H + 1
    w = lambda *s: rng.normal(size=s) * 0.8
    params = {'Wx': w(D, 4 * H), 'Wr': w(R, 4 * H), 'b': w(4 * H), 'Wp': w(H, R),
              'Wz': w(R, 3 * K), 'bz': w(3 * K) * 0.5}
    X, y = rng.normal(size=(T, B, D)), rng.normal(size=(T, B, 1))
    cell = lambda: [params[k] for k in ('Wx', 'Wr', 'b', 'Wp')]

    def loss():
        outs, _ = lstmp_fwd(X, *cell())
        return float(mdn_nll(outs @ params['Wz'] + params['bz'], y)[0])

    def grads():
        outs, memo = lstmp_fwd(X, *cell())
        z = outs @ params['Wz'] + params['bz']
        _, gamma = mdn_nll(z, y)
        dz = mdn_grad(z, y, gamma)
        dWx, dWr, db, dWp = lstmp_bwd(dz @ params['Wz'].T, memo, *cell())
        return {'Wx': dWx, 'Wr': dWr, 'b': db, 'Wp': dWp,
                'Wz': np.tensordot(outs, dz, axes=([0, 1], [0, 1])), 'bz': dz.sum((0, 1))}

    return params, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [("mean's gradient is divided by sd, should be sd**2", [68], [('(mu - y) / sd', '(mu - y) / sd ** 2')]),
 ("responsibilities in the weights' gradient have the wrong sign (gamma - pi)",
  [67],
  [('dlogits = gamma - pi', 'dlogits = pi - gamma')]),
 ('gradient of the recurrent projected state from the next step is not added before the projection',
  [31, 32, 33, 45],
  [('        dWp', '        dr = dr + dr_next\n        dWp')]),
 ('cell carry to the previous step is multiplied by the input gate, should be the forget gate',
  [46],
  [("dc_next = dc * m['i']", "dc_next = dc * m['f']")])]
