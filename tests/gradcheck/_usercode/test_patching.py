"""Functions that run as if their file had been edited."""

from __future__ import annotations

import ast
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gradcheck._common.files import load
from gradcheck._usercode.instrument import rewrite
from gradcheck._usercode.patching import (
    EditedFunctions,
    Patch,
    RebindError,
    growth_of_edit,
    replace_expression,
    shift_edit,
    source_node,
)
from gradcheck._usercode.profiling import functions_run
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit, Source

TEXT = """\
NOTE = "\x0c"


def twice(x):
    return 2 * x


def outer(a, b):
    def inner(x):
        return a * x + 0

    return inner(b)
"""


@pytest.fixture
def module(tmp_path: Path) -> Any:
    """The functions above, in a file of their own."""
    path = tmp_path / "edited.py"
    path.write_text(TEXT, encoding="utf-8")
    return load(path)


def patch_of(source: Source, old: str, new: str) -> Patch:
    """The patch that replaces an expression of a return statement."""
    node = next(one for one in ast.walk(source.tree) if isinstance(one, ast.expr) and source.segment_of(one) == old)
    statement = Statement(source.file, source.tree.body[-1], "", "f")
    return Patch([(statement, replace_expression(node, new))], {source.file: source})


def test_what_stands_below_added_lines_moves_with_them(module: Any) -> None:
    """Code below would be looked for in lines of the edited text at which something else stands."""
    codes = functions_run(lambda: (module.twice(3), module.outer(2, 3)))
    source = Source.read(module.__file__)
    before = module.outer.__code__
    added = Edit((5, 16), (5, 16), " + 1\n\n")
    with EditedFunctions(codes, {source.file: source}).edited({source.file: [added]}):
        assert (module.twice(3), module.outer(2, 3)) == (7, 6)
        assert module.twice.__code__.co_firstlineno == 4
        assert module.outer.__code__.co_firstlineno == before.co_firstlineno + 2
    assert module.outer.__code__ is before


def test_an_edit_runs_and_is_taken_out(module: Any) -> None:
    """A fix would be verified on the code as it was, or the user's functions would stay edited."""
    program = rewrite(functions_run(partial(module.twice, 3)))
    functions = EditedFunctions(program.codes, program.sources)
    (source,) = program.sources.values()
    code = module.twice.__code__
    with functions.edited(patch_of(source, "2 * x", "5 * x").edits()):
        assert module.twice(3) == 15
    assert module.twice(3) == 6
    assert module.twice.__code__ is code


def test_of_a_class_the_edited_method_alone_is_compiled(tmp_path: Path) -> None:
    """If it fails, an edit changes another method of the class, or the method of a name that stands there twice."""
    path = tmp_path / "a_class.py"
    path.write_text(
        "class Cell:\n    @property\n    def size(self):\n        return self._size\n\n    @size.setter\n"
        "    def size(self, value):\n        self._size = 2 * value\n\n    def __hidden(self): return 1\n\n"
        "    def all(self):\n        return self.size + self.__hidden()\n"
    )
    loaded = load(path)
    source = Source.of_running(str(path))
    assert source is not None
    codes = [loaded.Cell.size.fget.__code__, loaded.Cell.size.fset.__code__, loaded.Cell.all.__code__]
    functions = EditedFunctions(codes, {str(path): source})
    cell = loaded.Cell()
    with functions.edited({str(path): [Edit((8, 21), (8, 22), "3")]}):
        cell.size = 5
        assert cell.all() == 16
    cell.size = 5
    assert cell.all() == 11


def test_a_function_inside_another_is_made_anew(module: Any) -> None:
    """The edit of a closure would change nothing."""
    program = rewrite(functions_run(partial(module.outer, 2, 3)))
    functions = EditedFunctions(program.codes, program.sources)
    (source,) = program.sources.values()
    with functions.edited(patch_of(source, "a * x + 0", "a * x + 1").edits(), anew=True):
        assert module.outer(2, 3) == 7
    assert module.outer(2, 3) == 6


def test_other_variables_of_the_function_around_take_a_new_one(tmp_path: Path) -> None:
    """A live closure would read a variable that it has no cell for, which ends the process."""
    path = tmp_path / "closure.py"
    path.write_text("def outer(a, b):\n    def inner(x):\n        return a * x\n    b\n    return inner, lambda: b\n")
    inner, _ = load(path).outer(2, 3)
    program = rewrite(functions_run(partial(inner, 1)))
    functions = EditedFunctions(program.codes, program.sources)
    (source,) = program.sources.values()
    with pytest.raises(RebindError), functions.edited(patch_of(source, "a * x", "b * x").edits()):
        raise AssertionError
    assert inner(1) == 2


def test_what_a_running_function_makes_may_take_other_variables(tmp_path: Path) -> None:
    """The right variable could not be written where a pullback had forgotten it, once one pullback is kept."""
    path = tmp_path / "made.py"
    path.write_text("def outer(a, b):\n    def inner(x):\n        return a * x\n    return inner\n")
    module = load(path)
    kept = module.outer(2, 3)
    source = Source.read(str(path))
    functions = EditedFunctions(functions_run(lambda: module.outer(2, 3)(1)), {source.file: source})
    with functions.edited({source.file: [Edit((3, 15), (3, 20), "b * x")]}):
        assert module.outer(2, 3)(1) == 3
        assert kept(1) == 2
    assert module.outer(2, 3)(1) == 2


def test_what_is_no_code_is_said(module: Any) -> None:
    """An edit would be taken for one that changes nothing."""
    program = rewrite(functions_run(partial(module.twice, 3)))
    (source,) = program.sources.values()
    functions = EditedFunctions(program.codes, program.sources)
    with pytest.raises(SyntaxError), functions.edited(patch_of(source, "2 * x", "2 *").edits()):
        raise AssertionError


def test_a_patch_lists_its_edits_by_file() -> None:
    """A report would not carry the fix to where it is written."""
    source = Source("x.py", TEXT)
    patch = patch_of(source, "2 * x", "x")
    assert patch.to_builtins() == {"x.py": [(5, 11, 5, 16, "x")]}
    assert patch.edits() == {"x.py": [Edit((5, 11), (5, 16), "x")]}


def test_the_growth_of_an_edit() -> None:
    """Of two fixes the longer one would be shown."""
    assert growth_of_edit(Edit((1, 2), (1, 5), "x")) == -2
    assert growth_of_edit(Edit((1, 2), (2, 5), "xyz")) == 3
    assert shift_edit(Edit((1, 2), (2, 5), "x"), 3) == Edit((4, 2), (5, 5), "x")


def test_a_statement_is_found_by_its_place() -> None:
    """An edit would be made in another statement, after a form feed for one."""
    source = Source("x.py", TEXT)
    statement = Statement("x.py", ast.parse(TEXT).body[1].body[0], "", "twice")  # type: ignore[attr-defined]
    assert source.segment_of(source_node(statement, source)) == "return 2 * x"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the addresses of a process")
def test_edited_code_that_takes_all_memory_ends_with_an_error(module: Any) -> None:
    """The system would kill the process in which such an edit is tried, and with it all that was found."""
    codes = functions_run(lambda: module.twice(3))
    source = Source.read(module.__file__)
    assert source is not None
    edits = patch_of(source, "2 * x", "bytes(2**32 * x)").edits()
    with EditedFunctions(codes, {source.file: source}).edited(edits), pytest.raises(MemoryError):
        module.twice(1)
    assert module.twice(3) == 6
