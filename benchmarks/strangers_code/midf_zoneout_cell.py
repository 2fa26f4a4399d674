# MIDF-RNN: multiplicative integration + delayed feedback, experiment 7 (zoneout, norm stabiliser)
#
#   p = x W',  q = h[t-1] U'
#   m = alpha*p*q + b1*p + b2*q + h[t-1-K] D + b
#   c = tanh(rms(m) * gain)
#   h = h[t-1] + zone * lam * (c - h[t-1])          zone: 0 = the unit sleeps in this step
#
# Style: each op returns (value, pullback). Pullbacks are closures over whatever they need.
from dataclasses import dataclass
from typing import Callable, List, NamedTuple

import numpy as np

Array = np.ndarray


class Theta(NamedTuple):
    W: Array        # (H, I)
    U: Array        # (H, H)
    D: Array        # (H, H)   delayed feedback
    alpha: Array    # (H,)
    b1: Array
    b2: Array
    b: Array
    gain: Array
    rho: Array      # lam = sigmoid(rho)
    h0: Array       # the state at all times <= 0
    V: Array        # (H, O)
    c: Array        # (O,)


class Batch(NamedTuple):
    x: Array        # (T, B, I)
    y: Array        # (T, B, O)
    zone: Array     # (T, B, H)


class Pulled(NamedTuple):
    prev: Array
    delayed: Array
    theta: dict


@dataclass(frozen=True)
class Setup:
    delay: int
    mu: float = 0.8           # norm stabiliser
    eps_rms: float = 0.05
    eps_len: float = 0.01


def mi(p: Array, q: Array, th: Theta):
    """multiplicative integration (Wu et al. 2016), eq. 4"""
    def pull(d):
        dp = d * (th.alpha * q + th.b1)
        dq = d * (th.alpha * p + th.b2)
        return dp, dq, dict(alpha=(d * p * q).sum(0), b1=(d * p).sum(0), b2=(d * q).sum(0))
    return th.alpha * p * q + th.b1 * p + th.b2 * q, pull


def rms(a: Array, gain: Array, eps: float):
    inv = (np.mean(a * a, axis=-1, keepdims=True) + eps) ** -0.5
    n = a * inv

    def pull(d):
        e = d * gain
        da = inv * (e - n * np.mean(e * n, axis=-1, keepdims=True))
        return da, (d * n).sum(0)
    return n * gain, pull


def length(h: Array, eps: float):
    s = np.sqrt((h * h).sum(-1, keepdims=True) + eps)
    return s, lambda d: d * h / s


def logcosh(e: Array):
    # log cosh without overflow
    v = np.logaddexp(e, -e) - np.log(2.0)
    return v, lambda d: d * np.tanh(e)


def cell(th: Theta, cfg: Setup, x: Array, prev: Array, delayed: Array, zone: Array):
    lam = 1 / (1 + np.exp(-th.rho))
    m, pull_mi = mi(x @ th.W.T, prev @ th.U.T, th)
    a, pull_rms = rms(m + delayed @ th.D + th.b, th.gain, cfg.eps_rms)
    c = np.tanh(a)
    h = prev + zone * lam * (c - prev)

    def pull(dh: Array) -> Pulled:
        dlam = (dh * zone * (c - prev)).sum(0)
        da = dh * zone * lam * (1 - c ** 2)
        dm, dgain = pull_rms(da)
        dp, dq, g = pull_mi(dm)
        g["rho"] = dlam * lam * (1 - lam)
        g["gain"] = dgain
        g["b"] = dm.sum(0)
        g["W"] = dp.T @ x
        g["U"] = dq.T @ prev
        g["D"] = delayed.T @ dm
        # a sleeping unit hands everything on
        keep = dh * (1 - zone * lam)
        return Pulled(prev=keep + dq @ th.U, delayed=dm @ th.D.T, theta=g)
    return h, pull


