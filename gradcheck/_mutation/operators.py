"""Bugs to plant in a backward: small changes of single statements, of the sort that people make in gradient code.

The operators work on the syntax tree and are written apart from the edits that mend (`_repair/edits.py`): a repair must
not be tested against itself. A variable is replaced only by others of its shape, as its values were when its function
last returned.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradcheck._usercode.foreign import is_foreign_call
from gradcheck._usercode.patching import replace_expression
from gradcheck._usercode.profiling import run_profiled
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import Edit, Source, first_line

#: other variables that one is replaced by: with all of them most mutants would be of this operator
MOST_OTHERS = 4
#: the bound of a clip that is inserted: smaller than most derivatives, so that it cuts some off
CLIP = 0.1


class Mutant(NamedTuple):
    """A change of one statement, and the operator that it is of."""

    operator: str
    statement: Statement
    edit: Edit


#: the values of a function's variables when it last returned
Frame: TypeAlias = Mapping[str, Any]
_Edits: TypeAlias = Iterator[Edit]


def locals_at_return(run: Callable[[], object], codes: list[CodeType]) -> dict[CodeType, Frame]:
    """The variables of these functions as they were when each last returned."""
    found: dict[CodeType, Frame] = {}
    wanted = set(codes)

    def watch(frame: FrameType, event: str, _: object) -> None:
        if event == "return" and frame.f_code in wanted:
            found[frame.f_code] = {**frame.f_globals, **frame.f_locals}

    run_profiled(run, watch)
    return found


def mutants(source: Source, code: CodeType, frame: Frame) -> Iterator[Mutant]:
    """The changes of one function, statement by statement."""
    for function in ast.walk(source.tree):
        if isinstance(function, (ast.FunctionDef, ast.Lambda)) and _has_code(function, code):
            for node in _statements(function.body) if isinstance(function, ast.FunctionDef) else [_returning(function)]:
                statement = Statement(source.file, node, source.segment_of(node).strip(), code.co_qualname)
                yield from mutants_of(statement, frame)


def _returning(function: ast.Lambda) -> ast.stmt:
    """What a lambda returns, as a statement."""
    return ast.copy_location(ast.Expr(function.body), function.body)


def _has_code(function: ast.FunctionDef | ast.Lambda, code: CodeType) -> bool:
    name = function.name if isinstance(function, ast.FunctionDef) else "<lambda>"
    return code.co_name == name and code.co_firstlineno == first_line(function)


def _statements(body: list[Any]) -> Iterator[ast.stmt]:
    """The statements of a function, not those of functions inside it."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            continue
        if isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
            yield node
        for inner in ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, inner, []))


def mutants_of(statement: Statement, frame: Frame) -> Iterator[Mutant]:
    """The changes of one statement, each once."""
    seen: set[Edit] = set()
    node = statement.node
    value = getattr(node, "value", None)
    if value is None or (isinstance(node, ast.Expr) and isinstance(value, ast.Constant)):
        return  # a docstring computes nothing
    if _calls_foreign(value, frame):
        return  # not what is handed to code that does not look at it, nor what it gives
    for operator in OPERATORS:
        for part in [node] if operator.changes_statements else _expressions(value):
            for edit in operator.edits(part, frame):
                if edit not in seen:
                    seen.add(edit)
                    yield Mutant(operator.name, statement, edit)


def _calls_foreign(value: ast.expr, frame: Frame) -> bool:
    """Whether a statement calls code without Python source that is not NumPy's."""
    scope = Scope(frame, {})
    return any(isinstance(node, ast.Call) and is_foreign_call(node, scope) for node in ast.walk(value))


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


def _variables(node: ast.AST, frame: Frame) -> _Edits:
    """Another variable, attribute or item of the same shape."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) or not isinstance(node.ctx, ast.Load):
        return
    value = _value(node, frame)
    if not _is_array(value):
        return
    for name in _alike(node, value, frame)[:MOST_OTHERS]:
        yield replace_expression(node, name)


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


def _dropped(node: ast.AST, _: Frame) -> _Edits:
    """A term or a factor left out."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub, ast.Mult, ast.Div)):
        yield replace_expression(node, _text(node.left))
        if not isinstance(node.op, ast.Div):
            yield replace_expression(
                node, f"(-{_text(node.right)})" if isinstance(node.op, ast.Sub) else _text(node.right)
            )


