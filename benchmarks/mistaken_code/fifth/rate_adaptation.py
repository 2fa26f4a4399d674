"""Rate network with trainable time constants and spike-frequency adaptation.

    tau dv/dt = -v + W r + B u + b - k * q          membrane potential
    q' = rho q + (1 - rho) r                        adaptation (slow low-pass of the rate)
    r  = tanh(v)
Euler steps with a = dt/tau = 1/(1 + exp(theta)) per neuron, rho = 1/(1 + exp(-phi)).
The cost is the error of a linear readout inside the response window, plus a small metabolic
cost on the rates.  Each forward function returns its value and a closure `pull` that maps
the cotangent of the value to the cotangents of the inputs; parameter gradients are added to `g`.
"""
import numpy as np

METABOLIC = 0.1


def logistic(x):
    return 1.0 / (1.0 + np.exp(-x))


def membrane_step(p, v, q, u):
    a = logistic(-p["theta"])
    r = np.tanh(v)
    drive = r @ p["W"].T + u @ p["B"].T + p["b"] - p["k"] * q
    v_new = (1.0 - a) * v + a * drive

    def pull(dv_new, g):
        ddrive = a * dv_new
        g["W"] += ddrive.T @ r
        g["B"] += ddrive.T @ u
        g["b"] += ddrive.sum(axis=0)
        g["k"] -= (ddrive * q).sum(axis=0)
        da = (dv_new * (drive - v)).sum(axis=0)
        g["theta"] -= da * a * (1.0 - a)
        dr = ddrive @ p["W"]
        dv = (1.0 - a) * dv_new + dr * (1.0 - r ** 2)
        dq = -p["k"] * ddrive
        return dv, dq

    return v_new, pull


def adaptation_step(p, q, v):
    rho = logistic(p["phi"])
    r = np.tanh(v)
    q_new = rho * q + (1.0 - rho) * r

    def pull(dq_new, g):
        g["phi"] += (dq_new * (q - r)).sum(axis=0) * rho * (1.0 - rho)
        dq = rho * dq_new
        dv = (1.0 - rho) * dq_new * (1.0 - r ** 2)
        return dq, dv

    return q_new, pull


def readout(p, v, target, inside):
    """cost of one time step; `inside` is 1 for trials whose response window is open"""
    n = v.shape[0]
    r = np.tanh(v)
    err = r @ p["C"].T + p["d"] - target
    cost = (inside[:, None] * err ** 2).sum() / n + METABOLIC * (r ** 2).mean()

    def pull(g):
        dy = 2.0 * err / n * inside[:, None]
        g["C"] += dy.T @ r
        g["d"] += dy.sum(axis=0)
        dr = dy @ p["C"] + 2.0 * METABOLIC * r / r.size
        return dr * (1.0 - r ** 2)

    return cost, pull


def simulate(p, inputs, targets, window):
    trials = inputs.shape[1]
    v = np.tile(p["v0"], (trials, 1))
    q = np.zeros_like(v)
    pulls, cost = [], 0.0
    for u, target, inside in zip(inputs, targets, window):
        v_old = v
        v, pull_v = membrane_step(p, v_old, q, u)
        q, pull_q = adaptation_step(p, q, v_old)
        c, pull_c = readout(p, v, target, inside)
        cost += c
        pulls.append((pull_v, pull_q, pull_c))

    def pull():
        g = {name: np.zeros(value.shape) for name, value in p.items()}
        dv = np.zeros_like(v)
        dq = np.zeros_like(v)
        for pull_v, pull_q, pull_c in reversed(pulls):
            dv = dv + pull_c(g)
            dv_mem, dq_mem = pull_v(dv, g)
            dq_ada, dv_ada = pull_q(dq, g)
            dv = dv_mem + dv_ada
            dq = dq_mem + dq_ada
        g["v0"] += dv.sum(axis=0)
        return g

    return cost, pull


def make(rng):
    n, m, o, trials, T = 4, 2, 2, 3, 6
    p = {
        "W": rng.normal(0, 0.8, (n, n)), "B": rng.normal(0, 1.0, (n, m)), "b": rng.normal(0, 0.3, n),
        "k": rng.uniform(0.5, 1.5, n), "theta": rng.normal(0, 0.5, n), "phi": rng.normal(0.5, 0.5, n),
        "C": rng.normal(0, 1.0, (o, n)), "d": rng.normal(0, 0.3, o), "v0": rng.normal(0, 0.7, n),
    }
    inputs = rng.normal(size=(T, trials, m))
    targets = rng.normal(size=(T, trials, o))
    window = np.array([[0, 0, 1], [0, 1, 1], [1, 1, 1], [1, 1, 0], [1, 1, 0], [1, 0, 1]], float)

    def loss():
        return float(simulate(p, inputs, targets, window)[0])

    def grads():
        return simulate(p, inputs, targets, window)[1]()

    return p, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('sign', [31], [('g["k"] += (ddrive * q)', 'g["k"] -= (ddrive * q)')]),
  ('wrong factor of the low-pass', [49], [('dq = (1.0 - rho) * dq_new', 'dq = rho * dq_new')])],
 [('tanh derivative missing', [50], [('dv = (1.0 - rho) * dq_new', 'dv = (1.0 - rho) * dq_new * (1.0 - r ** 2)')]),
  ('potential for rate', [28], [('g["W"] += ddrive.T @ v', 'g["W"] += ddrive.T @ r')])]]
