"""Bounds the memory of code that is run with edits: an edit may put a list into itself, or double it at each step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gradcheck._common.surely import surely

#: bytes that code may take in any case beyond what the process has
LEAST_MORE = 2 << 30
_STATM = Path("/proc/self/statm")


@contextmanager
def memory_bounded(more: int = LEAST_MORE) -> Iterator[None]:
    """Raise `MemoryError` in the block where it takes more than so many bytes, and more than the process ever held.

    Without it the system would end the process, or others. The bound is one of the whole process, so it is generous;
    where the system tells or keeps no such bound (Windows, macOS), there is none.

    Args:
        more: Bytes that the block may take in any case.
    """
    taken = _address_space()
    if taken is None:
        yield
        return
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    bound = taken + max(more, held)
    if before[0] != resource.RLIM_INFINITY:
        bound = min(bound, before[0])

    def put_back() -> None:
        resource.setrlimit(resource.RLIMIT_AS, before)

    try:
        resource.setrlimit(resource.RLIMIT_AS, (bound, before[1]))
        yield
    finally:
        surely(put_back)


def _address_space() -> int | None:
    """Bytes of addresses that this process has taken; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    import resource

    with suppress(OSError, ValueError, IndexError):
        return int(_STATM.read_text().split()[0]) * resource.getpagesize()
    return None
