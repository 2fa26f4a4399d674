# RNN unitaire complexe (Arjovsky, Shah, Bengio) en arithmétique réelle.
#
#   h <- squash( D2 R2 F^-1 P D1 R1 F h  +  x W )
#
# un nombre complexe = paire (re, im) sur le premier axe :  h.shape == (2, lot, n)
# tout est une liste de paires (avant, arriere) :
#     avant(p, h, *args)          -> h', memo
#     arriere(p, g, dh', memo, *args) -> dh        (g : gradients, accumulés)
# L'adjoint d'une application unitaire est son inverse, donc presque tout se fait à l'envers.
import functools as ft
import itertools as it
import numpy as np

EPS2 = 0.05          # lissage du module, sinon le gradient explose en 0

re_im = lambda c: np.stack([c.real, c.imag])
cplx = lambda h: h[0] + 1j * h[1]


def cmul(a, b):
    return np.stack([a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]])


def conj(a):
    return np.stack([a[0], -a[1]])


# --- phases : h_k * exp(i theta_k) ------------------------------------------------
def phase_av(p, h, nom):
    r = np.stack([np.cos(p[nom]), np.sin(p[nom])])
    y = cmul(h, r[:, None])
    return y, (r, y)


def phase_ar(p, g, d, memo, nom):
    r, y = memo
    g[nom] += (d[1] * y[0] - d[0] * y[1]).sum(0)
    return cmul(d, conj(r)[:, None])


# --- réflexion de Householder : h - 2 v <v,h> / |v|^2 -----------------------------
def reflet_av(p, h, nom):
    v = p[nom]
    nn = (v ** 2).sum()
    s = cmul(conj(v)[:, None], h).sum(-1)             # <v,h>, (2, lot)
    return h - 2 / nn * cmul(s[..., None], v[:, None]), (h, s, nn)


def reflet_ar(p, g, d, memo, nom):
    h, s, nn = memo
    v = p[nom]
    ds = cmul(conj(v)[:, None], d).sum(-1)            # <v,d>
    k = -2 / nn
    g[nom] += k * cmul(d, conj(s)[..., None]).sum(1)
    g[nom] += k * cmul(h, conj(ds)[..., None]).sum(1)
    g[nom] += 4 / nn ** 2 * (s * ds).sum() * v
    return d + k * cmul(ds[..., None], v[:, None])


# --- Fourier et permutation (rien à apprendre) --------------------------------------
def four_av(p, h, sens):
    f = np.fft.fft if sens > 0 else np.fft.ifft
    return re_im(f(cplx(h), axis=-1, norm="ortho")), None


def four_ar(p, g, d, memo, sens):
    f = np.fft.ifft if sens > 0 else np.fft.fft
    return re_im(f(cplx(d), axis=-1, norm="ortho"))


def perm_av(p, h):
    ordre = np.roll(np.arange(h.shape[-1]), 1)
    return h[..., ordre], ordre


def perm_ar(p, g, d, ordre):
    return d[..., np.argsort(ordre)]


# --- entrée : + x W, x complexe aussi --------------------------------------------------
def entree_av(p, h, x):
    (a, b), (wr, wi) = x, p["W"]
    return h + np.stack([a @ wr - b @ wi, a @ wi + b @ wr]) + p["c"][:, None], x


def entree_ar(p, g, d, memo, x):
    a, b = memo
    g["W"][0] += a.T @ d[0] + b.T @ d[1]
    g["W"][1] += a.T @ d[1] - b.T @ d[0]
    g["c"] += d.sum(1)
    return d


# --- non-linéarité : on écrase le module, on garde la phase -------------------------------
def squash_av(p, h):
    r = np.sqrt((h ** 2).sum(0) + EPS2)
    q = np.tanh(r + p["b"])
    return h * (q / r), (h, r, q)


def squash_ar(p, g, d, memo):
    h, r, q = memo
    proj = (d * h).sum(0)                                     # Re(conj(h) d)
    dq = proj / r
    dr = -proj * q / r ** 2
    da = dq * (1 - q * q)
    g["b"] += da.sum(0)
    return d * (q / r) + h * ((da + dr) / r)


FOURIER, REFLET, PHASE = (four_av, four_ar), (reflet_av, reflet_ar), (phase_av, phase_ar)


def pipeline(x):
    return [(FOURIER, (+1,)), (REFLET, ("v1",)), (PHASE, ("th1",)), ((perm_av, perm_ar), ()),
            (FOURIER, (-1,)), (REFLET, ("v2",)), (PHASE, ("th2",)),
            ((entree_av, entree_ar), (x,)), ((squash_av, squash_ar), ())]


def avancer(p, h, etapes):
    def un(acc, etape):
        (av, _), args = etape
        y, memo = av(p, acc[0], *args)
        return y, acc[1] + [memo]
    return ft.reduce(un, etapes, (h, []))


