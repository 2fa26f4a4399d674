"""Which loops run: those that numba compiles, where it is installed, or those in NumPy. ``LSTM_CORE`` forces one.

numba is looked for at the first call that could use it, and imported only then: without it nothing is imported, and
with it ``import lstm_core`` takes no longer.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from functools import cache
from typing import Any

import numpy as np

#: the variable of the environment, and the words that it may hold
VARIABLE = "LSTM_CORE"
NUMPY, COMPILED = "numpy", "compiled"
WORDS = ("", NUMPY, COMPILED)
#: what is compiled; all other numbers, the complex ones among them, take the NumPy path
KINDS = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


#: what `use` was given
_word: str | None = None


def kernels(*dtypes: np.dtype[Any]) -> Any:
    """:mod:`lstm_core._compiled` if it is to compute with these dtypes, or None.

    Raises:
        ValueError: the variable holds an unknown word.
        ImportError: it asks for compiled code, and numba cannot be imported.
    """
    word = os.environ.get(VARIABLE, "") if _word is None else _word
    if word in WORDS and (dtypes[0] not in KINDS or any(dtype != dtypes[0] for dtype in dtypes)):
        return None
    return _found(word)


def use(word: str | None) -> str | None:
    """Take this path from now on, in every thread; None for what the environment says. For tests and benchmarks.

    Returns:
        What was said before.
    """
    global _word
    before, _word = _word, word
    return before


@cache
def _found(word: str) -> Any:
    """:mod:`lstm_core._compiled`, or None for NumPy; errors as for :func:`kernels`."""
    if word not in WORDS:
        raise ValueError(
            f"{VARIABLE} is {word!r}, expected {NUMPY!r} or {COMPILED!r}; "
            f"without it, numba is used where it is installed"
        )
    if word == NUMPY or (not word and importlib.util.find_spec("numba") is None):
        return None
    try:
        return importlib.import_module("lstm_core._compiled")
    except ImportError as error:
        if word:
            raise ImportError(
                f"{VARIABLE} is {COMPILED!r}, but numba cannot be imported ({error}): "
                f"pip install 'gradcheck[fast]', or set {VARIABLE}={NUMPY}"
            ) from error
        warnings.warn(
            f"numba is installed but cannot be imported, so lstm_core runs in NumPy ({error}): "
            f"mend it, or set {VARIABLE}={NUMPY}",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
