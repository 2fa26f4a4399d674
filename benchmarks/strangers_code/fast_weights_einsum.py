"""Fast weights to attend to the recent past (after Ba et al. 2016), adjoints by hand.  Suffix _bar = dL/d(.)

index letters: b batch, i j hidden, d input, k class
"""
from numpy import einsum, exp, log, sqrt, tanh, zeros, zeros_like, arange, newaxis

EPS = 1e-3


def normalise(z):
    """Layer norm over the hidden axis; also the inverse deviation."""
    c = z - z.mean(-1, keepdims=True)
    r = 1 / sqrt((c * c).mean(-1, keepdims=True) + EPS)
    return c * r, r


def normalise_adjoint(n_bar, n, r):
    m1 = n_bar.mean(-1, keepdims=True)
    m2 = (n_bar * n).mean(-1, keepdims=True)
    return r * (n_bar - m1 - n * m2)


def unroll(w, xs, inner):
    B, n = xs.shape[1], w["W"].shape[0]
    h, A = zeros((B, n)), zeros((B, n, n))
    lam = 1 / (1 + exp(-w["lam"]))
    trace = []
    for x in xs:
        A_old, h_old = A, h
        A = lam * A_old + w["eta"] * einsum("bi,bj->bij", h_old, h_old)
        u = einsum("bj,ji->bi", h_old, w["W"]) + einsum("bd,di->bi", x, w["C"]) + w["b"]
        s = tanh(u)
        settle = []
        for _ in range(inner):
            nrm, r = normalise(u + einsum("bij,bj->bi", A, s))
            s_new = tanh(w["gain"] * nrm + w["shift"])
            settle.append((s, nrm, r, s_new))
            s = s_new
        h = s
        trace.append((x, h_old, A_old, A, u, settle))
    return h, lam, trace


def classify(w, h, labels):
    logits = einsum("bi,ik->bk", h, w["V"]) + w["c"]
    p = exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)
    return p, -log(p[arange(len(labels)), labels]).mean()


def loss(w, xs, labels, inner):
    return classify(w, unroll(w, xs, inner)[0], labels)[1]


def adjoint(w, xs, labels, inner):
    h, lam, trace = unroll(w, xs, inner)
    p, _ = classify(w, h, labels)
    bar = {key: zeros_like(val) for key, val in w.items()}
    logits_bar = p.copy()
    logits_bar[arange(len(labels)), labels] -= 1
    logits_bar /= len(labels)
    bar["V"] = einsum("bi,bk->ik", h, logits_bar)
    bar["c"] = einsum("bk->k", logits_bar)
    s_bar = einsum("bk,ik->bi", logits_bar, w["V"])
    A_bar = zeros_like(trace[0][2])
    for x, h_old, A_old, A, u, settle in trace[::-1]:
        u_bar = zeros_like(u)
        for s, nrm, r, s_new in settle[::-1]:
            a_bar = s_bar * (1 - s_new ** 2)
            bar["gain"] += einsum("bi,bi->i", a_bar, nrm)
            bar["shift"] += einsum("bi->i", a_bar)
            z_bar = normalise_adjoint(a_bar * w["gain"], nrm, r)
            u_bar += z_bar
            A_bar = A_bar + einsum("bi,bj->bij", z_bar, s)
            s_bar = einsum("bij,bi->bj", A, z_bar)
        u_bar += s_bar * (1 - tanh(u) ** 2)
        bar["W"] += einsum("bj,bi->ji", h_old, u_bar)
        bar["C"] += einsum("bd,bi->di", x, u_bar)
        bar["b"] += einsum("bi->i", u_bar)
        bar["eta"] += einsum("bij,bi,bj->", A_bar, h_old, h_old)
        bar["lam"] += einsum("bij,bij->", A_bar, A_old) * lam * (1 - lam)
        s_bar = einsum("bi,ji->bj", u_bar, w["W"])
        s_bar += w["eta"] * einsum("bij,bj->bi", A_bar, h_old)
        s_bar += w["eta"] * einsum("bij,bi->bj", A_bar, h_old)
        A_bar = lam * A_bar
    return bar


def make(Target, rng, T=4, B=2, D=3, n=4):
    draw = lambda *shape: rng.normal(size=shape)
    w = {"W": 0.5 * draw(n, n), "C": draw(D, n), "b": 0.3 * draw(n), "gain": 1 + 0.2 * draw(n), "shift": 0.2 * draw(n),
         "V": draw(n, 3), "c": draw(3), "lam": draw(1), "eta": 0.5 + 0.1 * draw(1)}
    xs, labels = draw(T, B, D), rng.integers(0, 3, size=B)
    return Target(params=w, loss=lambda: loss(w, xs, labels, 2), grads=lambda: adjoint(w, xs, labels, 2))


BUGS = {
    "outer-product-one-sided": ('s_bar += w["eta"] * einsum("bij,bi->bj", A_bar, h_old)', "pass"),
    "fast-matrix-not-decayed": ("A_bar = lam * A_bar", "A_bar = A_bar"),
    "adjoint-of-A-reset-each-inner-step": ('A_bar = A_bar + einsum("bi,bj->bij", z_bar, s)', 'A_bar = einsum("bi,bj->bij", z_bar, s)'),
    "slope-at-the-old-settling-state": ("a_bar = s_bar * (1 - s_new ** 2)", "a_bar = s_bar * (1 - s ** 2)"),
    "norm-variance-path-missing": ("return r * (n_bar - m1 - n * m2)", "return r * (n_bar - m1)"),
    "boundary-only-last-inner-step": ("u_bar += z_bar", "u_bar = z_bar"),
    "decay-with-updated-matrix": ('bar["lam"] += einsum("bij,bij->", A_bar, A_old)', 'bar["lam"] += einsum("bij,bij->", A_bar, A)'),
    "recurrent-matrix-transposed": ('s_bar = einsum("bi,ji->bj", u_bar, w["W"])', 's_bar = einsum("bj,ji->bi", u_bar, w["W"])'),
}

PAIRS = [
    ("outer-product-one-sided", "boundary-only-last-inner-step"),
    ("fast-matrix-not-decayed", "slope-at-the-old-settling-state"),
]
