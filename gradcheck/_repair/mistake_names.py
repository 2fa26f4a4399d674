"""What a mistake is called, told from the edit that mends it."""

from __future__ import annotations

import ast

from gradcheck._usercode.source import Edit, Source

_SIGNS = {
    ("=", "+="): "it overwrites what it should add to",
    ("+=", "="): "it adds to what it should replace",
    ("+=", "-="): "the sign is wrong",
    ("-=", "+="): "the sign is wrong",
}
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**"}


def name_mistake(source: Source, edit: Edit) -> str:
    """The mistake in words; empty where the diff says as much."""
    was, now = source.segment(edit.start, edit.end).strip(), edit.text.strip()
    if (was, now) in _SIGNS:
        return _SIGNS[was, now]
    old, new = _expression(was), _expression(now)
    if old is None or new is None:
        return ""
    return _wrapping(old, new) or _rearranged(old, new) or _operands(old, new) or _other(old, new)


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _same(a: ast.AST, b: ast.AST) -> bool:
    return ast.dump(a) == ast.dump(b)


def _wrapping(old: ast.expr, new: ast.expr) -> str:
    """Something around the value that is missing, or too much."""
    for inner, outer, words in ((old, new, "is missing"), (new, old, "is too much")):
        match outer:
            case ast.UnaryOp(op=ast.USub()) if _same(outer.operand, inner):
                return "the sign is wrong"
            case ast.Attribute(attr="T") if _same(outer.value, inner):
                return f"a transpose {words}"
            case ast.Subscript() if _same(outer.value, inner):
                return f"the index [{ast.unparse(outer.slice)}] {words}"
            case ast.Call(func=ast.Attribute(attr="sum")) if _same(outer.func.value, inner):  # type: ignore[attr-defined]
                return f"the sum over {_axis(outer)} {words}"
            case ast.Call(func=ast.Attribute(attr="copy")) if _same(outer.func.value, inner):  # type: ignore[attr-defined]
                return "an array is kept that is overwritten later: a copy is missing"
            case ast.Call() if outer.args and _same(outer.args[0], inner):
                called = ast.unparse(outer.func)
                if called.rpartition(".")[2] in ("clip", "minimum", "maximum"):
                    return f"{called} cuts a gradient off inside the backward" if outer is old else "a clip is missing"
                return f"{called}() {words}"
    return ""


def _axis(call: ast.Call) -> str:
    for keyword in call.keywords:
        if keyword.arg == "axis":
            return f"axis {ast.unparse(keyword.value)}"
    return f"axis {ast.unparse(call.args[0])}" if call.args else "all axes"


def _rearranged(old: ast.expr, new: ast.expr) -> str:
    """The same parts in another order."""
    before, after = _parts(old), _parts(new)
    if len(before) > 1 and before != after and sorted(before) == sorted(after):
        moved = [a for a, b in zip(before, after, strict=True) if a != b]
        kind = "arguments" if isinstance(old, ast.Call) else "factors" if isinstance(old, ast.BinOp) else "values"
        return f"the {kind} {' and '.join(moved)} stand in each other's place"
    return ""


def _parts(node: ast.expr) -> list[str]:
    match node:
        case ast.Call():
            return [ast.unparse(one) for one in node.args]
        case ast.Tuple() | ast.List():
            return [ast.unparse(one) for one in node.elts]
        case ast.Dict():
            return [ast.unparse(one) for one in node.values]
        case ast.BinOp():
            return [ast.unparse(node.left), ast.unparse(node.right)]
    return []


def _operands(old: ast.expr, new: ast.expr) -> str:
    """A factor or a term that is missing, or too much; another operator."""
    derivative = _activation(new)
    if isinstance(old, ast.Call) and derivative and len(old.args) == 1:
        argument, function = ast.unparse(old.args[0]), ast.unparse(old.func)
        if not function.startswith(("np.", "numpy.")):
            return f"{argument} is activated already, and {function}() takes it for a pre-activation"
        return f"the derivative of {derivative} is missing"
    for inner, outer, words in ((old, new, "is missing"), (new, old, "is too much")):
        if isinstance(outer, ast.BinOp) and type(outer.op) in _OPERATORS:
            for one, other in ((outer.left, outer.right), (outer.right, outer.left)):
                if _same(one, inner):
                    if isinstance(outer.op, ast.Pow):
                        return f"the power {ast.unparse(other)} {words}"
                    if isinstance(outer.op, ast.Div):
                        return f"a division by {ast.unparse(other)} {words}"
                    kind = "term" if isinstance(outer.op, (ast.Add, ast.Sub)) else "factor"
                    said = f", the derivative of {_activation(other)}," if _activation(other) else ""
                    return f"the {kind} {ast.unparse(other)}{said} {words}"
    return _operator(old, new)


def _operator(old: ast.expr, new: ast.expr) -> str:
    if not (isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp)) or type(old.op) is type(new.op):
        return ""
    if not (_same(old.left, new.left) and _same(old.right, new.right)):
        return ""
    if {type(old.op), type(new.op)} == {ast.Add, ast.Sub}:
        return "the sign of a term is wrong"
    return f"{_OPERATORS.get(type(old.op), '?')} stands where {_OPERATORS.get(type(new.op), '?')} should"


def _activation(node: ast.expr) -> str:
    """Which activation's derivative an expression is, told from the activated value; empty if of none."""
    match node:
        case ast.BinOp(op=ast.Mult(), right=ast.BinOp(op=ast.Sub(), left=ast.Constant(value=1))):
            return "the logistic function" if _same(node.left, node.right.right) else ""  # type: ignore[attr-defined]
        case ast.BinOp(op=ast.Sub(), left=ast.Constant(value=1), right=ast.BinOp(op=ast.Pow())):
            return "tanh"
    return ""


def _other(old: ast.expr, new: ast.expr) -> str:
    named = (ast.Name, ast.Attribute, ast.Subscript, ast.Constant)
    if isinstance(old, named) and isinstance(new, named):
        return f"{ast.unparse(old)} stands where {ast.unparse(new)} should"
    return ""
