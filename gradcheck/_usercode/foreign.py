"""Which calls of the user's code go into machine code that does not look at what it is handed.

A function behind ctypes or cffi, or one of an extension module, takes lengths and addresses on trust: with an edit
before it, it may read and write wherever it likes, and end the process. So nobody edits code that calls one, unless
in a process that may die.
"""

from __future__ import annotations

import ast
import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

from gradcheck._common.user_files import is_user_file
from gradcheck._usercode.profiling import run_profiled
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import Source, first_line

#: packages whose machine code looks at what it is handed; of the standard library all but what opens the door
_CAREFUL = (frozenset(sys.stdlib_module_names) - {"ctypes", "_ctypes", "mmap"}) | {
    "builtins",
    "numpy",
    "scipy",
    "torch",
    "jax",
    "jaxlib",
}
#: packages that are such a door: where a variable is one of theirs, a call that cannot be followed may lead through it
_DOORS = frozenset({"ctypes", "_ctypes", "cffi", "_cffi_backend"})
_BUILTIN = (BuiltinFunctionType, MethodDescriptorType, MethodWrapperType, WrapperDescriptorType)


@dataclass(frozen=True)
class ForeignCall:
    """A call into machine code that takes what it gets: what is called, in which file and line."""

    name: str
    file: str
    line: int


def is_foreign(callee: object) -> bool:
    """Whether calling it runs machine code that may not look at its arguments."""
    while isinstance(callee, functools.partial):
        callee = callee.func
    if isinstance(callee, (FunctionType, MethodType)):
        return False
    if isinstance(callee, type):
        return _package(callee) not in _CAREFUL and not _has_python_source(callee)
    if isinstance(callee, _BUILTIN):
        return _package_of_builtin(callee) not in _CAREFUL
    if isinstance(inspect.getattr_static(type(callee), "__call__", None), FunctionType):
        return False
    return not {_package(type(callee)), _package(callee)} & _CAREFUL


def foreign_calls(run: Callable[[], object]) -> list[ForeignCall]:
    """The calls into foreign code that the user's functions make in a run, in the order of their lines."""
    frames: dict[CodeType, tuple[Mapping[str, Any], Mapping[str, Any]]] = {}
    found: dict[ForeignCall, None] = {}

    def watch(frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if not is_user_file(code.co_filename):
            return
        if event == "return":
            frames[code] = dict(frame.f_locals), frame.f_globals
        elif event == "c_call" and is_foreign(value):
            found.setdefault(ForeignCall(_name(value), code.co_filename, frame.f_lineno))

    run_profiled(run, watch)
    for code, (local, glob) in frames.items():
        found |= dict.fromkeys(_calls_of(code, Scope(local, glob)))
    return sorted(found, key=lambda call: (call.file, call.line, call.name))


def is_foreign_call(node: ast.Call, scope: Scope) -> bool:
    """Whether a call goes into foreign code, as far as the variables around it tell; in doubt, where they hold some.

    It does as well where it is handed such code to call, as `map` is.
    """
    return _handed_on(node, scope) is not None or _is_foreign_callee(node, scope)


def _handed_on(node: ast.Call, scope: Scope) -> ast.expr | None:
    """The foreign code that a call is handed."""
    for one in (*node.args, *(keyword.value for keyword in node.keywords)):
        if isinstance(one, (ast.Name, ast.Attribute, ast.Subscript)):
            value = scope.value(one)
            if callable(value) and is_foreign(value):
                return one
    return None


def _is_foreign_callee(node: ast.Call, scope: Scope) -> bool:
    if any(isinstance(part, ast.Call) for part in ast.walk(node.func)):
        return not isinstance(node.func, ast.Attribute) and _has_door(
            scope
        )  # a method of a result is likely an array's
    callee = scope.value(node.func)
    return _has_door(scope) if callee is None else is_foreign(callee)


def _calls_of(code: CodeType, scope: Scope) -> Iterator[ForeignCall]:
    source = Source.of_running(code.co_filename)
    if source is None:
        return
    for function in ast.walk(source.tree):
        if isinstance(function, (ast.FunctionDef, ast.Lambda)) and first_line(function) == code.co_firstlineno:
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and is_foreign_call(node, scope):
                    called = _handed_on(node, scope) or node.func
                    yield ForeignCall(ast.unparse(called), code.co_filename, node.lineno)


def _has_door(scope: Scope) -> bool:
    return any(_is_door(value) for value in _values(scope))


def _values(scope: Scope) -> Iterable[Any]:
    yield from scope.local.values()
    yield from scope.glob.values()


def _is_door(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return False  # who imports ctypes need not call what it opens
    return not isinstance(value, type) and any(_package(kind) in _DOORS for kind in type(value).__mro__)


def _has_python_source(kind: type) -> bool:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return file is None or file.endswith((".py", ".ipynb"))


def _package_of_builtin(callee: Any) -> str:
    """Of a function; of a method, that of the class that defines it: of a user's list, that of lists."""
    if getattr(callee, "__module__", None):
        return _package(callee)
    owner = getattr(callee, "__self__", None)
    kind = owner if isinstance(owner, type) else getattr(callee, "__objclass__", None) or type(owner)
    name = getattr(callee, "__name__", "")
    return _package(next((one for one in kind.__mro__ if name in vars(one)), kind))


def _package(thing: object) -> str:
    return str(getattr(thing, "__module__", None)).partition(".")[0]


def _name(callee: object) -> str:
    return str(getattr(callee, "__qualname__", None) or callee)
