r"""FaSlo cell: a gated recurrent unit with a fast state phi and a slow state sig.

    nu_t   = W x_t + R phi_{t-1} + b
    c_t    = tanh( gain * nu_t / (rho + rms(nu_t)) )             "soft rms" normalisation
    g_t    = sigmoid( V x_t + Q sig_{t-1} + d )                  the slow state gates the fast one
    phi_t  = g_t * c_t + (1 - g_t) * phi_{t-1}
    lam    = exp(-1 / tau),   tau = softplus(theta)              learned time constant, one per unit
    sig_t  = lam * sig_{t-1} + (1 - lam) * (M phi_t)
    o_t[k] = phi_t' B_k sig_t + e_k                              bilinear readout, loss is log cosh

Pure functions; *_vjp(residuals, cotangents) gives cotangents of the arguments.
Index letters: n batch, i input, h and j hidden, k output.
"""
import numpy as np
from collections import namedtuple

Theta = namedtuple("Theta", "W R b gain rho V Q d theta M B e phi0 sig0")
TINY = 1e-2
es = np.einsum


def expit(a):
    return 1 / (1 + np.exp(-a))


# --- soft rms ------------------------------------------------------------------------------
def softrms(nu, gain, rho):
    rms = np.sqrt(np.mean(nu * nu, axis=1, keepdims=True) + TINY)
    q = nu / (rho + rms)
    return gain * q, (nu, gain, rho, rms, q)


def softrms_vjp(res, y_bar):
    nu, gain, rho, rms, q = res
    gain_bar = es("nh,nh->h", y_bar, q)
    q_bar = y_bar * gain
    den_bar = -es("nh,nh->n", q_bar, q)[:, None] / (rho + rms)
    rho_bar = np.array([np.sum(den_bar)])
    nu_bar = q_bar / (rho + rms) + den_bar * nu / (rms * nu.shape[1])
    return nu_bar, gain_bar, rho_bar


# --- leak ----------------------------------------------------------------------------------
def leak(theta):
    tau = np.log1p(np.exp(theta))
    return np.exp(-1 / tau), tau


def leak_vjp(theta, lam, tau, lam_bar):
    return lam_bar * lam / tau ** 2 * expit(theta)


# --- one step ------------------------------------------------------------------------------
def step(th, lam, phi, sig, x):
    nu = es("ni,ih->nh", x, th.W) + es("nj,jh->nh", phi, th.R) + th.b
    y, res_norm = softrms(nu, th.gain, th.rho)
    c = np.tanh(y)
    g = expit(es("ni,ih->nh", x, th.V) + es("nj,jh->nh", sig, th.Q) + th.d)
    phi1 = g * c + (1 - g) * phi
    drive = es("nj,jh->nh", phi1, th.M)
    sig1 = lam * sig + (1 - lam) * drive
    return phi1, sig1, (phi, sig, x, res_norm, c, g, phi1, drive)


def step_vjp(th, lam, res, phi1_bar, sig1_bar):
    phi, sig, x, res_norm, c, g, phi1, drive = res
    # slow state
    lam_bar = es("nh,nh->h", sig1_bar, sig - drive)
    drive_bar = (1 - lam) * sig1_bar
    M_bar = es("nj,nh->jh", phi1, drive_bar)
    phi1_bar = phi1_bar + es("nh,jh->nj", drive_bar, th.M)
    # fast state
    g_bar = phi1_bar * (c - phi)
    a_bar = g_bar * g * (1 - g)
    y_bar = phi1_bar * g * (1 - c * c)
    nu_bar, gain_bar, rho_bar = softrms_vjp(res_norm, y_bar)
    phi_bar = (1 - g) * phi1_bar + es("nh,jh->nj", nu_bar, th.R)
    sig_bar = lam * sig1_bar + es("nh,jh->nj", a_bar, th.Q)
    weights = (es("ni,nh->ih", x, nu_bar), es("nj,nh->jh", phi, nu_bar), es("nh->h", nu_bar), gain_bar, rho_bar,
               es("ni,nh->ih", x, a_bar), es("nj,nh->jh", sig, a_bar), es("nh->h", a_bar), lam_bar, M_bar)
    return phi_bar, sig_bar, weights


# --- readout -------------------------------------------------------------------------------
def readout(th, phi, sig):
    return es("nh,khj,nj->nk", phi, th.B, sig) + th.e


def readout_vjp(th, phi, sig, o_bar):
    B_bar = es("nk,nh,nj->khj", o_bar, phi, sig)
    phi_bar = es("nk,khj,nj->nh", o_bar, th.B, sig)
    sig_bar = es("nk,khj,nh->nj", o_bar, th.B, phi)
    return phi_bar, sig_bar, B_bar, es("nk->k", o_bar)


