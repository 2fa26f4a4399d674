# -*- coding: utf-8 -*-
# Uebungsblatt 6, Aufgabe 3: kleine Neural Turing Machine "von Hand"
# (Controller = einfaches RNN, ein Kopf der liest UND schreibt)
# lief urspruenglich mit python 2.7, darum die np.dot ueberall
from __future__ import print_function, division
import numpy as np

EPS = 1e-2          # gegen Division durch 0 im Cosinus
P = {}              # Parameter
G = {}              # Gradienten, gleiche Schluessel
X = []              # Eingaben
Z = []              # Ziele
SP = []             # alles was rueckwaerts gebraucht wird, ein Tupel je Schritt
ANFANG = {}         # w0, h0, r0
DEBUG = False


def sigm(a):
    return 1.0 / (1.0 + np.exp(-a))


def softmax(a):
    e = np.exp(a - np.max(a))
    return e / np.sum(e)


def init(rng, nin, nh, nslots, nw, nout):
    def r(*s):
        return rng.randn(*s) * 0.6 if hasattr(rng, 'randn') else rng.normal(size=s) * 0.6
    P.clear()
    P['Wx'] = r(nh, nin)
    P['Wh'] = r(nh, nh)
    P['Wr'] = r(nh, nw)
    P['bh'] = r(nh)
    # Koepfe: k = key, t = Staerke (beta), g = Interpolation, s = Shift, e = erase, a = add
    for n, k in (('k', nw), ('t', 1), ('g', 1), ('s', 3), ('e', nw), ('a', nw)):
        P['W' + n] = r(k, nh)
        P['b' + n] = r(k)
    P['Wy'] = r(nout, nh + nw)
    P['by'] = r(nout)
    P['M0'] = r(nslots, nw) + 0.3
    ANFANG['w'] = softmax(r(nslots))
    ANFANG['h'] = r(nh)
    ANFANG['r'] = r(nw)


def kopf(n, h):
    return np.dot(P['W' + n], h) + P['b' + n]


def vorwaerts():
    del SP[:]
    M, w, h, r = P['M0'], ANFANG['w'], ANFANG['h'], ANFANG['r']
    E = 0.0
    for t in range(len(X)):
        hp, wp, rp, Mp = h, w, r, M
        h = np.tanh(np.dot(P['Wx'], X[t]) + np.dot(P['Wh'], hp) + np.dot(P['Wr'], rp) + P['bh'])
        k = np.tanh(kopf('k', h))
        zt = kopf('t', h)
        beta = np.log(1.0 + np.exp(zt))
        g = sigm(kopf('g', h))
        s = softmax(kopf('s', h))
        e = sigm(kopf('e', h))
        a = np.tanh(kopf('a', h))
        # Adressierung nach Inhalt, auf dem ALTEN Speicher
        nm = np.sqrt(np.sum(Mp * Mp, axis=1))
        nk = np.sqrt(np.sum(k * k))
        den = nm * nk + EPS
        cos = np.dot(Mp, k) / den
        wc = softmax(beta * cos)
        # Interpolation, dann zirkulaere Faltung mit (-1, 0, +1)
        wi = g * wc + (1.0 - g) * wp
        w = np.zeros_like(wi)
        for j in range(3):
            w = w + s[j] * np.roll(wi, j - 1)
        # schreiben, danach lesen
        M = Mp * (1.0 - np.outer(w, e)) + np.outer(w, a)
        r = np.dot(M.T, w)
        hr = np.concatenate((h, r))
        y = np.dot(P['Wy'], hr) + P['by']
        E += 0.5 * np.sum((y - Z[t]) ** 2)
        SP.append((hp, wp, rp, Mp, h, k, zt, beta, g, s, e, a, nm, nk, den, cos, wc, wi, w, M, hr, y))
        if DEBUG:
            print('t=%d  E=%.5f  w=%s' % (t, E, w))
    return float(E / len(X))


