# Reseau recurrent « highway » (Zilly et al. 2017), profondeur 2 par pas de temps.
# Modele de comptage : les sorties sont les intensites (log) d'une loi de Poisson.
#
#   pour chaque pas t, pour chaque etage l = 0, 1 :
#       c = tanh( [l=0] x_t Wc + e Rc[l] + bc[l] )         candidat
#       p = sigma( [l=0] x_t Wp + e Rp[l] + bp[l] )        porte
#       e <- c * p + e * (1 - p)
#   avant le premier etage, l'etat est multiplie par un masque de dropout fixe (variationnel)
#   log(intensite) = e V + v ;   cout = moyenne des  intensite - n * log(intensite)
import numpy as np
from collections import namedtuple

ETAGES = 2
Etage = namedtuple("Etage", "entree c p")


def sigma(a):
    return 1 / (1 + np.exp(-a))


def propage(theta, x, masque):
    """x : (pas, lot, dim).  Rend les etages memorises et les etats apres chaque pas."""
    pas, lot = x.shape[:2]
    e = np.repeat(theta["e0"], lot, axis=0)
    memoire, etats = [], []
    for t in range(pas):
        etages = []
        e = e * masque
        for l in range(ETAGES):
            ac = e @ theta["Rc"][l] + theta["bc"][l]
            ap = e @ theta["Rp"][l] + theta["bp"][l]
            if l == 0:
                ac = ac + x[t] @ theta["Wc"]
                ap = ap + x[t] @ theta["Wp"]
            c, p = np.tanh(ac), sigma(ap)
            etages.append(Etage(e, c, p))
            e = c * p + e * (1 - p)
        memoire.append(etages)
        etats.append(e)
    return memoire, etats


def cout(theta, x, n, masque):
    _, etats = propage(theta, x, masque)
    log_int = np.array(etats) @ theta["V"] + theta["v"]
    return float(np.mean(np.exp(log_int) - n * log_int))


def retropropage(theta, x, n, masque):
    memoire, etats = propage(theta, x, masque)
    pas, lot = x.shape[:2]
    grad = {nom: np.zeros(val.shape) for nom, val in theta.items()}
    de = np.zeros_like(etats[0])
    for t in range(pas - 1, -1, -1):
        # sortie : d cout / d log_int = (intensite - n) / nombre d'observations
        ds = (np.exp(etats[t] @ theta["V"] + theta["v"]) - n[t]) / n.size
        grad["V"] += etats[t].T @ ds
        grad["v"] += ds.sum(axis=0)
        de = de + ds @ theta["V"].T

        for l in range(ETAGES - 1, -1, -1):
            entree, c, p = memoire[t][l]
            dac = de * p * (1 - c ** 2)
            dap = de * (c - entree) * p * (1 - p)
            # poids de l'etage
            grad["Rc"][l] += entree.T @ dac
            grad["Rp"][l] += entree.T @ dap
            grad["bc"][l] += dac.sum(axis=0)
            grad["bp"][l] += dap.sum(axis=0)
            if l == 0:
                grad["Wc"] += x[t].T @ dac
                grad["Wp"] += x[t].T @ dap
            # vers l'etage du dessous (ou le pas precedent)
            de = de * (1 - p)
            de = de + dac @ theta["Rc"][l].T
            de = de + dap @ theta["Rp"][l].T
        de = de * masque
    grad["e0"] = de.sum(axis=0, keepdims=True)
    return grad


def make(rng):
    dim, cachees, sorties, lot, pas = 2, 3, 2, 3, 4
    theta = {
        "Wc": rng.normal(0, 0.9, (dim, cachees)),
        "Wp": rng.normal(0, 0.9, (dim, cachees)),
        "Rc": rng.normal(0, 0.9, (ETAGES, cachees, cachees)),
        "Rp": rng.normal(0, 0.9, (ETAGES, cachees, cachees)),
        "bc": rng.normal(0, 0.3, (ETAGES, cachees)),
        "bp": rng.normal(-0.5, 0.3, (ETAGES, cachees)),
        "V": rng.normal(0, 0.7, (cachees, sorties)),
        "v": rng.normal(0, 0.3, sorties),
        "e0": rng.normal(0, 0.7, (1, cachees)),
    }
    x = rng.normal(size=(pas, lot, dim))
    n = rng.poisson(1.5, size=(pas, lot, sorties)).astype(float)
    masque = np.array([[1.25, 1.25, 0.0], [0.0, 1.25, 1.25], [1.25, 1.25, 1.25]])
    return theta, lambda: cout(theta, x, n, masque), lambda: retropropage(theta, x, n, masque)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('candidate for gate', [69], [('grad["bp"][l] += dac.sum(axis=0)', 'grad["bp"][l] += dap.sum(axis=0)')]),
  ('wrong time index', [56], [('- n[t - 1]) / n.size', '- n[t]) / n.size')])],
 [('missing carry', [59], [('de = ds @ theta["V"].T', 'de = de + ds @ theta["V"].T')]),
  ('mask in the inner loop', [77], [('l].T\n            de = de * masque\n', 'l].T\n        de = de * masque\n')])]]
