"""Segment-Rekurrenz a la Transformer-XL, ABER ohne stop-gradient: der Speicher wird
   weich ueberschrieben (mem <- lam*mem + (1-lam)*h) und es wird durch alle Segmente zurueckgerechnet.

   Indizes:  b Batch | l Query-Position | m Key-Position (Speicher+Segment) | h Kopf | e Kopfdim | d Modelldim
"""
import numpy as np
ein = np.einsum
MINUS_UNENDLICH = -1e9


def ln_vor(x, g, b, eps=1e-2):
    xc = x - x.mean(-1, keepdims=True)
    r = 1 / np.sqrt((xc * xc).mean(-1, keepdims=True) + eps)
    n = xc * r
    return n * g + b, (n, r, g)


def ln_rueck(dy, merk):
    n, r, g = merk
    dg = ein('bld,bld->d', dy, n)
    db = ein('bld->d', dy)
    dn = dy * g
    dx = r * (dn - dn.mean(-1, keepdims=True) - n * (dn * n).mean(-1, keepdims=True))
    return dx, dg, db


sig = lambda x: 1 / (1 + np.exp(-x))


def maske_und_abstand(L):
    l, m = np.arange(L)[:, None], np.arange(2 * L)[None, :]
    abst = l + L - m                     # >= 0 : erlaubt
    return abst >= 0, np.clip(abst, 0, 2 * L - 1)


def segment_vor(p, roh, mem, gueltig, kausal, abst):
    c = {}
    L = roh.shape[1]
    sk = p['Wq'].shape[2] ** -0.5
    x = roh @ p['Win']
    n, c['ln1'] = ln_vor(np.concatenate([mem, x], 1), p['g1'], p['b1'])
    q = ein('bld,dhe->blhe', n[:, L:], p['Wq'])
    k = ein('bmd,dhe->bmhe', n, p['Wk'])
    v = ein('bmd,dhe->bmhe', n, p['Wv'])
    qu = q + p['u']
    s = ein('blhe,bmhe->bhlm', qu, k) * sk + p['rel'][:, abst]
    erlaubt = kausal[None, None] & gueltig[:, None, None, :]
    s = np.where(erlaubt, s, MINUS_UNENDLICH)
    a = np.exp(s - s.max(-1, keepdims=True))
    a /= a.sum(-1, keepdims=True)
    o = ein('bhlm,bmhe->blhe', a, v)
    y = x + ein('blhe,hed->bld', o, p['Wo'])
    z, c['ln2'] = ln_vor(y, p['g2'], p['b2'])
    f = z @ p['W1'] + p['c1']
    sf = sig(f)
    h = y + (f * sf) @ p['W2'] + p['c2']
    lam = sig(p['zerfall'])
    neu = lam * mem + (1 - lam) * h
    c.update(roh=roh, mem=mem, n=n, q=q, k=k, v=v, a=a, o=o, z=z, f=f, sf=sf, h=h, lam=lam, sk=sk)
    return h, neu, c


def segment_rueck(p, d, c, dh, dneu, abst):
    L = dh.shape[1]
    lam, a, sk, n = c['lam'], c['a'], c['sk'], c['n']
    # --- Speicher
    d['zerfall'] += (dneu * (c['mem'] - c['h'])).sum((0, 1)) * lam * (1 - lam)
    dh = dh + (1 - lam) * dneu
    dmem = lam * dneu
    # --- FFN
    akt = c['f'] * c['sf']
    d['W2'] += ein('blf,bld->fd', akt, dh)
    d['c2'] += dh.sum((0, 1))
    df = (dh @ p['W2'].T) * c['sf'] * (1 + c['f'] * (1 - c['sf']))
    d['W1'] += ein('bld,blf->df', c['z'], df)
    d['c1'] += df.sum((0, 1))
    dy, dg, db = ln_rueck(df @ p['W1'].T, c['ln2'])
    d['g2'] += dg
    d['b2'] += db
    dy = dy + dh
    # --- Aufmerksamkeit
    d['Wo'] += ein('blhe,bld->hed', c['o'], dy)
    do = ein('bld,hed->blhe', dy, p['Wo'])
    dv = ein('bhlm,blhe->bmhe', a, do)
    da = ein('blhe,bmhe->bhlm', do, c['v'])
    ds = a * (da - (a * da).sum(-1, keepdims=True))
    np.add.at(d['rel'], (slice(None), abst), ds.sum(0))
    dq = ein('bhlm,bmhe->blhe', ds, c['k']) * sk
    dk = ein('bhlm,blhe->bmhe', ds, c['q'] + p['u']) * sk
    d['u'] += dq.sum((0, 1))
    d['Wq'] += ein('bld,blhe->dhe', n[:, L:], dq)
    d['Wk'] += ein('bmd,bmhe->dhe', n, dk)
    d['Wv'] += ein('bmd,bmhe->dhe', n, dv)
    dn = ein('bmhe,dhe->bmd', dk, p['Wk']) + ein('bmhe,dhe->bmd', dv, p['Wv'])
    dn[:, L:] += ein('blhe,dhe->bld', dq, p['Wq'])
    dcat, dg, db = ln_rueck(dn, c['ln1'])
    d['g1'] += dg
    d['b1'] += db
    dx = dy + dcat[:, L:]
    dmem = dmem + dcat[:, :L]
    d['Win'] += ein('blr,bld->rd', c['roh'], dx)
    return dmem


