"""Code that asks for too much memory gets an error of its own, and nothing else of the process ends."""

from __future__ import annotations

import sys
from contextlib import suppress

import numpy as np
import pytest

from gradcheck._common.memory import LEAST_MORE, memory_bounded

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the addresses of a process")
MIB = 1 << 20


def bound() -> tuple[int, int]:
    """The soft and the hard bound of this process."""
    import resource

    return resource.getrlimit(resource.RLIMIT_AS)


def far_too_much() -> int:
    """Bytes that are more than this process ever held, and more than code may take in any case."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + 2 * LEAST_MORE


def test_what_takes_far_too_much_raises_memory_error() -> None:
    """An edit that lets a list grow without end would take all memory, and the system would kill whoever runs it."""
    with memory_bounded(), pytest.raises(MemoryError):
        np.empty(far_too_much(), np.uint8)
    with memory_bounded():
        assert np.ones(8 * MIB).sum() == 8 * MIB


def test_a_list_that_doubles_comes_to_an_end() -> None:
    """No single request of such a list is large: the last one that is refused has to end it."""

    def grow() -> None:
        grown = [0.0] * MIB
        while True:
            grown += grown

    with memory_bounded(64 * MIB), pytest.raises(MemoryError):
        grow()


def test_the_bound_is_put_back() -> None:
    """All that the user's process does later would have no memory left."""
    before = bound()
    with suppress(KeyboardInterrupt), memory_bounded():
        assert bound() != before
        with memory_bounded():
            pass
        assert bound() != before
        raise KeyboardInterrupt
    assert bound() == before


def test_a_bound_that_is_lower_stays() -> None:
    """Someone who gives a process little memory, as `ulimit -v` does, would find it has taken more."""
    import resource

    before = bound()
    try:
        with memory_bounded(0):
            taken = bound()[0]  # what is taken, and as much as was ever held
        low = taken + 16 * MIB
        resource.setrlimit(resource.RLIMIT_AS, (low, before[1]))
        with memory_bounded():
            assert bound() == (low, before[1])
        assert bound() == (low, before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
