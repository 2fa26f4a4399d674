# Quasi-RNN (Bradbury et al. 2016) mit fo-Pooling, Zoneout und dichten Verbindungen: jede Schicht sieht die Einbettung und alle
# Schichten darunter.  Alles liegt als (Zeit, Stapel, Einheit) in Puffern; die Schleifen schreiben mit out=, ohne Zwischenfelder.
# Spalten der Faltung: z | f | o.   Zoneout: wo die Maske 0 ist, bleibt die Zelle stehen (f = 1).
import numpy as np

FENSTER = 2


def sigmoide(a, out=None):
    out = np.negative(a, out=out)
    np.exp(out, out=out)
    out += 1
    return np.reciprocal(out, out=out)


def schicht_vor(x, W, b, c0, maske):
    T, B, _ = x.shape
    H = c0.shape[0]
    a = np.empty((T, B, 3 * H))
    a[...] = b
    for k in range(FENSTER):
        a[k:] += x[:T - k] @ W[k]
    z, o = np.tanh(a[:, :, :H]), sigmoide(a[:, :, 2 * H:])
    s = sigmoide(a[:, :, H:2 * H])
    f = 1 - maske * (1 - s)
    c = np.empty((T + 1, B, H))
    c[0] = c0
    rest = np.empty((B, H))
    for t in range(T):
        np.multiply(f[t], c[t], out=c[t + 1])
        np.subtract(1, f[t], out=rest)
        rest *= z[t]
        c[t + 1] += rest
    return o * c[1:], dict(x=x, z=z, f=f, s=s, o=o, c=c, maske=maske)


def schicht_zurueck(dh, merk, W, dW, db, dc0):
    """Addiert auf dW, db, dc0 und gibt dx zurueck."""
    x, z, f, s, o, c, maske = (merk[k] for k in ("x", "z", "f", "s", "o", "c", "maske"))
    T, B, H = z.shape
    da = np.empty((T, B, 3 * H))
    dz, df, do = da[:, :, :H], da[:, :, H:2 * H], da[:, :, 2 * H:]
    dc = np.zeros((T + 1, B, H))
    np.multiply(dh, o, out=dc[1:])
    np.multiply(dh, c[1:], out=do)
    puffer = np.empty((B, H))
    for t in reversed(range(T)):
        np.subtract(c[t], z[t], out=df[t])
        df[t] *= dc[t + 1]
        np.subtract(1, f[t], out=dz[t])
        dz[t] *= dc[t + 1]
        np.multiply(dc[t + 1], f[t], out=puffer)
        dc[t] += puffer
    dc0 += dc[0].sum(axis=0)
    # durch die Nichtlinearitaeten
    dz *= 1 - z * z
    df *= maske
    df *= s * (1 - s)
    do *= o * (1 - o)
    db += da.sum(axis=(0, 1))
    dx = np.zeros_like(x)
    for k in range(FENSTER):
        dW[k] += np.tensordot(x[:T - k], da[k:], axes=((0, 1), (0, 1)))
        dx[:T - k] += da[k:] @ W[k].T
    return dx


class Sprachmodell:
    def __init__(self, rng, V, D, H, schichten):
        n = lambda *form: rng.normal(0, 0.7, form)
        self.H, self.schichten = H, schichten
        self.p = {"E": n(V, D), "aus": n(D + schichten * H, V), "b_aus": n(V)}
        for l in range(schichten):
            self.p[f"W{l}"], self.p[f"b{l}"], self.p[f"c0_{l}"] = n(FENSTER, D + l * H, 3 * H), n(3 * H), n(H)

    def vor(self, woerter, ziele, gewicht, masken):
        p = self.p
        x, merk = p["E"][woerter], []
        for l, maske in enumerate(masken):
            h, m = schicht_vor(x, p[f"W{l}"], p[f"b{l}"], p[f"c0_{l}"], maske)
            merk.append(m)
            x = np.concatenate([x, h], axis=2)
        logits = x @ p["aus"] + p["b_aus"]
        logits -= logits.max(axis=2, keepdims=True)
        logp = logits - np.log(np.exp(logits).sum(axis=2, keepdims=True))
        treffer = np.take_along_axis(logp, ziele[:, :, None], axis=2)[:, :, 0]
        return -float((gewicht * treffer).sum() / gewicht.sum()), (x, logp, merk)

    def zurueck(self, woerter, ziele, gewicht, masken):
        p, g = self.p, {k: np.zeros_like(v) for k, v in self.p.items()}
        _, (x, logp, merk) = self.vor(woerter, ziele, gewicht, masken)
        dl = np.exp(logp)
        t, b = np.indices(ziele.shape)
        dl[t, b, ziele] -= 1
        dl *= (gewicht / gewicht.sum())[:, :, None]
        g["aus"] += np.einsum("tbi,tbv->iv", x, dl)
        g["b_aus"] += np.einsum("tbv->v", dl)
        dx = dl @ p["aus"].T
        for l, m in list(enumerate(merk))[::-1]:
            breite = m["x"].shape[2]
            dh, dx = dx[:, :, breite:], dx[:, :, :breite]
            dx = dx + schicht_zurueck(dh, m, p[f"W{l}"], g[f"W{l}"], g[f"b{l}"], g[f"c0_{l}"])
        np.add.at(g["E"], woerter, dx)
        return g


def make(Target, rng, T=4, B=2, D=2, H=2, V=3, L=2):
    if V < 2:
        raise ValueError("mindestens zwei Woerter")
    modell = Sprachmodell(rng, V, D, H, L)
    woerter, ziele = rng.integers(0, V, (T, B)), rng.integers(0, V, (T, B))
    gewicht = rng.uniform(0.5, 1.5, (T, B))
    masken = [(rng.random((T, B, H)) < 0.75).astype(float) for _ in range(L)]
    args = woerter, ziele, gewicht, masken
    return Target(modell.p, lambda: modell.vor(*args)[0], lambda: modell.zurueck(*args))


BUGS = {
    "zoneout-maske-im-rueckweg": ("df *= maske", "pass"),
    "zellgradient-nicht-weitergereicht": ("dc[t] += puffer", "pass"),
    "summe-der-anfangszelle": ("dc0 += dc[0].sum(axis=0)", "dc0 += dc[0].mean(axis=0)"),
    "alte-zelle-durch-neue": ("np.subtract(c[t], z[t], out=df[t])", "np.subtract(c[t + 1], z[t], out=df[t])"),
    "faltung-ohne-versatz": ("dx[:T - k] += da[k:] @ W[k].T", "dx[k:] += da[k:] @ W[k].T"),
    "dichte-verbindung-vergessen": ("dx = dx + schicht_zurueck(", "dx = schicht_zurueck("),
    "tor-vor-dem-zoneout": ("np.subtract(1, f[t], out=dz[t])", "np.subtract(1, s[t], out=dz[t])"),
    "doppelte-woerter-nur-einmal": ('np.add.at(g["E"], woerter, dx)', 'g["E"][woerter] += dx'),
}

PAIRS = [("zoneout-maske-im-rueckweg", "faltung-ohne-versatz"), ("alte-zelle-durch-neue", "doppelte-woerter-nur-einmal")]
