"""Notebooks as modules, without Jupyter: cells run in order, magics are left out, lines are told by cell."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gradcheck
from gradcheck import TargetError, UserCodeError
from gradcheck._common.files import has_changed, load
from gradcheck._common.notebooks import as_python, code_cells
from gradcheck.cli import main

NET = """\
class Net:
    def __init__(self, rng, n):
        self.w = rng.standard_normal(n)
    def loss(self):
        self.h = np.tanh(self.w)
        return float(np.sum(self.h ** 2))
    def grads(self):
        dh = 2 * self.h
        return {"w": dh * (1 - self.h)}
"""
TARGET = """\
%%time
@gradcheck.target
def net(rng, *, n=3):
    one = Net(rng, n)
    return gradcheck.Target({"w": one.w}, one.loss, one.grads)
"""


@pytest.fixture(autouse=True)
def clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The import path and the modules are put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def notebook(*cells: str, path: str = "x.ipynb", **more: Any) -> Path:
    """A notebook of these code cells, with some text between them."""
    told = [{"cell_type": "markdown", "metadata": {}, "source": ["# 1 / 0"]}]
    for text in cells:
        code = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
        told.append({**code, "source": text.splitlines(keepends=True)})
    Path(path).write_text(json.dumps({"cells": told, "metadata": {}, "nbformat": 4, "nbformat_minor": 5, **more}))
    return Path(path)


@pytest.mark.parametrize(
    ("cell", "python"),
    [
        ("%matplotlib inline\nx = 1", "pass\nx = 1"),
        ("x = 1\n!pip install gradcheck", "x = 1\npass"),
        ("files = !ls", "files = None"),
        ("for i in range(2):\n    %time f(i)", "for i in range(2):\n    pass"),
        ("np.sum?\n?np.sum\nf??", "pass\npass\npass"),
        ("!echo it's\nx = 1\n%time f(", "pass\nx = 1\npass"),
        ("%%time\nx = 1", "\nx = 1"),
        ("\n%%gradcheck --seed 3\nx = 1", "\n\nx = 1"),
        ("%%bash\nls 'it", ""),
        ("x = (7\n     % 3)", "x = (7\n     % 3)"),
        ('s = """\n%time\n!ls\n"""', 's = """\n%time\n!ls\n"""'),
    ],
)
def test_what_only_ipython_understands_is_left_out(cell: str, python: str) -> None:
    """A notebook with a magic could not be checked, a line would have another number, or Python would be lost."""
    assert as_python(cell) == python
    ast.parse(python)


def test_what_is_wrong_stays_wrong() -> None:
    """A mistake of the user's would be left out with the magics, and the rest checked without it."""
    assert as_python("%time\nx = = 1") == "pass\nx = = 1"


def test_cells_are_counted_as_a_run_from_the_beginning_counts_them() -> None:
    """Cell [3] of the report would be cell [4] of the notebook."""
    assert [one.number for one in code_cells(notebook("a = 1", "", " \n", "b = 2"))] == [1, 2]


def test_a_notebook_is_run_once_in_order() -> None:
    """A cell would not see what an earlier one defines, or each target would train the network again."""
    file = notebook("from __future__ import annotations\nx = object()", "def f(a: Unknown): return x\ndisplay(f)")
    assert load(file).f(1) is load(file).x


@pytest.mark.lines
def test_the_line_is_named_by_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """A student would be told a line that counts the cells before it, or that there is no source."""
    notebook("%pip list\nimport numpy as np\nimport gradcheck", NET, TARGET)
    assert main(["check", "x.ipynb"]) == 1
    printed = capsys.readouterr().out
    assert "x.ipynb, cell [2], line 9" in printed
    assert "help (verified at " in printed
    assert 'return {"w": dh * (1 - self.h ** 2)}' in printed.partition("help (verified at ")[2]


@pytest.mark.lines
def test_a_fix_is_written_into_its_cell(capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON of a notebook would be spoiled, a cell of it be lost, or the mistake be left."""
    before = notebook("import numpy as np\nimport gradcheck", NET, TARGET).read_text()
    assert main(["check", "x.ipynb", "--fix"]) == 0
    assert "fixed 1 place in" in capsys.readouterr().err
    assert Path("x.ipynb.orig").read_text() == before
    cells, then = json.loads(Path("x.ipynb").read_text())["cells"], json.loads(before)["cells"]
    assert [one for one, was in zip(cells, then, strict=True) if one != was] == [cells[2]]
    assert 'return {"w": dh * (1 - self.h ** 2)}' in "".join(cells[2]["source"])


def test_an_error_names_the_cell() -> None:
    """Whoever looks for the error would have to search all cells."""
    with pytest.raises(UserCodeError, match=r"x\.ipynb, cell \[2\], line 2"):
        load(notebook("x = 1", "\n1 / 0"))
    assert not any(name.startswith("_gradcheck_x") for name in sys.modules)


def test_a_notebook_that_was_saved_meanwhile_has_changed() -> None:
    """A line would be named that stands elsewhere by now."""
    module = load(notebook("def f(): pass"))
    assert not has_changed(module.f.__code__.co_filename)
    notebook("x = 1\ndef f(): pass")
    assert has_changed(module.f.__code__.co_filename)


def test_old_notebooks_are_read() -> None:
    """A notebook of the format before 4 would be refused."""
    Path("old.ipynb").write_text(json.dumps({"worksheets": [{"cells": [{"cell_type": "code", "input": ["y = 3"]}]}]}))
    assert load("old.ipynb").y == 3


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "x.ipynb is no notebook: "),
        ("[1]", "is no notebook: it holds no cells"),
        ('{"cells": 3}', "is no notebook: it holds no cells"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "a notebook in R: expected one in Python"),
    ],
)
def test_what_is_no_notebook_is_refused(text: str, why: str) -> None:
    """Somebody would read a traceback of ours instead of what is wrong with their file."""
    Path("x.ipynb").write_text(text)
    with pytest.raises(TargetError, match=why):
        load("x.ipynb")


def test_a_worker_finds_a_factory_of_a_notebook_again() -> None:
    """Worker processes could not check a notebook."""
    from gradcheck._targets.factory import find_factory

    factory = load(notebook("import numpy as np\nimport gradcheck", NET, TARGET)).net
    function, (_, file, name, pinned) = factory.__reduce__()
    assert function is find_factory
    sys.modules.pop(factory.__module__)
    found = find_factory(factory.__module__, file, name, pinned)
    assert isinstance(found, gradcheck.TargetFactory)
    assert found is not factory
