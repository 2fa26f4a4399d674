"""sLSTM block (exponential gating, normaliser state, stabiliser state), heads kept apart.

    logf = log sigmoid(f~)          m' = max(logf + m, i~)
    i = exp(i~ - m')                f = exp(logf + m - m')
    c' = f c + i z                  n' = f n + i              h' = sigmoid(o~) c'/n'

h' does not depend on m (c and n carry the same factor exp(-m)), hence m is a constant in
the backward pass.  Teacher forcing: frame t+1 is predicted from the true frame t.
"""
from dataclasses import dataclass, field
from typing import List

import numpy as np

GATES = ('z', 'i', 'f', 'o')


def sigmoid(a):
    return 0.5 * (1.0 + np.tanh(0.5 * a))


@dataclass
class Step:
    x: np.ndarray
    h_prev: np.ndarray
    c_prev: np.ndarray
    n_prev: np.ndarray
    z: np.ndarray
    i: np.ndarray
    f: np.ndarray
    f_pre: np.ndarray
    o: np.ndarray
    c: np.ndarray
    n: np.ndarray


@dataclass
class Config:
    batch: int = 2
    frames: int = 6
    dim: int = 2
    heads: int = 2
    width: int = 2


@dataclass
class Tape:
    steps: List[Step] = field(default_factory=list)
    hidden: List[np.ndarray] = field(default_factory=list)
    resid: List[np.ndarray] = field(default_factory=list)


def preactivations(p, x, h):
    """x: (b, d), h: (b, head, width) -> gate-indexed (4, b, head, width)"""
    pre = np.einsum('bd,gdhw->gbhw', x, p['W'])
    pre += np.einsum('bhv,ghvw->gbhw', h, p['R'])
    return pre + p['bias'][:, None]


def forward(cfg, p, video):
    shape = (cfg.batch, cfg.heads, cfg.width)
    h, c, n, m = np.zeros(shape), np.full(shape, 0.5), np.ones(shape), np.zeros(shape)
    tape, loss = Tape(), 0.0
    for t in range(cfg.frames - 1):
        x = video[t]
        zp, ip, fp, op = preactivations(p, x, h)
        logf = -np.logaddexp(0.0, -fp)
        m_new = np.maximum(logf + m, ip)
        i, f = np.exp(ip - m_new), np.exp(logf + m - m_new)
        z, o = np.tanh(zp), sigmoid(op)
        h_prev, c_prev, n_prev = h, c, n
        c = f * c + i * z
        n = f * n + i
        h, m = o * c / n, m_new
        tape.steps.append(Step(x, h_prev, c_prev, n_prev, z, i, f, fp, o, c, n))
        pred = x + np.einsum('bhw,hwd->bd', h, p['out']) + p['out_bias']
        resid = pred - video[t + 1]
        tape.hidden.append(h)
        tape.resid.append(resid)
        loss += (resid ** 2).sum()
    return loss / (cfg.batch * (cfg.frames - 1)), tape


def backward(cfg, p, tape):
    g = {k: np.zeros_like(v) for k, v in p.items()}
    scale = 2.0 / (cfg.batch * (cfg.frames - 1))
    shape = (cfg.batch, cfg.heads, cfg.width)
    dh_next, dc_next, dn_next = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for s, h, resid in zip(reversed(tape.steps), reversed(tape.hidden), reversed(tape.resid)):
        dpred = scale * resid
        g['out'] += np.einsum('bhw,bd->hwd', h, dpred)
        g['out_bias'] += dpred.sum(axis=0)
        dh = np.einsum('bd,hwd->bhw', dpred, p['out']) + dh_next

        do = dh * h
        dc = dc_next + dh * s.o / s.n
        dn = dn_next - dh * s.o * s.c / s.n ** 2
        df = dc * s.c_prev + dn * s.n_prev
        di = dc * s.z
        dz = dc * s.i
        dc_next, dn_next = dc * s.f, dn * s.f

        dpre = np.stack([dz * (1.0 - s.z ** 2),
                         di * s.i,
                         df * s.f * sigmoid(-s.f_pre),
                         do * s.o * (1.0 - s.o)])
        g['W'] += np.einsum('bd,gbhw->gdhw', s.x, dpre)
        g['R'] += np.einsum('bhw,gbhv->ghvw', s.h_prev, dpre)
        g['bias'] += dpre.sum(axis=1)
        dh_next = np.einsum('gbhw,ghvw->bhv', dpre, p['R'])
    return g


def make(rng):
    cfg = Config()
    p = {
        'W': rng.normal(size=(len(GATES), cfg.dim, cfg.heads, cfg.width)) * 0.7,
        'R': rng.normal(size=(len(GATES), cfg.heads, cfg.width, cfg.width)) * 0.7,
        'bias': rng.normal(size=(len(GATES), cfg.heads, cfg.width)) * 0.5,
        'out': rng.normal(size=(cfg.heads, cfg.width, cfg.dim)),
        'out_bias': rng.normal(size=cfg.dim) * 0.2,
    }
    video = rng.normal(size=(cfg.frames, cfg.batch, cfg.dim))

    def loss():
        return float(forward(cfg, p, video)[0])

    def grads():
        return backward(cfg, p, forward(cfg, p, video)[1])

    return p, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('recurrent weight gradient transposed',
  [108],
  [("g['R'] += np.einsum('bhw,gbhv->ghvw', s.h_prev, dpre)",
    "g['R'] += np.einsum('bhv,gbhw->ghvw', s.h_prev, dpre)")]),
 ('output gate: dh * h, h already contains the gate', [95], [('do = dh * h', 'do = dh * s.c / s.n')]),
 ("input gate's part in the normaliser missing", [99], [('di = dc * s.z', 'di = dc * s.z + dn')])]
