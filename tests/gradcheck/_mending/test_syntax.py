"""What is written anew goes by the names and the marks of the file that it is written into."""

from __future__ import annotations

import ast

import pytest

import gradcheck
from gradcheck._mending import mends
from gradcheck._mending.details import numpys
from gradcheck._mending.syntax import Code
from gradcheck._tape import tape_target
from tests.gradcheck._tape.programs import draw, module

#: NumPy under another name, as where it takes the place of a library for other hardware
RENAMED = """
import numpy as xp

def loss(E, words):
    return 0.5 * xp.sum(E[words] ** 2)

def grads(E, words):
    dE, rows = xp.zeros(E.shape), E[words]
    dE[words] += rows
    return {"E": dE}
"""


@pytest.mark.parametrize(
    ("imports", "written"),
    [
        ("import numpy as np", "np.exp(a)"),
        ("import numpy", "numpy.exp(a)"),
        ("import numpy as cp\nfrom numpy import exp", "cp.exp(a)"),
        ("import math", "np.exp(a)"),
    ],
)
def test_numpy_goes_by_the_name_that_it_has_in_the_file(imports: str, written: str) -> None:
    """Edits with functions of NumPy would not run where it has another name."""
    code = Code(f"{imports}\nb = a\n")
    assert code.write(ast.Call(numpys("exp"), [ast.Name("a", ast.Load())], [])) == written


@pytest.mark.parametrize(("text", "quote"), [('a = "b"', '"'), ("a = 'b'", "'")])
def test_texts_with_values_have_the_quotation_marks_of_the_file(text: str, quote: str) -> None:
    """An edit would change marks beside the letter that it is about."""
    new = ast.JoinedStr([ast.Constant("l"), ast.FormattedValue(ast.Name("i", ast.Load()), -1), ast.Constant(".U")])
    assert Code(text).write(new) == f"f{quote}l{{i}}.U{quote}"


def test_an_index_that_repeats_is_mended_where_numpy_has_another_name(tmp_path) -> None:
    """Who calls NumPy otherwise would get no fix."""
    made, table, words = module(tmp_path, RENAMED), draw(4, 2), [1, 3, 1]
    target = gradcheck.Target({"E": table}, lambda: made.loss(table, words), lambda: made.grads(table, words))
    run = tape_target(target, target.values())
    statement = next(one for one in run.statements if one.text == "dE[words] += rows")
    (edit,) = mends(run, statement)[0].edits
    assert edit.text == "xp.add.at(dE, words, rows)"
