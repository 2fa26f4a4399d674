"""Language model "engine": config driven stack of coupled-gate LSTM layers.

    f = gate(x Wf + h Uf + pf*c + bf)            forget gate, input gate is 1 - f
    z = cell(x Wz + h Uz + bz)
    c' = f*c + (1 - f)*z
    o = gate(x Wo + h Uo + po*c' + bo)           peephole looks at the new cell
    h' = o * squash(c')
Layers are residual (y = x + h'), embedding and softmax are tied, and the top layer pays
temporal activation regularisation (TAR).  Token ids are an int array (T + 1, B).
"""
import numpy as np

DEFAULTS = {"gate_act": "sigmoid", "cell_act": "tanh", "squash_act": "isru",
            "embed_scale": 1.5, "tar": 0.4, "dtype": "float64"}
ACTIVATIONS = {}


def register(name):
    def wrap(cls):
        ACTIVATIONS[name] = cls()
        return cls
    return wrap


@register("sigmoid")
class Sigmoid:
    def f(self, a):
        return 1.0 / (1.0 + np.exp(-a))

    def df(self, y):
        return y * (1.0 - y)


@register("tanh")
class Tanh:
    def f(self, a):
        return np.tanh(a)

    def df(self, y):
        return 1.0 - y * y


@register("isru")
class InverseSqrtUnit:
    def f(self, a):
        return a / np.sqrt(1.0 + a * a)

    def df(self, y):
        return (1.0 - y * y) ** 1.5


class GradStore:
    """Nested {scope: {name: array}}; addressed by "scope.name"."""

    def __init__(self, params):
        self._tree = {}
        for key, value in params.items():
            scope, name = key.split(".")
            self._tree.setdefault(scope, {})[name] = np.zeros_like(value)

    def add(self, key, value):
        scope, name = key.split(".")
        self._tree[scope][name] += value

    def flat(self):
        return {f"{s}.{n}": g for s, names in self._tree.items() for n, g in names.items()}


class CoupledLSTMLayer:
    def __init__(self, index, cfg, params):
        self.index, self.params = index, params
        self.gate = ACTIVATIONS[cfg["gate_act"]]
        self.cell = ACTIVATIONS[cfg["cell_act"]]
        self.squash = ACTIVATIONS[cfg["squash_act"]]

    def __getitem__(self, name):
        return self.params[f"l{self.index}.{name}"]

    @property
    def size(self):
        return len(self["bz"])

    def _pre(self, gate, x, h):
        return x @ self[f"W{gate}"] + h @ self[f"U{gate}"] + self[f"b{gate}"]

    def forward(self, x, h, c):
        k = {"x": x, "h_prev": h, "c_prev": c}
        k["f"] = self.gate.f(self._pre("f", x, h) + self["pf"] * c)
        k["z"] = self.cell.f(self._pre("z", x, h))
        k["c"] = k["f"] * c + (1.0 - k["f"]) * k["z"]
        k["o"] = self.gate.f(self._pre("o", x, h) + self["po"] * k["c"])
        k["s"] = self.squash.f(k["c"])
        k["h"] = k["o"] * k["s"]
        return k

    def backward(self, dh, dc, k, store):
        da = {"o": dh * k["s"] * self.gate.df(k["o"])}
        dc = dc + dh * k["o"] * self.squash.df(k["s"]) + da["o"] * self["po"]
        da["f"] = dc * (k["c_prev"] - k["z"]) * self.gate.df(k["f"])
        da["z"] = dc * (1.0 - k["f"]) * self.cell.df(k["z"])
        dx, dh_prev = np.zeros_like(dh), np.zeros_like(dh)
        for gate, d in da.items():
            store.add(f"l{self.index}.W{gate}", k["x"].T @ d)
            store.add(f"l{self.index}.U{gate}", k["h_prev"].T @ d)
            store.add(f"l{self.index}.b{gate}", d.sum(axis=0))
            dx += d @ self[f"W{gate}"].T
            dh_prev += d @ self[f"U{gate}"].T
        store.add(f"l{self.index}.pf", (da["f"] * k["c_prev"]).sum(axis=0))
        store.add(f"l{self.index}.po", (da["o"] * k["c"]).sum(axis=0))
        dc_prev = dc * k["f"] + da["f"] * self["pf"]
        return dx, dh_prev, dc_prev


