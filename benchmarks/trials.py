"""The trials of `detection.py`, each a function that a worker process runs: what is checked, what counts as seen."""

from __future__ import annotations

import importlib
import math
import sys
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import corpus
import numpy as np
from checkers import OURS, Checker, checkers, one_thread

import gradcheck
import lstm_core
from gradcheck import Target
from gradcheck._targets.opening import cotangent_rng

ROOT = Path(__file__).parent.parent
#: of the LSTM that wrong entries are planted in: 6800 parameters
VOCAB, HIDDEN, STEPS, BATCH = 16, 32, 6, 4
#: the ways its parameters are handed over: a dict that is read afresh takes complex steps, a function does not
WAYS = ("complex step", "real differences")


class KindTrial(NamedTuple):
    """A planted bug, or a cell as it is (its name is empty then), and a checker."""

    cell: str
    name: str
    verdicts: tuple[str, ...]
    checker: str
    word: str
    seen: bool
    evaluations: int
    seconds: float


class EntryTrial(NamedTuple):
    """One wrong entry and a checker; `promised` says whether it was larger than the sensitivity that was printed."""

    way: str
    size: float
    checker: str
    seen: bool
    wrong: bool
    promised: bool
    evaluations: int
    seconds: float


class PromiseTrial(NamedTuple):
    """An error of `times` the printed sensitivity, in one block, in one entry of it or in all."""

    seed: int
    block: str
    full: bool
    single: bool
    times: float
    seen: bool


class CorrectTrial(NamedTuple):
    """A right target of the corpus and a checker."""

    seed: int
    smooth: bool
    awkward: tuple[str, ...]
    checker: str
    word: str
    reason: str
    evaluations: int
    seconds: float


class CostTrial(NamedTuple):
    """A right target of so many parameters and a checker."""

    parameters: int
    way: str
    checker: str
    passes: bool
    evaluations: int
    seconds: float


@cache
def installed() -> dict[str, Checker]:
    """The checkers, in a worker."""
    one_thread()
    return checkers()[0]


@cache
def gallery() -> Any:
    """The module of the kinds of bugs, which the tests hold."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return importlib.import_module("tests.gallery.kinds")


# -- planted bugs ------------------------------------------------------------------------------------------------------


def of_kind(number: int, seed: int, larger: int, names: tuple[str, ...]) -> list[KindTrial]:
    """A kind at its default sizes, each of them so much larger. Ours must say what it is, a peer must not pass it."""
    kind = gallery().KINDS[number]
    return [
        KindTrial(
            kind.cell,
            kind.name,
            kind.verdicts,
            name,
            said.word,
            said.word in kind.verdicts if name in OURS else not said.passes,
            said.evaluations,
            said.seconds,
        )
        for name, said in _asked(kind.target, seed, larger, names)
    ]


def of_cell(cell: str, seed: int, larger: int, names: tuple[str, ...]) -> list[KindTrial]:
    """The same of a cell without a bug."""
    return [
        KindTrial(cell, "", (), name, said.word, not said.passes, said.evaluations, said.seconds)
        for name, said in _asked(gallery().CORRECT[cell], seed, larger, names)
    ]


def _asked(factory: Any, seed: int, larger: int, names: tuple[str, ...]) -> list[tuple[str, Any]]:
    sizes = {name: size + larger for name, size in factory.sizes.items()}
    return [(name, installed()[name](factory.build(seed, sizes), seed)) for name in names]


# -- one wrong entry ---------------------------------------------------------------------------------------------------


def lstm(
    seed: int, way: str, vocab: int = VOCAB, hidden: int = HIDDEN, steps: int = STEPS, *, batched: bool = False
) -> Target:
    """lstm_core's character model on random text; its full check one entry at a time, or many."""
    rng = np.random.default_rng(seed)
    model = lstm_core.CharLSTM(vocab, hidden, rng=rng)
    tokens, labels = rng.integers(0, vocab, (2, steps, BATCH))
    return Target(
        model.params if way == WAYS[0] else lambda: model.params,
        lambda: model.loss(tokens, labels),
        lambda: model.loss_and_grads(tokens, labels)[1],
        batched=(lambda name, copies: model.losses(name, copies, tokens, labels)) if batched else None,
    )


