"""Which files and classes are the user's: not ours, not Python's, not an installed package's."""

from __future__ import annotations

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path

_OURS = str(Path(__file__).parents[1])
_LIBRARIES = tuple(
    {path for key in ("stdlib", "platstdlib", "purelib", "platlib") if (path := sysconfig.get_paths().get(key))}
)


@lru_cache(maxsize=1024)
def is_user_file(file: str) -> bool:
    """Whether code of this file is the user's own."""
    return not (
        file.startswith((_OURS, *_LIBRARIES, "<frozen"))
        or "site-packages" in file
        or file == "<__array_function__ internals>"
    )


def is_users_class(kind: type) -> bool:
    """Whether a class was made in a file of the user's, or in a notebook.

    Not if it has no module that can be imported: tools that run code in other processes keep their own state so.
    """
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return kind.__module__ == "__main__" if file is None else is_user_file(file)
