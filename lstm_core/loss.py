"""Softmax and cross-entropy in one, the backward beside the forward.

For logits ``a`` (..., V) and targets ``y`` (...), with the mean over all N positions::

    loss = -1/N Σ log softmax(a)[y] = 1/N Σ (log Σ_v exp a_v - a_y)      nats per position
    dloss/da = (softmax(a) - onehot(y)) / N

The logits are shifted by their maximum first, which changes neither and keeps exp from overflowing; for
complex logits by the maximum of the real part, a constant of the complex-step derivative.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstm_core._checks import Array, require_numbers, require_shape, require_tokens


class LossCache(NamedTuple):
    """What :func:`softmax_cross_entropy` keeps for its backward."""

    probabilities: Array  # (..., V)
    targets: Array  # (...)


def softmax_cross_entropy(logits: Array, targets: Array) -> tuple[float, LossCache]:
    """The mean negative log-likelihood of the targets.

    Args:
        logits: float or complex (..., V), most often (T, B, V); any finite size, 1e4 and more included.
        targets: int (...), each from 0 to V - 1.

    Returns:
        The loss in nats per position, a Python float (a complex when the logits are complex), and the cache
        for :func:`softmax_cross_entropy_backward`.

    Raises:
        TypeError: logits that are not floating or complex numbers, or targets that are not integers.
        ValueError: shapes that do not fit, an empty axis, or a target outside the range.
    """
    _check_loss(logits, targets)
    shifted = logits - logits.real.max(axis=-1, keepdims=True)
    at_target = shifted.reshape(-1, logits.shape[-1])[_at(targets)].reshape(targets.shape)
    exponentials = np.exp(shifted, out=shifted)
    total = exponentials.sum(axis=-1, keepdims=True)
    loss: float = np.mean(np.log(total[..., 0]) - at_target).item()
    exponentials /= total
    return loss, LossCache(exponentials, targets.copy())


def softmax_cross_entropy_backward(cache: LossCache) -> Array:
    """The gradient of the loss with respect to the logits, (..., V)."""
    gradient = cache.probabilities.copy()
    gradient.reshape(-1, gradient.shape[-1])[_at(cache.targets)] -= 1
    gradient /= cache.targets.size
    return gradient


def _at(targets: Array) -> tuple[Array, Array]:
    """The positions of the targets among logits that are a matrix, (N, V)."""
    return np.arange(targets.size), targets.ravel()


def _check_loss(logits: Array, targets: Array) -> None:
    require_numbers(logits=logits)
    if logits.ndim == 0 or 0 in logits.shape:
        raise ValueError(f"logits have shape {logits.shape}, expected (..., V): no axis may be empty")
    require_shape("targets", targets, logits.shape[:-1], "that of the logits without V")
    require_tokens("targets", targets, logits.shape[-1])
