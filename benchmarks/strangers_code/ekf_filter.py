# EKF as a recurrent net: learn all matrices of an Extended Kalman Filter by max. likelihood.
#
#   x_k = tanh(A x_{k-1} + Bu u_k + d) + w,   w ~ N(0, Q)     Q = diag(exp(lq))
#   y_k = C x_k + c + v,                      v ~ N(0, R)     R = diag(exp(lr))
#
# ported from my MATLAB script ekf_train.m -- notation of the control course is kept
# (Xp, Pp = predicted; Xf, Pf = filtered). Many runs are filtered at the same time (first index).
# Sensor dropouts: got(r,k) = 0 -> there is no measurement update in that sample.

import numpy as np
from numpy.linalg import inv, slogdet

LAM = 0.05     # prior on A (keeps the filter from blowing up)


def tr(M):
    return np.swapaxes(M, -1, -2)


def outer(a, b):
    return a[:, :, None] * b[:, None, :]


def mv(M, v):                      # M*v for every run
    return (M @ v[:, :, None])[:, :, 0]


class EKF(object):

    def __init__(self, theta):
        self.th = theta

    # ------------------------------------------------------------------ filter
    def reset(self, nruns, weight):
        th = self.th
        n = len(th["m0"])
        self.weight = weight
        self.Xf = [np.repeat(th["m0"][None], nruns, 0)]
        P0 = th["L0"] @ th["L0"].T + 0.1 * np.eye(n)
        self.Pf = [np.repeat(P0[None], nruns, 0)]
        self.Xp, self.Pp, self.F, self.u = [], [], [], []
        self.e, self.Si, self.K, self.M, self.got = [], [], [], [], []
        self.J = 0.0

    def step(self, u, y, got):
        th = self.th
        A, C = th["A"], th["C"]
        # time update
        Xp = np.tanh(self.Xf[-1] @ A.T + u @ th["Bu"].T + th["d"])
        F = (1 - Xp**2)[:, :, None] * A            # Jacobian at the prediction
        Pp = F @ self.Pf[-1] @ tr(F) + np.diag(np.exp(th["lq"]))
        # measurement update
        e = y - Xp @ C.T - th["c"]
        M = C @ Pp
        S = M @ C.T + np.diag(np.exp(th["lr"]))
        Si = inv(S)
        K = Pp @ C.T @ Si
        g = got[:, None]
        Xf = Xp + g * mv(K, e)
        Pf = Pp - g[:, :, None] * (K @ M)
        nll = 0.5 * (np.sum(e * mv(Si, e), 1) + slogdet(S)[1] + len(th["c"]) * np.log(2 * np.pi))
        self.J += self.weight * float(np.sum(got * nll))
        for lst, val in ((self.Xp, Xp), (self.Pp, Pp), (self.F, F), (self.e, e), (self.Si, Si), (self.K, K),
                         (self.M, M), (self.got, got), (self.u, u), (self.Xf, Xf), (self.Pf, Pf)):
            lst.append(val)

    def cost(self):
        return self.J + 0.5 * LAM * float(np.sum(self.th["A"] ** 2))

    # ------------------------------------------------------------------ adjoint
    def start_back(self):
        self.D = {}
        for nam, val in self.th.items():
            self.D[nam] = np.zeros_like(val)
        self.bX = np.zeros_like(self.Xf[-1])
        self.bP = np.zeros_like(self.Pf[-1])

    def step_back(self, k):
        D = self.D
        A, C = self.th["A"], self.th["C"]
        Xp, Pp, F, K, M = self.Xp[k], self.Pp[k], self.F[k], self.K[k], self.M[k]
        Si, e, got = self.Si[k], self.e[k], self.got[k]
        g2, g3 = got[:, None], got[:, None, None]
        Xold, Pold = self.Xf[k], self.Pf[k]        # NB lists start with the prior, so index k is sample k-1
        Sie = mv(Si, e)

        # Pf = Pp - got*K*M ,  Xf = Xp + got*K*e
        bPp = self.bP.copy()
        bXp = self.bX.copy()
        bK = -g3 * (self.bP @ tr(M))
        bM = -g3 * (tr(K) @ self.bP)
        bK += g3 * outer(self.bX, e)
        be = g2 * mv(tr(K), self.bX)
        # likelihood: e'*inv(S)*e + log det S
        be += self.weight * g2 * Sie
        bS = 0.5 * self.weight * g3 * (Si - outer(Sie, Sie))
        # K = Pp*C'*Si
        bG = bK @ Si
        bSi = C @ Pp @ bK
        bS -= Si @ bSi @ Si
        bPp += bG @ C
        D["C"] += np.sum(tr(bG) @ Pp, 0)
        # S = M*C' + R
        bM += bS @ C
        D["C"] += np.sum(tr(bS) @ M, 0)
        D["lr"] += np.einsum("rii->i", bS) * np.exp(self.th["lr"])
        # M = C*Pp
        bPp += C.T @ bM
        D["C"] += np.sum(bM @ Pp, 0)
        # innovation
        bXp -= be @ C
        D["C"] -= be.T @ Xp
        D["c"] -= be.sum(0)
        # Pp = F*Pf*F' + Q
        D["lq"] += np.einsum("rii->i", bPp) * np.exp(self.th["lq"])
        bF = (bPp + tr(bPp)) @ F @ Pold
        self.bP = tr(F) @ bPp @ F
        # F = diag(1-Xp^2)*A : the Jacobian depends on the state too!!
        D["A"] += np.sum((1 - Xp**2)[:, :, None] * bF, 0)
        bXp -= 2 * Xp * np.sum(bF * A, 2)
        # Xp = tanh(..)
        bz = bXp * (1 - Xp**2)
        D["A"] += bz.T @ Xold
        D["Bu"] += bz.T @ self.u[k]
        D["d"] += bz.sum(0)
        self.bX = bz @ A

    def finish_back(self):
        L0 = self.th["L0"]
        bP0 = self.bP.sum(0)
        self.D["L0"] += (bP0 + bP0.T) @ L0
        self.D["m0"] += self.bX.sum(0)
        self.D["A"] += LAM * self.th["A"]
        return self.D


