"""A whole sequence: the cell of :mod:`lstm_core.cell` through time, and its backward by few large products.

Only what depends on the step before stays in the loop over time: one product with ``U`` and the gates. The
input weights are applied to all T·B rows at once, and backpropagation through time (Werbos 1990) writes the
cotangents of all pre-activations into one buffer, so that each weight gradient is ONE product over T·B rows.
Arrays are time-major: (T, B, ...).

The four gates share one tanh, because σ(z) = ½ tanh(½ z) + ½. So the computation runs on weights whose columns are
halved for the sigmoid gates, which is exact in binary arithmetic; the result of the tanh is mapped from (-1, 1) to
(0, 1) there; and the backward halves the finished weight gradients by the same columns.
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


class SequenceCache(NamedTuple):
    """What :func:`lstm_forward` keeps for :func:`lstm_backward`.

    A snapshot: nothing the caller does to its own arrays afterwards, or to the results, changes the
    gradients.
    """

    x: Array  # (T, B, D), or the tokens (T, B)
    h: Array  # (T+1, B, H), the initial state first
    c: Array  # (T+1, B, H), likewise
    gates: Array  # (T, B, 4H), activated
    tanh_c: Array  # (T, B, H)
    W: Array  # (D, 4H), scaled
    U: Array  # (H, 4H), scaled


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
    dtype = _check_sequence(x, h0, c0, W, U, b)
    x, T, (B, H) = x.copy(), len(x), h0.shape
    h, c = np.empty((T + 1, B, H), dtype), np.empty((T + 1, B, H), dtype)
    h[0], c[0] = h0, c0
    scale = _scale(H, dtype)
    W, U, b = W * scale, U * scale, b * scale
    gates, tanh_c = _input_terms(x, W, b, dtype), np.empty((T, B, H), dtype)
    _run(gates, h, c, tanh_c, U.astype(dtype, copy=False), scale)
    cache = SequenceCache(x, h, c, gates, tanh_c, W, U)
    return h[1:].copy(), (h[T].copy(), c[T].copy()), cache


def _input_terms(x: Array, W: Array, b: Array, dtype: np.dtype[Any]) -> Array:
    """The part x W + b of all pre-activations, (T, B, 4H): it waits for no earlier step."""
    if x.ndim == 2:
        return (W + b).astype(dtype, copy=False)[x]
    T, B, D = x.shape
    rows: Array = x.reshape(T * B, D).astype(dtype, copy=False) @ W.astype(dtype, copy=False)
    rows += b
    return rows.reshape(T, B, b.size)


def _scale(H: int, dtype: np.dtype[Any]) -> Array:
    """The factor s of each column, (4H,), with which s·tanh(s·z) + (1 - s) activates all four gates."""
    return np.repeat(np.array([0.5, 0.5, 1.0, 0.5], dtype), H)


def _run(gates: Array, h: Array, c: Array, tanh_c: Array, U: Array, scale: Array) -> None:
    """The loop over time: fills ``h[1:]``, ``c[1:]`` and ``tanh_c``, and activates ``gates`` in place.

    ``U`` and the input terms in ``gates`` come scaled. The step writes into views made once per sequence, since at
    small sizes making arrays costs more than the arithmetic.
    """
    shift = 1 - scale
    recurrent, i_g = np.empty(gates.shape[1:], gates.dtype), np.empty_like(c[0])
    split = np.split(gates, 4, axis=2)
    steps = zip(gates, *split, h[:-1], h[1:], c[:-1], c[1:], tanh_c, strict=True)
    for z, i, f, g, o, h_prev, h_next, c_prev, c_next, squashed_c in steps:
        np.dot(h_prev, U, out=recurrent)
        z += recurrent
        np.tanh(z, out=z)
        z *= scale
        z += shift
        np.multiply(f, c_prev, out=c_next)
        np.multiply(i, g, out=i_g)
        c_next += i_g
        np.tanh(c_next, out=squashed_c)
        np.multiply(o, squashed_c, out=h_next)


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
    T, B, H = cache.tanh_c.shape
    dh = np.zeros((T, B, H), cache.h.dtype) if dh is None else dh
    dhT = np.zeros((B, H), cache.h.dtype) if dhT is None else dhT
    dcT = np.zeros((B, H), cache.h.dtype) if dcT is None else dcT
    dtype = np.result_type(require_numbers(dh=dh, dhT=dhT, dcT=dcT), cache.h)
    require_shape("dh", dh, (T, B, H), "(T, B, H)")
    require_shape("dhT", dhT, (B, H), "(B, H)")
    require_shape("dcT", dcT, (B, H), "(B, H)")

    dz = np.empty((T, B, 4 * H), dtype)
    dh0, dc0 = dhT.astype(dtype, order="C"), dcT.astype(dtype, order="C")
    _run_back(dz, dh0, dc0, dh, cache)
    rows, scale = dz.reshape(T * B, 4 * H), _scale(H, cache.h.dtype)
    grads = {"h0": dh0, "c0": dc0, "W": _input_weight_gradient(rows, cache) * scale}
    grads["U"] = cache.h[:-1].reshape(T * B, H).T @ rows * scale
    grads["b"] = rows.sum(axis=0) * scale
    if cache.x.ndim == 3:
        grads["x"] = (rows @ cache.W.T).reshape(cache.x.shape)
    return grads


def _run_back(dz: Array, dh: Array, dc: Array, dh_loss: Array, cache: SequenceCache) -> None:
    """The loop back through time: takes ``dh`` and ``dc`` from the last state to the first.

    Fills ``dz``, the cotangents of the scaled pre-activations. Every factor that does not wait for a cotangent is
    computed outside the loop, for all steps at once.
    """
    T, B, H = cache.tanh_c.shape
    dz = dz.reshape(T, B, 4, H)
    forget = cache.gates[:, :, H : 2 * H]
    from_c, from_h, h_to_c = _slopes(cache)
    U_T = cache.U.astype(dz.dtype, copy=False).T
    through_h, every_gate = np.empty_like(dc), dc[:, np.newaxis]
    for t in reversed(range(T)):
        dh += dh_loss[t]
        np.multiply(dh, h_to_c[t], out=through_h)
        dc += through_h
        np.multiply(every_gate, from_c[t], out=dz[t, :, :3])
        np.multiply(dh, from_h[t], out=dz[t, :, 3])
        dc *= forget[t]
        np.dot(dz[t].reshape(B, 4 * H), U_T, out=dh)


def _slopes(cache: SequenceCache) -> tuple[Array, Array, Array]:
    """Local derivatives at all steps: of c by z_i, z_f, z_g (T, B, 3, H); of h by z_o, and by c, (T, B, H) each.

    By the scaled pre-activations: the slope of a sigmoid gate is then σ(1 - σ) / ½.
    """
    i, f, g, o = np.split(cache.gates, 4, axis=2)
    from_c = np.empty((*i.shape[:2], 3, i.shape[2]), i.dtype)
    np.multiply(2 * g * i, 1 - i, out=from_c[:, :, 0])
    np.multiply(2 * cache.c[:-1] * f, 1 - f, out=from_c[:, :, 1])
    np.multiply(i, 1 - g * g, out=from_c[:, :, 2])
    return from_c, 2 * cache.tanh_c * o * (1 - o), o * (1 - cache.tanh_c * cache.tanh_c)


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


def _check_sequence(x: Array, h0: Array, c0: Array, W: Array, U: Array, b: Array) -> np.dtype[Any]:
    """Refuse what does not fit, and return the dtype of the computation."""
    dtype = require_numbers(h0=h0, c0=c0, W=W, U=U, b=b)
    require_array("x", x)
    H = require_gates(U)
    require_rank("W", W, "(D, 4H)")
    require_shape("W", W, (len(W), 4 * H), "(D, 4H)")
    require_shape("b", b, (4 * H,), "(4H,)")
    if np.issubdtype(x.dtype, np.integer):
        require_rank("x", x, "(T, B)")
        require_tokens("x", x, len(W))
    else:
        dtype = np.result_type(dtype, require_numbers(x=x))
        require_rank("x", x, "(T, B, D)")
        require_shape("x", x, (*x.shape[:2], len(W)), "(T, B, D)")
    require_shape("h0", h0, (x.shape[1], H), "(B, H)")
    require_shape("c0", c0, (x.shape[1], H), "(B, H)")
    return dtype
