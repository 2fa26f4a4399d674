# Understanding LSTMs by writing one from scratch (part 2: the code)
#
# I started from the well known min-char-rnn gist and replaced the vanilla cell by an LSTM.
# Everything is a column vector. No autograd, no magic, just numpy and the chain rule!
import numpy as np


def sigmoid(v):
    return 1. / (1. + np.exp(-v))


def dsigmoid(s):
    # NOTE: s is already sigmoid(v)
    return s * (1. - s)


def dtanh(a):
    # NOTE: a is already tanh(v)
    return 1. - a * a


def one_hot(ix, size):
    v = np.zeros((size, 1))
    v[ix] = 1
    return v


class LSTMLanguageModel:
    """ vocab_size: number of different words, emb_dim: size of the word vectors,
        hidden: number of LSTM units """

    def __init__(self, vocab_size, emb_dim, hidden, rng, weight_sd=0.7):
        self.vocab_size = vocab_size
        self.emb_dim = emb_dim
        self.hidden = hidden
        z_size = hidden + emb_dim  # we stack [h_prev; embedding]
        self.params = {}
        self.params['Wemb'] = rng.standard_normal((emb_dim, vocab_size))
        for name in ['Wf', 'Wi', 'WC', 'Wo']:
            self.params[name] = rng.standard_normal((hidden, z_size)) * weight_sd
            self.params[name.replace('W', 'b')] = rng.standard_normal((hidden, 1)) * 0.3
        self.params['bf'] += 0.5  # everybody says that the forget bias should start positive
        self.params['Wv'] = rng.standard_normal((vocab_size, hidden)) * 1.2
        self.params['bv'] = rng.standard_normal((vocab_size, 1)) * 0.3

    def forward(self, inputs, targets, h_start, C_start):
        P = self.params
        self.xs, self.es, self.zs = {}, {}, {}
        self.fs, self.ins, self.Cbars, self.os = {}, {}, {}, {}
        self.hs, self.Cs, self.ys, self.probs = {}, {}, {}, {}
        self.hs[-1] = np.copy(h_start)
        self.Cs[-1] = np.copy(C_start)
        loss = 0
        for t in range(len(inputs)):
            self.xs[t] = one_hot(inputs[t], self.vocab_size)
            self.es[t] = np.dot(P['Wemb'], self.xs[t])
            self.zs[t] = np.vstack((self.hs[t - 1], self.es[t]))
            # the three gates and the candidate
            self.fs[t] = sigmoid(np.dot(P['Wf'], self.zs[t]) + P['bf'])
            self.ins[t] = sigmoid(np.dot(P['Wi'], self.zs[t]) + P['bi'])
            self.Cbars[t] = np.tanh(np.dot(P['WC'], self.zs[t]) + P['bC'])
            self.os[t] = sigmoid(np.dot(P['Wo'], self.zs[t]) + P['bo'])
            # new cell state, new hidden state
            self.Cs[t] = self.fs[t] * self.Cs[t - 1] + self.ins[t] * self.Cbars[t]
            self.hs[t] = self.os[t] * np.tanh(self.Cs[t])
            # softmax over the vocabulary
            self.ys[t] = np.dot(P['Wv'], self.hs[t]) + P['bv']
            expy = np.exp(self.ys[t] - np.max(self.ys[t]))
            self.probs[t] = expy / np.sum(expy)
            loss += -np.log(self.probs[t][targets[t], 0])
        return loss / len(inputs)

    def backward(self, targets):
        P = self.params
        T = len(targets)
        grads = {}
        for name in P:
            grads[name] = np.zeros_like(P[name])
        dh_next = np.zeros_like(self.hs[0])
        dC_next = np.zeros_like(self.Cs[0])

        for t in reversed(range(T)):
            # cross entropy + softmax: probability minus one at the right word
            dy = np.copy(self.probs[t])
            dy[targets[t]] -= 1
            dy = dy / T
            grads['Wv'] += np.dot(dy, self.hs[t].T)
            grads['bv'] += dy

            dh = np.dot(P['Wv'].T, dy) + dh_next
            tanhC = np.tanh(self.Cs[t])

            do = dsigmoid(self.os[t]) * (dh * tanhC)
            dC = dh * self.os[t] * dtanh(tanhC) + dC_next
            dCbar = dtanh(self.Cbars[t]) * (dC * self.ins[t])
            di = dsigmoid(self.ins[t]) * (dC * self.Cbars[t])
            df = dsigmoid(self.fs[t]) * (dC * self.Cs[t - 1])

            for name, d in [('f', df), ('i', di), ('C', dCbar), ('o', do)]:
                grads['W' + name] += np.dot(d, self.zs[t].T)
                grads['b' + name] += d

            # z feeds four places, so its gradient is a sum of four things
            dz = (np.dot(P['Wf'].T, df)
                  + np.dot(P['Wi'].T, di)
                  + np.dot(P['WC'].T, dCbar)
                  + np.dot(P['Wo'].T, do))
            dh_next = dz[:self.hidden, :]
            de = dz[self.hidden:, :]
            dC_next = self.fs[t] * dC
            grads['Wemb'] += np.dot(de, self.xs[t].T)
        return grads

    def sample(self, h, C, ix, n, rng):
        P = self.params
        out = []
        for _ in range(n):
            z = np.vstack((h, P['Wemb'][:, [ix]]))
            C = sigmoid(P['Wf'] @ z + P['bf']) * C + sigmoid(P['Wi'] @ z + P['bi']) * np.tanh(P['WC'] @ z + P['bC'])
            h = sigmoid(P['Wo'] @ z + P['bo']) * np.tanh(C)
            y = P['Wv'] @ h + P['bv']
            p = np.exp(y - y.max())
            ix = rng.choice(self.vocab_size, p=(p / p.sum()).ravel())
            out.append(ix)
        return out


