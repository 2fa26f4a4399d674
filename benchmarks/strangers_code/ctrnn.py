# Continuous-time rate network with trainable time constants,
#
#     tau dx/dt = -x + W r + Win u + b ,   r = tanh(x) ,   z = Wout r + c
#
# Euler integration, trained on a target signal with an L2 penalty on the
# weights and a metabolic cost on the rates.  Arrays are (unit, trial, time).
import numpy as np


def cost(theta, u, ztarg, cond, dt=0.4, lam=0.05, beta=0.1, grad=False):
    W, Win, b = theta["W"], theta["Win"], theta["b"]
    Wout, c, x0, logtau = theta["Wout"], theta["c"], theta["x0"], theta["logtau"]
    N = W.shape[0]
    Nz, K, T = ztarg.shape

    # ---- run the network --------------------------------------------------
    alpha = dt * np.exp(-logtau)[:, None]
    x = np.zeros((N, K, T + 1))
    r = np.zeros((N, K, T + 1))
    F = np.zeros((N, K, T))
    x[:, :, 0] = x0[:, None]
    r[:, :, 0] = np.tanh(x[:, :, 0])
    for k in range(T):
        F[:, :, k] = -x[:, :, k] + W @ r[:, :, k] + Win @ u[:, :, k] + b[:, None]
        x[:, :, k + 1] = x[:, :, k] + alpha * F[:, :, k]
        r[:, :, k + 1] = np.tanh(x[:, :, k + 1])
    z = np.einsum("ij,jkt->ikt", Wout, r[:, :, 1:]) + c[:, None, None]
    e = (z - ztarg) * cond

    # ---- cost -------------------------------------------------------------
    nobs = cond.sum() * Nz * K
    E = 0.5 * np.sum(e ** 2) / nobs
    E += 0.5 * lam * (np.sum(W ** 2) / N + np.sum(Wout ** 2))
    E += 0.5 * beta * np.mean(r[:, :, 1:] ** 2)
    if not grad:
        return E

    # ---- gradient (adjoint equations) -------------------------------------
    dz = e / nobs
    gWout = np.einsum("ikt,jkt->ij", dz, r[:, :, 1:])
    gc = dz.sum(axis=(1, 2))
    dr = np.einsum("ij,ikt->jkt", Wout, dz)
    dr += beta * r[:, :, 1:] / (N * K * T)

    gW = np.zeros_like(W)
    gWin = np.zeros_like(Win)
    gb = np.zeros_like(b)
    galpha = np.zeros(N)
    lamx = np.zeros((N, K))                     # dE/dx at time k + 1
    lamr = np.zeros((N, K))                     # dE/dr at k + 1 through W
    for k in range(T - 1, -1, -1):
        lamx += (dr[:, :, k] + lamr) * (1 - r[:, :, k + 1] ** 2)
        dF = alpha * lamx
        gW += dF @ r[:, :, k].T
        gWin += dF @ u[:, :, k].T
        gb += dF.sum(axis=1)
        galpha += np.sum(lamx * F[:, :, k], axis=1)
        lamr = W.T @ dF
        lamx = (1 - alpha) * lamx
    gx0 = np.sum(lamx + lamr * (1 - r[:, :, 0] ** 2), axis=1)
    glogtau = -galpha * alpha[:, 0]

    gW += lam * W / N
    gWout += lam * Wout
    return {"W": gW, "Win": gWin, "b": gb, "Wout": gWout, "c": gc,
            "x0": gx0, "logtau": glogtau}


def make(Target, rng, units=5, inputs=2, outputs=3, trials=3, steps=6):
    g = 1.3
    theta = {
        "W": g * rng.standard_normal((units, units)) / np.sqrt(units),
        "Win": rng.standard_normal((units, inputs)),
        "b": 0.2 * rng.standard_normal(units),
        "Wout": rng.standard_normal((outputs, units)) / np.sqrt(units),
        "c": 0.1 * rng.standard_normal(outputs),
        "x0": 0.6 * rng.standard_normal(units),
        "logtau": 0.3 * rng.standard_normal(units),
    }
    u = rng.standard_normal((inputs, trials, steps))
    phase = rng.uniform(0, 2 * np.pi, (outputs, trials, 1))
    ztarg = np.sin(np.arange(steps) * 0.8 + phase)
    # the target is only imposed after a short settling period
    cond = (np.arange(steps) >= 2).astype(float)[None, None, :]
    return Target(theta,
                  lambda: float(cost(theta, u, ztarg, cond)),
                  lambda: cost(theta, u, ztarg, cond, grad=True))


BUGS = {
    "leak-ignores-time-constant": ("lamx = (1 - alpha) * lamx", "lamx = (1 - dt) * lamx"),
    "rate-at-wrong-time": ("(1 - r[:, :, k + 1] ** 2)", "(1 - r[:, :, k] ** 2)"),
    "W-untransposed": ("lamr = W.T @ dF", "lamr = W @ dF"),
    "logtau-chain-sign": ("glogtau = -galpha * alpha[:, 0]", "glogtau = galpha * alpha[:, 0]"),
    "penalty-without-1-over-N": ("gW += lam * W / N", "gW += lam * W"),
    "x0-misses-recurrent-path": ("gx0 = np.sum(lamx + lamr * (1 - r[:, :, 0] ** 2), axis=1)", "gx0 = np.sum(lamx, axis=1)"),
    "rate-cost-overwrites-error": ("dr += beta * r[:, :, 1:] / (N * K * T)", "dr = beta * r[:, :, 1:] / (N * K * T)"),
    "alpha-missing-in-forcing": ("dF = alpha * lamx", "dF = lamx"),
}
PAIRS = [("W-untransposed", "penalty-without-1-over-N"),
         ("rate-at-wrong-time", "logtau-chain-sign")]
