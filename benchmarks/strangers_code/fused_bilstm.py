# Fused bidirectional LSTM tagger.  No allocation inside the time loops: every buffer lives in the
# object, gates are one (B, 4H) block in the order i f o g (so the sigmoids are contiguous), all
# parameters are views of one flat vector.  Step s of direction d works on time self.order[d][s].
import numpy as np


def layout(T, B, F, H, C):
    return (("W", (2, F + H, 4 * H)), ("b", (2, 4 * H)), ("h0", (2, H)), ("c0", (2, H)),
            ("Wo", (2 * H, C)), ("bo", (C,)))


def views(flat, spec):
    out, pos = {}, 0
    for name, shape in spec:
        n = int(np.prod(shape))
        out[name] = flat[pos:pos + n].reshape(shape)
        pos += n
    return out


def nparams(spec):
    return sum(int(np.prod(s)) for _, s in spec)


class BiLSTM:
    def __init__(self, T, B, F, H, C):
        self.dims = T, B, F, H, C
        self.spec = layout(*self.dims)
        self.order = (range(T), range(T - 1, -1, -1))
        e = np.empty
        self.z, self.a = e((2, T, B, F + H)), e((2, T, B, 4 * H))      # inputs, activated gates
        self.h, self.c = e((2, T + 1, B, H)), e((2, T + 1, B, H))      # [d, 0] is the start
        self.tc, self.Y = e((2, T, B, H)), e((T, B, 2 * H))
        self.P, self.dY = e((T, B, C)), e((T, B, 2 * H))
        self.da, self.tmp, self.dhn, self.dcn = e((B, 4 * H)), e((B, H)), e((B, H)), e((B, H))
        self.wW = e((F + H, 4 * H))
        self.tt, self.bb = np.arange(T)[:, None], np.arange(B)[None, :]

    def forward(self, p, x, y, mask):
        T, B, F, H, C = self.dims
        tmp = self.tmp
        for d in (0, 1):
            self.h[d, 0], self.c[d, 0] = p["h0"][d], p["c0"][d]
            for s, t in enumerate(self.order[d]):
                z, a, tc, m = self.z[d, s], self.a[d, s], self.tc[d, s], mask[t]
                h, hn, c, cn = self.h[d, s], self.h[d, s + 1], self.c[d, s], self.c[d, s + 1]
                z[:, :F] = x[t]
                z[:, F:] = h
                np.matmul(z, p["W"][d], out=a)
                a += p["b"][d]
                sg = a[:, :3 * H]
                np.negative(sg, out=sg)
                np.exp(sg, out=sg)
                sg += 1.0
                np.reciprocal(sg, out=sg)
                np.tanh(a[:, 3 * H:], out=a[:, 3 * H:])
                np.multiply(a[:, H:2 * H], c, out=cn)
                np.multiply(a[:, :H], a[:, 3 * H:], out=tmp)
                cn += tmp
                np.tanh(cn, out=tc)
                np.multiply(a[:, 2 * H:3 * H], tc, out=hn)
                for new, old in ((hn, h), (cn, c)):      # padded: hold the old state
                    new -= old
                    new *= m
                    new += old
                self.Y[t, :, d * H:(d + 1) * H] = hn
        P = np.matmul(self.Y, p["Wo"], out=self.P)
        P += p["bo"]
        P -= P.max(-1, keepdims=True)
        np.exp(P, out=P)
        P /= P.sum(-1, keepdims=True)
        return -(mask[..., 0] * np.log(P[self.tt, self.bb, y])).sum() / mask.sum()

    def backward(self, p, x, y, mask):
        """Call after forward(); consumes self.P.  Returns a fresh flat gradient."""
        T, B, F, H, C = self.dims
        flat = np.zeros(nparams(self.spec))
        gr = views(flat, self.spec)
        da, tmp, dhn, dcn = self.da, self.tmp, self.dhn, self.dcn
        da_s, da_g = da[:, :3 * H], da[:, 3 * H:]
        dl = self.P
        dl[self.tt, self.bb, y] -= 1.0
        dl *= mask
        dl /= mask.sum()
        np.matmul(self.Y.reshape(T * B, 2 * H).T, dl.reshape(T * B, C), out=gr["Wo"])
        np.sum(dl, axis=(0, 1), out=gr["bo"])
        np.matmul(dl, p["Wo"].T, out=self.dY)
        carry = np.zeros((2, B, H))
        dh, dc = carry
        for d in (0, 1):
            carry[...] = 0.0
            Wh = p["W"][d, F:]
            for s in range(T - 1, -1, -1):
                t = self.order[d][s]
                a, tc, m = self.a[d, s], self.tc[d, s], mask[t]
                i, f, o, g = (a[:, k * H:(k + 1) * H] for k in range(4))
                dh += self.dY[t, :, d * H:(d + 1) * H]
                np.multiply(dh, m, out=dhn)
                np.multiply(dc, m, out=dcn)
                dh -= dhn                                # the held share stays in dh / dc
                dc -= dcn
                np.multiply(tc, tc, out=tmp)
                np.subtract(1.0, tmp, out=tmp)
                tmp *= o
                tmp *= dhn
                dcn += tmp
                np.multiply(dcn, g, out=da[:, :H])
                np.multiply(dcn, self.c[d, s], out=da[:, H:2 * H])
                np.multiply(dhn, tc, out=da[:, 2 * H:3 * H])
                np.multiply(dcn, i, out=da_g)
                dcn *= f
                dc += dcn
                da_s *= a[:, :3 * H]
                da_s *= 1.0 - a[:, :3 * H]
                da_g *= 1.0 - g * g
                gr["W"][d] += np.matmul(self.z[d, s].T, da, out=self.wW)
                gr["b"][d] += da.sum(0)
                dh += np.matmul(da, Wh.T, out=tmp)
            np.sum(dh, axis=0, out=gr["h0"][d])
            np.sum(dc, axis=0, out=gr["c0"][d])
        return flat


