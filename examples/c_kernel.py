"""A kernel in C behind ctypes: the verdict, the wrong entries and their pattern; no line of C is named.

Build it first: cc -O2 -shared -fPIC -o examples/c_kernel.so examples/c_kernel.c -lm. The variable C_KERNEL names
another place.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

import gradcheck

Array: TypeAlias = NDArray[Any]
Cache: TypeAlias = tuple[Array, Array, Array]

kernel = ctypes.CDLL(os.environ.get("C_KERNEL") or str(Path(__file__).with_suffix(".so")))
array = np.ctypeslib.ndpointer(np.float64, flags="C")
kernel.layer_forward.argtypes = [ctypes.c_int] * 2 + [array] * 3
kernel.layer_backward.argtypes = [ctypes.c_int] * 2 + [array] * 6
kernel.layer_forward.restype = kernel.layer_backward.restype = None


def forward(W: Array, x: Array) -> tuple[Array, Cache]:
    """The layer's values, and what the backward needs."""
    y = np.empty(len(W))
    kernel.layer_forward(*W.shape, W, x, y)
    return y, (W, x, y)


def backward(dy: Array, cache: Cache) -> tuple[Array, Array]:
    """The gradients of W and x."""
    W, x, y = cache
    dW, dx = np.empty_like(W), np.empty_like(x)
    kernel.layer_backward(*W.shape, W, x, y, dy, dW, dx)
    return dW, dx


@gradcheck.target
def c_layer(rng: np.random.Generator, *, M: int = 3, N: int = 4) -> gradcheck.Target:
    """Everything is handed over as C takes it: float64, one row after the other."""
    inputs = {"W": rng.standard_normal((M, N)), "x": rng.standard_normal(N)}
    return gradcheck.Target.from_vjp(forward, backward, inputs)
