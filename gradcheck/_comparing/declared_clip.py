"""Gradients that are declared to be clipped: what is known of the entries at the bound, and of those beyond it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._common.verdict import BEYOND_DOUBT
from gradcheck._comparing.comparer import Comparer
from gradcheck._comparing.rounding import ROUNDING_OWN
from gradcheck._numeric.entries import Entries
from gradcheck.report.records import Block, Worst

#: entries at the bound that are differenced, of each gradient
MOST_AT_BOUND = 64


def judge_declared_clip(comparer: Comparer, block: Block) -> Block:
    """A gradient judged again by a clip of its entries that is declared: at the bound the true ones are as large."""
    clip = comparer.evaluator.target.clip
    if clip is None or block.name not in comparer.gradients:
        return block
    raw = {name: gradient * comparer.given.divisor for name, gradient in comparer.gradients.items()}
    size = clip.exceeded_by(raw if clip.of_norm else {block.name: raw[block.name]})
    if size and not (clip.of_norm and comparer.given.divisor_of_clip != 1.0):
        what = "the norm of all gradients" if clip.of_norm else "its largest entry"
        return replace(block, verdict="wrong", message=f"{what} is {size:.6g}, beyond the declared clip {clip.bound:g}")
    if clip.of_norm or block.verdict == "wrong" or np.all(comparer.given.free[block.name]):
        return block
    return _judge_at_bound(comparer, block, clip.bound)


def as_clipped(comparer: Comparer, entries: Entries) -> Entries:
    """The entries of a numerical gradient as a declared clip leaves them."""
    clip = comparer.evaluator.target.clip
    if clip is None or clip.of_norm:
        return entries
    bound = clip.bound / comparer.given.divisor
    return replace(entries, values=np.clip(entries.values, -bound, bound))


def _judge_at_bound(comparer: Comparer, block: Block, bound: float) -> Block:
    gradient, bound = comparer.gradients[block.name], bound / comparer.given.divisor
    flats = np.flatnonzero(~comparer.given.free[block.name])
    tried = comparer.given.rng("bound", block.name).permutation(flats)[:MOST_AT_BOUND]
    for flat in tried.tolist():
        index = tuple(int(i) for i in np.unravel_index(flat, gradient.shape))
        found = comparer.evaluator.entry_derivative(block.name, index)
        short = bound - found.value * float(np.sign(gradient[index]))
        rounding = ROUNDING_OWN * comparer.given.epsilons[block.name] * bound
        if short > BEYOND_DOUBT * (found.error + rounding) + found.kink:
            worst = Worst(index, float(gradient[index]), found.value)
            told = f"an entry is at the declared bound ±{bound:g}, and the true one is not beyond it"
            return replace(block, verdict="wrong", worst=worst, message=told)
    if block.verdict == "vacuous" and _all_at_bound(comparer.given.free[block.name]) and len(tried) == len(flats):
        return Block(
            block.name, block.shape, "right", message=f"all its entries are clipped at ±{bound:g}, as declared"
        )
    return block


def _all_at_bound(free: Array) -> bool:
    return not np.any(free)
