"""Neuronaler Hawkes-Prozess (zeitstetiges LSTM), Log-Likelihood mit Integralterm.

Zwischen zwei Ereignissen zerfaellt die Zelle:  c(t) = cQuer + (c - cQuer) * exp(-rate*delta*(t-t_i))
Intensitaet:  lambda_k(t) = s_k * softplus((w_k h(t) + b_k) / s_k)
Integral pro Intervall mit Gauss-Legendre (nQ Knoten). Letztes Intervall jeder Folge: bis zum Beobachtungsende.
"""
from dataclasses import dataclass, field
import numpy as np

GATTER = ("ein", "vergiss", "kand", "aus", "einQ", "vergissQ", "delta")


def sigm(x):
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def softplus(x):
    return np.logaddexp(0.0, x)


@dataclass
class Knoten:
    """alles, was zu einem Auswertungszeitpunkt innerhalb eines Intervalls gehoert"""
    tau: np.ndarray      # (B,1) Zeit seit letztem Ereignis
    e: np.ndarray = None
    c: np.ndarray = None
    th: np.ndarray = None
    h: np.ndarray = None
    a: np.ndarray = None
    lam: np.ndarray = None


@dataclass
class Intervall:
    typ: np.ndarray
    hVor: np.ndarray
    cVor: np.ndarray
    cqVor: np.ndarray
    g: dict = field(default_factory=dict)
    c: np.ndarray = None
    cq: np.ndarray = None
    knoten: list = field(default_factory=list)   # nQ Stuetzstellen, zuletzt das Intervallende


class Hawkes:
    def __init__(self, p, typen, dauer, istEreignis, nQ):
        self.p = p
        self.typen, self.dauer, self.istEreignis = typen, dauer, istEreignis
        xi, w = np.polynomial.legendre.leggauss(nQ)
        self.xi, self.w = 0.5 * (xi + 1.0), 0.5 * w
        self.nEreignisse = istEreignis.sum()

    # ------------------------------------------------------------ vorwaerts
    def aktualisiere(self, iv):
        p, H = self.p, self.p["Wh"].shape[0]
        pre = p["Emb"][iv.typ] @ p["Wx"] + iv.hVor @ p["Wh"] + p["b"]
        for n, name in enumerate(GATTER):
            z = pre[:, n * H:(n + 1) * H]
            iv.g[name] = np.tanh(z) if name == "kand" else softplus(z) if name == "delta" else sigm(z)
        g = iv.g
        iv.c = g["vergiss"] * iv.cVor + g["ein"] * g["kand"]
        iv.cq = g["vergissQ"] * iv.cqVor + g["einQ"] * g["kand"]

    def werteAus(self, iv, tau):
        k, p = Knoten(tau), self.p
        k.e = np.exp(-np.exp(p["logRate"]) * iv.g["delta"] * tau)
        k.c = iv.cq + (iv.c - iv.cq) * k.e
        k.th = np.tanh(k.c)
        k.h = iv.g["aus"] * k.th
        s = np.exp(p["logS"])
        k.a = (k.h @ p["Wl"] + p["bl"]) / s
        k.lam = s * softplus(k.a)
        iv.knoten.append(k)
        return k

    def vorwaerts(self):
        B, N = self.dauer.shape
        H = self.p["Wh"].shape[0]
        h = c = cq = np.zeros((B, H))
        verlauf, verlust = [], 0.0
        for j in range(N):
            iv = Intervall(self.typen[:, j], h, c, cq)
            self.aktualisiere(iv)
            dt = self.dauer[:, j:j + 1]
            for x, w in zip(self.xi, self.w):
                verlust += np.sum(w * dt * self.werteAus(iv, x * dt).lam)
            ende = self.werteAus(iv, dt)
            h, c, cq = ende.h, ende.c, iv.cq
            if j + 1 < N:
                lamK = ende.lam[np.arange(B), self.typen[:, j + 1]]
                verlust -= np.sum(self.istEreignis[:, j] * np.log(lamK))
            verlauf.append(iv)
        return verlust / self.nEreignisse, verlauf

    # ------------------------------------------------------------ rueckwaerts
    def rueckIntensitaet(self, k, gLam):
        """gibt dL/dh zurueck"""
        p, G = self.p, self.G
        s = np.exp(p["logS"])
        gU = gLam * sigm(k.a)                 # das s kuerzt sich gegen 1/s
        G["Wl"] += k.h.T @ gU
        G["bl"] += gU.sum(0)
        G["logS"] += s * (gLam * (softplus(k.a) - k.a * sigm(k.a))).sum(0)
        return gU @ p["Wl"].T

    def rueckZerfall(self, iv, k, gh, gc, acc):
        """Knotenzeitpunkt -> Intervallgroessen (c, cQuer, delta, aus)"""
        rate = np.exp(self.p["logRate"])
        acc["aus"] += gh * k.th
        gc = gc + gh * iv.g["aus"] * (1 - k.th ** 2)
        acc["c"] += gc * k.e
        acc["cq"] += gc * (1 - k.e)
        gExp = gc * (iv.c - iv.cq) * k.e      # Ableitung nach dem Exponenten
        acc["delta"] -= gExp * rate * k.tau
        self.G["logRate"] -= (gExp * rate * iv.g["delta"] * k.tau).sum(0)

    def rueckAktualisierung(self, iv, acc):
        p, G, g = self.p, self.G, iv.g
        gc, gcq = acc["c"], acc["cq"]
        dGate = {
            "ein": gc * g["kand"],
            "vergiss": gc * iv.cVor,
            "kand": gc * g["ein"] + gcq * g["einQ"],
            "aus": acc["aus"],
            "einQ": gcq * g["kand"],
            "vergissQ": gcq * iv.cqVor,
            "delta": acc["delta"],
        }
        teile = []
        for name in GATTER:
            y = g[name]
            if name == "kand":
                teile.append(dGate[name] * (1 - y * y))
            elif name == "delta":
                teile.append(dGate[name] * (1 - np.exp(-y)))    # softplus' = 1 - exp(-softplus)
            else:
                teile.append(dGate[name] * y * (1 - y))
        gPre = np.concatenate(teile, axis=1)
        G["Wx"] += p["Emb"][iv.typ].T @ gPre
        G["Wh"] += iv.hVor.T @ gPre
        G["b"] += gPre.sum(0)
        np.add.at(G["Emb"], iv.typ, gPre @ p["Wx"].T)
        return gPre @ p["Wh"].T, gc * g["vergiss"], gcq * g["vergissQ"]

    def rueckwaerts(self):
        _, verlauf = self.vorwaerts()
        self.G = {n: np.zeros_like(v) for n, v in self.p.items()}
        B, N = self.dauer.shape
        zeilen = np.arange(B)
        gh = gcEnde = gcqEnde = np.zeros((B, self.p["Wh"].shape[0]))
        for j in reversed(range(N)):
            iv, dt = verlauf[j], self.dauer[:, j:j + 1]
            acc = {n: np.zeros_like(gh) for n in ("c", "aus", "delta")}
            acc["cq"] = gcqEnde.copy()
            # Ereignisterm am Intervallende
            ende = iv.knoten[-1]
            gLam = np.zeros_like(ende.lam)
            if j + 1 < N:
                art = self.typen[:, j + 1]
                gLam[zeilen, art] = -self.istEreignis[:, j] / ende.lam[zeilen, art] / self.nEreignisse
            gh = gh + self.rueckIntensitaet(ende, gLam)
            self.rueckZerfall(iv, ende, gh, gcEnde, acc)
            # Integralterm
            for k, w in zip(iv.knoten[:-1], self.w):
                gInt = np.broadcast_to(w * dt / self.nEreignisse, k.lam.shape)
                self.rueckZerfall(iv, k, self.rueckIntensitaet(k, gInt), 0.0, acc)
            gh, gcEnde, gcqEnde = self.rueckAktualisierung(iv, acc)
        return self.G


