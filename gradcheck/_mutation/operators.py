"""Bugs to plant in a backward: small changes of single statements, of the sort that people make in gradient code.

The operators work on the syntax tree and are written apart from the edits that mend (`_edits.py`): a repair must not be
tested against itself. A variable is replaced only by others of its shape, which is looked up in the frames that ran.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradcheck._usercode.patching import Edit
from gradcheck._usercode.rewriting import Statement

#: other variables that one is replaced by
MOST_OTHERS = 4
#: the bound of a clip that is inserted
CLIP = 0.1


class Mutant(NamedTuple):
    """A change of one statement, and the operator that it is of."""

    operator: str
    statement: Statement
    edit: Edit


#: the values of a function's variables when it last returned
Frame: TypeAlias = Mapping[str, Any]
_Replacements: TypeAlias = Iterator[tuple[ast.AST, str]]


def locals_at_return(run: Callable[[], object], codes: list[CodeType]) -> dict[CodeType, Frame]:
    """The variables of these functions as they were when each last returned."""
    found: dict[CodeType, Frame] = {}
    wanted = set(codes)

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code in wanted:
            found[frame.f_code] = {**frame.f_globals, **frame.f_locals}

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        run()
    finally:
        sys.setprofile(before)
    return found


def mutants(source: str, file: str, code: CodeType, frame: Frame) -> Iterator[Mutant]:
    """The changes of one function, statement by statement."""
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, (ast.FunctionDef, ast.Lambda)) and _has_code(function, code):
            body = function.body if isinstance(function, ast.FunctionDef) else [ast.Expr(function.body)]
            for node in _statements(body):
                if not hasattr(node, "lineno"):
                    node.lineno = function.lineno
                text = (ast.get_source_segment(source, node) or ast.unparse(node)).strip()
                statement = Statement(file, node, text, code.co_qualname)
                yield from _mutants_of(statement, node, frame)


def _has_code(function: ast.FunctionDef | ast.Lambda, code: CodeType) -> bool:
    name = function.name if isinstance(function, ast.FunctionDef) else "<lambda>"
    first = min([function.lineno, *(one.lineno for one in getattr(function, "decorator_list", []))])
    return code.co_name == name and code.co_firstlineno == first


def _statements(body: list[Any]) -> Iterator[ast.stmt]:
    """The statements of a function, not those of functions inside it."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
            yield node
        for inner in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, inner, []))


def _mutants_of(statement: Statement, node: ast.stmt, frame: Frame) -> Iterator[Mutant]:
    seen: set[Edit] = set()
    value = getattr(node, "value", None)
    if value is None or (isinstance(node, ast.Expr) and isinstance(value, ast.Constant)):
        return  # a docstring computes nothing
    for operator, changed in (*OF_EXPRESSIONS.items(), *OF_STATEMENTS.items()):
        where = [node] if operator in OF_STATEMENTS else _expressions(value)
        for part in where:
            for replaced, text in changed(part, frame):
                edit = _replacing(replaced, text)
                if edit is not None and edit not in seen:
                    seen.add(edit)
                    yield Mutant(operator, statement, edit)


def _expressions(value: ast.expr) -> list[ast.AST]:
    """What the statement computes; the functions that it calls and the insides of lambdas are left as they are."""
    found: list[ast.AST] = []
    waiting: list[ast.AST] = [value]
    while waiting:
        node = waiting.pop(0)
        found.append(node)
        if isinstance(node, ast.Lambda):
            continue
        children = list(ast.iter_child_nodes(node))
        if isinstance(node, ast.Call):
            receiver = [node.func.value] if isinstance(node.func, ast.Attribute) else []
            children = [*receiver, *node.args, *(one.value for one in node.keywords)]
        waiting += [child for child in children if isinstance(child, (ast.expr, ast.comprehension))]
    return [node for node in found if isinstance(node, ast.expr)]


def _replacing(node: ast.AST, text: str) -> Edit | None:
    at = [getattr(node, name, None) for name in ("lineno", "col_offset", "end_lineno", "end_col_offset")]
    if any(one is None for one in at):
        return None
    return Edit((at[0], at[1]), (at[2], at[3]), text)  # type: ignore[arg-type]  # none of them is None


