# -*- coding: utf-8 -*-
# Étiqueteur de séquences : plongements -> MGU (unité à porte minimale) dans les deux sens
# -> scores d'émission -> CRF linéaire.  Une phrase à la fois, pas de lot, pas de remplissage :
# c'est plus lent mais au moins on comprend ce qu'on fait.
#
#   f_t = sigma(Wf x + Uf h + bf)
#   c_t = tanh (Wc x + Uc (f*h) + bc)
#   h_t = (1-f) h + f c
#
# Suffixes : _g = de gauche à droite, _d = de droite à gauche.
import numpy as np

SENS = ("_g", "_d")


def sigm(a):
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def lse(M, axe):
    """log-somme-exp, sans débordement"""
    m = M.max(axis=axe)
    return m + np.log(np.exp(M - np.expand_dims(m, axe)).sum(axis=axe))


# ------------------------------------------------------------------ réseau récurrent

def mgu_avant(p, s, X):
    h = p["h0" + s]
    trace, sorties = [], []
    for x in X:
        f = sigm(p["Wf" + s] @ x + p["Uf" + s] @ h + p["bf" + s])
        c = np.tanh(p["Wc" + s] @ x + p["Uc" + s] @ (f * h) + p["bc" + s])
        trace.append((x, h, f, c))
        h = (1 - f) * h + f * c
        sorties.append(h)
    return np.array(sorties), trace


def mgu_arriere(p, G, s, dH, trace):
    dX = np.zeros((len(trace), len(trace[0][0])))
    dh = np.zeros(dH.shape[1])
    for t in reversed(range(len(trace))):
        x, h, f, c = trace[t]
        dh = dh + dH[t]
        dac = dh * f * (1 - c * c)
        dfh = p["Uc" + s].T @ dac                      # gradient du produit f*h
        daf = (dh * (c - h) + dfh * h) * f * (1 - f)
        G["Wc" + s] += np.outer(dac, x)
        G["Uc" + s] += np.outer(dac, f * h)
        G["bc" + s] += dac
        G["Wf" + s] += np.outer(daf, x)
        G["Uf" + s] += np.outer(daf, h)
        G["bf" + s] += daf
        dX[t] = p["Wf" + s].T @ daf + p["Wc" + s].T @ dac
        dh = dh * (1 - f) + dfh * f + p["Uf" + s].T @ daf
    G["h0" + s] += dh
    return dX


# ------------------------------------------------------------------ CRF

def alphas(p, e):
    al = np.empty_like(e)
    al[0] = p["debut"] + e[0]
    for t in range(1, len(e)):
        al[t] = e[t] + lse(al[t - 1][:, None] + p["A"], 0)
    logZ = lse(al[-1] + p["fin"], 0)
    return al, logZ


def score_reference(p, e, y):
    sc = p["debut"][y[0]] + p["fin"][y[-1]]
    for t in range(len(y)):
        sc = sc + e[t, y[t]]
        if t > 0:
            sc = sc + p["A"][y[t - 1], y[t]]
    return sc


def crf_arriere(p, G, e, y, al, logZ, poids):
    """d(poids * (logZ - score)) / d e ; remplit G pour A, debut, fin"""
    n = len(y)
    # passe des betas (be[t, i] : tout ce qui vient APRÈS t, sans e[t])
    be = np.empty_like(e)
    be[n - 1] = p["fin"]
    for t in range(n - 2, -1, -1):
        be[t] = lse(p["A"] + (e[t + 1] + be[t + 1])[None, :], 1)
    gam = np.exp(al + be - logZ)                       # marginales unaires
    de = poids * gam
    G["debut"] += poids * gam[0]
    G["fin"] += poids * gam[n - 1]
    for t in range(n - 1):
        xi = np.exp(al[t][:, None] + p["A"] + (e[t + 1] + be[t + 1])[None, :] - logZ)
        G["A"] += poids * xi
        G["A"][y[t], y[t + 1]] -= poids
    # partie observée
    de[np.arange(n), y] -= poids
    G["debut"][y[0]] -= poids
    G["fin"][y[n - 1]] -= poids
    return de


# ------------------------------------------------------------------ une phrase

def phrase_avant(p, mots, masque):
    X = p["E"][mots]
    Hg, tr_g = mgu_avant(p, "_g", X)
    Hd, tr_d = mgu_avant(p, "_d", X[::-1])
    Z = np.hstack([Hg, Hd[::-1]]) * masque
    e = Z @ p["V"].T + X @ p["S"].T + p["b"]           # S : raccourci plongement -> émission
    return e, (X, Z, tr_g, tr_d)


