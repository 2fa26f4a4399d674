# Reglerauslegung durch Adjungiertenrechnung
# ------------------------------------------
# Strecke : nichtlineares Zeitkonstantennetz  tau * dx/dt = -x + W tanh(x) + V u + b
#           (Stellgröße u über einen Takt konstant, integriert mit klassischem Runge-Kutta)
# Regler  : PI mit weicher Stellgrößenbegrenzung und Anti-Windup-Rückführung
# Güte    : J = 1/N * Summe dt*(e'Qe + u'Ru)/2  +  1/N * s/2 * |x(Ende) - Ziel|^2
#
# Jeder Abtasttakt ist ein Generator: das erste `yield` gibt den neuen Zustand heraus und wartet auf
# dessen Adjungierte, das zweite gibt die Adjungierte des alten Zustands zurück.
# Bezeichnung: "x_" ist die Adjungierte dJ/dx zu x.
from dataclasses import dataclass

import numpy as np

KNOTEN = (0.0, 0.5, 0.5, 1.0)
GEWICHTE = (1 / 6, 1 / 3, 1 / 3, 1 / 6)


@dataclass
class Versuch:
    sollwert: np.ndarray      # (Takte, N, Ausgänge)
    ziel: np.ndarray          # (N, Zustände)
    Q: np.ndarray
    R: np.ndarray
    dt: float = 0.6
    u_max: float = 1.3
    s_ende: float = 1.5

    @property
    def n(self):
        return len(self.ziel)


def streckendynamik(x, u, par):
    tau = np.exp(par["log_tau"])
    kennlinie = np.tanh(x)
    xp = (kennlinie @ par["W"].T + u @ par["V"].T + par["b"] - x) / tau

    def adjungiert(xp_, grad):
        z_ = xp_ / tau
        grad["W"] += z_.T @ kennlinie
        grad["V"] += z_.T @ u
        grad["b"] += z_.sum(axis=0)
        grad["log_tau"] -= np.sum(xp_ * xp, axis=0)
        x_ = z_ @ par["W"]
        np.multiply(x_, 1.0 - kennlinie ** 2, out=x_)
        np.subtract(x_, z_, out=x_)
        return x_, z_ @ par["V"]

    return xp, adjungiert


def runge_kutta(x, u, par, dt):
    x_neu, k, stufen = x.copy(), np.zeros_like(x), []
    for c, g in zip(KNOTEN, GEWICHTE):
        k, adj = streckendynamik(x + c * dt * k, u, par)
        stufen.append(adj)
        x_neu += dt * g * k

    def adjungiert(ende_, grad):
        x_, u_ = ende_.copy(), np.zeros_like(u)
        k_folge = np.zeros_like(ende_)     # Beitrag der nachfolgenden Stufe
        i = len(stufen) - 1
        while i >= 0:
            k_ = dt * GEWICHTE[i] * ende_ + k_folge
            stufe_, du_ = stufen[i](k_, grad)
            np.add(x_, stufe_, out=x_)
            np.add(u_, du_, out=u_)
            k_folge = KNOTEN[i] * dt * stufe_
            i -= 1
        return x_, u_

    return x_neu, adjungiert


def abtasttakt(P, grad, v, x, q, w):
    strecke, regler = P["Strecke"], P["Regler"]
    e = w - x @ strecke["C"].T
    u_roh = e @ regler["KP"].T + q @ regler["KI"].T
    u = v.u_max * np.tanh(u_roh / v.u_max)
    windup = u - u_roh
    q_neu = q + v.dt * (e + windup @ regler["KA"].T)
    x_neu, rk_adjungiert = runge_kutta(x, u, strecke, v.dt)
    guete = 0.5 * v.dt / v.n * (np.sum(v.Q * e ** 2) + np.sum(v.R * u ** 2))

    # --- hier endet die Vorwärtsrechnung, der Takt schläft bis zur Rückwärtsrechnung
    x_neu_, q_neu_ = yield x_neu, q_neu, guete

    x_, u_ = rk_adjungiert(x_neu_, grad["Strecke"])
    windup_ = v.dt * q_neu_ @ regler["KA"]
    u_ += v.dt / v.n * v.R * u
    u_ += windup_
    steigung = 1.0 - (u / v.u_max) ** 2
    u_roh_ = steigung * u_ - windup_
    e_ = v.dt * (q_neu_ + v.Q * e / v.n) + u_roh_ @ regler["KP"]
    q_ = q_neu_ + u_roh_ @ regler["KI"]
    x_ -= e_ @ strecke["C"]
    grad["Regler"]["KP"] += u_roh_.T @ e
    grad["Regler"]["KI"] += u_roh_.T @ q
    grad["Regler"]["KA"] += v.dt * q_neu_.T @ windup
    grad["Strecke"]["C"] -= e_.T @ x
    yield x_, q_


