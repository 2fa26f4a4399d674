"""Names of what is written: the user's own where they are free, arguments for what a closure held, imports."""

from __future__ import annotations

import ast
import builtins
import keyword
import re
from dataclasses import dataclass, field
from typing import Any

from gradcheck._deriving.scopes import Path
from gradcheck._deriving.statements import CannotError, Info, note

_LITERAL = (int, float, str, bool, type(None))


@dataclass
class Names:
    """The names of one derived function."""

    #: the names of the module that it will stand beside
    globals: dict[str, Any]
    module: str
    #: its arguments: how each is found from the function that was begun with
    arguments: dict[str, Path | None] = field(default_factory=dict)
    #: names that are imported, by module
    imports: dict[str, str] = field(default_factory=dict)
    _values: dict[str, Any] = field(default_factory=dict)
    _taken: set[str] = field(default_factory=set)
    _paths: dict[int, Path] = field(default_factory=dict)
    _kept: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        """What Python and the module call something is taken."""
        self._taken |= {*vars(builtins), *keyword.kwlist, *self.globals}

    def fresh(self, hint: str) -> str:
        """A name that nothing has yet."""
        hint = re.sub(r"\W", "_", hint).strip("_") or "value"
        if hint[0].isdigit():
            hint = f"_{hint}"
        name, k = hint, 1
        while name in self._taken:
            k += 1
            name = f"{hint}_{k}" if hint[-1].isdigit() else f"{hint}{k}"
        self._taken.add(name)
        return name

    def release(self, name: str) -> None:
        """It is not used after all."""
        self._taken.discard(name)

    def argument(self, hint: str, value: Any, path: Path | None) -> str:
        """The argument that brings this value."""
        for name, one in self._values.items():
            if one is value:
                return name
        name = self.fresh(hint)
        self._values[name] = value
        self.arguments[name] = path
        return name

    def given(self, value: Any, node: ast.expr) -> ast.expr:
        """The argument that is this object, if it is one; else the expression as it is."""
        for name, one in self._values.items():
            if one is value and hasattr(value, "__dict__"):
                return note(ast.Name(name, ast.Load()), Info(value))
        return node

    def remember(self, function: Any, path: Path) -> None:
        """How a function of the user's was reached."""
        self._paths[id(function)] = path
        self._kept.append(function)

    def path_of(self, function: Any) -> Path | None:
        """How it was."""
        return self._paths.get(id(function))

    def of_module(self, name: str, value: Any, module: dict[str, Any]) -> ast.expr:
        """What a name of a module of the user's is called in the module that is written beside."""
        if module is self.globals or (name in self.globals and self.globals[name] is value):
            return ast.Name(name, ast.Load())
        if getattr(builtins, name, self) is value and name not in self.globals:
            return ast.Name(name, ast.Load())
        if isinstance(value, _LITERAL):
            return ast.Constant(value)
        origin = str(module.get("__name__", ""))
        if type(value).__name__ == "module":
            line = f"import {value.__name__}" + ("" if name == value.__name__ else f" as {name}")
        else:
            line = f"from {origin} import {name}"
        if self.imports.setdefault(name, line) != line or name in self.globals:
            raise CannotError(f"{name} of {origin} means something else in {self.module}: give it a name of its own")
        self._taken.add(name)
        return ast.Name(name, ast.Load())