def phrase_arriere(p, G, mots, masque, de, memo):
    X, Z, tr_g, tr_d = memo
    H = Z.shape[1] // 2
    G["V"] += de.T @ Z
    G["S"] += de.T @ X
    G["b"] += de.sum(0)
    dX = de @ p["S"]
    dZ = (de @ p["V"]) * masque
    dX += mgu_arriere(p, G, "_g", dZ[:, :H], tr_g)
    dX += mgu_arriere(p, G, "_d", dZ[::-1, H:], tr_d)[::-1]
    np.add.at(G["E"], mots, dX)                        # un mot peut revenir plusieurs fois !


def make(Target, rng, T=6, B=3, H=4, D=3, etiquettes=3, vocab=5):
    K = etiquettes
    p = {"E": rng.normal(0, 1.0, (vocab, D))}
    for s in SENS:
        for porte in "fc":
            p["W" + porte + s] = rng.normal(0, 0.9, (H, D))
            p["U" + porte + s] = rng.normal(0, 0.8, (H, H))
            p["b" + porte + s] = rng.normal(0, 0.4, H)
        p["h0" + s] = rng.normal(0, 0.6, H)
    p["V"] = rng.normal(0, 0.9, (K, 2 * H))
    p["S"] = rng.normal(0, 0.5, (K, D))
    p["b"] = rng.normal(0, 0.3, K)
    p["A"] = rng.normal(0, 0.9, (K, K))
    p["debut"] = rng.normal(0, 0.7, K)
    p["fin"] = rng.normal(0, 0.7, K)

    corpus = []
    for i in range(B):
        n = max(1, T - i)                              # phrases de longueurs différentes
        masque = (rng.random((n, 2 * H)) < 0.75) / 0.75
        corpus.append((rng.integers(0, vocab, n), rng.integers(0, K, n), masque))
    total_mots = sum(len(mots) for mots, _, _ in corpus)

    def loss():
        L = 0.0
        for mots, y, masque in corpus:
            e, _ = phrase_avant(p, mots, masque)
            L += alphas(p, e)[1] - score_reference(p, e, y)
        return float(L / total_mots)

    def grads():
        G = {nom: np.zeros_like(v) for nom, v in p.items()}
        for mots, y, masque in corpus:
            e, memo = phrase_avant(p, mots, masque)
            al, logZ = alphas(p, e)
            de = crf_arriere(p, G, e, y, al, logZ, 1.0 / total_mots)
            phrase_arriere(p, G, mots, masque, de, memo)
        return G

    return Target(p, loss, grads)


BUGS = {
    "marginales-de-transition-transposees": ("G[\"A\"] += poids * xi", "G[\"A\"] += poids * xi.T"),
    "beta-sans-emission": ("be[t] = lse(p[\"A\"] + (e[t + 1] + be[t + 1])[None, :], 1)", "be[t] = lse(p[\"A\"] + be[t + 1][None, :], 1)"),
    "fin-observee-sans-poids": ("G[\"fin\"][y[n - 1]] -= poids", "G[\"fin\"][y[n - 1]] -= 1.0"),
    "porte-sans-chemin-fh": ("daf = (dh * (c - h) + dfh * h) * f * (1 - f)", "daf = dh * (c - h) * f * (1 - f)"),
    "report-dfh-sans-porte": ("dh = dh * (1 - f) + dfh * f +", "dh = dh * (1 - f) + dfh +"),
    "sens-droit-pas-retourne": ("dX += mgu_arriere(p, G, \"_d\", dZ[::-1, H:], tr_d)[::-1]", "dX += mgu_arriere(p, G, \"_d\", dZ[::-1, H:], tr_d)"),
    "mots-repetes-perdus": ("np.add.at(G[\"E\"], mots, dX)", "G[\"E\"][mots] += dX"),
    "masque-oublie": ("dZ = (de @ p[\"V\"]) * masque", "dZ = de @ p[\"V\"]"),
}
PAIRS = [
    ("marginales-de-transition-transposees", "sens-droit-pas-retourne"),
    ("beta-sans-emission", "mots-repetes-perdus"),
    ("fin-observee-sans-poids", "porte-sans-chemin-fh"),
    ("report-dfh-sans-porte", "masque-oublie"),
    ("porte-sans-chemin-fh", "mots-repetes-perdus"),
    ("report-dfh-sans-porte", "marginales-de-transition-transposees"),
]
