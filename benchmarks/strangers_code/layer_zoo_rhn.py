'''layerzoo -- my own mini framework.  A layer remembers what it was fed on a stack (self.memo), backward pops it.
Recurrent highway network with weights of the transform gate shared over the depth, layer norm, dropout.'''
import numpy as np


def logistic(v):
    return 1. / (1. + np.exp(-v))


class Layer(object):
    names = ()

    def __init__(self):
        self.memo = []

    def zero_grad(self):
        self.memo = []
        for n in self.names:
            setattr(self, 'd' + n, np.zeros_like(getattr(self, n)))

    def __call__(self, *a):
        return self.forward(*a)


class Linear(Layer):
    names = ('W', 'b')

    def __init__(self, n_in, n_out, rng, scale=0.8):
        Layer.__init__(self)
        self.W = rng.normal(0, scale, (n_in, n_out))
        self.b = rng.normal(0, 0.3, n_out)

    def forward(self, x):
        self.memo.append(x)
        return x.dot(self.W) + self.b

    def backward(self, dy):
        x = self.memo.pop()
        self.dW += x.T.dot(dy)
        self.db += dy.sum(axis=0)
        return dy.dot(self.W.T)


class Tanh(Layer):
    def forward(self, x):
        y = np.tanh(x)
        self.memo.append(y)
        return y

    def backward(self, dy):
        y = self.memo.pop()
        return dy * (1. - y * y)


class Sigmoid(Layer):
    def forward(self, x):
        self.memo.append(x)
        return logistic(x)

    def backward(self, dy):
        x = self.memo.pop(-1)
        return dy * logistic(x) * (1. - logistic(x))


class Dropout(Layer):
    """Mask is drawn once for the whole sequence (variational)."""

    def __init__(self, shape, keep, rng):
        Layer.__init__(self)
        self.keep = keep
        self.mask = (rng.random(shape) < keep).astype(float)
        self.mask.flat[0] = 1.
        self.mask.flat[-1] = 1.

    def forward(self, x):
        return x * self.mask / self.keep

    def backward(self, dy):
        return dy * self.mask / self.keep


class LayerNorm(Layer):
    names = ('gain', 'shift')

    def __init__(self, n, rng, eps=1e-3):
        Layer.__init__(self)
        self.gain = 1. + rng.normal(0, 0.3, n)
        self.shift = rng.normal(0, 0.3, n)
        self.eps = eps

    def forward(self, x):
        mu = x.mean(1)[:, None]
        sd = np.sqrt(((x - mu) ** 2).mean(1) + self.eps)[:, None]
        xn = (x - mu) / sd
        self.memo.append((xn, sd))
        return xn * self.gain + self.shift

    def backward(self, dy):
        xn, sd = self.memo.pop()
        n = xn.shape[1]
        self.dgain += (dy * xn).sum(axis=0)
        self.dshift += dy.sum(axis=0)
        g = dy * self.gain
        return (n * g - g.sum(1)[:, None] - xn * (g * xn).sum(1)[:, None]) / (n * sd)


class HighwayCell(Layer):
    def __init__(self, n_in, n, depth, rng):
        Layer.__init__(self)
        self.depth = depth
        self.xh, self.xt = Linear(n_in, n, rng), Linear(n_in, n, rng)
        self.rh = [Linear(n, n, rng) for _ in range(depth)]
        self.rt = Linear(n, n, rng)         # one for all depths
        self.tanh, self.sigm = Tanh(), Sigmoid()

    def children(self):
        return [self.xh, self.xt, self.rt, self.tanh, self.sigm] + self.rh

    def forward(self, x, s):
        for d in range(self.depth):
            a, b = self.rh[d](s), self.rt(s)
            if d == 0:
                a = a + self.xh(x)
                b = b + self.xt(x)
            h, t = self.tanh(a), self.sigm(b)
            self.memo.append((s, h, t))
            s = h * t + s * (1. - t)
        return s

    def backward(self, ds):
        for d in reversed(range(self.depth)):
            s, h, t = self.memo.pop()
            da = self.tanh.backward(ds * t)
            db = self.sigm.backward(ds * (h - s))
            ds = ds * (1. - t) + self.rh[d].backward(da) + self.rt.backward(db)
            if d == 0:
                dx = self.xh.backward(da) + self.xt.backward(db)
        return dx, ds


