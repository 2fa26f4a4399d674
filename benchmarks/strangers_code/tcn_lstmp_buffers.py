"""Event-count forecaster: causal dilated gated convolutions, then a peephole LSTM with
recurrent projection (LSTMP, Sak et al. 2014).  Poisson likelihood, log link.

All activations live in arrays of shape (time, features, batch) allocated once; the
inner loops write with out=.  Only numpy temporaries of one column block are created.
"""
import numpy as np


def logisticInPlace(a):
    np.negative(a, out=a)
    np.exp(a, out=a)
    a += 1.0
    np.divide(1.0, a, out=a)


class TcnLstmp(object):

    def __init__(self, rng, nIn, nCh, nCell, nProj, nOut, nConv, width, T, B):
        self.nCh, self.nCell, self.nConv, self.width, self.T, self.B = nCh, nCell, nConv, width, T, B
        g = lambda *shape: rng.standard_normal(shape)
        p = self.params = {}
        p["Win"] = g(nCh, nIn)
        for l in range(nConv):
            p["K%d" % l] = 0.8 * g(width, 2 * nCh, nCh)     # tap, (filter; gate), channel
            p["kb%d" % l] = 0.3 * g(2 * nCh, 1)
        p["Wx"], p["Wr"], p["b"] = 0.6 * g(4 * nCell, nCh), 0.8 * g(4 * nCell, nProj), 0.3 * g(4 * nCell, 1)
        p["peepI"], p["peepF"], p["peepO"] = (0.7 * g(nCell, 1) for _ in range(3))
        p["Proj"] = g(nProj, nCell)
        p["Wy"], p["by"] = 0.6 * g(nOut, nProj), 0.3 * g(nOut, 1)
        # buffers.  row 0 of cell/rec is the zero initial state
        self.chan = np.zeros((nConv + 1, T, nCh, B))
        self.filt = np.zeros((nConv, T, nCh, B))
        self.gate = np.zeros((nConv, T, nCh, B))
        self.acts = np.zeros((T, 4 * nCell, B))             # i f g o
        self.cell = np.zeros((T + 1, nCell, B))
        self.tanhCell = np.zeros((T, nCell, B))
        self.mem = np.zeros((T, nCell, B))
        self.rec = np.zeros((T + 1, nProj, B))
        self.eta = np.zeros((T, nOut, B))
        self.dActs = np.zeros((4 * nCell, B))
        self.dCell = np.zeros((nCell, B))
        self.dMem = np.zeros((nCell, B))
        self.dRec = np.zeros((nProj, B))
        self.dEta = np.zeros((nOut, B))
        self.dConv = np.zeros((2 * nCh, B))
        self.dTop = np.zeros((T, nCh, B))
        self.tmpC = np.zeros((nCell, B))

    def slots(self, a):
        n = self.nCell
        return a[:n], a[n:2 * n], a[2 * n:3 * n], a[3 * n:]

    def forward(self, u):
        p, nCh = self.params, self.nCh
        for t in range(self.T):
            np.dot(p["Win"], u[t], out=self.chan[0, t])
        for l in range(self.nConv):
            for t in range(self.T):
                pre = np.repeat(p["kb%d" % l], self.B, axis=1)
                for k in range(self.width):
                    if t - k * 2 ** l >= 0:
                        pre += np.dot(p["K%d" % l][k], self.chan[l, t - k * 2 ** l])
                np.tanh(pre[:nCh], out=self.filt[l, t])
                logisticInPlace(pre[nCh:])
                self.gate[l, t] = pre[nCh:]
                np.multiply(self.filt[l, t], self.gate[l, t], out=self.chan[l + 1, t])
                self.chan[l + 1, t] += self.chan[l, t]
        for t in range(self.T):
            a = self.acts[t]
            np.dot(p["Wx"], self.chan[-1, t], out=a)
            a += np.dot(p["Wr"], self.rec[t])
            a += p["b"]
            i, f, g, o = self.slots(a)
            i += p["peepI"] * self.cell[t]
            f += p["peepF"] * self.cell[t]
            logisticInPlace(i)
            logisticInPlace(f)
            np.tanh(g, out=g)
            np.multiply(f, self.cell[t], out=self.cell[t + 1])
            self.cell[t + 1] += i * g
            o += p["peepO"] * self.cell[t + 1]
            logisticInPlace(o)
            np.tanh(self.cell[t + 1], out=self.tanhCell[t])
            np.multiply(o, self.tanhCell[t], out=self.mem[t])
            np.dot(p["Proj"], self.mem[t], out=self.rec[t + 1])
            np.dot(p["Wy"], self.rec[t + 1], out=self.eta[t])
            self.eta[t] += p["by"]
        return self.eta

    def nll(self, u, counts):
        eta = self.forward(u)
        return float(np.sum(np.exp(eta) - counts * eta) / (self.T * self.B))

    def backward(self, u, counts):
        p, nCh, tmpC = self.params, self.nCh, self.tmpC
        G = {name: np.zeros_like(w) for name, w in p.items()}
        dActs, dCell, dMem, dRec, dEta, dConv = self.dActs, self.dCell, self.dMem, self.dRec, self.dEta, self.dConv
        dCell.fill(0.0)
        dRec.fill(0.0)
        for t in reversed(range(self.T)):
            i, f, g, o = self.slots(self.acts[t])
            dI, dF, dG, dO = self.slots(dActs)
            np.exp(self.eta[t], out=dEta)
            dEta -= counts[t]
            dEta /= self.T * self.B
            G["Wy"] += np.dot(dEta, self.rec[t + 1].T)
            G["by"] += dEta.sum(axis=1, keepdims=True)
            dRec += np.dot(p["Wy"].T, dEta)
            G["Proj"] += np.dot(dRec, self.mem[t].T)
            np.dot(p["Proj"].T, dRec, out=dMem)

            np.multiply(dMem, self.tanhCell[t], out=dO)
            dO *= o * (1 - o)
            np.multiply(dMem, o, out=tmpC)
            tmpC *= 1 - self.tanhCell[t] ** 2
            dCell += tmpC
            dCell += p["peepO"] * dO
            np.multiply(dCell, g, out=dI)
            dI *= i * (1 - i)
            np.multiply(dCell, self.cell[t], out=dF)
            dF *= f * (1 - f)
            np.multiply(dCell, i, out=dG)
            dG *= 1 - g * g
            G["peepI"] += np.sum(dI * self.cell[t], axis=1, keepdims=True)
            G["peepF"] += np.sum(dF * self.cell[t], axis=1, keepdims=True)
            G["peepO"] += np.sum(dO * self.cell[t + 1], axis=1, keepdims=True)
            G["Wx"] += np.dot(dActs, self.chan[-1, t].T)
            G["Wr"] += np.dot(dActs, self.rec[t].T)
            G["b"] += dActs.sum(axis=1, keepdims=True)
            # to the past, and to the convolutions
            dCell *= f
            dCell += p["peepI"] * dI + p["peepF"] * dF
            np.dot(p["Wr"].T, dActs, out=dRec)
            np.dot(p["Wx"].T, dActs, out=self.dTop[t])

        above = self.dTop
        for l in reversed(range(self.nConv)):
            K, hop = p["K%d" % l], 2 ** l
            below = above.copy()                            # residual
            for t in reversed(range(self.T)):
                F, S = self.filt[l, t], self.gate[l, t]
                np.multiply(above[t], S, out=dConv[:nCh])
                dConv[:nCh] *= 1 - F * F
                np.multiply(above[t], F, out=dConv[nCh:])
                dConv[nCh:] *= S * (1 - S)
                G["kb%d" % l] += dConv.sum(axis=1, keepdims=True)
                for k in range(self.width):
                    s = t - k * hop
                    if s >= 0:
                        G["K%d" % l][k] += np.dot(dConv, self.chan[l, s].T)
                        below[s] += np.dot(K[k].T, dConv)
            above = below
        for t in range(self.T):
            G["Win"] += np.dot(above[t], u[t].T)
        return G


