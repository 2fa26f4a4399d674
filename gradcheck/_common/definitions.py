"""The definitions of a script alone: what it imports, its functions, classes and constants; not what it does.

A script that trains when it is imported, or reads a file that is not there, holds functions that can be checked all
the same. Line numbers stay those of the file.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from gradcheck._common.errors import TargetError
from gradcheck._common.files import remember_contents
from gradcheck._common.import_path import add_to_import_path
from gradcheck._common.neighbours import neighbours_first

#: builtins that only calculate
_CALCULATING = frozenset(
    {abs, all, any, bool, bytes, complex, dict, divmod, enumerate, filter, float, frozenset, int, isinstance, iter, len}
    | {list, map, max, min, next, object, pow, range, repr, reversed, round, set, slice, sorted, str, sum, tuple, zip}
)
#: what modules offer that reads, writes or waits, by the beginning of its name
_ACTING = (
    "load",
    "read",
    "write",
    "save",
    "open",
    "from",
    "gen",
    "input",
    "fetch",
    "download",
    "sleep",
    "seed",
    "show",
)
#: calls that only declare: the rule of a function of JAX, a library of C and the types of its arguments
_DECLARING = frozenset({"defvjp", "defjvp", "defvjps", "CDLL", "ndpointer"})
#: modules whose functions only calculate, but for those
_LIBRARIES = frozenset(
    {"numpy", "math", "cmath", "itertools", "functools", "collections", "operator", "scipy", "ctypes", "pathlib"}
)


class _Absent:
    """What could not be imported; whoever uses it is told."""

    def __init__(self, name: str, error: BaseException) -> None:
        self._name, self._error = name, error

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise ImportError(f"{self._name} could not be imported: {self._error}")

    def __call__(self, *_: object, **__: object) -> Any:
        raise ImportError(f"{self._name} could not be imported: {self._error}")


def load_definitions(path: str | os.PathLike[str]) -> ModuleType:
    """The imports, functions, classes and constants of a Python file, as a module.

    Loops, calls and whatever else stands at its top does not run, nor do assignments that depend on it: their names
    are not there, and can be set from outside. What cannot be imported raises where it is used.

    Raises:
        TargetError: If there is no such file, or it is no Python 3.
    """
    file = Path(path).resolve()
    name = f"_gradcheck_definitions_{file.stem}_{hashlib.sha1(os.fsencode(file)).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    tree = parsed(file)
    module = ModuleType(name, ast.get_docstring(tree))
    module.__file__ = str(file)
    add_to_import_path(str(file.parent))
    if any(isinstance(node, ast.Name) and node.id == "xrange" for node in ast.walk(tree)):
        vars(module)["xrange"] = range  # left over from Python 2 in code that is Python 3 but for this
    sys.modules[name] = module
    try:
        flags = _future_flags(tree)
        with neighbours_first(str(file.parent)):
            for statement in tree.body:
                _run(statement, module, flags)
    except BaseException:
        del sys.modules[name]
        raise
    remember_contents(file)
    return module


def parsed(file: Path) -> ast.Module:
    """The syntax tree of a file.

    Raises:
        TargetError: If it cannot be read, or is no Python 3.
    """
    try:
        return ast.parse(file.read_bytes())
    except OSError as error:
        raise TargetError(f"cannot read {file}: {error.strerror}") from error
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where, said = (f", line {line}" if line else ""), getattr(error, "msg", error)
        hint = "; Python 2 has to be converted first" if "print" in str(said) or "except" in str(said) else ""
        raise TargetError(f"{file}{where} is no Python 3: {said}{hint}") from error


def does_more_than_define(tree: ast.Module) -> bool:
    """Whether an import of the file would do more than its definitions: train, read, print."""
    return any(not _is_definition(one) and not _is_idle(one) for one in tree.body)


def _run(statement: ast.stmt, module: ModuleType, flags: int) -> None:
    if not _is_definition(statement, vars(module)):
        return
    code = compile(ast.Module([statement], []), str(module.__file__), "exec", flags=flags, dont_inherit=True)
    try:
        exec(code, vars(module))
    except ImportError as error:
        for name, whole in _imported(statement):
            vars(module).setdefault(name, _Absent(whole, error))
    except Exception:  # it depends on what does not run
        return


def _is_definition(statement: ast.stmt, names: dict[str, Any] | None = None) -> bool:
    """Whether it only defines; with `names`, whether all that its values depend on is there."""
    match statement:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=value) | ast.AugAssign(value=value):
            return value is None or _only_calculates(value, names)
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))):
            return name in _DECLARING
        case ast.Try(body=body):
            return all(isinstance(one, (ast.Import, ast.ImportFrom)) for one in body)
    return False


def _is_idle(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Expr(value=ast.Constant()):
            return True
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
    return False


def _only_calculates(value: ast.expr, names: dict[str, Any] | None) -> bool:
    return all(_is_calculation(node.func, names) for node in ast.walk(value) if isinstance(node, ast.Call))


def _is_calculation(function: ast.expr, names: dict[str, Any] | None) -> bool:
    """Whether a call only calculates, as far as its name tells."""
    if isinstance(function, ast.Name):
        if names is not None and function.id in names:
            module = getattr(names[function.id], "__module__", None) or ""
            return str(module).partition(".")[0] in _LIBRARIES
        return getattr(builtins, function.id, None) in _CALCULATING
    if isinstance(function, ast.Attribute) and function.attr in _DECLARING:
        return True
    if not isinstance(function, ast.Attribute) or function.attr.startswith(_ACTING):
        return False
    root: ast.expr = function
    while isinstance(root, ast.Attribute):
        root = root.value
    if not isinstance(root, ast.Name):
        return True  # a method of what was calculated
    if names is None:
        return root.id in ("np", "numpy", "math", "xp", "ctypes", "pathlib")
    owner = names.get(root.id)
    return not isinstance(owner, ModuleType) or owner.__name__.partition(".")[0] in _LIBRARIES


def _imported(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """The names that an import binds, and what they are."""
    for node in ast.walk(statement):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield one.asname or one.name.partition(".")[0], one.name
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                yield one.asname or one.name, f"{node.module}.{one.name}"


def _future_flags(tree: ast.Module) -> int:
    flags = 0
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            for one in node.names:
                flags |= getattr(__future__, one.name).compiler_flag
    return flags
