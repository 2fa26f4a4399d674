# gated delta-rule fast weights ("linear transformer with forgetting"), heads via einsum
#
#   S~ = g S[t-1]            g = sigmoid, one per head
#   u  = v - S~ k            prediction error of the memory
#   S  = S~ + beta u k^T
#   y  = S q ;  z = rms(y) * gain ;  o = <Wo, z> + skip x
#
# v also sees tanh(z) of the previous step (Irie et al. call that "delta RNN"), so no parallel scan here, sorry.
#
# index letters:  t time  b batch  n head  i value dim  j key dim  d input dim  o output dim
import numpy as np
from types import SimpleNamespace as NS
from functools import partial

ein = partial(np.einsum, optimize=False)
EPS_Q, EPS_Z = 0.05, 0.02
LOG2PI = float(np.log(2 * np.pi))


def _sig(a): return 1. / (1. + np.exp(-a))

def _softmax(a):
    a = np.exp(a - a.max(-1, keepdims=True))
    return a / a.sum(-1, keepdims=True)


def alloc(T, B, N, I, J, O):
    f = lambda *s: np.empty((T, B) + s)
    return NS(aq=f(N, J), sq=f(N, J), lq=f(N, 1), q=f(N, J), k=f(N, J), v=f(N, I), beta=f(N), g=f(N),
              S=np.zeros((T + 1, B, N, I, J)),       # S[0] is the initial memory, S[t+1] is after step t
              St=f(N, I, J), u=f(N, I), y=f(N, I), rms=f(N, 1),
              z=np.zeros((T + 1, B, N, I)),          # z[0] = 0
              fb=f(N, I))


def fwd(p, x, tgt):
    T, B, _ = x.shape
    N, I, J = p['S0'].shape
    O = p['Wo'].shape[-1]
    w = alloc(T, B, N, I, J, O)

    # everything that doesn't depend on the state, all steps in one go
    w.aq[:] = ein('tbd,dnj->tbnj', x, p['Wq'])
    w.sq[:] = w.aq * _sig(w.aq)                                   # silu
    w.lq[:] = np.sqrt((w.sq ** 2).sum(-1, keepdims=True) + EPS_Q)
    w.q[:] = w.sq / w.lq
    w.k[:] = _softmax(ein('tbd,dnj->tbnj', x, p['Wk']))
    w.beta[:] = 2 * _sig(ein('tbd,dn->tbn', x, p['Wb']))          # beta in (0, 2): negative eigenvalues allowed
    w.g[:] = _sig(ein('tbd,dn->tbn', x, p['Wg']) + p['bg'])
    vx = ein('tbd,dni->tbni', x, p['Wv'])

    w.S[0] = p['S0']
    for t in range(T):
        w.fb[t] = np.tanh(w.z[t])
        w.v[t] = vx[t] + ein('bni,nim->bnm', w.fb[t], p['R'])
        w.St[t] = w.g[t][..., None, None] * w.S[t]
        w.u[t] = w.v[t] - ein('bnij,bnj->bni', w.St[t], w.k[t])
        w.S[t + 1] = w.St[t] + ein('bn,bni,bnj->bnij', w.beta[t], w.u[t], w.k[t])
        w.y[t] = ein('bnij,bnj->bni', w.S[t + 1], w.q[t])
        w.rms[t] = np.sqrt((w.y[t] ** 2).mean(-1, keepdims=True) + EPS_Z)
        w.z[t + 1] = w.y[t] / w.rms[t] * p['gain']

    mu = ein('tbni,nio->tbo', w.z[1:], p['Wo']) + ein('tbd,do->tbo', x, p['skip'])
    w.r = mu - tgt
    w.prec = np.exp(-p['logvar'])
    nll = .5 * (w.r ** 2 * w.prec + p['logvar'] + LOG2PI).sum(-1).mean()
    return nll, w