def regelkreis(P, v):
    """liefert J und eine Funktion, welche den Gradienten rückwärts durch alle Takte rechnet"""
    grad = {block: {name: np.zeros_like(a) for name, a in par.items()} for block, par in P.items()}
    x = np.repeat(P["Anfang"]["x"][None], v.n, axis=0)
    q = np.repeat(P["Anfang"]["q"][None], v.n, axis=0)
    J, k, takte = 0.0, 0, []
    while k < len(v.sollwert):
        takt = abtasttakt(P, grad, v, x, q, v.sollwert[k])
        x, q, guete = next(takt)
        takte.append(takt)
        J += guete
        k += 1
    abweichung = x - v.ziel
    J += 0.5 * v.s_ende * np.sum(abweichung ** 2) / v.n

    def rueckwaerts():
        x_, q_ = v.s_ende * abweichung / v.n, np.zeros_like(q)
        while takte:
            x_, q_ = takte.pop().send((x_, q_))
        grad["Anfang"]["x"] += x_.sum(axis=0)
        grad["Anfang"]["q"] += q_.sum(axis=0)
        return grad

    return J, rueckwaerts


def flach(baum):
    return {block + "." + name: a for block, par in baum.items() for name, a in par.items()}


def make(Target, rng, takte=5, versuche=3, zustaende=4, stellgroessen=2, ausgaenge=3):
    zufall = lambda *form: rng.normal(0.0, 0.8, form)
    n, m, r = zustaende, stellgroessen, ausgaenge
    P = {
        "Strecke": {"W": zufall(n, n), "V": zufall(n, m), "b": zufall(n), "log_tau": 0.4 * zufall(n), "C": zufall(r, n)},
        "Regler": {"KP": zufall(m, r), "KI": zufall(m, r), "KA": zufall(r, m)},
        "Anfang": {"x": zufall(n), "q": zufall(r)},
    }
    v = Versuch(rng.normal(0, 1, (takte, versuche, r)), rng.normal(0, 1, (versuche, n)),
                Q=rng.uniform(0.5, 2.0, r), R=rng.uniform(0.2, 1.0, m))
    return Target(flach(P), lambda: float(regelkreis(P, v)[0]), lambda: flach(regelkreis(P, v)[1]()))


BUGS = {
    "zeitkonstante-vorzeichen": ("grad[\"log_tau\"] -= np.sum(xp_ * xp, axis=0)", "grad[\"log_tau\"] += np.sum(xp_ * xp, axis=0)"),
    "netz-nicht-transponiert": ("x_ = z_ @ par[\"W\"]", "x_ = z_ @ par[\"W\"].T"),
    "stufe-mit-schon-veraenderter-adjungierter": ("k_ = dt * GEWICHTE[i] * ende_ + k_folge", "k_ = dt * GEWICHTE[i] * x_ + k_folge"),
    "knoten-der-falschen-stufe": ("k_folge = KNOTEN[i] * dt * stufe_", "k_folge = KNOTEN[i - 1] * dt * stufe_"),
    "begrenzung-an-falscher-stelle": ("steigung = 1.0 - (u / v.u_max) ** 2", "steigung = 1.0 - np.tanh(u / v.u_max) ** 2"),
    "integrator-uebertrag-vergessen": ("q_ = q_neu_ + u_roh_ @ regler[\"KI\"]", "q_ = u_roh_ @ regler[\"KI\"]"),
    "endkosten-nicht-gemittelt": ("x_, q_ = v.s_ende * abweichung / v.n, np.zeros_like(q)", "x_, q_ = v.s_ende * abweichung, np.zeros_like(q)"),
    "takte-von-vorn-abgearbeitet": ("takte.pop().send((x_, q_))", "takte.pop(0).send((x_, q_))"),
}
PAIRS = [
    ("zeitkonstante-vorzeichen", "integrator-uebertrag-vergessen"),
    ("netz-nicht-transponiert", "begrenzung-an-falscher-stelle"),
    ("stufe-mit-schon-veraenderter-adjungierter", "endkosten-nicht-gemittelt"),
    ("knoten-der-falschen-stufe", "takte-von-vorn-abgearbeitet"),
    ("integrator-uebertrag-vergessen", "knoten-der-falschen-stufe"),
    ("begrenzung-an-falscher-stelle", "zeitkonstante-vorzeichen"),
]