def rueckwaerts():
    G.clear()
    for q in P:
        G[q] = np.zeros_like(P[q])
    nh = len(P['bh'])
    dh_n = np.zeros(nh)
    dr_n = np.zeros_like(ANFANG['r'])
    dw_n = np.zeros_like(ANFANG['w'])
    dM_n = np.zeros_like(P['M0'])
    for t in range(len(X) - 1, -1, -1):
        hp, wp, rp, Mp, h, k, zt, beta, g, s, e, a, nm, nk, den, cos, wc, wi, w, M, hr, y = SP[t]
        dy = (y - Z[t]) / len(X)
        G['Wy'] += np.outer(dy, hr)
        G['by'] += dy
        dhr = np.dot(P['Wy'].T, dy)
        dh = dhr[:nh] + dh_n
        dr = dhr[nh:] + dr_n
        # lesen
        dM = dM_n + np.outer(w, dr)
        dw = np.dot(M, dr) + dw_n
        # schreiben
        dE = -dM * Mp
        dw = dw + np.dot(dE, e) + np.dot(dM, a)
        de = np.dot(dE.T, w)
        da = np.dot(dM.T, w)
        dM_n = dM * (1.0 - np.outer(w, e))
        # Faltung
        ds = np.zeros(3)
        dwi = np.zeros_like(dw)
        for j in range(3):
            ds[j] = np.dot(dw, np.roll(wi, j - 1))
            dwi += s[j] * np.roll(dw, 1 - j)
        # Interpolation
        dg = np.dot(dwi, wc - wp)
        dwc = g * dwi
        dw_n = (1.0 - g) * dwi
        # softmax ueber die Slots
        dzc = wc * (dwc - np.dot(dwc, wc))
        dbeta = np.dot(dzc, cos)
        dcos = beta * dzc
        # Cosinus
        dzaehler = dcos / den
        dnenner = -dcos * cos / den
        dk = np.dot(Mp.T, dzaehler) + np.sum(dnenner * nm) * k / nk
        dM_n += np.outer(dzaehler, k) + (dnenner * nk / nm)[:, None] * Mp
        # Koepfe zurueck bis h
        roh = {'k': dk * (1 - k ** 2),
               't': dbeta * sigm(zt),
               'g': dg * g * (1 - g),
               's': s * (ds - np.dot(ds, s)),
               'e': de * e * (1 - e),
               'a': da * (1 - a ** 2)}
        for n in roh:
            G['W' + n] += np.outer(roh[n], h)
            G['b' + n] += roh[n]
            dh = dh + np.dot(P['W' + n].T, roh[n])
        dz = dh * (1 - h * h)
        G['Wx'] += np.outer(dz, X[t])
        G['Wh'] += np.outer(dz, hp)
        G['Wr'] += np.outer(dz, rp)
        G['bh'] += dz
        dh_n = np.dot(P['Wh'].T, dz)
        dr_n = np.dot(P['Wr'].T, dz)
    G['M0'] += dM_n
    return G


def alles():
    vorwaerts()
    return rueckwaerts()


def make(Target, rng, T=3, D=2, H=3, N=4, W=3):
    if N < 2 or W < 2:
        raise ValueError("zu klein: N und W mindestens 2")
    init(rng, D, H, N, W, 2)
    X[:] = [rng.normal(size=D) for _ in range(T)]
    Z[:] = [rng.normal(size=2) for _ in range(T)]
    return Target(P, vorwaerts, alles)


BUGS = {
    "cosine-norm-of-key-missing": ("dk = np.dot(Mp.T, dzaehler) + np.sum(dnenner * nm) * k / nk", "dk = np.dot(Mp.T, dzaehler)"),
    "convolution-instead-of-correlation": ("dwi += s[j] * np.roll(dw, 1 - j)", "dwi += s[j] * np.roll(dw, j - 1)"),
    "interpolation-current-weights": ("dg = np.dot(dwi, wc - wp)", "dg = np.dot(dwi, wc - w)"),
    "shift-softmax-diagonal-only": ("'s': s * (ds - np.dot(ds, s)),", "'s': ds * s * (1 - s),"),
    "address-carry-dropped": ("dw = np.dot(M, dr) + dw_n", "dw = np.dot(M, dr)"),
    "memory-after-writing": ("dE = -dM * Mp", "dE = -dM * M"),
    "softplus-slope-at-output": ("'t': dbeta * sigm(zt),", "'t': dbeta * sigm(beta),"),
    "memory-carry-overwritten": ("dM_n += np.outer(dzaehler, k) + (dnenner", "dM_n = np.outer(dzaehler, k) + (dnenner"),
}

PAIRS = [("cosine-norm-of-key-missing", "address-carry-dropped")]
