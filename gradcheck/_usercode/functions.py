"""The functions that run a piece of code: looked for among all objects, since nothing else leads from code to them."""

from __future__ import annotations

import gc
import weakref
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType

#: the objects that Python itself has put aside
_OF_PYTHON = gc.get_freeze_count()
#: whether functions are remembered once one is looked for
_is_keeping = False
#: by file: the functions that there were when they were last remembered, which the collector leaves aside meanwhile
_known: dict[str, list[weakref.ref[FunctionType]]] | None = None


def functions_with(codes: Collection[CodeType]) -> list[FunctionType]:
    """All functions that have one of these codes now."""
    if not codes:
        return []  # of none it would look through all objects that there are
    if _is_keeping and _known is None:
        _remember()
    ids = {id(code) for code in codes}
    files = {code.co_filename for code in codes}
    before = (ref() for file in files for ref in (_known or {}).get(file, ()))
    since = (one for one in gc.get_referrers(*codes) if isinstance(one, FunctionType))
    return [one for one in (*before, *since) if one is not None and id(one.__code__) in ids]


@contextmanager
def functions_kept() -> Iterator[None]:
    """Remember the functions that there are, once one is looked for: then only what is made later is looked through.

    The objects that there are, some hundred thousand, are left aside by the collector of garbage as well.
    """
    global _is_keeping, _known
    if _is_keeping:
        keep_more()  # so that what was made since is not looked through each time
        yield
        return
    if gc.get_freeze_count() > _OF_PYTHON:  # what someone else has put aside cannot be told from ours
        yield
        return
    _is_keeping = True
    try:
        yield
    finally:
        _is_keeping = False
        if _known is not None:
            _known = None
            gc.unfreeze()


def full_collections() -> int:
    """How often the collector of garbage has looked through all objects so far."""
    return int(gc.get_stats()[-1]["collections"])


def keep_more() -> None:
    """Leave aside what was made since as well, where functions are remembered.

    User code that collects garbage in each step would look through all of it each time.
    """
    if _known is not None:
        _remember()


def _remember() -> None:
    """Add the functions that are not left aside yet, and leave all objects aside."""
    global _known
    _known = defaultdict(list) if _known is None else _known
    for one in gc.get_objects():
        if type(one) is FunctionType:
            _known[one.__code__.co_filename].append(weakref.ref(one))
    gc.freeze()
