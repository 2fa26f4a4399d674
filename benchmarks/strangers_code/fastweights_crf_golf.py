# fast weights rnn (ba et al. 16, one inner step, no layernorm) + linear chain crf.
# all in one function, g=0 -> loss only.  T time, B batch, I in, H hid, K tags
#   C = l A + e h h'      l per row, sigmoid(p);   e = exp(q)
#   k = tanh(u + C tanh(u)),  u = x U + h W + b
#   nll = log Z - score(y)
# params: U W b rnn, p q memory, o first hidden, V c emissions, M s crf (M[i,j]: i -> j)
# one letter names because I read papers on paper.  checked vs autograd in 2019
import numpy as np

N = None
ein = np.einsum


def lse(v, a):
    # stable, keeps nothing
    m = v.max(a, keepdims=True)
    return np.log(np.exp(v - m).sum(a)) + m.squeeze(a)


def f(P, x, y, g=1):
    U, W, b, p, q, o, V, c, M, s = (P[k] for k in 'UWbpqoVcMs')
    T, B = y.shape; H = len(W); r_ = np.arange(B)
    l, e = 1/(1 + np.exp(-p)), np.exp(q)

    # rnn
    h, A, R, Z = np.tile(o, (B, 1)), np.zeros((B, H, H)), [], []
    for v in x:
        u = v@U + h@W + b; r = np.tanh(u)
        C = l[:, N]*A + e*h[:, :, N]*h[:, N]
        k = np.tanh(u + ein('bij,bj->bi', C, r))
        R += (v, h, A, C, r, k),
        Z += k@V + c,
        h, A = k, C

    # crf, alphas in log space
    # w collects the score of the gold path on the way
    a = [s + Z[0]]; w = s[y[0]] + Z[0][r_, y[0]]
    for i, j, z in zip(y, y[1:], Z[1:]):
        a += z + lse(a[-1][:, :, N] + M, 1),
        w = w + M[i, j] + z[r_, j]
    L = float((lse(a[-1], 1) - w).mean())
    if not g:
        return L

    # ---- back, crf first
    F = [0*z for z in Z]      # d loss / d emissions
    gM, gs = 0*M, 0*s
    d = np.exp(a[-1] - lse(a[-1], 1)[:, N])/B
    for t in range(T-1, 0, -1):
        F[t] += d; F[t][r_, y[t]] -= 1/B
        # pairwise posterior given the right end
        w = np.exp(a[t-1][:, :, N] + M + (Z[t] - a[t])[:, N])*d[:, N]
        gM += w.sum(0)
        np.add.at(gM, (y[t-1], y[t]), -1/B)
        d = w.sum(2)
    F[0] += d; F[0][r_, y[0]] -= 1/B
    gs += d.sum(0)
    np.add.at(gs, y[0], -1/B)

    # ---- rnn.  d: hidden from the right, D: memory from the right
    gU, gW, gb, gp, gV, gc = (0*k for k in (U, W, b, p, V, c)); ge = 0*q
    d, D = np.zeros((B, H)), np.zeros((B, H, H))
    for (v, h, A, C, r, k), z in zip(reversed(R), reversed(F)):
        gV += k.T@z; gc += z.sum(0)
        j = (z@V.T + d)*(1 - k*k)
        D = D + j[:, :, N]*r[:, N]
        i = j + ein('bij,bi->bj', C, j)*(1 - r*r)   # through u twice
        gU += v.T@i; gW += h.T@i; gb += i.sum(0)
        gp += (D*A).sum((0, 2))
        ge += ein('bij,bi,bj->', D, h, h)
        d = i@W.T + e*ein('bij,bj->bi', D + D.swapaxes(1, 2), h)
        D = l[:, N]*D
    gp *= l*(1 - l)
    gq = e*ge
    go = d.sum(0)      # same o for all rows
    return L, dict(zip('UWbpqoVcMs', (gU, gW, gb, gp, gq, go, gV, gc, gM, gs)))


def make(Target, rng, T=4, B=4, I=2, H=3, K=3):
    n = rng.normal
    P = dict(U=n(size=(I, H)), W=.7*n(size=(H, H)), b=.3*n(size=H), p=.5 + .6*n(size=H), q=-.8 + .1*n(size=1),
             o=.8*n(size=H), V=n(size=(H, K)), c=.2*n(size=K), M=.6*n(size=(K, K)), s=.4*n(size=K))
    x, y = n(size=(T, B, I)), rng.integers(0, K, (T, B))
    return Target(P, lambda: f(P, x, y, 0), lambda: f(P, x, y)[1])


BUGS = {
    "outer-product-same-side-twice": ("D + D.swapaxes(1, 2), h)", "D + D, h)"),
    "decay-grad-reads-updated-memory": ("gp += (D*A).sum((0, 2))", "gp += (D*C).sum((0, 2))"),
    "inner-slope-of-outer-tanh": ("*(1 - r*r)   # through u twice", "*(1 - k*k)   # through u twice"),
    "fancy-minus-collapses-repeats": ("np.add.at(gs, y[0], -1/B)", "gs[y[0]] -= 1/B"),
    "posterior-summed-over-wrong-tag": ("d = w.sum(2)", "d = w.sum(1)"),
    "memory-decay-along-columns": ("        D = l[:, N]*D", "        D = l*D"),
    "emission-grads-not-reversed": ("zip(reversed(R), reversed(F))", "zip(reversed(R), F)"),
    "log-rate-chain-forgotten": ("gq = e*ge", "gq = ge"),
}
PAIRS = [
    ("outer-product-same-side-twice", "memory-decay-along-columns"),
    ("posterior-summed-over-wrong-tag", "inner-slope-of-outer-tanh"),
    ("emission-grads-not-reversed", "fancy-minus-collapses-repeats"),
    ("decay-grad-reads-updated-memory", "log-rate-chain-forgotten"),
    ("inner-slope-of-outer-tanh", "outer-product-same-side-twice"),
    ("posterior-summed-over-wrong-tag", "emission-grads-not-reversed"),
]
