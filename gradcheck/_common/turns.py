"""Checks of several threads take turns: a check edits functions, and they belong to the whole process."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import numpy as np

from gradcheck._common import silence, thread_filters
from gradcheck._common.deadlock import waits_for_this_thread
from gradcheck._common.errors import TargetError
from gradcheck._common.surely import surely

#: seconds after which a thread that waits for its turn looks whether it will ever come
LOOK_AFTER = 0.2

#: what is said if it will not
WAITS_FOR_ITSELF = (
    "a loss or its gradients wait for a thread that makes a check of its own, and checks take turns, so that neither "
    "would end: make that check before or after this one, or in the same thread"
)

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Turns:
    """Whose turn it is, and how many turns there have been."""

    def __init__(self) -> None:
        self.count = 0
        self.renew()

    def renew(self) -> None:
        """Nobody's turn: in a child that was forked, the thread whose turn it was does not exist."""
        self.depth, self.thread = 0, 0
        self.lock = threading.RLock()  # a check may make others: of edited code, of mutants

    @contextmanager
    def one(self) -> Iterator[None]:
        """Wait for a turn, and take it.

        Raises:
            TargetError: If it cannot come: the check whose turn it is waits for this thread.
        """
        lock = self.lock
        while not lock.acquire(timeout=LOOK_AFTER):
            if waits_for_this_thread(self.thread):
                raise TargetError(WAITS_FOR_ITSELF)
        try:
            self.thread = threading.get_ident()
            yield
        finally:
            lock.release()


_turns = _Turns()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_turns.renew)
    os.register_at_fork(after_in_child=silence.renew_lock)
    os.register_at_fork(after_in_child=thread_filters.renew_lock)


def in_turn(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorator: the function waits until no other thread is in such a function.

    What NumPy does about overflow and the like is nobody's error meanwhile: with ``np.seterr(all="raise")`` the
    checker's own arithmetic would raise. It is as it was afterwards.
    """

    @functools.wraps(function)
    def taking_turns(*arguments: _P.args, **keywords: _P.kwargs) -> _R:
        with _turns.one(), np.errstate(all="ignore"):
            _turns.count += 1
            _turns.depth += 1
            try:
                return function(*arguments, **keywords)
            finally:
                _turns.depth -= 1
                if not _turns.depth:
                    surely(_end_what_is_left)

    return taking_turns


def _end_what_is_left() -> None:
    silence.end_silence()
    thread_filters.end_filters()


def turns_taken() -> int:
    """How many checks have begun in this process."""
    return _turns.count
