"""Sequence density model: a GRU whose state parametrises, at every step, a mixture of
diagonal Gaussians for the next observation (as in "handwriting" / "world models" RNNs).

Purely functional: parameters, activations and gradients are dicts, nothing is mutated.
    loss = mean over (t, b) of  -log sum_k pi_k N(y | mu_k, sigma_k)  +  NEG_ENT * sum_k pi_k log pi_k
"""
import numpy as np

LOG_2PI = 1.8378770664093453
SIGMA_FLOOR = 0.2
NEG_ENT = 0.3
W_STD, B_STD = 0.7, 0.3
GATES = "zrn"
HEADS = ("pi", "mu", "sd")


def logistic(a):
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def logsumexp(a):
    top = np.max(a, axis=-1, keepdims=True)
    return top + np.log(np.sum(np.exp(a - top), axis=-1, keepdims=True))


def init(rng, n_obs, n_static, n_hid, n_mix):
    head_size = {"pi": n_mix, "mu": n_mix * n_obs, "sd": n_mix * n_obs}
    return {
        **{f"W{k}": W_STD * rng.normal(size=(n_obs, n_hid)) for k in GATES},
        **{f"U{k}": W_STD * rng.normal(size=(n_hid, n_hid)) for k in GATES},
        **{f"b{k}": B_STD * rng.normal(size=n_hid) for k in GATES},
        **{f"W_{k}": W_STD * rng.normal(size=(n_hid, head_size[k])) for k in HEADS},
        **{f"b_{k}": B_STD * rng.normal(size=head_size[k]) for k in HEADS},
        "Wstart": W_STD * rng.normal(size=(n_static, n_hid)),
        "bstart": B_STD * rng.normal(size=n_hid),
    }