class Trainer(object):

    def __init__(self, theta, U, Y, got):
        self.ekf = EKF(theta)
        self.U, self.Y, self.got = U, Y, got

    def simulate(self):
        R, N = self.got.shape
        self.ekf.reset(R, 1.0 / float(self.got.sum()))
        for k in range(N):
            self.ekf.step(self.U[:, k], self.Y[:, k], self.got[:, k])
        return self.ekf.cost()

    def gradient(self):
        self.simulate()
        self.ekf.start_back()
        for k in range(self.got.shape[1])[::-1]:
            self.ekf.step_back(k)
        return self.ekf.finish_back()


def make(Target, rng, T=5, B=4, nx=3, ny=2, nu=2):
    theta = dict(
        A=rng.normal(0, 0.9, (nx, nx)), Bu=rng.normal(0, 0.7, (nx, nu)), d=rng.normal(0, 0.3, nx),
        C=rng.normal(0, 1.0, (ny, nx)), c=rng.normal(0, 0.4, ny),
        lq=rng.normal(-0.7, 0.4, nx), lr=rng.normal(-0.3, 0.4, ny),
        m0=rng.normal(0, 0.6, nx), L0=rng.normal(0, 0.8, (nx, nx)))
    U = rng.normal(0, 1.0, (B, T, nu))
    Y = rng.normal(0, 1.3, (B, T, ny))
    got = (rng.uniform(size=(B, T)) < 0.75).astype(float)
    got[:, 0] = 1.0
    got[0, T // 2] = 0.0
    got[0, T - 1] = 1.0
    trainer = Trainer(theta, U, Y, got)
    return Target(theta, trainer.simulate, trainer.gradient)


BUGS = {
    "jacobian-factor-two-lost": ("bXp -= 2 * Xp * np.sum(bF * A, 2)", "bXp -= Xp * np.sum(bF * A, 2)"),
    "covariance-sandwich-transposed": ("self.bP = tr(F) @ bPp @ F", "self.bP = F @ bPp @ tr(F)"),
    "innovation-sign": ("bXp -= be @ C", "bXp += be @ C"),
    "log-noise-chain-lost": ("D[\"lq\"] += np.einsum(\"rii->i\", bPp) * np.exp(self.th[\"lq\"])", "D[\"lq\"] += np.einsum(\"rii->i\", bPp)"),
    "filtered-state-off-by-one": ("D[\"A\"] += bz.T @ Xold", "D[\"A\"] += bz.T @ self.Xf[k + 1]"),
    "gain-gradient-overwritten": ("bK += g3 * outer(self.bX, e)", "bK = g3 * outer(self.bX, e)"),
    "dropout-flag-forgotten": ("be += self.weight * g2 * Sie", "be += self.weight * Sie"),
    "prior-factor-one-side": ("self.D[\"L0\"] += (bP0 + bP0.T) @ L0", "self.D[\"L0\"] += bP0 @ L0"),
}
PAIRS = [
    ("jacobian-factor-two-lost", "log-noise-chain-lost"),
    ("covariance-sandwich-transposed", "innovation-sign"),
    ("filtered-state-off-by-one", "prior-factor-one-side"),
    ("gain-gradient-overwritten", "dropout-flag-forgotten"),
    ("dropout-flag-forgotten", "log-noise-chain-lost"),
    ("innovation-sign", "filtered-state-off-by-one"),
]
