"""Whether a backward goes back from each step anew, in a loop within a loop: it calculates with one term at a time.

The beginner's way: for each output, its derivative is carried back through all steps before it. What is calculated
there is the derivative of that term of the loss alone.
"""

from __future__ import annotations

import ast
from functools import lru_cache

from gradcheck._localising.tape import TapedRun


def goes_back_from_each(run: TapedRun) -> bool:
    """Whether a loop of the backward begins or ends where one around it is."""
    places = (node.place for node in run.backward if node.place is not None)
    heads = {(place.statement.source.text, place.function) for place in places}
    return any(function in _functions_with_such_loops(text) for text, function in heads)


@lru_cache(maxsize=8)
def _functions_with_such_loops(text: str) -> frozenset[str]:
    """By their qualified names."""
    found: set[str] = set()
    for name, function in _functions(ast.parse(text), ()):
        loops = [node for node in ast.walk(function) if isinstance(node, ast.For)]
        for outer in loops:
            counters = {node.id for node in ast.walk(outer.target) if isinstance(node, ast.Name)}
            inner = (node for node in ast.walk(outer) if isinstance(node, ast.For) and node is not outer)
            read = (one.id for node in inner for one in ast.walk(node.iter) if isinstance(one, ast.Name))
            if counters & set(read):
                found.add(name)
    return frozenset(found)


def _functions(node: ast.AST, path: tuple[str, ...]) -> list[tuple[str, ast.AST]]:
    result: list[tuple[str, ast.AST]] = []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            here = (*path, child.name)
            if not isinstance(child, ast.ClassDef):
                result.append((".".join(here), child))
            result += _functions(child, here)
        else:
            result += _functions(child, path)
    return result
