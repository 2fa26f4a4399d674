"""The text of what is written: one statement a line, and long ones over several."""

from __future__ import annotations

import ast
import re

#: columns of a line
WIDTH = 100


def in_style(text: str, quote: str) -> str:
    """Strings with the quotation marks that the file has."""
    return text if quote == "'" else re.sub(r"'([^'\"\\\n]*)'", r'"\1"', text)


def lines_of(statements: list[ast.stmt], indent: int) -> list[str]:
    """The lines of statements, indented by so many levels."""
    result: list[str] = []
    for one in statements:
        ast.fix_missing_locations(one)
        result += _compound(one, indent) or _simple(one, indent)
    return result


def _compound(one: ast.stmt, indent: int) -> list[str]:
    pad = "    " * indent
    if isinstance(one, ast.For):
        head = f"{pad}for {ast.unparse(one.target)} in {ast.unparse(one.iter)}:"
        return [head, *lines_of(one.body, indent + 1)]
    if isinstance(one, ast.If):
        lines = [f"{pad}if {ast.unparse(one.test)}:", *lines_of(one.body, indent + 1)]
        return [*lines, f"{pad}else:", *lines_of(one.orelse, indent + 1)] if one.orelse else lines
    return []


def _simple(one: ast.stmt, indent: int) -> list[str]:
    pad = "    " * indent
    text = ast.unparse(one)
    match one:
        case ast.Assign(targets=[target], value=ast.Tuple(elts=elements)):
            bare = f"{ast.unparse(target).strip('()')} = {', '.join(map(ast.unparse, elements))}"
            if len(pad + bare) <= WIDTH:
                return [pad + bare]
            return _listed(pad, f"{ast.unparse(target).strip('()')} = (", list(map(ast.unparse, elements)), ")")
        case ast.Assign(targets=[ast.Tuple(elts=elements)], value=value):
            return [f"{pad}{', '.join(map(ast.unparse, elements))} = {ast.unparse(value)}"]
        case ast.Return(value=ast.Tuple(elts=elements)):
            text = f"return {', '.join(map(ast.unparse, elements))}"
            return [pad + text] if len(pad + text) <= WIDTH else _listed(
                pad, "return (", list(map(ast.unparse, elements)), ")"
            )  # fmt: skip
        case ast.Return(value=ast.Dict(keys=keys, values=values)) if len(pad + text) > WIDTH:
            pairs = zip(keys, values, strict=True)
            parts = [f"{ast.unparse(key)}: {ast.unparse(value)}" for key, value in pairs if key is not None]
            return _listed(pad, "return {", parts, "}")
        case ast.Assign(targets=[target], value=ast.BinOp() as value) if len(pad + text) > WIDTH:
            terms = _terms(value)
            if len(terms) > 1:
                return [f"{pad}{ast.unparse(target)} = (", *(f"{pad}    {term}" for term in terms), f"{pad})"]
    return [pad + text]


def _listed(pad: str, begin: str, parts: list[str], end: str) -> list[str]:
    return [pad + begin, *(f"{pad}    {part}," for part in parts), pad + end]


def _terms(node: ast.expr) -> list[str]:
    """The terms of a sum, each with its sign."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        sign = "+" if isinstance(node.op, ast.Add) else "-"
        right = ast.unparse(node.right)
        if isinstance(node.right, ast.BinOp) and isinstance(node.right.op, (ast.Add, ast.Sub)):
            right = f"({right})"
        return [*_terms(node.left), f"{sign} {right}"]
    return [ast.unparse(node)]


def without_copies(statements: list[ast.stmt]) -> list[ast.stmt]:
    """The same without copies of arrays that nothing is written into."""
    nodes = [node for one in statements for node in ast.walk(one)]
    written = _written(statements)
    bound: dict[str | None, int] = {}
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound[node.id] = bound.get(node.id, 0) + 1
    result: list[ast.stmt] = []
    for k, one in enumerate(statements):
        match one:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=ast.Call(func=ast.Attribute(attr="copy", value=ast.Name(id=source) as value), args=[]),
            ) if name not in written:
                if name == source:
                    continue
                if bound.get(name) == 1 and source not in _written(statements[k + 1 :]) and bound.get(source, 0) <= 1:
                    _rename(statements, name, source)
                    continue
                one.value = value
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Call(func=ast.Attribute(attr="copy", value=value), args=[])
            ) if name not in written:
                one.value = value
        result.append(one)
    return result


def _written(statements: list[ast.stmt]) -> set[str | None]:
    """The arrays that something is written into."""
    found: set[str | None] = set()
    for node in (node for one in statements for node in ast.walk(one)):
        if isinstance(node, ast.AugAssign):
            found.add(_root(node.target))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("np.add.at", "np.put_along_axis"):
            found.add(_root(node.args[0]))
    return found


def _root(node: ast.expr) -> str | None:
    while isinstance(node, ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def _rename(statements: list[ast.stmt], old: str, new: str) -> None:
    for one in statements:
        for node in ast.walk(one):
            if isinstance(node, ast.Name) and node.id == old:
                node.id = new
