"""How a target is opened: what has to stay fixed is drawn, and every array is put back at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from gradcheck._targets.target import Target


@contextmanager
def opened(target: Target, seed: int) -> Iterator[Target]:
    """The target, to be asked for losses and gradients; the same seed draws the same cotangents."""
    with target.preserved():
        if target.is_vjp:
            target.draw_cotangents(cotangent_rng(seed))
        yield target


def cotangent_rng(seed: int) -> np.random.Generator:
    """What the cotangents of a check are drawn from: a stream of its own, so that nothing else moves them."""
    return np.random.default_rng([seed, 1])
