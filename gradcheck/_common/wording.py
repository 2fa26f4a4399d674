"""How sizes, names, numbers and paths are written, wherever they are."""

from __future__ import annotations

from pathlib import PurePath

import numpy as np

from gradcheck._common.arrays import Array, Sizes, all_finite
from gradcheck._common.cells import cell_of, shown_file


def comma_separated(names: list[str]) -> str:
    """Names as a reader writes them: W, U, b."""
    return ", ".join(names)


def describe_not_finite(array: Array) -> str:
    """How many entries of an array are not finite, and the first of them; empty if all are finite."""
    if all_finite(array):
        return ""
    bad = np.argwhere(~np.isfinite(array))
    index = tuple(int(i) for i in bad[0])
    return f"is not finite at {len(bad)} of {array.size} entries, the first {array[index]} at {index}"


def format_apart(analytic: float, numerical: float) -> tuple[str, str]:
    """The two values with as many digits as it takes to tell them apart."""
    for digits in range(6, 18):
        pair = f"{analytic:.{digits}g}", f"{numerical:.{digits}g}"
        if pair[0] != pair[1]:
            break
    return pair


def format_sizes(sizes: Sizes) -> str:
    """Sizes as a reader writes them: T=2, B=1."""
    return ", ".join(f"{name}={value}" for name, value in sizes.items())


def shown_path(file: str) -> str:
    """The file's path from here, if it lies here; else the whole path without its root, as patches have it."""
    path = PurePath(shown_file(file))
    return str(path) if cell_of(file) else str(path.relative_to(path.anchor))
