"""Linear recurrent unit with real parameters (pairs re/im instead of complex dtype), gated output, run by a doubling scan.

    lambda = exp(-exp(nu) + i exp(theta)),   gamma = sqrt(1 - |lambda|^2)
    s_t = lambda s_{t-1} + gamma * (B u_t)          y_t = Re(C s_t) + d * u_t          out_t = y_t * sigmoid(y_t G + g) + u_t
Time is the first axis. Both directions of the scan take ceil(log2 T) sweeps; the adjoint runs with conj(lambda).
"""
import numpy as np


def scan_forward(lam_re, lam_im, re, im):
    """s_t = lam s_{t-1} + x_t, x is overwritten-free; after a sweep the window of every element has doubled."""
    p_re, p_im, step = lam_re, lam_im, 1
    while step < len(re):
        more_re, more_im = re.copy(), im.copy()
        more_re[step:] += p_re * re[:-step] - p_im * im[:-step]
        more_im[step:] += p_re * im[:-step] + p_im * re[:-step]
        re, im = more_re, more_im
        p_re, p_im = p_re * p_re - p_im * p_im, 2 * p_re * p_im
        step *= 2
    return re, im


def scan_adjoint(lam_re, lam_im, re, im):
    """g_t = x_t + conj(lam) g_{t+1}"""
    q_re, q_im, step = lam_re, -lam_im, 1
    while step < len(re):
        more_re, more_im = re.copy(), im.copy()
        more_re[:-step] += q_re * re[step:] - q_im * im[step:]
        more_im[:-step] += q_re * im[step:] + q_im * re[step:]
        re, im = more_re, more_im
        q_re, q_im = q_re * q_re - q_im * q_im, 2 * q_re * q_im
        step *= 2
    return re, im


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def poles(nu, theta):
    radius = np.exp(-np.exp(nu))
    phase = np.exp(theta)
    return radius, phase, radius * np.cos(phase), radius * np.sin(phase), np.sqrt(1 - radius ** 2)


def lru_forward(u, s0_re, s0_im, nu, theta, B_re, B_im, C_re, C_im, d, G, g):
    radius, phase, lam_re, lam_im, gamma = poles(nu, theta)
    drive_re, drive_im = u @ B_re, u @ B_im
    in_re, in_im = gamma * drive_re, gamma * drive_im
    # the initial state enters through the first element of the scan
    in_re[0] += lam_re * s0_re - lam_im * s0_im
    in_im[0] += lam_re * s0_im + lam_im * s0_re
    s_re, s_im = scan_forward(lam_re, lam_im, in_re, in_im)
    y = s_re @ C_re - s_im @ C_im + d * u
    gate = sigmoid(y @ G + g)
    out = y * gate + u
    cache = dict(u=u, s0=(s0_re, s0_im), nu=nu, poles=(radius, phase, lam_re, lam_im, gamma), drive=(drive_re, drive_im), s=(s_re, s_im),
                 y=y, gate=gate, weights=(B_re, B_im, C_re, C_im, d, G))
    return (out, s_re[-1], s_im[-1]), cache


def lru_backward(cotangents, cache):
    dout, dlast_re, dlast_im = cotangents
    u, nu, y, gate = cache["u"], cache["nu"], cache["y"], cache["gate"]
    s0_re, s0_im = cache["s0"]
    s_re, s_im = cache["s"]
    drive_re, drive_im = cache["drive"]
    radius, phase, lam_re, lam_im, gamma = cache["poles"]
    B_re, B_im, C_re, C_im, d, G = cache["weights"]
    grad = {}

    # gated output with its residual
    du = dout.copy()
    dpre = dout * y * gate * (1 - gate)
    grad["G"] = np.einsum("tbi,tbj->ij", y, dpre)
    grad["g"] = dpre.sum(axis=(0, 1))
    dy = dout * gate + dpre @ G.T
    grad["d"] = (dy * u).sum(axis=(0, 1))
    du += dy * d

    # read-out of the complex state
    grad["C_re"] = np.einsum("tbn,tbi->ni", s_re, dy)
    grad["C_im"] = -np.einsum("tbn,tbi->ni", s_im, dy)
    ds_re = dy @ C_re.T
    ds_im = -(dy @ C_im.T)
    ds_re[-1] += dlast_re
    ds_im[-1] += dlast_im

    # the recurrence, backwards
    r_re, r_im = scan_adjoint(lam_re, lam_im, ds_re, ds_im)
    before_re = np.concatenate([s0_re[None], s_re[:-1]])
    before_im = np.concatenate([s0_im[None], s_im[:-1]])
    dlam_re = (r_re * before_re + r_im * before_im).sum(axis=(0, 1))
    dlam_im = (r_im * before_re - r_re * before_im).sum(axis=(0, 1))
    grad["s0_re"] = lam_re * r_re[0] + lam_im * r_im[0]
    grad["s0_im"] = lam_re * r_im[0] - lam_im * r_re[0]

    # input matrix behind the normaliser gamma
    dgamma = (r_re * drive_re + r_im * drive_im).sum(axis=(0, 1))
    ddrive_re, ddrive_im = gamma * r_re, gamma * r_im
    grad["B_re"] = np.einsum("tbi,tbn->in", u, ddrive_re)
    grad["B_im"] = np.einsum("tbi,tbn->in", u, ddrive_im)
    du += ddrive_re @ B_re.T
    du += ddrive_im @ B_im.T

    # poles: lam = radius e^{i phase}
    dradius = dlam_re * np.cos(phase) + dlam_im * np.sin(phase)
    dradius -= dgamma * radius / gamma
    dphase = radius * (dlam_im * np.cos(phase) - dlam_re * np.sin(phase))
    grad["nu"] = -dradius * radius * np.exp(nu)
    grad["theta"] = dphase * phase
    grad["u"] = du
    return grad


def make(Target, rng, T=5, B=2, D=2, N=3):
    inputs = dict(u=rng.normal(size=(T, B, D)), s0_re=rng.normal(size=(B, N)), s0_im=rng.normal(size=(B, N)), nu=rng.normal(-1.0, 0.5, N),
                  theta=rng.normal(-0.3, 0.5, N), B_re=rng.normal(size=(D, N)), B_im=rng.normal(size=(D, N)), C_re=rng.normal(size=(N, D)),
                  C_im=rng.normal(size=(N, D)), d=rng.normal(size=D), G=rng.normal(size=(D, D)), g=rng.normal(size=D))
    return Target.from_vjp(lru_forward, lru_backward, inputs)


BUGS = {
    "conjugate-forgotten": ("q_re, q_im, step = lam_re, -lam_im, 1", "q_re, q_im, step = lam_re, lam_im, 1"),
    "imaginary-square-of-the-power": ("q_re, q_im = q_re * q_re - q_im * q_im, 2 * q_re * q_im", "q_re, q_im = q_re * q_re - q_im * q_im, q_re * q_im"),
    "normaliser-path-missing": ("dradius -= dgamma * radius / gamma", ""),
    "final-state-cotangent": ("ds_im[-1] += dlast_im", ""),
    "state-not-shifted": ("before_im = np.concatenate([s0_im[None], s_im[:-1]])", "before_im = s_im"),
    "gate-transposed": ("dy = dout * gate + dpre @ G.T", "dy = dout * gate + dpre @ G"),
    "phase-without-chain-of-exp": ('grad["theta"] = dphase * phase', 'grad["theta"] = dphase'),
    "input-only-by-real-part": ("du += ddrive_im @ B_im.T", "pass"),
}

PAIRS = [("conjugate-forgotten", "normaliser-path-missing"), ("gate-transposed", "input-only-by-real-part")]
