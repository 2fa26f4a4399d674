"""Names are bound to other values, and other values are kept, only where nothing is calculated."""

from __future__ import annotations

import ast

import pytest

from gradcheck._mending.gaps import Function
from gradcheck._mending.misnamed import bound_names, kept_by_name, kept_otherwise, passed_instead, rebound, with_others
from gradcheck._mending.syntax import Code
from gradcheck._usercode.source import apply_edits

#: a forward that keeps three values, and a backward that takes them apart
KEPT = """\
def forward(x, kept):
    f = x + 1
    kept.append((x, f))

def backward(kept):
    for x, f in reversed(kept):
        yield x * f
"""


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("x, (f, g) = cache", ["x", "f", "g"]),
        ("f = self.f", ["f"]),
        ("x, f = tape[t]", ["x", "f"]),
        ("i, f = self.i, self.f", ["i", "f"]),
        ("x, f = tape.pop()", ["x", "f"]),
        ("for t, (x, f) in enumerate(tape): pass", ["t", "x", "f"]),
        ("f = sigmoid(x)", []),
        ("f, g = x * 2, y * 3", []),
        ("kept = {'f': x, 'g': x * 2}", ["kept"]),
        ("f += self.f", []),
    ],
)
def test_what_is_bound_is_there_already(text: str, names: list[str]) -> None:
    """What is calculated is a value of its own, and has its edits elsewhere."""
    assert [one.id for one in bound_names(ast.parse(text).body[0])] == names


@pytest.mark.parametrize(
    ("text", "read", "after"),
    [
        ("def b(c):\n x, f = c", {"f"}, ["f, x = c"]),
        ("def b(c):\n x, f = c", {"g"}, []),
        ("def b(c):\n seen = {'n': c}", {"seen"}, ["{'n': seen}", "{'n': seen * c}", "{'n': c * c}"]),
        ("def b(c):\n f = c['i']\n o = c['o']", {"f"}, ["f = c['o']", "f = f", "f = o", "f = c"]),
    ],
)
def test_names_are_bound_to_something_else(text: str, read: set[str], after: list[str]) -> None:
    """One that nobody reads who spoils derivatives is left alone."""
    code = Code(text)
    statement = function(code, 0).body[0]
    assert [
        apply_edits(text, edits).splitlines()[1].strip().removeprefix("seen = ")
        for edits in rebound(code, statement, read)
    ] == after


def function(code: Code, number: int) -> Function:
    """One of the functions of a text."""
    found = code.tree.body[number]
    assert isinstance(found, ast.FunctionDef)
    return found


def test_what_is_taken_apart_is_kept_otherwise() -> None:
    """A value that was kept in the place of another is wrong wherever it is read."""
    code = Code(KEPT)
    loop = function(code, 1).body[0]
    made = [apply_edits(KEPT, edits) for _, edits in kept_otherwise(code, function(code, 0), loop, {"f"})]
    lines = [one.splitlines()[2].strip() for one in made]
    assert lines == ["kept.append((x, x))", "kept.append((f, x))"]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("self.f = i", [("i", {"f"})]),
        ("step.f = i", [("i", {"step", "f"})]),
        ("fs[t] = i", [("i", {"fs", "t"})]),
        ("fs.append(i)", [("i", {"fs"})]),
        ("c = {'f': i, 'g': g * 2}", [("i", {"f"})]),
        ("c = Cache(f=i)", [("i", {"f"})]),
        ("f = i", []),
        ("self.f = i * 2", []),
    ],
)
def test_what_is_kept_by_a_name(text: str, kept: list[tuple[str, set[str]]]) -> None:
    """What is calculated where it is kept has edits of its own."""
    source = f"def forward(self, i, g):\n    {text}"
    found = list(kept_by_name(function(Code(source), 0)))
    assert [(ast.unparse(one), words) for one, words in found] == kept


@pytest.mark.parametrize(
    ("argument", "after"),
    [
        ("hs[t][j]", ["hs[t + 1][j]", "hs[t - 1][j]", "hs[t][j + 1]", "hs[t][j - 1]", "hs", "t", "j"]),
        ("hs[t - 1, 0]", ["hs[t, 0]", "hs[t - 1 + 1, 0]", "hs[t - 1 - 1, 0]", "hs", "t", "j"]),
        ("step.h", ["step.c", "hs", "t", "j"]),
        ("hs[t] * 2", ["hs[t + 1] * 2", "hs[t - 1] * 2"]),
    ],
)
def test_another_value_is_handed_over(argument: str, after: list[str]) -> None:
    """Another item of the same is likelier meant than something else; what is calculated has other edits besides."""
    source = f"def backward(hs, t, j):\n    step.c = step.h = 0\n    back(dh, {argument})\n"
    code = Code(source)
    (call,) = [node for node in ast.walk(code.tree) if isinstance(node, ast.Call)]
    made = [apply_edits(source, edits).splitlines()[2].strip() for edits in passed_instead(code, call.args[1])]
    assert sorted(made) == sorted(f"back(dh, {one})" for one in after)


def test_a_list_does_not_come_to_hold_itself() -> None:
    """An array made of it takes all memory there is."""
    source = "def backward(rows, da):\n    das = []\n    das.append(da)\n    rows[0] = da\n"
    code = Code(source)
    elements = [element for element, _ in kept_by_name(function(code, 0))]
    assert len(elements) == 2
    assert not any(edit for element in elements for edit in with_others(code, element))


def test_another_value_is_kept() -> None:
    """Those of the function are tried, each once."""
    source = "def forward(self, i, f):\n    self.f = i\n"
    code = Code(source)
    ((element, _),) = kept_by_name(function(code, 0))
    lines = [apply_edits(source, edits).splitlines()[1].strip() for edits in with_others(code, element)]
    assert lines == ["self.f = f"]
