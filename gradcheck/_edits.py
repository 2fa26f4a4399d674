"""Edits of one statement that a person might make who was told that it is wrong.

An `Edit` replaces a piece of the source text, so that comments and formatting elsewhere stay. The likelier ones come
first.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck._adjoints import is_float

#: other names that are tried in the place of one, and whole statements that are made of names
MOST_NAMES = 40


class Edit(NamedTuple):
    """Replace the source between two places, each (line from 1, byte in the line)."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str


class Scope:
    """What the statement could name: the locals, functions and attributes of the frame that it runs in."""

    def __init__(self, local: Mapping[str, Any], glob: Mapping[str, Any], helpers: Collection[str] = ()) -> None:
        self.local, self.glob = local, glob
        self.arrays = {
            name: value for name, value in local.items() if name.isidentifier() and is_float(value) and np.ndim(value)
        }
        self.numbers = [name for name, value in local.items() if type(value) is int and value > 1]
        #: functions that ran anyway, so that calling them does no harm
        self.functions = [name for name in helpers if callable(glob.get(name))]

    def value(self, node: ast.expr) -> Any:
        """The value of a name, an attribute or an item; None if it has none, or if it would take a call."""
        if any(isinstance(part, (ast.Call, ast.NamedExpr, ast.Await, ast.Yield)) for part in ast.walk(node)):
            return None
        try:
            return eval(compile(ast.Expression(node), "<edit>", "eval"), dict(self.glob), dict(self.local))
        except Exception:
            return None

    def like(self, value: Any) -> list[str]:
        """Names of arrays of the same shape."""
        return [name for name, other in self.arrays.items() if np.shape(other) == np.shape(value)][:MOST_NAMES]

    def any_like(self, value: Any) -> list[str]:
        """Names of arrays, those of the same shape first."""
        return list(dict.fromkeys([*self.like(value), *self.arrays]))[:MOST_NAMES]

    def fitting(self, value: Any) -> list[str]:
        """Names of arrays that broadcast to its shape."""
        return [name for name, other in self.arrays.items() if _broadcasts(np.shape(other), np.shape(value))][
            :MOST_NAMES
        ]


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False


def edits(statement: ast.stmt, scope: Scope) -> Iterator[Edit]:
    """All single edits of the statement, each once."""
    seen: set[Edit] = set()
    for edit in _all(statement, scope):
        if edit not in seen:
            seen.add(edit)
            yield edit


def exchanges(statement: ast.stmt) -> Iterator[Edit]:
    """The edits that exchange two things."""
    nothing = Scope({}, {})
    yield from _targets(statement)
    for node in ast.walk(statement):
        if isinstance(node, (ast.Call, ast.Tuple, ast.List, ast.Dict)) and isinstance(
            getattr(node, "ctx", ast.Load()), ast.Load
        ):
            yield from _exchanged(node, nothing)


def applied(source: str, chosen: Sequence[Edit]) -> str:
    """The source with these edits, which must not overlap."""
    lines = [line.encode() for line in source.splitlines(keepends=True)]
    for edit in sorted(chosen, reverse=True):
        (first, begin), (last, end) = edit.start, edit.end
        head, tail = lines[first - 1][:begin], lines[last - 1][end:]
        lines[first - 1 : last] = [head + edit.text.encode() + tail]
    return b"".join(lines).decode()


def _all(statement: ast.stmt, scope: Scope) -> Iterator[Edit]:
    whole = getattr(statement, "value", None)
    if not isinstance(whole, ast.expr):
        return
    nodes = [node for node in ast.walk(statement) if isinstance(node, ast.expr)]
    loads = [node for node in nodes if isinstance(getattr(node, "ctx", ast.Load()), ast.Load)]
    values = [node for node in loads if not _is_callee(node, nodes) and not _is_target(node, statement)]
    for family in (
        _other_names,
        _exchanged,
        _activated,
        _wrapped,
        _operators,
        _dropped,
        _indices,
        _shapes,
        _numbers,
        _helpers,
    ):
        for node in values:
            yield from family(node, scope)
    yield from _assignment(statement)
    yield from _targets(statement)
    for node in values:
        yield from _factors(node, scope, whole)


def _replace(node: ast.expr, text: str) -> Edit:
    assert node.end_lineno is not None
    assert node.end_col_offset is not None
    return Edit((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset), text)


def _text(node: ast.expr) -> str:
    text = ast.unparse(node)
    return f"({text})" if isinstance(node, (ast.BinOp, ast.UnaryOp, ast.IfExp, ast.Compare)) else text


def _is_callee(node: ast.expr, nodes: list[ast.expr]) -> bool:
    for other in nodes:
        if isinstance(other, ast.Call) and (other.func is node):
            return True
        if isinstance(other, ast.Attribute) and other.value is node and _is_callee(other, nodes):
            return isinstance(node, ast.Name) and node.id in ("np", "numpy", "scipy", "math")
    return False


