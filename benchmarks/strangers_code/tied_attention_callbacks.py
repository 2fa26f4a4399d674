"""Word model: reset-after GRU, attention over all earlier states, tied embedding. By somebody who writes front ends:
nested dicts for state, every component is a `use_...` function whose forward hands back a `back` callback.

    r, z = sigmoid(x W + h U + b)    n = tanh(x Wn + bn + r * (h Un + cn))    h' = (1 - z) n + z h
    score_s = (h' Wq) . h_s / sqrt(H) over s < t,  ctx = sum softmax(score)_s h_s,  o = tanh([h', ctx] Wo),  logits = o E^T + b
"""
import numpy as np


def map_tree(tree, fn):
    return {key: map_tree(node, fn) if isinstance(node, dict) else fn(node) for key, node in tree.items()}


def flatten(tree, prefix=""):
    flat = {}
    for key, node in tree.items():
        flat.update(flatten(node, prefix + key + ".") if isinstance(node, dict) else {prefix + key: node})
    return flat


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def use_gru(p, g):
    def forward(x, h):
        r = sigmoid(x @ p["Wr"] + h @ p["Ur"] + p["br"])
        z = sigmoid(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
        hu = h @ p["Un"] + p["cn"]
        n = np.tanh(x @ p["Wn"] + p["bn"] + r * hu)

        def back(dh_new, resolve):
            dz = dh_new * (h - n) * z * (1 - z)
            dn = dh_new * (1 - z) * (1 - n * n)
            dr = dn * hu * r * (1 - r)
            dhu = dn * r
            dx, dh = 0, dh_new * z
            for gate, d in {"r": dr, "z": dz, "n": dn}.items():
                g["W" + gate] += x.T @ d
                g["b" + gate] += d.sum(axis=0)
                dx = dx + d @ p["W" + gate].T
            for gate, d in {"r": dr, "z": dz, "n": dhu}.items():
                g["U" + gate] += h.T @ d
                dh = dh + d @ p["U" + gate].T
            g["cn"] += dhu.sum(axis=0)
            return resolve(dx, dh)

        return {"value": (1 - z) * n + z * h, "back": back}

    return forward


def use_attention(p, g):
    def forward(h, past):
        root = np.sqrt(h.shape[1])
        q = h @ p["Wq"]
        score = np.stack([(q * key).sum(axis=1) for key in past]) / root
        alpha = np.exp(score - score.max(axis=0))
        alpha = alpha / alpha.sum(axis=0)

        def back(dctx, on_past):
            dalpha = np.stack([(dctx * key).sum(axis=1) for key in past])
            dscore = alpha * (dalpha - (alpha * dalpha).sum(axis=0)) / root
            dq = 0
            for s in range(len(past)):
                dq = dq + dscore[s][:, None] * past[s]
                on_past(s, alpha[s][:, None] * dctx + dscore[s][:, None] * q)
            g["Wq"] += h.T @ dq
            return dq @ p["Wq"].T

        return {"value": sum(a[:, None] * key for a, key in zip(alpha, past)), "back": back}

    return forward


def use_head(p, g, embed, g_embed):
    def forward(h, ctx, target):
        cat = np.concatenate([h, ctx], axis=1)
        o = np.tanh(cat @ p["Wo"])
        logits = o @ embed["E"].T + embed["b"]
        prob = np.exp(logits - logits.max(axis=1, keepdims=True))
        prob = prob / prob.sum(axis=1, keepdims=True)
        rows = np.arange(len(target))

        def back(scale):
            dlogits = prob.copy()
            dlogits[rows, target] -= 1
            dlogits *= scale
            g_embed["E"] += dlogits.T @ o
            g_embed["b"] += dlogits.sum(axis=0)
            da = dlogits @ embed["E"] * (1 - o * o)
            g["Wo"] += cat.T @ da
            return np.split(da @ p["Wo"].T, [h.shape[1]], axis=1)

        return {"value": -np.log(prob[rows, target]).sum(), "back": back}

    return forward


def create_app(params, tokens):
    grads = map_tree(params, np.zeros_like)
    gru, attend = use_gru(params["gru"], grads["gru"]), use_attention(params["attn"], grads["attn"])
    head = use_head(params["head"], grads["head"], params["embed"], grads["embed"])
    steps, batch = tokens.shape[0] - 1, tokens.shape[1]

    def run():
        states, listeners, total = [np.tile(params["init"]["h0"], (batch, 1))], [], 0.0
        for t in range(steps):
            cell = gru(params["embed"]["E"][tokens[t]], states[t])
            context = attend(cell["value"], states[:])
            out = head(cell["value"], context["value"], tokens[t + 1])
            listeners.append(lambda dstates, t=t, cell=cell, context=context, out=out: on_step(t, cell, context, out, dstates))
            states.append(cell["value"])
            total += out["value"]
        return {"loss": float(total / (steps * batch)), "states": states, "listeners": listeners}

    def on_step(t, cell, context, out, dstates):
        def receive(s, d):
            dstates[s] = dstates[s] + d

        def finish(dx, dh):
            np.add.at(grads["embed"]["E"], tokens[t], dx)
            receive(t, dh)

        dh, dctx = out["back"](1 / (steps * batch))
        dh = dh + context["back"](dctx, receive)
        cell["back"](dstates[t + 1] + dh, finish)

    def backprop():
        result = run()
        map_tree(grads, lambda node: node.fill(0))
        dstates = [np.zeros_like(h) for h in result["states"]]
        for listener in reversed(result["listeners"]):
            listener(dstates)
        grads["init"]["h0"] += dstates[0].sum(axis=0)
        return map_tree(grads, np.copy)

    return {"loss": lambda: run()["loss"], "grads": lambda: flatten(backprop())}


def make(Target, rng, T=4, B=3, V=5, M=3, H=3):
    w = lambda *shape: 0.7 * rng.standard_normal(shape)
    params = {"gru": {**{"W" + k: w(M, H) for k in "rzn"}, **{"U" + k: w(H, H) for k in "rzn"}, **{"b" + k: w(H) for k in "rzn"}, "cn": w(H)},
              "attn": {"Wq": w(H, H)}, "head": {"Wo": w(2 * H, M)}, "embed": {"E": w(V, M), "b": w(V)}, "init": {"h0": w(H)}}
    tokens = np.vstack([np.zeros((1, B), dtype=int), rng.integers(0, V, (T, B))])      # every sentence starts with token 0
    app = create_app(params, tokens)
    return Target(flatten(params), app["loss"], app["grads"])


BUGS = {
    "repeated-tokens-counted-once": ('np.add.at(grads["embed"]["E"], tokens[t], dx)', 'grads["embed"]["E"][tokens[t]] += dx'),
    "score-scale-forgotten": ("dscore = alpha * (dalpha - (alpha * dalpha).sum(axis=0)) / root", "dscore = alpha * (dalpha - (alpha * dalpha).sum(axis=0))"),
    "keys-get-value-path-only": ("on_past(s, alpha[s][:, None] * dctx + dscore[s][:, None] * q)", "on_past(s, alpha[s][:, None] * dctx)"),
    "late-binding-of-the-step": ("lambda dstates, t=t, cell=cell,", "lambda dstates, cell=cell,"),
    "inner-bias-without-reset": ('g["cn"] += dhu.sum(axis=0)', 'g["cn"] += dn.sum(axis=0)'),
    "reset-gate-sees-raw-state": ("dr = dn * hu * r * (1 - r)", "dr = dn * h * r * (1 - r)"),
    "initial-state-not-attended": ("for s in range(len(past)):", "for s in range(1, len(past)):"),
    "grads-never-cleared": ("map_tree(grads, lambda node: node.fill(0))", "pass"),
}

PAIRS = [("repeated-tokens-counted-once", "keys-get-value-path-only"), ("score-scale-forgotten", "inner-bias-without-reset"),
         ("reset-gate-sees-raw-state", "initial-state-not-attended")]
