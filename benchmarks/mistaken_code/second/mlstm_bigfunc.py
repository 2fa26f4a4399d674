"""Multiplicative LSTM (the hidden state first becomes m = (Wmx x) * (Wmh h)), one big function."""
import numpy as np


def mlstm_loss_and_grad(P, x, label, want_grad=True):
    Wmx, Wmh, Wx, Wm, b, Wy = P['Wmx'], P['Wmh'], P['Wx'], P['Wm'], P['b'], P['Wy']
    T, B, D = x.shape
    H = Wmh.shape[0]

    # ---------------------------------------------------------------- forward
    h = np.zeros((T + 1, B, H))
    c = np.zeros((T + 1, B, H))
    p1 = np.zeros((T, B, H))
    p2 = np.zeros((T, B, H))
    u = np.zeros((T, B, H))
    i = np.zeros((T, B, H))
    o = np.zeros((T, B, H))
    f = np.zeros((T, B, H))
    t = 0
    while t < T:
        p1[t] = x[t] @ Wmx
        p2[t] = h[t] @ Wmh
        m = p1[t] * p2[t]
        a = x[t] @ Wx + m @ Wm + b
        u[t] = np.tanh(a[:, :H])
        i[t] = 1 / (1 + np.exp(-a[:, H:2 * H]))
        o[t] = 1 / (1 + np.exp(-a[:, 2 * H:3 * H]))
        f[t] = 1 / (1 + np.exp(-a[:, 3 * H:]))
        c[t + 1] = f[t] * c[t] + i[t] * u[t]
        h[t + 1] = o[t] * np.tanh(c[t + 1])
        t += 1
    score = h[T] @ Wy
    prob = 1 / (1 + np.exp(-score))
    loss = -np.mean(label * np.log(prob) + (1 - label) * np.log(1 - prob))
    if not want_grad:
        return float(loss)

    # --------------------------------------------------------------- backward
    dscore = (prob - label) / B
    dWy = h[T].T @ dscore
    dWmx, dWmh = np.zeros_like(Wmx), np.zeros_like(Wmh)
    dWx, dWm, db = np.zeros_like(Wx), np.zeros_like(Wm), np.zeros_like(b)
    dh = dscore @ Wy.T
    dc = np.zeros((B, H))
    t = T - 1
    while t >= 0:
        tc = np.tanh(c[t + 1])
        dc = dc + dh * o[t] * (1 - tc ** 2)
        da = np.empty((B, 4 * H))
        da[:, :H] = dc * i[t] * (1 - u[t] ** 2)
        da[:, H:2 * H] = dc * u[t] * i[t] * (1 - i[t])
        da[:, 2 * H:3 * H] = dc * tc * o[t] * (1 - o[t])
        da[:, 3 * H:] = dc * c[t] * f[t] * (1 - f[t])
        dWx += x[t].T @ da
        dWm += (p1[t] * p2[t]).T @ da
        db += da.sum(axis=0)
        dm = da @ Wm.T
        dp1 = dm * p1[t]
        dp2 = dm * p2[t]
        dWmx += x[t].T @ dp1
        dh = dp2 @ Wmh.T
        dc = dc * f[t]
        t -= 1
    dWmh += h[t].T @ dp2
    return float(loss), dict(Wmx=dWmx, Wmh=dWmh, Wx=dWx, Wm=dWm, b=db, Wy=dWy)


def make(rng, T=4, B=3, D=2, H=3):
    P = dict(Wmx=rng.standard_normal((D, H)), Wmh=rng.standard_normal((H, H)),
             Wx=rng.standard_normal((D, 4 * H)), Wm=rng.standard_normal((H, 4 * H)),
             b=rng.standard_normal(4 * H), Wy=rng.standard_normal((H, 1)))
    x = rng.standard_normal((T, B, D))
    label = rng.integers(0, 2, (B, 1)).astype(float)
    return (P,
            lambda: mlstm_loss_and_grad(P, x, label, want_grad=False),
            lambda: mlstm_loss_and_grad(P, x, label)[1])


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [("the product's two gradients are swapped (dp1 takes p1, dp2 takes p2)",
  [58, 59],
  [('dp1 = dm * p1[t]', 'dp1 = dm * p2[t]'), ('dp2 = dm * p2[t]', 'dp2 = dm * p1[t]')]),
 ("output gate's gradient takes dc, should be dh", [52], [('= dc * tc * o[t]', '= dh * tc * o[t]')]),
 ('dWmh is accumulated after the loop, so from one step only (and t is stale there)',
  [60, 61, 64],
  [('        dh = dp2', '        dWmh += h[t].T @ dp2\n        dh = dp2'),
   ('        t -= 1\n    dWmh += h[t].T @ dp2\n    return', '        t -= 1\n    return')])]
