"""Files as people leave them, each in another way; and one that cannot be drafted without a gap."""

SCRIPT = """
import numpy as np
import not_installed_anywhere

data = open("input.txt").read()
chars = list(set(data))
vocab_size = len(chars)
hidden_size = 100
both = hidden_size + vocab_size
seq_length = 25

Wx = np.random.randn(hidden_size, vocab_size) * 0.01
Wh = np.random.randn(hidden_size, hidden_size) * 0.01
Wy = np.random.randn(vocab_size, hidden_size) * 0.01


def lossFun(inputs, targets, hprev):
    assert len(inputs) == seq_length
    xs, hs, ps, loss = {}, {-1: np.copy(hprev)}, {}, 0
    for t in range(len(inputs)):
        xs[t] = np.zeros((vocab_size, 1))
        xs[t][inputs[t]] = 1
        hs[t] = np.tanh(np.dot(Wx, xs[t]) + np.dot(Wh, hs[t - 1]))
        y = np.dot(Wy, hs[t])
        ps[t] = np.exp(y) / np.sum(np.exp(y))
        loss += -np.log(ps[t][targets[t], 0])
    dWx, dWh, dWy = np.zeros_like(Wx), np.zeros_like(Wh), np.zeros_like(Wy)
    dhnext = np.zeros_like(hs[0])
    for t in reversed(range(len(inputs))):
        dy = np.copy(ps[t])
        dy[targets[t]] -= 1
        dWy += np.dot(dy, hs[t].T)
        draw = (1 - hs[t] * hs[t]) * (np.dot(Wy.T, dy) + dhnext)
        dWx += np.dot(draw, xs[t].T)
        dWh += np.dot(draw, hs[t - 1].T)
        dhnext = np.dot(Wh.T, draw)
    for dparam in [dWx, dWh, dWy]:
        np.clip(dparam, -5, 5, out=dparam)
    return loss, dWx, dWh, dWy, hs[len(inputs) - 1]


while True:
    loss, dWx, dWh, dWy, hprev = lossFun([0], [0], np.zeros((hidden_size, 1)))
"""

GLOBALS = '''
import numpy as np

n_hidden, n_in = 8, 4
W = np.random.randn(n_hidden, n_in)
U = np.random.randn(n_hidden, n_hidden)
dW, dU = np.zeros_like(W), np.zeros_like(U)


def forward_backward(x, h_prev):
    """Adds to the module's dW and dU."""
    global dW, dU
    hs = [h_prev]
    for t in range(len(x)):
        hs.append(np.tanh(W @ x[t] + U @ hs[-1]))
    loss, dh = 0.5 * np.sum(hs[-1] ** 2), hs[-1]
    for t in reversed(range(len(x))):
        dz = (1 - hs[t + 1] ** 2) * dh
        dW += np.outer(dz, x[t])
        dU += np.outer(dz, hs[t])
        dh = U.T @ dz
    return loss, hs[-1]
'''

_CELL = """
import numpy as np


class Net:
    def __init__(self, input_size, hidden_size=64):
        self.W = np.random.randn(hidden_size, input_size) / 1000
        self.U = np.zeros((hidden_size, hidden_size))
{more}
    def forward(self, inputs):
        self.xs, self.hs = inputs, [np.zeros(len(self.U))]
        for x in inputs:
            self.hs.append(np.tanh(self.W @ x + self.U @ self.hs[-1]))
        return {returned}

    def backward(self, d_out{arguments}):
        dW, dU, dh = np.zeros_like(self.W), np.zeros_like(self.U), d_out
        for t in reversed(range(len(self.xs))):
            dz = (1 - self.hs[t + 1] ** 2) * dh
            dW += np.outer(dz, self.xs[t])
            dU += np.outer(dz, self.hs[t])
            dh = self.U.T @ dz
        {end}
"""

