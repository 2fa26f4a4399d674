"""Patterns with a name, found in the two gradients alone: one factor for all, a factor, a transpose, a missing part.

Each is named only where it fits to within the error bars; what does not fit gets no name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from gradcheck._audit import Audit
from gradcheck._evaluate import norm
from gradcheck._patterns import NO_PATTERN, factor, pattern
from gradcheck._report import Finding, Law, Trial, Worst
from gradcheck._sizes import Sizes

#: how near a norm must be to a round number to be one: clipping code adds 1e-6 to what it divides by
ROUND = 2e-6


@dataclass(frozen=True)
class CommonFactor:
    """In `blocks` the analytic gradient is `value` times the numerical one; `label` names it by sizes: "T", "1/B"."""

    value: float
    label: str
    blocks: tuple[str, ...]


def common_factor(audit: Audit, sizes: Sizes) -> CommonFactor | None:
    """A factor named by the sizes that at least two blocks share, or all of them, while none is right without it."""
    if any(block.verdict == "right" for block in audit.blocks.values()):
        return None
    factors = {
        name: k
        for name, numerical in audit.numerical.items()
        if name in audit.gradients and (k := factor(audit.gradients[name], numerical)) is not None
    }
    labels = {name: label for name, k in factors.items() if (label := _label(k, sizes))}
    if not labels:
        return None
    label, count = Counter(labels.values()).most_common(1)[0]
    blocks = tuple(name for name in labels if labels[name] == label)
    judged = [name for name, block in audit.blocks.items() if block.verdict != "vacuous"]
    return CommonFactor(factors[blocks[0]], label, blocks) if count >= 2 or len(judged) == count else None


def factor_at(label: str, sizes: Sizes) -> float:
    """The value of a label like "T", "T*B" or "1/B" at these sizes."""
    return next((value for name, value in _candidates(sizes) if name == label), 1.0)


def reduction_law(common: CommonFactor | None) -> Law:
    """The loss and the gradients are reduced in the same way: both means, or both sums."""
    if common is None:
        return Law("reduction", True, "the loss and the gradients are reduced alike")
    sizes = common.label.removeprefix("1/")
    inverse = common.label.startswith("1/")
    told = (
        f"the loss is a sum over {sizes}, the gradients are a mean"
        if inverse
        else f"the loss is a mean over {sizes}, the gradients are a sum"
    )
    change = f"multiply the gradients by {sizes}" if inverse else f"divide the gradients by {sizes}"
    return Law(
        "reduction",
        False,
        f"gradients are {common.value:.6g} = {common.label} times too large ({', '.join(common.blocks)}): {told}; "
        f"{change}, or reduce the loss the same way",
    )


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
    result += [_of_blocks(audit, kind, message, names, smallest, trials) for (kind, message), names in grouped.items()]
    return tuple(result)


def _of_blocks(
    audit: Audit, kind: str, message: str, names: list[str], smallest: Sizes | None, trials: Sequence[Trial]
) -> Finding:
    ones = _sizes_of_one(trials, names)
    steps = _steps(audit, names, ones, trials)
    clipped = _norm_clipped(audit, kind, names)
    kind = "carried" if steps else "clipped" if clipped else kind
    carried = _carried(audit, names, steps)
    told = f"{_subject(names)} {message}{carried}{clipped}{_example(audit, names)}"
    # where these are right at the smallest size that fails, it is others that fail there
    at = f"; smallest failing size: {shown(smallest)}" if smallest and all(smallest[size] > 1 for size in ones) else ""
    return Finding(kind, told + at + _right_where(ones), tuple(names))


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


def _right_where(ones: list[str]) -> str:
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
            analytic, numerical = told_apart(worst)
            return f"; {name}{list(worst.index)}: analytic {analytic}, numerical {numerical}"
    return ""


def told_apart(worst: Worst) -> tuple[str, str]:
    """The two values with as many digits as it takes to tell them apart."""
    for digits in range(6, 18):
        pair = f"{worst.analytic:.{digits}g}", f"{worst.numerical:.{digits}g}"
        if pair[0] != pair[1]:
            break
    return pair


def shown(sizes: Sizes) -> str:
    """Sizes as a reader writes them: T=2, B=1."""
    return ", ".join(f"{name}={value}" for name, value in sizes.items())


def _pattern(audit: Audit, name: str) -> tuple[str, str]:
    """(kind, what is said of the block)."""
    block = audit.blocks[name]
    if name not in audit.gradients:
        return "structure", f"cannot be compared: {block.message}"
    analytic, numerical = audit.gradients[name], audit.numerical.get(name)
    kind, said = ("gradient", NO_PATTERN) if numerical is None else pattern(name, analytic, audit.numerical)
    if kind == "gradient" and name in audit.places:
        return audit.places[name].kind, audit.places[name].words
    return kind, said


def _label(k: float, sizes: Sizes) -> str | None:
    return next((name for name, value in _candidates(sizes) if math.isclose(k, value, rel_tol=1e-6)), None)


def _candidates(sizes: Sizes) -> Iterator[tuple[str, float]]:
    """Sizes, their pairwise products, and the inverses of all these; ones explain nothing."""
    products = {name: float(value) for name, value in sizes.items()}
    products |= {f"{a}*{b}": float(sizes[a] * sizes[b]) for a, b in combinations(sizes, 2)}
    for name, value in products.items():
        if value != 1.0:
            yield name, value
    for name, value in products.items():
        if value != 1.0:
            yield f"1/{name}", 1 / value
