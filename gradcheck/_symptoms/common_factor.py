"""One factor that all gradients have in common, named by the sizes: a mean in the loss, a sum in the gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from gradcheck._common.arrays import Sizes
from gradcheck.report.finding_phrases import list_with_and
from gradcheck.report.records import Law


@dataclass(frozen=True)
class CommonFactor:
    """In `blocks` the analytic gradient is `value` times the numerical one; `label` names it by sizes: "T", "1/B"."""

    value: float
    label: str
    blocks: tuple[str, ...]


def factor_for_sizes(label: str, sizes: Sizes) -> float:
    """The value of a label like "T", "T*B" or "1/B" at these sizes."""
    return next((value for name, value in _labelled_factors(sizes) if name == label), 1.0)


def _labelled_factors(sizes: Sizes) -> Iterator[tuple[str, float]]:
    """Sizes, their pairwise products, and the inverses of all these; ones explain nothing."""
    products = {name: float(value) for name, value in sizes.items()}
    products |= {f"{a}*{b}": float(sizes[a] * sizes[b]) for a, b in combinations(sizes, 2)}
    for name, value in products.items():
        if value != 1.0:
            yield name, value
    for name, value in products.items():
        if value != 1.0:
            yield f"1/{name}", 1 / value


def label_of_factor(k: float, sizes: Sizes) -> str | None:
    """The label of a factor: "T", "T*B", "1/B"; None if no size explains it."""
    return next((name for name, value in _labelled_factors(sizes) if math.isclose(k, value, rel_tol=1e-6)), None)


def reduction_law(common: CommonFactor | None) -> Law:
    """The loss and the gradients are reduced in the same way: both means, or both sums."""
    if common is None:
        return Law("reduction", True, "the loss and the gradients are reduced in the same way")
    sizes = common.label.removeprefix("1/")
    if common.label == sizes:
        cause, change = f"the loss is a mean over {sizes}, but the gradients are a sum", "divide the gradients by"
    else:
        cause, change = f"the loss is a sum over {sizes}, but the gradients are a mean", "multiply the gradients by"
    what = (
        f"the gradients of {list_with_and(common.blocks)} are {common.value:.6g} = {common.label} times the true ones"
    )
    return Law("reduction", False, f"{what}: {cause}; {change} {sizes}, or reduce the loss in the same way")
