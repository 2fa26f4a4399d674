"""Sequence classifier: GRU -> additive attention pooling -> softmax.  Batch first."""
import numpy as np


def _sig(a):
    return 0.5 * (1.0 + np.tanh(0.5 * a))


def _softmax(s):
    s = np.exp(s - s.max(axis=1, keepdims=True))
    return s / s.sum(axis=1, keepdims=True)


class GRUAttentionClassifier:
    def __init__(self, rng, d_in, d_hid, d_att, n_cls, weight_decay=0.02):
        def init(*shape):
            return rng.normal(0.0, 0.7, size=shape)

        self.wd = weight_decay
        self.p = {}
        for gate in ("z", "r", "n"):
            self.p["W" + gate] = init(d_in, d_hid)
            self.p["U" + gate] = init(d_hid, d_hid)
            self.p["b" + gate] = init(d_hid)
        self.p["Wa"] = init(d_hid, d_att)
        self.p["ba"] = init(d_att)
        self.p["va"] = init(d_att)
        self.p["Wo"] = init(d_hid, n_cls)
        self.p["bo"] = init(n_cls)

    def forward(self, X):
        p = self.p
        B, T, _ = X.shape
        h = np.zeros((B, p["Uz"].shape[0]))
        self.steps, outs = [], []
        for t in range(T):
            x = X[:, t]
            z = _sig(x @ p["Wz"] + h @ p["Uz"] + p["bz"])
            r = _sig(x @ p["Wr"] + h @ p["Ur"] + p["br"])
            n = np.tanh(x @ p["Wn"] + (r * h) @ p["Un"] + p["bn"])
            self.steps.append((x, h, z, r, n))
            h = z * h + (1 - z) * n
            outs.append(h)
        self.H = np.stack(outs, axis=1)                      # B, T, H
        self.u = np.tanh(self.H @ p["Wa"] + p["ba"])         # B, T, A
        self.alpha = _softmax(self.u @ p["va"])              # B, T
        self.ctx = (self.alpha[:, :, None] * self.H).sum(axis=1)
        self.prob = _softmax(self.ctx @ p["Wo"] + p["bo"])
        return self.prob

    def loss(self, X, y):
        prob = self.forward(X)
        nll = -np.log(prob[np.arange(len(y)), y]).mean()
        return nll + 0.5 * self.wd * (self.p["Wo"] ** 2).sum()

    def backward(self, X, y):
        p = self.p
        self.forward(X)
        B, T, _ = X.shape
        g = {k: np.zeros_like(v) for k, v in p.items()}

        # classifier
        dlogit = self.prob.copy()
        dlogit[np.arange(B), y] -= 1.0
        dlogit /= B
        g["Wo"] = self.ctx.T @ dlogit + self.wd * p["Wo"]
        g["bo"] = dlogit.sum(axis=0)
        dctx = dlogit @ p["Wo"].T

        # attention pooling
        dH = self.alpha[:, :, None] * dctx[:, None, :]
        dalpha = (self.H * dctx[:, None, :]).sum(axis=2)
        inner = (self.alpha * dalpha).sum(axis=1, keepdims=True)
        dscore = self.alpha * (dalpha - inner)
        g["va"] = np.einsum("bt,bta->a", dscore, self.u)
        du = dscore[:, :, None] * p["va"]
        da = du * (1 - self.u ** 2)
        g["Wa"] = np.einsum("bth,bta->ha", self.H, da)
        g["ba"] = da.sum(axis=(0, 1))
        dH += da @ p["Wa"].T

        # recurrent part
        dh_next = np.zeros_like(dctx)
        for t in range(T - 1, -1, -1):
            x, h, z, r, n = self.steps[t]
            dh = dH[:, t] + dh_next

            dn = dh * (1 - z) * (1 - n ** 2)
            drh = dn @ p["Un"].T
            dz = dh * (h - n) * z * (1 - z)
            dr = drh * h * r * (1 - r)

            g["Wn"] += x.T @ dn
            g["Un"] += (r * h).T @ dn
            g["bn"] += dn.sum(axis=0)
            g["Wz"] += x.T @ dz
            g["Uz"] += h.T @ dz
            g["bz"] += dz.sum(axis=0)
            g["Wr"] += x.T @ dr
            g["Ur"] += h.T @ dr
            g["br"] += dr.sum(axis=0)

            dh_next = dh * z + drh * r
            dh_next += dz @ p["Uz"].T
            dh_next += dr @ p["Ur"].T
        return g


def make(Target, rng, batch=3, steps=4, d_in=3, d_hid=4, d_att=3, n_cls=3):
    model = GRUAttentionClassifier(rng, d_in, d_hid, d_att, n_cls)
    X = rng.normal(size=(batch, steps, d_in))
    y = rng.integers(0, n_cls, size=batch)
    return Target(model.p, lambda: float(model.loss(X, y)), lambda: model.backward(X, y))


BUGS = {
    "weight-decay-forgotten": ("g[\"Wo\"] = self.ctx.T @ dlogit + self.wd * p[\"Wo\"]", "g[\"Wo\"] = self.ctx.T @ dlogit"),
    "softmax-inner-wrong-axis": ("inner = (self.alpha * dalpha).sum(axis=1, keepdims=True)", "inner = (self.alpha * dalpha).sum(axis=0, keepdims=True)"),
    "attention-overwrites-dH": ("dH += da @ p[\"Wa\"].T", "dH = da @ p[\"Wa\"].T"),
    "Un-not-transposed": ("drh = dn @ p[\"Un\"].T", "drh = dn @ p[\"Un\"]"),
    "update-gate-sign": ("dz = dh * (h - n) * z * (1 - z)", "dz = dh * (n - h) * z * (1 - z)"),
    "reset-gate-derivative-uses-z": ("dr = drh * h * r * (1 - r)", "dr = drh * h * z * (1 - z)"),
    "Un-grad-without-reset": ("g[\"Un\"] += (r * h).T @ dn", "g[\"Un\"] += h.T @ dn"),
    "carry-through-update-gate-dropped": ("dh_next = dh * z + drh * r", "dh_next = drh * r"),
}
PAIRS = [("softmax-inner-wrong-axis", "Un-grad-without-reset"), ("update-gate-sign", "Un-not-transposed")]
