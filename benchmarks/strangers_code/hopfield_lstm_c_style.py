# Port of my old lstm.c, line by line: all parameters in one flat array, offsets instead of matrices, loops over scalars.
# LSTM with peepholes (Gers & Schmidhuber: i and f look at c[t-1], o looks at c[t]), on top a Hopfield style lookup:
#     s_k = beta * <h, M_k>,   p = softmax(s),   y = sum_k p_k V_k,     0.5 * (y - target)^2
# L2 penalty on the matrices (W, R, M, V), not on peepholes, biases or beta.
import math
import numpy as np

I, F, O, G = 0, 1, 2, 3          # gate order


def offsets(nin, nh, nk):
    o = {}
    n = 0
    o["W"] = n; n += 4 * nh * nin       # W[g][j][i]
    o["R"] = n; n += 4 * nh * nh        # R[g][j][l]
    o["M"] = n; n += nk * nh            # M[k][j]
    o["V"] = n; n += nk                 # V[k]
    o["l2end"] = n                      # everything before is penalised
    o["P"] = n; n += 3 * nh             # peepholes i, f, o
    o["b"] = n; n += 4 * nh
    o["beta"] = n; n += 1
    o["h0"] = n; n += nh
    o["c0"] = n; n += nh
    o["size"] = n
    return o


def sgm(a):
    return 1.0 / (1.0 + math.exp(-a))


def lstm_forward(th, x, target, T, B, nin, nh, nk, l2):
    o = offsets(nin, nh, nk)
    # buffers, index [((t * B) + b) * nh + j]; h and c have one more step, step 0 is the initial state
    h = [0.0] * ((T + 1) * B * nh)
    c = [0.0] * ((T + 1) * B * nh)
    act = [0.0] * (T * B * 4 * nh)
    p = [0.0] * (T * B * nk)
    y = [0.0] * (T * B)
    E = 0.0
    for b in range(B):
        for j in range(nh):
            h[b * nh + j] = th[o["h0"] + j]
            c[b * nh + j] = th[o["c0"] + j]
    for t in range(T):
        for b in range(B):
            prev = (t * B + b) * nh
            cur = ((t + 1) * B + b) * nh
            ga = (t * B + b) * 4 * nh
            for j in range(nh):
                a = [0.0] * 4
                for g in range(4):
                    s = th[o["b"] + g * nh + j]
                    for i in range(nin):
                        s += th[o["W"] + (g * nh + j) * nin + i] * x[t, b, i]
                    for l in range(nh):
                        s += th[o["R"] + (g * nh + j) * nh + l] * h[prev + l]
                    a[g] = s
                ig = sgm(a[I] + th[o["P"] + I * nh + j] * c[prev + j])
                fg = sgm(a[F] + th[o["P"] + F * nh + j] * c[prev + j])
                gg = math.tanh(a[G])
                c[cur + j] = fg * c[prev + j] + ig * gg
                og = sgm(a[O] + th[o["P"] + O * nh + j] * c[cur + j])
                h[cur + j] = og * math.tanh(c[cur + j])
                act[ga + I * nh + j] = ig
                act[ga + F * nh + j] = fg
                act[ga + O * nh + j] = og
                act[ga + G * nh + j] = gg
            # lookup
            pk = (t * B + b) * nk
            z = 0.0
            for k in range(nk):
                s = 0.0
                for j in range(nh):
                    s += th[o["M"] + k * nh + j] * h[cur + j]
                p[pk + k] = math.exp(th[o["beta"]] * s)
                z += p[pk + k]
            out = 0.0
            for k in range(nk):
                p[pk + k] /= z
                out += p[pk + k] * th[o["V"] + k]
            y[t * B + b] = out
            E += 0.5 * (out - target[t, b]) ** 2 / (T * B)
    for q in range(o["l2end"]):
        E += 0.5 * l2 * th[q] * th[q]
    return E, (h, c, act, p, y)