def bwd(p, x, w):
    T, B, _ = x.shape
    n = T * B
    N, I, J = p['S0'].shape
    G = {}
    dmu = w.r * w.prec / n
    G['logvar'] = .5 * (1 - w.r ** 2 * w.prec).sum((0, 1)) / n
    G['Wo'] = ein('tbni,tbo->nio', w.z[1:], dmu)
    G['skip'] = ein('tbd,tbo->do', x, dmu)
    dz_out = ein('tbo,nio->tbni', dmu, p['Wo'])

    dq = np.empty_like(w.q); dk = np.empty_like(w.k); dv = np.empty_like(w.v)
    dbeta = np.empty_like(w.beta); dg = np.empty_like(w.g)
    G['gain'] = np.zeros((N, I))
    dS = np.zeros((B, N, I, J))
    dz_next = np.zeros((B, N, I))       # from v of step t+1
    for t in range(T)[::-1]:
        dz = dz_out[t] + dz_next
        yn = w.y[t] / w.rms[t]
        G['gain'] += (dz * yn).sum(0)
        dyn = dz * p['gain']
        dy = (dyn - yn * (dyn * yn).mean(-1, keepdims=True)) / w.rms[t]
        # y = S q
        dq[t] = ein('bnij,bni->bnj', w.S[t + 1], dy)
        dS = dS + ein('bni,bnj->bnij', dy, w.q[t])
        # S = St + beta u k'
        dSk = ein('bnij,bnj->bni', dS, w.k[t])
        dbeta[t] = (dSk * w.u[t]).sum(-1)
        du = w.beta[t][..., None] * dSk
        dk[t] = w.beta[t][..., None] * ein('bnij,bni->bnj', dS, w.u[t])
        # u = v - St k
        dv[t] = du
        dk[t] -= ein('bnij,bni->bnj', w.St[t], du)
        dSt = dS - ein('bni,bnj->bnij', du, w.k[t])
        # St = g S
        dg[t] = (dSt * w.S[t]).sum((-2, -1))
        dS = dSt * w.g[t][..., None, None]
        # feedback
        dz_next = ein('bnm,nim->bni', dv[t], p['R']) * (1 - w.fb[t] ** 2)
    G['S0'] = dS.sum(0)
    G['R'] = ein('tbni,tbnm->nim', w.fb, dv)

    # state-independent part
    G['Wv'] = ein('tbd,tbni->dni', x, dv)
    dak = w.k * (dk - (dk * w.k).sum(-1, keepdims=True))
    G['Wk'] = ein('tbd,tbnj->dnj', x, dak)
    dsq = (dq - w.q * (dq * w.q).sum(-1, keepdims=True)) / w.lq
    s = _sig(w.aq)
    daq = dsq * (s + w.aq * s * (1 - s))
    G['Wq'] = ein('tbd,tbnj->dnj', x, daq)
    dab = dbeta * w.beta * (1 - w.beta / 2)
    G['Wb'] = ein('tbd,tbn->dn', x, dab)
    dag = dg * w.g * (1 - w.g)
    G['Wg'] = ein('tbd,tbn->dn', x, dag)
    G['bg'] = dag.sum((0, 1))
    return G


def make(Target, rng, T=6, B=3, N=2, I=3, J=3, D=4, O=2):
    r = lambda s, *sh: s * rng.standard_normal(sh)
    p = {'Wq': r(.9, D, N, J), 'Wk': r(1.1, D, N, J), 'Wv': r(.8, D, N, I), 'R': r(.9, N, I, I),
         'Wb': r(.6, D, N), 'Wg': r(.6, D, N), 'bg': r(.4, N) + .8, 'S0': r(.8, N, I, J),
         'gain': 1 + r(.3, N, I), 'Wo': r(.8, N, I, O), 'skip': r(.5, D, O), 'logvar': r(.4, O)}
    x, tgt = r(1., T, B, D), r(1.5, T, B, O)
    return Target(p, lambda: float(fwd(p, x, tgt)[0]), lambda: bwd(p, x, fwd(p, x, tgt)[1]))


BUGS = {
    'memory-transposed-in-query': ("dq[t] = ein('bnij,bni->bnj', w.S[t + 1], dy)", "dq[t] = ein('bnij,bnj->bni', w.S[t + 1], dy)"),
    'memory-gradient-carry-lost': ("dS = dS + ein('bni,bnj->bnij', dy, w.q[t])", "dS = ein('bni,bnj->bnij', dy, w.q[t])"),
    'beta-times-value-not-error': ("dbeta[t] = (dSk * w.u[t]).sum(-1)", "dbeta[t] = (dSk * w.v[t]).sum(-1)"),
    'erase-path-key-sign': ("dk[t] -= ein(", "dk[t] += ein("),
    'decay-with-updated-memory': ("dg[t] = (dSt * w.S[t]).sum((-2, -1))", "dg[t] = (dSt * w.S[t + 1]).sum((-2, -1))"),
    'feedback-derivative-of-wrong-step': ("p['R']) * (1 - w.fb[t] ** 2)", "p['R']) * (1 - np.tanh(w.z[t + 1]) ** 2)"),
    'silu-as-sigmoid-gate-only': ("daq = dsq * (s + w.aq * s * (1 - s))", "daq = dsq * s"),
    'beta-range-two-forgotten': ("dab = dbeta * w.beta * (1 - w.beta / 2)", "dab = dbeta * w.beta * (1 - w.beta)"),
}
PAIRS = [
    ('memory-transposed-in-query', 'decay-with-updated-memory'),
    ('memory-gradient-carry-lost', 'silu-as-sigmoid-gate-only'),
    ('beta-times-value-not-error', 'erase-path-key-sign'),
    ('feedback-derivative-of-wrong-step', 'beta-range-two-forgotten'),
    ('erase-path-key-sign', 'memory-transposed-in-query'),
    ('decay-with-updated-memory', 'feedback-derivative-of-wrong-step'),
]
