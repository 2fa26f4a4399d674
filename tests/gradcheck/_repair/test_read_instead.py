"""A name that is read wrongly is told where it is read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradcheck._repair.found import Found, Mended
from gradcheck._repair.read_instead import _read_once
from gradcheck._repair.where_bound import Instead
from gradcheck._usercode.source import Edit, Source
from tests.gradcheck._repair.spoiled import line_of

#: keeps the state before and after each step, of which the backward reads one
KEPT = """\
import numpy as np
import gradcheck


def forward(p, xs):
    c, kept = p["c0"], []
    for x in xs:
        f = 1 / (1 + np.exp(-p["w"] * x))
        new = f * c + x
        kept.append((x, c, f, new))
        c = new
    return c, kept


def grads(p, xs):
    c, kept = forward(p, xs)
    g, dc = {name: np.zeros_like(one) for name, one in p.items()}, 2 * c
    for values in kept[::-1]:
        x, before, f, new = values
        df = dc * before
        g["w"] += df * f * (1 - f) * x
        dc = dc * f
    g["c0"] += dc
    return g


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p, xs = {"w": rng.standard_normal(H), "c0": rng.standard_normal(H)}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: float(np.sum(forward(p, xs)[0] ** 2)), lambda: grads(p, xs))
"""


def exchanged(text: str) -> list[Instead]:
    """What is told for the two states exchanged where they are unpacked."""
    names = ("before", "new")
    source, line = Source("net.py", text), line_of("x, before", text)
    columns = [text.splitlines()[line - 1].index(name) for name in names]
    edits = [
        Edit((line, column), (line, column + len(name)), other)
        for column, name, other in zip(columns, names, names[::-1], strict=True)
    ]
    statement: Any = SimpleNamespace(file="net.py")
    return list(_read_once(Found(sources={"net.py": source}), Mended(statement, ("w",), edits=edits, line=line)))


def test_a_name_that_is_read_once_is_told_where_it_is_read() -> None:
    """Two names would change their places, on a right line, for one that is read wrongly on another."""
    ((_, line, kind, text, edit),) = exchanged(KEPT.replace("dc * before", "dc * new"))
    assert (line, kind, text, edit.text) == (line_of("df = dc", KEPT), "Assign", "df = dc * new", "before")


def test_names_that_several_read_are_exchanged_where_they_are_bound() -> None:
    """One of several readers would be edited, and the others stay wrong."""
    assert exchanged(KEPT.replace("df = dc * before", "df = dc * new * new")) == []
