"""Edits that put something else in the place of an expression: what the scope of the statement offers."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from gradcheck._common.arrays import is_float
from gradcheck._usercode.patching import replace_expression
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import Edit

#: edits of one node, an expression or a whole statement
Family: TypeAlias = Callable[[ast.AST, Scope], Iterator[Edit]]

_NAMED = (ast.Name, ast.Attribute, ast.Subscript)
_DISPLAYS = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.Compare, ast.JoinedStr, ast.Slice)


def text_of(node: ast.expr) -> str:
    """The node's text, to stand beside an operator."""
    text = ast.unparse(node)
    return f"({text})" if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Compare, ast.Lambda)) else text


def other_names(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Another array of the same shape."""
    if not isinstance(node, _NAMED):
        return
    value = scope.value(node)
    if not is_float(value) or (np.ndim(value) == 0 and not isinstance(node, ast.Name)):
        return
    for name in scope.same_shape(value):
        yield replace_expression(node, name)
    if isinstance(node, ast.Name):
        return
    owner = scope.value(node.value)
    base = ast.unparse(node.value)
    if isinstance(node, ast.Attribute):
        members = {f"{base}.{name}": other for name, other in (getattr(owner, "__dict__", None) or {}).items()}
    else:
        members = {f"{base}[{key!r}]": other for key, other in owner.items()} if isinstance(owner, Mapping) else {}
    for text, other in members.items():
        if is_float(other) and np.shape(other) == np.shape(value):
            yield replace_expression(node, text)


def other_arrays(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Any other array; an array for a number."""
    if isinstance(node, _NAMED):
        value = scope.value(node)
        for name in scope.arrays if type(value) is int else scope.other_shape(value):
            yield replace_expression(node, name)


def use_activation_derivative(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """f'(a) written for an activated a; and the other way round."""
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        argument = node.args[0]
        for form in _derivatives(text_of(argument)):
            yield replace_expression(node, form)
        for name in scope.same_shape(scope.value(argument)):
            for form in _derivatives(name):
                yield replace_expression(node, form)
    elif isinstance(node, ast.BinOp):
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} - {"np", "numpy"}
        for name in names if len(names) == 1 else ():
            for form in (*_derivatives(name), f"(1 - np.tanh({name}) ** 2)"):
                yield replace_expression(node, form)


def _derivatives(a: str) -> tuple[str, str]:
    return f"({a} * (1 - {a}))", f"(1 - {a} ** 2)"


def wrapped(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A derivative of an activation in the place of its argument; a copy; a square."""
    if isinstance(node, ast.Call):
        yield replace_expression(node, f"{ast.unparse(node)} ** 2")
    elif isinstance(node, _NAMED):
        value = scope.value(node)
        if value is not None and not is_float(value):
            return
        text = ast.unparse(node)
        for form in (*_derivatives(text), f"(1 - {text})", f"np.tanh({text})", f"{text}.copy()", f"{text} ** 2"):
            yield replace_expression(node, form)


def transpose_sum_or_scale(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Transposed; summed over an axis; divided by a size."""
    if not isinstance(node, ast.expr) or isinstance(node, _DISPLAYS):
        return
    text = text_of(node)
    yield replace_expression(node, f"{text}.T")
    for axis in ("0", "1", "(0, 1)"):
        yield replace_expression(node, f"{text}.sum({axis})")
        yield replace_expression(node, f"{text}.sum({axis}, keepdims=True)")
    for name in scope.numbers[:12]:
        yield replace_expression(node, f"({text} / {name})")
        yield replace_expression(node, f"({text} * {name})")


_FACTORS: tuple[str, ...] = (
    "({x} * {v})",
    "({x} * (1 - {v} ** 2))",
    "({x} * {v} * (1 - {v}))",
    "({x} * (1 - {v}))",
    "({x} / {v})",
)


def add_factor(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A factor more."""
    yield from _extended(node, scope, _FACTORS)


def add_term(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """A term more."""
    yield from _extended(node, scope, ("({x} + {v})", "({x} - {v})"))


def _extended(node: ast.AST, scope: Scope, forms: tuple[str, ...]) -> Iterator[Edit]:
    if not isinstance(node, (*_NAMED, ast.BinOp, ast.Call, ast.UnaryOp)):
        return
    names = scope.broadcastable(scope.value(node))
    for form in forms:
        for name in names:
            yield replace_expression(node, form.format(x=text_of(node), v=name))
