"""Coupled oscillators (coRNN) that predict the next point with a mixture density. Generators: the forward pass yields a memo per step,
the backward pass is a coroutine that is sent a memo and yields what it owes to the input. Parameters, memos, gradients: dicts of dicts.

    z' = z + dt (tanh(y Wy + z Wz + x V + b) - gamma y - eps z)      y' = y + dt z'      gamma = softplus(g), eps = softplus(e)
"""
import numpy as np

DT = 0.4


def softplus(a):
    return np.log1p(np.exp(a))


def softplus_slope(a):
    return 1 / (1 + np.exp(-a))


def zeros_as(tree):
    return {k: zeros_as(v) if isinstance(v, dict) else np.zeros_like(v) for k, v in tree.items()}


def oscillate(par, xs):
    y, z = (np.repeat(par["start"][k][None], xs.shape[1], axis=0) for k in ("y", "z"))
    gamma, eps = softplus(par["osc"]["g"]), softplus(par["osc"]["e"])
    for x in xs:
        force = np.tanh(y @ par["osc"]["Wy"] + z @ par["osc"]["Wz"] + x @ par["osc"]["V"] + par["osc"]["b"])
        znew = z + DT * (force - gamma * y - eps * z)
        ynew = y + DT * znew
        yield {"x": x, "old": {"y": y, "z": z}, "force": force, "new": {"y": ynew, "z": znew}}
        y, z = ynew, znew


def unoscillate(par, grad):
    """Coroutine: send (memo, dy) from the last step to the first; yields dx. None in place of a memo closes the sequence."""
    gamma, eps = softplus(par["osc"]["g"]), softplus(par["osc"]["e"])
    osc, gosc = par["osc"], grad["osc"]
    dy, dz = 0.0, 0.0
    dx = None
    while True:
        memo, upstream = yield dx
        if memo is None:
            break
        old = memo["old"]
        dynew = dy + upstream
        dznew = dz + DT * dynew
        da = DT * dznew * (1 - memo["force"] ** 2)
        gosc["Wy"] += old["y"].T @ da
        gosc["Wz"] += old["z"].T @ da
        gosc["V"] += memo["x"].T @ da
        gosc["b"] += da.sum(axis=0)
        gosc["g"] -= DT * (dznew * old["y"]).sum(axis=0) * softplus_slope(osc["g"])
        gosc["e"] -= DT * (dznew * old["z"]).sum(axis=0) * softplus_slope(osc["e"])
        dy = dynew - DT * gamma * dznew + da @ osc["Wy"].T
        dz = (1 - DT * eps) * dznew + da @ osc["Wz"].T
        dx = da @ osc["V"].T
    grad["start"]["y"] += dy.sum(axis=0)
    grad["start"]["z"] += dz.sum(axis=0)
    yield None


def mixture(head, y, target):
    """Negative log-likelihood summed over the batch; means (B, K, D) are relative to the present state, one sigma per component."""
    B, D = target.shape
    K = head["c"].shape[0]
    logit = y @ head["P"] + head["c"]
    mean = (y @ head["M"]).reshape(B, K, D) + head["m"]
    logsig = y @ head["S"] + head["s"]
    dist = target[:, None, :] - mean
    quad = (dist ** 2).sum(axis=2) * np.exp(-2 * logsig)
    top = logit - 0.5 * quad - D * logsig
    lse_top = np.log(np.exp(top - top.max(1, keepdims=True)).sum(1)) + top.max(1)
    lse_pi = np.log(np.exp(logit - logit.max(1, keepdims=True)).sum(1)) + logit.max(1)
    memo = {"y": y, "dist": dist, "quad": quad, "isig2": np.exp(-2 * logsig), "post": np.exp(top - lse_top[:, None]),
            "prior": np.exp(logit - lse_pi[:, None])}
    return float((lse_pi - lse_top).sum()), memo