def unroll(th: Theta, cfg: Setup, data: Batch):
    """-> loss, backward; hs[0] is h0, hs[t] is after t inputs"""
    T, B = data.x.shape[:2]
    H = th.h0.size
    hs: List[Array] = [np.broadcast_to(th.h0, (B, H))]
    pulls: List[Callable] = []
    late = lambda t: max(t - 1 - cfg.delay, 0)
    for t in range(1, T + 1):
        h, pull = cell(th, cfg, data.x[t - 1], hs[t - 1], hs[late(t)], data.zone[t - 1])
        hs.append(h)
        pulls.append(pull)

    # data term
    err = [h @ th.V + th.c - y for h, y in zip(hs[1:], data.y)]
    terms = [logcosh(e) for e in err]
    loss = sum(v.sum() for v, _ in terms) / (T * B)

    # norm stabiliser (Krueger & Memisevic 2016)
    lens = [length(h, cfg.eps_len) for h in hs]
    jumps = [lens[t][0] - lens[t - 1][0] for t in range(1, T + 1)]
    loss += cfg.mu * sum((j ** 2).sum() for j in jumps) / (T * B)

    def backward() -> Theta:
        acc = {k: np.zeros_like(v) for k, v in th._asdict().items()}
        G = [np.zeros((B, H)) for _ in range(T + 1)]
        for t in range(1, T + 1):
            de = terms[t - 1][1](1.0 / (T * B))
            acc["V"] += hs[t].T @ de
            acc["c"] += de.sum(0)
            G[t] += de @ th.V.T
            dj = 2 * cfg.mu * jumps[t - 1] / (T * B)
            G[t] += lens[t][1](dj)
            G[t - 1] -= lens[t - 1][1](dj)
        for t in range(T, 0, -1):
            out = pulls[t - 1](G[t])
            G[t - 1] += out.prev
            G[late(t)] += out.delayed
            for k, v in out.theta.items():
                acc[k] += v
        acc["h0"] += G[0].sum(0)
        return Theta(**acc)
    return loss, backward


def draw(rng, I: int, H: int, O: int) -> Theta:
    n = lambda s, *shape: s * rng.standard_normal(shape)
    return Theta(W=n(0.9, H, I), U=n(0.7, H, H), D=n(0.6, H, H), alpha=1 + n(0.4, H), b1=0.7 + n(0.3, H),
                 b2=0.7 + n(0.3, H), b=n(0.3, H), gain=1 + n(0.2, H), rho=0.5 + n(0.5, H), h0=n(0.5, H),
                 V=n(0.9, H, O), c=n(0.2, O))


def make(Target, rng, T=6, B=3, H=4, I=3, O=2, K=2):
    th = draw(rng, I, H, O)
    cfg = Setup(delay=K)
    data = Batch(x=rng.standard_normal((T, B, I)), y=1.5 * rng.standard_normal((T, B, O)),
                 zone=(rng.random((T, B, H)) > 0.25).astype(float))
    return Target(
        params=th._asdict(),
        loss=lambda: float(unroll(th, cfg, data)[0]),
        grads=lambda: unroll(th, cfg, data)[1]()._asdict(),
    )


BUGS = {
    "delayed-gradient-one-step-late": ("G[late(t)] += out.delayed", "G[late(t + 1)] += out.delayed"),
    "zone-mask-inverted": ("da = dh * zone * lam * (1 - c ** 2)", "da = dh * (1 - zone) * lam * (1 - c ** 2)"),
    "stabiliser-sign": ("G[t - 1] -= lens[t - 1][1](dj)", "G[t - 1] += lens[t - 1][1](dj)"),
    "product-rule-same-factor": ("dp = d * (th.alpha * q + th.b1)", "dp = d * (th.alpha * p + th.b1)"),
    "rms-sum-for-mean": ("da = inv * (e - n * np.mean(e * n, axis=-1, keepdims=True))", "da = inv * (e - n * np.sum(e * n, axis=-1, keepdims=True))"),
    "leak-rate-tanh-derivative": ("g[\"rho\"] = dlam * lam * (1 - lam)", "g[\"rho\"] = dlam * (1 - lam ** 2)"),
    "leaky-carry-dropped": ("return Pulled(prev=keep + dq @ th.U,", "return Pulled(prev=dq @ th.U,"),
    "state-gradients-one-shared-array": ("G = [np.zeros((B, H)) for _ in range(T + 1)]", "G = [np.zeros((B, H))] * (T + 1)"),
}
PAIRS = [
    ("delayed-gradient-one-step-late", "leak-rate-tanh-derivative"),
    ("zone-mask-inverted", "stabiliser-sign"),
    ("product-rule-same-factor", "leaky-carry-dropped"),
    ("rms-sum-for-mean", "delayed-gradient-one-step-late"),
    ("state-gradients-one-shared-array", "product-rule-same-factor"),
    ("stabiliser-sign", "rms-sum-for-mean"),
]
