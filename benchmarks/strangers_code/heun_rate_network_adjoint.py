"""
Rate network with output feedback, integrated by Heun's scheme; discrete adjoint.

    dr/dt = omega o (phi - r) + kappa (<r> - r),        omega = exp(-theta)
    phi   = tanh(J r + Gamma z + W u(t) + beta),        z = C r

<.> is the average over the B replicas (diffusive coupling).  The read-out z is compared
with the data d at the end of every step, Gaussian errors of log standard deviation sigma:

    S = 1/(N B) sum_n sum_b sum_m [ (z - d)^2 exp(-2 sigma) / 2 + sigma ]

The adjoint lambda_n = dS/dr_n is swept backwards (optimise-then-discretise would
only agree to O(h^2), so we differentiate the scheme itself).
All fields have the replica as first index; matrices act from the left: J_ij r_j.
"""
from types import SimpleNamespace

import numpy as np


def drift(r, u, p, k, phi):
    """k <- dr/dt, phi <- tanh(...); both are overwritten"""
    np.matmul(r, p["J"].T, out=phi)
    phi += (r @ p["C"].T) @ p["Gamma"].T
    phi += u @ p["W"].T
    phi += p["beta"]
    np.tanh(phi, out=phi)
    np.subtract(phi, r, out=k)
    k *= np.exp(-p["theta"])
    k += p["kappa"] * (r.mean(axis=0) - r)


def integrate(p, u, h, w):
    """fills w.r (N+1), w.rstar, w.phi1, w.phi2 (N)"""
    w.r[0] = p["rho"]
    for n in range(len(u) - 1):
        drift(w.r[n], u[n], p, w.k1, w.phi1[n])
        np.multiply(w.k1, h, out=w.rstar[n])
        w.rstar[n] += w.r[n]
        drift(w.rstar[n], u[n + 1], p, w.k2, w.phi2[n])
        np.add(w.k1, w.k2, out=w.r[n + 1])
        w.r[n + 1] *= 0.5 * h
        w.r[n + 1] += w.r[n]


def action(p, d, w):
    np.einsum("mj,nbj->nbm", p["C"], w.r[1:], out=w.eps)
    w.eps -= d
    N, B, _ = d.shape
    density = 0.5 * w.eps ** 2 * np.exp(-2.0 * p["sigma"]) + p["sigma"]
    return float(density.sum() / (N * B))


def pullback(lam, r, phi, u, p, g, w, out):
    """adjoint of drift(): lam is dS/dk, out <- its part of dS/dr, parameters go to g"""
    omega = np.exp(-p["theta"])
    # mu = dS/d(argument of tanh)
    np.multiply(phi, phi, out=w.mu)
    np.subtract(1.0, w.mu, out=w.mu)
    w.mu *= omega
    w.mu *= lam
    np.matmul(w.mu, p["Gamma"], out=w.nu)           # dS/dz, feedback only
    np.subtract(phi, r, out=w.tmp)
    g["theta"] -= np.einsum("bi,i,bi->i", lam, omega, w.tmp)
    g["beta"] += w.mu.sum(axis=0)
    g["J"] += np.einsum("bi,bj->ij", w.mu, r)
    g["W"] += np.einsum("bi,bk->ik", w.mu, u)
    g["Gamma"] += np.einsum("bi,mj,bj->im", w.mu, p["C"], r)
    g["C"] += np.einsum("bm,bj->mj", w.nu, r)
    np.subtract(r.mean(axis=0), r, out=w.tmp)
    g["kappa"] += np.vdot(lam, w.tmp)
    # state
    np.matmul(w.mu, p["J"], out=out)
    out += w.nu @ p["C"]
    np.multiply(lam, omega, out=w.tmp)
    out -= w.tmp
    np.subtract(lam.mean(axis=0), lam, out=w.tmp)   # coupling matrix is symmetric
    w.tmp *= p["kappa"]
    out += w.tmp