def unmixture(head, ghead, memo, scale):
    y, post = memo["y"], memo["post"]
    B, K, D = memo["dist"].shape
    dlogit = scale * (memo["prior"] - post)
    dmean = -scale * (post * memo["isig2"])[:, :, None] * memo["dist"]
    dlogsig = scale * post * (D - memo["quad"])
    ghead["P"] += y.T @ dlogit
    ghead["c"] += dlogit.sum(axis=0)
    ghead["M"] += y.T @ dmean.reshape(B, K * D)
    ghead["m"] += dmean.sum(axis=0)
    ghead["S"] += y.T @ dlogsig
    ghead["s"] += dlogsig.sum(axis=0)
    dy = dlogit @ head["P"].T
    dy += dmean.reshape(B, K * D) @ head["M"].T
    dy += dlogsig @ head["S"].T
    return dy


def loss_only(par, points):
    xs, targets = points[:-1], points[1:]
    return sum(mixture(par["head"], memo["new"]["y"], target)[0] for memo, target in zip(oscillate(par, xs), targets)) / targets[..., 0].size


def loss_gradient(par, points):
    grad = zeros_as(par)
    xs, targets = points[:-1], points[1:]
    memos = list(oscillate(par, xs))
    back = unoscillate(par, grad)
    next(back)
    for memo, target in zip(memos[::-1], targets[::-1]):
        _, mm = mixture(par["head"], memo["new"]["y"], target)
        back.send((memo, unmixture(par["head"], grad["head"], mm, 1.0 / targets[..., 0].size)))
    back.send((None, None))
    return {f"{a}.{b}": leaf for a, sub in grad.items() for b, leaf in sub.items()}


def make(Target, rng, T=4, B=2, D=2, H=3, K=2):
    if T < 2:
        raise ValueError("nothing to predict")
    n = lambda *s: 0.7 * rng.normal(size=s)
    par = {"osc": {"Wy": n(H, H), "Wz": n(H, H), "V": n(D, H), "b": n(H), "g": n(H), "e": n(H)},
           "head": {"P": n(H, K), "c": n(K), "M": n(H, K * D), "m": n(K, D), "S": 0.5 * n(H, K), "s": n(K)},
           "start": {"y": n(H), "z": n(H)}}
    points = rng.normal(size=(T, B, D)).cumsum(0)
    params = {f"{a}.{b}": leaf for a, sub in par.items() for b, leaf in sub.items()}
    return Target(params, lambda: loss_only(par, points), lambda: loss_gradient(par, points))


BUGS = {
    "time-step-missing-in-velocity": ("dznew = dz + DT * dynew", "dznew = dz + dynew"),
    "velocity-cotangent-not-carried": ("dz = (1 - DT * eps) * dznew + da @ osc[\"Wz\"].T", "dz = da @ osc[\"Wz\"].T"),
    "stiffness-path-missing": ("dy = dynew - DT * gamma * dznew + da @ osc[\"Wy\"].T", "dy = dynew + da @ osc[\"Wy\"].T"),
    "sigma-dimension-count": ("dlogsig = scale * post * (D - memo[\"quad\"])", "dlogsig = scale * post * (1 - memo[\"quad\"])"),
    "prior-for-posterior": ("dmean = -scale * (post * memo[\"isig2\"])[:, :, None] * memo[\"dist\"]", "dmean = -scale * (memo[\"prior\"] * memo[\"isig2\"])[:, :, None] * memo[\"dist\"]"),
    "spread-does-not-reach-state": ("dy += dlogsig @ head[\"S\"].T", ""),
    "damping-on-new-velocity": ("(dznew * old[\"z\"]).sum(axis=0)", "(dznew * memo[\"new\"][\"z\"]).sum(axis=0)"),
    "softplus-slope-at-the-value": ("softplus_slope(osc[\"g\"])", "softplus_slope(gamma)"),
}

PAIRS = [("damping-on-new-velocity", "sigma-dimension-count"), ("stiffness-path-missing", "spread-does-not-reach-state")]