class LanguageModel:
    def __init__(self, cfg, params):
        self.cfg = {**DEFAULTS, **cfg}
        self.params = params
        self.layers = [CoupledLSTMLayer(i, self.cfg, params) for i in range(self.cfg["n_layers"])]

    @property
    def embedding(self):
        return self.params["tied.E"]

    def _frames(self, tokens):
        """yields (step, layer caches, top output); state lives in here"""
        n_batch = tokens.shape[1]
        state = [(np.zeros((n_batch, l.size)),) * 2 for l in self.layers]
        for t, ids in enumerate(tokens[:-1]):
            x, caches = self.cfg["embed_scale"] * self.embedding[ids], []
            for i, layer in enumerate(self.layers):
                cache = layer.forward(x, *state[i])
                state[i] = cache["h"], cache["c"]
                x = x + cache["h"]
                caches.append(cache)
            yield t, caches, x

    def _log_probs(self, top):
        logits = top @ self.embedding.T + self.params["tied.bias"]
        logits = logits - logits.max(axis=1, keepdims=True)
        return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))

    def _tar_delta(self, frames):
        h = np.stack([caches[-1]["h"] for _, caches, _ in frames])
        return h, h[1:] - h[:-1]

    def loss(self, tokens):
        frames = list(self._frames(tokens))
        rows = np.arange(tokens.shape[1])
        nll = -sum(self._log_probs(top)[rows, tokens[t + 1]].sum() for t, _, top in frames)
        h, delta = self._tar_delta(frames)
        return float(nll / (len(frames) * len(rows)) + self.cfg["tar"] * (delta ** 2).sum() / h.size)

    def _tar_grads(self, frames):
        h, delta = self._tar_delta(frames)
        slope = 2.0 * self.cfg["tar"] * delta / h.size
        grads = np.zeros_like(h)
        grads[1:] += slope
        grads[:-1] -= slope
        return grads

    def gradients(self, tokens):
        store = GradStore(self.params)
        frames = list(self._frames(tokens))
        rows = np.arange(tokens.shape[1])
        tar = self._tar_grads(frames)
        carry = [(np.zeros((len(rows), l.size)),) * 2 for l in self.layers]
        for t, caches, top in reversed(frames):
            dlogits = np.exp(self._log_probs(top))
            dlogits[rows, tokens[t + 1]] -= 1.0
            dlogits /= len(frames) * len(rows)
            store.add("tied.E", dlogits.T @ top)
            store.add("tied.bias", dlogits.sum(axis=0))
            dy = dlogits @ self.embedding
            for i, layer in reversed(list(enumerate(self.layers))):
                dh, dc = carry[i]
                dh = dh + dy
                if layer is self.layers[-1]:
                    dh = dh + tar[t]
                dx, *carry[i] = layer.backward(dh, dc, caches[i], store)
                dy = dy + dx
            scatter = np.eye(len(self.embedding))[tokens[t]]    # one-hot, small vocab only
            store.add("tied.E", self.cfg["embed_scale"] * scatter.T @ dy)
        return store.flat()


def make(Target, rng, T=4, B=3, H=3, V=5, L=2):
    params = {"tied.E": 0.8 * rng.normal(size=(V, H)), "tied.bias": 0.3 * rng.normal(size=V)}
    for i in range(L):
        for gate in "fzo":
            params[f"l{i}.W{gate}"] = 0.8 * rng.normal(size=(H, H))
            params[f"l{i}.U{gate}"] = 0.9 * rng.normal(size=(H, H))
            params[f"l{i}.b{gate}"] = 0.3 * rng.normal(size=H)
        for peephole in ("pf", "po"):
            params[f"l{i}.{peephole}"] = 0.9 * rng.normal(size=H)
    model = LanguageModel({"n_layers": L}, params)
    tokens = rng.integers(0, V, size=(T + 1, B))
    return Target(params, lambda: model.loss(tokens), lambda: model.gradients(tokens))


BUGS = {
    "forget-peephole-cache-key": ("(da[\"f\"] * k[\"c_prev\"]).sum(axis=0)", "(da[\"f\"] * k[\"c\"]).sum(axis=0)"),
    "squash-slope-from-raw-cell": ("self.squash.df(k[\"s\"])", "self.squash.df(k[\"c\"])"),
    "coupled-input-part-missing": ("dc * (k[\"c_prev\"] - k[\"z\"]) * self.gate.df(k[\"f\"])", "dc * k[\"c_prev\"] * self.gate.df(k[\"f\"])"),
    "cell-carry-by-input-share": ("dc_prev = dc * k[\"f\"] + da[\"f\"]", "dc_prev = dc * (1.0 - k[\"f\"]) + da[\"f\"]"),
    "tar-sign-of-earlier-step": ("grads[:-1] -= slope", "grads[:-1] += slope"),
    "recurrent-grad-into-input-slot": ("store.add(f\"l{self.index}.U{gate}\"", "store.add(f\"l{self.index}.W{gate}\""),
    "target-of-current-step": ("dlogits[rows, tokens[t + 1]] -= 1.0", "dlogits[rows, tokens[t]] -= 1.0"),
    "hidden-carry-of-last-gate-only": ("dh_prev += d @ self[f\"U{gate}\"].T", "dh_prev = d @ self[f\"U{gate}\"].T"),
}
PAIRS = [
    ("forget-peephole-cache-key", "squash-slope-from-raw-cell"),
    ("coupled-input-part-missing", "cell-carry-by-input-share"),
    ("tar-sign-of-earlier-step", "recurrent-grad-into-input-slot"),
    ("hidden-carry-of-last-gate-only", "squash-slope-from-raw-cell"),
    ("target-of-current-step", "cell-carry-by-input-share"),
    ("hidden-carry-of-last-gate-only", "forget-peephole-cache-key"),
]