def make(Target, rng, nIn=2, nCh=3, nCell=4, nProj=3, nOut=2, nConv=2, width=2, T=6, B=2):
    net = TcnLstmp(rng, nIn, nCh, nCell, nProj, nOut, nConv, width, T, B)
    u = rng.standard_normal((T, nIn, B))
    counts = rng.poisson(1.5, size=(T, nOut, B)).astype(float)

    def loss():
        return net.nll(u, counts)

    def grads():
        net.forward(u)
        return net.backward(u, counts)

    return Target(net.params, loss, grads)


BUGS = {
    "projection-from-tanh-cell": ("G[\"Proj\"] += np.dot(dRec, self.mem[t].T)", "G[\"Proj\"] += np.dot(dRec, self.tanhCell[t].T)"),
    "output-peephole-not-into-cell": ("dCell += p[\"peepO\"] * dO", "dCell += 0.0"),
    "output-peephole-at-old-cell": ("np.sum(dO * self.cell[t + 1], axis=1, keepdims=True)", "np.sum(dO * self.cell[t], axis=1, keepdims=True)"),
    "bias-mean-over-batch": ("G[\"b\"] += dActs.sum(axis=1, keepdims=True)", "G[\"b\"] += dActs.mean(axis=1, keepdims=True)"),
    "projected-carry-overlooks-o": ("np.dot(p[\"Wr\"].T, dActs, out=dRec)", "np.dot(p[\"Wr\"][:3 * self.nCell].T, dActs[:3 * self.nCell], out=dRec)"),
    "residual-copy-aliased": ("below = above.copy()", "below = above"),
    "conv-filter-times-filter": ("np.multiply(above[t], S, out=dConv[:nCh])", "np.multiply(above[t], F, out=dConv[:nCh])"),
    "dilation-forgotten": ("s = t - k * hop", "s = t - k"),
}
PAIRS = [
    ("output-peephole-not-into-cell", "bias-mean-over-batch"),
    ("projected-carry-overlooks-o", "projection-from-tanh-cell"),
    ("conv-filter-times-filter", "dilation-forgotten"),
    ("residual-copy-aliased", "conv-filter-times-filter"),
    ("output-peephole-at-old-cell", "output-peephole-not-into-cell"),
    ("projected-carry-overlooks-o", "dilation-forgotten"),
]
