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
    matrix = matrix / np.max(np.abs(matrix))  # squares of what is very large, or small, are no numbers
    if matrix.shape[1] < matrix.shape[0]:
        frame, factor = np.linalg.qr(matrix)
        return Range(frame if _is_regular(factor) else frame @ _basis(factor))
    factor = np.asarray(np.linalg.qr(matrix.T, mode="r")).T
    return Range(np.eye(len(matrix)) if _is_regular(factor) else _basis(factor))


def is_outside(matrix: Array, r: Array) -> bool:
    """Whether r is outside of the range of a matrix for certain, at a small part of what the range costs.

    What of r is orthogonal to all columns is the last entry of a triangular factor, or less than that.
    """
    if matrix.shape[1] >= matrix.shape[0] or not np.all(np.isfinite(matrix)):
        return False
    factor = np.asarray(np.linalg.qr(np.column_stack([matrix, r]), mode="r"))
    return bool(abs(factor[-1, -1]) > TOLERANCE * np.linalg.norm(r))


def _is_regular(square: Array) -> bool:
    """Whether none of its singular values counts as zero; for most matrices, at a small part of what these cost."""
    try:
        inverse = np.linalg.inv(square)
    except np.linalg.LinAlgError:
        return False
    return bool(np.linalg.norm(square) * np.linalg.norm(inverse) * CUTOFF < 1)


def _basis(square: Array) -> Array:
    """An orthonormal basis of the range of a square matrix."""
    basis = _by_squares(square)
    if basis is None:
        u, s = _left_vectors(square)
        basis = u[:, s > CUTOFF * s[0]]
    return basis


def _left_vectors(square: Array) -> tuple[Array, Array]:
    """The left singular vectors and the singular values; seldom LAPACK gives up on a matrix, and not on it turned."""
    try:
        u, s, _ = np.linalg.svd(square)
    except np.linalg.LinAlgError:
        _, s, transposed = np.linalg.svd(np.ascontiguousarray(square.T))
        u = transposed.T
    return u, s


def _by_squares(square: Array) -> Array | None:
    """The basis from the eigenvectors of the matrix times itself turned, at a third of the cost.

    None where the matrix has singular values that are too small for the product, and not zero, or LAPACK gives up.
    """
    try:
        squares, vectors = np.linalg.eigh(square @ square.T)
    except np.linalg.LinAlgError:
        return None
    clear = squares >= CLEARLY * squares[-1]
    left = vectors[:, ~clear].T @ square
    return None if np.max(np.abs(left), initial=0.0) > LEFT * np.sqrt(squares[-1]) else vectors[:, clear]


def solution(matrix: Array, r: Array) -> tuple[Array, bool]:
    """The smallest x with ``matrix @ x = r``, and whether there is no other."""
    x, _, rank, _ = np.linalg.lstsq(matrix, r, rcond=CUTOFF)
    return x, int(rank) == matrix.shape[1]
