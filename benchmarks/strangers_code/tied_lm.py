"""LSTM language model: tied embeddings, padded batches (batch first),
label smoothing and class weights."""
import numpy as np

PAD = 0


class WeightedSmoothedCE:
    """Weighted mean over real tokens. The weights are nobody else's business."""

    def __init__(self, class_weight, smoothing):
        self.class_weight = class_weight
        self.smoothing = smoothing

    def _soft_targets(self, targets, n_classes):
        q = np.full(targets.shape + (n_classes,), self.smoothing / n_classes)
        b, t = np.indices(targets.shape)
        q[b, t, targets] += 1.0 - self.smoothing
        return q

    def _log_probs(self, logits):
        m = logits.max(axis=-1, keepdims=True)
        return logits - m - np.log(np.exp(logits - m).sum(axis=-1, keepdims=True))

    def forward(self, logits, targets):
        q = self._soft_targets(targets, logits.shape[-1])
        w = self.class_weight[targets] * (targets != PAD)
        ce = -(q * self._log_probs(logits)).sum(axis=-1)
        return (w * ce).sum() / w.sum()

    def backward(self, logits, targets):
        p = np.exp(self._log_probs(logits))
        q = self._soft_targets(targets, logits.shape[-1])
        w = self.class_weight[targets] * (targets != PAD)
        return (p - q) * (w / w.sum())[:, :, None]


def sigmoid(x):
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


class TiedLM:
    def __init__(self, vocab, emb, hidden, rng):
        self.hidden = hidden
        self.p = dict(
            E=rng.normal(0, 0.7, (vocab, emb)),
            Wx=rng.normal(0, 0.6, (emb, 4 * hidden)),
            Wh=rng.normal(0, 0.5, (hidden, 4 * hidden)),
            b=rng.normal(0, 0.2, 4 * hidden),
            P=rng.normal(0, 0.8, (hidden, emb)),
            out_b=rng.normal(0, 0.1, vocab),
        )

    def forward(self, tokens):
        p, n = self.p, self.hidden
        B, T = tokens.shape
        live = (tokens != PAD).astype(float)
        emb = p["E"][tokens]
        h, c = np.zeros((B, n)), np.zeros((B, n))
        hs, self.steps = np.zeros((B, T, n)), []
        for t in range(T):
            a = emb[:, t] @ p["Wx"] + h @ p["Wh"] + p["b"]
            i, f, o = sigmoid(a[:, :n]), sigmoid(a[:, n:2 * n]), sigmoid(a[:, 2 * n:3 * n])
            g = np.tanh(a[:, 3 * n:])
            m = live[:, t:t + 1]
            c_new = f * c + i * g
            tc = np.tanh(c_new)
            self.steps.append((i, f, o, g, tc, h, c, m))
            # a finished sequence just keeps its state
            h = m * (o * tc) + (1 - m) * h
            c = m * c_new + (1 - m) * c
            hs[:, t] = h
        proj = hs @ p["P"]
        logits = proj @ p["E"].T + p["out_b"]
        self.saved = (tokens, emb, hs, proj)
        return logits

    def backward(self, dlogits):
        p = self.p
        tokens, emb, hs, proj = self.saved
        B, T = tokens.shape
        grad = {k: np.zeros_like(v) for k, v in p.items()}
        grad["out_b"] += dlogits.sum(axis=(0, 1))
        dE_out = np.einsum("btv,bte->ve", dlogits, proj)
        dproj = dlogits @ p["E"]
        grad["P"] += np.einsum("bth,bte->he", hs, dproj)
        dhs = dproj @ p["P"].T
        demb = np.zeros_like(emb)
        dh = np.zeros((B, self.hidden))
        dc = np.zeros((B, self.hidden))
        for t in range(T - 1, -1, -1):
            i, f, o, g, tc, h_prev, c_prev, m = self.steps[t]
            dh = dh + dhs[:, t]
            dh_cell = m * dh
            dc_cell = m * dc + dh_cell * o * (1 - tc ** 2)
            da = np.concatenate([
                dc_cell * g * i * (1 - i),
                dc_cell * c_prev * f * (1 - f),
                dh_cell * tc * o * (1 - o),
                dc_cell * i * (1 - g ** 2),
            ], axis=1)
            grad["Wx"] += emb[:, t].T @ da
            grad["Wh"] += h_prev.T @ da
            grad["b"] += da.sum(axis=0)
            demb[:, t] = da @ p["Wx"].T
            dh = (1 - m) * dh + da @ p["Wh"].T
            dc = (1 - m) * dc + dc_cell * f
        dE_in = np.zeros_like(p["E"])
        np.add.at(dE_in, tokens, demb)
        grad["E"] = dE_in + dE_out
        return grad


def make(Target, rng, batch=4, length=5, vocab=7, emb=3, hidden=4):
    lm = TiedLM(vocab, emb, hidden, rng)
    criterion = WeightedSmoothedCE(rng.uniform(0.5, 2.0, vocab), smoothing=0.1)
    text = rng.integers(1, vocab, (batch, length + 1))
    for row in range(1, batch):
        text[row, length + 1 - row % 3:] = PAD
    inputs, targets = text[:, :-1], text[:, 1:]
    # one padded hole inside a line (a dropped word)
    inputs[0, 1] = PAD

    def loss():
        return float(criterion.forward(lm.forward(inputs), targets))

    def grads():
        logits = lm.forward(inputs)
        return lm.backward(criterion.backward(logits, targets))

    return Target(lm.p, loss, grads)


BUGS = {
    "class-weights-missing": ("return (p - q) * (w / w.sum())[:, :, None]", "return (p - q) * ((targets != PAD) / w.sum())[:, :, None]"),
    "decoder-share-of-E-lost": ('grad["E"] = dE_in + dE_out', 'grad["E"] = dE_in'),
    "repeated-words-counted-once": ("np.add.at(dE_in, tokens, demb)", "dE_in[tokens] += demb"),
    "mask-missing-on-hidden": ("dh_cell = m * dh", "dh_cell = dh"),
    "padding-carry-dropped": ('dh = (1 - m) * dh + da @ p["Wh"].T', 'dh = da @ p["Wh"].T'),
    "wrong-gate-in-cell": ("dc_cell = m * dc + dh_cell * o * (1 - tc ** 2)", "dc_cell = m * dc + dh_cell * f * (1 - tc ** 2)"),
    "candidate-sigmoid-derivative": ("dc_cell * i * (1 - g ** 2),", "dc_cell * i * g * (1 - g),"),
    "hidden-gradient-overwritten": ("dh = dh + dhs[:, t]", "dh = dhs[:, t]"),
}
PAIRS = [("class-weights-missing", "candidate-sigmoid-derivative"),
         ("decoder-share-of-E-lost", "padding-carry-dropped")]
