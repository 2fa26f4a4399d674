"""
Minimal character-level vanilla RNN language model in plain NumPy.

The data is a handful of short "sentences" (lists of character indices); the
net is trained to predict the next character of each of them.
"""
import numpy as np

import gradcheck


class CharRNN(object):

    def __init__(self, vocab_size, hidden_size, rng):
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        # model parameters
        self.Wxh = rng.standard_normal((hidden_size, vocab_size)) * 0.7  # input to hidden
        self.Whh = rng.standard_normal((hidden_size, hidden_size)) * 0.7  # hidden to hidden
        self.Why = rng.standard_normal((vocab_size, hidden_size)) * 0.7  # hidden to output
        self.bh = rng.standard_normal((hidden_size, 1)) * 0.1
        self.by = rng.standard_normal((vocab_size, 1)) * 0.1

    def params(self):
        return dict(Wxh=self.Wxh, Whh=self.Whh, Why=self.Why, bh=self.bh, by=self.by)

    def forward(self, inputs, targets, hprev):
        """Run over one sentence, everything is kept in dicts keyed by t."""
        xs, hs, ys, ps = {}, {}, {}, {}
        hs[-1] = np.copy(hprev)
        loss = 0.0
        for t in range(len(inputs)):
            xs[t] = np.zeros((self.vocab_size, 1))  # encode in 1-of-k representation
            xs[t][inputs[t]] = 1
            hs[t] = np.tanh(np.dot(self.Wxh, xs[t]) + np.dot(self.Whh, hs[t - 1]) + self.bh)
            ys[t] = np.dot(self.Why, hs[t]) + self.by  # unnormalized log probabilities
            e = np.exp(ys[t] - np.max(ys[t]))
            ps[t] = e / np.sum(e)
            loss += -np.log(ps[t][targets[t], 0])  # softmax (cross-entropy loss)
        return loss, xs, hs, ps

    def lossFun(self, inputs, targets, hprev):
        """
        inputs, targets are both lists of integers.
        hprev is an Hx1 array with the initial hidden state.
        returns the loss and the gradients on the model parameters
        """
        loss, xs, hs, ps = self.forward(inputs, targets, hprev)

        dWxh, dWhh, dWhy = np.zeros_like(self.Wxh), np.zeros_like(self.Whh), np.zeros_like(self.Why)
        dbh, dby = np.zeros_like(self.bh), np.zeros_like(self.by)
        for t in reversed(range(len(inputs))):
            dy = np.copy(ps[t])
            dy[targets[t]] -= 1  # backprop into y
            dWhy += np.dot(dy, hs[t].T)
            dby += dy
            dh = np.dot(self.Why.T, dy)
            dhraw = (1 - hs[t] * hs[t]) * dh  # backprop through tanh nonlinearity
            dbh += dhraw
            dWxh += np.dot(dhraw, xs[t].T)
            dWhh += np.dot(dhraw, hs[t].T)
        for dparam in [dWxh, dWhh, dWhy, dbh, dby]:
            np.clip(dparam, -1, 1, out=dparam)  # mitigate exploding gradients
        return loss, dict(Wxh=dWxh, Whh=dWhh, Why=dWhy, bh=dbh, by=dby)


def batch_loss(model, sentences):
    h0 = np.zeros((model.hidden_size, 1))
    total = 0.0
    for s in sentences:
        total += model.forward(s[:-1], s[1:], h0)[0]
    return float(total)


def batch_grads(model, sentences):
    h0 = np.zeros((model.hidden_size, 1))
    total = {k: np.zeros_like(v) for k, v in model.params().items()}
    for s in sentences:
        _, g = model.lossFun(s[:-1], s[1:], h0)
        for k in total:
            total[k] += g[k]
    return total


def build(rng, T, B, D, H):
    model = CharRNN(D, H, rng)
    sentences = [[int(c) for c in rng.integers(0, D, size=T + 1)] for _ in range(B)]
    return (model.params(),
            lambda: batch_loss(model, sentences),
            lambda: batch_grads(model, sentences))


def make(rng):
    return build(rng, T=4, B=2, D=3, H=4)


@gradcheck.target
def charrnn(rng, *, T=4, B=2, D=3, H=4):
    params, loss, grads = build(rng, T=T, B=B, D=D, H=H)
    return gradcheck.Target(params, loss, grads)


FAULTS = [('the gradient from the next time step (dhnext = Whh.T dhraw) is never carried back',
  [57, 58],
  [('        for t in reversed', '        dhnext = np.zeros_like(hs[0])\n        for t in reversed'),
   ('np.dot(self.Why.T, dy)', 'np.dot(self.Why.T, dy) + dhnext'),
   ('            dbh += dhraw\n',
    '            dhnext = np.dot(self.Whh.T, dhraw)\n            dbh += dhraw\n')]),
 ('dWhh uses the current hidden state hs[t], should be hs[t-1]',
  [61],
  [('np.dot(dhraw, hs[t].T)', 'np.dot(dhraw, hs[t - 1].T)')]),
 ('gradients are clipped to [-1, 1] before they are returned',
  [62, 63],
  [('        for dparam in [dWxh, dWhh, dWhy, dbh, dby]:\n'
    '            np.clip(dparam, -1, 1, out=dparam)  # mitigate exploding gradients\n'
    '        return loss, dict(Wxh=dWxh',
    '        return loss, dict(Wxh=dWxh')])]
