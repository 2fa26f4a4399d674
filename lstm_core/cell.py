"""One time step of an LSTM, the backward beside its forward: the reference to read first.

With the gates in the order i, f, g, o along the columns of ``W`` (D, 4H), ``U`` (H, 4H) and ``b`` (4H,)::

    z = x W + h_prev U + b              pre-activations of the four gates, (B, 4H)
    i, f, o = σ(z_i), σ(z_f), σ(z_o)    input, forget and output gate
    g = tanh(z_g)                       candidate
    c = f ∘ c_prev + i ∘ g              cell state
    h = o ∘ tanh(c)                     hidden state

The cell is that of Hochreiter and Schmidhuber (1997), *Long short-term memory*, with the forget gate of Gers,
Schmidhuber and Cummins (2000), *Learning to forget*; no peepholes. Both functions take real and complex
arrays alike, since nothing in them asks for a real part: that is what the complex-step derivative needs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstm_core._checks import Array, require_gates, require_numbers, require_rank, require_shape


class CellCache(NamedTuple):
    """What a step keeps for its backward; it refers to the caller's arrays, so leave those as they are."""

    x: Array
    h_prev: Array
    c_prev: Array
    W: Array
    U: Array
    gates: tuple[Array, Array, Array, Array]
    tanh_c: Array


def sigmoid(z: Array) -> Array:
    """The logistic function 1/(1 + exp(-z)), by way of tanh: no overflow, and valid for complex ``z``."""
    half: Array = 0.5 * np.tanh(0.5 * z) + 0.5
    return half


def cell_forward(
    x: Array, h_prev: Array, c_prev: Array, W: Array, U: Array, b: Array
) -> tuple[Array, Array, CellCache]:
    """One time step.

    Args:
        x: input, float or complex (B, D).
        h_prev: hidden state before the step, (B, H).
        c_prev: cell state before the step, (B, H).
        W: input weights, (D, 4H).
        U: recurrent weights, (H, 4H).
        b: biases, (4H,).

    Returns:
        ``h`` and ``c`` after the step, (B, H) each, in the common dtype of the arguments, and the cache that
        :func:`cell_backward` takes.

    Raises:
        TypeError: an array does not hold floating or complex numbers.
        ValueError: shapes that do not fit each other, or an empty axis.
    """
    _check_step(x, h_prev, c_prev, W, U, b)
    z_i, z_f, z_g, z_o = np.split(x @ W + h_prev @ U + b, 4, axis=1)
    i, f, g, o = sigmoid(z_i), sigmoid(z_f), np.tanh(z_g), sigmoid(z_o)
    c = f * c_prev + i * g
    tanh_c = np.tanh(c)
    h = o * tanh_c
    return h, c, CellCache(x, h_prev, c_prev, W, U, (i, f, g, o), tanh_c)


def cell_backward(dh: Array, dc: Array, cache: CellCache) -> dict[str, Array]:
    """The adjoint of one time step.

    Args:
        dh: cotangent of the step's ``h``, (B, H): from the loss and from the next step together.
        dc: cotangent of the step's ``c``, (B, H): what the next step hands back along the cell state.
        cache: from :func:`cell_forward`.

    Returns:
        The cotangents of ``x``, ``h`` and ``c`` (the states before the step), ``W``, ``U`` and ``b``, each
        under that name and in that array's shape, summed over the batch where the array is shared by it.

    Raises:
        TypeError: a cotangent does not hold floating or complex numbers.
        ValueError: a cotangent is not of shape (B, H).
    """
    x, h_prev, c_prev, W, U, (i, f, g, o), tanh_c = cache
    require_numbers(dh=dh, dc=dc)
    require_shape("dh", dh, tanh_c.shape, "(B, H)")
    require_shape("dc", dc, tanh_c.shape, "(B, H)")

    dc = dc + dh * o * (1 - tanh_c * tanh_c)  # c reaches the loss through h as well
    dz_i = dc * g * i * (1 - i)
    dz_f = dc * c_prev * f * (1 - f)
    dz_g = dc * i * (1 - g * g)
    dz_o = dh * tanh_c * o * (1 - o)
    dz = np.concatenate([dz_i, dz_f, dz_g, dz_o], axis=1)
    return {"x": dz @ W.T, "h": dz @ U.T, "c": dc * f, "W": x.T @ dz, "U": h_prev.T @ dz, "b": dz.sum(axis=0)}


def _check_step(x: Array, h_prev: Array, c_prev: Array, W: Array, U: Array, b: Array) -> None:
    require_numbers(x=x, h_prev=h_prev, c_prev=c_prev, W=W, U=U, b=b)
    H = require_gates(U)
    require_rank("x", x, "(B, D)")
    B, D = x.shape
    require_shape("W", W, (D, 4 * H), "(D, 4H)")
    require_shape("b", b, (4 * H,), "(4H,)")
    require_shape("h_prev", h_prev, (B, H), "(B, H)")
    require_shape("c_prev", c_prev, (B, H), "(B, H)")
