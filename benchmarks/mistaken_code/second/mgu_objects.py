"""Minimal gated unit with a learned initial state; every time step is an object which
remembers what it needs for its own backward."""
from dataclasses import dataclass, field
from typing import Dict, List
import numpy as np


def sigma(v):
    return 1.0 / (1.0 + np.exp(-v))


def dsigma(y):
    """y is already sigma(v)"""
    return 1.0 - y ** 2


def dtanh(y):
    """y is already tanh(v)"""
    return 1.0 - y * y


@dataclass
class Step:
    x: np.ndarray
    h_prev: np.ndarray
    f: np.ndarray = None
    cand: np.ndarray = None
    h: np.ndarray = None
    prob: np.ndarray = None


@dataclass
class MGU:
    par: Dict[str, np.ndarray]
    steps: List[Step] = field(default_factory=list)

    def run(self, X):
        self.steps = []
        h = np.tile(self.par["h0"], (X.shape[0], 1))
        for t in range(X.shape[1]):
            s = Step(x=X[:, t], h_prev=h)
            s.f = sigma(s.x @ self.par["Wf"] + s.h_prev @ self.par["Uf"] + self.par["bf"])
            s.cand = np.tanh(s.x @ self.par["Wc"] + (s.f * s.h_prev) @ self.par["Uc"] + self.par["bc"])
            s.h = s.h_prev + s.f * (s.cand - s.h_prev)
            z = s.h @ self.par["Wy"]
            z = np.exp(z - z.max(axis=1, keepdims=True))
            s.prob = z / z.sum(axis=1, keepdims=True)
            self.steps.append(s)
            h = s.h

    def cross_entropy(self, labels):
        rows = np.arange(labels.shape[0])
        return sum(-np.log(s.prob[rows, labels[:, t]]).mean() for t, s in enumerate(self.steps))

    def backprop(self, labels):
        g = {k: np.zeros_like(v) for k, v in self.par.items()}
        B = labels.shape[0]
        dh = np.zeros((B, self.par["h0"].shape[0]))
        for t, s in reversed(list(enumerate(self.steps))):
            dz = s.prob.copy()
            dz[np.arange(B), labels[:, t]] -= 1.0
            dz /= B
            g["Wy"] += s.h.T @ dz
            dh = dh + dz @ self.par["Wy"].T
            dh_prev = dh * (1.0 - s.f)
            dcand = dh * s.f * dtanh(s.cand)
            g["Wc"] += s.x.T @ dcand
            g["Uc"] += (s.f * s.h_prev).T @ dcand
            g["bc"] += dcand.sum(axis=0)
            dfh = dcand @ self.par["Uc"].T
            dh_prev += dfh * s.f
            df = dh * (s.cand - s.h_prev)
            df *= dsigma(s.f)
            g["Wf"] += s.x.T @ df
            g["Uf"] += s.h_prev.T @ df
            g["bf"] += df.sum(axis=0)
            dh_prev += df @ self.par["Uf"].T
            dh = dh_prev
        g["h0"] = dh.mean(axis=0)
        return g


def make(rng, T=4, B=3, D=2, H=3):
    K = 3
    dims = {"Wf": (D, H), "Uf": (H, H), "bf": (H,), "Wc": (D, H), "Uc": (H, H), "bc": (H,),
            "h0": (H,), "Wy": (H, K)}
    par = {name: rng.normal(0.0, 0.9, dim) for name, dim in dims.items()}
    X = rng.normal(size=(B, T, D))
    labels = rng.integers(0, K, size=(B, T))
    net = MGU(par)

    def loss():
        net.run(X)
        return float(net.cross_entropy(labels))

    def grads():
        net.run(X)
        return net.backprop(labels)

    return par, loss, grads


import gradcheck


@gradcheck.target
def audited(rng, *, T=4, B=3, D=2, H=3):
    return gradcheck.Target(*make(rng, T=T, B=B, D=D, H=H))


FAULTS = [("dsigma takes the square 1 - y*y, i.e. tanh's derivative",
  [14],
  [('    return 1.0 - y ** 2\n', '    return y * (1.0 - y)\n')]),
 ("the forget gate's path through the candidate (f * h_prev) is missing in df",
  [72, 73],
  [('            df *= ', '            df += dfh * s.h_prev\n            df *= ')]),
 ('learned initial state: gradient averaged over the batch, should be summed',
  [79],
  [('g["h0"] = dh.mean(axis=0)', 'g["h0"] = dh.sum(axis=0)')])]
