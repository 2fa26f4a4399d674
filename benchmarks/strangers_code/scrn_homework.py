# Assignment 3: structurally constrained recurrent network (Mikolov et al., 2015) for characters
#   slow state   s[t] = (1 - alpha) * (B x[t]) + alpha * s[t-1]          alpha is learned: alpha = sigmoid(beta)
#   hidden       h[t] = sigmoid(P s[t] + A x[t] + R h[t-1])
#   output       p[t] = softmax(U h[t] + V s[t] + c),   loss = average of -log p[t][next char]
import numpy as np


def sigmoid(x):
    return 1.0 / (1.0 + np.exp(-x))


class SCRN:
    def __init__(self, rng, vocab_size, hidden_size, context_size):
        self.vocab_size = vocab_size
        shapes = {
            "E": (vocab_size, 3),               # character vectors
            "A": (hidden_size, 3), "B": (context_size, 3),
            "P": (hidden_size, context_size), "R": (hidden_size, hidden_size),
            "U": (vocab_size, hidden_size), "V": (vocab_size, context_size), "c": (vocab_size,),
            "beta": (context_size,), "h_init": (hidden_size,), "s_init": (context_size,),
        }
        self.params = {name: rng.normal(0, 0.8, shape) for name, shape in shapes.items()}
        self.h, self.s, self.x, self.p, self.bx = {}, {}, {}, {}, {}

    def forward(self, chars):
        w = self.params
        alpha = sigmoid(w["beta"])
        self.h, self.s, self.x, self.p, self.bx = {}, {}, {}, {}, {}
        self.h[-1] = w["h_init"]
        self.s[-1] = w["s_init"]
        loss = 0.0
        n = len(chars) - 1
        for t in range(n):
            self.x[t] = w["E"][chars[t]]
            self.bx[t] = w["B"].dot(self.x[t])
            self.s[t] = (1 - alpha) * self.bx[t] + alpha * self.s[t - 1]
            self.h[t] = sigmoid(w["P"].dot(self.s[t]) + w["A"].dot(self.x[t]) + w["R"].dot(self.h[t - 1]))
            scores = w["U"].dot(self.h[t]) + w["V"].dot(self.s[t]) + w["c"]
            scores = np.exp(scores - np.max(scores))
            self.p[t] = scores / np.sum(scores)
            loss += -np.log(self.p[t][chars[t + 1]])
        return loss / n

    def backward(self, chars):
        self.forward(chars)
        w = self.params
        grad = {}
        for name in w:
            grad[name] = np.zeros_like(w[name])
        alpha = sigmoid(w["beta"])
        n = len(chars) - 1
        delta_h_next = np.zeros_like(self.h[-1])
        delta_s_next = np.zeros_like(self.s[-1])
        for t in reversed(range(n)):
            # softmax + cross entropy
            delta_y = self.p[t].copy()
            delta_y[chars[t + 1]] -= 1
            delta_y = delta_y / n
            grad["U"] += np.outer(delta_y, self.h[t])
            grad["V"] += np.outer(delta_y, self.s[t])
            grad["c"] += delta_y

            # hidden units
            delta_h = w["U"].T.dot(delta_y) + delta_h_next
            delta_a = delta_h * self.h[t] * (1 - self.h[t])
            grad["P"] += np.outer(delta_a, self.s[t])
            grad["A"] += np.outer(delta_a, self.x[t])
            grad["R"] += np.outer(delta_a, self.h[t - 1])
            delta_h_next = w["R"].T.dot(delta_a)

            # context units: they feed the output, the hidden units and themselves
            delta_s = w["V"].T.dot(delta_y)
            delta_s += w["P"].T.dot(delta_a)
            delta_s += delta_s_next
            delta_alpha = delta_s * (self.s[t - 1] - self.bx[t])
            grad["beta"] += delta_alpha * alpha * (1 - alpha)
            delta_bx = delta_s * (1 - alpha)
            grad["B"] += np.outer(delta_bx, self.x[t])
            delta_s_next = delta_s * alpha

            # character vectors
            delta_x = w["A"].T.dot(delta_a) + w["B"].T.dot(delta_bx)
            grad["E"][chars[t]] += delta_x
        grad["h_init"] = delta_h_next
        grad["s_init"] = delta_s_next
        return grad


def make(Target, rng, T=5, V=4, H=4, C=3):
    net = SCRN(rng, V, H, C)
    text = rng.integers(0, V, size=T + 1)
    text[min(2, T)] = text[0]
    return Target(params=net.params, loss=lambda: net.forward(text), grads=lambda: net.backward(text))


BUGS = {
    "char-seen-twice-overwritten": ('grad["E"][chars[t]] += delta_x', 'grad["E"][chars[t]] = delta_x'),
    "context-not-told-by-hidden": ('delta_s += w["P"].T.dot(delta_a)', 'delta_s += w["P"].T.dot(delta_h)'),
    "context-carry-lost": ("delta_s += delta_s_next", "pass"),
    "alpha-against-new-context": ("delta_alpha = delta_s * (self.s[t - 1] - self.bx[t])", "delta_alpha = delta_s * (self.s[t] - self.bx[t])"),
    "hidden-carry-before-sigmoid": ('delta_h_next = w["R"].T.dot(delta_a)', 'delta_h_next = w["R"].T.dot(delta_h)'),
    "alpha-and-complement-mixed-up": ("delta_s_next = delta_s * alpha", "delta_s_next = delta_s * (1 - alpha)"),
    "next-char-of-wrong-position": ("delta_y[chars[t + 1]] -= 1", "delta_y[chars[t]] -= 1"),
    "sigmoid-derivative-half": ("delta_a = delta_h * self.h[t] * (1 - self.h[t])", "delta_a = delta_h * (1 - self.h[t])"),
}

PAIRS = [
    ("context-carry-lost", "hidden-carry-before-sigmoid"),
    ("alpha-against-new-context", "char-seen-twice-overwritten"),
]