def adjoint(p, u, h, w):
    g = {name: np.zeros_like(x) for name, x in p.items()}
    N, B, M = w.eps.shape
    weight = np.exp(-2.0 * p["sigma"])
    g["sigma"] += (1.0 - w.eps ** 2 * weight).sum(axis=(0, 1)) / (N * B)
    w.lam.fill(0.0)
    for n in range(N - 1, -1, -1):
        # the datum kicks lambda at the right end of the step
        np.multiply(w.eps[n], weight, out=w.chi)
        w.chi /= N * B
        g["C"] += w.chi.T @ w.r[n + 1]
        w.lam += w.chi @ p["C"]
        # corrector
        np.multiply(w.lam, 0.5 * h, out=w.k2)
        pullback(w.k2, w.rstar[n], w.phi2[n], u[n + 1], p, g, w, w.lamstar)
        # predictor
        np.multiply(w.lam, 0.5 * h, out=w.k1)
        w.k1 += h * w.lamstar
        w.lam += w.lamstar
        pullback(w.k1, w.r[n], w.phi1[n], u[n], p, g, w, w.lamstar)
        w.lam += w.lamstar
    g["rho"] += w.lam.sum(axis=0)
    return g


def make(Target, rng, N=5, B=3, H=3, D=2, M=2):
    h = 0.7
    p = dict(
        J=1.3 * rng.standard_normal((H, H)) / np.sqrt(H),
        Gamma=0.8 * rng.standard_normal((H, M)),
        C=rng.standard_normal((M, H)),
        W=rng.standard_normal((H, D)),
        beta=0.3 * rng.standard_normal(H),
        theta=0.3 * rng.standard_normal(H),
        kappa=0.5 + 0.1 * rng.standard_normal(1),
        rho=0.8 * rng.standard_normal(H),
        sigma=0.2 * rng.standard_normal(M),
    )
    u = rng.standard_normal((N + 1, B, D))
    d = rng.standard_normal((N, B, M))
    # work space, allocated once
    w = SimpleNamespace(r=np.empty((N + 1, B, H)), eps=np.empty((N, B, M)), chi=np.empty((B, M)), nu=np.empty((B, M)))
    for name in ("rstar", "phi1", "phi2"):
        setattr(w, name, np.empty((N, B, H)))
    for name in ("k1", "k2", "mu", "tmp", "lam", "lamstar"):
        setattr(w, name, np.empty((B, H)))

    def loss():
        integrate(p, u, h, w)
        return action(p, d, w)

    def grads():
        loss()
        return adjoint(p, u, h, w)

    return Target(p, loss, grads)


BUGS = {
    "predictor-adjoint-half-step": ("w.k1 += h * w.lamstar", "w.k1 += 0.5 * h * w.lamstar"),
    "corrector-input-of-left-end": ("w.phi2[n], u[n + 1], p, g, w, w.lamstar)", "w.phi2[n], u[n], p, g, w, w.lamstar)"),
    "leak-sign": ("    out -= w.tmp", "    out += w.tmp"),
    "connectivity-transposed": ("np.matmul(w.mu, p[\"J\"], out=out)", "np.matmul(w.mu, p[\"J\"].T, out=out)"),
    "feedback-readout-overwrites": ("g[\"C\"] += np.einsum(\"bm,bj->mj\", w.nu, r)", "g[\"C\"] = np.einsum(\"bm,bj->mj\", w.nu, r)"),
    "replica-mean-held-constant": ("np.subtract(lam.mean(axis=0), lam, out=w.tmp)", "np.negative(lam, out=w.tmp)"),
    "slope-at-the-state": ("np.multiply(phi, phi, out=w.mu)", "np.multiply(r, r, out=w.mu)"),
    "sweep-misses-first-step": ("range(N - 1, -1, -1)", "range(N - 1, 0, -1)"),
}
PAIRS = [
    ("predictor-adjoint-half-step", "replica-mean-held-constant"),
    ("corrector-input-of-left-end", "leak-sign"),
    ("connectivity-transposed", "slope-at-the-state"),
    ("feedback-readout-overwrites", "predictor-adjoint-half-step"),
    ("sweep-misses-first-step", "corrector-input-of-left-end"),
    ("replica-mean-held-constant", "connectivity-transposed"),
]
