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
    dtype, at = np.result_type(base, copies), np.arange(len(copies))
    own, flat_copies = (one.astype(dtype, copy=False) for one in (base.ravel(), copies.reshape(len(copies), base.size)))
    parts = 2 if np.iscomplexobj(own) else 1
    differ = _as_reals(flat_copies) != _as_reals(own)  # numbers are compared faster than pairs of them
    flat = np.argmax(differ, axis=1) // parts
    if np.count_nonzero(differ) > sum(np.count_nonzero(differ[at, parts * flat + part]) for part in range(parts)):
        return None
    rows, columns = np.divmod(flat, base.shape[-1])
    return Moved(rows, columns, flat_copies[at, flat] - own[flat])


def _as_reals(array: Array) -> Array:
    """An array (..., n) of complex numbers as their parts, (..., 2n); of real ones, as it is."""
    return np.ascontiguousarray(array).view(array.real.dtype) if np.iscomplexobj(array) else array


def losses(
    params: Mapping[str, Array], name: str, change: Moved, tokens: Array, targets: Array, state: tuple[Array, Array]
) -> Array:
    """The mean loss of each copy, (K,), with one entry of a parameter changed; nothing is checked here."""
    if _is_tiny(change.by) and not any(map(np.iscomplexobj, (*params.values(), *state))):
        return _losses_beside(params, name, change._replace(by=change.by.imag), tokens, targets, state)
    dtype = np.result_type(*params.values(), *state, change.by)
    of_output = name in ("Wy", "by")
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


def _losses_beside(
    params: Mapping[str, Array], name: str, change: Moved, tokens: Array, targets: Array, state: tuple[Array, Array]
) -> Array:
    """The losses for changes that are tiny imaginary numbers, of which `change` holds the sizes.

    Real parts are those of the base, computed once. Imaginary ones pass through the read-out as slopes do: that of a
    logarithm of a sum of exponentials is the mean of theirs, by their shares.
    """
    T, B = tokens.shape
    h, dh = _states_beside(params, tokens, state, name, change)
    logits = h @ params["Wy"] + params["by"]  # (T, B, V)
    shifted = logits - logits.max(axis=-1, keepdims=True)
    sums, chosen = np.exp(shifted).sum(axis=-1), np.take_along_axis(shifted, targets[..., np.newaxis], axis=-1)[..., 0]
    beside = np.exp(shifted) / sums[..., np.newaxis]
    np.put_along_axis(
        beside, targets[..., np.newaxis], np.take_along_axis(beside, targets[..., np.newaxis], -1) - 1, -1
    )
    if dh is None:
        by = change.by * (h[..., change.rows] if name == "Wy" else 1)  # to one logit of each copy, (T, B, K)
        imaginary = (by * beside[..., change.columns]).sum(axis=(0, 1))
    else:
        imaginary = np.einsum("tkbv,tbv->k", _product(dh, params["Wy"]), beside)
    result = np.empty(len(change.by), np.result_type(logits, np.complex64))
    result.real, result.imag = np.mean(np.log(sums) - chosen), imaginary / (T * B)
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
    params: Mapping[str, Array], tokens: Array, state: tuple[Array, Array], name: str, change: Moved
) -> tuple[Array, Array | None]:
    """The states of the base, (T, B, H), and what those of the copies have beside, (T, K, B, H); None if nothing.

    Imaginary parts pass through a product one at a time, and through tanh times 1 - tanh².
    """
    (T, B), U, K = tokens.shape, params["U"], len(change.by)
    (h, c), H, of_output = state, len(U), name in ("Wy", "by")
    terms, dtype = params["W"] + params["b"], np.result_type(*params.values(), *state)
    states, beside = np.empty((T, B, H), dtype), None if of_output else np.empty((T, K, B, H), change.by.dtype)
    dh = dc = np.zeros((K, B, H), change.by.dtype)
    halves = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], h.dtype), H)
    for t in range(T):
        tanhs = np.tanh((h @ U + terms[tokens[t]]) * halves)
        i, f, g, o = np.split(tanhs * halves + (1 - halves), 4, axis=-1)
        before, c = (h, c), f * c + i * g
        tanh_c = np.tanh(c)
        states[t] = h = o * tanh_c
        if beside is None:
            continue
        dz = _product(dh, U) if t else np.zeros((K, B, 4 * H), dh.dtype)
        _add(dz, name, change, before[0][np.newaxis], tokens[t])
        of_i, of_f, of_g, of_o = np.split((1 - tanhs * tanhs) * halves * halves, 4, axis=-1)
        dz *= np.concatenate([g * of_i, before[1] * of_f, i * of_g, tanh_c * of_o], axis=-1)
        by_i, by_f, by_g, by_o = np.split(dz, 4, axis=-1)
        dc = f * dc + by_i
        dc += by_f
        dc += by_g
        dh = (o * (1 - tanh_c * tanh_c)) * dc + by_o
        beside[t] = dh
    return states, beside


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
