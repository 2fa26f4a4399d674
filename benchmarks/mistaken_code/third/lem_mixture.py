"""LEM (long expressive memory) + mixture density output, in a scan / scan-transpose style.

    a  = dt * sigmoid(Wa y + Va u + ba)         b = dt * sigmoid(Wb y + Vb u + bb)
    z' = (1 - a) z + a tanh(Wz y + Vz u + bz)
    y' = (1 - b) y + b tanh(Wy z' + Vy u + by)

Pure functions on one sequence; the batch is a loop over examples outside.
"""
from collections import namedtuple
from functools import partial

import numpy as np

DT, HID, IN, MIX, OUT = 0.8, 3, 2, 2, 2

Carry = namedtuple('Carry', 'y z')
Cell = namedtuple('Cell', 'W3 V3 b3 Wy Vy by')
Head = namedtuple('Head', 'M mb')
Residual = namedtuple('Residual', 'y z u sa sb cand z_new out')


def logistic(v):
    return 1 / (1 + np.exp(-v))


def scan(f, carry, xs):
    kept = []
    for x in xs:
        carry, res = f(carry, x)
        kept.append(res)
    return carry, kept


def scan_transpose(f_t, ct_carry, kept, ct_outs, ct_params):
    """f_t(residual, ct_carry) -> (ct_carry, ct_params); ct_outs are added to the y of the carry"""
    for res, ct_y in zip(kept[::-1], ct_outs):
        ct_carry = Carry(ct_carry.y + ct_y, ct_carry.z)
        ct_carry, inc = f_t(res, ct_carry)
        ct_params = Cell(*(old + new for old, new in zip(ct_params, inc)))
    return ct_carry, ct_params


def lem_step(th, carry, u):
    y, z = carry
    pre = th.W3 @ y + th.V3 @ u + th.b3
    sa, sb = logistic(pre[:HID]), logistic(pre[HID:2 * HID])
    cand = np.tanh(pre[2 * HID:])
    z_new = (1 - DT * sa) * z + DT * sa * cand
    out = np.tanh(th.Wy @ z_new + th.Vy @ u + th.by)
    y_new = (1 - DT * sb) * y + DT * sb * out
    return Carry(y_new, z_new), Residual(y, z, u, sa, sb, cand, z_new, out)


def lem_step_transpose(th, res, ct):
    y, z, u, sa, sb, cand, z_new, out = res
    ct_sb = ct.y * (out - y)
    ct_out = ct.y * DT * sb * (1 - out ** 2)
    ct_z = ct.z + th.Wy.T @ ct_out
    ct_sa = ct_z * DT * (cand - z)
    ct_cand = ct_z * DT * sa
    ct_pre = np.concatenate([ct_sa * sa * (1 - sa), ct_sb * sb * (1 - sb), ct_cand * (1 - cand ** 2)])
    inc = Cell(W3=np.outer(ct_pre, y), V3=np.outer(ct_pre, u), b3=ct_pre,
               Wy=np.outer(ct_out, z_new), Vy=np.outer(ct_out, u), by=ct_out)
    ct_y = ct.y * (1 - DT * sb) + th.W3.T @ ct_pre
    return Carry(ct_y, ct_z * (1 - DT * sa)), inc


def mixture_terms(hd, y, target):
    """isotropic Gaussians; raw = (weights | log sigmas | means)"""
    raw = hd.M @ y + hd.mb
    logit, logsig = raw[:MIX], raw[MIX:2 * MIX]
    mean = raw[2 * MIX:].reshape(MIX, OUT)
    logpi = logit - np.log(np.exp(logit).sum())
    diff = target - mean
    sq = (diff ** 2).sum(axis=1) * np.exp(-2 * logsig)
    comp = logpi - 0.5 * sq - OUT * logsig - 0.5 * OUT * np.log(2 * np.pi)
    return logpi, logsig, diff, sq, comp


def mixture_nll(hd, y, target):
    comp = mixture_terms(hd, y, target)[-1]
    top = comp.max()
    return -(top + np.log(np.exp(comp - top).sum()))


def mixture_nll_transpose(hd, y, target, ct):
    logpi, logsig, diff, sq, comp = mixture_terms(hd, y, target)
    gamma = np.exp(comp - comp.max())
    gamma = gamma / gamma.sum()
    ct_logit = np.exp(logpi) - gamma
    ct_logsig = gamma * (OUT - sq)
    ct_mean = -gamma[:, None] * diff * np.exp(-logsig)[:, None]
    ct_raw = ct * np.concatenate([ct_logit, ct_logsig, ct_mean.ravel()])
    return hd.M.T @ ct_raw, Head(np.outer(ct_raw, y), ct_raw)


def example_loss(th, hd, init, us, targets):
    last, kept = scan(partial(lem_step, th), init, us)
    ys = [res.y for res in kept[1:]] + [last.y]
    return sum(mixture_nll(hd, y, v) for y, v in zip(ys, targets)) / len(us)


def example_transpose(th, hd, init, us, targets, ct):
    last, kept = scan(partial(lem_step, th), init, us)
    ys = [res.y for res in kept[1:]] + [last.y]
    ct_ys, ct_hd = [], Head(*map(np.zeros_like, hd))
    for y, v in zip(ys, targets):
        ct_y, inc = mixture_nll_transpose(hd, y, v, ct / len(us))
        ct_ys.append(ct_y)
        ct_hd = Head(ct_hd.M + inc.M, ct_hd.mb + inc.mb)
    zero = Carry(np.zeros(HID), np.zeros(HID))
    ct_init, ct_th = scan_transpose(partial(lem_step_transpose, th), zero, kept, ct_ys,
                                    Cell(*map(np.zeros_like, th)))
    return {**ct_th._asdict(), **ct_hd._asdict(), **{'init_' + k: v for k, v in ct_init._asdict().items()}}


def make(rng):
    shapes = dict(W3=(3 * HID, HID), V3=(3 * HID, IN), b3=3 * HID, Wy=(HID, HID), Vy=(HID, IN), by=HID,
                  M=(2 * MIX + MIX * OUT, HID), mb=2 * MIX + MIX * OUT, init_y=HID, init_z=HID)
    params = {k: rng.normal(scale=0.7, size=s) for k, s in shapes.items()}
    examples = [(rng.normal(size=(T, IN)), rng.normal(size=(T, OUT))) for T in (5, 4)]

    def parts():
        pick = lambda cls, pre='': cls(*(params[pre + k] for k in cls._fields))
        return pick(Cell), pick(Head), pick(Carry, 'init_')

    def loss():
        return float(np.mean([example_loss(*parts(), us, vs) for us, vs in examples]))

    def grads():
        each = [example_transpose(*parts(), us, vs, 1 / len(examples)) for us, vs in examples]
        return {k: sum(e[k] for e in each) for k in params}

    return params, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('output cotangents not reversed', [36], [('zip(kept[::-1], ct_outs)', 'zip(kept[::-1], ct_outs[::-1])')]),
 ("step size missing in the gate's cotangent", [56], [('ct_sb = ct.y * (out - y)', 'ct_sb = ct.y * DT * (out - y)')]),
 ('sigma instead of sigma squared',
  [92],
  [('diff * np.exp(-logsig)[:, None]', 'diff * np.exp(-2 * logsig)[:, None]')])]
