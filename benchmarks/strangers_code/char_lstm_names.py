"""
Character-level LSTM from scratch, numpy only. Trained on a list of (dinosaur) names.

Every gate has its own weight matrix, z = [h_prev; x] like in the Coursera notation:
    f = sigmoid(Wf z + bf)      i = sigmoid(Wi z + bi)      g = tanh(Wg z + bg)      o = sigmoid(Wo z + bo)
    c = f * c_prev + i * g      h = o * tanh(c)             p = softmax(Wy h + by)
One name at a time, column vectors. The loss of a name is the mean cross entropy per character.
"""
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


def softmax(x):
    e_x = np.exp(x - np.max(x))
    return e_x / np.sum(e_x)


class CharLSTM(object):

    def __init__(self, vocab_size, emb_size, hidden_size, rng):
        self.vocab_size = vocab_size
        self.emb_size = emb_size
        self.hidden_size = hidden_size
        z_size = hidden_size + emb_size
        std = 0.8 / np.sqrt(z_size)

        self.params = {}
        self.params["emb"] = rng.normal(0, 0.7, (vocab_size, emb_size))
        for gate in ["f", "i", "g", "o"]:
            self.params["W" + gate] = rng.normal(0, 1, (hidden_size, z_size)) * std * 1.5
            self.params["b" + gate] = rng.normal(0, 0.1, (hidden_size, 1))
        self.params["bf"] += 1.0  # remember by default
        self.params["Wy"] = rng.normal(0, 0.8, (vocab_size, hidden_size))
        self.params["by"] = np.zeros((vocab_size, 1))
        # learned initial state
        self.params["h0"] = rng.normal(0, 0.3, (hidden_size, 1))
        self.params["c0"] = rng.normal(0, 0.3, (hidden_size, 1))
        self.grads = {}
        self.reset_grads()

    def reset_grads(self):
        for key in self.params:
            self.grads[key] = np.zeros_like(self.params[key])

    def forward_step(self, x, h_prev, c_prev):
        p = self.params
        z = np.vstack((h_prev, x))
        f = sigmoid(np.dot(p["Wf"], z) + p["bf"])
        i = sigmoid(np.dot(p["Wi"], z) + p["bi"])
        g = np.tanh(np.dot(p["Wg"], z) + p["bg"])
        o = sigmoid(np.dot(p["Wo"], z) + p["bo"])
        c = f * c_prev + i * g
        h = o * np.tanh(c)
        probs = softmax(np.dot(p["Wy"], h) + p["by"])
        return z, f, i, g, o, c, h, probs

    def forward(self, inputs, targets):
        """inputs, targets: lists of character indices. Returns the loss and fills the caches."""
        T = len(inputs)
        self.z, self.f, self.i, self.g, self.o, self.probs = [], [], [], [], [], []
        self.h = [None] * (T + 1)
        self.c = [None] * (T + 1)
        self.h[-1] = self.params["h0"]  # h[-1] is the last element of the list, nobody else uses it
        self.c[-1] = self.params["c0"]
        loss = 0.0
        for t in range(T):
            x = self.params["emb"][inputs[t]].reshape(-1, 1)
            z, f, i, g, o, self.c[t], self.h[t], probs = self.forward_step(x, self.h[t - 1], self.c[t - 1])
            self.z.append(z)
            self.f.append(f)
            self.i.append(i)
            self.g.append(g)
            self.o.append(o)
            self.probs.append(probs)
            loss += -np.log(probs[targets[t], 0])
        return loss / T

    def backward(self, inputs, targets):
        T = len(inputs)
        p, grads = self.params, self.grads
        H = self.hidden_size
        dh_next = np.zeros((H, 1))
        dc_next = np.zeros((H, 1))
        for t in reversed(range(T)):
            # softmax + cross entropy
            dy = np.copy(self.probs[t])
            dy[targets[t]] -= 1
            dy = dy / T
            grads["Wy"] += np.dot(dy, self.h[t].T)
            grads["by"] += dy
            dh = np.dot(p["Wy"].T, dy) + dh_next

            # output gate and cell
            tanh_c = np.tanh(self.c[t])
            do = dh * tanh_c
            do_in = do * self.o[t] * (1 - self.o[t])
            dc = dc_next + dh * self.o[t] * (1 - tanh_c ** 2)

            # the other gates
            dg = dc * self.i[t]
            dg_in = dg * (1 - self.g[t] ** 2)
            di = dc * self.g[t]
            di_in = di * self.i[t] * (1 - self.i[t])
            df = dc * self.c[t - 1]
            df_in = df * self.f[t] * (1 - self.f[t])

            for gate, d_in in zip("fgio", (df_in, dg_in, di_in, do_in)):
                grads["W" + gate] += np.dot(d_in, self.z[t].T)
                grads["b" + gate] += d_in

            dz = np.dot(p["Wf"].T, df_in)
            dz += np.dot(p["Wi"].T, di_in)
            dz += np.dot(p["Wg"].T, dg_in)
            dz += np.dot(p["Wo"].T, do_in)
            dh_next = dz[:H, :]
            dc_next = dc * self.f[t]
            grads["emb"][inputs[t]] += dz[H:, 0]
        grads["h0"] += dh_next
        grads["c0"] += dc_next


def total_loss(model, names):
    return sum(model.forward(name[:-1], name[1:]) for name in names) / len(names)


def total_grads(model, names):
    model.reset_grads()
    for name in names:
        model.forward(name[:-1], name[1:])
        model.backward(name[:-1], name[1:])
    return {key: g / len(names) for key, g in model.grads.items()}


def make(Target, rng, T=5, N=2, V=4, E=2, H=3):
    model = CharLSTM(V, E, H, rng)
    names = [[int(ch) for ch in rng.integers(0, V, T + 1 - (n % 2))] for n in range(N)]
    return Target(model.params, lambda: float(total_loss(model, names)), lambda: total_grads(model, names))


BUGS = {
    "cell-cotangent-of-next-step-lost": ("dc = dc_next + dh * self.o[t] * (1 - tanh_c ** 2)", "dc = dh * self.o[t] * (1 - tanh_c ** 2)"),
    "output-gate-without-tanh": ("            do = dh * tanh_c", "            do = dh * self.c[t]"),
    "forget-gate-sees-new-cell": ("df = dc * self.c[t - 1]", "df = dc * self.c[t]"),
    "embedding-row-overwritten": ('grads["emb"][inputs[t]] += dz[H:, 0]', 'grads["emb"][inputs[t]] = dz[H:, 0]'),
    "input-gate-path-left-out": ('            dz += np.dot(p["Wi"].T, di_in)', "            pass"),
    "gate-names-in-another-order": ('zip("fgio", (df_in, dg_in, di_in, do_in))', 'zip("figo", (df_in, dg_in, di_in, do_in))'),
    "mean-over-characters-forgotten": ("            dy = dy / T", "            dy = dy / 1"),
    "candidate-squashed-twice": ("dg_in = dg * (1 - self.g[t] ** 2)", "dg_in = dg * (1 - np.tanh(self.g[t]) ** 2)"),
}

PAIRS = [("output-gate-without-tanh", "input-gate-path-left-out"), ("forget-gate-sees-new-cell", "mean-over-characters-forgotten"),
         ("candidate-squashed-twice", "embedding-row-overwritten")]
