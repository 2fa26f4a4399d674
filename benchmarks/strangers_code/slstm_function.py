"""A tiny clone of torch.autograd.Function in NumPy, and the sLSTM of the xLSTM paper (exponential input gate, stabiliser state m).

The stabiliser cancels in c / n, so it is non-differentiable by declaration: ``ctx.mark_non_differentiable(m)``.
"""
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

Array = np.ndarray


class Ctx:
    __slots__ = ("saved_tensors", "extra", "_nondiff")

    def __init__(self) -> None:
        self.saved_tensors: Tuple[Array, ...] = ()
        self.extra: Dict[str, Any] = {}
        self._nondiff: Tuple[Array, ...] = ()

    def save_for_backward(self, *tensors: Array) -> None:
        self.saved_tensors = tensors

    def mark_non_differentiable(self, *tensors: Array) -> None:
        self._nondiff = tensors


class Function:
    @classmethod
    def apply(cls, *args):
        ctx = Ctx()
        return cls.forward(ctx, *args), ctx


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-x))


def _logsigmoid(x: Array) -> Array:
    return -np.log1p(np.exp(-x))


class SLSTMCell(Function):
    """(x, h, c, n, m, weight_ih, weight_hh, bias) -> (h', c', n', m'); chunks of the gates: z | i | f | o."""

    @staticmethod
    def forward(ctx, x, h, c, n, m, weight_ih, weight_hh, bias):
        gates = x @ weight_ih.T + h @ weight_hh.T + bias
        z_raw, i_raw, f_raw, o_raw = np.split(gates, 4, axis=-1)
        z = np.tanh(z_raw)
        o = _sigmoid(o_raw)
        log_f = _logsigmoid(f_raw)
        m_new = np.maximum(log_f + m, i_raw)
        i = np.exp(i_raw - m_new)
        f = np.exp(log_f + m - m_new)
        c_new = f * c + i * z
        n_new = f * n + i
        h_new = o * (c_new / n_new)
        ctx.save_for_backward(x, h, c, n, weight_ih, weight_hh, z, i, f, o, c_new, n_new)
        ctx.extra["f_raw"] = f_raw
        ctx.mark_non_differentiable(m_new)
        return h_new, c_new, n_new, m_new

    @staticmethod
    def backward(ctx, grad_h, grad_c, grad_n):
        x, h, c, n, weight_ih, weight_hh, z, i, f, o, c_new, n_new = ctx.saved_tensors
        grad_o = grad_h * (c_new / n_new)
        grad_c = grad_c + grad_h * o / n_new
        grad_n = grad_n - grad_h * o * c_new / n_new ** 2
        grad_f = grad_c * c + grad_n * n
        grad_i = grad_c * z + grad_n
        grad_z = grad_c * i
        grad_z_raw = grad_z * (1 - z ** 2)
        grad_i_raw = grad_i * i
        grad_f_raw = grad_f * f * _sigmoid(-ctx.extra["f_raw"])
        grad_o_raw = grad_o * o * (1 - o)
        grad_gates = np.concatenate((grad_z_raw, grad_i_raw, grad_f_raw, grad_o_raw), axis=-1)
        grad_weight_ih = grad_gates.T @ x
        grad_weight_hh = grad_gates.T @ h
        grad_bias = grad_gates.sum(0)
        grad_x = grad_gates @ weight_ih
        grad_h_prev = grad_gates @ weight_hh
        # one gradient per input of forward; None where none is needed
        return grad_x, grad_h_prev, grad_c * f, grad_n * f, None, grad_weight_ih, grad_weight_hh, grad_bias


