"""Antisymmetric ODE-RNN for irregularly sampled scalars, with a mixture-density head.

Between observations the state flows along h' = tanh(h (M - M' - gamma I) + c), one RK4 step per gap;
at an observation the mixture at the flowed state is scored and the state jumps.
Everything is a pure function returning (value, pullback); a pullback maps cotangents of the
value to (dict of parameter cotangents, cotangent of the state).
"""
from collections import namedtuple
from functools import partial, reduce

import numpy as np

Theta = namedtuple("Theta", "M c A u b head bias h0")
Obs = namedtuple("Obs", "x gap weight")
GAMMA = 0.1


def merge(*trees):
    return reduce(lambda a, b: {**a, **{k: a[k] + v if k in a else v for k, v in b.items()}}, trees)


def lse(v):
    top = v.max(axis=1, keepdims=True)
    return top + np.log(np.exp(v - top).sum(axis=1, keepdims=True))


def field(th, h):
    K = th.M - th.M.T - GAMMA * np.eye(len(th.M))
    v = np.tanh(h @ K + th.c)

    def pullback(dv):
        da = dv * (1 - v ** 2)
        G = h.T @ da
        return dict(M=G - G.T, c=da.sum(axis=0)), da @ K.T

    return v, pullback


def rk4(f, dt, h):
    k1, back1 = f(h)
    k2, back2 = f(h + dt / 2 * k1)
    k3, back3 = f(h + dt / 2 * k2)
    k4, back4 = f(h + dt * k3)

    def pullback(dout):
        g4, e4 = back4(dt / 6 * dout)
        g3, e3 = back3(dt / 3 * dout + dt * e4)
        g2, e2 = back2(dt / 3 * dout + dt / 2 * e3)
        g1, e1 = back1(dt / 6 * dout + dt / 2 * e2)
        return merge(g1, g2, g3, g4), dout + e1 + e2 + e3 + e4

    return h + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4), pullback


def mixture(th, x, h):
    logit, mu, logs = np.split(h @ th.head + th.bias, 3, axis=1)
    z = (x - mu) * np.exp(-logs)
    prior = logit - lse(logit)
    joint = prior - logs - 0.5 * z ** 2 - 0.5 * np.log(2 * np.pi)
    evidence = lse(joint)

    def pullback(dnll):
        resp = np.exp(joint - evidence)
        d_logit = np.exp(prior) - resp
        d_mu = -resp * z * np.exp(-logs)
        d_logs = resp * (1 - z ** 2)
        draw = np.hstack([d_logit, d_mu, d_logs]) * (dnll / len(x))
        return dict(head=h.T @ draw, bias=draw.sum(axis=0)), draw @ th.head.T

    return -evidence.mean(), pullback


def jump(th, x, h):
    new = np.tanh(h @ th.A + x * th.u + th.b)

    def pullback(dnew):
        da = dnew * (1 - new ** 2)
        return dict(A=h.T @ da, u=(x * da).sum(axis=0), b=da.sum(axis=0)), da @ th.A.T

    return new, pullback


def observe(th, obs, h):
    flowed, flow_back = rk4(partial(field, th), obs.gap, h)
    nll, score_back = mixture(th, obs.x, flowed)
    jumped, jump_back = jump(th, obs.x, flowed)

    def pullback(dnll, djumped):
        g_score, d_score = score_back(dnll)
        g_jump, d_jump = jump_back(djumped)
        g_flow, dh = flow_back(d_score + d_jump)
        return merge(g_score, g_jump, g_flow), dh

    return (nll, jumped), pullback


def unroll(th, series, batch):
    def advance(acc, obs):
        total, h, backs = acc
        (nll, h), back = observe(th, obs, h)
        return total + obs.weight * nll, h, backs + (back,)

    start = np.ones((batch, 1)) * th.h0
    total, last, backs = reduce(advance, series, (0.0, start, ()))

    def retreat(acc, item):
        tree, dh = acc
        back, weight = item
        g, dh = back(weight, dh)
        return merge(tree, g), dh

    def pullback(dtotal):
        weights = [dtotal * obs.weight for obs in series]
        pairs = zip(reversed(backs), reversed(weights))
        tree, dh = reduce(retreat, pairs, ({}, np.zeros_like(last)))
        return merge(tree, dict(h0=dh.sum(axis=0)))

    return total, pullback


def make(Target, rng, T=5, B=3, H=4, K=2):
    shapes = Theta(M=(H, H), c=(H,), A=(H, H), u=(H,), b=(H,), head=(H, 3 * K), bias=(3 * K,), h0=(H,))
    params = {name: rng.normal(scale=0.7, size=shape) for name, shape in shapes._asdict().items()}
    series = [Obs(rng.normal(size=(B, 1)), rng.uniform(0.4, 1.6, size=(B, 1)), 0.5 ** (T - 1 - t))
              for t in range(T)]                 # recent observations count more

    def loss():
        return float(unroll(Theta(**params), series, B)[0])

    def grads():
        tree = unroll(Theta(**params), series, B)[1](1.0)
        return {name: tree[name] for name in params}

    return Target(params, loss, grads)


BUGS = {
    "antisymmetric-second-half-missing": ("return dict(M=G - G.T, c=", "return dict(M=G, c="),
    "field-matrix-not-transposed": ("da @ K.T", "da @ K"),
    "third-stage-half-step": ("back3(dt / 3 * dout + dt * e4)", "back3(dt / 3 * dout + dt / 2 * e4)"),
    "middle-stages-lose-the-state": ("dout + e1 + e2 + e3 + e4", "dout + e1"),
    "head-columns-in-wrong-order": ("np.hstack([d_logit, d_mu, d_logs])", "np.hstack([d_mu, d_logit, d_logs])"),
    "merge-replaces-instead-of-adding": ("{**a, **{k: a[k] + v if k in a else v for k, v in b.items()}}", "{**a, **b}"),
    "weights-not-reversed-with-pullbacks": ("zip(reversed(backs), reversed(weights))", "zip(reversed(backs), weights)"),
    "jump-path-cut": ("flow_back(d_score + d_jump)", "flow_back(d_score)"),
}
PAIRS = [
    ("antisymmetric-second-half-missing", "field-matrix-not-transposed"),
    ("third-stage-half-step", "head-columns-in-wrong-order"),
    ("middle-stages-lose-the-state", "weights-not-reversed-with-pullbacks"),
    ("merge-replaces-instead-of-adding", "jump-path-cut"),
    ("head-columns-in-wrong-order", "field-matrix-not-transposed"),
    ("weights-not-reversed-with-pullbacks", "antisymmetric-second-half-missing"),
]
