"""Time-gated ("phased") LSTM, ported from C: a struct, flat buffers, explicit loops over samples and units.

    ct = f c + i u          c' = k ct + (1 - k) c
    ht = o tanh(ct)         h' = k ht + (1 - k) h       k = exp(KAPPA (cos(2 pi (stamp - shift) / tau) - 1)) per unit
Layout: w[row][D + H] with row = gate * H + unit; x[step][sample][D]; h, c[step][sample][H] (step 0 = initial state).
Samples have their own number of steps; steps beyond it are never touched.
"""
import math
import numpy as np

TWO_PI = 6.283185307179586
KAPPA = 0.8
GI, GF, GU, GO = 0, 1, 2, 3


class net_t:
    pass


def sigm(a):
    return 1.0 / (1.0 + math.exp(-a))


def net_new(rng, T, B, D, H, K):
    n = net_t()
    n.T, n.B, n.D, n.H, n.K = T, B, D, H, K
    n.P = {
        "w": 0.7 * rng.standard_normal(4 * H * (D + H)),
        "bias": 0.3 * rng.standard_normal(4 * H),
        "shift": rng.uniform(0.0, 1.0, H),
        "logtau": rng.uniform(0.6, 1.4, H),
        "v": rng.standard_normal(K * H),
        "vb": 0.3 * rng.standard_normal(K),
        "h0": 0.5 * rng.standard_normal(H),
        "c0": 0.5 * rng.standard_normal(H),
        "x": rng.standard_normal(T * B * D),
    }
    n.len = [max(1, T - b) for b in range(B)]
    n.count = sum(n.len)
    n.stamp = np.cumsum(rng.uniform(0.3, 1.2, (T, B)), axis=0).ravel()
    n.target = rng.standard_normal(T * B * K)
    n.h, n.c = np.zeros((T + 1) * B * H), np.zeros((T + 1) * B * H)
    n.ct, n.k, n.ang = np.zeros(T * B * H), np.zeros(T * B * H), np.zeros(T * B * H)
    n.gate = np.zeros(T * B * 4 * H)
    n.y = np.zeros(T * B * K)
    return n


def net_forward(n):
    P, B, D, H, K = n.P, n.B, n.D, n.H, n.K
    Z = D + H
    loss = 0.0
    for b in range(B):
        for j in range(H):
            n.h[b * H + j] = P["h0"][j]
            n.c[b * H + j] = P["c0"][j]
        for t in range(n.len[b]):
            s = t * B + b
            e = s + B
            for r in range(4 * H):
                a = P["bias"][r]
                for d in range(D):
                    a += P["w"][r * Z + d] * P["x"][s * D + d]
                for m in range(H):
                    a += P["w"][r * Z + D + m] * n.h[s * H + m]
                n.gate[s * 4 * H + r] = math.tanh(a) if r // H == GU else sigm(a)
            for j in range(H):
                q = s * 4 * H + j
                n.ang[s * H + j] = TWO_PI * (n.stamp[s] - P["shift"][j]) / math.exp(P["logtau"][j])
                n.k[s * H + j] = k = math.exp(KAPPA * (math.cos(n.ang[s * H + j]) - 1.0))
                n.ct[s * H + j] = ct = n.gate[q + GF * H] * n.c[s * H + j] + n.gate[q + GI * H] * n.gate[q + GU * H]
                n.c[e * H + j] = k * ct + (1.0 - k) * n.c[s * H + j]
                n.h[e * H + j] = k * n.gate[q + GO * H] * math.tanh(ct) + (1.0 - k) * n.h[s * H + j]
            for o in range(K):
                n.y[s * K + o] = P["vb"][o]
                for j in range(H):
                    n.y[s * K + o] += P["v"][o * H + j] * n.h[e * H + j]
                loss += 0.5 * (n.y[s * K + o] - n.target[s * K + o]) ** 2
    return loss / n.count


