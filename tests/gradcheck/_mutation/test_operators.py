"""Each mistake that is planted: its own example, and that nothing else becomes of a statement."""

from __future__ import annotations

import ast
import cProfile
import sys
from typing import Any

import numpy as np
import pytest

from gradcheck._mutation.operators import OPERATORS, Operator, locals_at_return, mutants, mutants_of
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Source

SQUARE = np.ones((2, 2))
#: what the examples name
FRAME: dict[str, Any] = {
    "np": np,
    **dict.fromkeys(("dh", "dz", "dy", "carried", "h", "f", "i", "W"), SQUARE),
    "states": np.ones((3, 2)),
    "t": 1,
}


def made(text: str) -> dict[str, list[str]]:
    """What becomes of a statement, by operator."""
    source = Source("x.py", text)
    statement = Statement("x.py", source.tree.body[0], text, "f")
    found: dict[str, list[str]] = {}
    for one in mutants_of(statement, FRAME):
        found.setdefault(one.operator, []).append(source.edited([one.edit]))
    return found


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: one.name)
def test_an_operator_makes_its_example(operator: Operator) -> None:
    """A mistake of this kind would never be planted, or the table would not say what it is."""
    assert operator.after in made(operator.before)[operator.name]


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda one: one.name)
def test_what_is_planted_is_code_and_differs(operator: Operator) -> None:
    """A mutant that is no code, or the code as it was, would count."""
    for text in made(operator.before)[operator.name]:
        assert ast.dump(ast.parse(text)) != ast.dump(ast.parse(operator.before))


def test_only_variables_of_its_shape_replace_one() -> None:
    """Most mutants would raise, and tell nothing of the check."""
    assert "y = states" not in made("y = dh")["another variable"]
    assert "y = dz" in made("y = dh")["another variable"]


def test_a_docstring_is_left_as_it_is() -> None:
    """A change of words would count as a bug that the check does not see."""
    assert made("'of 2 words'") == {}


@pytest.mark.parametrize("mark", ["\x0c", "\x0b", "\x1c", "\x85", "\u2028"])
def test_lines_are_pythons_own(mark: str) -> None:
    """After such a character nothing would be planted, or in the wrong statement."""
    text = f"# {mark}\nnote = '{mark}'\n@staticmethod\ndef backward(dh):\n    return dh * 2\n"
    space: dict[str, Any] = {}
    exec(compile(text.replace("@staticmethod\n", "@(lambda f: f)\n"), "x.py", "exec"), space)
    source = Source("x.py", text)
    found = list(mutants(source, space["backward"].__code__, {"dh": SQUARE}))
    assert found
    assert {source.change(one.edit)[1] for one in found} == {"return dh * 2"}
    assert {one.statement.text for one in found} == {"return dh * 2"}


def test_a_lambda_is_changed_too() -> None:
    """A backward that is one expression would seem to have no bugs."""
    source = Source("x.py", "back = lambda dh: dh * 2\n")
    space: dict[str, Any] = {}
    exec(compile(source.text, "x.py", "exec"), space)
    found = [source.edited([one.edit]) for one in mutants(source, space["back"].__code__, {"dh": SQUARE})]
    assert "back = lambda dh: dh\n" in found


def test_the_values_are_those_of_the_last_return() -> None:
    """Shapes would be looked up where variables do not exist yet."""

    def counting(start: int) -> int:
        end = start + 1
        return 2 * end

    frames = locals_at_return(lambda: [counting(1), counting(5)], [counting.__code__])
    assert frames[counting.__code__]["end"] == 6
    assert frames[counting.__code__]["np"] is np


def test_a_profiler_of_the_users_goes_on() -> None:
    """An audit under cProfile would end in an error, or end the profile."""
    outer = cProfile.Profile()

    def later() -> None:
        pass

    outer.enable()
    try:
        locals_at_return(lambda: None, [])
        later()
    finally:
        outer.disable()
    assert later.__code__ in {entry.code for entry in outer.getstats()}
    assert sys.getprofile() is None