def reculer(p, g, d, etapes, memos):
    for ((_, ar), args), memo in zip(etapes[::-1], memos[::-1]):
        d = ar(p, g, d, memo, *args)
    return d


# --- lecture : re, im et puissance |h|^2 -> scores -> softmax ----------------------------------
def lire(p, h, cible):
    s = h[0] @ p["U_re"] + h[1] @ p["U_im"] + (h ** 2).sum(0) @ p["U_pow"] + p["u"]
    s = s - s.max(1, keepdims=True)
    logp = s - np.log(np.exp(s).sum(1, keepdims=True))
    return -logp[np.arange(len(cible)), cible].mean(), logp


def lire_ar(p, g, h, logp, cible, poids):
    ds = np.exp(logp)
    ds[np.arange(len(cible)), cible] -= 1
    ds *= poids / len(cible)
    g["U_re"] += h[0].T @ ds
    g["U_im"] += h[1].T @ ds
    g["U_pow"] += (h ** 2).sum(0).T @ ds
    g["u"] += ds.sum(0)
    return np.stack([ds @ p["U_re"].T, ds @ p["U_im"].T]) + 2 * h * (ds @ p["U_pow"].T)


def tout(p, xs, cibles, oubli, avec_gradient):
    T = len(xs)
    poids = oubli ** np.arange(T)[::-1]                     # les derniers pas comptent le plus
    h = np.repeat(p["h0"][:, None], xs.shape[2], axis=1)
    perte, trace = 0.0, []
    for t, x in enumerate(xs):
        h, memos = avancer(p, h, pipeline(x))
        cout, logp = lire(p, h, cibles[t])
        perte += poids[t] * cout
        trace.append((pipeline(x), memos, h, logp))
    if not avec_gradient:
        return float(perte)
    g = {k: np.zeros_like(v) for k, v in p.items()}
    d = np.zeros_like(h)
    for t, (etapes, memos, h, logp) in zip(it.count(T - 1, -1), reversed(trace)):
        d = d + lire_ar(p, g, h, logp, cibles[t], poids[t])
        d = reculer(p, g, d, etapes, memos)
    g["h0"] += d.sum(1)
    return g


def make(Target, rng, T=4, B=3, N=5, D=2, K=3):
    n = lambda *s: rng.standard_normal(s)
    p = dict(h0=n(2, N), W=n(2, D, N), c=.3 * n(2, N), v1=n(2, N), v2=n(2, N),
             th1=rng.uniform(-np.pi, np.pi, N), th2=rng.uniform(-np.pi, np.pi, N), b=.5 * n(N),
             U_re=n(N, K), U_im=n(N, K), U_pow=n(N, K), u=.3 * n(K))
    xs, cibles = n(T, 2, B, D), rng.integers(K, size=(T, B))
    f = ft.partial(tout, p, xs, cibles, .85)
    return Target(p, lambda: f(False), lambda: f(True))


BUGS = {
    "phase-conjugue-oublie": ("return cmul(d, conj(r)[:, None])", "return cmul(d, r[:, None])"),
    "reflet-norme-de-v-au-carre": ("g[nom] += 4 / nn ** 2 * (s * ds).sum() * v", "g[nom] += 4 / nn * (s * ds).sum() * v"),
    "reflet-conjugue-du-mauvais": ("g[nom] += k * cmul(h, conj(ds)[..., None]).sum(1)", "g[nom] += k * cmul(conj(h), ds[..., None]).sum(1)"),
    "fourier-adjoint-meme-sens": ("f = np.fft.ifft if sens > 0 else np.fft.fft", "f = np.fft.fft if sens > 0 else np.fft.ifft"),
    "permutation-pas-inversee": ("return d[..., np.argsort(ordre)]", "return d[..., ordre]"),
    "entree-signe-partie-imaginaire": ("g[\"W\"][1] += a.T @ d[1] - b.T @ d[0]", "g[\"W\"][1] += a.T @ d[1] + b.T @ d[0]"),
    "squash-dr-perdu": ("return d * (q / r) + h * ((da + dr) / r)", "return d * (q / r) + h * (da / r)"),
    "puissance-facteur-deux": ("+ 2 * h * (ds @ p[\"U_pow\"].T)", "+ h * (ds @ p[\"U_pow\"].T)"),
}
PAIRS = [
    ("phase-conjugue-oublie", "entree-signe-partie-imaginaire"),
    ("reflet-norme-de-v-au-carre", "squash-dr-perdu"),
    ("reflet-conjugue-du-mauvais", "puissance-facteur-deux"),
    ("fourier-adjoint-meme-sens", "reflet-norme-de-v-au-carre"),
    ("permutation-pas-inversee", "squash-dr-perdu"),
    ("entree-signe-partie-imaginaire", "puissance-facteur-deux"),
]