def of_entry(way: str, size: float, seed: int, names: tuple[str, ...]) -> list[EntryTrial]:
    """One of the entries of the gradient that are not zero, multiplied by 1 + size."""
    trials = []
    for checker in names:
        target, rng = lstm(seed, way), np.random.default_rng([seed, 1])
        gradients = target.grads_at(target.values())
        name, flat = _any_entry(gradients, rng)
        error = np.zeros_like(gradients[name])
        error.flat[flat] = size * gradients[name].flat[flat]
        _plant(target, name, error)
        if checker in OURS:
            report = gradcheck.check(target, seed=seed, full=checker == OURS[1], explain=False)
            promise = report.blocks[name].sensitivity or math.inf
            promised = bool(np.linalg.norm(error) >= promise * np.linalg.norm(gradients[name]))
            said = (not report.ok, report.verdict == "wrong", promised, report.evaluations, report.seconds)
        else:
            of_peer = installed()[checker](target, seed)
            said = (not of_peer.passes, not of_peer.passes, False, of_peer.evaluations, of_peer.seconds)
        trials.append(EntryTrial(way, size, checker, *said))
    return trials


def _any_entry(gradients: dict[str, Any], rng: np.random.Generator) -> tuple[str, int]:
    choices = [(name, int(flat)) for name, gradient in gradients.items() for flat in np.flatnonzero(gradient)]
    return choices[int(rng.integers(len(choices)))]


def _plant(target: Target, name: str, error: Any) -> None:
    """Add an error to one of the gradients that a target hands over."""
    right = target.loss_then_grads_at

    def loss_then_grads_at(values: Any) -> Any:
        with closing(right(values)) as asked:
            yield next(asked)
            found = dict(next(asked))
            yield found | {name: found[name] + error}

    target.loss_then_grads_at = loss_then_grads_at  # type: ignore[method-assign]  # every gradient of a target comes from it


# -- the promise -------------------------------------------------------------------------------------------------------


def of_promise(seed: int, full: bool) -> list[PromiseTrial]:
    """An error planted in each right block of a target of the corpus: 1 to 2 times as large as was promised to be seen.

    Sensitivities are relative to the norm of the gradient. The directions of a check are drawn from its seed, the
    errors from another.
    """
    if not corpus.draw(seed).is_smooth:
        return []
    clean = gradcheck.check(corpus.draw(seed).target, seed=seed, full=full, explain=False)
    rng, trials = np.random.default_rng([seed, 8]), []
    for name, block in clean.blocks.items():
        if block.verdict != "right" or block.sensitivity is None:
            continue
        target, single, times = corpus.draw(seed).target, bool(rng.random() < 0.5), float(rng.uniform(1, 2))
        target.draw_cotangents(cotangent_rng(seed))
        gradient = target.grads_at(target.values())[name]
        direction = rng.standard_normal(gradient.shape)
        if single:
            direction *= np.arange(gradient.size).reshape(gradient.shape) == rng.integers(gradient.size)
        error = times * block.sensitivity * np.linalg.norm(gradient) / np.linalg.norm(direction) * direction
        _plant(target, name, error)
        report = gradcheck.check(target, seed=seed, full=full, explain=False)
        trials.append(PromiseTrial(seed, name, full, single, times, report.blocks[name].verdict != "right"))
    return trials


# -- right targets -----------------------------------------------------------------------------------------------------


def of_corpus(seed: int, names: tuple[str, ...]) -> list[CorrectTrial]:
    """A target of the corpus, anew for each checker; peers are asked about smooth float64 code alone."""
    case, trials = corpus.draw(seed), []
    for name in names:
        if name in OURS or case.is_smooth:
            said = installed()[name](corpus.draw(seed).target, seed)
            told = (said.word, said.reason, said.evaluations, said.seconds)
            trials.append(CorrectTrial(seed, case.is_smooth, case.awkward, name, *told))
    return trials


# -- cost --------------------------------------------------------------------------------------------------------------


def of_cost(order: int, names: tuple[str, ...]) -> list[CostTrial]:
    """The LSTM with about 10**order parameters, right."""
    hidden = round(math.sqrt(10**order / 6.5))
    vocab, trials = hidden // 2, []
    for way in WAYS:
        for name in names:
            if name in OURS or way == WAYS[1]:
                target = lstm(0, way, vocab, hidden)
                parameters = sum(array.size for array in target.values().values())
                said = installed()[name](target, 0)
                trials.append(CostTrial(parameters, way, name, said.passes, said.evaluations, said.seconds))
    return trials
