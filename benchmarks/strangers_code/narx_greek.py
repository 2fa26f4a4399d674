"""NARX network with tapped delay lines on input and on its own output (a Jordan network), ported from a Julia notebook.

    hₜ = tanh(Σ_d P[d] u(t-d) + Σ_d Q[d] y(t-d) + b)        y(t) = ρ ⊙ y(t-1) + S h + μ ⊙ h[first units]
The tangents are called δ; a step in the past gets its share as soon as it is known, so δy is a list with a slot for each time.
"""
import numpy as np

TAPS_U = (0, 1, 3)
TAPS_Y = (1, 2)
zero = np.zeros_like


def θ_init(rng, nu, nh, ny):
    σ = 0.6
    return {
        "P": [σ * rng.normal(size=(nh, nu)) for _ in TAPS_U],
        "Q": [σ * rng.normal(size=(nh, ny)) for _ in TAPS_Y],
        "S": σ * rng.normal(size=(ny, nh)),
        "b": σ * rng.normal(size=(nh, 1)),
        "ρ": σ * rng.normal(size=(ny, 1)),
        "μ": σ * rng.normal(size=(ny, 1)),
        "γ": 1 + σ * rng.normal(size=(nh, 1)),
    }


def past(seq, t, d, like):
    return seq[t - d] if t - d >= 0 else zero(like)


def simulate(θ, u):
    y, h, φ = [], [], []
    y_start = np.zeros((len(θ["ρ"]), u[0].shape[1]))
    for t in range(len(u)):
        a = θ["b"] + sum(P @ past(u, t, d, u[0]) for P, d in zip(θ["P"], TAPS_U))
        a = a + sum(Q @ past(y, t, d, y_start) for Q, d in zip(θ["Q"], TAPS_Y))
        φ.append(np.tanh(a))
        h.append(θ["γ"] * φ[t])
        k = len(θ["ρ"])
        y.append(θ["ρ"] * past(y, t, 1, y_start) + θ["S"] @ h[t] + θ["μ"] * h[t][:k])
    return y, h, φ


def J(θ, u, target, ω):
    y, _, _ = simulate(θ, u)
    return 0.5 * sum(w * np.mean(np.sum((yt - rt) ** 2, axis=0)) for w, yt, rt in zip(ω, y, target))


def δJ(θ, u, target, ω):
    y, h, φ = simulate(θ, u)
    T, k, n = len(u), len(θ["ρ"]), u[0].shape[1]
    δy = [w * (yt - rt) / n for w, yt, rt in zip(ω, y, target)]
    δP, δQ = [zero(P) for P in θ["P"]], [zero(Q) for Q in θ["Q"]]
    δS, δb, δρ, δμ, δγ = (zero(θ[name]) for name in ("S", "b", "ρ", "μ", "γ"))
    for t in range(T)[::-1]:
        δyt = δy[t]
        δS += δyt @ h[t].T
        δμ += np.sum(δyt * h[t][:k], axis=1, keepdims=True)
        δh = θ["S"].T @ δyt
        δh[:k] += θ["μ"] * δyt
        δγ += np.sum(δh * φ[t], axis=1, keepdims=True)
        δa = δh * θ["γ"] * (1 - φ[t] ** 2)
        δb += np.sum(δa, axis=1, keepdims=True)
        for i, d in enumerate(TAPS_U):
            if t >= d:
                δP[i] += δa @ u[t - d].T
        for j, d in enumerate(TAPS_Y):
            if t < d:
                continue
            δQ[j] += δa @ y[t - d].T
            δy[t - d] = δy[t - d] + θ["Q"][j].T @ δa
        if t > 0:
            δρ += np.sum(δyt * y[t - 1], axis=1, keepdims=True)
            δy[t - 1] = δy[t - 1] + θ["ρ"] * δyt
    return {"P": δP, "Q": δQ, "S": δS, "b": δb, "ρ": δρ, "μ": δμ, "γ": δγ}


def flat(tree):
    """Lists of matrices become separate names, arrays are shared."""
    return {**{f"P{d}": M for d, M in zip(TAPS_U, tree["P"])}, **{f"Q{d}": M for d, M in zip(TAPS_Y, tree["Q"])},
            "S": tree["S"], "b": tree["b"], "rho": tree["ρ"], "mu": tree["μ"], "gamma": tree["γ"]}


def make(Target, rng, T=5, N=2, nu=2, nh=4):
    θ = θ_init(rng, nu, max(nh, 2), 2)
    u = [rng.normal(size=(nu, N)) for _ in range(T)]
    target = [rng.normal(size=(2, N)) for _ in range(T)]
    ω = np.linspace(0.5, 1.0, T)
    return Target(params=flat(θ), loss=lambda: J(θ, u, target, ω), grads=lambda: flat(δJ(θ, u, target, ω)))


BUGS = {
    "only-nearest-tap-gets-share": ('δy[t - d] = δy[t - d] + θ["Q"][j].T @ δa', 'δy[t - 1] = δy[t - 1] + θ["Q"][j].T @ δa'),
    "share-overwrites-slot": ('δy[t - 1] = δy[t - 1] + θ["ρ"] * δyt', 'δy[t - 1] = θ["ρ"] * δyt'),
    "output-tap-off-by-one": ("δQ[j] += δa @ y[t - d].T", "δQ[j] += δa @ y[t - d + 1].T"),
    "input-tap-first-step-skipped": ("if t >= d:", "if t > d:"),
    "diagonal-link-not-propagated": ('δh[:k] += θ["μ"] * δyt', "pass"),
    "scale-missing-in-activation": ('δa = δh * θ["γ"] * (1 - φ[t] ** 2)', "δa = δh * (1 - φ[t] ** 2)"),
    "tanh-slope-of-scaled-output": ("* (1 - φ[t] ** 2)", "* (1 - h[t] ** 2)"),
    "autoregression-of-current-output": ("δρ += np.sum(δyt * y[t - 1], axis", "δρ += np.sum(δyt * y[t], axis"),
}

PAIRS = [
    ("only-nearest-tap-gets-share", "diagonal-link-not-propagated"),
    ("share-overwrites-slot", "output-tap-off-by-one"),
]
