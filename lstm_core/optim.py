"""Optimisers: they update the arrays of a mapping in place, from finished gradients.

Clipping belongs here and nowhere earlier: inside the backward it would make the gradient a wrong one (no
longer linear in the cotangents), while scaling the whole finished gradient only shortens the step.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from lstm_core._checks import Array, require_shape


def global_norm(grads: Mapping[str, Array]) -> float:
    """The Euclidean norm of all gradients taken as one vector; no overflow or underflow on the way."""
    largest = max((float(np.abs(grad).max(initial=0.0)) for grad in grads.values()), default=0.0)
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    squares = sum(float(np.sum(np.square(np.asarray(grad, float) / largest))) for grad in grads.values())
    return largest * float(np.sqrt(squares))


def clip_by_global_norm(grads: Mapping[str, Array], limit: float) -> dict[str, Array]:
    """Scale all gradients by one factor so that their global norm is at most ``limit``.

    The direction stays, as in Pascanu, Mikolov and Bengio (2013), *On the difficulty of training recurrent
    neural networks*. Returns a new mapping; gradients within the limit are handed on as they are.

    Raises:
        ValueError: ``limit`` is not positive, or a gradient is not finite.
    """
    if not limit > 0:
        raise ValueError(f"the gradient limit is {limit}, expected a positive number")
    norm = global_norm(grads)
    if not np.isfinite(norm):
        broken = [name for name, grad in grads.items() if not np.isfinite(grad).all()]
        raise ValueError(f"the gradient of {', '.join(broken)} is not finite: lower the learning rate")
    factor = min(1.0, limit / norm) if norm > 0 else 1.0
    return {name: grad if factor == 1.0 else grad * factor for name, grad in grads.items()}


class Optimizer:
    """What the optimisers share: the parameters they update, the checks, and the clipping.

    Args:
        params: mapping of name to floating array. The optimiser keeps the mapping and updates its arrays in
            place.
        lr: learning rate, positive.
        clip: limit of the gradient's global norm, or None for no clipping.

    Raises:
        ValueError: ``lr`` or ``clip`` is not positive.
    """

    def __init__(self, params: Mapping[str, Array], lr: float, clip: float | None = None) -> None:
        """Keep the parameters; nothing is updated before the first step."""
        if not lr > 0:
            raise ValueError(f"the learning rate is {lr}, expected a positive number such as 0.01")
        if clip is not None and not clip > 0:
            raise ValueError(f"the gradient limit is {clip}, expected a positive number, or None")
        self.params, self.lr, self.clip = params, lr, clip

    def step(self, grads: Mapping[str, Array]) -> None:
        """Update every parameter in place from its gradient.

        Args:
            grads: mapping of the same names to arrays of the parameters' shapes; left as they are.

        Raises:
            ValueError: names or shapes that differ from the parameters', or (when clipping) a gradient that
                is not finite. No parameter has been changed then.
        """
        if grads.keys() != self.params.keys():
            raise ValueError(
                f"gradients are for {', '.join(sorted(grads))}, expected {', '.join(sorted(self.params))}: "
                f"pass one for every parameter"
            )
        for name, param in self.params.items():
            require_shape(f"the gradient of {name}", grads[name], param.shape, f"the shape of {name}")
        self._update(grads if self.clip is None else clip_by_global_norm(grads, self.clip))

    def _update(self, grads: Mapping[str, Array]) -> None:
        raise NotImplementedError


class SGD(Optimizer):
    """Gradient descent: p ← p - lr·dp."""

    def _update(self, grads: Mapping[str, Array]) -> None:
        for name, param in self.params.items():
            param -= self.lr * grads[name]


class Adam(Optimizer):
    """Adam, algorithm 1 of Kingma and Ba (2015), *Adam: a method for stochastic optimization*.

    With bias-corrected running means m̂ of the gradient and v̂ of its square: p ← p - lr·m̂ / (√v̂ + eps).

    Args:
        params: as for :class:`Optimizer`.
        lr: step size.
        betas: decay of the two running means, each in [0, 1).
        eps: added to √v̂.
        clip: as for :class:`Optimizer`.

    Raises:
        ValueError: ``lr`` or ``clip`` is not positive, ``eps`` is negative, or a beta lies outside [0, 1).
    """

    def __init__(
        self,
        params: Mapping[str, Array],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        clip: float | None = None,
    ) -> None:
        """Keep the parameters, and start both running means at zero."""
        super().__init__(params, lr, clip)
        if not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas are {betas}, expected two numbers in [0, 1) such as (0.9, 0.999)")
        if not eps >= 0:
            raise ValueError(f"eps is {eps}, expected zero or a small positive number such as 1e-8")
        self.betas, self.eps, self.steps = betas, eps, 0
        self.m = {name: np.zeros_like(param) for name, param in params.items()}
        self.v = {name: np.zeros_like(param) for name, param in params.items()}

    def _update(self, grads: Mapping[str, Array]) -> None:
        self.steps += 1
        beta1, beta2 = self.betas
        rate = self.lr / (1 - beta1**self.steps)
        correction = 1 - beta2**self.steps
        for name, param in self.params.items():
            grad, m, v = grads[name], self.m[name], self.v[name]
            m *= beta1
            m += (1 - beta1) * grad
            v *= beta2
            v += (1 - beta2) * grad * grad
            param -= rate * m / (np.sqrt(v / correction) + self.eps)