def vorwaerts(p, X, Y, w, da):
    S, B, L, _ = X.shape
    kausal, abst = maske_und_abstand(L)
    mem = np.repeat(p['mem0'][None], B, 0)
    vorher = np.ones((B, L), bool)
    summe, alles = 0., []
    for s in range(S):
        h, mem, c = segment_vor(p, X[s], mem, np.hstack([vorher, da[s]]), kausal, abst)
        fehler = h @ p['Wy'] + p['by'] - Y[s]
        summe += (w[s] * np.log(np.cosh(fehler)).sum(-1)).sum()      # log-cosh, robust
        c['fehler'] = fehler
        alles.append(c)
        vorher = da[s]
    return summe / w.sum(), alles


def rueckwaerts(p, alles, w, L, B):
    d = {k: np.zeros_like(v) for k, v in p.items()}
    _, abst = maske_und_abstand(L)
    dmem = np.zeros((B, L, p['mem0'].shape[1]))
    for s in reversed(range(len(alles))):
        c = alles[s]
        dout = np.tanh(c['fehler']) * w[s][..., None] / w.sum()
        d['Wy'] += ein('bld,blr->dr', c['h'], dout)
        d['by'] += dout.sum((0, 1))
        dmem = segment_rueck(p, d, c, dout @ p['Wy'].T, dmem, abst)
    d['mem0'] += dmem.sum(0)
    return d


def make(Target, rng, S=3, B=2, L=3, H=2, E=3, D=5, F=4, R=2):
    N = lambda *form, st=.6: rng.normal(0, st, form)
    p = dict(Win=N(R, D, st=.9), mem0=N(L, D), Wq=N(D, H, E), Wk=N(D, H, E), Wv=N(D, H, E), u=N(H, E),
             rel=N(H, 2 * L), Wo=N(H, E, D), g1=rng.uniform(.6, 1.5, D), b1=N(D, st=.3),
             g2=rng.uniform(.6, 1.5, D), b2=N(D, st=.3), W1=N(D, F), c1=N(F, st=.4), W2=N(F, D), c2=N(D, st=.3),
             zerfall=N(D), Wy=N(D, R), by=N(R, st=.3))
    X, Y = rng.normal(size=(S, B, L, R)), rng.normal(size=(S, B, L, R))
    da = rng.random((S, B, L)) < .75     # beobachtet?
    da[:, :, 0] = True
    w = np.where(da, rng.uniform(.5, 1.5, (S, B, L)), 0.)

    def loss():
        return float(vorwaerts(p, X, Y, w, da)[0])

    def grads():
        return rueckwaerts(p, vorwaerts(p, X, Y, w, da)[1], w, L, B)

    return Target(p, loss, grads)


BUGS = {
    "relbias-repeated-index-lost": ("np.add.at(d['rel'], (slice(None), abst), ds.sum(0))", "d['rel'][:, abst] += ds.sum(0)"),
    "memory-decay-carry-lost": ("dmem = dmem + dcat[:, :L]", "dmem = dcat[:, :L]"),
    "scale-lost-in-dq": ("dq = ein('bhlm,bmhe->blhe', ds, c['k']) * sk", "dq = ein('bhlm,bmhe->blhe', ds, c['k'])"),
    "layernorm-mean-term-lost": ("dx = r * (dn - dn.mean(-1, keepdims=True) - n *", "dx = r * (dn - n *"),
    "softmax-sum-over-queries": ("(a * da).sum(-1, keepdims=True)", "(a * da).sum(-2, keepdims=True)"),
    "content-bias-missing-in-dk": ("ds, c['q'] + p['u']) * sk", "ds, c['q']) * sk"),
    "silu-derivative-like-sigmoid": ("c['sf'] * (1 + c['f'] * (1 - c['sf']))", "c['sf'] * (1 - c['sf'])"),
    "initial-memory-averaged": ("d['mem0'] += dmem.sum(0)", "d['mem0'] += dmem.mean(0)"),
}
PAIRS = [
    ("relbias-repeated-index-lost", "memory-decay-carry-lost"),
    ("scale-lost-in-dq", "initial-memory-averaged"),
    ("layernorm-mean-term-lost", "content-bias-missing-in-dk"),
    ("softmax-sum-over-queries", "silu-derivative-like-sigmoid"),
    ("memory-decay-carry-lost", "scale-lost-in-dq"),
    ("initial-memory-averaged", "relbias-repeated-index-lost"),
]
