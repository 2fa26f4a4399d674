"""Child-sum Tree-LSTM (Tai, Socher, Manning 2015) for sentiment at every phrase. Recursive both ways: a post-order walk computes
the states, a pre-order walk of the same shape hands the cotangents down. Only leaves see words; phrases have a learned input."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional

import numpy as np


class Phrase(NamedTuple):
    label: int
    word: Optional[int] = None
    children: tuple = ()


@dataclass
class Weights:
    embedding: np.ndarray       # words x input
    phrase_input: np.ndarray    # input
    w_iou: np.ndarray           # input x 3 hidden
    u_iou: np.ndarray           # hidden x 3 hidden
    b_iou: np.ndarray
    w_forget: np.ndarray        # input x hidden
    u_forget: np.ndarray        # hidden x hidden
    b_forget: np.ndarray
    classify: np.ndarray        # hidden x classes

    def zeros(self) -> Weights:
        return Weights(**{name: np.zeros_like(value) for name, value in vars(self).items()})


@dataclass
class Visit:
    """What the forward walk remembers of one phrase."""
    phrase: Phrase
    below: List[Visit] = field(default_factory=list)
    x: np.ndarray = None
    h_sum: np.ndarray = None
    inp: np.ndarray = None
    out: np.ndarray = None
    upd: np.ndarray = None
    forgets: list = None
    cell: np.ndarray = None
    hidden: np.ndarray = None
    probabilities: np.ndarray = None
    weight: float = 1.0


def logistic(a):
    return 1 / (1 + np.exp(-a))


def walk_up(phrase: Phrase, weights: Weights, depth: int = 0) -> tuple[float, Visit]:
    """Loss of the whole subtree and the visit of its root. Deep phrases count less."""
    visit = Visit(phrase, weight=0.8 ** depth)
    loss = 0.0
    for child in phrase.children:
        part, seen = walk_up(child, weights, depth + 1)
        loss += part
        visit.below.append(seen)
    hidden_size = len(weights.b_forget)
    visit.x = weights.phrase_input if phrase.word is None else weights.embedding[phrase.word]
    visit.h_sum = sum((k.hidden for k in visit.below), np.zeros(hidden_size))
    iou = visit.x @ weights.w_iou + visit.h_sum @ weights.u_iou + weights.b_iou
    visit.inp, visit.out = logistic(iou[:hidden_size]), logistic(iou[hidden_size:2 * hidden_size])
    visit.upd = np.tanh(iou[2 * hidden_size:])
    visit.forgets = [logistic(visit.x @ weights.w_forget + k.hidden @ weights.u_forget + weights.b_forget) for k in visit.below]
    visit.cell = visit.inp * visit.upd
    for gate, kid in zip(visit.forgets, visit.below):
        visit.cell = visit.cell + gate * kid.cell
    visit.hidden = visit.out * np.tanh(visit.cell)
    scores = visit.hidden @ weights.classify
    e = np.exp(scores - scores.max())
    visit.probabilities = e / e.sum()
    return loss - visit.weight * float(np.log(visit.probabilities[phrase.label])), visit


def walk_down(visit: Visit, from_above_h: np.ndarray, from_above_c: np.ndarray, weights: Weights, grads: Weights) -> None:
    d_scores = visit.probabilities.copy()
    d_scores[visit.phrase.label] -= 1.0
    d_scores *= visit.weight
    grads.classify += np.outer(visit.hidden, d_scores)
    d_hidden = from_above_h + weights.classify @ d_scores

    squashed = np.tanh(visit.cell)
    d_cell = from_above_c + d_hidden * visit.out * (1 - squashed ** 2)
    d_inp = d_cell * visit.upd * visit.inp * (1 - visit.inp)
    d_out = d_hidden * squashed * visit.out * (1 - visit.out)
    d_upd = d_cell * visit.inp * (1 - visit.upd ** 2)
    d_iou = np.concatenate([d_inp, d_out, d_upd])
    grads.w_iou += np.outer(visit.x, d_iou)
    grads.u_iou += np.outer(visit.h_sum, d_iou)
    grads.b_iou += d_iou
    d_x = weights.w_iou @ d_iou
    d_h_sum = weights.u_iou @ d_iou

    for gate, kid in zip(visit.forgets, visit.below):
        d_gate = d_cell * kid.cell * gate * (1 - gate)
        grads.w_forget += np.outer(visit.x, d_gate)
        grads.u_forget += np.outer(kid.hidden, d_gate)
        grads.b_forget += d_gate
        d_x = d_x + weights.w_forget @ d_gate
        walk_down(kid, d_h_sum + weights.u_forget @ d_gate, d_cell * gate, weights, grads)

    if visit.phrase.word is None:
        grads.phrase_input += d_x
    else:
        grads.embedding[visit.phrase.word] += d_x


def random_phrase(rng, words, vocabulary: int, classes: int) -> Phrase:
    label = int(rng.integers(classes))
    if len(words) == 1:
        return Phrase(label, word=int(words[0]))
    parts = min(len(words), 3 if len(words) > 3 else 2)
    return Phrase(label, children=tuple(random_phrase(rng, piece, vocabulary, classes) for piece in np.array_split(words, parts)))


def make(Target, rng, L=5, S=2, D=2, H=3, V=4):
    if V < 2:
        raise ValueError("too few words")
    draw = lambda *shape: rng.normal(0, 0.9, shape)
    weights = Weights(draw(V, D), draw(D), draw(D, 3 * H), draw(H, 3 * H), draw(3 * H), draw(D, H), draw(H, H), draw(H), draw(H, 3))
    treebank = [random_phrase(rng, rng.integers(0, V, max(1, L - s)), V, 3) for s in range(S)]

    def loss():
        return sum(walk_up(tree, weights)[0] for tree in treebank) / S

    def gradients():
        grads = weights.zeros()
        nothing = np.zeros(H)
        for tree in treebank:
            _, root = walk_up(tree, weights)
            walk_down(root, nothing, nothing, weights, grads)
        return {name: value / S for name, value in vars(grads).items()}

    return Target(vars(weights), loss, gradients)


BUGS = {
    "forget-path-into-the-child": ("walk_down(kid, d_h_sum + weights.u_forget @ d_gate, d_cell * gate, weights, grads)", "walk_down(kid, d_h_sum, d_cell * gate, weights, grads)"),
    "sum-in-place-of-own-child": ("grads.u_forget += np.outer(kid.hidden, d_gate)", "grads.u_forget += np.outer(visit.h_sum, d_gate)"),
    "depth-weight-forgotten": ("d_scores *= visit.weight", "pass"),
    "cell-from-above-dropped": ("d_cell = from_above_c + d_hidden * visit.out * (1 - squashed ** 2)", "d_cell = d_hidden * visit.out * (1 - squashed ** 2)"),
    "only-last-childs-forget-bias": ("grads.b_forget += d_gate", "grads.b_forget = d_gate"),
    "child-cell-mistaken-for-own": ("d_gate = d_cell * kid.cell * gate * (1 - gate)", "d_gate = d_cell * visit.cell * gate * (1 - gate)"),
    "input-of-forget-gates": ("d_x = d_x + weights.w_forget @ d_gate", "d_x = weights.w_iou @ d_iou + weights.w_forget @ d_gate"),
    "gate-order-of-packing": ("d_iou = np.concatenate([d_inp, d_out, d_upd])", "d_iou = np.concatenate([d_out, d_inp, d_upd])"),
}

PAIRS = [("forget-path-into-the-child", "only-last-childs-forget-bias"), ("child-cell-mistaken-for-own", "input-of-forget-gates")]
