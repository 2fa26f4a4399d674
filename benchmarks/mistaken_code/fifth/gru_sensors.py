"""
GRU for the course project (week 9): predict the next sensor reading.

Everything is written by hand, no autograd allowed :-)
    z = sigmoid(x Wz + h Uz + bz)          update gate
    r = sigmoid(x Wr + h Ur + br)          reset gate
    g = tanh(x Wg + (r * h) Ug + bg)       candidate
    h_new = z * h + (1 - z) * g
    y = h_new Wy + by
Loss is the mean squared error over everything.
"""
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class GRU:
    NAMES = ["Wz", "Uz", "bz", "Wr", "Ur", "br", "Wg", "Ug", "bg", "Wy", "by"]

    def __init__(self, n_in, n_hid, n_out, rng):
        self.n_hid = n_hid
        for gate in "zrg":
            setattr(self, "W" + gate, rng.normal(0, 0.8, (n_in, n_hid)))
            setattr(self, "U" + gate, rng.normal(0, 0.8, (n_hid, n_hid)))
            setattr(self, "b" + gate, rng.normal(0, 0.3, n_hid))
        self.Wy = rng.normal(0, 0.8, (n_hid, n_out))
        self.by = rng.normal(0, 0.3, n_out)
        self.zero_grad()

    def zero_grad(self):
        for name in self.NAMES:
            setattr(self, "d" + name, np.zeros_like(getattr(self, name)))

    def forward(self, x):
        """x has shape (T, batch, n_in); returns the predictions (T, batch, n_out)"""
        self.x = x
        self.T, self.batch = x.shape[0], x.shape[1]
        # h[t] is the state BEFORE step t, h[t+1] the state after it
        self.h = np.zeros((self.T + 1, self.batch, self.n_hid))
        self.z, self.r, self.g, self.y = [], [], [], []
        for t in range(self.T):
            h = self.h[t]
            z = sigmoid(x[t] @ self.Wz + h @ self.Uz + self.bz)
            r = sigmoid(x[t] @ self.Wr + h @ self.Ur + self.br)
            g = np.tanh(x[t] @ self.Wg + (r * h) @ self.Ug + self.bg)
            self.h[t + 1] = z * h + (1 - z) * g
            self.z.append(z)
            self.r.append(r)
            self.g.append(g)
            self.y.append(self.h[t + 1] @ self.Wy + self.by)
        return np.stack(self.y)

    def loss(self, target):
        self.diff = np.stack(self.y) - target
        return np.mean(self.diff ** 2)

    def backward(self):
        dy_all = 2 * self.diff / self.diff.size
        dh_next = np.zeros((self.batch, self.n_hid))
        for t in reversed(range(self.T)):
            x, h = self.x[t], self.h[t]
            z, r, g = self.z[t], self.r[t], self.g[t]

            # output layer
            dy = dy_all[t]
            self.dWy += self.h[t + 1].T @ dy
            self.dby += dy.sum(axis=0)

            # new state
            dh = dy @ self.Wy.T + dh_next
            dz = dh * (h - g)
            dg = dh * (1 - z)
            dh_prev = dh * z

            # candidate
            dg_raw = dg * (1 - g ** 2)
            self.dWg += x.T @ dg_raw
            self.dUg += (r * h).T @ dg_raw
            self.dbg += dg_raw.sum(axis=0)
            drh = dg_raw @ self.Ug.T
            dr = drh * h
            dh_prev += drh * r

            # reset gate
            dr_raw = dr * r * (1 - r)
            self.dWr += x.T @ dr_raw
            self.dUr += h.T @ dr_raw
            self.dbr += dr_raw.sum(axis=0)
            dh_prev += dr_raw @ self.Ur.T

            # update gate
            dz_raw = dz * z * (1 - z)
            self.dWz += x.T @ dz_raw
            self.dUz += h.T @ dz_raw
            self.dbz += dz_raw.sum(axis=0)
            dh_prev += dz_raw @ self.Uz.T

            dh_next = dh_prev


def make(rng):
    net = GRU(n_in=2, n_hid=3, n_out=2, rng=rng)
    x = rng.normal(size=(5, 3, 2))
    target = rng.normal(size=(5, 3, 2))

    def loss():
        net.forward(x)
        return float(net.loss(target))

    def grads():
        net.zero_grad()
        net.forward(x)
        net.loss(target)
        net.backward()
        return {name: getattr(net, "d" + name) for name in net.NAMES}

    return {name: getattr(net, name) for name in net.NAMES}, loss, grads


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


PAIRS = [[('sign of the update gate', [73], [('dz = dh * (g - h)', 'dz = dh * (h - g)')]),
  ('mean for sum', [90], [('self.dbr += dr_raw.mean(axis=0)', 'self.dbr += dr_raw.sum(axis=0)')])],
 [('tanh derivative for a sigmoid', [87], [('dr_raw = dr * (1 - r ** 2)', 'dr_raw = dr * r * (1 - r)')]),
  ('= for +=', [95], [('self.dWz = x.T @ dz_raw', 'self.dWz += x.T @ dz_raw')])]]
