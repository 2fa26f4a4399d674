"""LSTM for sequence regression (many-to-one), pure NumPy, batch first.

Input X is (N, T, D), padded on the right; mask (N, T) says which steps are real.
"""
import numpy as np

HUBER_DELTA = 1.0
GATES = ("i", "f", "o", "g")


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class Adam:
    def __init__(self, params, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8):
        self.params, self.lr, self.beta1, self.beta2, self.eps = params, lr, beta1, beta2, eps
        self.m = {k: np.zeros_like(v) for k, v in params.items()}
        self.v = {k: np.zeros_like(v) for k, v in params.items()}
        self.t = 0

    def step(self, grads):
        self.t += 1
        for k in self.params:
            self.m[k] = self.beta1 * self.m[k] + (1 - self.beta1) * grads[k]
            self.v[k] = self.beta2 * self.v[k] + (1 - self.beta2) * grads[k] ** 2
            m_hat = self.m[k] / (1 - self.beta1 ** self.t)
            v_hat = self.v[k] / (1 - self.beta2 ** self.t)
            self.params[k] -= self.lr * m_hat / (np.sqrt(v_hat) + self.eps)


class LSTM:
    def __init__(self, input_dim, hidden_dim, output_dim, rng):
        self.hidden_dim = hidden_dim
        self.params = {}
        for k in GATES:
            self.params["W" + k] = rng.normal(size=(input_dim, hidden_dim)) * 0.8
            self.params["U" + k] = rng.normal(size=(hidden_dim, hidden_dim)) * 0.6
            self.params["b" + k] = rng.normal(size=hidden_dim) * 0.3
        self.params["W1"] = rng.normal(size=(hidden_dim, hidden_dim))
        self.params["b1"] = rng.normal(size=hidden_dim) * 0.3
        self.params["W2"] = rng.normal(size=(hidden_dim, output_dim))
        self.params["b2"] = rng.normal(size=output_dim) * 0.3
        self.zero_grad()

    def zero_grad(self):
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def step_forward(self, x, h_prev, c_prev, m):
        p = self.params
        i = sigmoid(x @ p["Wi"] + h_prev @ p["Ui"] + p["bi"])
        f = sigmoid(x @ p["Wf"] + h_prev @ p["Uf"] + p["bf"])
        o = sigmoid(x @ p["Wo"] + h_prev @ p["Uo"] + p["bo"])
        g = np.tanh(x @ p["Wg"] + h_prev @ p["Ug"] + p["bg"])
        c_new = f * c_prev + i * g
        tc = np.tanh(c_new)
        # a padded step keeps the old state
        h = m * (o * tc) + (1 - m) * h_prev
        c = m * c_new + (1 - m) * c_prev
        self.caches.append((x, h_prev, c_prev, m, i, f, o, g, c_new, tc))
        return h, c

    def forward(self, X, mask):
        N, T, _ = X.shape
        self.caches = []
        h = np.zeros((N, self.hidden_dim))
        c = np.zeros((N, self.hidden_dim))
        for t in range(T):
            h, c = self.step_forward(X[:, t, :], h, c, mask[:, t:t + 1])
        self.h_last = h
        self.z1 = np.tanh(h @ self.params["W1"] + self.params["b1"])
        return self.z1 @ self.params["W2"] + self.params["b2"]

    def step_backward(self, dh_next, dc_next, cache):
        x, h_prev, c_prev, m, i, f, o, g, c_new, tc = cache
        dh = m * dh_next
        dc = m * dc_next
        do = dh * tc
        dc = dc + dh * o * (1 - tc ** 2)
        di = dc * g
        df = dc * c_prev
        dg = dc * i
        da = {
            "i": di * i * (1 - i),
            "f": df * f * (1 - f),
            "o": do * o * (1 - o),
            "g": dg * (1 - g ** 2),
        }
        dh_prev = (1 - m) * dh_next
        dc_prev = dc * f + (1 - m) * dc_next
        for k in GATES:
            self.grads["W" + k] += x.T @ da[k]
            self.grads["U" + k] += h_prev.T @ da[k]
            self.grads["b" + k] += da[k].sum(axis=0)
            dh_prev = dh_prev + da[k] @ self.params["U" + k].T
        return dh_prev, dc_prev

    def backward(self, dout):
        self.grads["W2"] += self.z1.T @ dout
        self.grads["b2"] += dout.sum(axis=0)
        dz1 = (dout @ self.params["W2"].T) * (1 - self.z1 ** 2)
        self.grads["W1"] += self.h_last.T @ dz1
        self.grads["b1"] += dz1.sum(axis=0)
        dh = dz1 @ self.params["W1"].T
        dc = np.zeros_like(dh)
        for cache in reversed(self.caches):
            dh, dc = self.step_backward(dh, dc, cache)
        return self.grads


