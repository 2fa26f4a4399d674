"""What a call gives and nobody takes: a derivative that comes back from a helper, and is thrown away."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.gaps import names_bound
from gradcheck._mending.outside import Edit
from gradcheck._mending.syntax import Code, span

#: variables that it could be added to, the nearest above first
MOST_TAKERS = 8


def taken_up(code: Code, statement: ast.stmt) -> Iterator[tuple[Edit, ...]]:
    """What the call gives added to a variable of the function, if the call is of a function of the file that gives
    something."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))) if _gives(code, name):
            function, start = code.function(statement), span(statement)[0]
            bound = [one for one in ast.walk(function) if isinstance(one, ast.stmt)] if function is not None else []
            above = sorted((one for one in bound if one.lineno < statement.lineno), key=lambda one: -one.lineno)
            takers = dict.fromkeys(taker for one in above for taker in sorted(names_bound(one)))
            for taker in list(takers)[:MOST_TAKERS]:
                yield (Edit(start, start, f"{taker} = {taker} + "),)


def _gives(code: Code, name: str) -> bool:
    """Whether a function of the file with this name returns something."""
    functions = (one for one in ast.walk(code.tree) if isinstance(one, ast.FunctionDef) and one.name == name)
    returns = (node for one in functions for node in ast.walk(one) if isinstance(node, ast.Return))
    return any(one.value is not None and not isinstance(one.value, ast.Constant) for one in returns)
