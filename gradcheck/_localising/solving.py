"""Whether a difference lies in the range of a matrix, and what solves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck._common.clock import look
from gradcheck._localising.tape import Array

#: a difference counts as explained if what is left of it is smaller than this share
TOLERANCE = 1e-6
#: singular values below this share of the largest count as zero
CUTOFF = 1e-10
#: squares of singular values, columns being up to one, as shares of the largest: what is above is not zero ...
CLEARLY = 1e-9
#: ... and what is below, but for rounding, is zero; where some are between, the squares do not tell
ROUNDING = 1e-15


@dataclass(frozen=True)
class Range:
    """The range of a matrix, as an orthonormal basis (m, rank)."""

    basis: Array

    @property
    def rank(self) -> int:
        """The number of directions in it."""
        return int(self.basis.shape[1])

    @property
    def complement(self) -> Array:
        """An orthonormal basis of all that is orthogonal to it, (m, m - rank)."""
        if not self.rank:
            return np.eye(len(self.basis))
        return np.linalg.qr(self.basis, mode="complete").Q[:, self.rank :]

    def rest(self, r: Array) -> float:
        """The share of r that is outside."""
        whole = float(np.linalg.norm(r))
        if whole == 0:
            return 0.0
        return float(np.linalg.norm(r - self.basis @ (self.basis.T @ r))) / whole

    def holds(self, r: Array) -> bool:
        """Whether r lies in it."""
        return self.rest(r) <= TOLERANCE


def range_of(matrix: Array) -> Range:
    """The range of a matrix (m, n)."""
    look()
    matrix = matrix[:, np.any(matrix != 0, axis=0)]
    if not matrix.size or not np.all(np.isfinite(matrix)):
        return Range(np.zeros((len(matrix), 0)))
    matrix = matrix / np.max(np.abs(matrix), axis=0)  # the same range
    basis = _by_squares(matrix)
    if basis is not None:
        return Range(basis)
    if matrix.shape[1] > 2 * matrix.shape[0]:  # its range is that of a square factor
        matrix = np.asarray(np.linalg.qr(matrix.T, mode="r")).T
    u, s, _ = np.linalg.svd(matrix, full_matrices=False)
    return Range(u[:, s > CUTOFF * s[0]])


def _by_squares(matrix: Array) -> Array | None:
    """The basis from the eigenvectors of a product of the matrix with itself, at a third of the cost.

    None where squares of singular values are so small that rounding may have made them, and need not have.
    """
    is_wide = matrix.shape[1] > matrix.shape[0]
    squares, vectors = np.linalg.eigh(matrix @ matrix.T if is_wide else matrix.T @ matrix)
    shares = np.abs(squares) / squares[-1]
    clear = shares >= CLEARLY
    if np.any(~clear & (shares > ROUNDING * len(shares))):
        return None
    basis = vectors[:, clear]
    return np.asarray(basis if is_wide else matrix @ basis / np.sqrt(squares[clear]))


def solution(matrix: Array, r: Array) -> tuple[Array, bool]:
    """The smallest x with ``matrix @ x = r``, and whether there is no other."""
    x, _, rank, _ = np.linalg.lstsq(matrix, r, rcond=CUTOFF)
    return x, int(rank) == matrix.shape[1]
