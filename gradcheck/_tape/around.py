"""Functions inside others hold all variables around them, so that one that they do not read can be looked at.

A pullback reads the variables of the function that makes it, and Python keeps for it those alone that it names. Where
the wrong one is named, the right one is gone once the function around has returned. Code that never runs names them
all; what the functions do stays the same.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gradcheck._tape.expressions import TEMPORARY
from gradcheck._usercode.source import first_line

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


@contextmanager
def holding_all_around(tree: ast.Module, lines: Collection[int] | None) -> Iterator[bool]:
    """For the block, functions that begin at these lines name all variables of the functions around that do as well.

    `lines` of None are all. Yields whether any function names more than before.
    """
    more = [(node, names) for node, names in _held(tree, lines, (), set()) if names]
    bodies = [(node, node.body) for node, _ in more]
    for node, names in more:
        _name(node, sorted(names))
    try:
        yield bool(more)
    finally:
        for node, body in bodies:
            node.body = body


@dataclass
class _Names:
    """What a function binds and reads itself."""

    bound: set[str] = field(default_factory=set)
    elsewhere: set[str] = field(default_factory=set)


def _held(
    node: ast.AST, lines: Collection[int] | None, around: tuple[set[str], ...], bound_before: set[str]
) -> Iterator[tuple[_Function, set[str]]]:
    """Each function inside others, with the names of those around it that are not its own.

    `bound_before` are names of functions around that do not run: what is inside these was made before, and holds of
    them what it reads.
    """
    for function in _functions_in(node):
        runs = lines is None or first_line(function) in lines
        inner = _functions_in(function)
        if runs and (around or inner):
            own = _names_of(function)
            yield function, set().union(*around) - own.bound - own.elsewhere
            yield from _held(function, lines, (*around, own.bound | (_read_in(function) & bound_before)), bound_before)
        elif inner:
            yield from _held(function, lines, (), bound_before | _names_of(function).bound)


def _read_in(function: _Function) -> set[str]:
    """What it reads, or a function inside it does."""
    return {one.id for one in ast.walk(function) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def _functions_in(node: ast.AST) -> list[_Function]:
    """Those that stand in it, and in no other that does, in order."""
    found, waiting = list[_Function](), list(ast.iter_child_nodes(node))[::-1]
    while waiting:
        child = waiting.pop()
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            found.append(child)
        else:
            waiting += list(ast.iter_child_nodes(child))[::-1]
    return found


def _names_of(function: _Function) -> _Names:
    found = _Names()
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    found.bound |= {one.arg for one in named if one is not None}
    for part in function.body if isinstance(function.body, list) else [function.body]:
        _collect(part, found)
    found.bound = {name for name in found.bound - found.elsewhere if not name.startswith((TEMPORARY, "__"))}
    return found


def _collect(node: ast.AST, found: _Names) -> None:
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            found.bound.add(name)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            found.elsewhere |= set(names)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            found.bound.add(name)
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            found.bound |= {(one.asname or one.name).partition(".")[0] for one in aliases} - {"*"}
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            found.bound.add(name)
        case ast.MatchMapping(rest=str(name)):
            found.bound.add(name)
    if isinstance(node, _SCOPES):
        return
    if isinstance(node, _COMPREHENSIONS):  # its variables are its own, but for those of `:=`
        named = [one.target.id for one in ast.walk(node) if isinstance(one, ast.NamedExpr)]
        found.bound |= set(named)
        return
    for child in ast.iter_child_nodes(node):
        _collect(child, found)


def _name(function: _Function, names: list[str]) -> None:
    """Name these in code that never runs."""
    read = ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load())
    never = ast.Constant(value=False)
    if isinstance(function, ast.Lambda):
        function.body = ast.IfExp(never, read, function.body)
    else:
        function.body = [*function.body, ast.If(never, [ast.Expr(read)], [])]
    ast.fix_missing_locations(function)
