# Two IndRNN layers + CTC, ported from my Julia script (hence features x time and the Greek).
#
#   h[:, t] = ρ.(W * x[:, t] .+ u .* h[:, t-1] .+ b)         ρ = leaky ramp
#   ℓ[:, t] = logsoftmax(V * h[:, t] .+ c)                   row 0 is the blank
#
# The likelihood is the usual forward variable α over the label padded with blanks; the
# gradient is taken straight through the α recursion (no β).  One utterance at a time.
import numpy as np

λ = 0.2            # slope of the ramp below zero
NIX = -1e30        # log 0
L = 2              # layers


def ρ(a):
    return np.maximum(a, λ * a)


def logsoftmax(s):
    s = s - s.max(axis=0)
    return s - np.log(np.exp(s).sum(axis=0))


def indrnn(θ, l, x):
    W, u, b = θ[f'W{l}'], θ[f'u{l}'], θ[f'b{l}']
    a = W @ x + b[:, None]
    h = np.zeros((len(u), x.shape[1] + 1))           # column 0: state before the first frame
    for t in range(x.shape[1]):
        a[:, t] += u * h[:, t]
        h[:, t + 1] = ρ(a[:, t])
    return a, h


def indrnn_pullback(θ, l, x, a, h, Δh, g):
    W, u = θ[f'W{l}'], θ[f'u{l}']
    Δa = np.zeros_like(a)
    carry = np.zeros(len(u))
    for t in range(x.shape[1] - 1, -1, -1):
        slope = np.where(a[:, t] > 0, 1.0, 0.0)
        Δa[:, t] = (Δh[:, t] + carry) * slope
        carry = u * Δa[:, t]
    g[f'W{l}'] += Δa @ x.T
    g[f'u{l}'] += (Δa * h[:, :-1]).sum(axis=1)
    g[f'b{l}'] += Δa.sum(axis=1)
    return W.T @ Δa


def padded(label):
    z = [0]
    for k in label:
        z += [k, 0]
    return z


def sources(z, s):
    """positions from which position s may be reached in one frame"""
    yield s
    if s >= 1:
        yield s - 1
    if s >= 2 and z[s] != 0 and z[s] != z[s - 2]:
        yield s - 2


def ctc(ℓ, label):
    z = padded(label)
    S, T = len(z), ℓ.shape[1]
    α = np.full((S, T), NIX)
    α[0, 0], α[1, 0] = ℓ[0, 0], ℓ[z[1], 0]
    for t in range(1, T):
        for s in range(S):
            α[s, t] = np.logaddexp.reduce([α[r, t - 1] for r in sources(z, s)]) + ℓ[z[s], t]
    return np.logaddexp(α[-1, -1], α[-2, -1]), α, z


def ctc_pullback(ℓ, α, z, total):
    """derivative of the log likelihood by ℓ"""
    S, T = α.shape
    Δα, Δℓ = np.zeros_like(α), np.zeros_like(ℓ)
    Δα[-2:, -1] = np.exp(α[-2:, -1] - total)
    for t in range(T - 1, 0, -1):
        for s in range(S):
            Δℓ[z[s], t] += Δα[s, t]
            into = α[s, t]
            for r in sources(z, s):
                Δα[r, t - 1] += Δα[s, t] * np.exp(α[r, t - 1] - into)
    return Δℓ


def network(θ, x):
    tape = []
    for l in range(L):
        a, h = indrnn(θ, l, x)
        tape.append((x, a, h))
        x = h[:, 1:]
    return logsoftmax(θ['V'] @ x + θ['c'][:, None]), x, tape


def objective(θ, utterances):
    J = 0.0
    for x, label in utterances:
        ℓ, _, _ = network(θ, x)
        J -= ctc(ℓ, label)[0] / len(label)
    return float(J)


def gradient(θ, utterances):
    g = {k: np.zeros_like(v) for k, v in θ.items()}
    for x, label in utterances:
        ℓ, top, tape = network(θ, x)
        total, α, z = ctc(ℓ, label)
        Δℓ = -ctc_pullback(ℓ, α, z, total) / len(label)
        Δs = Δℓ - np.exp(ℓ) * Δℓ.sum(axis=0)
        g['V'] += Δs @ top.T
        g['c'] += Δs.sum(axis=1)
        Δh = θ['V'].T @ Δs
        for l in reversed(range(L)):
            Δh = indrnn_pullback(θ, l, *tape[l], Δh, g)
    return g


def make(rng):
    D, H, K = 2, 4, 3
    θ = {}
    for l in range(L):
        θ[f'W{l}'] = rng.normal(size=(H, H if l else D))
        θ[f'u{l}'] = rng.uniform(-1, 1, size=H)
        θ[f'b{l}'] = 0.3 * rng.normal(size=H)
    θ['V'], θ['c'] = rng.normal(size=(K, H)), 0.3 * rng.normal(size=K)
    utterances = [(rng.normal(size=(D, 6)), [1, 2]), (rng.normal(size=(D, 5)), [2, 2])]
    return θ, lambda: objective(θ, utterances), lambda: gradient(θ, utterances)


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('leaky slope forgotten', [39], [('np.where(a[:, t] > 0, 1.0, 0.0)', 'np.where(a[:, t] > 0, 1.0, λ)')]),
 ('emissions of the first frame get no gradient',
  [80, 84, 85, 86],
  [('    return Δℓ\n', '    for s in (0, 1):\n        Δℓ[z[s], 0] += Δα[s, 0]\n    return Δℓ\n')]),
 ('emission not taken out of the denominator', [83], [('into = α[s, t]', 'into = α[s, t] - ℓ[z[s], t]')])]
