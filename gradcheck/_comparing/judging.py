"""The verdict on each gradient: along directions that similar gradients share, alone, entry by entry.

Three things keep correct code from being accused. The bar of a comparison holds the rounding error of the gradient
itself (`rounding.py`). A small discrepancy has to be there still at a point nearby, since a wrong formula is wrong
there too, and noise is not. And where the shortest steps side with the gradient against longer ones, the loss is too
steep to be differenced (`benign.py`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np

from gradcheck._common.arrays import Array, norm
from gradcheck._common.verdict import (
    BEYOND_DOUBT,
    COARSE_SENSITIVITY,
    MAX_RELATIVE_BAR,
    MAX_SENSITIVITY,
    NEAR_EXACT,
    Verdict,
    judge,
    why_chaotic,
    why_in_steps,
    why_right_as_far_as_seen,
    why_undecided,
)
from gradcheck._comparing.benign import (
    ENTRY_EXCUSES,
    GRADIENT_EXCUSES,
    LARGE_GRADIENT,
    EntryDoubt,
    GradientDoubt,
    benign_reason,
    explaining_entry,
    is_entry_clearly_wrong,
)
from gradcheck._comparing.comparer import MANY_DIRECTIONS, Comparer
from gradcheck._comparing.comparisons import FAR, Comparisons
from gradcheck._numeric.entries import Entries
from gradcheck._numeric.evaluator import Flatness
from gradcheck._numeric.scheme import Scheme
from gradcheck.report.records import Block, Worst

#: gradients whose norms are within this factor share directions
SIMILAR = 100.0
#: how many times as long steps may be where the usual ones resolve too little
FLAT_LOSS_STRETCH = 32.0
#: a gradient whose bar is below this part of the largest one is zero to within rounding
NEGLIGIBLE = 1e-6
#: an error of one shows along so many directions as less than this, root mean square, once in a million times
NEAR_DEVIATIONS = 0.13


def judge_gradients(comparer: Comparer, suspects: Collection[str] = ()) -> Iterator[Block]:
    """Each gradient judged, by directions that similar ones share, and alone where those disagree.

    `suspects` are wrong elsewhere: they are judged first, and at little cost where they are wrong here as well.
    """
    known = {name: block for name in comparer.norms if name in suspects and (block := _far_apart(comparer, name))}
    yield from known.values()
    norms = {name: size for name, size in comparer.norms.items() if name not in known}
    coarse = set(comparer.given.coarse)
    groups = [
        part
        for group in group_similar(norms)
        # the bar of one in single precision would be that of all
        for part in ([one for one in group if one not in coarse], [one for one in group if one in coarse])
        if part
    ]
    for group in groups:
        yield from _judge_group(comparer, group)


def _judge_group(comparer: Comparer, group: list[str]) -> Iterator[Block]:
    comparisons, norms = comparer.compare(group), comparer.norms
    if comparisons.verdict == "wrong" and len(group) > 1 and comparer.evaluator.scheme is Scheme.REAL:
        apart = [name for name in group if _far_apart(comparer, name)]
        yield from (judge_alone(comparer, name) for name in apart)
        group = [name for name in group if name not in apart]
        if apart and group:  # the others may be right
            comparisons = comparer.compare(group)
    passed = comparisons.verdict == "right"
    if passed and comparisons.sensitivity > COARSE_SENSITIVITY * min(norms[name] for name in group):
        comparisons = _along_more(comparer, group, comparisons)
    for name in group:
        seen = max(comparisons.bar / MAX_RELATIVE_BAR, comparisons.sensitivity / MAX_SENSITIVITY)
        if passed and norms[name] and seen <= norms[name]:
            yield _record(comparer, name, "right", comparisons, norms[name])
        else:
            yield judge_alone(comparer, name)


def _far_apart(comparer: Comparer, name: str) -> Block | None:
    """A gradient that is wrong by far, as a single rough comparison tells; None if it does not."""
    if not comparer.gradients[name].size:
        return None
    comparisons = comparer.compare_roughly(name)
    scale = max(comparer.norms[name], comparisons.slope)
    if not comparisons.are_far_apart or comparisons.error < FAR * scale:
        return None
    return _record(comparer, name, "wrong", comparisons, scale)


def group_similar(norms: dict[str, float]) -> list[list[str]]:
    """Names in groups of similar gradient norm, largest first; those that are exactly zero last, each alone."""
    groups: list[list[str]] = []
    for name in sorted((name for name in norms if norms[name] > 0), key=lambda name: -norms[name]):
        if groups and norms[name] * SIMILAR >= norms[groups[-1][0]]:
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups + [[name] for name in norms if norms[name] == 0]


def judge_alone(comparer: Comparer, name: str) -> Block:
    """One gradient judged by directions over its parameter alone."""
    shape = comparer.gradients[name].shape
    if not comparer.gradients[name].size:
        return Block(name, shape, "vacuous", message="the parameter has no entries: there is nothing to check")
    comparisons = _compare_sharply(comparer, name)
    scale = max(comparer.norms[name], comparisons.slope)
    if scale <= comparisons.bar:
        return _below_error_bar(comparer, name, comparisons)
    block = _record(comparer, name, comparisons.verdict, comparisons, scale)
    if block.verdict != "right" and (near := _nearly_exact(comparer, name, comparisons, scale)) is not None:
        return near
    if block.verdict == "wrong":
        excuse = benign_reason(GradientDoubt(comparer, name, comparisons, scale), GRADIENT_EXCUSES)
        return replace(block, verdict="inconclusive", message=excuse) if excuse else block
    if block.verdict == "inconclusive" or comparisons.bar > MAX_RELATIVE_BAR * scale:
        message = _why_undecided(comparer, comparisons, comparisons.bar / scale)
        return replace(block, verdict="inconclusive", message=message)
    return _as_far_as_seen(comparer, block, comparisons, scale)


def _as_far_as_seen(comparer: Comparer, block: Block, comparisons: Comparisons, scale: float) -> Block:
    """A right gradient; undecided if errors that matter might not have been seen, along more directions either."""
    seen = block.sensitivity or 0.0
    if seen > COARSE_SENSITIVITY:
        comparisons = _along_more(comparer, [block.name], comparisons)
        block = _record(comparer, block.name, "right", comparisons, scale)
        seen = block.sensitivity or 0.0
    if seen <= MAX_SENSITIVITY:
        return block
    return replace(block, verdict="inconclusive", message=why_right_as_far_as_seen(seen))


def _along_more(comparer: Comparer, names: list[str], comparisons: Comparisons) -> Comparisons:
    """What is seen along more directions, if that is more, and nothing speaks against the gradients there."""
    more = comparer.compare(names, count=MANY_DIRECTIONS)
    return more if more.verdict == "right" and more.sensitivity < comparisons.sensitivity else comparisons


def _nearly_exact(comparer: Comparer, name: str, comparisons: Comparisons, scale: float) -> Block | None:
    """The right gradient of which no more is missing than rounding, or an epsilon of 1e-12; None if it is not that.

    An error in one entry of many is as small beside the others, and is none of these.
    """
    limit, gradient = NEAR_DEVIATIONS * NEAR_EXACT * scale, comparer.gradients[name]
    if comparisons.has_kink or max(comparisons.error, comparisons.bar) > limit:
        return None
    comparisons = comparer.compare([name], count=MANY_DIRECTIONS)
    if max(comparisons.error, comparisons.bar) > limit:
        return None
    beyond = comparisons.verdict == "wrong" and gradient.size >= LARGE_GRADIENT
    if beyond and explaining_entry(comparer, name, comparisons) is not None:
        return None
    largest = max(abs(one.discrepancy) for one in comparisons)
    bar = max(largest, comparisons.bar) / scale
    return Block(name, gradient.shape, "right", error=comparisons.error / scale, error_bar=bar, sensitivity=NEAR_EXACT)


def rejudge_by_entries(comparer: Comparer, block: Block, entries: Entries) -> Block:
    """A gradient judged again from its single entries."""
    gradient, size = comparer.gradients[block.name], norm(entries.values)
    scale = max(size, comparer.norms[block.name])
    if not scale > norm(entries.errors):
        return block  # no entry is larger than its error: directions, which add entries up, have the last word
    apart, bars = np.abs(gradient - entries.values), comparer.entry_bars(block.name, entries)
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart)), gradient.shape))
    block = replace(block, worst=Worst(at, float(gradient[at]), float(entries.values[at])))
    verdict = judge(apart.ravel().tolist(), bars.ravel().tolist())
    if verdict == "right" and block.verdict == "wrong":
        return block  # directions add up what is too small to see in one entry
    error, bar = norm(apart) / scale, norm(bars) / scale
    near = block.verdict == "right" and error <= NEAR_DEVIATIONS * NEAR_EXACT and _is_spread(apart, bars)
    if verdict != "right" and near:
        verdict, bar = "right", max(bar, error)
    if verdict == "wrong" and block.verdict != "wrong":
        verdict = _doubted_verdict(comparer, block, error, int(np.count_nonzero(apart > bars)))
    if verdict == "right" and bar > MAX_RELATIVE_BAR and block.verdict != "right":
        if block.verdict == "vacuous":
            return block
        verdict = "inconclusive"
    reason = block.message or why_undecided(bool(np.any(entries.kinks)), bar)
    message = reason if verdict == "inconclusive" else block.message if verdict == block.verdict == "wrong" else ""
    # An entry's error may hide behind that of its difference: two bars cannot.
    seen = max(min(2 * bar, block.sensitivity or math.inf), NEAR_EXACT) if verdict == "right" else 2 * bar
    if verdict == "right":
        seen = max(seen, comparer.unconfirmed(block.name) / scale)
        if seen > MAX_SENSITIVITY:
            verdict, message = "inconclusive", why_right_as_far_as_seen(seen)
    return replace(block, verdict=verdict, error=error, error_bar=bar, sensitivity=seen, message=message)


def mask_wrong_entries(comparer: Comparer, name: str, entries: Entries) -> Array:
    """Which entries are wrong beyond doubt."""
    bars = comparer.entry_bars(name, entries)
    return np.asarray(np.abs(comparer.gradients[name] - entries.values) > BEYOND_DOUBT * bars)


def _is_spread(apart: Array, bars: Array) -> bool:
    """Whether more than one entry is off, where there are many."""
    return apart.size < LARGE_GRADIENT or int(np.count_nonzero(apart > bars)) > 1


def _doubted_verdict(comparer: Comparer, block: Block, error: float, entries_off: int) -> Verdict:
    """The verdict on a gradient of which an entry is wrong, while directions do not say so."""
    assert block.worst is not None
    if not benign_reason(EntryDoubt(comparer, block.name, block.worst.index, error), ENTRY_EXCUSES):
        return "wrong"
    alone = math.prod(block.shape) >= LARGE_GRADIENT and entries_off == 1
    return "wrong" if alone and is_entry_clearly_wrong(comparer, block.name, block.worst) else "inconclusive"


def _compare_sharply(comparer: Comparer, name: str) -> Comparisons:
    """Comparisons of a gradient; by longer steps where the loss is too flat for the usual ones to resolve it."""
    comparisons = comparer.compare([name])
    is_exact = comparer.evaluator.scheme is Scheme.COMPLEX
    size = max(comparer.norms[name], comparisons.slope)
    if is_exact or comparisons.bar <= MAX_RELATIVE_BAR * size or comparisons.has_kink:
        return comparisons
    return min(comparisons, comparer.compare([name], shorter=1 / FLAT_LOSS_STRETCH), key=lambda one: one.bar)


def _below_error_bar(comparer: Comparer, name: str, comparisons: Comparisons) -> Block:
    """A parameter of which neither gradient rises above the error bar."""
    shape, bar = comparer.gradients[name].shape, comparisons.bar
    if comparer.norms[name] == 0 and not comparisons.has_kink:
        message = "both gradients are zero: the loss does not depend on it here, so nothing was verified"
        return Block(name, shape, "vacuous", message=message)
    largest, is_rounding = max(comparer.norms.values()), comparer.norms[name] <= comparer.given.rounding(name)
    # of less precision, such as that of a bias before a normalisation
    if bar <= NEGLIGIBLE * largest or (is_rounding and bar <= MAX_RELATIVE_BAR * largest):
        message = "both gradients are zero to within rounding, beside those of the others: nothing was verified"
        return Block(name, shape, "vacuous", message=message)
    message = _why_undecided(comparer, comparisons, math.inf if math.isinf(bar) else 1.0)
    return Block(name, shape, "inconclusive", message=message)


def _why_undecided(comparer: Comparer, comparisons: Comparisons, bar: float) -> str:
    """What kept a gradient from being judged; of what resolves nothing, whether the loss has jumps or is chaotic."""
    if not comparisons.has_kink and MAX_RELATIVE_BAR < bar < math.inf:
        if comparer.evaluator.shape_beside() is Flatness.JUMPS:
            return why_in_steps()
        if comparer.evaluator.is_chaotic:
            return why_chaotic()
    return why_undecided(comparisons.has_kink, bar)


def _record(comparer: Comparer, name: str, verdict: Verdict, comparisons: Comparisons, scale: float) -> Block:
    return Block(
        name,
        comparer.gradients[name].shape,
        verdict,
        error=comparisons.error / scale,
        error_bar=comparisons.bar / scale,
        sensitivity=max(comparisons.sensitivity / scale, NEAR_EXACT),
    )
