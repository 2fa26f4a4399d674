"""The two loops over time, the backward beside the forward, in arrays that are made once.

The arithmetic is that of :mod:`lstm_core.cell`, arranged for speed:

- The batch is the last axis, so that a gate is one contiguous block (H, B), and a step needs as few calls as possible.
- The four gates share one tanh, since σ(z) = ½ tanh(½ z) + ½. The weights come with their sigmoid columns halved. Kept
  of a sigmoid gate is 2σ = 1 + tanh, and of a state h, 2h; the factors ½ go into the weights, which is exact.
- Inputs stand below the states they meet, so that one product of [h; x] with the stacked weights makes all
  pre-activations; or what they add is made beforehand, and added.
- Every factor of the backward that does not wait for a cotangent is computed for a block of steps at once, small
  enough to stay in a processor's cache.

A product over all T·B columns needs the time axis beside the batch, a single sequence needs it first; `_steps` decides,
and everything else works on views with the axes (T, rows, B).
"""

from __future__ import annotations

import math
from threading import RLock
from typing import Any

import numpy as np
from numpy import add, dot, multiply, subtract

from lstm_core._checks import Array
from lstm_core._tanh import tanh as complex_tanh

#: bytes of one block (H, B) for as many steps as the backward takes at once
BLOCK = 2**18
#: how many kinds and sizes are kept for reuse (three of each size of a model), and how many of each beside the last one
SIZES, SPARES = 9, 1
#: rows that are transposed at a time: columns of a wide matrix, one by one, are slow to read
STRIP = 8


class Tape:
    """What a forward writes and a backward reads, for T steps of B sequences with D input rows below H states.

    About (7 + D/H) T·B·H numbers.
    """

    key: tuple[Any, ...]

    def __init__(self, T: int, B: int, H: int, D: int, dtype: Any) -> None:
        self.sizes, self.dtype = (T, B, H), np.dtype(dtype)
        #: 2i, 2f, g, 2o after each step and c before it
        self.gates = np.empty((T + 1, 5, H, B), dtype)
        self.tanh_c = np.empty((T, H, B), dtype)
        #: 2h before each step, and below it the input
        self.stacked = _steps(T + 1, H + D, B, dtype)
        self.states, self.inputs = self.stacked[:, :H], self.stacked[:T, H:]
        self._sum = np.empty((2, H, B), dtype)
        self.nbytes = self.gates.nbytes + self.tanh_c.nbytes + self.stacked.nbytes
        self._half, self._one_where_sigmoid = np.array(0.5, dtype), _column([1, 1, 0, 1], dtype)
        gates, states = self.gates, self.states
        #: for each step: [h; x], pre-activations, the same gate by gate, i f, g c, c after, tanh c, o, h after
        self._views = [
            (
                self.stacked[t].reshape(1, H) if B == 1 else self.stacked[t],
                gates[t, :4].reshape(1, 4 * H) if B == 1 else gates[t, :4].reshape(4 * H, B),
                gates[t, :4],
                gates[t, :2],
                gates[t, 2::2],
                gates[t + 1, 4],
                self.tanh_c[t],
                gates[t, 3],
                states[t + 1],
            )
            for t in range(T)
        ]

    @property
    def columns(self) -> Array:
        """[2h; x] before each step, (H + D, T·B)."""
        return _columns(self.stacked[:-1])

    @property
    def outputs(self) -> Array:
        """2h after each step, (H, T·B)."""
        return _columns(self.states[1:])

    def run(self, weights: Array, terms: Array | None) -> None:
        """Fill the tape from its initial states, and its inputs if they are in the product.

        Args:
            weights: of [2h; x] for the halved pre-activations, (4H, H + D).
            terms: what is added to them, (T, 4H, B), or None.
        """
        T, B, _ = self.sizes
        (first, second), both = self._sum, self._sum
        half, one = self._half, self._one_where_sigmoid
        by_column = B == 1
        right = weights.T if by_column else weights
        tanh: Any = complex_tanh if self.dtype.kind == "c" else np.tanh
        added = [None] * T if terms is None else list(terms.reshape(T, 1, -1) if by_column else terms)
        for term, (below, z, gates, i_f, g_c, c, tanh_c, o, h) in zip(added, self._views, strict=True):
            if by_column:
                dot(below, right, z)
            else:
                dot(right, below, z)
            if term is not None:
                add(z, term, z)
            tanh(z, z)
            add(gates, one, gates)
            multiply(i_f, g_c, both)
            add(first, second, first)
            multiply(first, half, c)
            tanh(c, tanh_c)
            multiply(o, tanh_c, h)


