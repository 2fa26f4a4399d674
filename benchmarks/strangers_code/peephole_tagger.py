# Folgenetikettierer: LSTM mit Gucklochverbindungen, Eingangs- und Vergesstor gekoppelt (i = 1-f).
# Portiert aus meinem alten Matlab-Skript (train_tagger.m): Merkmale x Stapel x Zeit.
# Auffuellschritte (maske = 0) lassen den Zustand stehen und zaehlen nicht im Verlust.
import numpy as np
from numpy import zeros, exp, tanh, log


def sigm(a):
    return 1 / (1 + exp(-a))


def vorwaerts(P, X, M):
    nH = P['bf'].shape[0]
    nX, nB, nT = X.shape
    S = dict(F=zeros((nH, nB, nT)), G=zeros((nH, nB, nT)), O=zeros((nH, nB, nT)),
             Cn=zeros((nH, nB, nT)),
             C=zeros((nH, nB, nT + 1)), H=zeros((nH, nB, nT + 1)))
    S['C'][:, :, 0] = P['c0']
    for t in range(nT):
        x = X[:, :, t]
        h = S['H'][:, :, t]
        c = S['C'][:, :, t]
        m = M[:, t]
        f = sigm(P['Wf'] @ x + P['Rf'] @ h + P['pf'] * c + P['bf'])
        g = tanh(P['Wg'] @ x + P['Rg'] @ h + P['bg'])
        cn = f * c + (1 - f) * g
        o = sigm(P['Wo'] @ x + P['Ro'] @ h + P['po'] * cn + P['bo'])
        hn = o * tanh(cn)
        S['C'][:, :, t + 1] = m * cn + (1 - m) * c
        S['H'][:, :, t + 1] = m * hn + (1 - m) * h
        S['F'][:, :, t] = f
        S['G'][:, :, t] = g
        S['O'][:, :, t] = o
        S['Cn'][:, :, t] = cn
    return S


def ausgabe(P, S):
    nT = S['F'].shape[2]
    nK, nB = P['by'].shape[0], S['F'].shape[1]
    Y = zeros((nK, nB, nT))
    for t in range(nT):
        a = P['V'] @ S['H'][:, :, t + 1] + P['by']
        e = exp(a - a.max(axis=0))
        Y[:, :, t] = e / e.sum(axis=0)
    return Y


def verlust(P, X, Z, M):
    Y = ausgabe(P, vorwaerts(P, X, M))
    L = -(Z * log(Y)).sum(axis=0)          # nB x nT
    return float((L * M).sum() / M.sum())


def rueckwaerts(P, X, Z, M):
    S = vorwaerts(P, X, M)
    Y = ausgabe(P, S)
    nX, nB, nT = X.shape
    nH = P['bf'].shape[0]
    dP = {k: zeros(v.shape) for k, v in P.items()}
    dhN = zeros((nH, nB))      # Fehler am Zustand h, von t+1
    dcN = zeros((nH, nB))      # Fehler am Zustand c, von t+1

    dA = (Y - Z) * M / M.sum()

    for t in range(nT - 1, -1, -1):
        x, m = X[:, :, t], M[:, t]
        hv, cv = S['H'][:, :, t], S['C'][:, :, t]
        f, g, o, cn = S['F'][:, :, t], S['G'][:, :, t], S['O'][:, :, t], S['Cn'][:, :, t]
        tc = tanh(cn)

        # Ausgabeschicht
        da = dA[:, :, t]
        dP['V'] += da @ S['H'][:, :, t + 1].T
        dP['by'] += da.sum(axis=1, keepdims=True)
        dh = P['V'].T @ da + dhN
        dc = dcN

        # Maske: ein Teil geht durch die Zelle, der Rest am Schritt vorbei
        dhn = m * dh
        dcn = m * dc
        dhv = (1 - m) * dh
        dcv = (1 - m) * dc

        # Ausgangstor
        dao = dhn * tc * o * (1 - o)
        dcn = dcn + dhn * o * (1 - tc ** 2)
        dcn = dcn + P['po'] * dao
        dP['po'] += (dao * cn).sum(axis=1, keepdims=True)

        # Zelle
        daf = dcn * (cv - g) * f * (1 - f)
        dag = dcn * (1 - f) * (1 - g ** 2)
        dcv = dcv + dcn * f + P['pf'] * daf
        dP['pf'] += (daf * cv).sum(axis=1, keepdims=True)

        # Gewichte
        for k, d in (('f', daf), ('g', dag), ('o', dao)):
            dP['W' + k] += d @ x.T
            dP['R' + k] += d @ hv.T
            dP['b' + k] += d.sum(axis=1, keepdims=True)
            dhv = dhv + P['R' + k].T @ d

        dhN = dhv
        dcN = dcv

    dP['c0'] = dcN.sum(axis=1, keepdims=True)
    return dP


def make(Target, rng, nT=5, nB=3, nX=3, nH=4, nK=3):
    P = {}
    for k in 'fgo':
        P['W' + k] = 0.7 * rng.standard_normal((nH, nX))
        P['R' + k] = 0.6 * rng.standard_normal((nH, nH))
        P['b' + k] = 0.3 * rng.standard_normal((nH, 1))
    P['pf'] = 0.6 * rng.standard_normal((nH, 1))
    P['po'] = 0.6 * rng.standard_normal((nH, 1))
    P['c0'] = 0.6 * rng.standard_normal((nH, 1))
    P['V'] = 0.8 * rng.standard_normal((nK, nH))
    P['by'] = 0.2 * rng.standard_normal((nK, 1))
    X = rng.standard_normal((nX, nB, nT))
    Z = np.eye(nK)[rng.integers(0, nK, size=(nB, nT))].transpose(2, 0, 1)
    # linksseitig aufgefuellt, dazu ein Loch in der Mitte der ersten Folge
    M = np.ones((nB, nT))
    for b in range(1, nB):
        M[b, :min(b, nT - 1)] = 0
    M[0, nT // 2] = 0
    return Target(P, lambda: verlust(P, X, Z, M), lambda: rueckwaerts(P, X, Z, M))


BUGS = {
    "Maske-im-Ausgabefehler-fehlt": ("dA = (Y - Z) * M / M.sum()", "dA = (Y - Z) / M.sum()"),
    "Guckloch-verwechselt": ("dcn = dcn + P['po'] * dao", "dcn = dcn + P['pf'] * dao"),
    "Kopplung-vergessen": ("daf = dcn * (cv - g) * f * (1 - f)", "daf = dcn * cv * f * (1 - f)"),
    "Halteanteil-ueberschrieben": ("dcv = dcv + dcn * f + P['pf'] * daf", "dcv = dcn * f + P['pf'] * daf"),
    "po-mit-altem-c": ("dP['po'] += (dao * cn).sum(axis=1, keepdims=True)", "dP['po'] += (dao * cv).sum(axis=1, keepdims=True)"),
    "Schleife-endet-bei-eins": ("for t in range(nT - 1, -1, -1):", "for t in range(nT - 1, 0, -1):"),
    "tanh-Ableitung-mit-cn": ("dcn = dcn + dhn * o * (1 - tc ** 2)", "dcn = dcn + dhn * o * (1 - cn ** 2)"),
    "R-nicht-transponiert": ("dhv = dhv + P['R' + k].T @ d", "dhv = dhv + P['R' + k] @ d"),
}
PAIRS = [
    ("Maske-im-Ausgabefehler-fehlt", "po-mit-altem-c"),
    ("Guckloch-verwechselt", "R-nicht-transponiert"),
    ("Kopplung-vergessen", "Halteanteil-ueberschrieben"),
]
