"""The forward as it was read: straight statements and loops in which every name is bound at one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.errors import TargetError


class CannotError(TargetError):
    """A construct that no backward can be written for: which line, and why."""


@dataclass
class Info:
    """What is known of an expression: its value at the first execution, and whether derivatives flow through it."""

    value: Any
    is_active: bool = False
    #: the parameter that it reads
    parameter: str | None = None
    #: how a helper's derivative is told from its result: see `slopes.py`
    slope: str | None = None


@dataclass(eq=False)
class Let:
    """``a = expression``, or ``a, b = expression``."""

    names: list[str]
    expression: ast.expr
    line: int = 0
    file: str = ""


@dataclass(eq=False)
class Store:
    """``base[index] = expression``, or ``+=`` or ``-=``; `at` says that entries may be named more than once."""

    target: ast.Subscript
    operator: ast.operator | None
    expression: ast.expr
    line: int = 0
    at: bool = False
    file: str = ""


@dataclass(eq=False)
class Append:
    """``name.append(expression)``; `position` once it is known."""

    name: str
    expression: ast.expr
    line: int = 0
    position: ast.expr | None = None
    file: str = ""


@dataclass(eq=False)
class Do:
    """A statement through which no derivative flows."""

    statement: ast.stmt
    line: int = 0
    file: str = ""


@dataclass(eq=False)
class Loop:
    """``for index in over``; `carried`: each name that a step hands to the next, and its name before the step."""

    index: str
    over: ast.expr
    body: list[Statement]
    carried: list[tuple[str, str]] = field(default_factory=list)
    line: int = 0
    file: str = ""


@dataclass(eq=False)
class Branch:
    """``if test``; names that both sides bind are the same."""

    test: ast.expr
    body: list[Statement]
    otherwise: list[Statement]
    line: int = 0
    file: str = ""


Statement: TypeAlias = Let | Store | Append | Do | Loop | Branch
Block: TypeAlias = list[Statement]


# -- what is known of an expression --------------------------------------------------------------------------------


def note(node: ast.expr, info: Info) -> ast.expr:
    """Keep what is known with the node."""
    node.info = info  # type: ignore[attr-defined]
    return node


def known(node: ast.AST) -> Info | None:
    """What is known of a node."""
    found: Info | None = getattr(node, "info", None)
    return found


def is_active(node: ast.AST) -> bool:
    """Whether derivatives flow through it."""
    info = known(node)
    return info is not None and info.is_active


def value_of(node: ast.expr) -> Any:
    """Its value at the first execution."""
    info = known(node)
    return None if info is None else info.value


def shape_of(node: ast.expr) -> tuple[int, ...]:
    """The shape of its value; () for what is no array."""
    return shape_of_value(value_of(node))


def shape_of_value(value: Any) -> tuple[int, ...]:
    """The shape of an array, a number, or a list of arrays of one shape; else ()."""
    if isinstance(value, (list, tuple)):
        inner = {shape_of_value(one) for one in value}
        return (len(value), *next(iter(inner))) if len(inner) == 1 else ()
    return np.shape(value) if isinstance(value, (np.ndarray, np.generic)) else ()


def clone(node: ast.expr) -> ast.expr:
    """A copy of an expression, with what is known of it."""
    made = _cloned(node)
    assert isinstance(made, ast.expr)
    return made


def _cloned(node: ast.AST) -> ast.AST:
    fields: dict[str, Any] = {}
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            fields[name] = _cloned(value)
        elif isinstance(value, list):
            fields[name] = [_cloned(one) if isinstance(one, ast.AST) else one for one in value]
        else:
            fields[name] = value
    made = type(node)(**fields)
    info = known(node)
    if info is not None:
        made.info = info  # type: ignore[attr-defined]
    return made


def operands(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions right below a node of which something is known."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Attribute) and callable(value_of(child)):
            yield child.value  # of a method, what it is called of
        elif isinstance(child, ast.expr) and known(child) is not None:
            yield child
        else:
            yield from operands(child)


def is_number(value: object) -> bool:
    """Whether it is a floating-point array or number."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fc"
    return isinstance(value, (float, complex, np.inexact))


def holds_numbers(value: object, depth: int = 3) -> bool:
    """The same of what a container holds."""
    if is_number(value):
        return True
    if depth and isinstance(value, (list, tuple)):
        return any(holds_numbers(one, depth - 1) for one in value[:8])
    if depth and isinstance(value, dict):
        return any(holds_numbers(one, depth - 1) for one in value.values())
    return False


# -- names ---------------------------------------------------------------------------------------------------------


def names_in(*nodes: ast.AST | None) -> set[str]:
    """The names that are read."""
    return {
        one.id
        for node in nodes
        if node is not None
        for one in ast.walk(node)
        if isinstance(one, ast.Name)
    }  # fmt: skip


def root_of(node: ast.expr) -> str | None:
    """The variable that a chain of indices begins with."""
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def bound_in(block: Block) -> set[str]:
    """The names that are bound in a block and the blocks in it."""
    found: set[str] = set()
    for one in block:
        if isinstance(one, Let):
            found.update(one.names)
        for inner in blocks_of(one):
            found |= bound_in(inner)
        if isinstance(one, Loop):
            found.add(one.index)
    return found


def blocks_of(statement: Statement) -> list[Block]:
    """The blocks of a compound statement."""
    if isinstance(statement, Loop):
        return [statement.body]
    return [statement.body, statement.otherwise] if isinstance(statement, Branch) else []


def every(block: Block) -> Iterator[Statement]:
    """All statements, those of inner blocks too."""
    for one in block:
        yield one
        for inner in blocks_of(one):
            yield from every(inner)


def expressions_of(statement: Statement) -> list[ast.AST]:
    """The trees of a statement, without those of its blocks."""
    match statement:
        case Let() | Append():
            return [one for one in (statement.expression, getattr(statement, "position", None)) if one is not None]
        case Store():
            return [statement.target, statement.expression]
        case Do():
            return [statement.statement]
        case Loop():
            return [statement.over]
        case Branch():
            return [statement.test]


def rename(block: Block, old: str, new: str) -> None:
    """Give a variable another name."""
    for one in every(block):
        if isinstance(one, Let):
            one.names = [new if name == old else name for name in one.names]
        if isinstance(one, Append) and one.name == old:
            one.name = new
        if isinstance(one, Loop):
            one.carried = [(new if a == old else a, new if b == old else b) for a, b in one.carried]
        for tree in expressions_of(one):
            rename_in(tree, old, new)


def rename_in(tree: ast.AST, old: str, new: str) -> None:
    """The same in an expression."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == old:
            node.id = new
