"""A weight's gradient that holds the share of one time step alone, or of one sequence: told by what it is made of.

The gradient of a weight is a sum over time steps of outer products with what the weight is multiplied by. Where that is
at hand, as an input or a parameter, the gradient's columns (or rows) lie in the span of all of it. If the analytic
gradient lies in the span of one slice, and the true one does not, the other shares were lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck._common.arrays import Array, norm
from gradcheck._symptoms.patterns import MAX_RESIDUAL, rounded
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import MadeOfSlice, Symptom

#: the part of the true gradient that must lie outside of a slice's span
MIN_PART_OUTSIDE = 1e-3


def find_single_slice(analytic: Array, true: Array, arrays: Mapping[str, Array]) -> Symptom | None:
    """The slice of an array that a matrix is made of alone; None if there is none."""
    if analytic.ndim != 2 or not np.any(analytic):
        return None
    for axis in (0, 1):
        mine, whole = (analytic, true) if axis == 0 else (analytic.T, true.T)
        for label, rows in _slices(arrays, len(mine)):
            left = _part_outside_span(mine, rows)
            if left <= MAX_RESIDUAL and _part_outside_span(whole, rows) > MIN_PART_OUTSIDE:
                return Symptom(FindingCode.SHARE_LOST, (MadeOfSlice(label, rounded(left, 1)),))
    return None


def _part_outside_span(matrix: Array, rows: Array) -> float:
    """The part of a matrix whose columns leave the span of these rows."""
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    basis = basis[sizes > MAX_RESIDUAL * max(sizes, default=0.0)]
    return norm(matrix - basis.T @ (basis @ matrix)) / norm(matrix) if np.any(matrix) else 0.0


def _slices(arrays: Mapping[str, Array], width: int) -> Iterator[tuple[str, Array]]:
    """Slices of the other arrays as rows of this width; tokens as unit vectors."""
    for other, array in arrays.items():
        vectors = _vectors(array, width) if array.size else None
        if vectors is None:
            continue
        for k in range(len(vectors)):
            yield f"{other}[{k}]", vectors[k].reshape(-1, width)
        if vectors.ndim == 3:
            for k in range(vectors.shape[1]):
                yield f"{other}[:, {k}]", vectors[:, k]
        yield f"{other}[1:]", vectors[1:].reshape(-1, width)
        yield f"{other}[:-1]", vectors[:-1].reshape(-1, width)


def _vectors(array: Array, width: int) -> Array | None:
    """The array as vectors of this width along its last axis, if that is what it is."""
    if array.dtype.kind in "iu" and array.ndim <= 2 and array.ndim and array.min() >= 0 and array.max() < width:
        return np.asarray(np.eye(width)[array])
    if array.dtype.kind == "f" and array.ndim in (2, 3) and array.shape[-1] == width and len(array) > 1:
        return array.astype(np.float64)
    return None