def _is_target(node: ast.expr, statement: ast.stmt) -> bool:
    targets = getattr(statement, "targets", None) or [getattr(statement, "target", None)]
    return any(node is part for target in targets if target is not None for part in ast.walk(target))


# -- families ----------------------------------------------------------------------------------------------------------


def _other_names(node: ast.expr, scope: Scope) -> Iterator[Edit]:
    """Another array of the same shape in its place."""
    if not isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        return
    value = scope.value(node)
    if not is_float(value) or (np.ndim(value) == 0 and not (isinstance(node, ast.Name) and node.id in scope.local)):
        return
    for name in scope.any_like(value):
        yield _replace(node, name)
    if isinstance(node, ast.Attribute):
        owner = scope.value(node.value)
        for name, other in (getattr(owner, "__dict__", None) or {}).items():
            if is_float(other) and np.shape(other) == np.shape(value) and name != node.attr:
                yield _replace(node, f"{ast.unparse(node.value)}.{name}")
    if isinstance(node, ast.Subscript):
        owner = scope.value(node.value)
        if isinstance(owner, Mapping):
            for key, other in owner.items():
                if is_float(other) and np.shape(other) == np.shape(value):
                    yield _replace(node, f"{ast.unparse(node.value)}[{key!r}]")


def _exchanged(node: ast.expr, _: Scope) -> Iterator[Edit]:
    """Arguments, elements or operands exchanged."""
    parts: list[ast.expr] = []
    if isinstance(node, ast.Call):
        parts = node.args
    elif isinstance(node, (ast.Tuple, ast.List)):
        parts = node.elts
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.MatMult, ast.Sub, ast.Div)):
        swapped = ast.BinOp(node.right, node.op, node.left)
        yield _replace(node, ast.unparse(swapped))
    for i, j in itertools.combinations(range(min(len(parts), 12)), 2):
        order = list(parts)
        order[i], order[j] = order[j], order[i]
        if isinstance(node, ast.Call):
            changed: ast.expr = ast.Call(node.func, order, node.keywords)
            yield _replace(node, ast.unparse(changed))
        else:
            inner = ", ".join(ast.unparse(part) for part in order)
            first, last = parts[0], parts[-1]
            yield Edit(_replace(first, "").start, _replace(last, "").end, inner)
    if isinstance(node, ast.Dict) and len(node.values) <= 16:
        for i, j in itertools.combinations(range(len(node.values)), 2):
            order = list(node.values)
            order[i], order[j] = order[j], order[i]
            yield _replace(node, ast.unparse(ast.Dict(node.keys, order)))


def _activated(node: ast.expr, scope: Scope) -> Iterator[Edit]:
    """f'(a) written for an activated a; and the other way round."""
    argument: ast.expr | None = None
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        argument = node.args[0]
    if argument is not None:
        a = _text(argument)
        for form in (f"({a} * (1 - {a}))", f"(1 - {a} ** 2)"):
            yield _replace(node, form)
        yield _replace(node, ast.unparse(argument))
        value = scope.value(argument)
        for name in scope.like(value):
            for form in (f"({name} * (1 - {name}))", f"(1 - {name} ** 2)"):
                yield _replace(node, form)
    if isinstance(node, ast.BinOp):
        names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
        for name in sorted(names & set(scope.arrays)):
            for form in (f"({name} * (1 - {name}))", f"(1 - {name} ** 2)", f"(1 - np.tanh({name}) ** 2)"):
                if len(names) == 1:
                    yield _replace(node, form)


def _wrapped(node: ast.expr, scope: Scope) -> Iterator[Edit]:
    """A derivative of an activation in the place of its argument; a helper called on it."""
    if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        text = ast.unparse(node)
        for name in scope.functions[:20]:
            yield _replace(node, f"{name}({text})")
        for form in (f"({text} * (1 - {text}))", f"(1 - {text} ** 2)", f"(1 - {text})", f"np.tanh({text})"):
            yield _replace(node, form)


_OPERATORS: dict[type[ast.operator], tuple[ast.operator, ...]] = {
    ast.Add: (ast.Sub(), ast.Mult()),
    ast.Sub: (ast.Add(), ast.Mult()),
    ast.Mult: (ast.Div(), ast.Add(), ast.Sub(), ast.MatMult()),
    ast.Div: (ast.Mult(),),
    ast.MatMult: (ast.Mult(),),
}


def _operators(node: ast.expr, _: Scope) -> Iterator[Edit]:
    """Another operator; another sign."""
    if isinstance(node, ast.BinOp):
        for op in _OPERATORS.get(type(node.op), ()):
            yield _replace(node, f"({ast.unparse(ast.BinOp(node.left, op, node.right))})")
    if not isinstance(node, (ast.Constant, ast.Tuple, ast.List, ast.Dict)):
        yield _replace(node, f"(-{_text(node)})")
    if isinstance(node, ast.UnaryOp):
        yield _replace(node, ast.unparse(node.operand))


