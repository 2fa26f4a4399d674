"""`np.empty` without what lay in memory before, for the thread that looks for lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from threading import get_ident
from typing import Any

import numpy as np


@contextmanager
def nan_filled_np_empty() -> Iterator[None]:
    """Let np.empty() give no numbers: with what lay in memory before, a wrong edit may seem to be right.

    Other threads get what NumPy gives, as does who has kept the function meanwhile.
    """
    numpy: Any = np  # its functions are not meant to be put aside
    plain = np.empty, np.empty_like
    asking = {get_ident()}

    def cleared(make: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(make)
        def made(*arguments: Any, **options: Any) -> Any:
            array = make(*arguments, **options)
            if get_ident() in asking and array.dtype.kind in "fc":
                array.fill(np.nan)
            return array

        return made

    try:
        numpy.empty, numpy.empty_like = cleared(plain[0]), cleared(plain[1])
        yield
    finally:
        numpy.empty, numpy.empty_like = plain
        asking.clear()
