"""
Recurrent controller whose previous *output* is fed back next to its hidden
state (Elman + Jordan connections):

    a_t = W x_t + U h_{t-1} + F y_{t-1} + b
    h_t = softsign(a_t)
    y_t = V h_t + c          y_{-1} = 0,  h_{-1} = h0 is trained

Trained by gradient descent on the squared tracking error, sample by sample.
"""
import numpy as np
import gradcheck


def softsign(a):
    return a / (1.0 + np.abs(a))


def softsign_prime(a):
    return 1.0 / (1.0 + np.abs(a)) ** 2


class Controller:
    def __init__(self, n_x, n_h, n_y, rng):
        self.W = rng.uniform(-1, 1, size=(n_h, n_x))
        self.U = rng.uniform(-1, 1, size=(n_h, n_h))
        self.F = rng.uniform(-1, 1, size=(n_h, n_y))
        self.V = rng.uniform(-1, 1, size=(n_y, n_h))
        self.b = rng.uniform(-0.5, 0.5, size=n_h)
        self.c = rng.uniform(-0.5, 0.5, size=n_y)
        self.h0 = rng.uniform(-0.5, 0.5, size=n_h)

    @property
    def params(self):
        return {'W': self.W, 'U': self.U, 'F': self.F, 'V': self.V,
                'b': self.b, 'c': self.c, 'h0': self.h0}

    def run(self, x):
        """x: (T, n_x).  Fills in self.a, self.h, self.y (index t+1 holds step t)."""
        T = len(x)
        self.a = np.zeros((T, len(self.b)))
        self.h = np.zeros((T + 1, len(self.b)))
        self.y = np.zeros((T + 1, len(self.c)))
        self.h[0] = self.h0
        for t in range(T):
            self.a[t] = (np.dot(self.W, x[t]) + np.dot(self.U, self.h[t])
                         + np.dot(self.F, self.y[t]) + self.b)
            self.h[t + 1] = softsign(self.a[t])
            self.y[t + 1] = np.dot(self.V, self.h[t + 1]) + self.c
        return self.y[1:]

    def error(self, x, target):
        return 0.5 * np.sum((self.run(x) - target) ** 2)

    def backprop(self, x, target):
        y = self.run(x)
        T = len(x)
        dW, dU, dF = np.zeros_like(self.W), np.zeros_like(self.U), np.zeros_like(self.F)
        dV = np.zeros_like(self.V)
        db, dc = np.zeros_like(self.b), np.zeros_like(self.c)
        dh_future = np.zeros_like(self.h0)

        for t in range(T):
            dy = y[t] - target[t]
            dV += np.outer(dy, self.h[t + 1])
            dc += dy
            dh = np.dot(self.V.T, dy) + dh_future
            da = dh * softsign_prime(self.h[t + 1])
            dW += np.outer(da, x[t])
            dU += np.outer(da, self.h[t])
            dF += np.outer(da, self.y[t])
            db += da
            dh_future = np.dot(self.U.T, da)

        return {'W': dW, 'U': dU, 'F': dF, 'V': dV, 'b': db, 'c': dc}


class Trainer:
    """Collects the episodes; loss and gradient are averages over episodes."""

    def __init__(self, net, episodes):
        self.net = net
        self.episodes = episodes

    def loss(self):
        return float(sum(self.net.error(x, y) for x, y in self.episodes) / len(self.episodes))

    def grads(self):
        total = {k: np.zeros_like(v) for k, v in self.net.params.items()}
        for x, y in self.episodes:
            for k, g in self.net.backprop(x, y).items():
                total[k] += g / len(self.episodes)
        return total


def new_trainer(rng, T, B, D, H):
    n_y = 2
    net = Controller(D, H, n_y, rng)
    episodes = [(rng.standard_normal((T, D)), rng.standard_normal((T, n_y))) for _ in range(B)]
    return Trainer(net, episodes)


def make(rng):
    tr = new_trainer(rng, T=4, B=2, D=3, H=4)
    return tr.net.params, tr.loss, tr.grads


@gradcheck.target
def output_feedback(rng, *, T=4, B=2, D=3, H=4):
    tr = new_trainer(rng, T=T, B=B, D=D, H=H)
    return gradcheck.Target(tr.net.params, tr.loss, tr.grads)


FAULTS = [('back-propagation through time runs forwards in time',
  [63],
  [('        for t in range(T):\n            dy =',
    '        for t in reversed(range(T)):\n            dy =')]),
 ('the gradient through the fed-back output (F.T da of the next step) is missing in dy',
  [64, 67, 71, 73],
  [('        dh_future = np.zeros_like(self.h0)\n',
    '        dh_future = np.zeros_like(self.h0)\n        dy_future = np.zeros_like(self.c)\n'),
   ('dy = y[t] - target[t]', 'dy = y[t] - target[t] + dy_future'),
   ('            dh_future = np.dot(self.U.T, da)\n',
    '            dh_future = np.dot(self.U.T, da)\n            dy_future = np.dot(self.F.T, da)\n')]),
 ('softsign derivative evaluated at the activation h, should be at the pre-activation a',
  [68],
  [('softsign_prime(self.h[t + 1])', 'softsign_prime(self.a[t])')]),
 ('the gradient of the trained initial state h0 is dropped',
  [55, 61, 73, 74, 75, 89, 92],
  [("        return {'W': dW, 'U': dU, 'F': dF, 'V': dV, 'b': db, 'c': dc}",
    '        dh0 = dh_future\n'
    "        return {'W': dW, 'U': dU, 'F': dF, 'V': dV, 'b': db, 'c': dc, 'h0': dh0}")])]
