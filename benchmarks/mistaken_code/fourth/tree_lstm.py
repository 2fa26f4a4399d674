"""Child-sum Tree-LSTM on small dependency trees; some nodes carry a label; focal loss."""
import numpy as np


class Parameter:
    def __init__(self, value):
        self.value = value
        self.reset()

    def reset(self):
        self.gradient = np.zeros_like(self.value)

    @property
    def T(self):
        return self.value.T

    def __matmul__(self, vector):
        return self.value @ vector


class Node:
    """A word with dependents.  Filled by TreeLSTM: h, c and the intermediate values."""

    def __init__(self, word, *children, label=None):
        self.word = word
        self.children = children
        self.label = label

    def __iter__(self):
        """post-order: children come before their head"""
        for child in self.children:
            yield from child
        yield self

    @property
    def is_labelled(self):
        return self.label is not None


class Gate:
    """activation(W x + U h + b); remembers nothing, the caller keeps x, h and the output"""

    def __init__(self, kind, dim_in, dim, rng):
        self.kind = kind
        self.W = Parameter(rng.normal(0, 0.9, (dim, dim_in)))
        self.U = Parameter(rng.normal(0, 0.9, (dim, dim)))
        self.b = Parameter(rng.normal(0, 0.3, dim))

    def __call__(self, x, h):
        a = self.W @ x + self.U @ h + self.b.value
        return np.tanh(a) if self.kind == 'tanh' else 1 / (1 + np.exp(-a))

    def back(self, x, h, out, d_out):
        d_a = d_out * (1 - out ** 2 if self.kind == 'tanh' else out * (1 - out))
        self.W.gradient += np.outer(d_a, x)
        self.U.gradient += np.outer(d_a, h)
        self.b.gradient += d_a
        return self.W.T @ d_a, self.U.T @ d_a


class TreeLSTM:
    def __init__(self, words, dim_in, dim, rng):
        self.dim = dim
        self.embedding = Parameter(rng.normal(0, 1, (words, dim_in)))
        self.i, self.f, self.o = (Gate('sigmoid', dim_in, dim, rng) for _ in range(3))
        self.u = Gate('tanh', dim_in, dim, rng)

    def __call__(self, node):
        for child in node.children:
            self(child)
        x = self.embedding.value[node.word]
        node.h_sum = sum((child.h for child in node.children), np.zeros(self.dim))
        node.out = {name: getattr(self, name)(x, node.h_sum) for name in 'iou'}
        node.forgets = [self.f(x, child.h) for child in node.children]
        node.c = node.out['i'] * node.out['u']
        for forget, child in zip(node.forgets, node.children):
            node.c = node.c + forget * child.c
        node.h = node.out['o'] * np.tanh(node.c)

    def back(self, node, d_h, d_c):
        x = self.embedding.value[node.word]
        i, o, u = (node.out[name] for name in 'iou')
        d_h = d_h + node.d_h
        tanh_c = np.tanh(node.c)
        d_c = d_c + d_h * o * (1 - tanh_c ** 2)
        d_x, d_sum = np.zeros_like(x), np.zeros(self.dim)
        for name, d_out in (('i', d_c * u), ('o', d_h * tanh_c), ('u', d_c * i)):
            dx, dh = getattr(self, name).back(x, node.h_sum, node.out[name], d_out)
            d_x += dx
            d_sum += dh
        for forget, child in zip(node.forgets, node.children):
            dx, dh = self.f.back(x, child.h, forget, d_c * node.c)
            d_x += dx
            self.back(child, d_sum + dh, d_c * forget)
        self.embedding.gradient[node.word] = d_x


class FocalHead:
    GAMMA = 2.0

    def __init__(self, dim, classes, rng):
        self.V = Parameter(rng.normal(0, 1, (classes, dim)))
        self.v = Parameter(rng.normal(0, 0.3, classes))

    def probabilities(self, node):
        e = np.exp(self.V @ node.h + self.v.value)
        return e / e.sum()

    def __call__(self, node):
        p = self.probabilities(node)[node.label]
        return -(1 - p) ** self.GAMMA * np.log(p)

    def back(self, node, weight):
        probs = self.probabilities(node)
        p, miss = probs[node.label], 1 - probs[node.label]
        d_logp = weight * (self.GAMMA * miss ** (self.GAMMA - 1) * p * np.log(p) - miss ** self.GAMMA)
        d_score = -d_logp * probs
        d_score[node.label] += d_logp
        self.V.gradient += np.outer(d_score, node.h)
        self.v.gradient += d_score
        return self.V.T @ d_score


class Model:
    def __init__(self, trees, rng):
        self.trees = trees
        self.net = TreeLSTM(4, 2, 3, rng)
        self.head = FocalHead(3, 3, rng)
        self.total = sum(node.is_labelled for tree in trees for node in tree)
        self.parameters = {'embedding': self.net.embedding, 'V': self.head.V, 'v': self.head.v}
        for name in 'ifou':
            self.parameters.update({part + name: getattr(getattr(self.net, name), part) for part in 'WUb'})

    def loss(self):
        for tree in self.trees:
            self.net(tree)
        return float(sum(self.head(node) for tree in self.trees for node in tree if node.is_labelled) / self.total)

    def gradients(self):
        self.loss()
        for parameter in self.parameters.values():
            parameter.reset()
        for tree in self.trees:
            for node in tree:
                node.d_h = self.head.back(node, 1 / self.total) if node.is_labelled else np.zeros(3)
            self.net.back(tree, np.zeros(3), np.zeros(3))
        return {name: parameter.gradient for name, parameter in self.parameters.items()}


def make(rng):
    first = Node(1, Node(0, Node(3), label=2), Node(2, label=0), label=1)
    second = Node(2, Node(1, Node(0, label=1), Node(3, label=2)), Node(0, Node(2)), label=0)
    model = Model([first, second], rng)
    return {name: p.value for name, p in model.parameters.items()}, model.loss, model.gradients


import gradcheck


@gradcheck.target
def audited(rng):
    return gradcheck.Target(*make(rng))


FAULTS = [('repeated words: = for +=',
  [95],
  [('self.embedding.gradient[node.word] = d_x', 'self.embedding.gradient[node.word] += d_x')]),
 ("forget gate with the cell of the head instead of the child's",
  [92],
  [('forget, d_c * node.c)', 'forget, d_c * child.c)')])]
