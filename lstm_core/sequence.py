"""A whole sequence: the cell of :mod:`lstm_core.cell` through time, and its backward by few large products.

Only what depends on the step before stays in the loops over time (:mod:`lstm_core._loop`). Backpropagation through time
(Werbos 1990) writes the cotangents of all pre-activations into one buffer, so that the weight gradients are ONE product
over T·B columns. Arrays are time-major here: (T, B, ...).

The loops work on weights whose columns are halved for the sigmoid gates, which is exact in binary arithmetic; the
finished weight gradients are halved by the same columns.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lstm_core._checks import (
    Array,
    require_array,
    require_gates,
    require_numbers,
    require_rank,
    require_shape,
    require_tokens,
)
from lstm_core._loop import Lease, Pullback, Spare, Tape, transposed
from lstm_core._path import kernels
from lstm_core._record import NONE_CHOSEN, Cotangents, Record, plain

#: one-hot rows of so many tokens, or of as many as there are states, cost less in the product than sums beside it
FEW_TOKENS = 128

#: what the last sequences of three sizes used, half a gigabyte at most, for the next: making arrays anew costs up to a
#: third of the time
_SPARE = Spare(sizes=6, most=2**29)


class SequenceCache(NamedTuple):
    """What :func:`lstm_forward` keeps for :func:`lstm_backward`.

    A snapshot: nothing the caller does to its own arrays afterwards, or to the results, changes the
    gradients.
    """

    tape: Tape | Record  # a record if the steps were compiled
    x: Array  # (T, B, D), or the tokens (T, B)
    W: Array  # (D, 4H), scaled beside a tape
    U: Array  # (H, 4H), the same
    lease: Lease | None = None  # keeps the tape from being written to by another sequence
    b: Array | None = None  # (4H,), beside a record


def lstm_forward(
    x: Array, h0: Array, c0: Array, W: Array, U: Array, b: Array
) -> tuple[Array, tuple[Array, Array], SequenceCache]:
    """Run an LSTM over a batch of sequences.

    Args:
        x: inputs, float or complex (T, B, D); or tokens, int (T, B), each of which stands for the one-hot row
            that selects its row of ``W``.
        h0: hidden state before the first step, (B, H).
        c0: cell state before the first step, (B, H).
        W: input weights, (D, 4H), gates in the order i, f, g, o.
        U: recurrent weights, (H, 4H).
        b: biases, (4H,).

    Returns:
        ``h``, the hidden states after each step, (T, B, H); ``(hT, cT)``, the states after the last, (B, H)
        each; and the cache for :func:`lstm_backward`. All in the common dtype of the floating arguments, so
        complex parameters give complex states. The results belong to the caller; no later call writes to
        them.

    Raises:
        TypeError: an array of the wrong kind of numbers.
        ValueError: shapes that do not fit each other, an empty axis, or a token that ``W`` has no row for.
    """
    dtype = check_sequence(x, h0, c0, W, U, b)
    if kernels(dtype):
        return _forward_compiled(x, (h0, c0), *(np.array(array, dtype, order="C") for array in (W, U, b)))
    tape = _SPARE.take(Tape, *tape_sizes(x, W, U), dtype)
    cache = forward(tape, x.copy(), h0, c0, W, U, b)._replace(lease=Lease(_SPARE, tape))
    T = tape.sizes[0]
    h = np.ascontiguousarray(tape.states[1:].transpose(0, 2, 1)) * tape.dtype.type(0.5)
    return h, (h[T - 1].copy(), tape.gates[T, 4].T.copy()), cache


def _forward_compiled(
    x: Array, state: tuple[Array, Array], W: Array, U: Array, b: Array
) -> tuple[Array, tuple[Array, Array], SequenceCache]:
    """:func:`lstm_forward` in compiled steps; the parameters are copies, and of the dtype of the computation."""
    T, B = x.shape[:2]
    record = _SPARE.take(Record, T, B, len(U), W.dtype)
    if x.ndim == 3:
        x = np.array(x, W.dtype, order="C")
        rows, chosen = x.reshape(T * B, -1) @ W, np.arange(T * B).reshape(T, B)
    else:
        x = np.array(x, np.int64, order="C")
        rows, chosen = W, x
    record.run(kernels(W.dtype), rows, chosen, U, b, state)
    cache = SequenceCache(record, x, W, U, Lease(_SPARE, record), b)
    h = record.h[1:].copy()
    return h, (h[T - 1].copy(), record.c[T].copy()), cache


def tape_sizes(x: Array, W: Array, U: Array) -> tuple[int, int, int, int]:
    """T, B, H, and how many rows the inputs have in the product of a step; 0 if what they add is made beforehand."""
    (T, B), H = x.shape[:2], len(U)
    if B == 1 or (x.ndim == 2 and len(W) > max(FEW_TOKENS, H)):
        return T, B, H, 0
    return T, B, H, len(W) + (x.ndim == 3)  # of dense ones, one more for the bias


def forward(tape: Tape, x: Array, h0: Array, c0: Array, W: Array, U: Array, b: Array) -> SequenceCache:
    """Fill a tape of the sizes of :func:`tape_sizes`; the other arguments are those of a forward, checked."""
    U, W, b = (_halved(array, tape.dtype) for array in (U, W, b))
    U *= tape.dtype.type(0.5)  # since it meets 2h
    tape.states[0] = 2 * h0.T
    tape.gates[0, 4] = c0.T
    if not tape.inputs.shape[1]:
        terms = (W + b)[x] if x.ndim == 2 else x.astype(tape.dtype, copy=False) @ W + b
        tape.run(U.T if x.shape[1] == 1 else transposed(U), terms.transpose(0, 2, 1))
    elif x.ndim == 3:
        tape.inputs[:, :-1], tape.inputs[:, -1] = x.transpose(0, 2, 1), 1
        tape.run(transposed(U, W, b[np.newaxis]), None)
    else:
        tape.inputs[...] = 0
        tape.inputs[np.arange(len(x))[:, np.newaxis], x, np.arange(x.shape[1])] = 1
        tape.run(transposed(U, W + b), None)  # a column has a single one
    return SequenceCache(tape, x, W, U)


def _halved(weights: Array, dtype: np.dtype[Any]) -> Array:
    """A copy, (..., 4H), with the columns of the three sigmoid gates halved."""
    return np.multiply(weights, _scale(weights.shape[-1] // 4, dtype), dtype=dtype)


def _scale(H: int, dtype: np.dtype[Any]) -> Array:
    """What halves them, (4H,)."""
    return np.repeat(np.array([0.5, 0.5, 1.0, 0.5], dtype), H)


def lstm_backward(dh: Array | None, dhT: Array | None, dcT: Array | None, cache: SequenceCache) -> dict[str, Array]:
    """Backpropagation through time: the adjoint of :func:`lstm_forward`.

    Linear in the three cotangents, and nothing is clipped on the way: clip the finished gradient, if at all
    (:func:`lstm_core.optim.clip_by_global_norm`).

    Args:
        dh: cotangent of ``h``, (T, B, H), or None for zero.
        dhT: cotangent of ``hT``, (B, H), or None for zero; added to that of ``h[T-1]``, which is the same
            state.
        dcT: cotangent of ``cT``, (B, H), or None for zero.
        cache: from :func:`lstm_forward`; may be used more than once.

    Returns:
        A mapping with the cotangents of ``x``, ``h0``, ``c0``, ``W``, ``U`` and ``b``, each in that array's
        shape. For tokens there is no ``x``: an index has no derivative.

    Raises:
        TypeError: a cotangent does not hold floating or complex numbers.
        ValueError: a cotangent of the wrong shape.
    """
    T, B, H = cache.tape.sizes
    given = {name: array for name, array in (("dh", dh), ("dhT", dhT), ("dcT", dcT)) if array is not None}
    dtype = np.result_type(require_numbers(**given), cache.tape.dtype) if given else cache.tape.dtype
    for name, array in given.items():
        axes = "(T, B, H)" if name == "dh" else "(B, H)"
        require_shape(name, array, (T, B, H) if name == "dh" else (B, H), axes)
    if isinstance(cache.tape, Record):
        if dtype == cache.tape.dtype:
            return _backward_compiled(dh, dhT, dcT, cache, cache.tape)
        cache = _in_numpy(cache)
    columns = None
    if dh is not None:
        columns = np.empty((H, T, B), dtype)
        columns[...] = dh.transpose(2, 0, 1)
    pullback = _SPARE.take(Pullback, T, B, H, dtype)
    grads = backward(pullback, columns, dhT, dcT, cache)
    _SPARE.give(pullback)
    return grads


def backward(
    pullback: Pullback, dh: Array | None, dhT: Array | None, dcT: Array | None, cache: SequenceCache
) -> dict[str, Array]:
    """The gradients of :func:`lstm_backward`; ``dh`` is (H, T, B), and all is checked."""
    tape, x, W, U, _, _ = cache
    assert isinstance(tape, Tape)
    _, B, H = tape.sizes
    zeros = np.zeros((H, B), pullback.dtype)
    dh0, dc0 = pullback.run(
        tape,
        U.astype(pullback.dtype, copy=False),
        None if dh is None else dh.transpose(1, 0, 2),
        zeros if dhT is None else dhT.T,
        zeros if dcT is None else dcT.T,
    )
    # the rows are 2 dL/d(½ z) for sigmoid gates and 2 dL/dz for the candidate; columns are 2h
    rows, scale = pullback.columns.T, _scale(H, tape.dtype) * tape.dtype.type(0.5)
    stacked = tape.columns @ rows
    stacked *= scale
    stacked[:H] *= tape.dtype.type(0.5)
    grads, below = {"h0": dh0.T.copy(), "c0": dc0.T.copy(), "U": stacked[:H]}, stacked[H:]
    if not len(below):
        grads["W"], grads["b"] = _input_weight_gradient(rows, cache) * scale, rows.sum(axis=0) * scale
    elif x.ndim == 3:
        grads["W"], grads["b"] = below[:-1], below[-1]
    else:
        grads["W"], grads["b"] = below, below.sum(axis=0)
    if x.ndim == 3:
        grads["x"] = (rows @ (W.T * tape.dtype.type(0.5))).reshape(x.shape)
    return grads


def _backward_compiled(
    dh: Array | None, dhT: Array | None, dcT: Array | None, cache: SequenceCache, record: Record
) -> dict[str, Array]:
    """:func:`lstm_backward` in compiled steps; all is checked, and no cotangent of a wider dtype than the record."""
    (T, B, H), dtype = record.sizes, record.dtype
    dh0, dc0 = (np.zeros((B, H), dtype) if end is None else np.array(end, dtype, order="C") for end in (dhT, dcT))
    outer = None if dh is None else plain(dh, dtype)
    cotangents = _SPARE.take(Cotangents, T, B, H, dtype)
    dz, dense = cotangents.dz, cache.x.ndim == 3
    np.copyto(dz, record.gates)
    dW, chosen = (np.empty((0, 4 * H), dtype), NONE_CHOSEN) if dense else (np.zeros_like(cache.W), cache.x)
    db = record.back(kernels(dtype), dz, cache.U, outer, (dh0, dc0), dW, chosen)
    grads = {"h0": dh0, "c0": dc0, "U": record.recurrent(dz), "b": db, "W": dW}
    if dense:
        rows = dz.reshape(T * B, 4 * H)
        grads["W"] = cache.x.reshape(T * B, -1).T @ rows
        grads["x"] = (rows @ cache.W.T).reshape(cache.x.shape)
    _SPARE.give(cotangents)
    return grads


def _in_numpy(cache: SequenceCache) -> SequenceCache:
    """What the NumPy path would have kept, for cotangents of a dtype that is not compiled, such as complex ones."""
    record, x, W, U, _, b = cache
    assert isinstance(record, Record)
    assert b is not None
    return forward(Tape(*tape_sizes(x, W, U), record.dtype), x, record.h[0], record.c[0], W, U, b)


def _input_weight_gradient(rows: Array, cache: SequenceCache) -> Array:
    """The gradient of the scaled W, (D, 4H), from the cotangents of all pre-activations, (T·B, 4H)."""
    if cache.x.ndim == 3:
        return cache.x.reshape(len(rows), -1).T @ rows
    # A product with the one-hot rows of the tokens that occur: faster than np.add.at, never wider than T·B.
    present, position = np.unique(cache.x, return_inverse=True)
    one_hot = np.zeros((present.size, len(rows)), rows.dtype)
    one_hot[position.ravel(), np.arange(len(rows))] = 1
    gradient = np.zeros(cache.W.shape, rows.dtype)
    gradient[present] = one_hot @ rows
    return gradient


def check_sequence(x: Array, h0: Array, c0: Array, W: Array, U: Array, b: Array) -> np.dtype[Any]:
    """Refuse what does not fit, and return the dtype of the computation."""
    dtype = require_numbers(h0=h0, c0=c0, W=W, U=U, b=b)
    require_array("x", x)
    H = require_gates(U)
    require_rank("W", W, "(D, 4H)")
    require_shape("W", W, (len(W), 4 * H), "(D, 4H)")
    require_shape("b", b, (4 * H,), "(4H,)")
    if x.dtype.kind in "iu":
        require_rank("x", x, "(T, B)")
        require_tokens("x", x, len(W))
    else:
        dtype = np.result_type(dtype, require_numbers(x=x))
        require_rank("x", x, "(T, B, D)")
        require_shape("x", x, (*x.shape[:2], len(W)), "(T, B, D)")
    require_shape("h0", h0, (x.shape[1], H), "(B, H)")
    require_shape("c0", c0, (x.shape[1], H), "(B, H)")
    return dtype
