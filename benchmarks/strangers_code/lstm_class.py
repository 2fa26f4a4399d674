import numpy as np

GATES = "fiog"


def sigm(v):
    return 1 / (1 + np.exp(-v))


class LSTM(object):
    """Many-to-many LSTM regressor, column convention (features x batch).

    Parameters live in self.W<gate>, self.b<gate>; their gradients in
    self.dW<gate>, self.db<gate>.
    """

    def __init__(self, n_x, n_h, n_y, rng):
        self.n_x, self.n_h, self.n_y = n_x, n_h, n_y
        for k in GATES:
            setattr(self, "W" + k, rng.normal(0, 0.5, (n_h, n_h + n_x)))
            setattr(self, "b" + k, rng.normal(0, 0.2, (n_h, 1)))
        self.bf += 1.0
        self.Wy = rng.normal(0, 0.7, (n_y, n_h))
        self.by = rng.normal(0, 0.1, (n_y, 1))
        self.names = ["W" + k for k in GATES] + ["b" + k for k in GATES] + ["Wy", "by"]
        self.zero_grad()

    def zero_grad(self):
        for name in self.names:
            setattr(self, "d" + name, np.zeros_like(getattr(self, name)))

    def forward(self, xs):
        batch = xs[0].shape[1]
        self.z, self.a, self.tc, self.y = {}, {}, {}, {}
        self.h = {-1: np.zeros((self.n_h, batch))}
        self.c = {-1: np.zeros((self.n_h, batch))}
        for t, x in enumerate(xs):
            self.z[t] = np.vstack((self.h[t - 1], x))
            self.a[t] = {}
            for k in GATES:
                pre = getattr(self, "W" + k).dot(self.z[t]) + getattr(self, "b" + k)
                self.a[t][k] = np.tanh(pre) if k == "g" else sigm(pre)
            act = self.a[t]
            self.c[t] = act["f"] * self.c[t - 1] + act["i"] * act["g"]
            self.tc[t] = np.tanh(self.c[t])
            self.h[t] = act["o"] * self.tc[t]
            self.y[t] = self.Wy.dot(self.h[t]) + self.by
        return [self.y[t] for t in range(len(xs))]

    def loss(self, xs, targets):
        ys = self.forward(xs)
        err = 0.0
        for y, target in zip(ys, targets):
            err += 0.5 * np.sum((y - target) ** 2)
        return err / xs[0].shape[1]

    def backward_step(self, t, dy, dh_next, dc_next):
        act = self.a[t]
        self.dWy += dy.dot(self.h[t].T)
        self.dby += dy.sum(axis=1, keepdims=True)

        dh = self.Wy.T.dot(dy) + dh_next
        dc = dc_next + dh * act["o"] * (1 - self.tc[t] ** 2)

        d = {}
        d["o"] = dh * self.tc[t]
        d["f"] = dc * self.c[t - 1]
        d["i"] = dc * act["g"]
        d["g"] = dc * act["i"]

        dz = np.zeros_like(self.z[t])
        for k in GATES:
            if k == "g":
                dpre = d[k] * (1 - act[k] ** 2)
            else:
                dpre = d[k] * act[k] * (1 - act[k])
            setattr(self, "dW" + k, getattr(self, "dW" + k) + dpre.dot(self.z[t].T))
            setattr(self, "db" + k, getattr(self, "db" + k) + dpre.sum(axis=1, keepdims=True))
            dz += getattr(self, "W" + k).T.dot(dpre)
        return dz[:self.n_h], dc * act["f"]

    def backward(self, xs, targets):
        self.zero_grad()
        ys = self.forward(xs)
        batch = xs[0].shape[1]
        dh = np.zeros((self.n_h, batch))
        dc = np.zeros((self.n_h, batch))
        for t in range(len(xs) - 1, -1, -1):
            dy = (ys[t] - targets[t]) / batch
            dh, dc = self.backward_step(t, dy, dh, dc)
        return {name: getattr(self, "d" + name) for name in self.names}


def make(Target, rng, steps=4, batch=3, n_x=4, n_h=4, n_y=2):
    net = LSTM(n_x, n_h, n_y, rng)
    xs = [rng.normal(size=(n_x, batch)) for _ in range(steps)]
    targets = [rng.normal(size=(n_y, batch)) for _ in range(steps)]
    params = {name: getattr(net, name) for name in net.names}
    return Target(params, lambda: float(net.loss(xs, targets)), lambda: net.backward(xs, targets))


BUGS = {
    "cell-carry-lost": ('dc = dc_next + dh * act["o"] * (1 - self.tc[t] ** 2)', 'dc = dh * act["o"] * (1 - self.tc[t] ** 2)'),
    "forget-gate-current-cell": ('d["f"] = dc * self.c[t - 1]', 'd["f"] = dc * self.c[t]'),
    "candidate-wrong-gate": ('d["g"] = dc * act["i"]', 'd["g"] = dc * act["f"]'),
    "output-gate-without-tanh": ('d["o"] = dh * self.tc[t]', 'd["o"] = dh * self.c[t]'),
    "tanh-test-wrong-letter": ('if k == "g":', 'if k == "c":'),
    "bias-not-accumulated": ('setattr(self, "db" + k, getattr(self, "db" + k) + dpre.sum(axis=1, keepdims=True))', 'setattr(self, "db" + k, dpre.sum(axis=1, keepdims=True))'),
    "wrong-half-of-dz": ("return dz[:self.n_h], dc", "return dz[-self.n_h:], dc"),
    "loop-misses-first-step": ("range(len(xs) - 1, -1, -1)", "range(len(xs) - 1, 0, -1)"),
}
PAIRS = [("cell-carry-lost", "bias-not-accumulated"), ("candidate-wrong-gate", "wrong-half-of-dz")]
