# irregularly sampled series -> forecast
#   encoder: diagonal complex state space,  x_t = exp(lam*gap_t) x_{t-1} + gap_t * B u_t
#   decoder: free running CTRNN, tau ds/dt = -s + tanh(R s + F y + k), Heun, SUB substeps per output,
#            the last output y is fed back and held during the step
# ONE flat parameter vector (that is what our L-BFGS wants); p['R'] etc. are views into it.
# Batch is always the LAST axis: u[i,t,n], gap[t,n], s[h,n].   S modes, H units, I in, O out, J outputs
import numpy as np
from numpy import einsum

SUB = 2


def layout(S, H, I, O):
    return [('a', (S,)), ('w', (S,)),            # lam = -exp(a) + i w
            ('B', (2, S, I)),                    # re, im
            ('M', (H, 2, S)), ('m', (H,)),       # bridge
            ('ltau', (H,)), ('R', (H, H)), ('F', (H, O)), ('k', (H,)),
            ('C', (O, H)), ('c', (O,))]


def carve(vec, spec):
    views, at = {}, 0
    for name, shape in spec:
        n = int(np.prod(shape))
        views[name] = vec[at:at + n].reshape(shape)
        at += n
    assert at == vec.size
    return views


def encode(p, u, gap):
    lam = -np.exp(p['a']) + 1j * p['w']
    A = np.exp(einsum('s,tn->tsn', lam, gap))
    Bc = p['B'][0] + 1j * p['B'][1]
    drive = einsum('si,itn,tn->tsn', Bc, u, gap)
    X = np.zeros((gap.shape[0] + 1, lam.size, gap.shape[1]), complex)   # X[t+1] is after input t
    for t in range(gap.shape[0]):
        X[t + 1] = A[t] * X[t] + drive[t]
    return A, X


def rhs(p, s, fb):
    th = np.tanh(einsum('hj,jn->hn', p['R'], s) + fb)
    return (th - s) / np.exp(p['ltau'])[:, None], th


def decode(p, s, J, step):
    tape, ys, ss = [], [], [s]
    y = p['C'] @ s + p['c'][:, None]
    ys.append(y)
    for j in range(J):
        fb = einsum('ho,on->hn', p['F'], y) + p['k'][:, None]
        sub = []
        for _ in range(SUB):
            k1, th1 = rhs(p, s, fb)
            s2 = s + step * k1
            k2, th2 = rhs(p, s2, fb)
            sub.append((s, k1, th1, s2, k2, th2))
            s = s + 0.5 * step * (k1 + k2)
        y = p['C'] @ s + p['c'][:, None]
        tape.append(sub)
        ss.append(s)
        ys.append(y)
    return ys, ss, tape


def run(p, d):
    A, X = encode(p, d['u'], d['gap'])
    z = np.stack([X[-1].real, X[-1].imag])
    s0 = np.tanh(einsum('hcs,csn->hn', p['M'], z) + p['m'][:, None])
    ys, ss, tape = decode(p, s0, d['J'], d['step'])
    res = np.stack(ys) - d['target']                    # [j,o,n], j = 0 is the read-out of s0
    N = d['gap'].shape[1]
    loss = 0.5 * einsum('j,jon,jon->', d['wt'], res, res) / N
    return loss, (A, X, z, s0, ys, ss, tape, res)


def rhs_back(p, g, s, k, th, gk):
    """adds into g['R'], g['ltau']; returns d/ds, d/dfb"""
    gk_tau = gk / np.exp(p['ltau'])[:, None]
    gpre = gk_tau * (1 - th * th)
    g['R'] += einsum('hn,jn->hj', gpre, s)
    g['ltau'] -= einsum('hn,hn->h', gk, k)
    return einsum('hj,hn->jn', p['R'], gpre) - gk_tau, gpre


