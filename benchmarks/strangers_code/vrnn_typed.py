"""Variational RNN (Chung et al. 2015), binary observations, backward pass by hand. Python >= 3.10."""
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Callable, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Params: TypeAlias = dict[str, Array]


class Act(Enum):
    LINEAR = auto()
    TANH = auto()
    SOFTPLUS = auto()
    GATE = auto()


def activate(kind: Act, a: Array) -> Array:
    match kind:
        case Act.LINEAR:
            return a
        case Act.TANH:
            return np.tanh(a)
        case Act.SOFTPLUS:
            return np.logaddexp(0.0, a)
        case Act.GATE:
            return 0.5 + 0.5 * np.tanh(0.5 * a)


def slope(kind: Act, out: Array) -> Array:
    """Derivative of `activate`, expressed through its *output*."""
    match kind:
        case Act.LINEAR:
            return np.ones_like(out)
        case Act.TANH:
            return 1.0 - np.square(out)
        case Act.SOFTPLUS:
            return -np.expm1(-out)  # sigmoid(a) = 1 - exp(-softplus(a))
        case Act.GATE:
            return out * (1.0 - out)


class DenseTape(NamedTuple):
    name: str
    kind: Act
    inp: Array
    out: Array


class Gauss(NamedTuple):
    mu: Array
    logs: Array

    @property
    def std(self) -> Array:
        return np.exp(self.logs)


class Frame(NamedTuple):
    """Everything time step t has to leave behind for the backward pass."""

    x: Array
    h_prev: Array
    eps: Array
    prior: Gauss
    post: Gauss
    logits: Array
    cand: Array
    gate: Array
    tapes: dict[str, DenseTape]


@dataclass(frozen=True, slots=True)
class Sizes:
    x: int
    h: int
    z: int
    f: int  # feature width

    def layers(self) -> dict[str, tuple[int, int, Act]]:
        return {
            "feat_x": (self.x, self.f, Act.TANH),
            "feat_z": (self.z, self.f, Act.SOFTPLUS),
            "prior": (self.h, 2 * self.z, Act.LINEAR),
            "enc": (self.f + self.h, 2 * self.z, Act.LINEAR),
            "dec": (self.f + self.h, self.x, Act.LINEAR),
            "cand": (2 * self.f + self.h, self.h, Act.TANH),
            "gate": (2 * self.f + self.h, self.h, Act.GATE),
        }


