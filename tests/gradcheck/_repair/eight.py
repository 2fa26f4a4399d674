"""A sum of eight terms over time, with a parameter each, so that there can be many faults at once."""

from __future__ import annotations

NAMES = "abcdefgh"
VALUE = " + ".join(f'p["{name}"] * np.cos({k} * xt)' for k, name in enumerate(NAMES))
EIGHT = f"""\
import numpy as np
import gradcheck


def loss(p, x):
    total = 0.0
    for xt in x:
        y = {VALUE}
        total += 0.5 * np.sum(y**2)
    return total


def grads(p, x):
    {"; ".join(f'd{name} = np.zeros_like(p["{name}"])' for name in NAMES)}
    for xt in x:
        dy = {VALUE}
{"".join(f"        d{name} += dy * np.cos({k} * xt)" + chr(10) for k, name in enumerate(NAMES))}
    return {{{", ".join(f'"{name}": d{name}' for name in NAMES)}}}


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p, x = {{name: rng.standard_normal(H) for name in "{NAMES}"}}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""
