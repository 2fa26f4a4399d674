"""NumPy's global generator: code that draws from it draws the same numbers whenever it is asked, and it is put back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numpy as np

from gradcheck._common.surely import surely


def seed_global_generator(seed: int = 0) -> None:
    """From now on what is drawn from it depends on this seed alone.

    A generator that somebody put in its place, and that knows no seed, goes on as it is.
    """
    with suppress(TypeError):
        np.random.seed(seed % 2**32)  # noqa: NPY002 - this is the generator that is meant


@contextmanager
def kept_global_generator() -> Iterator[None]:
    """It is as it was at the end, whatever happens."""
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    try:
        yield
    finally:
        surely(lambda: np.random.set_state(state))  # noqa: NPY002
