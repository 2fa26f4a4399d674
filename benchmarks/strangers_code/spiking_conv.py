# Faltungs-LIF-Netz mit glatten Spikes (Sigmoid statt Heaviside), adaptiver Schwelle und
# Poisson-Auslese.  Masterarbeit Kap. 4, Anhang B.  Alles auf vorallokierten Puffern [t], t=0 ist der
# Anfangszustand, d.h. Eingang x[t] erzeugt den Zustand t+1.
#
#   I[t+1] = conv(x[t]) + Q s[t] + b
#   V[t+1] = al*V[t]*(1-s[t]) + (1-al)*I[t+1]           Reset: Membran wird mit (1-s) geloescht
#   A[t+1] = rho*A[t] + (1-rho)*s[t]                    Ermuedung
#   s[t+1] = sigma( k*(V[t+1] - th0 - be*A[t+1]) )
#   U[t+1] = ka*U[t] + Wo (m .* pool(s[t+1])) + bo      Auslese, Rate = softplus(U)
import numpy as np
from types import SimpleNamespace

ZIELRATE  = 0.3
REG       = 2.0

def sigma(a):
    return 1./(1.+np.exp(-a))

def im2col(x, K):
    """x: (B,C,L) -> (B, C*K, L), 'same'-Rand mit Nullen"""
    B, C, L = x.shape
    links = (K-1)//2
    xp = np.zeros((B, C, L+K-1))
    xp[:, :, links:links+L] = x
    spalten = np.empty((B, C, K, L))
    for j in range(K):
        spalten[:, :, j] = xp[:, :, j:j+L]
    return spalten.reshape(B, C*K, L)

def col2im(dspalten, C, K):
    """Transponierte von im2col"""
    B, _, L = dspalten.shape
    links = (K-1)//2
    dsp = dspalten.reshape(B, C, K, L)
    dxp = np.zeros((B, C, L+K-1))
    for j in range(K):
        dxp[:, :, j:j+L] += dsp[:, :, j]
    return dxp[:, :, links:links+L]

def vorwaerts(p, x, zaehl, maske, gew):
    T, B, C, L = x.shape
    F, K = p['Wc'].shape[0], p['Wc'].shape[2]
    O = zaehl.shape[-1]
    z = SimpleNamespace()
    # Vorverarbeitung: Kontrastnormierung pro Kanal mit gelernter Verstaerkung, dann tanh
    z.xs  = np.tanh(x*p['gain'][:, None] + p['off'][:, None])
    z.col = np.empty((T, B, C*K, L))
    z.V   = np.zeros((T+1, B, F, L));  z.V[0] = p['V0'][:, None]
    z.A   = np.zeros((T+1, B, F, L))
    z.s   = np.zeros((T+1, B, F, L))
    z.I   = np.zeros((T+1, B, F, L))
    z.U   = np.zeros((T+1, B, O))
    z.pool= np.zeros((T+1, B, F))
    z.al, z.rho, z.ka, z.k = sigma(p['al_roh'])[:, None], sigma(p['rho_roh'])[:, None], sigma(p['ka_roh']), np.exp(p['lk'])[:, None]
    th0, be = p['th0'][:, None], p['be'][:, None]
    Wm = p['Wc'].reshape(F, C*K)
    z.s[0] = sigma(z.k*(z.V[0] - th0))
    for t in range(T):
        z.col[t] = im2col(z.xs[t], K)
        z.I[t+1] = Wm @ z.col[t] + p['Q'] @ z.s[t] + p['b'][:, None]
        z.V[t+1] = z.al*z.V[t]*(1-z.s[t]) + (1-z.al)*z.I[t+1]
        z.A[t+1] = z.rho*z.A[t] + (1-z.rho)*z.s[t]
        z.s[t+1] = sigma(z.k*(z.V[t+1] - th0 - be*z.A[t+1]))
        z.pool[t+1] = z.s[t+1] @ gew                      # gewichtete Mittelung ueber den Ort
        z.U[t+1] = z.ka*z.U[t] + (maske[t]*z.pool[t+1]) @ p['Wo'].T + p['bo']
    rate = np.logaddexp(0, z.U[1:])
    E  = np.sum(rate - zaehl*np.log(rate))/(T*B)
    z.mittel = z.s[1:].mean(axis=(0, 1, 3))
    E += REG*np.sum((z.mittel - ZIELRATE)**2)
    return float(E), z

