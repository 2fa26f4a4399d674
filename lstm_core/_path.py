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

#: the variable of the environment, read once, and the words that it may hold
VARIABLE = "LSTM_CORE"
NUMPY, COMPILED = "numpy", "compiled"
#: what is compiled; all other numbers, the complex ones among them, take the NumPy path
KINDS = frozenset({np.dtype(np.float32), np.dtype(np.float64)})


def kernels(*dtypes: np.dtype[Any]) -> Any:
    """:mod:`lstm_core._compiled` if it is to compute with these dtypes, or None.

    Raises:
        ValueError: the variable holds an unknown word.
        ImportError: it asks for compiled code, and numba cannot be imported.
    """
    found = chosen()
    return found if found is not None and len(set(dtypes)) == 1 and dtypes[0] in KINDS else None


@cache
def chosen() -> Any:
    """:mod:`lstm_core._compiled`, or None for NumPy; errors as for :func:`kernels`."""
    word = os.environ.get(VARIABLE, "")
    if word not in ("", NUMPY, COMPILED):
        raise ValueError(
            f"{VARIABLE} is {word!r}, expected {NUMPY!r}, {COMPILED!r} or nothing: numba is used if it is there"
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
