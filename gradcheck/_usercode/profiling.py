"""Which of the user's functions run, found with a profiler."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

from gradcheck._common.user_files import is_user_file

#: what hands work to other threads and processes: the function, and the files that it is in
_HANDING_ON = {
    "Thread.start": ("threading.py",),
    "ThreadPoolExecutor.submit": ("thread.py",),
    "ProcessPoolExecutor.submit": ("process.py", "process_executor.py"),  # the latter is joblib's
    "BaseProcess.start": ("process.py",),
    "Popen.__init__": ("subprocess.py",),
    "Pool.apply_async": ("pool.py",),
    "Pool._map_async": ("pool.py",),
    "Pool.imap": ("pool.py",),
    "Pool.imap_unordered": ("pool.py",),
    "Queue.put": ("queue.py", "queues.py"),
    "_ConnectionBase.send": ("connection.py",),
}


def functions_run(run: Callable[[], object]) -> list[CodeType]:
    """The code objects of the user's that run, in the order of their first call."""
    seen: dict[CodeType, None] = {}

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            seen.setdefault(frame.f_code)

    run_profiled(run, watch)
    return [code for code in seen if _is_users(code) and not _is_generated(code)]


def count_returns(run: Callable[[], Any], told: Callable[[Any], Any]) -> tuple[Any, Counter[tuple[CodeType, Any]]]:
    """What it returns, and how often each of the user's code objects returns a value of which the same is told."""
    seen: Counter[tuple[CodeType, Any]] = Counter()

    def watch(frame: FrameType, event: str, value: Any) -> None:
        if event == "return" and _is_users(frame.f_code):
            seen[frame.f_code, told(value)] += 1

    return run_profiled(run, watch), seen


@dataclass(frozen=True)
class Calls:
    """How often each of the user's code objects ran in one thread, and what handed work to where nobody counts."""

    times: Counter[CodeType]
    #: such as ThreadPoolExecutor.submit; empty if nothing did
    handed_on: str = ""


def count_calls(run: Callable[[], Any]) -> tuple[Any, Calls]:
    """What it returns, and what ran in it; cheap before Python 3.12."""
    if sys.version_info >= (3, 12):  # there it counts all threads, and lets the user's code have no profiler of its own
        seen: Counter[CodeType] = Counter()

        def watch(frame: FrameType, event: str, _: object) -> None:
            if event == "call":
                seen[frame.f_code] += 1

        return run_profiled(run, watch), _calls(seen.items())
    from _lsprof import Profiler  # not cProfile: its import takes as long as a check, and finds a user's profile.py

    before, profile = sys.getprofile(), Profiler(subcalls=False, builtins=False)
    try:
        profile.enable()
        result = run()
    finally:
        profile.disable()
        _restore_profiler(before)
    stats = ((entry.code, entry.callcount) for entry in profile.getstats())
    return result, _calls([(code, times) for code, times in stats if isinstance(code, CodeType)])


def _calls(seen: Collection[tuple[CodeType, int]]) -> Calls:
    handing = (
        code.co_qualname
        for code, _ in seen
        if code.co_qualname in _HANDING_ON and os.path.basename(code.co_filename) in _HANDING_ON[code.co_qualname]
    )
    users = Counter({code: times for code, times in seen if _is_users(code)})
    return Calls(users, next(handing, ""))


def lines_run(run: Callable[[], object]) -> frozenset[tuple[str, int, int]]:
    """The lines of the user's that run: (file, line, first line of the function). A debugger goes on after it."""
    seen: set[tuple[str, int, int]] = set()

    def watch(frame: FrameType, event: str, _: object) -> Any:
        if not _is_users(frame.f_code):
            return None
        if event == "line":
            seen.add((frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_firstlineno))
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        run()
    finally:
        sys.settrace(before)
    return frozenset(seen)


def run_profiled(run: Callable[[], Any], watch: Callable[[FrameType, str, Any], None]) -> Any:
    """What it returns; each call and return in it is told to `watch`, and a profiler that was running goes on then."""
    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        return run()
    finally:
        _restore_profiler(before)


def _restore_profiler(profile: Any) -> None:
    """Go on with the profile that was running: a function, or an object such as cProfile's."""
    sys.setprofile(None)
    if callable(profile):
        sys.setprofile(profile)
    elif profile is not None:
        profile.enable()


def _is_generated(code: CodeType) -> bool:
    """Whether it was written by a decorator, such as `dataclass`: that is nobody's function."""
    return code.co_filename == "<string>" and code.co_qualname.startswith(("__create_fn__", "<lambda>"))


def _is_users(code: CodeType) -> bool:
    return is_user_file(code.co_filename)
