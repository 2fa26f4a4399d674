# -*- coding: utf-8 -*-
# wenben fenlei (text classification): peephole LSTM, ported from my old MATLAB code.
# MATLAB habits kept: columns are samples, one flat vector `theta`, column-major reshape, while loops.
#
#   gates stacked i,f,g,o:  a = W [x; h] + b ;  i,f peep at the old cell, o peeps at the new cell
#   a sentence that is over keeps its h and c.   features = [h_end ; mean of h over the sentence]
import numpy as np


class PeiZhi:
    """config; filled by make()"""
    cidian = 0      # vocabulary
    weidu = 0       # embedding size
    yincang = 0     # hidden units
    leibie = 0      # classes
    lam = 0.02      # weight decay, only on W

    def xingzhuang(self):
        d, H = self.weidu, self.yincang
        return [("E", (d, self.cidian)), ("W", (4 * H, d + H)), ("b", (4 * H, 1)), ("peep", (H, 3)), ("V", (self.leibie, 2 * H)), ("q", (self.leibie, 1))]


def jiebao(theta, cfg):  # unpack
    chu, k = {}, 0
    for ming, xz in cfg.xingzhuang():
        n = xz[0] * xz[1]
        chu[ming] = theta[k:k + n].reshape(xz, order="F")
        k += n
    return chu


def dabao(tidu, cfg):  # pack
    return np.concatenate([tidu[ming].ravel(order="F") for ming, _ in cfg.xingzhuang()])


def jian_moxing(theta, cfg, juzi, changdu, biaoqian):
    """juzi (T,B) word ids, changdu (B,) lengths, biaoqian (B,) labels. Returns the two functions (daijia, qiu_tidu)."""
    T, B = juzi.shape
    H, d = cfg.yincang, cfg.weidu
    yanma = (np.arange(T)[:, None] < changdu[None, :]).astype(float)  # mask
    sig = lambda v: 1.0 / (1.0 + np.exp(-v))

    def qianxiang():  # forward
        w = jiebao(theta, cfg)
        pi, pf, po = w["peep"][:, 0:1], w["peep"][:, 1:2], w["peep"][:, 2:3]
        h, c, pingjun = np.zeros((H, B)), np.zeros((H, B)), np.zeros((H, B))
        jilu = []
        t = 0
        while t < T:
            m = yanma[t][None, :]
            xh = np.concatenate((w["E"][:, juzi[t]], h))
            a = w["W"].dot(xh) + w["b"]
            men = np.empty((4 * H, B))  # gates
            men[0:H] = sig(a[0:H] + pi * c)
            men[H:2 * H] = sig(a[H:2 * H] + pf * c)
            np.tanh(a[2 * H:3 * H], out=men[2 * H:3 * H])
            xin_c = men[H:2 * H] * c + men[0:H] * men[2 * H:3 * H]
            men[3 * H:] = sig(a[3 * H:] + po * xin_c)
            tc = np.tanh(xin_c)
            jilu.append((xh, men, c, xin_c, tc))
            h = m * men[3 * H:] * tc + (1 - m) * h
            c = m * xin_c + (1 - m) * c
            pingjun += m * h / changdu
            t += 1
        tez = np.concatenate((h, pingjun))
        fen = w["V"].dot(tez) + w["q"]
        fen = fen - fen.max(axis=0)
        gailv = np.exp(fen) / np.exp(fen).sum(axis=0)
        return w, jilu, tez, gailv

    def daijia():  # cost
        w, _, _, gailv = qianxiang()
        return float(-np.log(gailv[biaoqian, np.arange(B)]).sum() / B + 0.5 * cfg.lam * (w["W"] ** 2).sum())

    def qiu_tidu():  # gradient
        w, jilu, tez, gailv = qianxiang()
        td = {ming: np.zeros(xz) for ming, xz in cfg.xingzhuang()}
        pi, pf, po = np.split(w["peep"], 3, axis=1)
        # classifier
        dfen = gailv / B
        dfen[biaoqian, np.arange(B)] -= 1.0 / B
        k = 0
        while k < B:
            td["V"] += np.outer(dfen[:, k], tez[:, k])
            k += 1
        td["q"] += dfen.sum(axis=1, keepdims=True)
        dtez = w["V"].T.dot(dfen)
        dh, dc = dtez[:H].copy(), np.zeros((H, B))
        dpj = dtez[H:] / changdu
        da = np.empty((4 * H, B))
        t = T - 1
        while t >= 0:
            m = yanma[t]
            xh, men, c_jiu, c_xin, tc = jilu[t]
            i, f, g, o = [men[s * H:(s + 1) * H] for s in range(4)]
            dh += m * dpj
            dhm = m * dh
            dcm = m * dc
            # output gate first, its peephole feeds the cell
            np.multiply(dhm * tc, o * (1 - o), out=da[3 * H:])
            dcm += dhm * o * (1 - tc * tc)
            dcm += po * da[3 * H:]
            np.multiply(dcm * g, i * (1 - i), out=da[:H])
            np.multiply(dcm * c_jiu, f * (1 - f), out=da[H:2 * H])
            np.multiply(dcm * i, 1 - g * g, out=da[2 * H:3 * H])
            td["W"] += da.dot(xh.T)
            td["b"] += da.sum(axis=1, keepdims=True)
            td["peep"][:, 0] += (da[:H] * c_jiu).sum(axis=1)
            td["peep"][:, 1] += (da[H:2 * H] * c_jiu).sum(axis=1)
            td["peep"][:, 2] += (da[3 * H:] * c_xin).sum(axis=1)
            dxh = w["W"].T.dot(da)
            np.add.at(td["E"].T, juzi[t], dxh[:d].T)
            # to the step before: through the cell, or kept when the sentence is over
            dh = dxh[d:] + (1 - m) * dh
            dc = dcm * f + (1 - m) * dc
            dc += pi * da[:H] + pf * da[H:2 * H]
            t -= 1
        td["W"] += cfg.lam * w["W"]
        return {"theta": dabao(td, cfg)}

    return daijia, qiu_tidu