class Pullback:
    """What a backward writes: about 7 T·B·H numbers. It may be of a wider dtype than its tape."""

    key: tuple[Any, ...]

    def __init__(self, T: int, B: int, H: int, dtype: Any) -> None:
        self.sizes, self.dtype = (T, B, H), np.dtype(dtype)
        self.dh = np.empty((H, B), dtype)
        #: cotangents of c before a step, of its halved z_i, z_f, z_g, z_o times 2, and what h passes on to c
        self._rows = _steps(T, 6 * H, B, dtype)
        self._block = max(1, min(T, BLOCK // (H * B * self.dtype.itemsize)))
        #: by these its c and its h multiply: c before, z_i, z_f, z_g; z_o, c
        self._slopes = np.empty((self._block, 6, H, B), dtype)
        self.nbytes = self._rows.nbytes + self._slopes.nbytes
        self._half, self._one, self._two = (np.array(value, dtype) for value in (0.5, 1, 2))
        rows, slopes = self._rows.reshape(T, 6, H, B), self._slopes
        #: for each step: slopes by c, what they give, slopes by h, what they give, to c, from c before, pre-activations
        self._views = [
            (
                slopes[t % self._block, :4],
                rows[t, :4],
                slopes[t % self._block, 4:],
                rows[t, 4:],
                rows[t, 5],
                rows[t, 0],
                self._rows[t, H : 5 * H].reshape(1, 4 * H) if B == 1 else self._rows[t, H : 5 * H],
            )
            for t in range(T)
        ]

    @property
    def columns(self) -> Array:
        """The cotangents of the halved pre-activations times 2, (4H, T·B)."""
        H = self.sizes[2]
        return _columns(self._rows[:, H : 5 * H])

    def run(self, tape: Tape, U: Array, dh: Array | None, dhT: Array, dcT: Array) -> tuple[Array, Array]:
        """Fill the rows from the last step to the first.

        Args:
            tape: after its run.
            U: the same for 2h, (H, 4H): half of what they are for h, as the rows are twice the cotangents.
            dh: cotangents of h after each step, (T, H, B), or None.
            dhT: of the last h, (H, B).
            dcT: of the last c, (H, B).

        Returns:
            The cotangents of the first h and c, (H, B) each: views of what the next run writes to.
        """
        T, B, _ = self.sizes
        dh_t, dc_t, U_T = self.dh, dcT, U.T
        by_row = B == 1
        into = dh_t.reshape(1, -1) if by_row else dh_t
        np.copyto(dh_t, dhT)
        outer = [None] * T if dh is None else list(dh)
        for start in range((T - 1) // self._block * self._block, -1, -self._block):
            block = slice(start, min(start + self._block, T))
            self._fill_slopes(tape, block)
            for from_outside, views in zip(reversed(outer[block]), reversed(self._views[block]), strict=True):
                by_c, of_c, by_h, of_h, to_c, c_before, dz = views
                if from_outside is not None:
                    add(dh_t, from_outside, dh_t)
                multiply(by_h, dh_t, of_h)
                add(to_c, dc_t, to_c)
                multiply(by_c, to_c, of_c)
                dc_t = c_before
                if by_row:
                    dot(dz, U_T, into)
                else:
                    dot(U, dz, into)
        return dh_t, dc_t

    def _fill_slopes(self, tape: Tape, steps: slice) -> None:
        """The local derivatives of these steps, those by pre-activations times 2.

        With s = 2σ and ẑ = ½ z, ds/dẑ = s (2 - s) / 2; and c = ½ (s_f c + s_i g), h = ½ s_o tanh c.
        """
        gates, tanh_c = tape.gates[steps], tape.tanh_c[steps]
        slopes = self._slopes[: len(gates)]
        half, one, two = self._half, self._one, self._two
        for sigmoids, factors, into in (
            (gates[:, :2], gates[:, 2::2], slopes[:, 1:3]),  # of c by z_i and z_f
            (gates[:, 3], tanh_c, slopes[:, 4]),  # of h by z_o
        ):
            subtract(two, sigmoids, into)
            multiply(into, sigmoids, into)
            multiply(into, factors, into)
        for tanhs, factors, into in (
            (gates[:, 2], gates[:, 0], slopes[:, 3]),  # of c by z_g
            (tanh_c, gates[:, 3], slopes[:, 5]),  # of h by c, with a factor 2 as well
        ):
            multiply(tanhs, tanhs, into)
            subtract(one, into, into)
            multiply(into, factors, into)
        multiply(slopes[:, 5], half, slopes[:, 5])
        multiply(gates[:, 1], half, slopes[:, 0])  # of c by c before


class Spare:
    """Tapes, pullbacks and the like that nobody uses at the moment, for the next call of the same sizes.

    Whoever takes one has it alone: calls in several threads, or one inside another, never share it.
    """

    def __init__(self, sizes: int = SIZES, most: float = math.inf) -> None:
        self._sizes, self._most = sizes, most
        self._kept: dict[Any, list[Any]] = {}
        self._lock = RLock()  # one may be given back while another is taken: where garbage is collected, in one thread

    def take(self, kind: Any, *arguments: Any) -> Any:
        """One made with these arguments, which may have been used before."""
        key = (kind, *arguments)
        with self._lock:
            kept = self._kept.get(key)
            if kept:
                return kept.pop()
        made = kind(*arguments)
        made.key = key
        return made

    def give(self, *ones: Any) -> None:
        """Hand back what was taken, to be used again; what is too much, in sizes or bytes, is forgotten."""
        with self._lock:
            for one in ones:
                kept = self._kept.pop(one.key, [])
                kept[SPARES:] = [one]  # the same list, which `take` may be about to take from
                self._kept[one.key] = kept
            for key in list(self._kept):
                if len(self._kept) > self._sizes or self._bytes() > self._most:
                    self._kept.pop(key, None)

    def _bytes(self) -> int:
        return sum(one.nbytes for kept in list(self._kept.values()) for one in kept)

    def __reduce__(self) -> tuple[type[Spare], tuple[int, float]]:
        """A copy of a model makes its own."""
        return Spare, (self._sizes, self._most)


class Lease:
    """Gives a tape back when the last cache that holds it is gone."""

    def __init__(self, spare: Spare, tape: Tape) -> None:
        self._spare, self._tape = spare, tape

    def __del__(self) -> None:
        """Nobody can read the tape any more."""
        self._spare.give(self._tape)


def transposed(*weights: Array) -> Array:
    """Matrices (..., 4H), one below the other, as (4H, ...) with each row in one piece."""
    heights = [len(part) for part in weights]
    turned, at = np.empty((weights[0].shape[1], sum(heights)), weights[0].dtype), 0
    for part in weights:
        for first in range(0, len(part), STRIP):
            strip = part[first : first + STRIP]
            turned[:, at : at + len(strip)] = strip.T
            at += len(strip)
    return turned


def _steps(T: int, rows: int, B: int, dtype: Any) -> Array:
    """An empty array (T, rows, B), laid out so that its columns (rows, T·B) are one matrix."""
    if B == 1:
        return np.empty((T, rows, B), dtype)
    return np.empty((rows, T, B), dtype).transpose(1, 0, 2)


def _columns(steps: Array) -> Array:
    """(T, rows, B) as (rows, T·B), without a copy."""
    T, rows, B = steps.shape
    columns: Array = steps.reshape(T, rows).T if B == 1 else steps.transpose(1, 0, 2).reshape(rows, T * B)
    return columns


def _column(values: list[float], dtype: Any) -> Array:
    return np.array(values, dtype).reshape(-1, 1, 1)
