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
#: eigenvalues of a product of the matrix with itself above this share of the largest are told from zero; of the
#: directions of the others the matrix itself tells, to a share of ...
CLEARLY = 1e-9
#: ... its largest singular value, which is below CUTOFF
LEFT = 3e-11


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
    basis = _by_squares(matrix)
    if basis is not None:
        return Range(basis)
    if matrix.shape[1] > 2 * matrix.shape[0]:  # its range is that of a square factor
        matrix = np.asarray(np.linalg.qr(matrix.T, mode="r")).T
    u, s = _left_vectors(matrix)
    return Range(u[:, s > CUTOFF * s[0]])


def _left_vectors(matrix: Array) -> tuple[Array, Array]:
    """The left singular vectors and the singular values; seldom LAPACK gives up on a matrix, and not on it turned."""
    try:
        u, s, _ = np.linalg.svd(matrix, full_matrices=False)
    except np.linalg.LinAlgError:
        _, s, transposed = np.linalg.svd(np.ascontiguousarray(matrix.T), full_matrices=False)
        u = transposed.T
    return u, s


def _by_squares(matrix: Array) -> Array | None:
    """The basis from the eigenvectors of a product of the matrix with itself, at a third of the cost.

    None where the matrix has singular values that are too small for the product, and not zero.
    """
    is_wide = matrix.shape[1] > matrix.shape[0]
    squares, vectors = np.linalg.eigh(matrix @ matrix.T if is_wide else matrix.T @ matrix)
    clear = squares >= CLEARLY * squares[-1]
    others = vectors[:, ~clear]
    left = others.T @ matrix if is_wide else matrix @ others
    if np.max(np.abs(left), initial=0.0) > LEFT * np.sqrt(squares[-1]):
        return None
    basis = vectors[:, clear]
    return np.asarray(basis if is_wide else matrix @ basis / np.sqrt(squares[clear]))


def solution(matrix: Array, r: Array) -> tuple[Array, bool]:
    """The smallest x with ``matrix @ x = r``, and whether there is no other."""
    x, _, rank, _ = np.linalg.lstsq(matrix, r, rcond=CUTOFF)
    return x, int(rank) == matrix.shape[1]
