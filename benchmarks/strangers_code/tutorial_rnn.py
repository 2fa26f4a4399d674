"""Part 3 of the tutorial: a word level RNN and Backpropagation Through Time."""
import numpy as np


def softmax(x):
    xt = np.exp(x - np.max(x))
    return xt / np.sum(xt)


class RNNNumpy:

    def __init__(self, word_dim, hidden_dim, rng, bptt_truncate=1000):
        # Assign instance variables
        self.word_dim = word_dim
        self.hidden_dim = hidden_dim
        self.bptt_truncate = bptt_truncate
        # Randomly initialize the network parameters
        self.U = rng.uniform(-1, 1, (hidden_dim, word_dim))
        self.V = rng.uniform(-1, 1, (word_dim, hidden_dim))
        self.W = rng.uniform(-1, 1, (hidden_dim, hidden_dim)) * 0.8
        self.b = rng.uniform(-0.3, 0.3, hidden_dim)
        self.c = rng.uniform(-0.3, 0.3, word_dim)

    def forward_propagation(self, x):
        # The total number of time steps
        T = len(x)
        # We save all hidden states because we need them later.
        # The last row is the initial hidden state, which is 0, so s[-1] works.
        s = np.zeros((T + 1, self.hidden_dim))
        o = np.zeros((T, self.word_dim))
        for t in np.arange(T):
            # Indexing U by x[t] is the same as multiplying with a one-hot vector.
            s[t] = np.tanh(self.U[:, x[t]] + self.W.dot(s[t - 1]) + self.b)
            o[t] = softmax(self.V.dot(s[t]) + self.c)
        return [o, s]

    def calculate_total_loss(self, x, y):
        L = 0
        # For each sentence...
        for i in np.arange(len(y)):
            o, s = self.forward_propagation(x[i])
            # We only care about our prediction of the "correct" words
            correct_word_predictions = o[np.arange(len(y[i])), y[i]]
            L += -1 * np.sum(np.log(correct_word_predictions))
        return L

    def calculate_loss(self, x, y):
        # Divide the total loss by the number of training examples (words)
        N = sum(len(y_i) for y_i in y)
        return self.calculate_total_loss(x, y) / N

    def bptt(self, x, y):
        T = len(y)
        # Perform forward propagation
        o, s = self.forward_propagation(x)
        # We accumulate the gradients in these variables
        dLdU = np.zeros(self.U.shape)
        dLdV = np.zeros(self.V.shape)
        dLdW = np.zeros(self.W.shape)
        dLdb = np.zeros(self.b.shape)
        dLdc = np.zeros(self.c.shape)
        delta_o = o
        delta_o[np.arange(len(y)), y] -= 1.
        # For each output backwards...
        for t in np.arange(T)[::-1]:
            dLdV += np.outer(delta_o[t], s[t])
            dLdc += delta_o[t]
            # Initial delta calculation
            delta_t = self.V.T.dot(delta_o[t]) * (1 - (s[t] ** 2))
            # Backpropagation through time (for at most self.bptt_truncate steps)
            for bptt_step in np.arange(max(0, t - self.bptt_truncate), t + 1)[::-1]:
                dLdW += np.outer(delta_t, s[bptt_step - 1])
                dLdU[:, x[bptt_step]] += delta_t
                dLdb += delta_t
                # Update delta for next step
                delta_t = self.W.T.dot(delta_t) * (1 - s[bptt_step - 1] ** 2)
        return [dLdU, dLdV, dLdW, dLdb, dLdc]

    def total_gradient(self, x, y):
        N = sum(len(y_i) for y_i in y)
        total = [np.zeros_like(p) for p in (self.U, self.V, self.W, self.b, self.c)]
        for i in np.arange(len(y)):
            for g, g_i in zip(total, self.bptt(x[i], y[i])):
                g += g_i
        return [g / N for g in total]


def make(Target, rng, n_sentences=3, length=5, hidden=4, vocab=7):
    model = RNNNumpy(vocab, hidden, rng)
    X_train, y_train = [], []
    for i in range(n_sentences):
        sent = rng.integers(0, vocab, length + 1 - i % 2)
        X_train.append(sent[:-1])
        y_train.append(sent[1:])
    params = {"U": model.U, "V": model.V, "W": model.W, "b": model.b, "c": model.c}

    def loss():
        return float(model.calculate_loss(X_train, y_train))

    def grads():
        return dict(zip(["U", "V", "W", "b", "c"], model.total_gradient(X_train, y_train)))

    return Target(params, loss, grads)


BUGS = {
    "W-not-transposed": ("self.W.T.dot(delta_t)", "self.W.dot(delta_t)"),
    "derivative-of-wrong-state": ("(1 - s[bptt_step - 1] ** 2)", "(1 - s[bptt_step] ** 2)"),
    "dW-off-by-one": ("np.outer(delta_t, s[bptt_step - 1])", "np.outer(delta_t, s[bptt_step])"),
    "inner-loop-stops-early": ("np.arange(max(0, t - self.bptt_truncate), t + 1)[::-1]", "np.arange(max(1, t - self.bptt_truncate), t + 1)[::-1]"),
    "dU-outer-word": ("dLdU[:, x[bptt_step]] += delta_t", "dLdU[:, x[t]] += delta_t"),
    "no-division-by-N": ("return [g / N for g in total]", "return [g for g in total]"),
    "tanh-derivative-no-square": ("(1 - (s[t] ** 2))", "(1 - s[t])"),
    "dV-overwritten": ("dLdV += np.outer(delta_o[t], s[t])", "dLdV = np.outer(delta_o[t], s[t])"),
}
PAIRS = [("W-not-transposed", "dV-overwritten"), ("dU-outer-word", "tanh-derivative-no-square")]
