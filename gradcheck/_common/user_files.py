"""Which files are the user's: not ours, not Python's, not an installed package's."""

from __future__ import annotations

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