def make(Target, rng, N=4, B=3, H=4, D=3, K=3, Q=3):
    def n(sd, *shape):
        return rng.normal(0.0, sd, size=shape)

    p = dict(Emb=n(1.0, K + 1, D), Wx=n(0.7, D, 7 * H), Wh=n(0.8, H, 7 * H), b=n(0.4, 7 * H),
             Wl=n(1.2, H, K), bl=n(0.4, K), logS=n(0.4, K), logRate=n(0.3, H))
    laenge = rng.integers(max(1, N - 2), N + 1, size=B)
    laenge[-1] = max(1, N - 1)
    laenge[0] = N
    # Spalte 0 ist der Startmarker (Typ K); Auffuellung hat Dauer 0
    typen = np.concatenate([np.full((B, 1), K), rng.integers(0, K, size=(B, N))], axis=1)
    j = np.arange(N + 1)
    dauer = rng.exponential(0.9, size=(B, N + 1)) + 0.15
    dauer = np.where(j <= laenge[:, None], dauer, 0.0)
    istEreignis = (j < laenge[:, None]).astype(float)
    modell = Hawkes(p, typen, dauer, istEreignis, Q)
    return Target(p, lambda: float(modell.vorwaerts()[0]), modell.rueckwaerts)


BUGS = {
    "zerfall-quer-vergessen": ("acc[\"cq\"] += gc * (1 - k.e)", "acc[\"cq\"] += gc"),
    "skala-nur-aeussere-ableitung": ("(gLam * (softplus(k.a) - k.a * sigm(k.a))).sum(0)", "(gLam * softplus(k.a)).sum(0)"),
    "maske-beim-ereignis-fehlt": ("gLam[zeilen, art] = -self.istEreignis[:, j] / ende.lam", "gLam[zeilen, art] = -1.0 / ende.lam"),
    "gewicht-ohne-dauer": ("np.broadcast_to(w * dt / self.nEreignisse, k.lam.shape)", "np.broadcast_to(w / self.nEreignisse, k.lam.shape)"),
    "kandidat-ohne-querzweig": ("\"kand\": gc * g[\"ein\"] + gcq * g[\"einQ\"],", "\"kand\": gc * g[\"ein\"],"),
    "vergiss-mit-neuer-zelle": ("\"vergiss\": gc * iv.cVor,", "\"vergiss\": gc * iv.c,"),
    "delta-wie-sigmoid": ("teile.append(dGate[name] * (1 - np.exp(-y)))", "teile.append(dGate[name] * sigm(y))"),
    "uebertrag-quer-verloren": ("acc[\"cq\"] = gcqEnde.copy()", "acc[\"cq\"] = np.zeros_like(gcqEnde)"),
}
PAIRS = [
    ("zerfall-quer-vergessen", "skala-nur-aeussere-ableitung"),
    ("maske-beim-ereignis-fehlt", "kandidat-ohne-querzweig"),
    ("gewicht-ohne-dauer", "vergiss-mit-neuer-zelle"),
    ("delta-wie-sigmoid", "uebertrag-quer-verloren"),
    ("skala-nur-aeussere-ableitung", "gewicht-ohne-dauer"),
    ("vergiss-mit-neuer-zelle", "delta-wie-sigmoid"),
]