def _doubled(node: ast.AST, _: Frame) -> _Edits:
    """A term or a factor that is there twice."""
    if not isinstance(node, ast.BinOp):
        return
    if isinstance(node.op, (ast.Add, ast.Sub)):
        sign = "+" if isinstance(node.op, ast.Add) else "-"
        yield replace_expression(node, f"({ast.unparse(node)} {sign} {_text(node.right)})")
        yield replace_expression(node, f"({ast.unparse(node)} + {_text(node.left)})")
    elif isinstance(node.op, (ast.Mult, ast.Div)):
        for factor in (node.left, node.right) if isinstance(node.op, ast.Mult) else (node.left,):
            yield replace_expression(node, f"({ast.unparse(node)} * {_text(factor)})")


def _sign(node: ast.AST, _: Frame) -> _Edits:
    """A sign the other way round."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        other: ast.operator = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        yield replace_expression(node, f"({ast.unparse(ast.BinOp(node.left, other, node.right))})")
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield replace_expression(node, _text(node.operand))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.MatMult)):
        yield replace_expression(node, f"(-{_text(node)})")


def _transpose(node: ast.AST, frame: Frame) -> _Edits:
    """A transpose left out, or one too many on what is square."""
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield replace_expression(node, _text(node.value))
    elif isinstance(node, (ast.Name, ast.Attribute)):
        value = _value(node, frame)
        if _is_array(value) and value.ndim == 2 and value.shape == value.T.shape and len(value) > 1:
            yield replace_expression(node, f"{ast.unparse(node)}.T")


def _reduction(node: ast.AST, _: Frame) -> _Edits:
    """A sum that is left out, a mean, or a sum over another axis."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("sum", "mean")):
        return
    of_numpy = isinstance(node.func.value, ast.Name) and node.func.value.id in ("np", "numpy")
    summed = node.args[0] if of_numpy and node.args else node.func.value
    yield replace_expression(node, _text(summed))
    other = "mean" if node.func.attr == "sum" else "sum"
    yield replace_expression(
        node, ast.unparse(ast.Call(ast.Attribute(node.func.value, other, ast.Load()), node.args, node.keywords))
    )
    for keyword in node.keywords:
        if keyword.arg == "axis" and isinstance(keyword.value, ast.Constant) and keyword.value.value in (0, 1):
            yield replace_expression(keyword.value, str(1 - keyword.value.value))


def _index(node: ast.AST, frame: Frame) -> _Edits:
    """A time step too early or too late; a slice of the other end."""
    if not (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)):
        return
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for part in parts:
        if isinstance(part, ast.Slice):
            lower, upper = (ast.unparse(end) if end is not None else "" for end in (part.lower, part.upper))
            if (lower or upper) and part.step is None:
                yield replace_expression(part, f"{upper}:{lower}")
        elif isinstance(part, (ast.Name, ast.BinOp)) and type(_value(part, frame)) is int:
            yield replace_expression(part, f"{ast.unparse(part)} - 1")
            yield replace_expression(part, f"{ast.unparse(part)} + 1")


def _exchanged(node: ast.AST, _: Frame) -> _Edits:
    """Neighbouring arguments or elements in each other's place."""
    parts = node.args if isinstance(node, ast.Call) else node.elts if isinstance(node, (ast.Tuple, ast.List)) else []
    for i in range(len(parts) - 1):
        order = [*parts]
        order[i], order[i + 1] = order[i + 1], order[i]
        if isinstance(node, ast.Call):
            yield replace_expression(node, ast.unparse(ast.Call(node.func, order, node.keywords)))
        elif isinstance(node, (ast.Tuple, ast.List)):
            made = ast.unparse(type(node)(order, ast.Load()))
            yield replace_expression(node, made if made.startswith(("(", "[")) else f"({made})")