def net_backward(n):
    net_forward(n)
    P, B, D, H, K = n.P, n.B, n.D, n.H, n.K
    Z = D + H
    G = {name: np.zeros(buf.size) for name, buf in P.items()}
    da = [0.0] * (4 * H)
    for b in range(B):
        dh, dc = [0.0] * H, [0.0] * H
        for t in range(n.len[b] - 1, -1, -1):
            s = t * B + b
            e = s + B
            for o in range(K):
                err = (n.y[s * K + o] - n.target[s * K + o]) / n.count
                G["vb"][o] += err
                for j in range(H):
                    G["v"][o * H + j] += err * n.h[e * H + j]
                    dh[j] += err * P["v"][o * H + j]
            ndh, ndc = [0.0] * H, [0.0] * H
            for j in range(H):
                q = s * 4 * H + j
                gi, gf, gu, go = n.gate[q], n.gate[q + H], n.gate[q + 2 * H], n.gate[q + 3 * H]
                k, ct, cp, hp = n.k[s * H + j], n.ct[s * H + j], n.c[s * H + j], n.h[s * H + j]
                th = math.tanh(ct)
                dk = dh[j] * (go * th - hp) + dc[j] * (ct - cp)
                dht = dh[j] * k
                dct = dc[j] * k + dht * go * (1.0 - th * th)
                ndh[j] += dh[j] * (1.0 - k)
                ndc[j] += dc[j] * (1.0 - k) + dct * gf
                da[GI * H + j] = dct * gu * gi * (1.0 - gi)
                da[GF * H + j] = dct * cp * gf * (1.0 - gf)
                da[GU * H + j] = dct * gi * (1.0 - gu * gu)
                da[GO * H + j] = dht * th * go * (1.0 - go)
                dang = -KAPPA * math.sin(n.ang[s * H + j]) * k * dk
                G["shift"][j] -= dang * TWO_PI / math.exp(P["logtau"][j])
                G["logtau"][j] -= dang * n.ang[s * H + j]
            for r in range(4 * H):
                G["bias"][r] += da[r]
                for d in range(D):
                    G["w"][r * Z + d] += da[r] * P["x"][s * D + d]
                    G["x"][s * D + d] += da[r] * P["w"][r * Z + d]
                for m in range(H):
                    G["w"][r * Z + D + m] += da[r] * n.h[s * H + m]
                    ndh[m] += da[r] * P["w"][r * Z + D + m]
            dh, dc = ndh, ndc
        for j in range(H):
            G["h0"][j] += dh[j]
            G["c0"][j] += dc[j]
    return G


def make(Target, rng, T=4, B=2, D=2, H=3, K=2):
    n = net_new(rng, T, B, D, H, K)
    return Target(n.P, lambda: net_forward(n), lambda: net_backward(n))


BUGS = {
    "closed-gate-path-of-cell": ("ndc[j] += dc[j] * (1.0 - k) + dct * gf", "ndc[j] += dct * gf"),
    "time-gate-of-hidden-only": ("dk = dh[j] * (go * th - hp) + dc[j] * (ct - cp)", "dk = dh[j] * (go * th - hp)"),
    "recurrent-weights-see-new-state": ('G["w"][r * Z + D + m] += da[r] * n.h[s * H + m]', 'G["w"][r * Z + D + m] += da[r] * n.h[e * H + m]'),
    "initial-state-of-last-sample-only": ('G["h0"][j] += dh[j]', 'G["h0"][j] = dh[j]'),
    "sigmoid-slope-for-tanh-gate": ("da[GU * H + j] = dct * gi * (1.0 - gu * gu)", "da[GU * H + j] = dct * gi * gu * (1.0 - gu)"),
    "readout-stride": ('dh[j] += err * P["v"][o * H + j]', 'dh[j] += err * P["v"][j * K + o]'),
    "log-period-chain": ('G["logtau"][j] -= dang * n.ang[s * H + j]', 'G["logtau"][j] -= dang * n.ang[s * H + j] / math.exp(P["logtau"][j])'),
    "padded-steps-walked": ("for t in range(n.len[b] - 1, -1, -1):", "for t in range(n.T - 1, -1, -1):"),
}

PAIRS = [("closed-gate-path-of-cell", "log-period-chain"), ("readout-stride", "sigmoid-slope-for-tanh-gate"),
         ("initial-state-of-last-sample-only", "time-gate-of-hidden-only")]