@dataclass(slots=True)
class VRNN:
    sizes: Sizes
    params: Params
    beta: float = 0.7
    layers: dict[str, tuple[int, int, Act]] = field(init=False)

    def __post_init__(self) -> None:
        self.layers = self.sizes.layers()

    @classmethod
    def random(cls, sizes: Sizes, rng: np.random.Generator) -> "VRNN":
        p: Params = {"h0": rng.normal(0.0, 0.6, sizes.h)}
        for name, (n_in, n_out, _) in sizes.layers().items():
            p[f"{name}.w"] = rng.normal(0.0, 0.9 / np.sqrt(n_in) + 0.1, (n_in, n_out))
            p[f"{name}.b"] = rng.normal(0.0, 0.3, n_out)
        return cls(sizes, p)

    # ------------------------------------------------------------------ layers
    def dense(self, name: str, *parts: Array) -> DenseTape:
        kind = self.layers[name][2]
        inp = np.concatenate(parts, axis=1)
        return DenseTape(name, kind, inp, activate(kind, inp @ self.params[f"{name}.w"] + self.params[f"{name}.b"]))

    def dense_back(self, g: Params, tape: DenseTape, d_out: Array) -> Array:
        d_pre = d_out * slope(tape.kind, tape.out)
        g[f"{tape.name}.w"] += tape.inp.T @ d_pre
        g[f"{tape.name}.b"] += d_pre.sum(axis=0)
        return d_pre @ self.params[f"{tape.name}.w"].T

    # ----------------------------------------------------------------- forward
    def step(self, x: Array, h: Array, eps: Array) -> tuple[Frame, Array]:
        fx = self.dense("feat_x", x)
        pr = self.dense("prior", h)
        en = self.dense("enc", fx.out, h)
        prior, post = (Gauss(*np.split(t.out, 2, axis=1)) for t in (pr, en))
        z = post.mu + post.std * eps
        fz = self.dense("feat_z", z)
        de = self.dense("dec", fz.out, h)
        ca = self.dense("cand", fx.out, fz.out, h)
        ga = self.dense("gate", fx.out, fz.out, h)
        tapes = {t.name: t for t in (fx, pr, en, fz, de, ca, ga)}
        h_new = h + ga.out * (ca.out - h)
        return Frame(x, h, eps, prior, post, de.out, ca.out, ga.out, tapes), h_new

    def elbo(self, xs: Array, noise: Array) -> tuple[float, list[Frame]]:
        h = np.broadcast_to(self.params["h0"], (xs.shape[1], self.sizes.h))
        frames: list[Frame] = []
        total = 0.0
        for x, eps in zip(xs, noise, strict=True):
            f, h = self.step(x, h, eps)
            frames.append(f)
            nll = np.sum(np.logaddexp(0.0, f.logits) - x * f.logits)
            q, p = f.post, f.prior
            kl = np.sum(p.logs - q.logs + 0.5 * (q.std**2 + (q.mu - p.mu) ** 2) / p.std**2 - 0.5)
            total += nll + self.beta * kl
        return float(total / xs[..., 0].size), frames

    # ---------------------------------------------------------------- backward
    def backward(self, frames: list[Frame]) -> Params:
        g: Params = {k: np.zeros_like(v) for k, v in self.params.items()}
        nf = self.sizes.f
        dh: Array = np.zeros_like(frames[0].h_prev)
        scale = 1.0 / (len(frames) * len(dh))
        for fr in reversed(frames):
            back: Callable[[str, Array], Array] = lambda n, d: self.dense_back(g, fr.tapes[n], d)
            q, p = fr.post, fr.prior

            # state update  h' = h + u (c - h)
            d_in = back("cand", dh * fr.gate)
            d_in += back("gate", dh * (fr.cand - fr.h_prev))
            dh = dh * (1.0 - fr.gate)
            d_fx, d_fz = d_in[:, :nf], d_in[:, nf:2 * nf]
            dh += d_in[:, 2 * nf:]

            # reconstruction
            d_dec = back("dec", scale * (activate(Act.GATE, fr.logits) - fr.x))
            d_fz = d_fz + d_dec[:, :nf]
            dh += d_dec[:, nf:]

            # sample
            dz = back("feat_z", d_fz)
            dq_mu = dz.copy()
            dq_logs = dz * fr.eps * q.std

            # KL(q || p)
            w = self.beta * scale / p.std**2
            gap = q.mu - p.mu
            dq_mu += w * gap
            dq_logs += w * q.std**2 - self.beta * scale
            dp_mu = -w * gap
            dp_logs = self.beta * scale - w * (q.std**2 + gap**2)

            # encoder, prior, features
            d_enc = back("enc", np.hstack([dq_mu, dq_logs]))
            d_fx = d_fx + d_enc[:, :nf]
            dh += d_enc[:, nf:]
            dh += back("prior", np.hstack([dp_mu, dp_logs]))
            back("feat_x", d_fx)
        g["h0"] += dh.sum(axis=0)
        return g


def make(Target: Any, rng: np.random.Generator, T: int = 6, B: int = 4, X: int = 4, H: int = 4, Z: int = 2, F: int = 3):
    net = VRNN.random(Sizes(x=X, h=H, z=Z, f=F), rng)
    xs = (rng.random((T, B, X)) < 0.4).astype(float)
    noise = rng.normal(size=(T, B, Z))  # drawn once: common random numbers

    def loss() -> float:
        return net.elbo(xs, noise)[0]

    def grads() -> Params:
        return net.backward(net.elbo(xs, noise)[1])

    return Target(net.params, loss, grads)


BUGS = {
    "softplus-slope-one-minus-lost": ("return -np.expm1(-out)  #", "return np.exp(-out)  #"),
    "gate-compares-with-state-lost": ("back(\"gate\", dh * (fr.cand - fr.h_prev))", "back(\"gate\", dh * fr.cand)"),
    "leak-takes-gate": ("dh = dh * (1.0 - fr.gate)", "dh = dh * fr.gate"),
    "decoder-features-overwrite": ("d_fz = d_fz + d_dec[:, :nf]", "d_fz = d_dec[:, :nf]"),
    "reparam-factor-std-lost": ("dq_logs = dz * fr.eps * q.std", "dq_logs = dz * fr.eps"),
    "prior-mean-sign": ("dp_mu = -w * gap", "dp_mu = w * gap"),
    "prior-logs-gap-not-squared": ("w * (q.std**2 + gap**2)", "w * (q.std**2 + gap)"),
    "encoder-state-carry-assigned": ("dh += d_enc[:, nf:]", "dh = d_enc[:, nf:]"),
}
PAIRS = [
    ("softplus-slope-one-minus-lost", "prior-mean-sign"),
    ("gate-compares-with-state-lost", "reparam-factor-std-lost"),
    ("decoder-features-overwrite", "prior-logs-gap-not-squared"),
    ("leak-takes-gate", "prior-mean-sign"),
    ("encoder-state-carry-assigned", "softplus-slope-one-minus-lost"),
    ("reparam-factor-std-lost", "prior-logs-gap-not-squared"),
]