UPDATING = _CELL.format(
    more="",
    returned="self.hs[-1]",
    arguments=", learn_rate=2e-2",
    end="self.W -= learn_rate * dW\n        self.U = self.U - learn_rate * dU",
)
RETURNING = _CELL.format(
    more="\n    def get_params(self):\n        return self.U, self.W\n",
    returned="self.hs[-1], self.hs",
    arguments=", cache",
    end="return dh, (dU, dW)",
)
ATTRIBUTES = _CELL.format(
    more="        self.grad_W, self.grad_U = np.zeros_like(self.W), np.zeros_like(self.U)\n",
    returned="self.hs[-1]",
    arguments="",
    end="self.grad_W += dW\n        self.grad_U += dU",
)
CONTAINERS = _CELL.format(
    more="        self.params, self.grads = [self.W, self.U], [0, 0]\n",
    returned="self.hs[-1]",
    arguments="",
    end="self.grads = [dW, dU]",
)
OPTIMIZED = _CELL.format(
    more="\n    def initialize(self, optimizer):\n        self.optimizer = optimizer\n",
    returned="self.hs[-1]",
    arguments="",
    end="self.W = self.optimizer.update(self.W, dW)\n        self.U = self.optimizer.update(self.U, dU)",
)

VJP = """
import numpy as np


def rnn_step_forward(x, prev_h, Wx, Wh, b):
    h = np.tanh(x @ Wx + prev_h @ Wh + b)
    return h, (x, prev_h, Wx, Wh, h)


def rnn_step_backward(dh, cache):
    x, prev_h, Wx, Wh, h = cache
    dz = dh * (1 - h * h)
    return dz @ Wx.T, dz @ Wh.T, x.T @ dz, prev_h.T @ dz, dz.sum(axis=0)
"""

PAIR = """
import numpy as np


def init_rnn(hidden_size, vocab_size):
    W = np.random.randn(hidden_size, vocab_size)
    U = np.random.randn(hidden_size, hidden_size)
    V = np.random.randn(vocab_size, hidden_size)
    return W, U, V


def forward(inputs, h_prev, p):
    W, U, V = p
    h_s, output_s = [h_prev], []
    for x in inputs:
        h_s.append(np.tanh(W @ x + U @ h_s[-1]))
        e = np.exp(V @ h_s[-1])
        output_s.append(e / e.sum())
    return h_s, output_s


def backward(inputs, h, outputs, targets, p):
    W, U, V = p
    W_d, U_d, V_d, loss, dh = np.zeros_like(W), np.zeros_like(U), np.zeros_like(V), 0, 0
    for t in reversed(range(len(outputs))):
        loss += -np.sum(np.log(outputs[t]) * targets[t])
        dv = outputs[t] - targets[t]
        V_d += dv @ h[t + 1].T
        dz = (1 - h[t + 1] ** 2) * (V.T @ dv + dh)
        W_d += dz @ inputs[t].T
        U_d += dz @ h[t].T
        dh = U.T @ dz
    grads = W_d, U_d, V_d
    return loss, grads
"""

WITH_A_GAP = '''
import numpy as np


class Weights:
    def __init__(self, n_hidden, x_dim):
        self.w = np.zeros((n_hidden, x_dim))
        self.u = np.zeros((n_hidden, n_hidden))
        self.w_diff = np.zeros((n_hidden, x_dim))
        self.u_diff = np.zeros((n_hidden, n_hidden))


class Network:
    def __init__(self, weights, listener):
        self.weights = weights

    def y_list_is(self, y_list, loss_layer):
        """Nobody can guess a loss layer."""
        return loss_layer.loss(self.weights.w)
'''

