"""Two threads whose blocks are left in the order in which they were entered."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeAlias

Block: TypeAlias = Callable[[], AbstractContextManager[object]]


def leave_in_turns(first: Block, second: Block) -> None:
    """Another thread enters the first block, this one the second; that one leaves, and then this one."""
    first_is_in, second_is_in, first_is_out = (threading.Event() for _ in range(3))

    def other() -> None:
        with first():
            first_is_in.set()
            second_is_in.wait(10)
        first_is_out.set()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(other)
        first_is_in.wait(10)
        with second():
            second_is_in.set()
            first_is_out.wait(10)
        done.result()
