r"""
Driven rate network as a discretised neural ODE, gradient by the discrete adjoint.

    tau_i dpsi_i/dt = -psi_i + phi_i,     phi = tanh(J psi + g u(t))        (explicit midpoint rule)

    k1 = F(psi_n, u_n),  xi = psi_n + h/2 k1,  k2 = F(xi, (u_n + u_{n+1})/2),  psi_{n+1} = psi_n + h k2

The trajectory is observed at every second node with mean C psi + d and variance v = log(1+e^s),
s = R psi + r.  Action = < 1/2 log v + (y - mean)^2 / 2v >  +  eps/4 |J + J^T|^2.

Index order of all fields: [component, replica, node].  An overbar (adjoint) is written ..._;
lam is the adjoint of psi, kap1 and kap2 are the adjoints of the two stages.
"""
import numpy as np

h, eps = 0.35, 0.08
EVERY = 2

phi = lambda th, psi, u: np.tanh(th['J'] @ psi + th['g'] @ u)
inv_tau = lambda th: np.exp(-th['logtau'])[:, None]
F = lambda th, psi, u: inv_tau(th) * (phi(th, psi, u) - psi)


def trajectory(th, u):
    """u: [drive, replica, N+1]  ->  psi [state, replica, N+1] and the midpoints xi, w (N of each)"""
    nodes = u.shape[2]
    psi = np.empty((3, u.shape[1], nodes))
    psi[:, :, 0] = th['psi0'][:, None]
    w = 0.5 * (u[:, :, :-1] + u[:, :, 1:])
    xi = np.empty((3, u.shape[1], nodes - 1))
    for n in range(nodes - 1):
        xi[:, :, n] = psi[:, :, n] + 0.5 * h * F(th, psi[:, :, n], u[:, :, n])
        psi[:, :, n + 1] = psi[:, :, n] + h * F(th, xi[:, :, n], w[:, :, n])
    return psi, xi, w


def observe(th, psi):
    seen = psi[:, :, EVERY::EVERY]
    mean = np.tensordot(th['C'], seen, axes=1) + th['d'][:, None, None]
    s = np.tensordot(th['R'], seen, axes=1) + th['r'][:, None, None]
    return seen, mean, s


def action(th, u, y):
    psi, _, _ = trajectory(th, u)
    _, mean, s = observe(th, psi)
    v = np.logaddexp(0, s)
    data = np.mean(0.5 * np.log(v) + 0.5 * (y - mean) ** 2 / v)
    sym = th['J'] + th['J'].T
    return float(data + 0.25 * eps * np.sum(sym * sym))


def stage_adjoint(th, bar, psi, u, kap):
    """bar += kap . dF/dtheta ;  returns kap . dF/dpsi"""
    p = phi(th, psi, u)
    q = inv_tau(th) * kap * (1 - p * p)
    bar['J'] += q @ psi.T
    bar['g'] += q @ u.T
    bar['logtau'] -= np.sum(kap * F(th, psi, u), axis=1)
    return th['J'].T @ q - inv_tau(th) * kap


def variation(th, u, y):
    bar = {name: np.zeros_like(value) for name, value in th.items()}
    psi, xi, w = trajectory(th, u)
    seen, mean, s = observe(th, psi)
    v = np.logaddexp(0, s)
    M = y.size

    # sources on the observed nodes
    mean_ = -(y - mean) / v / M
    v_ = 0.5 * (1 / v - (y - mean) ** 2 / v) / M
    s_ = v_ / (1 + np.exp(-s))
    both = ([1, 2], [1, 2])
    bar['C'] = np.tensordot(mean_, seen, axes=both)
    bar['R'] = np.tensordot(s_, seen, axes=both)
    bar['d'] = mean_.sum(axis=(1, 2))
    bar['r'] = s_.sum(axis=(1, 2))
    source = np.zeros_like(psi)
    source[:, :, EVERY - 1::EVERY] = (np.tensordot(th['C'], mean_, axes=(0, 0))
                                  + np.tensordot(th['R'], s_, axes=(0, 0)))

    # backwards in time
    lam = source[:, :, -1]
    for n in range(psi.shape[2] - 2, -1, -1):
        kap2 = h * lam
        xi_ = stage_adjoint(th, bar, xi[:, :, n], w[:, :, n], kap2)
        kap1 = h * xi_
        lam = lam + xi_ + stage_adjoint(th, bar, psi[:, :, n], u[:, :, n], kap1)
        lam = lam + source[:, :, n]
    bar['psi0'] = lam.sum(axis=1)

    bar['J'] += 0.5 * eps * (th['J'] + th['J'].T)
    return bar


def make(rng):
    th = dict(J=1.2 * rng.normal(size=(3, 3)), g=rng.normal(size=(3, 2)),
              logtau=0.4 * rng.normal(size=3), psi0=rng.normal(size=3),
              C=rng.normal(size=(2, 3)), d=rng.normal(size=2),
              R=rng.normal(size=(2, 3)), r=rng.normal(size=2) + 1)
    u = rng.normal(size=(2, 3, 7))
    y = rng.normal(size=(2, 3, 3))
    return th, (lambda: action(th, u, y)), (lambda: variation(th, u, y))


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('first stage: factor 1/2 missing', [88], [('kap1 = h * xi_', 'kap1 = 0.5 * h * xi_')]),
 ('variance: v where v squared belongs',
  [72],
  [('v_ = 0.5 * (1 / v - (y - mean) ** 2 / v) / M', 'v_ = 0.5 * (1 / v - (y - mean) ** 2 / v ** 2) / M')]),
 ('sources put one node too early', [80], [('source[:, :, EVERY - 1::EVERY] = (', 'source[:, :, EVERY::EVERY] = (')]),
 ('symmetry penalty: factor 2 missing', [93], [("bar['J'] += 0.5 * eps * (", "bar['J'] += eps * (")])]