def pseudo_huber(pred, y):
    r = (pred - y) / HUBER_DELTA
    return float(HUBER_DELTA ** 2 * np.sum(np.sqrt(1 + r ** 2) - 1) / y.shape[0])


def pseudo_huber_grad(pred, y):
    r = (pred - y) / HUBER_DELTA
    return HUBER_DELTA * r / np.sqrt(1 + r ** 2) / y.shape[0]


def make(Target, rng, N=3, T=5, D=3, H=4, O=2):
    model = LSTM(D, H, O, rng)
    X = rng.normal(size=(N, T, D))
    y = rng.normal(size=(N, O))
    lengths = rng.integers(1, T + 1, size=N)
    lengths[0] = T
    lengths[-1] = (T + 1) // 2
    mask = (np.arange(T)[None, :] < lengths[:, None]).astype(float)

    def loss():
        return pseudo_huber(model.forward(X, mask), y)

    def grads():
        model.zero_grad()
        pred = model.forward(X, mask)
        model.backward(pseudo_huber_grad(pred, y))
        return {k: v.copy() for k, v in model.grads.items()}

    return Target(model.params, loss, grads)


BUGS = {
    "padding-mask-left-out-of-dh": ("dh = m * dh_next", "dh = dh_next"),
    "padded-carry-of-dh-forgotten": ("dh_prev = (1 - m) * dh_next", "dh_prev = np.zeros_like(dh_next)"),
    "dc-without-output-gate": ("dc = dc + dh * o * (1 - tc ** 2)", "dc = dc + dh * (1 - tc ** 2)"),
    "forget-gate-times-new-cell": ("df = dc * c_prev", "df = dc * c_new"),
    "candidate-gets-sigmoid-slope": ("\"g\": dg * (1 - g ** 2),", "\"g\": dg * g * (1 - g),"),
    "recurrent-weights-assigned": ("self.grads[\"U\" + k] += h_prev.T @ da[k]", "self.grads[\"U\" + k] = h_prev.T @ da[k]"),
    "dh-prev-u-not-transposed": ("dh_prev = dh_prev + da[k] @ self.params[\"U\" + k].T", "dh_prev = dh_prev + da[k] @ self.params[\"U\" + k]"),
    "loss-grad-not-over-batch": ("return HUBER_DELTA * r / np.sqrt(1 + r ** 2) / y.shape[0]", "return HUBER_DELTA * r / np.sqrt(1 + r ** 2)"),
}
PAIRS = [
    ("padding-mask-left-out-of-dh", "padded-carry-of-dh-forgotten"),
    ("dc-without-output-gate", "forget-gate-times-new-cell"),
    ("recurrent-weights-assigned", "dh-prev-u-not-transposed"),
    ("candidate-gets-sigmoid-slope", "dh-prev-u-not-transposed"),
    ("forget-gate-times-new-cell", "recurrent-weights-assigned"),
    ("loss-grad-not-over-batch", "candidate-gets-sigmoid-slope"),
]