# --- whole sequence ------------------------------------------------------------------------
def run(th, xs, ys):
    lam, tau = leak(th.theta)
    phi = np.broadcast_to(th.phi0, (xs.shape[1], len(th.phi0)))
    sig = np.broadcast_to(th.sig0, phi.shape)
    total, trail = 0.0, []
    for x, y in zip(xs, ys):
        phi, sig, res = step(th, lam, phi, sig, x)
        err = readout(th, phi, sig) - y
        total += np.sum(np.log(np.cosh(err)))
        trail.append((res, phi, sig, err))
    return total / ys.size, (lam, tau, trail, ys.size)


def run_vjp(th, saved):
    lam, tau, trail, count = saved
    acc = tuple(np.zeros_like(w) for w in th[:10])
    B_bar, e_bar = np.zeros_like(th.B), np.zeros_like(th.e)
    phi_bar, sig_bar = 0.0, 0.0
    for res, phi, sig, err in trail[::-1]:
        r_phi, r_sig, B_t, e_t = readout_vjp(th, phi, sig, np.tanh(err) / count)
        B_bar, e_bar = B_bar + B_t, e_bar + e_t
        phi_bar, sig_bar, new = step_vjp(th, lam, res, phi_bar + r_phi, sig_bar + r_sig)
        acc = tuple(a + w for a, w in zip(acc, new))
    W, R, b, gain, rho, V, Q, d, lam_bar, M = acc
    theta_bar = leak_vjp(th.theta, lam, tau, lam_bar)
    return Theta(W, R, b, gain, rho, V, Q, d, theta_bar, M, B_bar, e_bar, phi_bar.sum(0), sig_bar.sum(0))


def make(Target, rng, n=3, steps=5, n_in=2, n_hid=4, n_out=2):
    nrm = rng.normal
    th = Theta(W=nrm(size=(n_in, n_hid)), R=nrm(size=(n_hid, n_hid)), b=0.3 * nrm(size=n_hid),
               gain=1.5 + 0.2 * nrm(size=n_hid), rho=np.array([0.5 + 0.5 * rng.random()]),
               V=nrm(size=(n_in, n_hid)), Q=nrm(size=(n_hid, n_hid)), d=0.3 * nrm(size=n_hid),
               theta=1 + 0.4 * nrm(size=n_hid), M=1.2 * nrm(size=(n_hid, n_hid)), B=nrm(size=(n_out, n_hid, n_hid)),
               e=0.3 * nrm(size=n_out), phi0=0.6 * nrm(size=n_hid), sig0=0.6 * nrm(size=n_hid))
    xs, ys = nrm(size=(steps, n, n_in)), nrm(size=(steps, n, n_out))
    return Target(th._asdict(), lambda: float(run(th, xs, ys)[0]),
                  lambda: run_vjp(th, run(th, xs, ys)[1])._asdict())


BUGS = {
    "rms-treated-as-constant": ("nu_bar = q_bar / (rho + rms) + den_bar * nu / (rms * nu.shape[1])", "nu_bar = q_bar / (rho + rms)"),
    "denominator-without-rms": ("den_bar = -es(\"nh,nh->n\", q_bar, q)[:, None] / (rho + rms)", "den_bar = -es(\"nh,nh->n\", q_bar, q)[:, None] / rho"),
    "time-constant-sign": ("return lam_bar * lam / tau ** 2 * expit(theta)", "return -lam_bar * lam / tau ** 2 * expit(theta)"),
    "drive-scaled-by-lam": ("drive_bar = (1 - lam) * sig1_bar", "drive_bar = lam * sig1_bar"),
    "gate-grad-with-new-fast-state": ("g_bar = phi1_bar * (c - phi)", "g_bar = phi1_bar * (c - phi1)"),
    "slow-state-transposed-q": ("es(\"nh,jh->nj\", a_bar, th.Q)", "es(\"nh,hj->nj\", a_bar, th.Q)"),
    "readout-arguments-swapped": ("phi_bar = es(\"nk,khj,nj->nh\", o_bar, th.B, sig)", "phi_bar = es(\"nk,khj,nj->nh\", o_bar, th.B, phi)"),
    "slow-carry-dropped": ("phi_bar + r_phi, sig_bar + r_sig)", "phi_bar + r_phi, r_sig)"),
}
PAIRS = [
    ("rms-treated-as-constant", "gate-grad-with-new-fast-state"),
    ("readout-arguments-swapped", "rms-treated-as-constant"),
    ("drive-scaled-by-lam", "gate-grad-with-new-fast-state"),
    ("slow-carry-dropped", "time-constant-sign"),
    ("slow-state-transposed-q", "drive-scaled-by-lam"),
    ("time-constant-sign", "readout-arguments-swapped"),
]
