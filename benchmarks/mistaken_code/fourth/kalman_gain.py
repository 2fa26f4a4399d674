## ekfnet.py -- translated from ekfnet.R
## Recurrent state-space net with an (extended) Kalman gain as the cell; fitted by maximum
## likelihood of the innovations.  Missing observations (NA -> nan) skip the update.
##
##   m  <- tanh(A x + B u)            J  <- diag(1 - m^2) A
##   Pm <- J P J' + diag(exp(lq))     e  <- y - C m
##   S  <- C Pm C' + diag(exp(lr))    K  <- Pm C' S^-1
##   x  <- m + K e                    P  <- Pm - K C Pm
##   nll <- mean over observed t of (log det S + e' S^-1 e) / 2

import numpy as np


def crossprod(X, Y):
    return X.T @ Y


def tcrossprod(X, Y):
    return X @ Y.T


def filter_series(par, y, u):
    x = par["x0"]
    P = np.diag(np.exp(par["lp0"]))
    R, Q = np.diag(np.exp(par["lr"])), np.diag(np.exp(par["lq"]))
    nll = 0.0
    trace = []
    for y_t, u_t in zip(y, u):
        rec = {"x": x, "P": P, "u": u_t, "obs": not np.isnan(y_t).any()}
        m = np.tanh(par["A"] @ x + par["B"] @ u_t)
        J = (1 - m ** 2)[:, None] * par["A"]
        Pm = tcrossprod(J @ P, J) + Q
        rec.update(m=m, J=J, Pm=Pm)
        if rec["obs"]:
            e = y_t - par["C"] @ m
            S = par["C"] @ Pm @ par["C"].T + R
            Si = np.linalg.inv(S)
            K = tcrossprod(Pm, par["C"]) @ Si
            nll = nll + 0.5 * (np.linalg.slogdet(S)[1] + e @ Si @ e)
            x = m + K @ e
            P = Pm - K @ par["C"] @ Pm
            rec.update(e=e, Si=Si, K=K)
        else:
            x, P = m, Pm
        trace.append(rec)
    return nll, trace


def score_series(par, y, u, n_obs, bar):
    """adds d(nll / n_obs) / d(par) of one series to bar"""
    _, trace = filter_series(par, y, u)
    A, C = par["A"], par["C"]
    x_bar = np.zeros(A.shape[0])
    P_bar = np.zeros(A.shape)
    for rec in reversed(trace):
        m, J, Pm, x, P = rec["m"], rec["J"], rec["Pm"], rec["x"], rec["P"]
        m_bar = x_bar.copy()
        Pm_bar = P_bar.copy()

        if rec["obs"]:
            e, Si, K = rec["e"], rec["Si"], rec["K"]
            ## likelihood of the innovation
            w = Si @ e
            e_bar = w / n_obs
            S_bar = 0.5 * (Si - np.outer(w, w)) / n_obs
            ## update of mean and covariance
            K_bar = np.outer(x_bar, e)
            e_bar = crossprod(K, x_bar)
            K_bar -= tcrossprod(P_bar, C @ Pm)
            bar["C"] -= crossprod(K, tcrossprod(P_bar, Pm))
            Pm_bar -= crossprod(K @ C, P_bar)
            ## gain: K = G S^-1 with G = Pm C'
            G = tcrossprod(Pm, C)
            G_bar = tcrossprod(K_bar, Si)
            S_bar -= Si.T @ crossprod(G, K_bar) @ Si.T
            bar["C"] += crossprod(G_bar, Pm)
            Pm_bar += G_bar @ C
            ## innovation and its covariance
            bar["C"] += S_bar @ C @ Pm.T + S_bar.T @ C @ Pm
            Pm_bar += crossprod(C, S_bar @ C)
            bar["lr"] += np.diag(S_bar) * np.exp(par["lr"])
            bar["C"] -= np.outer(e_bar, m)
            m_bar -= crossprod(C, e_bar)

        ## prediction of the covariance
        J_bar = Pm_bar @ J @ P.T + Pm_bar.T @ J @ P
        P_bar = crossprod(J, Pm_bar @ J)
        bar["lq"] += np.diag(Pm_bar) * np.exp(par["lq"])
        bar["A"] += (1 - m ** 2) * J_bar
        m_bar -= 2 * m * (J_bar * A).sum(axis=1)
        ## prediction of the mean
        a_bar = m_bar * (1 - m ** 2)
        bar["A"] += np.outer(a_bar, x)
        bar["B"] += np.outer(a_bar, rec["u"])
        x_bar = A.T @ a_bar
    bar["x0"] += x_bar
    bar["lp0"] += np.diag(P_bar) * np.exp(par["lp0"])


def make(rng):
    nx, ny, nu = 3, 2, 1
    par = {"A": rng.normal(0, 0.9, (nx, nx)), "B": rng.normal(0, 1, (nx, nu)), "C": rng.normal(0, 1, (ny, nx)),
           "lq": rng.normal(-0.7, 0.3, nx), "lr": rng.normal(-0.7, 0.3, ny),
           "x0": rng.normal(0, 1, nx), "lp0": rng.normal(0, 0.3, nx)}
    series = [(rng.normal(0, 1.5, (n, ny)), rng.normal(0, 1, (n, nu))) for n in (5, 4)]
    series[0][0][2] = np.nan
    series[1][0][3, 1] = np.nan
    n_obs = sum(int((~np.isnan(y).any(axis=1)).sum()) for y, _ in series)

    def loss():
        return float(sum(filter_series(par, y, u)[0] for y, u in series) / n_obs)

    def grads():
        bar = {name: np.zeros_like(value) for name, value in par.items()}
        for y, u in series:
            score_series(par, y, u, n_obs, bar)
        return bar

    return par, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [("innovation: the likelihood's own part overwritten",
  [68],
  [('e_bar = crossprod(K, x_bar)', 'e_bar += crossprod(K, x_bar)')]),
 ('row factor broadcast along the columns',
  [89],
  [('bar["A"] += (1 - m ** 2) * J_bar', 'bar["A"] += (1 - m ** 2)[:, None] * J_bar')])]
