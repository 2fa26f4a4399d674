"""
Gated recurrent unit for time-series forecasting.

Every gate has one weight matrix acting on the concatenation [h, x]; columns
are samples, i.e. x[t] is (D, B) and h is (H, B).  At each time step a linear
read-out predicts the D values of the next observation.
"""
import numpy as np
import gradcheck


def sigma(v):
    return 1 / (1 + np.exp(-v))


def dsigma(v):
    return sigma(v) * (1 - sigma(v))


class GRU:
    def __init__(self, n_in, n_hidden, n_out, rng):
        self.n_in, self.n_hidden, self.n_out = n_in, n_hidden, n_out
        k = 1.0 / np.sqrt(n_in + n_hidden)
        self.Wz = k * rng.standard_normal((n_hidden, n_hidden + n_in))
        self.Wr = k * rng.standard_normal((n_hidden, n_hidden + n_in)) * 2
        self.Wc = k * rng.standard_normal((n_hidden, n_hidden + n_in)) * 2
        self.bz = 0.3 * rng.standard_normal((n_hidden, 1))
        self.br = 0.3 * rng.standard_normal((n_hidden, 1))
        self.bc = 0.3 * rng.standard_normal((n_hidden, 1))
        self.Wy = rng.standard_normal((n_out, n_hidden))
        self.by = 0.3 * rng.standard_normal((n_out, 1))
        self.names = ['Wz', 'Wr', 'Wc', 'bz', 'br', 'bc', 'Wy', 'by']

    def forward(self, X):
        """X: (T, D, B).  Returns predictions (T, D, B)."""
        T, _, B = X.shape
        self.h = {-1: np.zeros((self.n_hidden, B))}
        self.z, self.r, self.c = {}, {}, {}
        self.hx, self.rhx = {}, {}
        Y = np.zeros((T, self.n_out, B))
        for t in range(T):
            h_prev = self.h[t - 1]
            self.hx[t] = np.vstack((h_prev, X[t]))
            self.z[t] = sigma(self.Wz @ self.hx[t] + self.bz)
            self.r[t] = sigma(self.Wr @ self.hx[t] + self.br)
            self.rhx[t] = np.vstack((self.r[t] * h_prev, X[t]))
            self.c[t] = np.tanh(self.Wc @ self.rhx[t] + self.bc)
            self.h[t] = (1 - self.z[t]) * h_prev + self.z[t] * self.c[t]
            Y[t] = self.Wy @ self.h[t] + self.by
        return Y

    def cost(self, X, target):
        T, _, B = X.shape
        Y = self.forward(X)
        return float(0.5 * np.sum((Y - target) ** 2) / (T * B))

    def bptt(self, X, target):
        T, _, B = X.shape
        n = self.n_hidden
        Y = self.forward(X)
        g = {name: np.zeros_like(getattr(self, name)) for name in self.names}
        dh_next = np.zeros((n, B))

        for t in range(T)[::-1]:
            h_prev, z, r, c = self.h[t - 1], self.z[t], self.r[t], self.c[t]

            dy = (Y[t] - target[t]) / B
            g['Wy'] += dy @ self.h[t].T
            g['by'] += dy.sum(axis=1, keepdims=True)
            dh = self.Wy.T @ dy + dh_next

            # candidate
            dc = dh * z * (1 - c ** 2)
            g['Wc'] += dc @ self.rhx[t].T
            g['bc'] += dc.sum(axis=1, keepdims=True)
            drh = (self.Wc.T @ dc)[:n]

            # update gate
            dz = dh * (c - h_prev) * dsigma(z)
            g['Wz'] += dz @ self.hx[t].T
            g['bz'] += dz.sum(axis=1, keepdims=True)

            # reset gate
            dr = drh * h_prev * dsigma(r)
            g['Wr'] += dr @ self.hx[t].T
            g['br'] += dr.sum(axis=1, keepdims=True)

            dh_next = dh * (1 - z)
            dh_next += (self.Wz.T @ dz)[:n]
            dh_next += (self.Wr.T @ dr)[:n]

        return g


def build_problem(rng, T, B, D, H):
    net = GRU(D, H, D, rng)
    series = rng.standard_normal((T + 1, D, B))
    X, target = series[:-1], series[1:]
    params = {name: getattr(net, name) for name in net.names}
    return params, lambda: net.cost(X, target), lambda: net.bptt(X, target)


def make(rng):
    return build_problem(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def gru_concat(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = build_problem(rng, T, B, D, H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('sigmoid derivative helper applies sigma again to values which are already activated',
  [16, 17, 79, 84],
  [('def dsigma(v):\n    return sigma(v) * (1 - sigma(v))\n', 'def dsigma(s):\n    return s * (1 - s)\n')]),
 ('loss is divided by T*B, the gradient by B only',
  [67],
  [('dy = (Y[t] - target[t]) / B', 'dy = (Y[t] - target[t]) / (T * B)')]),
 ('the path from the candidate through r*h_prev to h_prev (drh * r) is missing',
  [76, 88, 89, 90],
  [('            dh_next += (self.Wz', '            dh_next += drh * r\n            dh_next += (self.Wz')])]
