# -*- coding: utf-8 -*-
# Uebungsblatt 7, Aufgabe 2 c):  Elman-Jordan-Netz, Lernen durch die Zeit.
# Skript Abschnitt 3.4, alle Vektoren sind Spaltenvektoren, t laeuft ab 1.
#
#   (3.12)   k(t) = alpha k(t-1) + y(t-1)                   Jordan-Kontext, leer bei t = 0
#   (3.13)   s(t) = tanh( U x(t) + V s(t-1) + J k(t) + b )
#   (3.14)   y(t) = softmax( W s(t) + c )
#   (3.15)   E    = 1/T sum_t [ -log y_ziel(t) + gamma/2 |s(t)|^2 ]
#
# Ueber die Woerter wird summiert.

import numpy as np

ALPHA = 0.6
GAMMA = 0.1
ZEICHEN = 'abcd'
VERSTECKT = 3


def einheitsvektor(zeichen):
    e = np.zeros((len(ZEICHEN), 1))
    e[ZEICHEN.index(zeichen)] = 1
    return e


def softmax(a):
    oben = np.exp(a - np.max(a))
    return oben / np.sum(oben)


def vorwaerts(netz, wort):
    T = len(wort) - 1
    x, k, s, y = {}, {}, {}, {}
    s[0] = netz['s0']
    k[0] = np.zeros((len(ZEICHEN), 1))
    y[0] = np.zeros((len(ZEICHEN), 1))
    E = 0
    for t in range(1, T + 1):
        x[t] = einheitsvektor(wort[t - 1])
        k[t] = ALPHA * k[t - 1] + y[t - 1]
        s[t] = np.tanh(netz['U'] @ x[t] + netz['V'] @ s[t - 1] + netz['J'] @ k[t] + netz['b'])
        y[t] = softmax(netz['W'] @ s[t] + netz['c'])
        fehler = -np.log(y[t][ZEICHEN.index(wort[t]), 0])
        E += (fehler + GAMMA / 2 * np.sum(s[t] ** 2)) / T
    return E, x, k, s, y


def rueckwaerts(netz, wort, grad):
    _, x, k, s, y = vorwaerts(netz, wort)
    T = len(wort) - 1
    ds_spaeter = np.zeros((VERSTECKT, 1))
    dk_spaeter = np.zeros((len(ZEICHEN), 1))
    for t in range(T, 0, -1):
        # (3.17)  y(t) wirkt auf den Fehler und, als Kontext, auf alle spaeteren Schritte
        ziel = einheitsvektor(wort[t])
        dy = dk_spaeter
        da = (y[t] - ziel) / T + y[t] * (dy - np.sum(y[t] * dy))
        grad['W'] += da @ s[t].T
        grad['c'] += da

        # (3.18)  Zustand
        ds = netz['W'].T @ da + ds_spaeter
        ds += GAMMA / T * s[t]
        dnetto = (1 - s[t] ** 2) * ds
        grad['U'] += dnetto @ x[t].T
        grad['V'] += dnetto @ s[t - 1].T
        grad['J'] += dnetto @ k[t - 1].T
        grad['b'] += dnetto

        # (3.19)  einen Schritt zurueck
        ds_spaeter = netz['V'].T @ dnetto
        dk_spaeter = ALPHA * dk_spaeter + netz['J'].T @ dnetto
    grad['s0'] = ds_spaeter


def make(rng):
    n, m = VERSTECKT, len(ZEICHEN)
    netz = {}
    for name, zeilen, spalten in [('U', n, m), ('V', n, n), ('J', n, m), ('b', n, 1),
                                  ('W', m, n), ('c', m, 1), ('s0', n, 1)]:
        netz[name] = rng.normal(0, 0.9, (zeilen, spalten))
    woerter = [''.join(rng.choice(list(ZEICHEN), laenge)) for laenge in (6, 4, 5)]

    def loss():
        summe = 0.0
        for wort in woerter:
            summe += vorwaerts(netz, wort)[0]
        return float(summe)

    def grads():
        grad = {name: np.zeros(matrix.shape) for name, matrix in netz.items()}
        for wort in woerter:
            rueckwaerts(netz, wort, grad)
        return grad

    return netz, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('context weights with the context of the previous step',
  [67],
  [("grad['J'] += dnetto @ k[t - 1].T", "grad['J'] += dnetto @ k[t].T")]),
 ('initial state: gradient of the last word only (= for +=)',
  [73],
  [("grad['s0'] = ds_spaeter", "grad['s0'] += ds_spaeter")])]
