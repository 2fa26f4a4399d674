"""A kernel in C behind ctypes: the verdict, the wrong entries and their pattern; no line of C is named.

Build it first: cc -O2 -shared -fPIC -o examples/c_kernel.so examples/c_kernel.c -lm. The variable C_KERNEL names
another place.
"""

import ctypes
import os
from pathlib import Path

import numpy as np

import gradcheck

kernel = ctypes.CDLL(os.environ.get("C_KERNEL") or str(Path(__file__).with_suffix(".so")))
array = np.ctypeslib.ndpointer(np.float64, flags="C")
kernel.layer_forward.argtypes = [ctypes.c_int] * 2 + [array] * 3
kernel.layer_backward.argtypes = [ctypes.c_int] * 2 + [array] * 6
kernel.layer_forward.restype = kernel.layer_backward.restype = None


def forward(W, x):
    y = np.empty(len(W))
    kernel.layer_forward(*W.shape, W, x, y)
    return y, (W, x, y)


def backward(dy, cache):
    W, x, y = cache
    dW, dx = np.empty_like(W), np.empty_like(x)
    kernel.layer_backward(*W.shape, W, x, y, dy, dW, dx)
    return dW, dx


@gradcheck.target
def c_layer(rng, *, M=3, N=4):
    """Everything is handed over as C takes it: float64, one row after the other."""
    inputs = {"W": rng.standard_normal((M, N)), "x": rng.standard_normal(N)}
    return gradcheck.Target.from_vjp(forward, backward, inputs)
