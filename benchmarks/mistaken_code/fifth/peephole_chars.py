# Peephole LSTM character model (Gers & Schmidhuber 2000), all gates in one matrix.
# Column order of p['W'], p['b']:  i | f | o | g
import numpy as np

V, E, H = 4, 2, 3           # vocabulary, embedding, hidden


def sigm(a):
    return 1. / (1. + np.exp(-a))


def init(rng):
    p = {}
    p['emb'] = rng.standard_normal((V, E))
    p['W'] = 0.8 * rng.standard_normal((E + H, 4 * H))
    p['b'] = 0.3 * rng.standard_normal(4 * H)
    p['pi'] = rng.standard_normal(H)
    p['pf'] = rng.standard_normal(H)
    p['po'] = rng.standard_normal(H)
    p['Wo'] = rng.standard_normal((H, V))
    p['bo'] = 0.3 * rng.standard_normal(V)
    return p


def run(p, tok):
    """tok: (B, T+1) integers; position t predicts position t+1"""
    B, T = tok.shape[0], tok.shape[1] - 1
    h = np.zeros((B, H))
    c = np.zeros((B, H))
    tape = []
    total = 0.0
    for t in range(T):
        z = np.concatenate([p['emb'][tok[:, t]], h], axis=1)
        a = z @ p['W'] + p['b']
        i = sigm(a[:, :H] + p['pi'] * c)
        f = sigm(a[:, H:2*H] + p['pf'] * c)
        g = np.tanh(a[:, 3*H:])
        c_old, c = c, f * c + i * g
        o = sigm(a[:, 2*H:3*H] + p['po'] * c)
        tc = np.tanh(c)
        h = o * tc
        s = h @ p['Wo'] + p['bo']
        s = s - s.max(axis=1, keepdims=True)
        prob = np.exp(s)
        prob /= prob.sum(axis=1, keepdims=True)
        total -= np.log(prob[np.arange(B), tok[:, t + 1]]).sum()
        tape.append((z, i, f, o, g, c_old, c, tc, h, prob))
    return total / (B * T), tape


def backprop(p, tok):
    _, tape = run(p, tok)
    B, T = tok.shape[0], len(tape)
    d = {k: np.zeros_like(v) for k, v in p.items()}
    dh_next = np.zeros((B, H))
    dc_next = np.zeros((B, H))
    for t in range(T - 1, -1, -1):
        z, i, f, o, g, c_old, c, tc, h, prob = tape[t]
        # softmax + cross entropy
        ds = prob.copy()
        ds[np.arange(B), tok[:, t + 1]] -= 1
        ds /= B * T
        d['Wo'] += h.T @ ds
        d['bo'] += ds.sum(0)
        dh = ds @ p['Wo'].T + dh_next

        # the output gate looks at the new cell, so it goes first
        dao = dh * tc * o * (1 - o)
        dc = dh * o * (1 - tc * tc) + dc_next
        dc += dao * p['po']
        d['po'] += (dao * c).sum(0)

        dai = dc * g * i * (1 - i)
        daf = dc * c_old * f * (1 - f)
        dag = dc * i * (1 - g * g)
        d['pi'] += (dai * c_old).sum(0)
        d['pf'] += (daf * c_old).sum(0)

        da = np.concatenate([dai, daf, dao, dag], axis=1)
        d['W'] += z.T @ da
        d['b'] += da.sum(0)
        dz = da @ p['W'].T
        np.add.at(d['emb'], tok[:, t], dz[:, :E])

        dh_next = dz[:, E:]
        dc_next = dc * f + dai * p['pi'] + daf * p['pf']
    return d


def make(rng):
    p = init(rng)
    tok = rng.integers(0, V, size=(3, 6))
    tok[0, :3] = [1, 1, 2]
    tok[1, :3] = [1, 0, 3]
    return p, lambda: float(run(p, tok)[0]), lambda: backprop(p, tok)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('forget gate missing in the carry', [86], [("dc_next = dc + dai * p['pi']", "dc_next = dc * f + dai * p['pi']")]),
  ('= for +=', [76], [("d['pi'] = (dai * c_old).sum(0)", "d['pi'] += (dai * c_old).sum(0)")])],
 [('slice of the wrong half', [85], [('dh_next = dz[:, :H]', 'dh_next = dz[:, E:]')]),
  ('square missing in the derivative of tanh', [75], [('dag = dc * i * (1 - g)', 'dag = dc * i * (1 - g * g)')])]]
