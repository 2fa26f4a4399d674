"""Which files of a folder hold targets: read, not run, since a file without a target may train for hours."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gradcheck._common.errors import TargetError
from gradcheck._common.notebooks import code_cells

#: folders of other people's code, and of what was built
_OTHERS = frozenset({"__pycache__", "build", "dist", "node_modules", "site-packages", "venv", "env"})
_SUFFIXES = (".py", ".ipynb")


@dataclass
class FoundFiles:
    """What a folder holds: files with targets; those that were to be looked at and were not, with the reason."""

    files: list[str] = field(default_factory=list)
    #: reason by file or folder
    skipped: dict[str, str] = field(default_factory=dict)
    #: how many files hold no target
    others: int = 0


def find_target_files(folder: str) -> FoundFiles:
    """The files below a folder that define a target at their top level, in order.

    Hidden folders, environments and what was built are left out; links to folders are not followed.
    """
    found = FoundFiles()
    for path in _files(Path(folder), found):
        try:
            holds = _holds_target(path)
        except (OSError, UnicodeError, ValueError, SyntaxError, TargetError) as error:
            found.skipped[str(path)] = _reason(error)
            continue
        if holds:
            found.files.append(str(path))
        else:
            found.others += 1
    return found


def _files(folder: Path, found: FoundFiles) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        found.skipped[str(error.filename)] = error.strerror or "it cannot be read"

    for place, folders, files in os.walk(folder, onerror=unreadable):
        for name in sorted(folders):
            reason = _why_left_out(Path(place, name))
            if reason:
                folders.remove(name)
                found.skipped[str(Path(place, name))] = reason
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if name.endswith(_SUFFIXES))


def _why_left_out(folder: Path) -> str:
    """Why a folder is not looked into, if it holds Python and is no hidden one; else nothing is to be said."""
    if (folder / "pyvenv.cfg").exists():
        return "a virtual environment"
    if folder.name == "__pycache__" or folder.name.endswith(".egg-info"):
        return ""
    return "other people's code, or built" if folder.name in _OTHERS else ""


def _holds_target(path: Path) -> bool:
    """Whether a file defines a target at its top level.

    Raises:
        SyntaxError: If it is no Python; others if it cannot be read.
    """
    if path.suffix == ".ipynb":
        statements = [one for cell in code_cells(path) for one in ast.parse(cell.text).body]
    else:
        source = path.read_bytes()  # Python finds its encoding
        if b"gradcheck" not in source:
            return False
        statements = ast.parse(source).body
    names = _Names(statements)
    return any(map(names.is_target, _at_top_level(statements)))


def _at_top_level(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when a file is imported, within conditions as well."""
    for one in statements:
        yield one
        if not isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inside = (child for child in ast.iter_child_nodes(one) if isinstance(child, ast.stmt | ast.ExceptHandler))
            for child in inside:
                yield from _at_top_level([child] if isinstance(child, ast.stmt) else child.body)


class _Names:
    """What a file calls this package and its names."""

    def __init__(self, statements: list[ast.stmt]) -> None:
        self.modules, self.factories, self.targets = {"gradcheck"}, set[str](), set[str]()
        for one in _at_top_level(statements):
            if isinstance(one, ast.Import):
                self.modules |= {name.asname or name.name for name in one.names if name.name == "gradcheck"}
            elif isinstance(one, ast.ImportFrom) and one.module == "gradcheck":
                known = {name.name: name.asname or name.name for name in one.names}
                known = {"target": "target", "Target": "Target"} if "*" in known else known
                self.factories |= {known["target"]} if "target" in known else set()
                self.targets |= {known["Target"]} if "Target" in known else set()

    def is_target(self, statement: ast.stmt) -> bool:
        """Whether a statement defines a factory, or binds a target."""
        if isinstance(statement, ast.FunctionDef):
            return any(self._is(one, "target", self.factories) for one in statement.decorator_list)
        value = getattr(statement, "value", None)
        if not (isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(value, ast.Call)):
            return False
        made = value.func
        if self._is(made, "target", self.factories) or self._is(made, "Target", self.targets):
            return True
        return isinstance(made, ast.Attribute) and self._is(made.value, "Target", self.targets)

    def _is(self, node: ast.expr, name: str, alone: set[str]) -> bool:
        """Whether an expression is `gradcheck.NAME`, by whatever names."""
        if isinstance(node, ast.Attribute):
            return node.attr == name and isinstance(node.value, ast.Name) and node.value.id in self.modules
        return isinstance(node, ast.Name) and node.id in alone


def _reason(error: Exception) -> str:
    if isinstance(error, SyntaxError):
        return f"line {error.lineno} is no Python: {error.msg}"
    if isinstance(error, OSError):
        return error.strerror or "it cannot be read"
    return " ".join(str(error).split())