def gru_step(p, x, h):
    z = logistic(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
    r = logistic(x @ p["Wr"] + h @ p["Ur"] + p["br"])
    n = np.tanh(x @ p["Wn"] + (r * h) @ p["Un"] + p["bn"])
    return {"x": x, "h_prev": h, "z": z, "r": r, "n": n, "h": (1 - z) * h + z * n}


def emit(p, step, x, y):
    """mixture parameters and log likelihood of y; the means are offsets from the last observation x"""
    out = {k: step["h"] @ p[f"W_{k}"] + p[f"b_{k}"] for k in HEADS}
    grid = (len(x), -1, x.shape[1])
    log_pi = out["pi"] - logsumexp(out["pi"])
    mu = x[:, None, :] + out["mu"].reshape(grid)
    sigma = SIGMA_FLOOR + np.exp(out["sd"].reshape(grid))
    eps = (y[:, None, :] - mu) / sigma
    joint = log_pi - np.sum(0.5 * eps ** 2 + np.log(sigma) + 0.5 * LOG_2PI, axis=-1)
    return {**step, "log_pi": log_pi, "sigma": sigma, "eps": eps, "joint": joint, "loglik": logsumexp(joint)}


def unroll(p, data):
    h, steps = np.tanh(data["static"] @ p["Wstart"] + p["bstart"]), []
    for x, y in zip(data["seq"][:-1], data["seq"][1:]):
        step = emit(p, gru_step(p, x, h), x, y)
        steps, h = steps + [step], step["h"]
    return steps


def objective(p, data):
    steps = unroll(p, data)
    n = len(steps) * len(data["static"])
    nll = -sum(s["loglik"].sum() for s in steps)
    neg_ent = sum(np.sum(np.exp(s["log_pi"]) * s["log_pi"]) for s in steps)
    return float((nll + NEG_ENT * neg_ent) / n)


def emit_grad(p, s, n):
    """gradient w.r.t. the head outputs (before softmax / exp), and w.r.t. h"""
    pi, log_pi, sigma, eps = np.exp(s["log_pi"]), s["log_pi"], s["sigma"], s["eps"]
    resp = np.exp(s["joint"] - s["loglik"])
    neg_ent = np.sum(pi * log_pi, axis=-1, keepdims=True)
    d_sigma = resp[..., None] * (1 - eps ** 2) / sigma
    d = {
        "pi": pi - resp + NEG_ENT * pi * (log_pi - neg_ent),
        "mu": -resp[..., None] * eps / sigma,
        "sd": d_sigma * (sigma - SIGMA_FLOOR),
    }
    d = {k: v.reshape(len(pi), -1) / n for k, v in d.items()}
    weights = {f"W_{k}": s["h"].T @ d[k] for k in HEADS}
    biases = {f"b_{k}": d[k].sum(axis=0) for k in HEADS}
    return sum(d[k] @ p[f"W_{k}"].T for k in HEADS), {**weights, **biases}


def gru_grad(p, s, dh):
    x, h_prev, z, r, n = (s[k] for k in ("x", "h_prev", "z", "r", "n"))
    pre_n = dh * z * (1 - n ** 2)
    d_gated = pre_n @ p["Un"].T
    pre = {
        "z": dh * (n - h_prev) * z * (1 - z),
        "r": d_gated * h_prev * r * (1 - r),
        "n": pre_n,
    }
    seen = {"z": h_prev, "r": h_prev, "n": r * h_prev}
    dh_prev = dh * (1 - z) + d_gated * r + sum(pre[k] @ p[f"U{k}"].T for k in "zr")
    return dh_prev, {
        **{f"W{k}": x.T @ pre[k] for k in GATES},
        **{f"U{k}": seen[k].T @ pre[k] for k in GATES},
        **{f"b{k}": pre[k].sum(axis=0) for k in GATES},
    }


def gradient(p, data):
    steps = unroll(p, data)
    n = len(steps) * len(data["static"])
    carry, parts = 0.0, []
    for s in steps[::-1]:
        d_emit, g_emit = emit_grad(p, s, n)
        carry, g_gru = gru_grad(p, s, d_emit + carry)
        parts = parts + [{**g_emit, **g_gru}]
    start = steps[0]["h_prev"]
    d_start = carry * (1 - start ** 2)
    return {
        **{k: sum(part[k] for part in parts) for k in parts[0]},
        "Wstart": data["static"].T @ d_start,
        "bstart": d_start.sum(axis=0),
    }


def make(Target, rng, batch=3, steps=4, n_obs=2, n_static=2, n_hid=4, n_mix=3):
    p = init(rng, n_obs, n_static, n_hid, n_mix)
    data = {"static": rng.normal(size=(batch, n_static)), "seq": rng.normal(size=(steps + 1, batch, n_obs))}
    return Target(p, lambda: objective(p, data), lambda: gradient(p, data))


BUGS = {
    "responsibility-sign": ("\"pi\": pi - resp + NEG_ENT", "\"pi\": resp - pi + NEG_ENT"),
    "entropy-centering-missing": ("NEG_ENT * pi * (log_pi - neg_ent)", "NEG_ENT * pi * log_pi"),
    "mean-not-scaled-by-sigma-twice": ("\"mu\": -resp[..., None] * eps / sigma,", "\"mu\": -resp[..., None] * eps,"),
    "sigma-floor-kept-in-slope": ("\"sd\": d_sigma * (sigma - SIGMA_FLOOR),", "\"sd\": d_sigma * sigma,"),
    "heads-multiplied-by-old-state": ("weights = {f\"W_{k}\": s[\"h\"].T @ d[k] for k in HEADS}", "weights = {f\"W_{k}\": s[\"h_prev\"].T @ d[k] for k in HEADS}"),
    "sd-head-not-into-state": ("return sum(d[k] @ p[f\"W_{k}\"].T for k in HEADS), {**weights, **biases}", "return sum(d[k] @ p[f\"W_{k}\"].T for k in HEADS[:2]), {**weights, **biases}"),
    "reset-state-not-gated-for-un": ("\"n\": r * h_prev}", "\"n\": h_prev}"),
    "recurrent-u-not-transposed": ("sum(pre[k] @ p[f\"U{k}\"].T for k in \"zr\")", "sum(pre[k] @ p[f\"U{k}\"] for k in \"zr\")"),
}
PAIRS = [
    ("responsibility-sign", "heads-multiplied-by-old-state"),
    ("entropy-centering-missing", "recurrent-u-not-transposed"),
    ("sigma-floor-kept-in-slope", "heads-multiplied-by-old-state"),
    ("mean-not-scaled-by-sigma-twice", "reset-state-not-gated-for-un"),
    ("sd-head-not-into-state", "recurrent-u-not-transposed"),
    ("sd-head-not-into-state", "sigma-floor-kept-in-slope"),
]