#: a class whose labels are as many as its outputs, and fewer than its inputs
CLASSIFIER = """
import numpy as np


class Classifier:
    def __init__(self, n_in, n_hidden, n_out, seed=0):
        r = np.random.RandomState(seed)
        self.theta = {"W": r.randn(n_hidden, n_in), "V": r.randn(n_out, n_hidden), "c": np.zeros(n_out)}

    def forward(self, seq):
        self.h = np.tanh(sum(self.theta["W"] @ x.ravel() for x in seq))
        e = np.exp(self.theta["V"] @ self.h + self.theta["c"])
        self.p = e / e.sum()

    def cost(self, seq, label):
        self.forward(seq)
        return -np.log(self.p[label])

    def backward(self, seq, label):
        self.forward(seq)
        d = self.p.copy()
        d[label] -= 1
        da = (self.theta["V"].T @ d) * (1 - self.h**2)
        return {"V": np.outer(d, self.h), "c": d, "W": sum(np.outer(da, x.ravel()) for x in seq)}
"""

MODULE = """
import torch


class Net(torch.nn.Module):
    def __init__(self, D, H):
        super().__init__()
        self.W = torch.nn.Parameter(torch.randn(D, H))

    def forward(self, xs):
        return torch.tanh(xs @ self.W), None
"""

RULE = """
import jax
import jax.numpy as jnp


@jax.custom_vjp
def gate(a, b):
    return jax.nn.sigmoid(a) * jnp.tanh(b)


gate.defvjp(lambda a, b: (gate(a, b), (a, b)), lambda residuals, dy: residuals)
"""

KERNEL = """
import ctypes
import pathlib

lib = ctypes.CDLL(str(pathlib.Path(__file__).with_name("libkernel.so")))
lib.fwd.argtypes = [ctypes.c_int]


def forward(a, U):
    h = a.copy()
    lib.fwd(len(a), a, U, h)
    return h, (U, h)


def backward(dh, cache):
    return dh, cache[0]
"""

#: what can only be drafted with gaps, and the adapter that takes it
WITH_GAPS = {
    "rule": (
        RULE.replace("    return jax", "    assert a.ndim == 5\n    return jax"),
        "Target.from_vjp(code.gate, inputs=inputs)",
    ),
    "kernel": (KERNEL, "Target.from_vjp(code.forward, code.backward, inputs)"),
    "module": (MODULE.replace("(self, D, H)", "(self, D, H, gain)"), "Target.from_module(net, loss)"),
}

#: drawn from a generator that is handed in; the outputs are the states, of every step and example
FOLLOWING = """
import numpy as np


class Follower:
    def __init__(self, n_in, n_hidden, rng):
        self.W = rng.standard_normal((n_hidden, n_in))
        self.U = rng.standard_normal((n_hidden, n_hidden))

    def forward(self, xs):
        self.xs, self.hs = xs, [np.zeros((xs.shape[1], len(self.U)))]
        for x in xs:
            self.hs.append(np.tanh(x @ self.W.T + self.hs[-1] @ self.U.T))
        return np.array(self.hs[1:])

    def loss(self, xs, ys):
        if ys.shape != (*xs.shape[:2], len(self.U)):
            raise ValueError("one target for each state")
        return 0.5 * np.sum((self.forward(xs) - ys) ** 2)

    def backward(self, xs, ys):
        dhs, dh = self.forward(xs) - ys, 0.0
        dW, dU = np.zeros_like(self.W), np.zeros_like(self.U)
        for t in reversed(range(len(xs))):
            da = (dhs[t] + dh) * (1 - self.hs[t + 1] ** 2)
            dW += da.T @ xs[t]
            dU += da.T @ self.hs[t]
            dh = da @ self.U
        return {"W": dW, "U": dU}
"""

ALL = {
    "following": (FOLLOWING, "from_call"),
    "script": (SCRIPT, "from_call"),
    "globals": (GLOBALS, "from_object"),
    "updating": (UPDATING, "from_update"),
    "returning": (RETURNING, "from_call"),
    "attributes": (ATTRIBUTES, "from_object"),
    "containers": (CONTAINERS, "from_call"),
    "optimized": (OPTIMIZED, "from_update"),
    "vjp": (VJP, "from_vjp"),
    "pair": (PAIR, "from_call"),
    "classifier": (CLASSIFIER, "from_call"),
}