def rueckwaerts(p, x, zaehl, maske, gew, z):
    T, B, C, L = x.shape
    F, K = p['Wc'].shape[0], p['Wc'].shape[2]
    g = {n: np.zeros_like(w) for n, w in p.items()}
    al, rho, ka, k = z.al, z.rho, z.ka, z.k
    th0, be = p['th0'][:, None], p['be'][:, None]
    Wm = p['Wc'].reshape(F, C*K)
    gWm = np.zeros_like(Wm)
    gal = np.zeros(F);  grho = np.zeros(F);  gka = np.zeros_like(ka)
    # dE/dU fuer alle Zeiten auf einmal
    rate = np.logaddexp(0, z.U[1:])
    gUdir = (1 - zaehl/rate)*sigma(z.U[1:])/(T*B)
    gReg = 2*REG*(z.mittel - ZIELRATE)/(T*B*L)
    gV = np.zeros((B, F, L));  gA = np.zeros((B, F, L));  gs = np.zeros((B, F, L))
    gU = np.zeros_like(z.U[0])
    gxs = np.zeros_like(z.xs)
    for t in range(T-1, -1, -1):
        # -- Auslese
        gU  = gU + gUdir[t]
        g['Wo'] += gU.T @ (maske[t]*z.pool[t+1])
        g['bo'] += gU.sum(0)
        gka += (gU*z.U[t]).sum(0)
        gpool = (gU @ p['Wo'])*maske[t]
        gU  = gU*ka
        # -- Spike
        gs  = gs + gpool[:, :, None]*gew + gReg[:, None]
        sn  = z.s[t+1]
        ga  = gs*sn*(1-sn)                                # nach dem Argument der Sigmoide
        arg = z.V[t+1] - th0 - be*z.A[t+1]
        g['lk']  += (ga*arg*k).sum((0, 2))
        g['th0'] -= (ga*k).sum((0, 2))
        g['be']  -= (ga*k*z.A[t+1]).sum((0, 2))
        gV  = gV + ga*k
        gA  = gA - ga*k*be
        # -- Membran
        gal += (gV*(z.V[t]*(1-z.s[t]) - z.I[t+1])).sum((0, 2))
        gI  = gV*(1-al)
        gs  = -gV*al*z.V[t]
        gV  = gV*al*(1-z.s[t])
        # -- Ermuedung
        grho += (gA*(z.A[t] - z.s[t])).sum((0, 2))
        gs  += gA*(1-rho)
        gA  = gA*rho
        # -- Strom
        gWm += np.einsum('bfl,bcl->fc', gI, z.col[t])
        g['Q'] += np.einsum('bfl,bgl->fg', gI, z.s[t])
        g['b'] += gI.sum((0, 2))
        gs  += p['Q'].T @ gI
        gxs[t] = col2im(Wm.T @ gI, C, K)
    # Anfangszustand: s[0] haengt von V0, th0 und k ab (A[0] = 0)
    ga0 = gs*z.s[0]*(1-z.s[0])
    g['lk']  += (ga0*(z.V[0] - th0)*k).sum((0, 2))
    g['th0'] -= (ga0*k).sum((0, 2))
    g['V0']  += (gV + ga0*k).sum((0, 2))
    g['Wc']  += gWm.reshape(F, C, K)
    g['al_roh']  += gal*(al*(1-al))[:, 0]
    g['rho_roh'] += grho*(rho*(1-rho))[:, 0]
    g['ka_roh']  += gka*ka*(1-ka)
    gpre = gxs*(1-z.xs**2)
    g['gain'] += (gpre*x).sum((0, 1, 3))
    g['off']  += gpre.sum((0, 1, 3))
    return g

def make(Target, rng, T=6, B=3, kanaele=2, laenge=5, filter=4, kern=3, ausgaenge=2):
    n = rng.normal
    p = {
        'gain': n(1, .4, kanaele), 'off': n(0, .3, kanaele),
        'Wc': n(0, 1.2, (filter, kanaele, kern)), 'b': n(.5, .5, filter), 'Q': n(0, 1., (filter, filter)),
        'V0': n(.3, .6, filter), 'al_roh': n(.3, .7, filter), 'rho_roh': n(.5, .7, filter),
        'th0': n(.3, .3, filter), 'be': n(1., .5, filter), 'lk': n(.8, .25, filter),
        'Wo': n(0, 1.2, (ausgaenge, filter)), 'bo': n(0, .4, ausgaenge), 'ka_roh': n(.2, .6, ausgaenge),
    }
    x      = n(0, 1, (T, B, kanaele, laenge))
    zaehl  = rng.poisson(1.5, (T, B, ausgaenge)).astype(float)
    maske  = (rng.random((T, B, filter)) < .8)/.8         # Dropout, fest vorgegeben
    gew    = rng.uniform(.5, 1.5, laenge);  gew /= gew.sum()
    daten  = (x, zaehl, maske, gew)
    return Target(p, lambda: vorwaerts(p, *daten)[0], lambda: rueckwaerts(p, *daten, vorwaerts(p, *daten)[1]))


BUGS = {
    'reset-gradient-sign': ("gs  = -gV*al*z.V[t]", "gs  = gV*al*z.V[t]"),
    'fatigue-leak-complement-lost': ("gs  += gA*(1-rho)", "gs  += gA"),
    'lateral-not-transposed': ("gs  += p['Q'].T @ gI", "gs  += p['Q'] @ gI"),
    'dropout-mask-off-by-one': ("gpool = (gU @ p['Wo'])*maske[t]", "gpool = (gU @ p['Wo'])*maske[t-1]"),
    'regulariser-wrong-divisor': ("gReg = 2*REG*(z.mittel - ZIELRATE)/(T*B*L)", "gReg = 2*REG*(z.mittel - ZIELRATE)/(T*B*F)"),
    'col2im-overwrites': ("dxp[:, :, j:j+L] += dsp[:, :, j]", "dxp[:, :, j:j+L] = dsp[:, :, j]"),
    'poisson-missing-link-derivative': ("gUdir = (1 - zaehl/rate)*sigma(z.U[1:])/(T*B)", "gUdir = (1 - zaehl/rate)/(T*B)"),
    'initial-spike-path-lost': ("g['V0']  += (gV + ga0*k).sum((0, 2))", "g['V0']  += gV.sum((0, 2))"),
}
PAIRS = [
    ('reset-gradient-sign', 'lateral-not-transposed'),
    ('fatigue-leak-complement-lost', 'col2im-overwrites'),
    ('dropout-mask-off-by-one', 'regulariser-wrong-divisor'),
    ('poisson-missing-link-derivative', 'initial-spike-path-lost'),
    ('col2im-overwrites', 'reset-gradient-sign'),
    ('initial-spike-path-lost', 'fatigue-leak-complement-lost'),
]
