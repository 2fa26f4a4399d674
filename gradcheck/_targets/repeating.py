"""A generator whose integers repeat: of a large vocabulary, few tokens would occur twice by themselves.

``dE[tokens] += d`` is as good as ``np.add.at`` where no token does. Tokens that are inputs of a target can be changed
for that; others have to be drawn so.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

#: fewer than these are left as they are drawn: lengths and the like
FEWEST = 4


class RepeatingGenerator(np.random.Generator):
    """Draws as `numpy.random.default_rng` does, but of several integers so few different ones that some repeat."""

    def integers(self, *arguments: Any, **keywords: Any) -> Any:
        """Any of them is one that might have been drawn; `choice` with replacement draws by these."""
        drawn = super().integers(*arguments, **keywords)
        if not isinstance(drawn, np.ndarray) or drawn.size < FEWEST:
            return drawn
        different = math.isqrt(drawn.size)
        which = np.random.default_rng(drawn.size).integers(0, different, drawn.shape)
        return drawn.ravel()[which]


def repeating_rng(seed: int) -> RepeatingGenerator:
    """The generator of a seed."""
    return RepeatingGenerator(np.random.default_rng(seed).bit_generator)
