"""The global generators of NumPy and torch: code draws the same numbers whenever it is asked, and they are put back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from gradcheck._common.surely import surely


def seed_global_generator(seed: int = 0) -> None:
    """From now on what is drawn from it depends on this seed alone.

    A generator that somebody put in its place, and that knows no seed, goes on as it is.
    """
    with suppress(TypeError):
        np.random.seed(seed % 2**32)  # noqa: NPY002 - this is the generator that is meant
    if (generator := _generator_of_torch()) is not None:
        generator.manual_seed(seed)


@contextmanager
def kept_global_generator() -> Iterator[None]:
    """It is as it was at the end, whatever happens."""
    state = np.random.get_state(legacy=False)  # noqa: NPY002
    generator = _generator_of_torch()
    state_of_torch = None if generator is None else generator.get_state()

    def put_back() -> None:
        np.random.set_state(state)  # noqa: NPY002
        if generator is not None:
            generator.set_state(state_of_torch)

    try:
        yield
    finally:
        surely(put_back)


def _generator_of_torch() -> Any:
    """That of the CPU; None where nobody has imported torch."""
    return getattr(sys.modules.get("torch"), "default_generator", None)