def _value(node: ast.AST, frame: Frame) -> Any:
    """The value of a name, attribute or item; None if it has none any more."""
    if any(isinstance(part, ast.Call) for part in ast.walk(node)):
        return None
    try:
        return eval(compile(ast.Expression(node), "<mutant>", "eval"), dict(frame))  # type: ignore[arg-type]
    except Exception:  # what the last iteration left behind may not fit
        return None


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _text(node: ast.AST) -> str:
    text = ast.unparse(node)
    return f"({text})" if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Lambda, ast.Compare)) else text


# -- operators on expressions ------------------------------------------------------------------------------------------


def _variables(node: ast.AST, frame: Frame) -> _Replacements:
    """Another variable, attribute or item of the same shape."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) or not isinstance(node.ctx, ast.Load):
        return
    value = _value(node, frame)
    if not _is_array(value):
        return
    for name in _alike(node, value, frame)[:MOST_OTHERS]:
        yield node, name


def _alike(node: ast.Name | ast.Attribute | ast.Subscript, value: Any, frame: Frame) -> list[str]:
    if isinstance(node, ast.Name):
        others = {name: other for name, other in frame.items() if name != node.id}
    else:
        owner, base = _value(node.value, frame), ast.unparse(node.value)
        if isinstance(node, ast.Subscript):
            members = owner if isinstance(owner, dict) else {}
            others = {f"{base}[{key!r}]": other for key, other in members.items()}
        else:
            others = {f"{base}.{key}": other for key, other in getattr(owner, "__dict__", {}).items()}
        others.pop(ast.unparse(node), None)
    return [name for name, other in others.items() if _is_array(other) and other.shape == value.shape]


def _dropped(node: ast.AST, _: Frame) -> _Replacements:
    """A term or a factor left out."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
        yield node, _text(node.left)
        if not isinstance(node.op, ast.Div):
            yield node, f"(-{_text(node.right)})" if isinstance(node.op, ast.Sub) else _text(node.right)


def _doubled(node: ast.AST, _: Frame) -> _Replacements:
    """A term or a factor that is there twice."""
    if not isinstance(node, ast.BinOp):
        return
    if isinstance(node.op, (ast.Add, ast.Sub)):
        sign = "+" if isinstance(node.op, ast.Add) else "-"
        yield node, f"({ast.unparse(node)} {sign} {_text(node.right)})"
        yield node, f"({ast.unparse(node)} + {_text(node.left)})"
    elif isinstance(node.op, (ast.Mult, ast.Div)):
        for factor in (node.left, node.right) if isinstance(node.op, ast.Mult) else (node.left,):
            yield node, f"({ast.unparse(node)} * {_text(factor)})"


def _sign(node: ast.AST, _: Frame) -> _Replacements:
    """A sign the other way round."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        other: ast.operator = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield node, f"({ast.unparse(ast.BinOp(node.left, other, node.right))})"
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node, _text(node.operand)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.MatMult)):
        yield node, f"(-{_text(node)})"


def _transpose(node: ast.AST, frame: Frame) -> _Replacements:
    """A transpose left out, or one too many on what is square."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node, _text(node.value)
    elif isinstance(node, (ast.Name, ast.Attribute)):
        value = _value(node, frame)
        if _is_array(value) and value.ndim == 2 and value.shape == value.T.shape and len(value) > 1:
            yield node, f"{ast.unparse(node)}.T"


def _reduction(node: ast.AST, _: Frame) -> _Replacements:
    """A sum that is left out, a mean, or a sum over another axis."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean")):
        return
    of_numpy = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy")
    summed = node.args[0] if of_numpy and node.args else node.func.value
    yield node, _text(summed)
    other = "mean" if node.func.attr == "sum" else "sum"
    yield node, ast.unparse(ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords))
    for keyword in node.keywords:
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant) and keyword.value.value in (0, 1):
            yield keyword.value, str(1 - keyword.value.value)


def _index(node: ast.AST, frame: Frame) -> _Replacements:
    """A time step too early or too late; a slice of the other end."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)):
        return
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for part in parts:
        if isinstance(part, ast.Slice):
            lower, upper = (ast.unparse(end) if end is not None else "" for end in (part.lower, part.upper))
            if (lower or upper) and part.step is None:
                yield part, f"{upper}:{lower}"
        elif isinstance(part, (ast.Name, ast.BinOp)) and type(_value(part, frame)) is int:
            yield part, f"{ast.unparse(part)} - 1"
            yield part, f"{ast.unparse(part)} + 1"


