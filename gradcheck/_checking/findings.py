"""Patterns with a name, found in the two gradients alone: one factor for all, a factor, a transpose, a missing part.

Each is named only where it fits to within the error bars; what does not fit gets no name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from gradcheck._checking.audit import Audit
from gradcheck._common.arrays import Sizes, norm
from gradcheck._common.wording import format_apart, format_sizes
from gradcheck._symptoms.common_factor import CommonFactor, label_of_factor
from gradcheck._symptoms.patterns import NO_PATTERN, factor, match_pattern
from gradcheck.report.records import Finding, Trial

#: how near a norm must be to a round number to be one: clipping code adds 1e-6 to what it divides by
ROUND = 2e-6


def common_factor(audit: Audit, sizes: Sizes) -> CommonFactor | None:
    """A factor named by the sizes that at least two blocks share, or all of them, while none is right without it."""
    if any(block.verdict == "right" for block in audit.blocks.values()):
        return None
    factors = {
        name: k
        for name, numerical in audit.numerical.items()
        if name in audit.gradients and (k := factor(audit.gradients[name], numerical)) is not None
    }
    labels = {name: label for name, k in factors.items() if (label := label_of_factor(k, sizes))}
    if not labels:
        return None
    label, count = Counter(labels.values()).most_common(1)[0]
    blocks = tuple(name for name in labels if labels[name] == label)
    judged = [name for name, block in audit.blocks.items() if block.verdict != "vacuous"]
    return CommonFactor(factors[blocks[0]], label, blocks) if count >= 2 or len(judged) == count else None


def findings(
    audit: Audit, smallest: Sizes | None, common: CommonFactor | None, trials: Sequence[Trial] = ()
) -> tuple[Finding, ...]:
    """One finding for each thing that is wrong: broken laws first, then blocks grouped by what they have in common."""
    result = [
        Finding(
            f"law:{law.name}",
            f"law {law.name}: {law.message}",
            common.blocks if common and law.name == "reduction" else (),
        )
        for law in audit.laws.values()
        if not law.holds
    ]
    explained = set(common.blocks) if common else set()
    remaining = [name for name in audit.wrong if name not in explained]
    grouped: dict[tuple[str, str], list[str]] = {}
    for name in remaining:
        grouped.setdefault(_pattern(audit, name), []).append(name)
    result += [
        _finding_for(audit, kind, message, names, smallest, trials) for (kind, message), names in grouped.items()
    ]
    return tuple(result)


def _finding_for(
    audit: Audit, kind: str, message: str, names: list[str], smallest: Sizes | None, trials: Sequence[Trial]
) -> Finding:
    ones = _sizes_of_one(trials, names)
    steps = _steps(audit, names, ones, trials)
    clipped = _norm_clipped(audit, kind, names)
    kind = "carried" if steps else "clipped" if clipped else kind
    carried = _carried(audit, names, steps)
    told = f"{_subject(names)} {message}{carried}{clipped}{_example(audit, names)}"
    # where these are right at the smallest size that fails, it is others that fail there
    at = (
        f"; smallest failing size: {format_sizes(smallest)}"
        if smallest and all(smallest[size] > 1 for size in ones)
        else ""
    )
    return Finding(kind, told + at + _sizes_note(ones), tuple(names))


def _steps(audit: Audit, names: Sequence[str], ones: Sequence[str], trials: Sequence[Trial]) -> str:
    """The size that is the number of time steps, if a gradient is right at the last of them alone."""
    lengths = {audit.places[name].last for name in names if name in audit.places}
    found = [size for size in ones if lengths & {trial.sizes[size] for trial in trials}]
    return found[0] if len(found) == 1 else ""


def _carried(audit: Audit, names: Sequence[str], steps: str) -> str:
    """What it means that a gradient is right at the last index alone, if that is the last time step."""
    if steps:
        return f": what comes back from later steps of {steps} is dropped or wrong"
    if any(audit.places[name].last for name in names if name in audit.places):
        return ": if this is the last time step, what comes back from later steps is dropped or wrong"
    return ""


def _norm_clipped(audit: Audit, kind: str, names: Sequence[str]) -> str:
    """Whether all gradients are too small by one factor, and their norm is a round number."""
    if (
        kind != "factor"
        or any(block.verdict == "right" for block in audit.blocks.values())
        or set(names) < {*audit.wrong}
    ):
        return ""
    size = math.hypot(*(norm(gradient) for gradient in audit.gradients.values()))
    limit = float(f"{size:.2g}")
    true = math.hypot(*(norm(audit.numerical[name]) for name in names))
    if true <= size or abs(size - limit) > ROUND * max(limit, 1.0):
        return ""
    told = "together they have" if len(names) > 1 else "it has"
    fits = f"the norm {limit:g} (to within {abs(size - limit):.0e}), where {true:.6g} is true"
    return f"; {told} {fits}: clipped to that norm?"


def _sizes_note(ones: list[str]) -> str:
    """That gradients are right wherever one of these sizes is one, in words."""
    if not ones:
        return ""
    first = f"only from {ones[0]}=2: " if len(ones) == 1 else ""
    return f"; {first}right wherever {' or '.join(f'{size}=1' for size in ones)}, wrong wherever it is larger"


def _sizes_of_one(trials: Sequence[Trial], names: Sequence[str]) -> list[str]:
    """The sizes for which these gradients are right at one and wrong beyond: a path along that axis is wrong."""
    told: list[str] = []
    judged = [trial for trial in trials if trial.verdict == "right" or trial.wrong]
    for size in judged[0].sizes if judged else ():
        outcomes = {
            one: {bool(set(trial.wrong) & set(names)) for trial in judged if (trial.sizes[size] == 1) is one}
            for one in (True, False)
        }
        if outcomes == {True: {False}, False: {True}}:
            told.append(size)
    return told


def _subject(names: list[str]) -> str:
    return f"the gradient of {names[0]} is" if len(names) == 1 else f"the gradients of {', '.join(names)} are each"


def _example(audit: Audit, names: list[str]) -> str:
    """The entry that shows it best: both values of the block with the largest error."""
    worst_first = sorted(names, key=lambda name: -(audit.blocks[name].error or 0.0))
    for name in worst_first:
        worst = audit.blocks[name].worst
        if worst is not None:
            analytic, numerical = format_apart(worst.analytic, worst.numerical)
            return f"; {name}{list(worst.index)}: analytic {analytic}, numerical {numerical}"
    return ""


def _pattern(audit: Audit, name: str) -> tuple[str, str]:
    """(kind, what is said of the block)."""
    block = audit.blocks[name]
    if name not in audit.gradients:
        return "structure", f"cannot be compared: {block.message}"
    analytic, numerical = audit.gradients[name], audit.numerical.get(name)
    kind, said = ("gradient", NO_PATTERN) if numerical is None else match_pattern(name, analytic, audit.numerical)
    if kind == "gradient" and name in audit.places:
        return audit.places[name].kind, audit.places[name].words
    return kind, said