def _dropped(node: ast.expr, _: Scope) -> Iterator[Edit]:
    """An operand, a call, an attribute or an index left out."""
    if isinstance(node, ast.BinOp):
        yield _replace(node, _text(node.left))
        yield _replace(node, _text(node.right))
    elif isinstance(node, ast.Call):
        if node.args:
            yield _replace(node, _text(node.args[0]))
        if isinstance(node.func, ast.Attribute):
            yield _replace(node, ast.unparse(node.func.value))
    elif isinstance(node, (ast.Attribute, ast.Subscript)):
        yield _replace(node, ast.unparse(node.value))


def _indices(node: ast.expr, scope: Scope) -> Iterator[Edit]:
    """t for t - 1 and t + 1, another slice."""
    if not isinstance(node, ast.Subscript):
        return
    base = ast.unparse(node.value)
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for i, part in enumerate(parts):
        for new in _other_indices(part, scope):
            inner = [ast.unparse(one) for one in parts]
            inner[i] = new
            yield _replace(node, f"{base}[{', '.join(inner)}]")


def _other_indices(part: ast.expr, scope: Scope) -> Iterator[str]:
    if isinstance(part, ast.Slice):
        lower, upper = (ast.unparse(end) if end is not None else "" for end in (part.lower, part.upper))
        yield f"{upper}:{lower}"
        bounds = ["", *dict.fromkeys(_sized(lower)), *dict.fromkeys(_sized(upper)), *scope.numbers[:8]]
        for a, b in itertools.product(bounds, bounds):
            yield f"{a}:{b}"
        return
    text = ast.unparse(part)
    yield from (f"{text} - 1", f"{text} + 1")
    if isinstance(part, ast.BinOp):
        yield ast.unparse(part.left)
    if isinstance(part, ast.Constant) and isinstance(part.value, int):
        yield from (str(i) for i in range(-2, 5) if i != part.value)


def _sized(text: str) -> list[str]:
    if not text:
        return []
    return [text, *(f"{k} * {text}" for k in (2, 3)), f"({text}) + 1", f"({text}) - 1"]


def _shapes(node: ast.expr, scope: Scope) -> Iterator[Edit]:
    """Transposed; summed over an axis."""
    if isinstance(node, (ast.Constant, ast.Tuple, ast.List, ast.Dict)):
        return
    text = _text(node)
    yield _replace(node, f"{text}.T")
    for axis in ("0", "1", "(0, 1)"):
        yield _replace(node, f"{text}.sum({axis})")
        yield _replace(node, f"{text}.sum({axis}, keepdims=True)")
    for name in scope.numbers[:12]:
        yield _replace(node, f"({text} / {name})")
        yield _replace(node, f"({text} * {name})")


def _numbers(node: ast.expr, _: Scope) -> Iterator[Edit]:
    """Another constant."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
        v = node.value
        for new in dict.fromkeys((v + 1, v - 1, -v, 2 * v, v / 2, 0, 1, 2)):
            if new != v:
                yield _replace(node, repr(new if new != int(new) else type(v)(new)))
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
                yield _replace(keyword.value, repr(not keyword.value.value))


def _helpers(node: ast.expr, scope: Scope) -> Iterator[Edit]:
    """Another function of the file, or of NumPy, called."""
    if isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
        for name in scope.functions[:20]:
            yield _replace(node.func, name)


def _assignment(statement: ast.stmt) -> Iterator[Edit]:
    """= for += and the other way round."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        for sign in ("+=", "-="):
            yield Edit(_replace(target, "").end, _replace(statement.value, "").start, f" {sign} ")
    elif isinstance(statement, ast.AugAssign):
        for sign in ("=", "-=", "+=", "*=", "/="):
            yield Edit(_replace(statement.target, "").end, _replace(statement.value, "").start, f" {sign} ")


def _targets(statement: ast.stmt) -> Iterator[Edit]:
    """Elements of a tuple on the left exchanged."""
    if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Tuple):
        yield from _exchanged(statement.targets[0], Scope({}, {}))


def _factors(node: ast.expr, scope: Scope, whole: ast.expr) -> Iterator[Edit]:
    """A factor or a term more."""
    if isinstance(node, (ast.Constant, ast.Tuple, ast.List, ast.Dict)):
        return
    if node is not whole and not isinstance(node, ast.Name):
        return
    text = _text(node)
    value = scope.value(node)
    names = scope.fitting(value) if value is not None else list(scope.arrays)[:MOST_NAMES]
    forms: tuple[Callable[[str], str], ...] = (
        lambda v: f"({text} * {v})",
        lambda v: f"({text} + {v})",
        lambda v: f"({text} * (1 - {v} ** 2))",
        lambda v: f"({text} * {v} * (1 - {v}))",
        lambda v: f"({text} - {v})",
        lambda v: f"({text} * (1 - {v}))",
        lambda v: f"({text} / {v})",
    )
    for form in forms:
        for name in names:
            yield _replace(node, form(name))