def _exchanged(node: ast.AST, _: Frame) -> _Replacements:
    """Neighbouring arguments or elements in each other's place."""
    parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, (ast.Tuple, ast.List)) else []
    for i in range(len(parts) - 1):
        order = [*parts]
        order[i], order[i + 1] = order[i + 1], order[i]
        if isinstance(node, ast.Call):
            yield node, ast.unparse(ast.Call(node.func, order, node.keywords))
        elif isinstance(node, (ast.Tuple, ast.List)):
            made = ast.unparse(type(node)(order, ast.Load()))
            yield node, made if made.startswith(("(", "[")) else f"({made})"


def _activation(node: ast.AST, _: Frame) -> _Replacements:
    """The derivative of another activation; a helper left out, or applied twice."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
        yield node, _text(node.args[0])
        yield node, f"{node.func.id}({ast.unparse(node)})"
    match node:
        case ast.BinOp(op=ast.Sub(), left=ast.Constant(value=1), right=ast.BinOp(op=ast.Pow(), left=a)):
            yield node, f"({_text(a)} * (1 - {_text(a)}))"
            yield node, f"(1 - {_text(a)})"
        case ast.BinOp(op=ast.Mult(), right=ast.BinOp(op=ast.Sub(), left=ast.Constant(value=1), right=a)):
            yield node, f"({_text(node.left)} * (1 - {_text(a)} ** 2))"


def _clip(node: ast.AST, frame: Frame) -> _Replacements:
    """A clip around a value."""
    if frame.get("np") is np and isinstance(node, (ast.BinOp, ast.Call)) and _is_top(node):
        yield node, f"np.clip({ast.unparse(node)}, -{CLIP}, {CLIP})"


def _is_top(node: ast.AST) -> bool:
    return not isinstance(node, ast.Call) or "zeros" not in ast.unparse(node.func)


def _number(node: ast.AST, _: Frame) -> _Replacements:
    """A number that is off by one, or half as large."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        assert isinstance(node.value, (int, float))
        yield node, repr(node.value + 1)
        if node.value not in (0, 1):
            yield node, repr(node.value / 2 if type(node.value) is float else node.value - 1)


# -- operators on statements -------------------------------------------------------------------------------------------


def _assigned(node: ast.AST, _: Frame) -> _Replacements:
    """`=` where `+=` is meant."""
    if isinstance(node, ast.AugAssign):
        yield node, f"{ast.unparse(node.target)} = {ast.unparse(node.value)}"


def _targets(node: ast.AST, frame: Frame) -> _Replacements:
    """Two names on the left in each other's place."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Tuple):
        yield from _exchanged(node.targets[0], frame)


def _forgotten(node: ast.AST, _: Frame) -> _Replacements:
    """A statement that is left out: an accumulation, or what is assigned anew from itself."""
    if isinstance(node, ast.AugAssign):
        yield node, "pass"
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
        if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node.value)):
            yield node, "pass"


Operator: TypeAlias = Callable[[ast.AST, Frame], _Replacements]
OF_EXPRESSIONS: dict[str, Operator] = {
    "another variable": _variables,
    "dropped": _dropped,
    "doubled": _doubled,
    "sign": _sign,
    "transpose": _transpose,
    "reduction": _reduction,
    "index": _index,
    "exchanged": _exchanged,
    "activation": _activation,
    "clip": _clip,
    "number": _number,
}
OF_STATEMENTS: dict[str, Operator] = {"= for +=": _assigned, "targets exchanged": _targets, "left out": _forgotten}
