# pocketgrad: a tape-based reverse-mode autodiff in one file, plus a layer-normalised gated RNN
# with attention pooling built on it.  Every op appends (output, [(input, vjp), ...]) to the tape.
import numpy as np


def unbroadcast(g, shape):
    """Undo numpy broadcasting: sum `g` down to `shape`."""
    if g.shape == shape:
        return g
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    stretched = tuple(i for i, n in enumerate(shape) if n == 1 and g.shape[i] != 1)
    return g.sum(axis=stretched, keepdims=True)


def swap(m):
    return np.swapaxes(m, -1, -2)


class Tape(list):
    def leaf(self, value):
        return Tensor(value, self)

    def gradient(self, out, leaves):
        cotangent = {id(out): np.ones_like(out.data)}
        for node, edges in reversed(self):
            g = cotangent.pop(id(node), None)
            if g is None:
                continue
            for parent, vjp in edges:
                cotangent[id(parent)] = cotangent.get(id(parent), 0.0) + vjp(g)
        return [cotangent.get(id(leaf), np.zeros_like(leaf.data)) for leaf in leaves]


class Tensor:
    __array_priority__ = 100

    def __init__(self, data, tape):
        self.data, self.tape = np.asarray(data, dtype=float), tape

    @property
    def shape(self):
        return self.data.shape

    def emit(self, data, *edges):
        out = Tensor(data, self.tape)
        self.tape.append((out, edges))
        return out

    def __add__(self, other):
        return self.emit(self.data + other.data,
                         (self, lambda g: unbroadcast(g, self.shape)),
                         (other, lambda g: unbroadcast(g, other.shape)))

    def __sub__(self, other):
        return self.emit(self.data - other.data,
                         (self, lambda g: unbroadcast(g, self.shape)),
                         (other, lambda g: unbroadcast(-g, other.shape)))

    def __mul__(self, other):
        return self.emit(self.data * other.data,
                         (self, lambda g: unbroadcast(g * other.data, self.shape)),
                         (other, lambda g: unbroadcast(g * self.data, other.shape)))

    def __matmul__(self, other):
        return self.emit(self.data @ other.data,
                         (self, lambda g: unbroadcast(g @ swap(other.data), self.shape)),
                         (other, lambda g: unbroadcast(swap(self.data) @ g, other.shape)))

    def __getitem__(self, key):
        def vjp(g):
            full = np.zeros_like(self.data)
            np.add.at(full, key, g)
            return full
        return self.emit(self.data[key], (self, vjp))

    def tanh(self):
        y = np.tanh(self.data)
        return self.emit(y, (self, lambda g: g * (1.0 - y ** 2)))

    def sigmoid(self):
        y = 1.0 / (1.0 + np.exp(-self.data))
        return self.emit(y, (self, lambda g: g * y * (1.0 - y)))

    def sum(self, axis):
        return self.emit(self.data.sum(axis), (self, lambda g: np.broadcast_to(np.expand_dims(g, axis), self.shape)))

    def mean(self):
        return self.emit(self.data.mean(), (self, lambda g: np.full(self.shape, g / self.data.size)))

    def softmax(self, axis):
        e = np.exp(self.data - self.data.max(axis, keepdims=True))
        y = e / e.sum(axis, keepdims=True)
        return self.emit(y, (self, lambda g: y * (g - (g * y).sum(axis, keepdims=True))))

    def logsumexp(self):
        top = self.data.max(-1, keepdims=True)
        lse = top + np.log(np.exp(self.data - top).sum(-1, keepdims=True))
        return self.emit(lse[..., 0], (self, lambda g: g[..., None] * np.exp(self.data - lse)))

    def layernorm(self, eps=1e-2):
        centred = self.data - self.data.mean(-1, keepdims=True)
        inv = 1.0 / np.sqrt((centred ** 2).mean(-1, keepdims=True) + eps)
        xhat = centred * inv

        def vjp(g):
            along = (g * xhat).mean(-1, keepdims=True)
            return inv * (g - g.mean(-1, keepdims=True) - xhat * along)
        return self.emit(xhat, (self, vjp))


