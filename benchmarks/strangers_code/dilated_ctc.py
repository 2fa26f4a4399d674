# -*- coding: utf-8 -*-
# Reconnaissance de parole (jouet) : RNN dilaté à portes minimales (MGU) + sauts à la WaveNet + perte CTC.
# Principe : chaque brique renvoie (sortie, retour), où retour est une fermeture qui prend le gradient de la
# sortie, ajoute ce qu'il faut dans G (dictionnaire des gradients) et renvoie le gradient de l'entrée.
# Axes : (temps, lot, canaux)
import numpy as np

BLANC = 0  # symbole vide de la CTC


def sigmoide(z):
    return 1. / (1. + np.exp(-z))


def decale(a, k):
    """décale de k cases vers la droite sur le dernier axe, des zéros à gauche (k<0 : vers la gauche)"""
    r = np.zeros_like(a)
    if abs(k) >= a.shape[-1]:
        return r
    if k > 0:
        r[..., k:] = a[..., :-k]
    else:
        r[..., :k] = a[..., -k:]
    return r


# ---------------------------------------------------------------- briques
def affine(P, G, nom, x):
    W, b = P['W_' + nom], P['b_' + nom]
    y = x @ W + b

    def retour(dy):
        G['W_' + nom] += np.tensordot(x, dy, axes=([0, 1], [0, 1]))
        G['b_' + nom] += dy.sum(axis=(0, 1))
        return dy @ W.T

    return y, retour


def couche_dilatee(P, G, l, x, saut):
    """h[t] dépend de h[t-saut] ; avant le début on lit l'état appris h0"""
    Wf, Uf, bf = P['Wf%d' % l], P['Uf%d' % l], P['bf%d' % l]
    Wc, Uc, bc = P['Wc%d' % l], P['Uc%d' % l], P['bc%d' % l]
    h0 = P['h0_%d' % l]
    T, B, _ = x.shape
    H = len(h0)
    h, f, c = np.empty((T, B, H)), np.empty((T, B, H)), np.empty((T, B, H))

    def passe(t):
        return h[t - saut] if t >= saut else np.tile(h0, (B, 1))

    for t in range(T):
        hp = passe(t)
        f[t] = sigmoide(x[t] @ Wf + hp @ Uf + bf)
        c[t] = np.tanh(x[t] @ Wc + (f[t] * hp) @ Uc + bc)
        h[t] = (1 - f[t]) * hp + f[t] * c[t]

    def retour(dsortie):
        dh = dsortie.copy()
        dx = np.zeros_like(x)
        for t in reversed(range(T)):
            hp = passe(t)
            # candidat
            dc = dh[t] * f[t] * (1 - c[t] ** 2)
            drh = dc @ Uc.T
            # porte : trois chemins (deux dans le mélange, un dans le candidat)
            df = dh[t] * (c[t] - hp) + drh * hp
            dzf = df * f[t] * (1 - f[t])
            dhp = dh[t] * (1 - f[t]) + drh * f[t] + dzf @ Uf.T
            dx[t] = dzf @ Wf.T + dc @ Wc.T
            G['Wf%d' % l] += x[t].T @ dzf
            G['Wc%d' % l] += x[t].T @ dc
            G['Uf%d' % l] += hp.T @ dzf
            G['Uc%d' % l] += (f[t] * hp).T @ dc
            G['bf%d' % l] += dzf.sum(0)
            G['bc%d' % l] += dc.sum(0)
            if t >= saut:
                dh[t - saut] += dhp
            else:
                G['h0_%d' % l] += dhp.sum(0)
        return dx

    return h, retour


def perte_ctc(logits, etiq, longueurs):
    """etiq : (lot, U) complété par des BLANC ; perte = moyenne de -log p / longueur. Petit T : pas besoin de logs."""
    T, B, _ = logits.shape
    U = etiq.shape[1]
    S = 2 * U + 1
    qui = np.arange(B)
    ext = np.full((B, S), BLANC)
    ext[:, 1::2] = etiq
    avant2 = np.full((B, S), BLANC)
    avant2[:, 2:] = ext[:, :-2]
    peut_sauter = ((ext != BLANC) & (ext != avant2)).astype(float)
    peut_sauter[:, :2] = 0.
    y = np.exp(logits - logits.max(axis=2, keepdims=True))
    y /= y.sum(axis=2, keepdims=True)
    ye = np.stack([y[t][qui[:, None], ext] for t in range(T)])  # (T, B, S)

    alpha = np.zeros((T, B, S))
    alpha[0, :, :2] = ye[0, :, :2]
    for t in range(1, T):
        a = alpha[t - 1]
        alpha[t] = (a + decale(a, 1) + peut_sauter * decale(a, 2)) * ye[t]
    fin = 2 * longueurs  # dernier blanc ; fin-1 = dernière étiquette
    p = alpha[-1][qui, fin] + alpha[-1][qui, fin - 1]
    perte = np.mean(-np.log(p) / longueurs)

    def retour():
        beta = np.zeros((T, B, S))
        beta[-1][qui, fin] = 1.
        beta[-1][qui, fin - 1] = 1.
        for t in range(T - 2, -1, -1):
            suite = beta[t + 1] * ye[t + 1]
            beta[t] = suite + decale(suite, -1) + decale(peut_sauter * suite, -2)
        occup = alpha * beta / p[:, None]  # probabilité d'être dans l'état s au temps t
        dlogits = y.copy()
        for s in range(S):
            dlogits[:, qui, ext[:, s]] -= occup[:, :, s]
        return dlogits / (B * longueurs)[:, None]

    return perte, retour