def make(Target, rng, T=5, B=3, V=5, D=2, H=3, K=3):
    cfg = PeiZhi()
    cfg.cidian, cfg.weidu, cfg.yincang, cfg.leibie = V, D, H, K
    theta = 0.7 * rng.standard_normal(sum(a * b for _, (a, b) in cfg.xingzhuang()))
    juzi = rng.integers(1, V, (T, B))
    juzi[0] = 0  # kaishi (start symbol)
    changdu = np.maximum(1, T - np.arange(B) % 3)
    daijia, qiu_tidu = jian_moxing(theta, cfg, juzi, changdu, rng.integers(0, K, B))
    return Target({"theta": theta}, daijia, qiu_tidu)


BUGS = {
    "repeated-words-counted-once": ('np.add.at(td["E"].T, juzi[t], dxh[:d].T)', 'td["E"].T[juzi[t]] += dxh[:d].T'),
    "output-peephole-with-the-old-cell": ('td["peep"][:, 2] += (da[3 * H:] * c_xin).sum(axis=1)', 'td["peep"][:, 2] += (da[3 * H:] * c_jiu).sum(axis=1)'),
    "output-peephole-path-left-out": ("            dcm += po * da[3 * H:]", "            pass"),
    "finished-sentence-forgets-its-cotangent": ("dh = dxh[d:] + (1 - m) * dh", "dh = dxh[d:]"),
    "mean-over-all-steps": ("dpj = dtez[H:] / changdu", "dpj = dtez[H:] / T"),
    "packed-row-major": ('tidu[ming].ravel(order="F")', "tidu[ming].ravel()"),
    "first-step-skipped": ("        while t >= 0:", "        while t > 0:"),
    "gate-slices-interchanged": ("i, f, g, o = [men[s * H:(s + 1) * H] for s in range(4)]", "f, i, g, o = [men[s * H:(s + 1) * H] for s in range(4)]"),
}

PAIRS = [("repeated-words-counted-once", "output-peephole-path-left-out"), ("output-peephole-with-the-old-cell", "finished-sentence-forgets-its-cotangent"),
         ("mean-over-all-steps", "first-step-skipped")]
