"""Sources of the smallest targets, for files that tests write."""

from __future__ import annotations

#: one gradient, FACTOR times the parameter: right where that is 2
ONE = """
import numpy as np
import gradcheck

@gradcheck.target
def one(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": FACTOR * w})
"""
#: a backward with something to mutate
CELL = """
import numpy as np
import gradcheck

def backward(w, dy):
    return {"w": dy * 2 * w}

@gradcheck.target
def cell(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(3 * np.sum(w**2)), lambda: backward(w, 3))
"""