def grad(p, d, spec, size):
    _, (A, X, z, s0, ys, ss, tape, res) = run(p, d)
    u, gap, step = d['u'], d['gap'], d['step']
    N = gap.shape[1]
    flat = np.zeros(size)
    g = carve(flat, spec)

    gs = np.zeros_like(s0)
    gy_fb = np.zeros_like(ys[0])      # through the feedback of the following step
    for j in range(d['J'], -1, -1):
        gy = d['wt'][j] * res[j] / N + gy_fb
        g['C'] += einsum('on,hn->oh', gy, ss[j])
        g['c'] += gy.sum(1)
        gs = gs + einsum('oh,on->hn', p['C'], gy)
        if j == 0:
            break
        gfb = np.zeros_like(gs)
        for q in reversed(range(SUB)):
            s, k1, th1, s2, k2, th2 = tape[j - 1][q]
            gk = 0.5 * step * gs
            gs2, gf2 = rhs_back(p, g, s2, k2, th2, gk)
            # k1 is used in the average and inside s2
            gs1, gf1 = rhs_back(p, g, s, k1, th1, gk + step * gs2)
            gs = gs + gs1 + gs2
            gfb += gf1 + gf2
        g['F'] += einsum('hn,on->ho', gfb, ys[j - 1])
        g['k'] += gfb.sum(1)
        gy_fb = einsum('ho,hn->on', p['F'], gfb)

    # bridge
    gpre = gs * (1 - s0 ** 2)
    g['M'] += einsum('hn,csn->hcs', gpre, z)
    g['m'] += gpre.sum(1)
    gz = einsum('hcs,hn->csn', p['M'], gpre)

    # encoder. gx holds dL/dRe + i dL/dIm
    gx = gz[0] + 1j * gz[1]
    glam = np.zeros(len(p['a']), complex)
    for t in range(gap.shape[0] - 1, -1, -1):
        gB = einsum('sn,in,n->si', gx, u[:, t], gap[t])
        g['B'][0] += gB.real
        g['B'][1] += gB.imag
        glam += einsum('sn,n->s', gx * np.conj(A[t] * X[t]), gap[t])
        gx = np.conj(A[t]) * gx
    g['a'] -= np.exp(p['a']) * glam.real
    g['w'] += glam.imag
    return flat


def make(Target, rng, T=6, B=3, H=4, S=3, I=2, O=2, J=4):
    spec = layout(S, H, I, O)
    size = sum(int(np.prod(sh)) for _, sh in spec)
    theta = rng.normal(0, 0.8, size)
    p = carve(theta, spec)
    p['a'] -= 0.6            # slow modes
    p['w'] *= 2.0
    p['ltau'] *= 0.4
    d = dict(u=rng.normal(0, 1, (I, T, B)), gap=rng.uniform(0.2, 1.2, (T, B)),
             target=rng.normal(0, 1, (J + 1, O, B)), wt=rng.uniform(0.5, 1.5, J + 1), J=J, step=0.4)

    def loss():
        return float(run(p, d)[0])

    def grads():
        return {'theta': grad(p, d, spec, size)}

    return Target({'theta': theta}, loss, grads)


BUGS = {
    "heun-stale-activation": ("gs2, gf2 = rhs_back(p, g, s2, k2, th2, gk)", "gs2, gf2 = rhs_back(p, g, s2, k2, th1, gk)"),
    "re-im-swapped": ("gx = gz[0] + 1j * gz[1]", "gx = gz[1] + 1j * gz[0]"),
    "conjugate-forgotten": ("gx = np.conj(A[t]) * gx", "gx = A[t] * gx"),
    "gap-of-previous-step": ("gB = einsum('sn,in,n->si', gx, u[:, t], gap[t])", "gB = einsum('sn,in,n->si', gx, u[:, t], gap[t - 1])"),
    "feedback-gradient-dropped": ("gy = d['wt'][j] * res[j] / N + gy_fb", "gy = d['wt'][j] * res[j] / N"),
    "view-rebound": ("g['F'] += einsum('hn,on->ho', gfb, ys[j - 1])", "g['F'] = g['F'] + einsum('hn,on->ho', gfb, ys[j - 1])"),
    "substeps-in-forward-order": ("for q in reversed(range(SUB)):", "for q in range(SUB):"),
    "log-rate-chain-factor-missing": ("g['a'] -= np.exp(p['a']) * glam.real", "g['a'] -= glam.real"),
}
PAIRS = [
    ("heun-stale-activation", "conjugate-forgotten"),
    ("re-im-swapped", "view-rebound"),
    ("gap-of-previous-step", "feedback-gradient-dropped"),
    ("substeps-in-forward-order", "log-rate-chain-factor-missing"),
    ("conjugate-forgotten", "gap-of-previous-step"),
    ("view-rebound", "heun-stale-activation"),
]
