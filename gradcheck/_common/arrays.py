"""What numbers are called here: arrays, values by name, sizes; norms, inner products and typical magnitudes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gradcheck._common.libraries import as_numpy

Array: TypeAlias = NDArray[Any]

Values: TypeAlias = dict[str, Array]

Sizes: TypeAlias = dict[str, int]

#: entries that are worked on at a time where arrays are large: what is calculated of them stays in the cache
BLOCK = 2**14

#: sums of squares that have neither lost small entries nor overflowed
SAFE_RANGE = 1e-250, 1e300

#: entries below this power of the smallest number count as zeros: parts of them still have to be numbers
ALMOST_ZERO = 0.75


def as_complex(raw: Any) -> complex:
    """A loss as a Python number; NaN for what is not one number."""
    try:
        array = np.asarray(as_numpy(raw))
        return (
            complex(array.reshape(()).item()) if array.size == 1 and array.dtype.kind in "fciub" else complex(math.nan)
        )
    except (TypeError, ValueError):
        return complex(math.nan)


def entry_scale(array: Array) -> Array:
    """The size of each entry; where it is small beside the others, theirs; of an array of zeros, one.

    Numbers that are so small that parts of them can hardly be told apart count as zeros.
    """
    return np.maximum(np.abs(array), usual_size(array))


def usual_size(array: Array) -> float:
    """The size that no entry counts for less than: that of the others, at most one; of an array of zeros, one."""
    rms = norm(array) / math.sqrt(array.size) if array.size else 0.0
    is_zero = rms < float(np.finfo(array.dtype).tiny) ** ALMOST_ZERO if array.dtype.kind in "fc" else not rms
    return 1.0 if is_zero else min(rms, 1.0)


def blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Flat parts of arrays of one shape, side by side, each of at most `BLOCK` entries; one of arrays without any."""
    flat = [array.reshape(-1) for array in arrays]
    if flat[0].size <= BLOCK:
        yield tuple(flat)
        return
    for start in range(0, flat[0].size, BLOCK):
        yield tuple(one[start : start + BLOCK] for one in flat)


def largest_ratio(steps: Array, array: Array, least: float) -> float:
    """The largest step relative to the size of its entry, which counts for no less than `least`."""
    largest = 0.0
    for step, part in blocks(steps, array):
        if not step.size or max(float(step.max()), -float(step.min())) <= largest * least:
            continue  # none of them can be larger
        largest = max(largest, float((np.abs(step) / np.maximum(np.abs(part), least)).max()))
    return largest


def add_multiple(array: Array, step: Array, t: float, out: Array) -> None:
    """array + t * step in double precision, written into an array of that precision."""
    if not all(one.flags.c_contiguous for one in (array, step, out)):
        np.multiply(step, t, out=out, dtype=np.float64)
        out += array
        return
    wide = np.empty(min(BLOCK, array.size))
    for part, moves, into in blocks(array, step, out):
        moved = wide[: moves.size]
        np.copyto(moved, moves)
        moved *= t
        np.add(part, moved, out=into)


def inner_product(gradient: Values, direction: Values) -> float:
    """<gradient, direction> over the parameters of the direction."""
    # far from the user's point gradients may be near the largest float
    with np.errstate(over="ignore", invalid="ignore"):
        return float(sum(_product(gradient[name], steps) for name, steps in direction.items()))


def _product(one: Array, other: Array) -> float:
    """The sum of the products of their entries, of blocks that are in double precision for so long."""
    return sum(
        float(np.dot(a.astype(np.float64, copy=False), b.astype(np.float64, copy=False))) for a, b in blocks(one, other)
    )


def norm(array: Array) -> float:
    """The Euclidean norm, safe for entries near the ends of the range."""
    entries = np.asarray(array, dtype=np.float64).ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        square = float(np.dot(entries, entries))
    if SAFE_RANGE[0] < square < SAFE_RANGE[1]:
        return math.sqrt(square)
    largest = float(np.max(np.abs(array), initial=0.0))
    return largest * float(np.linalg.norm(array / largest)) if 0.0 < largest < math.inf else largest


def all_finite(array: Array) -> bool:
    """Whether all entries are finite, which most often a finite sum of their squares tells, in one pass."""
    entries = np.asarray(array).ravel()
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(entries, entries)) or np.isfinite(entries).all())


def distance(one: Array, other: Array) -> float:
    """The norm of their difference, in double precision."""
    with np.errstate(over="ignore", invalid="ignore"):
        parts = [norm(np.subtract(a, b, dtype=np.float64)) for a, b in blocks(one, other)]
    return parts[0] if len(parts) == 1 else norm(np.array(parts))


def is_float(value: Any) -> bool:
    """Whether a value has a derivative that is looked for."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind == "f" and value.size > 0
    return isinstance(value, (float, np.floating))


def owner_of(x: Array) -> Array:
    """The array whose memory it is."""
    while True:
        base: Any = x.base
        if isinstance(base, np.ndarray):
            x = base
        elif base is not None and isinstance(getattr(base, "base", None), np.ndarray):
            x = base.base  # numpy.lib.stride_tricks puts a dummy in between
        else:
            return x


def moved(values: Values, rng: np.random.Generator, *, scale: float = 1.0, noise: float) -> Values:
    """Other values of the same dtypes: each entry times `scale`, and noise of this part of the entries' usual size."""
    return {
        name: (scale * array + noise * entry_scale(array) * rng.standard_normal(array.shape)).astype(array.dtype)
        for name, array in values.items()
    }
