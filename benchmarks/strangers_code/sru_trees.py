"""Masked bidirectional SRU classifier; parameters are a tree of frozen dataclasses, all functions are pure."""
from dataclasses import dataclass, fields, is_dataclass
import numpy as np


@dataclass(frozen=True)
class Sru:
    w: np.ndarray    # (D, 3, D): candidate, forget, reset
    v: np.ndarray    # (2, D): how the gates look at the last cell
    b: np.ndarray    # (2, D)


@dataclass(frozen=True)
class Head:
    w: np.ndarray
    b: np.ndarray


@dataclass(frozen=True)
class Net:
    ltr: Sru
    rtl: Sru
    head: Head
    alpha: np.ndarray  # (1,) scale of the highway, shared by the directions


def leaves(tree, path=""):
    for f in fields(tree):
        node = getattr(tree, f.name)
        if is_dataclass(node):
            yield from leaves(node, path + f.name + "/")
        else:
            yield path + f.name, node


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def sru_step(p, alpha, c, x, m):
    u = np.einsum("bi,ikj->kbj", x, p.w)
    f = sigmoid(u[1] + p.v[0] * c + p.b[0])
    r = sigmoid(u[2] + p.v[1] * c + p.b[1])
    new = f * c + (1 - f) * u[0]
    act = np.tanh(new)
    h = r * act + (1 - r) * alpha * x
    return m * new + (1 - m) * c, m * h, (c, x, m, u[0], f, r, act)


def sru_step_vjp(p, alpha, res, dc_out, dh_out):
    c, x, m, cand, f, r, act = res
    dh = m * dh_out
    dnew = m * dc_out + dh * r * (1 - act ** 2)
    dzr = dh * (act - alpha * x) * r * (1 - r)
    dzf = dnew * (c - cand) * f * (1 - f)
    du = np.stack([dnew * (1 - f), dzf, dzr])
    dz = du[1:]
    g = Sru(w=np.einsum("bi,kbj->ikj", x, du), v=(dz * c).sum(axis=1), b=dz.sum(axis=1))
    dalpha = np.sum(dh * (1 - r) * x)
    dx = np.einsum("kbj,ikj->bi", du, p.w) + dh * (1 - r) * alpha
    dc = dnew * f + (1 - m) * dc_out + dzf * p.v[0] + dzr * p.v[1]
    return g, dalpha, dx, dc


def scan(p, alpha, xs, mask, order):
    c, out, residuals = np.zeros_like(xs[0]), np.zeros_like(xs), {}
    for t in order:
        c, out[t], residuals[t] = sru_step(p, alpha, c, xs[t], mask[t][:, None])
    return out, residuals


def scan_vjp(p, alpha, residuals, dout, order):
    gs = []
    dalpha, dc, dxs = 0.0, np.zeros_like(dout[0]), np.zeros_like(dout)
    for t in order[::-1]:
        g, da, dxs[t], dc = sru_step_vjp(p, alpha, residuals[t], dc, dout[t])
        gs.append(g)
        dalpha += da
    total = Sru(**{f.name: sum(getattr(g, f.name) for g in gs) for f in fields(Sru)})
    return total, dalpha, dxs


def forward(net, xs, mask, labels):
    there = list(range(len(xs)))
    back = there[::-1]
    left, res_l = scan(net.ltr, net.alpha, xs, mask, there)
    right, res_r = scan(net.rtl, net.alpha, xs, mask, back)
    both = np.concatenate([left, right], axis=-1)
    length = mask.sum(axis=0)[:, None]
    pooled = both.sum(axis=0) / length
    margin = (pooled @ net.head.w + net.head.b)[:, 0]
    loss = np.mean(np.logaddexp(0, -labels * margin))
    return loss, (there, back, res_l, res_r, length, pooled, margin)


def backward(net, xs, mask, labels):
    _, (there, back, res_l, res_r, length, pooled, margin) = forward(net, xs, mask, labels)
    dmargin = -labels * sigmoid(-labels * margin) / len(labels)
    dpooled = np.outer(dmargin, net.head.w)
    head = Head(w=pooled.T @ dmargin[:, None], b=dmargin.sum(keepdims=True))
    dboth = np.broadcast_to(dpooled / length, (len(xs),) + dpooled.shape)
    dleft, dright = np.split(dboth, 2, axis=-1)
    ltr, dalpha_l, dx_l = scan_vjp(net.ltr, net.alpha, res_l, dleft, there)
    rtl, dalpha_r, dx_r = scan_vjp(net.rtl, net.alpha, res_r, dright, back)
    alpha = np.array([dalpha_l + dalpha_r])
    return Net(ltr=ltr, rtl=rtl, head=head, alpha=alpha), dx_l + dx_r


def make(Target, rng, T=4, B=3, D=3):
    sru = lambda: Sru(rng.normal(0, 0.8, (D, 3, D)), rng.normal(0, 0.7, (2, D)), rng.normal(0, 0.5, (2, D)))
    net = Net(sru(), sru(), Head(rng.normal(0, 1.5, (2 * D, 1)), rng.normal(0, 1, 1)), np.array([1.3]))
    xs, labels = rng.normal(size=(T, B, D)), np.where(rng.random(B) < 0.5, -1.0, 1.0)
    lengths = np.array([T - b % 3 for b in range(B)])
    mask = (np.arange(T)[:, None] < lengths).astype(float)

    def grads():
        tree, dxs = backward(net, xs, mask, labels)
        return {**dict(leaves(tree)), "xs": dxs}

    return Target({**dict(leaves(net)), "xs": xs}, lambda: forward(net, xs, mask, labels)[0], grads)


BUGS = {
    "highway-scale-lost": ("dzr = dh * (act - alpha * x) * r * (1 - r)", "dzr = dh * (act - x) * r * (1 - r)"),
    "reset-looks-at-cell-path": ("dc = dnew * f + (1 - m) * dc_out + dzf * p.v[0] + dzr * p.v[1]", "dc = dnew * f + (1 - m) * dc_out + dzf * p.v[0]"),
    "masked-step-still-trains": ("dnew = m * dc_out + dh * r * (1 - act ** 2)", "dnew = dc_out + dh * r * (1 - act ** 2)"),
    "mask-not-on-output": ("dh = m * dh_out", "dh = dh_out"),
    "mean-over-all-steps": ("dboth = np.broadcast_to(dpooled / length, (len(xs),) + dpooled.shape)", "dboth = np.broadcast_to(dpooled / len(xs), (len(xs),) + dpooled.shape)"),
    "directions-exchanged": ("dleft, dright = np.split(dboth, 2, axis=-1)", "dright, dleft = np.split(dboth, 2, axis=-1)"),
    "forget-difference-turned": ("dzf = dnew * (c - cand) * f * (1 - f)", "dzf = dnew * (cand - c) * f * (1 - f)"),
    "shared-scale-one-direction": ("alpha = np.array([dalpha_l + dalpha_r])", "alpha = np.array([dalpha_r])"),
}

PAIRS = [
    ("mask-not-on-output", "shared-scale-one-direction"),
    ("highway-scale-lost", "mean-over-all-steps"),
]
