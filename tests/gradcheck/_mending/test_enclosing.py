"""Functions that are made in others, as vector-Jacobian products are: what an edit of them may read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._mending.enclosing import made_in
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.spoiled import cell, line_of

CLOSURES = """\
import numpy as np
import gradcheck


class Value:
    def __init__(self, data, tape):
        self.data, self.tape = data, tape

    def emit(self, data, *edges):
        out = Value(data, self.tape)
        self.tape.append((out, edges))
        return out

    def __mul__(self, other):
        scaled = self.data * other.data
        return self.emit(scaled, (self, lambda g: g * other.data), (other, lambda g: g * self.data))

    def __matmul__(self, other):
        def back(g):
            return self.data.T @ g
        return self.emit(self.data @ other.data, (self, lambda g: g @ other.data.T), (other, back))

    def tanh(self):
        y = np.tanh(self.data)
        return self.emit(y, (self, lambda g: g * (1 - y**2)))


def gradients(tape, out, leaves):
    found = {id(out): np.ones_like(out.data)}
    for node, edges in reversed(tape):
        for parent, back in edges if id(node) in found else ():
            found[id(parent)] = found.get(id(parent), 0) + back(found[id(node)])
    return [found[id(leaf)] for leaf in leaves]


@gradcheck.target
def cell(rng, *, T=3, H=3):
    p = {"W": rng.standard_normal((H, H)), "u": rng.standard_normal((1, H)), "h": rng.standard_normal((1, H))}

    def run():
        tape = []
        W, u, h = leaves = [Value(p[name], tape) for name in ("W", "u", "h")]
        for _ in range(T):
            h = (h * u @ W).tanh()
        return tape, h, leaves

    return gradcheck.Target(p, lambda: float(run()[1].data.sum()), lambda: dict(zip("Wuh", gradients(*run()))))
"""
SIZES = {"T": 3, "H": 3}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(other, lambda g: g * self.data)", "(other, lambda g: g * other.data)"),
        ("lambda g: g * (1 - y**2)", "lambda g: g * (1 - y)"),
        ("return self.data.T @ g", "return self.data.T @ (g * 2)"),
        ("lambda g: g @ other.data.T", "lambda g: g @ other.data"),
    ],
)
def test_what_a_lambda_gives_is_mended(tmp_path: Path, old: str, new: str) -> None:
    """In an autograd of closures, what a lambda is handed would be unknown, and what it could read as well."""
    found = find_by_tape(cell(tmp_path, (old, new), source=CLOSURES), 0, SIZES, {"W", "u", "h"})
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    assert fault.statement.line == line_of(old, CLOSURES)


def test_the_call_that_made_a_function_is_told_by_what_they_share() -> None:
    """A function would be shown the variables of another call."""

    class Frame:
        def __init__(self, code, variables):
            self.f_code, self.f_locals = code, variables

    def outer():
        shared, more = object(), object()
        return lambda: shared, {"shared": shared, "more": more}

    (first, variables), (_, others) = outer(), outer()
    own = Frame(first.__code__, {"shared": variables["shared"]})
    assert made_in(own, [variables, others]) is variables
    assert made_in(own, [others]) == {}
    assert made_in(Frame(outer.__code__, {}), [variables]) == {}