def _activation(node: ast.AST, _: Frame) -> _Edits:
    """The derivative of another activation; a helper left out, or applied twice."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1 and not node.keywords:
        yield replace_expression(node, _text(node.args[0]))
        yield replace_expression(node, f"{node.func.id}({ast.unparse(node)})")
    match node:
        case ast.BinOp(op=ast.Sub(), left=ast.Constant(value=1), right=ast.BinOp(op=ast.Pow(), left=a)):
            yield replace_expression(node, f"({_text(a)} * (1 - {_text(a)}))")
            yield replace_expression(node, f"(1 - {_text(a)})")
        case ast.BinOp(op=ast.Mult(), right=ast.BinOp(op=ast.Sub(), left=ast.Constant(value=1), right=a)):
            yield replace_expression(node, f"({_text(node.left)} * (1 - {_text(a)} ** 2))")


def _clip(node: ast.AST, frame: Frame) -> _Edits:
    """A clip around a value."""
    if frame.get("np") is np and isinstance(node, (ast.BinOp, ast.Call)) and _is_top(node):
        yield replace_expression(node, f"np.clip({ast.unparse(node)}, -{CLIP}, {CLIP})")


def _is_top(node: ast.AST) -> bool:
    return not isinstance(node, ast.Call) or "zeros" not in ast.unparse(node.func)


def _number(node: ast.AST, _: Frame) -> _Edits:
    """A number that is off by one, or half as large."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        assert isinstance(node.value, (int, float))
        yield replace_expression(node, repr(node.value + 1))
        if node.value not in (0, 1):
            yield replace_expression(node, repr(node.value / 2 if type(node.value) is float else node.value - 1))


# -- operators on statements -------------------------------------------------------------------------------------------


def _assigned(node: ast.AST, _: Frame) -> _Edits:
    """`=` where `+=` is meant."""
    if isinstance(node, ast.AugAssign):
        yield replace_expression(node, f"{ast.unparse(node.target)} = {ast.unparse(node.value)}")


def _targets(node: ast.AST, frame: Frame) -> _Edits:
    """Two names on the left in each other's place."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Tuple):
        yield from _exchanged(node.targets[0], frame)


def _forgotten(node: ast.AST, _: Frame) -> _Edits:
    """A statement that is left out: an accumulation, or what is assigned anew from itself."""
    if isinstance(node, ast.AugAssign):
        yield replace_expression(node, "pass")
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
        if any(isinstance(part, ast.Name) and part.id == name for part in ast.walk(node.value)):
            yield replace_expression(node, "pass")


class Operator(NamedTuple):
    """A mistake that people make: what it is called, how it is made, and an example before and after."""

    name: str
    edits: Callable[[ast.AST, Frame], _Edits]
    before: str
    after: str
    #: it changes a statement, not one of the expressions that the statement computes
    changes_statements: bool = False


OPERATORS: tuple[Operator, ...] = (
    Operator("another variable", _variables, "dz = dh * f", "dz = dy * f"),
    Operator("dropped", _dropped, "dh = dy + carried", "dh = dy"),
    Operator("doubled", _doubled, "dh = dy * f", "dh = (dy * f * f)"),
    Operator("sign", _sign, "dh = dy + carried", "dh = (dy - carried)"),
    Operator("transpose", _transpose, "dh = dz @ W.T", "dh = dz @ W"),
    Operator("reduction", _reduction, "db = dz.sum(axis=0)", "db = dz.mean(axis=0)"),
    Operator("index", _index, "dh = states[t]", "dh = states[t - 1]"),
    Operator("exchanged", _exchanged, "dW = np.dot(h, dz)", "dW = np.dot(dz, h)"),
    Operator("activation", _activation, "dz = 1 - h ** 2", "dz = (h * (1 - h))"),
    Operator("clip", _clip, "dh = dz @ W", "dh = np.clip(dz @ W, -0.1, 0.1)"),
    Operator("number", _number, "dz = 2 * dh", "dz = 3 * dh"),
    Operator("= for +=", _assigned, "dW += x", "dW = x", changes_statements=True),
    Operator("targets exchanged", _targets, "dh, dc = f(x)", "(dc, dh) = f(x)", changes_statements=True),
    Operator("left out", _forgotten, "dW += x", "pass", changes_statements=True),
)