def concat(parts):
    edges, stop = [], 0
    for p in parts:
        start, stop = stop, stop + p.shape[-1]
        edges.append((p, lambda g, lo=start, hi=stop: g[..., lo:hi]))
    return parts[0].emit(np.concatenate([p.data for p in parts], -1), *edges)


def stack(parts):
    edges = [(p, lambda g, i=i: g[:, i]) for i, p in enumerate(parts)]
    return parts[0].emit(np.stack([p.data for p in parts], 1), *edges)


def split(x, n):
    w = x.shape[-1] // n
    return [x[..., i * w:(i + 1) * w] for i in range(n)]


def network(p, tokens, labels):
    x = p["embed"][tokens]                                    # T, B, D
    h, states = p["start"], []
    one, blank = (p["start"].tape.leaf(c) for c in (1.0, np.zeros((tokens.shape[1], 1))))
    h = h + blank                                             # 1, H  ->  B, H
    for t in range(len(tokens)):
        keep, new = split(concat([x[t], h]) @ p["W"], 2)
        keep = (keep.layernorm() * p["gain"] + p["b"]).sigmoid()
        h = keep * h + (one - keep) * new.tanh()
        states.append(h)
    S = stack(states)                                         # B, T, H
    weight = ((S @ p["K"]).tanh() @ p["v"]).softmax(axis=1)   # B, T, 1
    logits = concat([(weight * S).sum(1), h]) @ p["out"]
    return (logits.logsumexp() - logits[np.arange(len(labels)), labels]).mean()


def make(Target, rng, T=5, B=3, H=4, D=3, V=6, C=3):
    shapes = dict(embed=(V, D), start=(1, H), W=(D + H, 2 * H), gain=(H,), b=(H,), K=(H, H), v=(H, 1), out=(2 * H, C))
    params = {k: rng.normal(0.0, 0.9, s) for k, s in shapes.items()}
    tokens, labels = rng.integers(0, V, (T, B)), rng.integers(0, C, B)

    def run():
        tape = Tape()
        leaves = {k: tape.leaf(v) for k, v in params.items()}
        return tape, leaves, network(leaves, tokens, labels)

    def loss():
        return float(run()[2].data)

    def grads():
        tape, leaves, out = run()
        return dict(zip(leaves, tape.gradient(out, list(leaves.values()))))

    return Target(params, loss, grads)


BUGS = {
    "softmax-vjp-only-diagonal": ("lambda g: y * (g - (g * y).sum(axis, keepdims=True))", "lambda g: y * (1.0 - y) * g"),
    "layernorm-vjp-without-variance": ("return inv * (g - g.mean(-1, keepdims=True) - xhat * along)", "return inv * (g - g.mean(-1, keepdims=True))"),
    "getitem-repeated-rows-lost": ("np.add.at(full, key, g)", "full[key] += g"),
    "stack-closure-late-binding": ("lambda g, i=i: g[:, i]) for i, p", "lambda g: g[:, i]) for i, p"),
    "logsumexp-shifted-by-max-only": ("g[..., None] * np.exp(self.data - lse)", "g[..., None] * np.exp(self.data - top)"),
    "unbroadcast-averages-stretched": ("return g.sum(axis=stretched, keepdims=True)", "return g.mean(axis=stretched, keepdims=True)"),
    "sub-second-operand-sign": ("unbroadcast(-g, other.shape)", "unbroadcast(g, other.shape)"),
    "mul-other-gets-itself": ("unbroadcast(g * self.data, other.shape)", "unbroadcast(g * other.data, other.shape)"),
}
PAIRS = [
    ("softmax-vjp-only-diagonal", "getitem-repeated-rows-lost"),
    ("layernorm-vjp-without-variance", "logsumexp-shifted-by-max-only"),
    ("stack-closure-late-binding", "sub-second-operand-sign"),
    ("unbroadcast-averages-stretched", "mul-other-gets-itself"),
    ("getitem-repeated-rows-lost", "sub-second-operand-sign"),
    ("softmax-vjp-only-diagonal", "layernorm-vjp-without-variance"),
]
