"""GRU-ODE-Bayes flavoured: the hidden state flows by a GRU-ODE between observations and jumps by a GRU at each of them.

    flow   dh/ds = (1 - z) * (u - h),   z = sig(h Uz + bz),  r = sig(h Ur + br),  u = tanh((r * h) Uu + bu)
           RK4 with `n_sub` equal steps per gap, every unit has a clock of its own: s = gap * exp(log_rate)
    jump   an ordinary GRU cell on [x * m, m]     (m = which features were seen)
    loss   squared error of the read-out just before the jump, over the seen features

Pure functions, parameters and gradients are namedtuples of arrays.
"""
from collections import namedtuple
import numpy as np

Flow = namedtuple("Flow", "Uz bz Ur br Uu bu log_rate")
Jump = namedtuple("Jump", "W R b bn")
Head = namedtuple("Head", "V c")
Model = namedtuple("Model", "flow jump head h0")

Field = namedtuple("Field", "h z r u")
Stages = namedtuple("Stages", "fields ks")
Leap = namedtuple("Leap", "inp h z r n rec_n")
Seen = namedtuple("Seen", "substeps before leap error gap")


def sig(x, **kw):
    return np.divide(1.0, 1.0 + np.exp(-x), **kw)


def add(*trees):
    """Sums equal namedtuples leaf by leaf."""
    return type(trees[0])(*(sum(leaves[1:], leaves[0]) for leaves in zip(*trees)))


def zeros_like(tree, **over):
    return tree._replace(**{k: np.zeros_like(v) for k, v in tree._asdict().items()})._replace(**over)


def lin(x, U, *biases):
    return sum(biases, x @ U)


def outer(x, dy):
    return np.einsum("bi,bj->ij", x, dy)


# ---- the vector field --------------------------------------------------------------------------------------------

def field(flow, h):
    z, r = sig(lin(h, flow.Uz, flow.bz)), sig(lin(h, flow.Ur, flow.br))
    u = np.tanh(lin(r * h, flow.Uu, flow.bu))
    return (1 - z) * (u - h), Field(h, z, r, u)


def field_vjp(flow, saved, dk):
    h, z, r, u = saved
    az = -dk * (u - h) * z * (1 - z)
    au = dk * (1 - z) * (1 - u ** 2)
    drh = au @ flow.Uu.T
    ar = drh * h * r * (1 - r)
    dh = -dk * (1 - z) + drh * r + az @ flow.Uz.T + ar @ flow.Ur.T
    return dh, zeros_like(flow, Uz=outer(h, az), bz=az.sum(0), Ur=outer(h, ar), br=ar.sum(0), Uu=outer(r * h, au), bu=au.sum(0))


# ---- one Runge-Kutta step ----------------------------------------------------------------------------------------

def rk4(flow, h, dt):
    k1, f1 = field(flow, h)
    k2, f2 = field(flow, h + dt / 2 * k1)
    k3, f3 = field(flow, h + dt / 2 * k2)
    k4, f4 = field(flow, h + dt * k3)
    return h + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), Stages((f1, f2, f3, f4), (k1, k2, k3, k4))


def rk4_vjp(flow, stages, dt, dnew):
    """-> derivative of the start, of dt (per unit and row), and of the flow's parameters"""
    k1, k2, k3, k4 = stages.ks
    pieces = []

    def stage(i, weight, ahead=0.0, reach=0.0):
        # k_i is in the sum with `weight`, and in the point of the next stage with `reach`
        at, grads = field_vjp(flow, stages.fields[i], dt * (weight * dnew + reach * ahead))
        pieces.append(grads)
        return at

    a4 = stage(3, 1 / 6)
    a3 = stage(2, 1 / 3, a4, reach=1.0)
    a2 = stage(1, 1 / 3, a3, reach=0.5)
    a1 = stage(0, 1 / 6, a2, reach=0.5)
    ddt = dnew * (k1 + 2 * k2 + 2 * k3 + k4) / 6
    ddt = ddt + a4 * k3 + 0.5 * (a3 * k2 + a2 * k1)
    return dnew + a1 + a2 + a3 + a4, ddt, add(*pieces)


# ---- the jump ----------------------------------------------------------------------------------------------------

def jump(cell, h, *inputs):
    inp = np.concatenate(inputs, axis=1)
    xz, xr, xn = np.split(lin(inp, cell.W, cell.b), 3, axis=1)
    hz, hr, hn = np.split(lin(h, cell.R), 3, axis=1)
    z, r, rec_n = sig(xz + hz), sig(xr + hr), hn + cell.bn
    n = np.tanh(xn + r * rec_n)
    return (1 - z) * n + z * h, Leap(inp, h, z, r, n, rec_n)


