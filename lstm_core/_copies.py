"""The loss for many copies of one parameter at once, each with a single entry of its own.

Another value of one weight adds a rank-one term to a pre-activation: of column j alone, by what stands in row i. So K
copies take one product of all their states, K·B rows, with the weights that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstm_core._checks import Array
from lstm_core._tanh import tanh

#: imaginary parts below this have squares that are lost in rounding, also where they grow on their way
TINY = 1e-15


class Moved(NamedTuple):
    """For each copy: the row and the column of its entry (row 0 of a vector), and by how much it is larger."""

    rows: Array
    columns: Array
    by: Array


def moved(base: Array, copies: Array) -> Moved | None:
    """How copies (K, *shape) differ from their base, (*shape); None where one does so in more than one entry."""
    flat_copies, at = copies.reshape(len(copies), base.size), np.arange(len(copies))
    differ = flat_copies != base.ravel()
    flat = np.argmax(differ, axis=1)
    if np.count_nonzero(differ) > np.count_nonzero(differ[at, flat]):
        return None
    rows, columns = np.divmod(flat, base.shape[-1])
    return Moved(rows, columns, flat_copies[at, flat] - base.ravel()[flat])


def losses(
    params: Mapping[str, Array], name: str, change: Moved, tokens: Array, targets: Array, state: tuple[Array, Array]
) -> Array:
    """The mean loss of each copy, (K,), with one entry of a parameter changed; nothing is checked here."""
    dtype = np.result_type(*params.values(), *state, change.by)
    of_output = name in ("Wy", "by")
    tiny = not of_output and _is_tiny(change.by) and not any(map(np.iscomplexobj, (*params.values(), *state)))
    if tiny:
        h = _states_beside(params, tokens, state, dtype, name, change._replace(by=change.by.imag))
    else:
        h = _states(params, tokens, state, dtype, None if of_output else (name, change))
    T, B = tokens.shape
    logits = _product(h, params["Wy"]) + params["by"]  # (T, K, B, V), or K = 1
    if of_output:
        K, at = len(change.by), np.arange(len(change.by))
        logits = np.repeat(logits, K, axis=1)
        terms = change.by[:, np.newaxis] * (np.moveaxis(h[:, 0][:, :, change.rows], -1, 1) if name == "Wy" else 1)
        logits[:, at, :, change.columns] += np.broadcast_to(terms, (T, K, B)).transpose(1, 0, 2)
    shifted = logits - logits.real.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, targets[:, np.newaxis, :, np.newaxis], axis=-1)[..., 0]
    result: Array = (np.log(np.exp(shifted).sum(axis=-1)) - chosen).sum(axis=(0, 2)) / (T * B)
    return result


def _states(
    params: Mapping[str, Array], tokens: Array, state: tuple[Array, Array], dtype: Any, change: tuple[str, Moved] | None
) -> Array:
    """The hidden states of each copy, (T, K, B, H); of one alone, if none of their weights changes."""
    T, B = tokens.shape
    H, K = len(params["U"]), 1 if change is None else len(change[1].by)
    h, c = (np.broadcast_to(part, (K, B, H)).astype(dtype) for part in state)
    terms, result = params["W"] + params["b"], np.empty((T, K, B, H), dtype)
    for t in range(T):
        z = _product(h, params["U"]) + terms[tokens[t]]
        if change is not None:
            _add(z, *change, h, tokens[t])
        z[..., : 2 * H] *= 0.5
        z[..., 3 * H :] *= 0.5
        tanh(z, z)
        i, f, g, o = np.split(z, 4, axis=-1)
        c = 0.5 * ((f + 1) * c + (i + 1) * g)
        h = result[t]
        tanh(c, h)
        h *= 0.5 * (o + 1)
    return result


def _is_tiny(by: Array) -> bool:
    """Whether all changes are imaginary, and their squares lost in rounding."""
    return np.iscomplexobj(by) and not np.any(by.real) and bool(np.abs(by.imag).max(initial=0) < TINY)


def _states_beside(
    params: Mapping[str, Array], tokens: Array, state: tuple[Array, Array], dtype: Any, name: str, change: Moved
) -> Array:
    """The states for changes that are tiny imaginary numbers: their real parts are those of the base, computed once.

    Imaginary parts pass through a product one at a time, and through tanh times 1 - tanh².
    """
    (T, B), U, K = tokens.shape, params["U"], len(change.by)
    (h, c), H = state, len(U)
    dh = dc = np.zeros((K, B, H), change.by.dtype)
    terms, result = params["W"] + params["b"], np.empty((T, K, B, H), dtype)
    halves = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], h.dtype), H)
    for t in range(T):
        dz = _product(dh, U)
        _add(dz, name, change, h[np.newaxis], tokens[t])
        tanhs = np.tanh((h @ U + terms[tokens[t]]) * halves)
        slopes = (1 - tanhs * tanhs) * halves * halves
        i, f, g, o = np.split(tanhs * halves + (1 - halves), 4, axis=-1)
        by_i, by_f, by_g, by_o = np.split(slopes, 4, axis=-1)
        dz_i, dz_f, dz_g, dz_o = np.split(dz, 4, axis=-1)
        dc = f * dc + (g * by_i) * dz_i + (c * by_f) * dz_f + (i * by_g) * dz_g
        c = f * c + i * g
        tanh_c = np.tanh(c)
        dh = (o * (1 - tanh_c * tanh_c)) * dc + (tanh_c * by_o) * dz_o
        h = o * tanh_c
        result[t].real, result[t].imag = h, dh
    return result


def _add(z: Array, name: str, change: Moved, h: Array, tokens: Array) -> None:
    """What the changed entry of W, U or b adds to the pre-activations of each copy, (K, B, 4H)."""
    at = np.arange(len(change.by))
    by = change.by[:, np.newaxis]
    if name == "U":
        by = by * h[0 if len(h) == 1 else at, :, change.rows]
    elif name == "W":
        by = by * (tokens == change.rows[:, np.newaxis])
    z[at, :, change.columns] += by


def _product(states: Array, weights: Array) -> Array:
    """(..., H) by (H, n): complex states meet real weights in two real products, not in four."""
    rows = states.reshape(-1, states.shape[-1])
    if np.iscomplexobj(states) and not np.iscomplexobj(weights):
        product = np.empty((len(rows), weights.shape[1]), states.dtype)
        product.real, product.imag = rows.real @ weights, rows.imag @ weights
    else:
        product = rows @ weights
    return product.reshape(*states.shape[:-1], weights.shape[1])
