# CPU port of a bidirectional SRU kernel: flat buffers, one "thread" per column, offsets into
# contiguous arrays.  Two layers.
#
#   u    [len, batch, 2*d, 3]      x, h, c  [len, batch, 2*d]      wc, bias  [2, 2*d]
#   columns with (col % (2*d)) >= d belong to the right-to-left half
#
#   f = sig(u1 + wc_f c- + b_f)   r = sig(u2 + wc_r c- + b_r)
#   c = f (c- - u0) + u0          h = r (c - sx x) + sx x        (padded: c = c-, h = 0)
import math
import numpy as np

d, batch, length, layers = 2, 2, 5, 2
row = 2 * d
ncols = batch * row
sx = 1.4


def sig(v):
    return 1.0 / (1.0 + math.exp(-v))


def sru_fwd(u, x, wc, bias, c0, pad, h, c):
    h[:] = 0.0
    for col in range(ncols):
        j, b = col % row, col // row
        flip = j >= d
        step = -ncols if flip else ncols
        p = (length - 1) * ncols + col if flip else col
        cur = c0[j]
        for _ in range(length):
            if not pad[p // ncols, b]:
                q = 3 * p
                f = sig(u[q + 1] + wc[0, j] * cur + bias[0, j])
                r = sig(u[q + 2] + wc[1, j] * cur + bias[1, j])
                cur = (cur - u[q]) * f + u[q]
                h[p] = (cur - sx * x[p]) * r + sx * x[p]
            c[p] = cur
            p += step


def sru_bwd(u, x, wc, bias, c0, pad, c, gh, gu, gx, gwc, gbias, gc0):
    gu[:] = 0.0
    gx[:] = 0.0
    for col in range(ncols):
        j, b = col % row, col // row
        flip = j >= d
        step = -ncols if flip else ncols
        p = col if flip else (length - 1) * ncols + col
        gwf = gwr = gbf = gbr = 0.0
        cur = 0.0                               # dL/dc of the present frame
        for cnt in range(length - 1, -1, -1):
            if pad[p // ncols, b]:
                p -= step
                continue
            prev = c[p - step] if cnt else c0[j]
            q = 3 * p
            f = sig(u[q + 1] + wc[0, j] * prev + bias[0, j])
            r = sig(u[q + 2] + wc[1, j] * prev + bias[1, j])
            # h = r (c - sx x) + sx x
            gr = gh[p] * (c[p] - sx * x[p]) * (r - r * r)
            gx[p] = gh[p] * (1.0 - r)
            cur += gh[p] * r
            # c = f (c- - u0) + u0
            gf = cur * (prev - u[q]) * (f - f * f)
            gu[q] = cur * (1.0 - f)
            gu[q + 1] = gf
            gu[q + 2] = gr
            gwf += gf * prev
            gwr += gr * c[p]
            gbf += gf
            gbr += gr
            cur = cur * f + gf * wc[0, j] + gr * wc[1, j]
            p -= step
        gwc[0, j] += gwf
        gwc[1, j] += gwr
        gbias[0, j] += gbf
        gbias[1, j] += gbr
        gc0[j] += cur


class Stack:
    def __init__(self, params, x, target, pad):
        self.P, self.x, self.target, self.pad = params, x, target, pad
        n = length * ncols
        self.inp = [x.ravel()] + [np.zeros(n) for _ in range(layers)]
        self.c = [np.zeros(n) for _ in range(layers)]
        self.u = [None] * layers

    def fwd(self):
        for l in range(layers):
            W, wc, bias, c0 = (self.P[k + str(l)] for k in ('W', 'wc', 'bias', 'c0'))
            self.u[l] = (self.inp[l].reshape(-1, row) @ W).ravel()
            sru_fwd(self.u[l], self.inp[l], wc, bias, c0, self.pad, self.inp[l + 1], self.c[l])
        top = self.inp[-1].reshape(length, batch, row)
        self.e = (top @ self.P['head'] + self.P['shift'][0] - self.target) * ~self.pad
        return np.log(np.cosh(self.e)).sum() / batch

    def bwd(self):
        G = {k: np.zeros_like(v) for k, v in self.P.items()}
        ge = np.tanh(self.e) / batch * ~self.pad
        top = self.inp[-1].reshape(length, batch, row)
        G['head'] += np.tensordot(ge, top, axes=2)
        G['shift'][0] += ge.sum()
        gh = np.multiply.outer(ge, self.P['head']).ravel()
        gu, gx = np.zeros(3 * length * ncols), np.zeros(length * ncols)
        for l in reversed(range(layers)):
            W, wc, bias, c0 = (self.P[k + str(l)] for k in ('W', 'wc', 'bias', 'c0'))
            sru_bwd(self.u[l], self.inp[l], wc, bias, c0, self.pad, self.c[l], gh, gu, gx,
                    G['wc' + str(l)], G['bias' + str(l)], G['c0' + str(l)])
            gu2 = gu.reshape(-1, 3 * row)
            G['W' + str(l)] += self.inp[l].reshape(-1, row).T @ gu2
            gh = np.clip(gx + (gu2 @ W.T).ravel(), -0.1, 0.1)
        return G


def make(rng):
    params = {}
    for l in range(layers):
        params[f'W{l}'] = rng.normal(size=(row, 3 * row)) * 0.6
        params[f'wc{l}'] = rng.normal(size=(2, row)) * 0.8
        params[f'bias{l}'] = rng.normal(size=(2, row)) * 0.4
        params[f'c0{l}'] = rng.normal(size=row) * 0.6
    params['head'] = rng.normal(size=row)
    params['shift'] = rng.normal(size=1)
    pad = np.zeros((length, batch), dtype=bool)
    pad[3:, 1] = True                           # right padded,
    pad[1, 0] = True                            # and one frame that was lost
    net = Stack(params, rng.normal(size=(length, batch, row)), rng.normal(size=(length, batch)), pad)

    def grads():
        net.fwd()
        return net.bwd()

    return params, lambda: float(net.fwd()), grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('highway scale missing in the input gradient',
  [61],
  [('gx[p] = gh[p] * (1.0 - r)', 'gx[p] = gh[p] * sx * (1.0 - r)')]),
 ('gradient clipping left in',
  [112],
  [('gh = np.clip(gx + (gu2 @ W.T).ravel(), -0.1, 0.1)', 'gh = gx + (gu2 @ W.T).ravel()')]),
 ("reset gate's recurrent weight with the new cell", [69], [('gwr += gr * c[p]', 'gwr += gr * prev')])]
