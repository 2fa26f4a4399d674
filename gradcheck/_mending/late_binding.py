"""Functions that are made in a loop and read its variables when they are called: the last round's, not their own."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import Code, names_in, span

_Function = ast.Lambda | ast.FunctionDef
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def bound_early(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """What a function of the statement reads of its round bound as defaults: the loop's variable, then all of that."""
    for function in _functions(statement):
        counters, bound = _of_round(code, function)
        read = [one for one in _free(function) if one in counters | bound]
        of_loops = [one for one in read if one in counters]
        for chosen in (of_loops, read) if of_loops != read else (read,):
            edit = _with_defaults(code, function, chosen) if chosen else None
            if edit is not None:
                yield (edit,)


def _functions(statement: ast.stmt) -> Iterator[_Function]:
    """Those that the statement makes; what stands in their bodies are statements of their own."""
    if isinstance(statement, ast.FunctionDef):
        yield statement
    elif not isinstance(statement, (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.ClassDef)):
        yield from (node for node in ast.walk(statement) if isinstance(node, ast.Lambda))


def _of_round(code: Code, function: _Function) -> tuple[set[str], set[str]]:
    """The variables of the loops around it, and what else is bound anew in each round."""
    counters, bound = set[str](), set[str]()
    around = code.parent(function)
    while around is not None and not isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        if isinstance(around, (ast.For, ast.AsyncFor)):
            counters |= names_in(around.target)
            bound |= {name for one in around.body for name in _bound_by(one)}
        elif isinstance(around, _COMPREHENSIONS):
            counters |= {name for one in around.generators for name in names_in(one.target)}
        around = code.parent(around)
    return counters, bound - counters


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    if not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        names = (node for node in ast.walk(statement) if isinstance(node, ast.Name))
        yield from (node.id for node in names if isinstance(node.ctx, ast.Store))


def _free(function: _Function) -> list[str]:
    """The names that it reads and does not bind, in their order."""
    body = function.body if isinstance(function.body, list) else [function.body]
    names = [node for one in body for node in ast.walk(one) if isinstance(node, ast.Name)]
    arguments = (node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg))
    own = {*arguments, *(node.id for node in names if isinstance(node.ctx, ast.Store))}
    return list(dict.fromkeys(node.id for node in names if node.id not in own))


def _with_defaults(code: Code, function: _Function, names: list[str]) -> Edit | None:
    """The edit that adds `name=name` to its arguments; None where they end in ones that take what is left."""
    text, arguments = ", ".join(f"{name}={name}" for name in names), function.args
    if arguments.vararg is not None or arguments.kwarg is not None:
        return None
    given = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    defaults = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
    parts: list[ast.arg | ast.expr] = [*given, *defaults]
    ends = [(one.end_lineno or 0, one.end_col_offset or 0) for one in parts]
    if ends:
        return Edit(max(ends), max(ends), f", {text}")
    start, _ = span(function)
    until = span(function.body if isinstance(function, ast.Lambda) else function.body[0])[0]
    sign = "lambda" if isinstance(function, ast.Lambda) else f"def {function.name}("
    offset = code.between(start, until).find(sign)
    if offset < 0:
        return None
    at = start[0], start[1] + offset + len(sign.encode())
    return Edit(at, at, f" {text}" if isinstance(function, ast.Lambda) else text)
