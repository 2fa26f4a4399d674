# Assignment 3, LSTM with peepholes (Python port of my MATLAB code, so: column vectors,
# one sample after the other, and time runs from 1 to T; column 0 is the initial state and
# column T+1 of the deltas stays zero).
# Only the last step is classified; loss = squared multi-class hinge with the worst rival.
import numpy as np

nIn = 2
nHid = 3
nClass = 3


def sigm(a):
    return 1.0 / (1.0 + np.exp(-a))


def lstm_forward(P, x):
    T = x.shape[1] - 1                      # x[:, 0] is not used
    s = {}
    for name in ['z', 'i', 'f', 'o', 'c', 'h']:
        s[name] = np.zeros((nHid, T + 2))
    for t in range(1, T + 1):
        xt = x[:, t]
        hp = s['h'][:, t - 1]
        cp = s['c'][:, t - 1]
        s['z'][:, t] = np.tanh(P['Wz'] @ xt + P['Rz'] @ hp + P['bz'])
        s['i'][:, t] = sigm(P['Wi'] @ xt + P['Ri'] @ hp + P['pi'] * cp + P['bi'])
        s['f'][:, t] = sigm(P['Wf'] @ xt + P['Rf'] @ hp + P['pf'] * cp + P['bf'])
        s['c'][:, t] = s['z'][:, t] * s['i'][:, t] + cp * s['f'][:, t]
        s['o'][:, t] = sigm(P['Wo'] @ xt + P['Ro'] @ hp + P['po'] * s['c'][:, t] + P['bo'])
        s['h'][:, t] = np.tanh(s['c'][:, t]) * s['o'][:, t]
    return s, T


def hinge(P, h, label):
    score = P['V'] @ h + P['v']
    rivals = score.copy()
    rivals[label] = -np.inf
    worst = int(np.argmax(rivals))
    viol = max(0.0, 2.0 + score[worst] - score[label])
    return viol, worst


def cost(P, X, labels):
    J = 0.0
    for x, label in zip(X, labels):
        s, T = lstm_forward(P, x)
        viol, worst = hinge(P, s['h'][:, T], label)
        J = J + viol ** 2
    return J / len(X)


def gradient(P, X, labels):
    m = len(X)
    grad = {}
    for x, label in zip(X, labels):
        for name in P:
            grad[name] = np.zeros(P[name].shape)
        s, T = lstm_forward(P, x)
        z, i, f, o, c, h = s['z'], s['i'], s['f'], s['o'], s['c'], s['h']

        # ---- output layer
        viol, worst = hinge(P, h[:, T], label)
        dscore = np.zeros(nClass)
        dscore[worst] = 2 * viol / m
        dscore[label] = -2 * viol / m
        grad['V'] = grad['V'] + np.outer(dscore, h[:, T])
        grad['v'] = grad['v'] + dscore

        # ---- deltas
        dz = np.zeros((nHid, T + 2))
        di = np.zeros((nHid, T + 2))
        df = np.zeros((nHid, T + 2))
        do = np.zeros((nHid, T + 2))
        dc = np.zeros((nHid, T + 2))
        for t in range(T, 0, -1):
            dh = (P['Rz'].T @ dz[:, t + 1] + P['Ri'].T @ di[:, t + 1] +
                  P['Rf'].T @ df[:, t + 1] + P['Ro'].T @ do[:, t + 1])
            if t == T:
                dh = dh + P['V'].T @ dscore
            do[:, t] = dh * c[:, t] * o[:, t] * (1 - o[:, t])
            dc[:, t] = (dh * o[:, t] * (1 - np.tanh(c[:, t]) ** 2)
                        + P['po'] * do[:, t + 1]
                        + P['pi'] * di[:, t + 1]
                        + P['pf'] * df[:, t + 1]
                        + dc[:, t + 1] * f[:, t + 1])
            df[:, t] = dc[:, t] * c[:, t - 1] * f[:, t] * (1 - f[:, t])
            di[:, t] = dc[:, t] * z[:, t] * i[:, t] * (1 - i[:, t])
            dz[:, t] = dc[:, t] * i[:, t] * (1 - z[:, t] ** 2)

        # ---- weights
        for t in range(1, T + 1):
            for gate, d in [('z', dz), ('i', di), ('f', df), ('o', do)]:
                grad['W' + gate] += np.outer(d[:, t], x[:, t])
                grad['R' + gate] += np.outer(d[:, t], h[:, t - 1])
                grad['b' + gate] += d[:, t]
            grad['pi'] += c[:, t - 1] * di[:, t]
            grad['pf'] += c[:, t - 1] * df[:, t]
            grad['po'] += c[:, t] * do[:, t]
    return grad


def make(rng):
    P = {}
    for gate in ['z', 'i', 'f', 'o']:
        P['W' + gate] = rng.normal(0, 0.8, (nHid, nIn))
        P['R' + gate] = rng.normal(0, 0.8, (nHid, nHid))
        P['b' + gate] = rng.normal(0, 0.3, nHid)
    for gate in ['i', 'f', 'o']:
        P['p' + gate] = rng.normal(0, 0.8, nHid)
    P['V'] = rng.normal(0, 0.8, (nClass, nHid))
    P['v'] = rng.normal(0, 0.1, nClass)
    X = [rng.normal(0, 1, (nIn, T + 1)) for T in (5, 3, 4)]
    labels = [int(k) for k in rng.integers(0, nClass, 3)]
    return P, (lambda: float(cost(P, X, labels))), (lambda: gradient(P, X, labels))


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('gradient buffers re-initialised for every sample',
  [54, 55, 56, 57],
  [('    for x, label in zip(X, labels):\n'
    '        for name in P:\n'
    '            grad[name] = np.zeros(P[name].shape)\n'
    '        s, T = lstm_forward(P, x)\n'
    '        z, i,',
    '    for name in P:\n'
    '        grad[name] = np.zeros(P[name].shape)\n'
    '\n'
    '    for x, label in zip(X, labels):\n'
    '        s, T = lstm_forward(P, x)\n'
    '        z, i,')]),
 ('output gate: c where tanh(c) belongs',
  [80],
  [('do[:, t] = dh * c[:, t] * o[:, t]', 'do[:, t] = dh * np.tanh(c[:, t]) * o[:, t]')]),
 ('output peephole looks at the next step', [81, 82], [("+ P['po'] * do[:, t + 1]\n", "+ P['po'] * do[:, t]\n")])]