# ---------------------------------------------------------------- le réseau
def reseau(P, G, son, etiq, longueurs, n_couches):
    u, retour_entree = affine(P, G, 'entree', son)
    retours, score, courant = [], 0., u
    for l in range(n_couches):
        h, r = couche_dilatee(P, G, l, courant, 2 ** l)
        s, rs = affine(P, G, 'saut%d' % l, h)
        score = score + s
        courant = courant + h  # connexion résiduelle
        retours.append((r, rs))
    relu = np.log1p(np.exp(score))  # softplus en fait, plus lisse
    logits, retour_sortie = affine(P, G, 'sortie', relu)
    perte, retour_perte = perte_ctc(logits, etiq, longueurs)

    def retour():
        dscore = retour_sortie(retour_perte()) * sigmoide(score)
        dcourant = np.zeros_like(u)  # personne ne lit le dernier résidu
        for r, rs in reversed(retours):
            dh = dcourant + rs(dscore)
            dcourant = dcourant + r(dh)
        retour_entree(dcourant)

    return float(perte), retour


def make(Target, rng, T=8, B=3, H=4, C=2, K=3, V=3, U=2, L=3):
    # C : canaux du son, K : canaux des sauts, V : vraies étiquettes (sans le blanc), U : longueur maximale
    n = lambda e, *forme: rng.normal(0., e, forme)
    P = {'W_entree': n(1., C, H), 'b_entree': n(.3, H)}
    for l in range(L):
        P.update({'Wf%d' % l: n(.6, H, H), 'Uf%d' % l: n(.8, H, H), 'bf%d' % l: n(.4, H),
                  'Wc%d' % l: n(.6, H, H), 'Uc%d' % l: n(.9, H, H), 'bc%d' % l: n(.4, H), 'h0_%d' % l: n(.8, H),
                  'W_saut%d' % l: n(.7, H, K), 'b_saut%d' % l: n(.2, K)})
    P.update({'W_sortie': n(.6, K, V + 1), 'b_sortie': n(.3, V + 1)})
    son = n(1., T, B, C)
    etiq = rng.integers(1, V + 1, (B, U))
    longueurs = rng.integers(1, U + 1, B)
    longueurs[0] = U
    for i in range(B):
        etiq[i, longueurs[i]:] = BLANC

    def loss():
        return reseau(P, None, son, etiq, longueurs, L)[0]

    def grads():
        G = {k: np.zeros_like(v) for k, v in P.items()}
        reseau(P, G, son, etiq, longueurs, L)[1]()
        return G

    return Target(P, loss, grads)


BUGS = {
    "beta_sans_masque_de_saut": ("decale(peut_sauter * suite, -2)", "decale(suite, -2)"),
    "beta_emission_du_mauvais_temps": ("suite = beta[t + 1] * ye[t + 1]", "suite = beta[t + 1] * ye[t]"),
    "longueur_oubliee": ("return dlogits / (B * longueurs)[:, None]", "return dlogits / B"),
    "dilatation_oubliee": ("dh[t - saut] += dhp", "dh[t - 1] += dhp"),
    "porte_chemin_candidat": ("df = dh[t] * (c[t] - hp) + drh * hp", "df = dh[t] * (c[t] - hp)"),
    "uc_sans_porte": ("G['Uc%d' % l] += (f[t] * hp).T @ dc", "G['Uc%d' % l] += hp.T @ dc"),
    "residu_perdu": ("dcourant = dcourant + r(dh)", "dcourant = r(dh)"),
    "h0_ecrase": ("G['h0_%d' % l] += dhp.sum(0)", "G['h0_%d' % l] = dhp.sum(0)"),
}
PAIRS = [
    ("beta_sans_masque_de_saut", "dilatation_oubliee"),
    ("beta_emission_du_mauvais_temps", "uc_sans_porte"),
    ("longueur_oubliee", "residu_perdu"),
    ("porte_chemin_candidat", "h0_ecrase"),
    ("residu_perdu", "uc_sans_porte"),
    ("h0_ecrase", "dilatation_oubliee"),
]