def make(Target, rng, vocab_size=5, emb_dim=3, hidden=4, seq_len=6):
    model = LSTMLanguageModel(vocab_size, emb_dim, hidden, rng)
    text = rng.integers(0, vocab_size, size=seq_len + 1)
    inputs, targets = list(text[:-1]), list(text[1:])
    # state left over from the previous chunk of text
    h_start = np.tanh(rng.standard_normal((hidden, 1)))
    C_start = rng.standard_normal((hidden, 1))

    def loss():
        return float(model.forward(inputs, targets, h_start, C_start))

    def grads():
        model.forward(inputs, targets, h_start, C_start)
        return model.backward(targets)

    return Target(model.params, loss, grads)


BUGS = {
    "softmax-grad-not-averaged": ("dy = dy / T", "dy = dy / 1"),
    "cell-carry-by-input-gate": ("dC_next = self.fs[t] * dC", "dC_next = self.ins[t] * dC"),
    "cell-carry-not-added": ("dC = dh * self.os[t] * dtanh(tanhC) + dC_next", "dC = dh * self.os[t] * dtanh(tanhC)"),
    "output-gate-raw-cell": ("do = dsigmoid(self.os[t]) * (dh * tanhC)", "do = dsigmoid(self.os[t]) * (dh * self.Cs[t])"),
    "candidate-tanh-twice": ("dCbar = dtanh(self.Cbars[t]) * (dC * self.ins[t])", "dCbar = dtanh(np.tanh(self.Cbars[t])) * (dC * self.ins[t])"),
    "forget-gate-time-index": ("df = dsigmoid(self.fs[t]) * (dC * self.Cs[t - 1])", "df = dsigmoid(self.fs[t]) * (dC * self.Cs[t])"),
    "wrong-weight-copy-paste": ("+ np.dot(P['Wi'].T, di)", "+ np.dot(P['Wf'].T, di)"),
    "embedding-grad-assigned": ("grads['Wemb'] += np.dot(de, self.xs[t].T)", "grads['Wemb'] = np.dot(de, self.xs[t].T)"),
}
PAIRS = [
    ("softmax-grad-not-averaged", "embedding-grad-assigned"),
    ("cell-carry-by-input-gate", "forget-gate-time-index"),
    ("cell-carry-not-added", "wrong-weight-copy-paste"),
    ("candidate-tanh-twice", "output-gate-raw-cell"),
    ("wrong-weight-copy-paste", "embedding-grad-assigned"),
    ("cell-carry-by-input-gate", "candidate-tanh-twice"),
]
