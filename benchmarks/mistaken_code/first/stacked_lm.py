"""
A two layer RNN language model assembled from small layer objects.

    ids (N, T) -> Embedding -> SimpleRNN -> SimpleRNN -> Affine -> softmax loss

Every layer owns `params` and `grads` (dicts with the same keys).
"""
import numpy as np
import gradcheck


class Embedding:
    def __init__(self, vocab, dim, rng):
        self.params = {"W": rng.standard_normal((vocab, dim))}
        self.grads = {"W": np.zeros((vocab, dim))}
        self.ids = None

    def forward(self, ids):
        self.ids = ids
        return self.params["W"][ids]

    def backward(self, dout):
        dW = self.grads["W"]
        dW[...] = 0
        dW[self.ids] += dout


class SimpleRNN:
    def __init__(self, n_in, n_hidden, rng):
        self.params = {
            "Wx": rng.standard_normal((n_in, n_hidden)) / np.sqrt(n_in),
            "Wh": rng.standard_normal((n_hidden, n_hidden)) / np.sqrt(n_hidden),
            "b": 0.1 * rng.standard_normal(n_hidden),
        }
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def forward(self, xs):
        N, T, _ = xs.shape
        H = self.params["Wh"].shape[0]
        self.xs = xs
        self.hs = np.zeros((N, T + 1, H))      # hs[:, 0] is the start state
        for t in range(T):
            a = xs[:, t] @ self.params["Wx"] + self.hs[:, t] @ self.params["Wh"]
            self.hs[:, t + 1] = np.tanh(a + self.params["b"])
        return self.hs[:, 1:]

    def backward(self, dhs):
        N, T, _ = dhs.shape
        Wx, Wh = self.params["Wx"], self.params["Wh"]
        dxs = np.zeros_like(self.xs)
        dh = np.zeros((N, Wh.shape[0]))
        for t in reversed(range(T)):
            da = (dhs[:, t] + dh) * (1 - self.hs[:, t + 1] ** 2)
            self.grads["Wx"] = self.xs[:, t].T @ da
            self.grads["Wh"] = self.hs[:, t].T @ da
            self.grads["b"] = da.sum(axis=0)
            dxs[:, t] = da @ Wx.T
            dh = da @ Wh.T
        return dxs


class Affine:
    def __init__(self, n_in, n_out, rng):
        self.params = {"W": rng.standard_normal((n_in, n_out)),
                       "b": 0.1 * rng.standard_normal(n_out)}
        self.grads = {k: np.zeros_like(v) for k, v in self.params.items()}

    def forward(self, x):
        self.x = x
        return x @ self.params["W"] + self.params["b"]

    def backward(self, dout):
        N, T, _ = dout.shape
        x2 = self.x.reshape(N * T, -1)
        d2 = dout.reshape(N * T, -1)
        self.grads["W"] = x2.T @ d2 / (N * T)
        self.grads["b"] = d2.mean(axis=0)
        return dout @ self.params["W"].T


class SoftmaxLoss:
    """Mean cross entropy over all the tokens of the batch."""

    def forward(self, scores, targets):
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        self.p = e / e.sum(axis=-1, keepdims=True)
        self.targets = targets
        N, T = targets.shape
        n, t = np.ogrid[:N, :T]
        return float(-np.log(self.p[n, t, targets]).mean())

    def backward(self):
        N, T = self.targets.shape
        n, t = np.ogrid[:N, :T]
        d = self.p.copy()
        d[n, t, self.targets] -= 1
        return d / (N * T)


class LanguageModel:
    def __init__(self, vocab, dim, hidden, rng):
        self.embed = Embedding(vocab, dim, rng)
        self.rnns = [SimpleRNN(dim, hidden, rng), SimpleRNN(hidden, hidden, rng)]
        self.affine = Affine(hidden, vocab, rng)
        self.loss_layer = SoftmaxLoss()
        self.named = [("embed", self.embed), ("rnn1", self.rnns[0]),
                      ("rnn2", self.rnns[1]), ("affine", self.affine)]

    def parameters(self):
        return {f"{n}.{k}": v for n, layer in self.named for k, v in layer.params.items()}

    def forward(self, ids, targets):
        out = self.embed.forward(ids)
        for rnn in self.rnns:
            out = rnn.forward(out)
        return self.loss_layer.forward(self.affine.forward(out), targets)

    def backward(self):
        dout = self.affine.backward(self.loss_layer.backward())
        for rnn in reversed(self.rnns):
            dx = rnn.backward(dout)
        self.embed.backward(dx)
        return {f"{n}.{k}": layer.grads[k].copy() for n, layer in self.named for k in layer.grads}


def assemble(rng, T, B, D, H):
    vocab = D + 2
    model = LanguageModel(vocab, D, H, rng)
    text = rng.integers(0, vocab, size=(B, T + 1))
    ids, targets = text[:, :-1], text[:, 1:]

    def grads():
        model.forward(ids, targets)
        return model.backward()

    return model.parameters(), lambda: model.forward(ids, targets), grads


def make(rng):
    return assemble(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def stacked_lm(rng, *, T=4, B=2, D=3, H=4):
    return gradcheck.Target(*assemble(rng, T=T, B=B, D=D, H=H))


FAULTS = [('embedding gradient with fancy-index += loses repeated tokens (np.add.at needed)',
  [25],
  [('dW[self.ids] += dout', 'np.add.at(dW, self.ids, dout)')]),
 ('parameter gradients are overwritten at every time step in place of being summed',
  [54, 55, 56],
  [('        dh = np.zeros',
    '        for k in self.grads:\n'
    '            self.grads[k] = np.zeros_like(self.params[k])\n'
    '        dh = np.zeros'),
   ('self.grads["Wx"] = self.xs', 'self.grads["Wx"] += self.xs'),
   ('self.grads["Wh"] = self.hs', 'self.grads["Wh"] += self.hs'),
   ('self.grads["b"] = da.sum', 'self.grads["b"] += da.sum')]),
 ('affine gradients are averaged again although the loss gradient is already divided by N*T',
  [76, 77],
  [('self.grads["W"] = x2.T @ d2 / (N * T)\n', 'self.grads["W"] = x2.T @ d2\n'),
   ('self.grads["b"] = d2.mean(axis=0)\n', 'self.grads["b"] = d2.sum(axis=0)\n')]),
 ('the gradient w.r.t. the input of the second RNN is not handed to the first, both get the top gradient',
  [120, 121],
  [('            dx = rnn.backward(dout)\n        self.embed.backward(dx)',
    '            dout = rnn.backward(dout)\n        self.embed.backward(dout)')])]
