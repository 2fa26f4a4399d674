"""Vector ARMA(1,1) with exogenous inputs and asymmetric GARCH(1,1)-X variances,
Student-t likelihood with fixed degrees of freedom.  Score by the adjoint recursion.

    e_t = y_t - mu - Phi y_{t-1} - Theta e_{t-1} - Bx x_t
    s_t = exp(om + Kx x_t) + (al + ga 1[e_{t-1} < 0]) e_{t-1}^2 + be s_{t-1}
    -l_t = sum 1/2 log s_t + (nu + 1)/2 log(1 + e_t^2 / ((nu - 2) s_t))

al = exp(log_al), ga = exp(log_ga), be = logistic(logit_be); the pre-sample shock e_0 and
log variance log_s0 are estimated too.  y has T + 1 rows, the first is only a lag.
"""
import numpy as np

NU = 6.0


def coefficients(th):
    al = np.exp(th["log_al"])
    ga = np.exp(th["log_ga"])
    be = 1.0 / (1.0 + np.exp(-th["logit_be"]))
    return al, ga, be


def filter_series(th, y, x):
    al, ga, be = coefficients(th)
    n_obs = len(y) - 1
    e = np.empty_like(y)
    s = np.empty_like(y)
    base = np.empty_like(y)                       # the exogenous floor of the variance
    e[0] = th["e0"]
    s[0] = np.exp(th["log_s0"])
    base[0] = np.nan
    for t in range(1, n_obs + 1):
        mean = th["mu"] + th["Phi"] @ y[t - 1] + th["Theta"] @ e[t - 1] + th["Bx"] @ x[t]
        e[t] = y[t] - mean
        base[t] = np.exp(th["om"] + th["Kx"] @ x[t])
        s[t] = base[t] + (al + ga * (e[t - 1] < 0)) * e[t - 1] ** 2 + be * s[t - 1]
    return e, s, base


def negloglik(th, y, x):
    e, s, _ = filter_series(th, y, x)
    e, s = e[1:], s[1:]
    ll = 0.5 * np.log(s) + 0.5 * (NU + 1) * np.log1p(e ** 2 / ((NU - 2) * s))
    return ll.sum() / len(e)


def score(th, y, x):
    al, ga, be = coefficients(th)
    e, s, base = filter_series(th, y, x)
    n_obs, n_ser = len(y) - 1, y.shape[1]
    sc = {k: np.zeros_like(v) for k, v in th.items()}
    d_al, d_ga, d_be = np.zeros(n_ser), np.zeros(n_ser), np.zeros(n_ser)

    lam_e = np.zeros(n_ser)        # adjoint of e_t from later periods
    lam_s = np.zeros(n_ser)        # adjoint of s_t from later periods
    for t in range(n_obs, 0, -1):
        denom = (NU - 2) * s[t] + e[t] ** 2
        lam_e = lam_e + (NU + 1) * e[t] / denom / n_obs
        lam_s = lam_s + 0.5 * (1.0 - (NU + 1) * e[t] ** 2 / denom) / s[t] / n_obs

        # mean equation
        dmean = -lam_e
        sc["mu"] += dmean
        sc["Phi"] += np.outer(dmean, y[t - 1])
        sc["Theta"] += np.outer(dmean, e[t - 1])
        sc["Bx"] += np.outer(dmean, x[t])

        # variance equation
        neg = e[t - 1] < 0
        dfloor = lam_s * base[t]
        sc["om"] += dfloor
        sc["Kx"] += np.outer(dfloor, x[t])
        d_al += lam_s * e[t - 1] ** 2
        d_ga += lam_s * neg * e[t - 1] ** 2
        d_be += lam_s * s[t - 1]

        # to the period before
        lam_e = th["Theta"].T @ dmean
        lam_e += 2 * (al + ga * neg) * e[t - 1] * lam_s
        lam_s = be * lam_s

    sc["e0"] = lam_e
    sc["log_s0"] = lam_s * s[0]
    sc["log_al"] = d_al * al
    sc["log_ga"] = d_ga * ga
    sc["logit_be"] = d_be * be * (1 - be)
    return sc


def make(Target, rng, T=6, N=3, K=2):
    th = {
        "mu": 0.2 * rng.normal(size=N),
        "Phi": 0.3 * rng.normal(size=(N, N)),
        "Theta": 0.4 * rng.normal(size=(N, N)),
        "Bx": 0.5 * rng.normal(size=(N, K)),
        "om": -0.7 + 0.3 * rng.normal(size=N),
        "Kx": 0.3 * rng.normal(size=(N, K)),
        "log_al": -1.2 + 0.2 * rng.normal(size=N),
        "log_ga": -1.2 + 0.2 * rng.normal(size=N),
        "logit_be": 0.3 + 0.3 * rng.normal(size=N),
        "e0": rng.normal(size=N),
        "log_s0": 0.3 * rng.normal(size=N),
    }
    x = rng.normal(size=(T + 1, K))
    y = rng.normal(size=(T + 1, N))
    return Target(th, lambda: float(negloglik(th, y, x)), lambda: score(th, y, x))


BUGS = {
    "shock-adjoint-reset": ("lam_e = lam_e + (NU + 1) * e[t] / denom / n_obs", "lam_e = (NU + 1) * e[t] / denom / n_obs"),
    "variance-score-unscaled": ("(1.0 - (NU + 1) * e[t] ** 2 / denom) / s[t] / n_obs", "(1.0 - (NU + 1) * e[t] ** 2 / denom) / s[t]"),
    "mean-sign": ("dmean = -lam_e", "dmean = lam_e"),
    "theta-with-current-shock": ("sc[\"Theta\"] += np.outer(dmean, e[t - 1])", "sc[\"Theta\"] += np.outer(dmean, e[t])"),
    "floor-derivative-of-total-variance": ("dfloor = lam_s * base[t]", "dfloor = lam_s * s[t]"),
    "theta-not-transposed": ("lam_e = th[\"Theta\"].T @ dmean", "lam_e = th[\"Theta\"] @ dmean"),
    "leverage-term-forgotten": ("lam_e += 2 * (al + ga * neg) * e[t - 1] * lam_s", "lam_e += 2 * al * e[t - 1] * lam_s"),
    "logistic-derivative": ("sc[\"logit_be\"] = d_be * be * (1 - be)", "sc[\"logit_be\"] = d_be * be"),
}
PAIRS = [("theta-with-current-shock", "leverage-term-forgotten"), ("variance-score-unscaled", "theta-not-transposed")]