def jump_vjp(cell, leap, dnew):
    inp, h, z, r, n, rec_n = leap
    an = dnew * (1 - z) * (1 - n ** 2)
    az = dnew * (h - n) * z * (1 - z)
    ar = an * rec_n * r * (1 - r)
    ax, ah = np.hstack([az, ar, an]), np.hstack([az, ar, an * r])
    grads = Jump(W=outer(inp, ax), R=outer(h, ah), b=ax.sum(0), bn=(an * r).sum(0))
    return dnew * z + ah @ cell.R.T, grads


# ---- a whole series ----------------------------------------------------------------------------------------------

def run(model, xs, masks, gaps, n_sub=2):
    h = np.broadcast_to(model.h0, (xs.shape[1], len(model.h0)))
    trail, loss = [], 0.0
    for x, m, gap in zip(xs, masks, gaps):
        dt = gap[:, None] * np.exp(model.flow.log_rate) / n_sub
        substeps = []
        for _ in range(n_sub):
            h, stages = rk4(model.flow, h, dt)
            substeps.append(stages)
        error = m * (lin(h, *model.head) - x)
        loss += 0.5 * np.sum(error ** 2) / masks.sum()
        before = h
        h, leap = jump(model.jump, h, x * m, m)
        trail.append(Seen(substeps, before, leap, error, gap))
    # the last jump is tied down a little as well, or its weights would have no gradient
    return loss + 0.05 * np.sum(h ** 2), (trail, h)


def run_vjp(model, trail, last, count, n_sub=2):
    gflow, gjump, ghead = map(zeros_like, (model.flow, model.jump, model.head))
    dh = 0.1 * last
    for seen in reversed(trail):
        dh, g = jump_vjp(model.jump, seen.leap, dh)
        gjump = add(gjump, g)
        dy = seen.error / count
        ghead = add(ghead, Head(outer(seen.before, dy), dy.sum(0)))
        dh = dh + dy @ model.head.V.T
        dt = seen.gap[:, None] * np.exp(model.flow.log_rate) / n_sub
        for stages in reversed(seen.substeps):
            dh, ddt, g = rk4_vjp(model.flow, stages, dt, dh)
            gflow = add(gflow, g._replace(log_rate=(ddt * dt).sum(0)))
    return Model(gflow, gjump, ghead, dh.sum(0))


def flat(model):
    out = {"h0": model.h0}
    for part in ("flow", "jump", "head"):
        out.update((f"{part}.{name}", leaf) for name, leaf in getattr(model, part)._asdict().items())
    return out


def make(Target, rng, T=3, B=2, X=2, H=3):
    def w(*shape, scale=0.8):
        return rng.normal(size=shape) * scale

    model = Model(Flow(w(H, H), w(H), w(H, H), w(H), w(H, H), w(H), w(H, scale=0.3)), Jump(w(2 * X, 3 * H), w(H, 3 * H), w(3 * H), w(H)), Head(w(H, X), w(X)), w(H))
    masks = (rng.random((T, B, X)) < 0.7) * 1.0
    masks[:, 0, 0] = 1.0
    data = rng.normal(size=(T, B, X)), masks, rng.uniform(0.4, 1.6, size=(T, B))

    def grads():
        _, (trail, last) = run(model, *data)
        return flat(run_vjp(model, trail, last, masks.sum()))

    return Target(flat(model), lambda: run(model, *data)[0], grads)


BUGS = {
    "field-reset-path-not-gated": ("dh = -dk * (1 - z) + drh * r + az @ flow.Uz.T + ar @ flow.Ur.T", "dh = -dk * (1 - z) + drh + az @ flow.Uz.T + ar @ flow.Ur.T"),
    "field-update-gate-sign": ("az = -dk * (u - h) * z * (1 - z)", "az = dk * (u - h) * z * (1 - z)"),
    "field-candidate-fed-without-reset": ("Uu=outer(r * h, au)", "Uu=outer(h, au)"),
    "third-stage-reaches-half-a-step": ("a3 = stage(2, 1 / 3, a4, reach=1.0)", "a3 = stage(2, 1 / 3, a4, reach=0.5)"),
    "clock-ignores-the-inner-points": ("ddt = ddt + a4 * k3 + 0.5 * (a3 * k2 + a2 * k1)", "ddt = ddt + 0.0"),
    "start-skips-the-middle-stages": ("return dnew + a1 + a2 + a3 + a4, ddt, add(*pieces)", "return dnew + a1, ddt, add(*pieces)"),
    "jump-recurrent-candidate-not-reset": ("np.hstack([az, ar, an * r])", "np.hstack([az, ar, an])"),
    "substeps-in-the-forward-order": ("for stages in reversed(seen.substeps):", "for stages in seen.substeps:"),
}

PAIRS = [("field-update-gate-sign", "third-stage-reaches-half-a-step"), ("field-candidate-fed-without-reset", "jump-recurrent-candidate-not-reset")]
