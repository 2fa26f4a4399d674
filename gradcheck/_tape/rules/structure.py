"""The numbers in arguments and results: in tuples, lists and dicts, at any depth."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any


def parts(x: Any) -> Iterator[Any]:
    """What is not a container, in order."""
    if isinstance(x, (list, tuple, deque)):
        for one in x:
            yield from parts(one)
    elif isinstance(x, dict):
        for one in x.values():
            yield from parts(one)
    else:
        yield x


def mapped(change: Callable[[Any], Any], x: Any) -> Any:
    """A copy with every part changed."""
    if isinstance(x, tuple) and hasattr(x, "_fields"):
        return type(x)(*(mapped(change, one) for one in x))
    if isinstance(x, tuple):
        return tuple(mapped(change, one) for one in x)
    if isinstance(x, (list, deque)):
        return [mapped(change, one) for one in x]
    if isinstance(x, dict):
        return {key: mapped(change, one) for key, one in x.items()}
    return change(x)
