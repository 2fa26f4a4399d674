"""A sequence in compiled steps: the arrays that it is made in, the loop over time for a batch, and the large products.

The steps themselves are in :mod:`lstm_core._compiled`. Only one kind of input is known there: each step and sequence
chooses a row of what inputs add to the pre-activations. For tokens these are the rows of ``W``; dense inputs have T·B
rows of their own, which are one product made beforehand, and whose cotangents are those of the pre-activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy import dot

from lstm_core._checks import Array
from lstm_core._loop import Spare, transposed

State = tuple[Array, Array]

#: the parameters of the character model
PARAMS = ("W", "U", "b", "Wy", "by")
#: for dense inputs: no cotangents are gathered by row
NONE_CHOSEN = np.zeros((0, 0), np.int64)


class Record:
    """What a forward writes and a backward reads, for T steps of B sequences with H states: 7 T·B·H numbers."""

    key: tuple[Any, ...]

    def __init__(self, T: int, B: int, H: int, dtype: Any) -> None:
        self.sizes, self.dtype = (T, B, H), np.dtype(dtype)
        #: i, f, g, o of each step
        self.gates = np.empty((T, B, 4 * H), dtype)
        #: before the first step, and after each
        self.c, self.h = np.empty((T + 1, B, H), dtype), np.empty((T + 1, B, H), dtype)
        self.tanh_c = np.empty((T, B, H), dtype)
        self.nbytes = self.gates.nbytes + self.c.nbytes + self.h.nbytes + self.tanh_c.nbytes
        self._views = list(zip(self.h[:-1], self.gates, strict=True))

    def run(self, kernels: Any, rows: Array, chosen: Array, U: Array, b: Array, state: State) -> None:
        """Fill the record.

        Args:
            kernels: :mod:`lstm_core._compiled`.
            rows: what inputs add to the pre-activations, (R, 4H).
            chosen: which of these each step and sequence has, int64 (T, B).
            U: recurrent weights, (H, 4H).
            b: biases, (4H,).
            state: ``(h0, c0)``, (B, H) each, of any real dtype.
        """
        self.h[0], self.c[0] = state
        given = self.gates, rows, chosen, b, self.c, self.tanh_c, self.h
        if self.sizes[1] == 1:
            kernels.forward_alone(U, *given)
            return
        step = kernels.step_forward
        for t, (h, z) in enumerate(self._views):
            dot(h, U, z)
            step(t, *given)

    def back(
        self, kernels: Any, dz: Array, U: Array, outer: Array | None, ends: State, d_rows: Array, chosen: Array
    ) -> Array:
        """Go back from the last step to the first.

        Args:
            kernels: :mod:`lstm_core._compiled`.
            dz: the gates, or a copy of them, (T, B, 4H): afterwards the cotangents of the pre-activations.
            U: recurrent weights, (H, 4H).
            outer: cotangents of h after each step, (T, B, H), or None.
            ends: those of the last h and c, (B, H) each; afterwards those of the first.
            d_rows: those of the rows of the inputs are added to it, (R, 4H); (0, 4H) for none.
            chosen: which rows each step and sequence has, int64 (T, B).

        Returns:
            The cotangent of b, (4H,).
        """
        T, B, H = self.sizes
        db = np.zeros(4 * H, self.dtype)
        dh, dc = ends
        outer = self.h[:0] if outer is None else outer
        given = dz, self.c, self.tanh_c, outer, dh, dc, d_rows, chosen, db
        if B == 1:
            kernels.backward_alone(U, *given)
            return db
        step, U_T = kernels.step_backward, transposed(U)
        for t in range(T - 1, -1, -1):
            step(t, *given)
            dot(dz[t], U_T, dh)
        return db

    def recurrent(self, dz: Array) -> Array:
        """The gradient of U, (H, 4H), from the cotangents of all pre-activations, as one product."""
        T, B, H = self.sizes
        product: Array = self.h[:-1].reshape(T * B, H).T @ dz.reshape(T * B, 4 * H)
        return product


class Logits:
    """What a read-out of N positions writes, for V logits and H hidden units: N (V + H) numbers."""

    key: tuple[Any, ...]

    def __init__(self, N: int, H: int, V: int, dtype: Any) -> None:
        self.logits, self.of_states = np.empty((N, V), dtype), np.empty((N, H), dtype)
        self.nbytes = self.logits.nbytes + self.of_states.nbytes


class Cotangents:
    """What a backward writes that leaves the record as it is: 4 T·B·H numbers."""

    key: tuple[Any, ...]

    def __init__(self, T: int, B: int, H: int, dtype: Any) -> None:
        self.dz = np.empty((T, B, 4 * H), dtype)
        self.nbytes = self.dz.nbytes


def plain(array: Array, dtype: Any) -> Array:
    """The array as compiled code takes it, C-contiguous, aligned and writable: itself if it is, a copy if not."""
    if type(array) is np.ndarray and array.dtype == dtype and array.dtype.isnative and array.flags.carray:
        return array
    return np.array(array, dtype, order="C")


class Step:
    """One training step of the character model, from the loss to the gradients.

    Args:
        kernels: :mod:`lstm_core._compiled`.
        spare: where arrays are taken from, and given back to by `end`.
        params: ``W`` (D, 4H), ``U``, ``b``, ``Wy`` and ``by``, checked.
        tokens: int (T, B).
        targets: int (T, B).
        state: ``(h0, c0)``, (B, H) each.
        dtype: of the computation.
    """

    def __init__(
        self,
        kernels: Any,
        spare: Spare,
        params: Mapping[str, Array],
        tokens: Array,
        targets: Array,
        state: State,
        dtype: Any,
    ) -> None:
        self._kernels, self._spare = kernels, spare
        self._W, self._U, self._b, self._Wy, self._by = (plain(params[name], dtype) for name in PARAMS)
        self._tokens, self._targets = plain(tokens, np.int64), plain(targets, np.int64).reshape(-1)
        self._state = state
        (T, B), (H, V) = tokens.shape, self._Wy.shape
        self._record: Record = spare.take(Record, T, B, H, dtype)
        self._logits: Logits = spare.take(Logits, T * B, H, V, dtype)
        self._outputs = self._record.h[1:].reshape(T * B, H)
        self._dby = np.zeros(V, dtype)

    def loss(self) -> float:
        """The mean loss, in nats."""
        self._record.run(self._kernels, self._W, self._tokens, self._U, self._b, self._state)
        logits = self._logits.logits
        dot(self._outputs, self._Wy, logits)
        share = self._dby.dtype.type(1 / len(logits))
        return float(self._kernels.softmax(logits, self._by, self._targets, share, self._dby))

    def last(self) -> State:
        """The states after the last step, (B, H) each."""
        return self._record.h[-1].copy(), self._record.c[-1].copy()

    def gradients(self) -> dict[str, Array]:
        """Those of the parameters, after the loss; the gates are written over."""
        record, logits, of_states = self._record, self._logits.logits, self._logits.of_states
        dot(logits, self._Wy.T, of_states)
        dW, ends = np.zeros_like(self._W), (np.zeros_like(record.h[0]), np.zeros_like(record.h[0]))
        outer = of_states.reshape(record.tanh_c.shape)
        db = record.back(self._kernels, record.gates, self._U, outer, ends, dW, self._tokens)
        dWy = self._outputs.T @ logits
        return {"W": dW, "U": record.recurrent(record.gates), "b": db, "Wy": dWy, "by": self._dby}

    def end(self) -> None:
        """Give the arrays back."""
        self._spare.give(self._record, self._logits)
