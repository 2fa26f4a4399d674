"""
Mini "autograd.Function" collection: every op is a class with a static forward(ctx, ...)
and a static backward(ctx, dout).  No graph, the tape is a plain list popped in reverse.

Model: Linear -> Tanh -> n x (LSTM + scaled residual) -> Linear -> CrossEntropy.
Sequences are time major (T, B, D), weights are stored (out, in) like in PyTorch.
"""
import numpy as np

IGNORE_INDEX = -100


class Ctx:
    def __init__(self):
        self.saved = []

    def save_for_backward(self, *things):
        self.saved.extend(things)


def sigm(v):
    return 1.0 / (1.0 + np.exp(-v))


class Linear:
    @staticmethod
    def forward(ctx, inp, weight, bias):
        ctx.save_for_backward(inp, weight)
        return inp @ weight.T + bias

    @staticmethod
    def backward(ctx, dout):
        inp, weight = ctx.saved
        dinp = dout @ weight
        dweight = np.einsum("tbo,tbi->oi", dout, inp)
        return dinp, dweight, dout.sum(axis=(0, 1))


class Tanh:
    @staticmethod
    def forward(ctx, inp):
        out = np.tanh(inp)
        ctx.save_for_backward(out)
        return out

    @staticmethod
    def backward(ctx, dout):
        out, = ctx.saved
        return dout * (1 - out * out)


class LSTMCell:
    @staticmethod
    def forward(ctx, inp, hx, cx, w_ih, w_hh, b_ih, b_hh):
        gates = inp @ w_ih.T + b_ih + hx @ w_hh.T + b_hh
        ingate, forgetgate, cellgate, outgate = np.split(gates, 4, axis=1)
        ingate, forgetgate, outgate = sigm(ingate), sigm(forgetgate), sigm(outgate)
        cellgate = np.tanh(cellgate)
        cy = forgetgate * cx + ingate * cellgate
        tanh_cy = np.tanh(cy)
        ctx.save_for_backward(inp, hx, cx, w_ih, w_hh, ingate, forgetgate, cellgate, outgate, cy, tanh_cy)
        return outgate * tanh_cy, cy

    @staticmethod
    def backward(ctx, dhy, dcy):
        inp, hx, cx, w_ih, w_hh, ingate, forgetgate, cellgate, outgate, cy, tanh_cy = ctx.saved
        d_out = dhy * tanh_cy * outgate * (1 - outgate)
        dcy = dcy + dhy * outgate * (1 - tanh_cy * tanh_cy)
        d_in = dcy * cellgate * ingate * (1 - ingate)
        d_forget = dcy * cx * forgetgate * (1 - forgetgate)
        d_cell = dcy * ingate * (1 - cellgate * cellgate)
        dgates = np.concatenate([d_in, d_forget, d_cell, d_out], axis=1)
        dcx = dcy * forgetgate
        db = dgates.sum(axis=0)
        return dgates @ w_ih, dgates @ w_hh, dcx, dgates.T @ inp, dgates.T @ hx, db


class LSTMLayer:
    @staticmethod
    def forward(ctx, seq, h0, c0, w_ih, w_hh, b_ih, b_hh):
        T, B, _ = seq.shape
        hx, cx = np.tile(h0, (B, 1)), np.tile(c0, (B, 1))
        outs, cells = [], []
        for t in range(T):
            cell = Ctx()
            hx, cx = LSTMCell.forward(cell, seq[t], hx, cx, w_ih, w_hh, b_ih, b_hh)
            outs.append(hx)
            cells.append(cell)
        ctx.save_for_backward(cells, w_ih.shape, w_hh.shape)
        return np.stack(outs)

    @staticmethod
    def backward(ctx, dout):
        cells, shape_ih, shape_hh = ctx.saved
        dw_ih, dw_hh, db = np.zeros(shape_ih), np.zeros(shape_hh), np.zeros(shape_ih[0])
        dseq = np.empty(dout.shape)
        dh = dc = np.zeros(dout.shape[1:])
        for t in range(len(cells) - 1, -1, -1):
            dhy = dout[t] + dh
            dseq[t], dh, dc, step_ih, step_hh, step_b = LSTMCell.backward(cells[t], dhy, dc)
            dw_ih += step_ih
            dw_hh += step_hh
            db += step_b
        # b_ih and b_hh enter only through their sum
        return dseq, dh.sum(axis=0), dc.sum(axis=0), dw_ih, dw_hh, db, db.copy()


class ScaledResidual:
    """y = skip + gamma * branch, gamma one number per feature (LayerScale)"""
    @staticmethod
    def forward(ctx, skip, branch, gamma):
        ctx.save_for_backward(skip, branch, gamma)
        return skip + gamma * branch

    @staticmethod
    def backward(ctx, dout):
        skip, branch, gamma = ctx.saved
        dgamma = (dout * branch).sum(axis=(0, 1))
        return dout, dout * gamma, dgamma


