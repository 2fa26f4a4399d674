"""The functions that run a piece of code: looked for among all objects, since nothing else leads from code to them."""

from __future__ import annotations

import gc
import weakref
from collections import defaultdict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import CodeType, FunctionType

#: by file: the functions that there were when the search began, which the collector leaves aside meanwhile
_known: dict[str, list[weakref.ref[FunctionType]]] | None = None


def functions_with(codes: Collection[CodeType]) -> list[FunctionType]:
    """All functions that have one of these codes now."""
    if not codes:
        return []  # of none it would look through all objects that there are
    ids = {id(code) for code in codes}
    files = {code.co_filename for code in codes}
    before = (ref() for file in files for ref in (_known or {}).get(file, ()))
    since = (one for one in gc.get_referrers(*codes) if isinstance(one, FunctionType))
    return [one for one in (*before, *since) if one is not None and id(one.__code__) in ids]


@contextmanager
def functions_kept() -> Iterator[None]:
    """Remember the functions that there are: while this lasts, only what is made meanwhile is looked through.

    The objects that there are, some hundred thousand, are left aside by the collector of garbage as well.
    """
    global _known
    if _known is not None or gc.get_freeze_count():  # what someone else has put aside cannot be told from ours
        yield
        return
    try:
        _known = defaultdict(list)
        for one in gc.get_objects():
            if type(one) is FunctionType:
                _known[one.__code__.co_filename].append(weakref.ref(one))
        gc.freeze()
        yield
    finally:
        _known = None
        gc.unfreeze()
