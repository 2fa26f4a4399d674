"""A backward as source, with what is needed to run it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import Any

from gradcheck._deriving.layout import lines_of
from gradcheck._deriving.scopes import Path


@dataclass
class Written:
    """A backward as source, with what is needed to run it."""

    name: str
    source: str
    #: its arguments in their order: the cotangents, what the forward is handed, and how the others are found
    cotangents: list[str]
    handed: list[str]
    paths: dict[str, Path]
    module: dict[str, Any]
    file: str
    imports: list[str]

    @property
    def arguments(self) -> list[str]:
        """All of its arguments."""
        return [*self.cotangents, *self.handed, *self.paths]


def source_of(name: str, arguments: list[str], forward: list[ast.stmt], backward: list[ast.stmt]) -> str:
    """The text of the function, the forward and the backward apart."""
    lines = [f"def {name}({', '.join(arguments)}):"]
    for title, part in (("forward, keeping what the backward needs", forward), ("backward", backward)):
        if part:
            lines += [f"    # {title}", *lines_of(part, 1)]
    return "\n".join(lines) + "\n"


def output_name(root: ast.expr) -> str:
    """What an output is called."""
    inner = root
    while isinstance(inner, ast.Call) and inner.args:
        inner = inner.args[0]
    return inner.id if isinstance(inner, ast.Name) else "out"