class CrossEntropy:
    @staticmethod
    def forward(ctx, logits, target):
        keep = target != IGNORE_INDEX
        safe = np.where(keep, target, 0)
        shifted = logits - logits.max(axis=-1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        picked = np.take_along_axis(logp, safe[..., None], axis=-1)[..., 0]
        ctx.save_for_backward(logp, keep, safe)
        return -(picked * keep).sum() / keep.sum()

    @staticmethod
    def backward(ctx, dout):
        logp, keep, safe = ctx.saved
        dlogits = np.exp(logp) - np.eye(logp.shape[-1])[safe]
        dlogits = dlogits * keep[..., None]
        return dout * dlogits / keep.sum()


LAYER_ARGS = ("h0", "c0", "w_ih", "w_hh", "b_ih", "b_hh")


def call(tape, fn, *args):
    ctx = Ctx()
    tape.append((fn, ctx))
    return fn.forward(ctx, *args)


def pop(tape, dout):
    fn, ctx = tape.pop()
    return fn.backward(ctx, dout)


def net_forward(P, inp, target, n_layers):
    tape = []
    x = call(tape, Tanh, call(tape, Linear, inp, P["emb.w"], P["emb.b"]))
    for l in range(n_layers):
        branch = call(tape, LSTMLayer, x, *[P[f"l{l}.{a}"] for a in LAYER_ARGS])
        x = call(tape, ScaledResidual, x, branch, P[f"l{l}.gamma"])
    logits = call(tape, Linear, x, P["out.w"], P["out.b"])
    return call(tape, CrossEntropy, logits, target), tape


def net_backward(tape, n_layers):
    G = {}
    dx, G["out.w"], G["out.b"] = pop(tape, pop(tape, 1.0))
    for l in reversed(range(n_layers)):
        dskip, dbranch, G[f"l{l}.gamma"] = pop(tape, dx)
        dx, *rest = pop(tape, dbranch)
        G.update({f"l{l}.{a}": d for a, d in zip(LAYER_ARGS, rest)})
        dx = dx + dskip
    _, G["emb.w"], G["emb.b"] = pop(tape, pop(tape, dx))
    return G


def make(Target, rng, T=4, B=3, n_in=2, dim=3, n_layers=2, n_classes=3):
    P = {"emb.w": rng.normal(size=(dim, n_in)), "emb.b": 0.2 * rng.normal(size=dim)}
    for l in range(n_layers):
        P[f"l{l}.w_ih"] = 0.9 * rng.normal(size=(4 * dim, dim))
        P[f"l{l}.w_hh"] = 0.7 * rng.normal(size=(4 * dim, dim))
        for name, n in (("b_ih", 4 * dim), ("b_hh", 4 * dim), ("h0", dim), ("c0", dim)):
            P[f"l{l}.{name}"] = 0.4 * rng.normal(size=n)
        P[f"l{l}.gamma"] = 0.8 + 0.2 * rng.normal(size=dim)
    P["out.w"], P["out.b"] = rng.normal(size=(n_classes, dim)), 0.2 * rng.normal(size=n_classes)
    inp = rng.normal(size=(T, B, n_in))
    target = rng.integers(0, n_classes, size=(T, B))
    target[:T // 2, -1] = IGNORE_INDEX      # warm-up of the last sequence is not scored

    def loss():
        return float(net_forward(P, inp, target, n_layers)[0])

    def grads():
        return net_backward(net_forward(P, inp, target, n_layers)[1], n_layers)

    return Target(P, loss, grads)


BUGS = {
    "cell-tanh-slope-at-raw-cell": ("(1 - tanh_cy * tanh_cy)", "(1 - cy * cy)"),
    "cell-carry-by-input-gate": ("dcx = dcy * forgetgate", "dcx = dcy * ingate"),
    "gate-blocks-in-other-order": ("dgates = np.concatenate([d_in, d_forget, d_cell, d_out], axis=1)", "dgates = np.concatenate([d_in, d_forget, d_out, d_cell], axis=1)"),
    "hidden-carry-forgotten": ("dhy = dout[t] + dh", "dhy = dout[t]"),
    "w-hh-assigned-each-step": ("dw_hh += step_hh", "dw_hh = step_hh"),
    "gamma-from-skip-input": ("dgamma = (dout * branch).sum(axis=(0, 1))", "dgamma = (dout * skip).sum(axis=(0, 1))"),
    "ignored-targets-not-masked": ("dlogits = dlogits * keep[..., None]", "dlogits = dlogits * 1.0"),
    "skip-path-forgotten": ("dx = dx + dskip", "dx = dx"),
}
PAIRS = [
    ("cell-tanh-slope-at-raw-cell", "cell-carry-by-input-gate"),
    ("gate-blocks-in-other-order", "w-hh-assigned-each-step"),
    ("hidden-carry-forgotten", "w-hh-assigned-each-step"),
    ("ignored-targets-not-masked", "cell-tanh-slope-at-raw-cell"),
    ("skip-path-forgotten", "gamma-from-skip-input"),
    ("skip-path-forgotten", "cell-carry-by-input-gate"),
]
