"""The loss for many copies of one parameter at once, each with a single entry of its own.

Another value of one weight adds a rank-one term to a pre-activation: of column j alone, by what stands in row i. So K
copies take one product of all their states, K·B rows, with the weights that they share.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstm_core._checks import Array


class Moved(NamedTuple):
    """For each copy: the row and the column of its entry (row 0 of a vector), and by how much it is larger."""

    rows: Array
    columns: Array
    by: Array


def moved(base: Array, copies: Array) -> Moved | None:
    """How copies (K, *shape) differ from their base, (*shape); None where one does so in more than one entry."""
    differences = (copies - base).reshape(len(copies), -1)
    if np.any(np.count_nonzero(differences, axis=1) > 1):
        return None
    flat = np.argmax(differences != 0, axis=1)
    rows, columns = np.divmod(flat, base.shape[-1])
    return Moved(rows, columns, differences[np.arange(len(copies)), flat])


def losses(
    params: Mapping[str, Array], name: str, change: Moved, tokens: Array, targets: Array, state: tuple[Array, Array]
) -> Array:
    """The mean loss of each copy, (K,), with one entry of a parameter changed; nothing is checked here."""
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
        i, f, g, o = np.split(_tanh(z), 4, axis=-1)
        c = 0.5 * ((f + 1) * c + (i + 1) * g)
        h = result[t] = 0.5 * (o + 1) * _tanh(c)
    return result


def _tanh(z: Array) -> Array:
    """tanh(a + ib) = (t + iu) / (1 + itu) for t = tanh a and u = tan b: in real arithmetic several times as fast."""
    if not np.iscomplexobj(z):
        return np.asarray(np.tanh(z))
    t, u = np.tanh(z.real), np.tan(z.imag)
    result = np.empty_like(z)
    below = 1 + (t * u) ** 2
    result.real, result.imag = t * (1 + u * u) / below, u * (1 - t * t) / below
    return result


def _add(z: Array, name: str, change: Moved, h: Array, tokens: Array) -> None:
    """What the changed entry of W, U or b adds to the pre-activations of each copy, (K, B, 4H)."""
    at = np.arange(len(change.by))
    by = change.by[:, np.newaxis]
    if name == "U":
        by = by * h[at, :, change.rows]
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
    return product.reshape(*states.shape[:-1], -1)
