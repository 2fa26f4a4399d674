"""Projected LSTM with coupled gates (i = 1 - f): one flat weight vector, one flat gradient, no allocation in the loops."""
import numpy as np


class Kernel:
    def __init__(self, T, B, D, H, R):
        self.dims = T, B, D, H, R
        # layout of theta: input weights | recurrent weights | bias | projection | initial cell
        sizes = [D * 3 * H, R * 3 * H, 3 * H, H * R, H]
        shapes = [(D, 3 * H), (R, 3 * H), (3 * H,), (H, R), (H,)]
        ends = np.cumsum(sizes)
        self.theta, self.grad = np.zeros(ends[-1]), np.zeros(ends[-1])
        cut = lambda flat: [flat[e - n:e].reshape(q) for e, n, q in zip(ends, sizes, shapes)]
        self.W, self.U, self.b, self.P, self.c0 = cut(self.theta)
        self.gW, self.gU, self.gb, self.gP, self.gc0 = cut(self.grad)
        self.gates = np.empty((T, B, 3 * H))
        self.c, self.tc, self.h = np.empty((T + 1, B, H)), np.empty((T, B, H)), np.empty((T, B, H))
        self.r = np.empty((T + 1, B, R))
        self.da = np.empty((T, B, 3 * H))
        self.dr, self.dh, self.dc, self.tmp = np.empty((B, R)), np.empty((B, H)), np.empty((B, H)), np.empty((B, H))
        self.err = np.empty((T, B, R))
        self.dx = np.empty((T, B, D))
        self.wide = np.empty((B, 3 * H))

    def forward(self, x, y):
        T, B, D, H, R = self.dims
        self.c[0] = self.c0
        self.r[0] = 0.0
        for t in range(T):
            a = self.gates[t]
            np.dot(x[t], self.W, out=a)
            a += np.dot(self.r[t], self.U, out=self.wide)
            a += self.b
            fo, g = a[:, :2 * H], a[:, 2 * H:]
            np.negative(fo, out=fo)
            np.exp(fo, out=fo)
            fo += 1.0
            np.reciprocal(fo, out=fo)
            np.tanh(g, out=g)
            f, o = fo[:, :H], fo[:, H:]
            # c = g + f * (c_old - g)
            np.subtract(self.c[t], g, out=self.tmp)
            self.tmp *= f
            np.add(g, self.tmp, out=self.c[t + 1])
            np.tanh(self.c[t + 1], out=self.tc[t])
            np.multiply(o, self.tc[t], out=self.h[t])
            np.dot(self.h[t], self.P, out=self.r[t + 1])
        np.subtract(self.r[1:], y, out=self.err)
        return 0.5 * np.vdot(self.err, self.err) / (T * B)

    def backward(self, x, y):
        T, B, D, H, R = self.dims
        self.forward(x, y)
        self.grad.fill(0.0)
        self.dr.fill(0.0)
        self.dc.fill(0.0)
        self.err *= 1.0 / (T * B)
        dr, dh, dc, tmp = self.dr, self.dh, self.dc, self.tmp
        for t in range(T - 1, -1, -1):
            f, o, g = self.gates[t, :, :H], self.gates[t, :, H:2 * H], self.gates[t, :, 2 * H:]
            da = self.da[t]
            dr += self.err[t]
            self.gP += np.dot(self.h[t].T, dr)
            np.dot(dr, self.P.T, out=dh)
            # output gate
            np.multiply(dh, self.tc[t], out=da[:, H:2 * H])
            da[:, H:2 * H] *= o * (1.0 - o)
            # cell
            np.multiply(self.tc[t], self.tc[t], out=tmp)
            np.subtract(1.0, tmp, out=tmp)
            tmp *= dh
            tmp *= o
            dc += tmp
            # forget gate, which is the input gate too
            np.subtract(self.c[t], g, out=tmp)
            tmp *= dc
            np.multiply(tmp, f * (1.0 - f), out=da[:, :H])
            # candidate
            np.multiply(dc, 1.0 - f, out=da[:, 2 * H:])
            da[:, 2 * H:] *= 1.0 - g * g
            self.gU += np.dot(self.r[t].T, da)
            np.dot(da, self.U.T, out=dr)
            dc *= f
        flat = self.da.reshape(T * B, 3 * H)
        np.dot(x.reshape(T * B, D).T, flat, out=self.gW)
        np.sum(flat, axis=0, out=self.gb)
        np.sum(dc, axis=0, out=self.gc0)
        np.dot(flat, self.W.T, out=self.dx.reshape(T * B, D))
        return {"theta": self.grad.copy(), "x": self.dx.copy()}


def make(Target, rng, T=4, B=2, D=3, H=4, R=3):
    k = Kernel(T, B, D, H, R)
    k.theta[:] = rng.normal(0.0, 0.7, k.theta.size)
    x, y = rng.normal(size=(T, B, D)), rng.normal(size=(T, B, R))
    return Target({"theta": k.theta, "x": x}, lambda: k.forward(x, y), lambda: k.backward(x, y))


BUGS = {
    "stale-accumulator": ("self.grad.fill(0.0)", "pass"),
    "error-overwrites-carry": ("dr += self.err[t]", "dr[:] = self.err[t]"),
    "cell-carry-not-gated": ("dc *= f", "pass"),
    "coupled-half-missing": ("np.subtract(self.c[t], g, out=tmp)", "np.copyto(tmp, self.c[t])"),
    "candidate-takes-forget": ("np.multiply(dc, 1.0 - f, out=da[:, 2 * H:])", "np.multiply(dc, f, out=da[:, 2 * H:])"),
    "new-projection-in-recurrent-weight": ("self.gU += np.dot(self.r[t].T, da)", "self.gU += np.dot(self.r[t + 1].T, da)"),
    "sigmoid-slope-of-wrong-slice": ("da[:, H:2 * H] *= o * (1.0 - o)", "da[:, H:2 * H] *= f * (1.0 - f)"),
    "bias-of-first-step-only": ("np.sum(flat, axis=0, out=self.gb)", "np.sum(self.da[0], axis=0, out=self.gb)"),
}

PAIRS = [
    ("new-projection-in-recurrent-weight", "coupled-half-missing"),
]
