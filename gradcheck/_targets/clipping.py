"""A deliberate clip of the finished gradients, as a target declares it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from gradcheck._common.arrays import Array, Values, norm
from gradcheck._common.errors import TargetError

#: how near an entry must be to the bound to have been cut off there: bounds are rounded in single precision
AT_BOUND = 1e-6
#: how near the norm must be to the bound: code divides by the norm plus 1e-6
AT_NORM = 1e-4


@dataclass(frozen=True)
class Clip:
    """Entries are cut off at ±`bound`; or all gradients are scaled down together to a norm of `bound`."""

    bound: float
    of_norm: bool = False

    @classmethod
    def declared(cls, clipped: float | None, clipped_norm: float | None) -> Clip | None:
        """The clip of ``Target(..., clipped=..., clipped_norm=...)``.

        Raises:
            TargetError: If both are given, or one is no positive number.
        """
        if clipped is not None and clipped_norm is not None:
            raise TargetError("clipped= and clipped_norm=: declare the one clip that the gradients go through")
        for name, bound in (("clipped", clipped), ("clipped_norm", clipped_norm)):
            if bound is None:
                continue
            if not isinstance(bound, (int, float, np.number)) or not 0 < float(bound) < math.inf:
                raise TargetError(f"{name}={bound!r}: expected a positive number, the bound of the clip")
            return cls(float(bound), name == "clipped_norm")
        return None

    def free(self, gradient: Array) -> Array:
        """Which entries of a gradient are what they were before the clip."""
        if self.of_norm:
            return np.ones(gradient.shape, dtype=bool)
        return np.asarray(np.abs(gradient) < self.bound * (1 - AT_BOUND))

    def exceeded_by(self, gradients: Values) -> float:
        """The largest entry, or the norm of all, where it is beyond the bound; else zero."""
        size = self._size(gradients)
        return size if size > self.bound * (1 + AT_BOUND) else 0.0

    def is_at_norm(self, gradients: Values) -> bool:
        """Whether the gradients may have been scaled down to the norm."""
        return self.of_norm and 1 - AT_NORM <= self._size(gradients) / self.bound <= 1 + AT_BOUND

    def _size(self, gradients: Values) -> float:
        if self.of_norm:
            return math.hypot(*(norm(gradient) for gradient in gradients.values()))
        return max((float(np.max(np.abs(one), initial=0.0)) for one in gradients.values()), default=0.0)
