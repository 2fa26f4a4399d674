"""Antisymmetric RNN with gating (Chang et al. 2019), prototype with a hand-made tape.

    M = W - Wᵀ - γI        hₜ₊₁ = hₜ + ε σ(hₜM + uₜZ + z) ∘ tanh(hₜM + uₜV + b)        ŷₜ = σ((μ ∘ hₜ₊₁) Vᵀ + c)
V is tied: it reads the input and writes the output. μ is one dropout mask for all steps. γ = exp(g), ε = exp(e) are trained.
Every op puts its value into ν and a closure on the tape; a closure moves δ of its result to δ of its operands.
"""
import numpy as np
from collections import defaultdict

σ = lambda a: 1 / (1 + np.exp(-a))


class Tape(list):
    def __init__(self, θ):
        super().__init__()
        self.ν = dict(θ)
        self.δ = defaultdict(float)

    def unroll(self):
        while self:
            self.pop()()


def skew(k, out):
    """out = W - Wᵀ - exp(g) I"""
    ν, δ = k.ν, k.δ
    γ = np.exp(ν["g"][0])
    ν[out] = ν["W"] - ν["W"].T - γ * np.eye(len(ν["W"]))

    def back():
        d = δ[out]
        δ["W"] += d - d.T
        δ["g"] += np.array([-γ * np.trace(d)])
    k.append(back)


def affine(k, out, h, M, u, V, b):
    ν, δ = k.ν, k.δ
    x, A, w, B = ν[h], ν[M], ν[u], ν[V]
    ν[out] = x @ A + w @ B + ν[b]

    def back():
        d = δ.pop(out)
        δ[M] += x.T @ d
        δ[V] += w.T @ d
        δ[b] += d.sum(0)
        δ[h] += d @ A.T
        δ[u] += d @ B.T
    k.append(back)


def euler(k, out, h, q, a):
    """out = h + exp(e) σ(q) tanh(a)"""
    ν, δ = k.ν, k.δ
    ε, s, τ = np.exp(ν["e"][0]), σ(ν[q]), np.tanh(ν[a])
    ν[out] = ν[h] + ε * s * τ

    def back():
        d = δ.pop(out)
        δ[h] += d
        δ["e"] += np.array([ε * (d * s * τ).sum()])
        δ[q] += ε * d * τ * s * (1 - s)
        δ[a] += ε * d * s * (1 - τ ** 2)
    k.append(back)


def drop(k, out, h, μ):
    ν, δ = k.ν, k.δ
    ν[out] = μ * ν[h]

    def back():
        δ[h] += μ * δ.pop(out)
    k.append(back)


def tied(k, out, r):
    ν, δ = k.ν, k.δ
    ρ, V = ν[r], ν["V"]
    ν[out] = ρ @ V.T + ν["c"]

    def back():
        d = δ.pop(out)
        δ["c"] += d.sum(0)
        δ["V"] += d.T @ ρ
        δ[r] += d @ V
    k.append(back)


def bernoulli(k, l, y, ω):
    """Adds ω times the cross-entropy of logits l to the loss."""
    ν, δ = k.ν, k.δ
    a = ν[l]
    ν["loss"] += float((ω * (np.logaddexp(0, a) - y * a)).sum())

    def back():
        δ[l] += δ["loss"] * ω * (σ(a) - y)
    k.append(back)


def record(θ, us, ys, ω, μ):
    """ω: weight of every step; the last state pays a small price of its own."""
    k = Tape(θ)
    k.ν["loss"] = 0.0
    skew(k, "M")
    for t, (u, y) in enumerate(zip(us, ys)):
        k.ν[f"u{t}"] = u
        affine(k, f"q{t}", f"h{t}", "M", f"u{t}", "Z", "z")
        affine(k, f"a{t}", f"h{t}", "M", f"u{t}", "V", "b")
        euler(k, f"h{t + 1}", f"h{t}", f"q{t}", f"a{t}")
        drop(k, f"r{t}", f"h{t + 1}", μ)
        tied(k, f"l{t}", f"r{t}")
        bernoulli(k, f"l{t}", y, ω[t])
    end = f"h{len(us)}"
    k.ν["loss"] += 0.05 * float((k.ν[end] ** 2).sum())
    k.append(lambda: k.δ.__setitem__(end, k.δ[end] + 0.1 * k.δ["loss"] * k.ν[end]))
    return k


def value(θ, *data):
    return record(θ, *data).ν["loss"]


def gradient(θ, *data):
    k = record(θ, *data)
    k.δ["loss"] = 1.0
    k.unroll()
    return {n: k.δ[n] for n in θ}


def make(Target, rng, T=3, B=2, D=2, H=3):
    g = lambda *n: rng.normal(size=n)
    θ = {"W": 0.6 * g(H, H), "g": np.array([-1.2]), "e": np.array([-0.4]), "V": g(D, H), "b": g(H), "Z": g(D, H), "z": g(H), "c": g(D),
         "h0": g(B, H)}
    us = g(T, B, D)
    ys = (rng.random((T, B, D)) < 0.5).astype(float)
    ω = 0.9 ** np.arange(T) / B
    μ = np.where(rng.random(H) < 0.7, 1 / 0.7, 0.0)
    μ[0] = 1 / 0.7
    return Target(θ, lambda: value(θ, us, ys, ω, μ), lambda: gradient(θ, us, ys, ω, μ))


BUGS = {
    "antisymmetric-part-once": ('δ["W"] += d - d.T', 'δ["W"] += d'),
    "matrix-adjoint-overwritten": ("δ[M] += x.T @ d", "δ[M] = x.T @ d"),
    "mask-forgotten": ("δ[h] += μ * δ.pop(out)", "δ[h] += δ.pop(out)"),
    "tied-use-at-output-missing": ('δ["V"] += d.T @ ρ', "pass"),
    "gate-slope": ("δ[q] += ε * d * τ * s * (1 - s)", "δ[q] += ε * d * τ * (1 - s)"),
    "operand-not-transposed": ("δ[h] += d @ A.T", "δ[h] += d @ A"),
    "trace-without-chain-of-exp": ('δ["g"] += np.array([-γ * np.trace(d)])', 'δ["g"] += np.array([-np.trace(d)])'),
    "price-of-the-end-factor-two": ("k.δ[end] + 0.1 * k.δ", "k.δ[end] + 0.05 * k.δ"),
}

PAIRS = [("mask-forgotten", "antisymmetric-part-once")]
