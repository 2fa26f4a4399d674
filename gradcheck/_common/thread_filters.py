"""Filters of warnings for one thread: those of other threads, and of a program beside the check, go on as they were.

`warnings.catch_warnings` exchanges the filters of the whole process, and puts back what it found. Where another thread
does so meanwhile, each puts back what the other had put there, and it stays. A filter here is one more in the list: its
category takes warnings of threads that asked for it, and of no others. So nothing is exchanged; and in the end it is
taken out of each list that it may be in.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any, ClassVar, Literal, TypeAlias

_Action: TypeAlias = Literal["error", "ignore"]


class _OfSomeThreads(type):
    """Of warnings of one category, those that are given in threads that asked for the filter."""

    meant: type[Warning]
    #: threads, and how often each asked
    threads: ClassVar[dict[int, int]]
    #: the lists of filters that it was put into: a program may have put a copy in their place since
    lists: ClassVar[list[list[Any]]]

    def __subclasscheck__(cls, category: type) -> bool:
        return get_ident() in cls.threads and issubclass(category, cls.meant)


class _Listening(_OfSomeThreads):
    """The same, which hears what it takes: a filter is asked for the text of a warning first, then for its category."""

    #: of the warning that is asked about
    text: ClassVar[list[str]]
    heard: ClassVar[list[tuple[type[Warning], str]]]

    def match(cls, text: str) -> bool:
        """Whether a warning with this text may be meant: in a thread that listens, each is."""
        if get_ident() not in cls.threads:
            return False
        cls.text[:] = [text]
        return True

    def __subclasscheck__(cls, category: type) -> bool:
        found = super().__subclasscheck__(category)
        if found:
            cls.heard.append((category, cls.text[0]))
        return found


class _Lock:
    """One thread at a time changes filters; Ctrl-C may come before the lock is given back, in the same thread."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


_changing = _Lock()
#: the filters for what was asked before: a class is not made for every loss
_known: dict[tuple[_Action, type[Warning]], _OfSomeThreads] = {}
#: the filters that some thread uses now
_used: list[_OfSomeThreads] = []


def renew_lock() -> None:
    """A lock that nobody holds: in a child that was forked, or where Ctrl-C came before the lock was given back."""
    _changing.lock = threading.RLock()


@contextmanager
def raising(meant: type[Warning]) -> Iterator[None]:
    """Warnings of this category are errors in this thread."""
    yield from _filtered("error", _known_category("error", meant))


@contextmanager
def ignoring(meant: type[Warning] = Warning) -> Iterator[None]:
    """Warnings of this category are not shown that this thread gives."""
    yield from _filtered("ignore", _known_category("ignore", meant))


@contextmanager
def listening() -> Iterator[list[tuple[type[Warning], str]]]:
    """The warnings that this thread gives, category and text, each as often as it is given; none of them is shown."""
    category: Any = _Listening("Warning", (Warning,), _empty(Warning) | {"text": [], "heard": []})
    filtered = _filtered("ignore", category, message=category)
    next(filtered)
    try:
        yield category.heard
    finally:
        next(filtered, None)


def end_filters() -> None:
    """Take back what this thread has asked for, if Ctrl-C came while it was."""
    renew_lock()  # it is this thread's turn, so that no other one holds it
    with _changing.lock:
        for category in [*_used]:
            category.threads.pop(get_ident(), None)
            _forget_unused(category)


def _known_category(action: _Action, meant: type[Warning]) -> _OfSomeThreads:
    if (action, meant) not in _known:
        _known[action, meant] = _OfSomeThreads(meant.__name__, (Warning,), _empty(meant))
    return _known[action, meant]


def _empty(meant: type[Warning]) -> dict[str, Any]:
    return {"meant": meant, "threads": {}, "lists": []}


def _filtered(action: _Action, category: Any, message: Any = None) -> Iterator[None]:
    """A filter before all others, until this is resumed or closed."""
    mine = get_ident()
    with _changing.lock:
        if category not in _used:
            _used.append(category)
        category.threads[mine] = category.threads.get(mine, 0) + 1
        _put_first((action, message, category, None, 0))
    try:
        yield
    finally:
        with _changing.lock:
            category.threads[mine] = category.threads.get(mine, 1) - 1
            if not category.threads[mine]:
                del category.threads[mine]
            _forget_unused(category)


def _put_first(one: tuple[Any, ...]) -> None:
    filters: Any = warnings.filters
    category = one[2]
    if filters[:1] != [one]:
        if one in filters:
            filters.remove(one)
        filters.insert(0, one)
        _tell_changed()
    if not any(other is filters for other in category.lists):
        category.lists.append(filters)


def _forget_unused(category: _OfSomeThreads) -> None:
    if category.threads:
        return
    current: Any = warnings.filters
    for filters in (current, *category.lists):
        if any(one[2] is category for one in filters):
            filters[:] = [one for one in filters if one[2] is not category]
    category.lists.clear()
    if category in _used:
        _used.remove(category)


def _tell_changed() -> None:
    """What was shown once, and so not again, is asked of the filters anew."""
    warnings._filters_mutated()  # type: ignore[attr-defined]  # as simplefilter does, which takes no message
