"""Notebooks as modules: their code cells run one after the other, without what only IPython understands.

Each cell is compiled under a name of its own (`cells.name_of_cell`), so that every line is told as the notebook's
reader counts it. A notebook is JSON, so nothing but Python's own modules is needed.
"""

from __future__ import annotations
import __future__

import ast
import hashlib
import json
import linecache
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from gradcheck._common.cells import name_of_cell
from gradcheck._common.errors import TargetError
from gradcheck._common.import_path import add_to_import_path
from gradcheck._common.neighbours import neighbours_first

#: the compiler's flags of all that `from __future__` offers
_FUTURE = int(sum({getattr(__future__, one).compiler_flag for one in __future__.all_feature_names}))
#: cell magics whose cell is Python all the same
_OF_PYTHON = frozenset({"gradcheck", "time", "timeit", "capture", "prun"})
_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
#: a line that only IPython understands: a magic, a command of the shell, a question
_MAGIC = re.compile(r"(?P<space>\s*)(?:(?P<name>[\w., ]+?)\s*=\s*)?(?:[%!?].*|[^#'\"]*\?{1,2}\s*)")


class CodeCell(NamedTuple):
    """One code cell: its number, counted as a notebook does that is run from its beginning, and its Python."""

    number: int
    text: str


def code_cells(path: Path) -> list[CodeCell]:
    """The code cells that hold something.

    Raises:
        TargetError: If it cannot be read, or is no notebook with code in Python.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TargetError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise TargetError(f"{path} is no notebook: {error}") from error
    texts = [text for text in _texts_of(data, path) if text.strip()]
    return [CodeCell(number, as_python(text)) for number, text in enumerate(texts, 1)]


def load_notebook(path: Path) -> ModuleType:
    """Run a notebook's code cells as one module, which is not run again.

    Raises:
        TargetError: If it is no notebook.
    """
    name = f"_gradcheck_{path.stem}_{hashlib.sha1(os.fsencode(path)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    cells = code_cells(path)
    module = ModuleType(name)
    module.__file__ = str(path)
    vars(module).update(display=_show_nothing, get_ipython=_show_nothing)
    sys.modules[name] = module
    add_to_import_path(str(path.parent))
    try:
        flags = 0
        with neighbours_first(str(path.parent)):
            for cell in cells:
                flags = _run(cell, module, flags)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def as_python(text: str) -> str:
    """The text of a cell with what is not Python left blank; its lines keep their numbers."""
    found = _CELL_MAGIC.match(text)
    if found is not None and found[1] not in _OF_PYTHON:
        return ""
    lines = text.split("\n")
    if found is not None:
        lines[text[: found.end()].count("\n")] = ""
    for _ in lines:
        try:
            ast.parse("\n".join(lines))
        except SyntaxError as error:
            number = (error.lineno or 0) - 1
            magic = _MAGIC.fullmatch(lines[number]) if 0 <= number < len(lines) else None
            if magic is None:
                break
            lines[number] = magic["space"] + (f"{magic['name']} = None" if magic["name"] else "pass")
        except ValueError:
            break
        else:
            break
    return "\n".join(lines)


def _texts_of(data: object, path: Path) -> Iterator[str]:
    """The sources of the code cells, of any version of the format."""
    if not isinstance(data, dict):
        raise TargetError(f"{path} is no notebook: it holds no cells")
    language = data.get("metadata", {}).get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise TargetError(f"{path} is a notebook in {language}: expected one in Python")
    sheets = data.get("worksheets", [data])
    if not all(isinstance(sheet, dict) and isinstance(sheet.get("cells"), list) for sheet in sheets):
        raise TargetError(f"{path} is no notebook: it holds no cells")
    for cell in (cell for sheet in sheets for cell in sheet["cells"]):
        if cell.get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            yield source if isinstance(source, str) else "".join(source)


def _run(cell: CodeCell, module: ModuleType, flags: int) -> int:
    """Run a cell; the result are the compiler's flags for the next one, since `from __future__` lasts."""
    name = name_of_cell(str(module.__file__), cell.number)
    linecache.cache[name] = len(cell.text), None, f"{cell.text}\n".splitlines(keepends=True), name
    code = compile(cell.text, name, "exec", flags=flags, dont_inherit=True)
    exec(code, vars(module))
    return flags | int(code.co_flags) & _FUTURE


def _show_nothing(*_: object, **__: object) -> None:
    """What a notebook shows is for its reader."""
