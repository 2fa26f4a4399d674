# Second-order recurrent net (Giles et al. 1992) learning a small language from windows.
#
#   s_i(t+1) = g( b_i + sum_jk  W_ijk s_j(t) I_k(t) )         I = one-hot symbol
#   accept   = g( c + sum_i v_i s_i(T) )                      log loss at the end of a window
#   guess_k  = d_k + sum_i U_ik s_i(t)                        aux: next symbol, squared error
#
# Every window starts from a state remembered from an older pass over the string (it is data,
# no gradient), i.e. truncated learning.  No vector notation on purpose: I wanted every index.
import math
import numpy as np

NS = 4        # state units
NK = 2        # symbols
AUX = 0.3     # weight of the auxiliary guess
DECAY = 0.02  # weight decay on W


def g(a):
    return 1.0 / (1.0 + math.exp(-a))


def run_window(p, s0, symbols):
    W, b = p["W"], p["b"]
    s = [[float(q) for q in s0]]
    for k in symbols:
        new = []
        for i in range(NS):
            a = b[i]
            for j in range(NS):
                a += W[i, j, k] * s[-1][j]
            new.append(g(a))
        s.append(new)
    return s


def accept(p, s_end):
    a = p["c"][0]
    for i in range(NS):
        a += p["v"][i] * s_end[i]
    return g(a)


def guess(p, state):
    out = []
    for k in range(NK):
        a = p["d"][k]
        for i in range(NS):
            a += p["U"][i, k] * state[i]
        out.append(a)
    return out


def energy(p, windows):
    E = 0.0
    for s0, symbols, label in windows:
        s = run_window(p, s0, symbols)
        y = accept(p, s[-1])
        E -= label * math.log(y) + (1 - label) * math.log(1 - y)
        for t in range(len(symbols)):
            q = guess(p, s[t])
            for k in range(NK):
                want = 1.0 if symbols[t] == k else 0.0
                E += 0.5 * AUX * (q[k] - want) ** 2
    for i in range(NS):
        for j in range(NS):
            for k in range(NK):
                E += 0.5 * DECAY * p["W"][i, j, k] ** 2
    return E


def energy_gradient(p, windows):
    W, U = p["W"], p["U"]
    D = {}
    for name in p:
        D[name] = np.zeros(p[name].shape)

    for s0, symbols, label in windows:
        s = run_window(p, s0, symbols)
        T = len(symbols)

        # dE/ds at the end of the window, from the decision
        err = accept(p, s[T]) - label
        D["c"][0] += err
        ds = [0.0] * NS
        for i in range(NS):
            D["v"][i] += err * s[T][i]
            ds[i] += err * p["v"][i]

        for t in range(T - 1, -1, -1):
            delta = [ds[i] * s[t + 1][i] * (1 - s[t + 1][i]) for i in range(NS)]

            # the transition s(t) -> s(t+1)
            k = symbols[t]
            for i in range(NS):
                for j in range(NS):
                    D["b"][i] += delta[i]
                    D["W"][i, j, k] += delta[i] * s[t][j]
                    ds[j] += W[i, j, k] * delta[i]

            # the guess made from s(t)
            q = guess(p, s[t])
            for kk in range(NK):
                want = 1.0 if kk == k else 0.0
                e = q[kk] - want
                D["d"][kk] += e
                for i in range(NS):
                    D["U"][i, kk] += e * s[t][i]
                    ds[i] += e * U[i, kk]

    for i in range(NS):
        for j in range(NS):
            for k in range(NK):
                D["W"][i, j, k] += DECAY * W[i, j, k]
    return D


def make(rng):
    p = {"W": rng.normal(0, 1.5, (NS, NS, NK)), "b": rng.normal(0, 0.5, NS),
         "v": rng.normal(0, 1.5, NS), "c": rng.normal(0, 0.5, 1),
         "U": rng.normal(0, 1.0, (NS, NK)), "d": rng.normal(0, 0.5, NK)}
    string = [int(q) for q in rng.integers(0, NK, 11)]
    windows = []
    for begin, end in ((0, 4), (4, 7), (7, 11)):
        remembered = rng.uniform(0.1, 0.9, NS)
        ones = sum(string[begin:end])
        windows.append((remembered, string[begin:end], ones % 2))

    def loss():
        return float(energy(p, windows))

    def grads():
        return energy_gradient(p, windows)

    return p, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('weight of the auxiliary loss missing', [104], [('e = q[kk] - want', 'e = AUX * (q[kk] - want)')]),
 ('bias gradient one loop too deep',
  [95, 96],
  [('                for j in range(NS):\n                    D["b"][i] += delta[i]\n                    D[',
    '                D["b"][i] += delta[i]\n                for j in range(NS):\n                    D[')]),
 ('ds of the later step not cleared',
  [90, 92, 93, 98],
  [('for i in range(NS)]\n\n            # the transition',
    'for i in range(NS)]\n            ds = [0.0] * NS\n\n            # the transition')])]
