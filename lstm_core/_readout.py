"""A linear read-out and the softmax cross-entropy of its logits, forward and backward, in arrays that are made once.

The arithmetic is that of :mod:`lstm_core.loss`, arranged for speed: a position is a column, as in
:mod:`lstm_core._loop`, so that maxima and sums run over whole rows; and all is done in place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lstm_core._checks import Array

#: logits that are added up one after the other: sums of these are added then, so that rounding does not grow with V
TOGETHER = 128


class Readout:
    """What a forward writes and its backward reads, for N positions, V logits and H hidden units: N (V + H) numbers."""

    key: tuple[Any, ...]

    def __init__(self, N: int, H: int, V: int, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)
        #: exp of the logits less their maximum, (V, N); their sum; after the backward the cotangents of the logits
        self._columns, self._total = np.empty((V, N), dtype), np.empty(N, dtype)
        self._cotangent = np.empty((H, N), dtype)
        self.nbytes = self._columns.nbytes + self._cotangent.nbytes
        self._positions = np.arange(N)

    def run(self, outputs: Array, Wy: Array, by: Array, targets: Array) -> Any:
        """The mean loss of outputs (H, N) with targets (N,), in nats; a float, or a complex number."""
        columns = self._columns
        np.dot(Wy.T, outputs, out=columns)
        columns += by[:, np.newaxis]
        columns -= columns.real.max(axis=0)
        at_target = columns[targets, self._positions]
        np.exp(columns, out=columns)
        self._total[...] = _added(columns)
        return np.mean(np.log(self._total) - at_target).item()

    def back(self, outputs: Array, Wy: Array, targets: Array) -> tuple[Array, Array, Array]:
        """The gradients of the loss after `run`, with respect to outputs, Wy and by; the first is written over later.

        They are (softmax - one-hot) / N of the logits, pulled back.
        """
        columns, share = self._columns, self.dtype.type(1 / len(targets))
        columns *= share / self._total
        columns[targets, self._positions] -= share
        np.dot(Wy, columns, out=self._cotangent)
        return self._cotangent, outputs @ columns.T, columns.sum(axis=1)


def _added(columns: Array) -> Array:
    """The sum of each column, (N,); half precision is added up in single."""
    wide = np.result_type(columns, np.float32)
    total = np.zeros(columns.shape[1], wide)
    for first in range(0, len(columns), TOGETHER):
        total += columns[first : first + TOGETHER].sum(axis=0, dtype=wide)
    return total