def lstm_backward(th, x, target, T, B, nin, nh, nk, l2, buf):
    o = offsets(nin, nh, nk)
    h, c, act, p, y = buf
    d = np.zeros(o["size"])
    dh = [0.0] * (B * nh)
    dc = [0.0] * (B * nh)
    da = [0.0] * (4 * nh)
    for t in range(T - 1, -1, -1):
        for b in range(B):
            prev = (t * B + b) * nh
            cur = ((t + 1) * B + b) * nh
            ga = (t * B + b) * 4 * nh
            pk = (t * B + b) * nk
            # lookup
            dy = (y[t * B + b] - target[t, b]) / (T * B)
            for k in range(nk):
                d[o["V"] + k] += dy * p[pk + k]
                ds = dy * p[pk + k] * (th[o["V"] + k] - y[t * B + b])
                for j in range(nh):
                    m = o["M"] + k * nh + j
                    d[o["beta"]] += ds * th[m] * h[cur + j]
                    d[m] += ds * th[o["beta"]] * h[cur + j]
                    dh[b * nh + j] += ds * th[o["beta"]] * th[m]
            # cell
            for j in range(nh):
                ig = act[ga + I * nh + j]
                fg = act[ga + F * nh + j]
                og = act[ga + O * nh + j]
                gg = act[ga + G * nh + j]
                tc = math.tanh(c[cur + j])
                dhj = dh[b * nh + j]
                dao = dhj * tc * og * (1.0 - og)
                dcj = dc[b * nh + j] + dhj * og * (1.0 - tc * tc)
                dcj += dao * th[o["P"] + O * nh + j]
                dai = dcj * gg * ig * (1.0 - ig)
                daf = dcj * c[prev + j] * fg * (1.0 - fg)
                dag = dcj * ig * (1.0 - gg * gg)
                d[o["P"] + I * nh + j] += dai * c[prev + j]
                d[o["P"] + F * nh + j] += daf * c[prev + j]
                d[o["P"] + O * nh + j] += dao * c[cur + j]
                dc[b * nh + j] = dcj * fg + dai * th[o["P"] + I * nh + j] + daf * th[o["P"] + F * nh + j]
                da[I * nh + j] = dai
                da[F * nh + j] = daf
                da[O * nh + j] = dao
                da[G * nh + j] = dag
            # matrices, and what goes to h[t-1]
            for l in range(nh):
                dh[b * nh + l] = 0.0
            for g in range(4):
                for j in range(nh):
                    e = da[g * nh + j]
                    d[o["b"] + g * nh + j] += e
                    for i in range(nin):
                        d[o["W"] + (g * nh + j) * nin + i] += e * x[t, b, i]
                    for l in range(nh):
                        r = o["R"] + (g * nh + j) * nh + l
                        d[r] += e * h[prev + l]
                        dh[b * nh + l] += e * th[r]
    for b in range(B):
        for j in range(nh):
            d[o["h0"] + j] += dh[b * nh + j]
            d[o["c0"] + j] += dc[b * nh + j]
    for q in range(o["l2end"]):
        d[q] += l2 * th[q]
    return d


def make(Target, rng, T=3, B=2, D=2, H=2, K=3):
    theta = rng.normal(size=offsets(D, H, K)["size"]) * 0.9
    theta[offsets(D, H, K)["beta"]] = 1.3
    args = rng.normal(size=(T, B, D)), rng.normal(size=(T, B)), T, B, D, H, K, 0.02

    def grads():
        E, buf = lstm_forward(theta, *args)
        return {"theta": lstm_backward(theta, *args, buf)}

    return Target({"theta": theta}, lambda: lstm_forward(theta, *args)[0], grads)


BUGS = {
    "lookup-softmax-not-centred": ('ds = dy * p[pk + k] * (th[o["V"] + k] - y[t * B + b])', 'ds = dy * p[pk + k] * th[o["V"] + k]'),
    "beta-forgotten-on-the-way-to-h": ('dh[b * nh + j] += ds * th[o["beta"]] * th[m]', "dh[b * nh + j] += ds * th[m]"),
    "cell-carry-of-the-next-step-missing": ("dcj = dc[b * nh + j] + dhj * og * (1.0 - tc * tc)", "dcj = dhj * og * (1.0 - tc * tc)"),
    "output-peephole-looks-at-the-old-cell": ('d[o["P"] + O * nh + j] += dao * c[cur + j]', 'd[o["P"] + O * nh + j] += dao * c[prev + j]'),
    "peepholes-left-out-of-the-cell-carry": ('dc[b * nh + j] = dcj * fg + dai * th[o["P"] + I * nh + j] + daf * th[o["P"] + F * nh + j]', "dc[b * nh + j] = dcj * fg"),
    "recurrent-offset-rows-and-columns-swapped": ('r = o["R"] + (g * nh + j) * nh + l', 'r = o["R"] + (g * nh + l) * nh + j'),
    "initial-cell-of-the-last-row-only": ('d[o["c0"] + j] += dc[b * nh + j]', 'd[o["c0"] + j] = dc[b * nh + j]'),
    "penalty-gradient-without-its-half": ("d[q] += l2 * th[q]", "d[q] += 2.0 * l2 * th[q]"),
}

PAIRS = [("beta-forgotten-on-the-way-to-h", "peepholes-left-out-of-the-cell-carry"), ("output-peephole-looks-at-the-old-cell", "recurrent-offset-rows-and-columns-swapped")]