def make(Target, rng, T=5, B=3, F=2, H=3, C=3):
    net = BiLSTM(T, B, F, H, C)
    params = views(rng.standard_normal(nparams(net.spec)) * 0.8, net.spec)
    x, y = rng.standard_normal((T, B, F)), rng.integers(0, C, (T, B))
    length = rng.integers(max(1, T - 2), T + 1, B)
    length[0], length[-1] = T, max(1, T - 2)
    mask = (np.arange(T)[:, None] < length).astype(float)[..., None]

    def loss():
        return float(net.forward(params, x, y, mask))

    def grads():
        net.forward(params, x, y, mask)
        return views(net.backward(params, x, y, mask), net.spec)

    return Target(params, loss, grads)


BUGS = {
    "held-hidden-share-dropped": ("dh -= dhn  ", "dh[:] = 0.0  "),
    "gates-unpacked-f-before-i": ("i, f, o, g = (a[:,", "f, i, o, g = (a[:,"),
    "recurrent-rows-from-the-top": ("Wh = p[\"W\"][d, F:]", "Wh = p[\"W\"][d, :H]"),
    "forget-gate-with-new-cell": ("np.multiply(dcn, self.c[d, s], out=", "np.multiply(dcn, self.c[d, s + 1], out="),
    "output-gradient-by-step-not-time": ("dh += self.dY[t, :,", "dh += self.dY[s, :,"),
    "cell-carry-left-from-first-direction": ("carry[...] = 0.0", "carry[0] = 0.0"),
    "weights-written-over-each-step": ("gr[\"W\"][d] += np.matmul(self.z[d, s].T, da, out=self.wW)", "np.matmul(self.z[d, s].T, da, out=gr[\"W\"][d])"),
    "mean-over-padding-too": ("dl /= mask.sum()", "dl /= mask.size"),
}
PAIRS = [
    ("held-hidden-share-dropped", "mean-over-padding-too"),
    ("gates-unpacked-f-before-i", "recurrent-rows-from-the-top"),
    ("forget-gate-with-new-cell", "output-gradient-by-step-not-time"),
    ("cell-carry-left-from-first-direction", "weights-written-over-each-step"),
    ("recurrent-rows-from-the-top", "cell-carry-left-from-first-direction"),
    ("held-hidden-share-dropped", "gates-unpacked-f-before-i"),
]