class Net(object):
    def __init__(self, B, n_in, n, depth, rng):
        self.inp = Linear(n_in, n, rng)
        self.drop = Dropout((B, n), 0.6, rng)
        self.cell = HighwayCell(n, n, depth, rng)
        self.norm = LayerNorm(n, rng)
        self.head = Linear(n, 2, rng)
        self.s0 = rng.normal(0, 0.7, (B, n))
        named = [('inp', self.inp), ('xh', self.cell.xh), ('xt', self.cell.xt), ('rt', self.cell.rt), ('norm', self.norm), ('head', self.head)]
        self.named = named + [('rh%d' % k, l) for k, l in enumerate(self.cell.rh)]

    def params(self):
        return {'%s.%s' % (k, n): getattr(l, n) for k, l in self.named for n in l.names}

    def forward(self, xs, ys):
        for l in [self.inp, self.drop, self.cell, self.norm, self.head] + self.cell.children():
            l.zero_grad()
        s, total, self.dlogit = self.s0, 0., []
        for x, y in zip(xs, ys):
            s = self.cell(self.drop(self.inp(x)), s)
            q = self.head(self.norm(s))
            # logistic loss with labels 0/1
            total += (np.log1p(np.exp(q)) - y * q).mean()
            self.dlogit.append((logistic(q) - y) / q.size)
        return float(total)

    def backward(self):
        carry = np.zeros_like(self.s0)
        for t in range(len(self.dlogit))[::-1]:
            ds = self.norm.backward(self.head.backward(self.dlogit[t])) + carry
            dx, carry = self.cell.backward(ds)
            self.inp.backward(self.drop.backward(dx))
        return {'%s.%s' % (k, n): getattr(l, 'd' + n) for k, l in self.named for n in l.names}


def make(Target, rng, T=3, B=3, D=2, H=4, L=2):
    if H < 2:
        raise ValueError('layer norm of one unit is constant')
    net = Net(B, D, H, L, rng)
    xs, ys = rng.normal(size=(T, B, D)), rng.integers(0, 2, (T, B, 2))

    def g():
        net.forward(xs, ys)
        return net.backward()

    return Target(net.params(), lambda: net.forward(xs, ys), g)


BUGS = {
    "shared-weight-assigned": ("self.dW += x.T.dot(dy)", "self.dW = x.T.dot(dy)"),
    "first-in-first-out": ("x = self.memo.pop()", "x = self.memo.pop(0)"),
    "dropout-scale-backward": ("return dy * self.mask / self.keep", "return dy * self.mask"),
    "layer-norm-count": ("return (n * g - g.sum(1)[:, None] - xn", "return (g - g.sum(1)[:, None] - xn"),
    "depth-walked-forwards": ("for d in reversed(range(self.depth)):", "for d in range(self.depth):"),
    "carry-gate-wrong-variable": ("ds = ds * (1. - t) + self.rh[d]", "ds = ds * (1. - h) + self.rh[d]"),
    "sigmoid-of-stored-preactivation": ("return dy * logistic(x) * (1. - logistic(x))", "return dy * x * (1. - x)"),
    "input-through-one-gate-only": ("dx = self.xh.backward(da) + self.xt.backward(db)", "dx = self.xh.backward(da); self.xt.backward(db)"),
}

PAIRS = [("dropout-scale-backward", "carry-gate-wrong-variable"), ("layer-norm-count", "input-through-one-gate-only")]