class Linear(Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return x @ weight.T + bias

    @staticmethod
    def backward(ctx, grad_output):
        x, weight = ctx.saved_tensors
        return grad_output @ weight, grad_output.T @ x, grad_output.sum(axis=0)


class CrossEntropy(Function):
    @staticmethod
    def forward(ctx, logits, target):
        shifted = logits - logits.max(axis=1, keepdims=True)
        logp = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        ctx.save_for_backward(logp, target)
        return -logp[np.arange(len(target)), target].mean()

    @staticmethod
    def backward(ctx, grad_output):
        logp, target = ctx.saved_tensors
        grad_logits = np.exp(logp)
        grad_logits[np.arange(len(target)), target] -= 1.0
        return grad_output * grad_logits / len(target), None


class CharModel:
    def __init__(self, vocab: int, hidden: int, rng):
        k = 0.9
        self.state_dict: Dict[str, Array] = {
            "embed": rng.normal(size=(vocab, hidden)) * k,
            "cell.weight_ih": rng.normal(size=(4 * hidden, hidden)) * k,
            "cell.weight_hh": rng.normal(size=(4 * hidden, hidden)) * k,
            "cell.bias": rng.normal(size=(4 * hidden,)) * k,
            "head.weight": rng.normal(size=(vocab, hidden)) * k,
            "head.bias": rng.normal(size=(vocab,)) * k,
        }
        self.hidden = hidden
        self.tape: List[Tuple[Any, ...]] = []

    def forward(self, tokens: Array, targets: Array, h0: Array) -> float:
        sd = self.state_dict
        T, B = tokens.shape
        h, c, n, m = h0, np.zeros((B, self.hidden)), np.ones((B, self.hidden)), np.zeros((B, self.hidden))
        self.tape = []
        total = 0.0
        for t in range(T):
            e = sd["embed"][tokens[t]]
            (h, c, n, m), cell = SLSTMCell.apply(e, h, c, n, m, sd["cell.weight_ih"], sd["cell.weight_hh"], sd["cell.bias"])
            # residual connection around the cell
            logits, head = Linear.apply(h + e, sd["head.weight"], sd["head.bias"])
            value, ce = CrossEntropy.apply(logits, targets[t])
            total += value / T
            self.tape.append((tokens[t], cell, head, ce))
        return float(total)

    def backward(self, scale: float = 1.0, grad_state: Optional[Tuple[Array, Array, Array]] = None) -> Dict[str, Array]:
        grad = {name: np.zeros_like(value) for name, value in self.state_dict.items()}
        T = len(self.tape)
        B = len(self.tape[0][0])
        if grad_state is None:
            grad_state = tuple(np.zeros((B, self.hidden)) for _ in range(3))
        gh, gc, gn = grad_state
        while self.tape:
            token, cell, head, ce = self.tape.pop()
            glogits, _ = CrossEntropy.backward(ce, scale / T)
            gsum, gw, gb = Linear.backward(head, glogits)
            grad["head.weight"] += gw
            grad["head.bias"] += gb
            ge, gh, gc, gn, _, gwi, gwh, gbias = SLSTMCell.backward(cell, gh + gsum, gc, gn)
            grad["cell.weight_ih"] += gwi
            grad["cell.weight_hh"] += gwh
            grad["cell.bias"] += gbias
            np.add.at(grad["embed"], token, ge + gsum)
        return grad


def make(Target, rng, T=4, B=2, H=3, V=4):
    if V < 2:
        raise ValueError("a vocabulary has two words at least")
    model = CharModel(V, H, rng)
    tokens, targets, h0 = rng.integers(0, V, (T, B)), rng.integers(0, V, (T, B)), rng.normal(size=(B, H))

    def closure():
        model.forward(tokens, targets, h0)
        return model.backward()

    return Target(model.state_dict, lambda: model.forward(tokens, targets, h0), closure)


BUGS = {
    "returned-states-swapped": ("return grad_x, grad_h_prev, grad_c * f, grad_n * f, None,", "return grad_x, grad_h_prev, grad_n * f, grad_c * f, None,"),
    "normaliser-not-squared": ("grad_n = grad_n - grad_h * o * c_new / n_new ** 2", "grad_n = grad_n - grad_h * o * c_new / n_new"),
    "logsigmoid-slope": ('grad_f_raw = grad_f * f * _sigmoid(-ctx.extra["f_raw"])', 'grad_f_raw = grad_f * f * _sigmoid(ctx.extra["f_raw"])'),
    "input-gate-misses-normaliser": ("grad_i = grad_c * z + grad_n", "grad_i = grad_c * z"),
    "saved-tensors-unpacked-wrongly": ("x, h, c, n, weight_ih, weight_hh, z, i, f, o, c_new, n_new = ctx.saved_tensors", "x, h, c, n, weight_ih, weight_hh, z, f, i, o, c_new, n_new = ctx.saved_tensors"),
    "upstream-scale-ignored": ("return grad_output * grad_logits / len(target), None", "return grad_logits / len(target), None"),
    "residual-path-of-embedding": ('np.add.at(grad["embed"], token, ge + gsum)', 'np.add.at(grad["embed"], token, ge)'),
    "input-weight-for-the-state": ("grad_h_prev = grad_gates @ weight_hh", "grad_h_prev = grad_gates @ weight_ih"),
}

PAIRS = [("logsigmoid-slope", "upstream-scale-ignored"), ("input-gate-misses-normaliser", "residual-path-of-embedding")]
