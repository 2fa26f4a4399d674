"""Edits of one statement that a person might make who was told that it is wrong.

An edit replaces a piece of the source text, so that comments and formatting elsewhere stay. The likelier ones come
first: `EDIT_TIERS` are tried one after the other, over all statements. Here are those that go by the syntax alone.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from gradcheck._autodiff.substitutes import (
    Family,
    add_factor,
    add_term,
    other_arrays,
    other_names,
    text_of,
    transpose_sum_or_scale,
    use_activation_derivative,
    wrapped,
)
from gradcheck._usercode.patching import replace_expression
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import Edit

#: arguments or elements that are exchanged, two by two
MOST_EXCHANGED = 12
#: numbers that are not written otherwise: infinity is one, and so are integers that no float holds
LARGEST_NUMBER = 1e300


def candidate_edits(statement: ast.stmt, scope: Scope, families: Sequence[Family] | None = None) -> Iterator[Edit]:
    """Single edits of the statement, each once; of all families, if none are named."""
    chosen = [family for tier in EDIT_TIERS for family in tier] if families is None else families
    nodes = _values(statement)
    seen: set[Edit] = set()
    for family in chosen:
        if family in OF_STATEMENTS:
            where: Sequence[ast.AST] = [statement]
        else:
            where = _outside(nodes, ON_WHOLE_EXPRESSIONS[family]) if family in ON_WHOLE_EXPRESSIONS else nodes
        for node in where:
            for edit in family(node, scope):
                if edit not in seen:
                    seen.add(edit)
                    yield edit


def _outside(nodes: list[ast.expr], operators: tuple[type[ast.operator], ...]) -> list[ast.expr]:
    """Those that are no operands of such an operator: what is done to the whole need not be done to its parts."""
    parts: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, operators):
            parts |= {id(node.left), id(node.right)}
    return [node for node in nodes if id(node) not in parts]


def _values(statement: ast.stmt) -> list[ast.expr]:
    """The expressions that the statement reads, outermost first."""
    nodes = [node for root in _roots(statement) for node in ast.walk(root) if isinstance(node, ast.expr)]
    called = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
    modules = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and id(node) in called}
    return [
        node
        for node in nodes
        if isinstance(getattr(node, "ctx", ast.Load()), ast.Load)
        and id(node) not in called
        and not (id(node) in modules and isinstance(node, ast.Name) and node.id in ("np", "numpy", "scipy", "math"))
    ]


def _roots(statement: ast.stmt) -> list[ast.expr]:
    match statement:
        case ast.For():
            return [statement.iter]
        case ast.If():
            return [statement.test]
        case ast.Assign() | ast.AugAssign():
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            slices = [part.slice for one in targets for part in ast.walk(one) if isinstance(part, ast.Subscript)]
            return [statement.value, *slices]
        case ast.AnnAssign() | ast.Return() | ast.Expr() if statement.value is not None:
            return [statement.value]
    return []


# -- families that go by the syntax ------------------------------------------------------------------------------------


def _exchanged(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """Arguments, elements or operands exchanged."""
    if isinstance(node, ast.Call):
        for args in _swaps(node.args):
            yield replace_expression(node, ast.unparse(ast.Call(node.func, args, node.keywords)))
    elif isinstance(node, (ast.Tuple, ast.List)):
        for parts in _swaps(node.elts):
            inner = ", ".join(ast.unparse(part) for part in parts)
            yield Edit(replace_expression(node.elts[0], "").start, replace_expression(node.elts[-1], "").end, inner)
    elif isinstance(node, ast.Dict):
        for values in _swaps(node.values):
            yield replace_expression(node, ast.unparse(ast.Dict(node.keys, values)))
    elif isinstance(node, ast.BinOp) and isinstance(node.op, (ast.MatMult, ast.Sub, ast.Div)):
        yield replace_expression(node, f"({ast.unparse(ast.BinOp(node.right, node.op, node.left))})")


def _swaps(parts: list[ast.expr]) -> Iterator[list[ast.expr]]:
    for i, j in itertools.combinations(range(min(len(parts), MOST_EXCHANGED)), 2):
        order = list(parts)
        order[i], order[j] = order[j], order[i]
        yield order


_OPERATORS: dict[type[ast.operator], tuple[ast.operator, ...]] = {
    ast.Add: (ast.Sub(), ast.Mult()),
    ast.Sub: (ast.Add(), ast.Mult()),
    ast.Mult: (ast.Div(), ast.Add(), ast.Sub(), ast.MatMult()),
    ast.Div: (ast.Mult(),),
    ast.MatMult: (ast.Mult(),),
}
_COMPARISONS: dict[type[ast.cmpop], tuple[ast.cmpop, ...]] = {
    ast.Lt: (ast.LtE(), ast.Gt()),
    ast.LtE: (ast.Lt(), ast.GtE()),
    ast.Gt: (ast.GtE(), ast.Lt()),
    ast.GtE: (ast.Gt(), ast.LtE()),
    ast.Eq: (ast.NotEq(),),
    ast.NotEq: (ast.Eq(),),
}


def _operators(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """Another operator; another sign."""
    if isinstance(node, ast.BinOp):
        for op in _OPERATORS.get(type(node.op), ()):
            yield replace_expression(node, f"({ast.unparse(ast.BinOp(node.left, op, node.right))})")
    if isinstance(node, (ast.BinOp, ast.Call)):
        yield replace_expression(node, f"(1 - {text_of(node)})")
    if isinstance(node, ast.Compare):
        for comparison in _COMPARISONS.get(type(node.ops[0]), ()):
            yield replace_expression(
                node, ast.unparse(ast.Compare(node.left, [comparison, *node.ops[1:]], node.comparators))
            )
    elif isinstance(node, ast.UnaryOp):
        yield replace_expression(node, text_of(node.operand))
    elif isinstance(node, ast.expr) and not isinstance(node, (ast.Constant, ast.Tuple, ast.List, ast.Dict)):
        yield replace_expression(node, f"(-{text_of(node)})")


def _dropped(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """An operand, a call, an attribute or an index left out."""
    if isinstance(node, ast.BinOp):
        yield replace_expression(node, text_of(node.left))
        yield replace_expression(node, text_of(node.right))
    elif isinstance(node, ast.Call):
        if node.args:
            yield replace_expression(node, text_of(node.args[0]))
        if isinstance(node.func, ast.Attribute):
            yield replace_expression(node, ast.unparse(node.func.value))
    elif isinstance(node, (ast.Attribute, ast.Subscript)):
        yield replace_expression(node, ast.unparse(node.value))


def _indices(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """t for t - 1 and t + 1, another slice."""
    if not isinstance(node, ast.Subscript):
        return
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    for i, part in enumerate(parts):
        rows = [f"np.arange(len({ast.unparse(one)}))" for one in parts if one is not part and _is_labels(one, scope)]
        for new in [*rows, *_other_indices(part, scope)]:
            inner = [ast.unparse(one) for one in parts]
            inner[i] = new
            yield replace_expression(node, f"{ast.unparse(node.value)}[{', '.join(inner)}]")


def _target_indices(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """t for t - 1 and t + 1, another slice, in the places that a statement writes to."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AugAssign) else []
    for target in targets:
        yield from _indices(target, scope)


def _is_labels(node: ast.expr, scope: Scope) -> bool:
    value = scope.value(node)
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu" and value.ndim == 1


def _other_indices(part: ast.expr, scope: Scope) -> Iterator[str]:
    if isinstance(part, ast.Slice):
        lower, upper = (ast.unparse(end) if end is not None else "" for end in (part.lower, part.upper))
        yield f"{upper}:{lower}"
        bounds = list(dict.fromkeys(["", *_sized(lower), *_sized(upper), *scope.numbers[:8]]))
        yield from (f"{a}:{b}" for a, b in itertools.product(bounds, bounds))
        return
    text = ast.unparse(part)
    yield from (f"{text} - 1", f"{text} + 1")
    if isinstance(part, ast.BinOp):
        yield ast.unparse(part.left)
    if isinstance(part, ast.Constant) and isinstance(part.value, int):
        yield from (str(i) for i in range(-2, 5) if i != part.value)
    if isinstance(part, ast.Name):
        counters = [name for name, value in scope.local.items() if type(value) is int and name != part.id]
        yield from counters[:8]
        yield from (f"{name} - 1 - {text}" for name in scope.numbers[:4])


def _sized(text: str) -> list[str]:
    opposite = text.removeprefix("-") if text.startswith("-") else f"-{text}"
    return [text, opposite, *(f"{k} * {text}" for k in (2, 3)), f"({text}) + 1", f"({text}) - 1"] if text else []


def _multiples(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """Twice, or half, as much."""
    if isinstance(node, (ast.BinOp, ast.Call)):
        yield replace_expression(node, f"(2 * {text_of(node)})")
        yield replace_expression(node, f"({text_of(node)} / 2)")


def _numbers(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """Another constant, another flag."""
    if isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield replace_expression(node, repr(not node.value))
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        v = node.value
        if abs(v) > LARGEST_NUMBER:
            return
        for new in dict.fromkeys((v + 1, v - 1, -v, 2 * v, v / 2, 0, 1, 2)):
            if new != v:
                yield replace_expression(node, repr(type(v)(new) if new == int(new) else new))


def _use_other_loop_variable(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """Another variable of the comprehension."""
    for part in ast.walk(node):
        if isinstance(part, (ast.ListComp, ast.GeneratorExp, ast.DictComp, ast.SetComp)):
            targets = [one for generator in part.generators for one in ast.walk(generator.target)]
            names = [one.id for one in targets if isinstance(one, ast.Name)]
            for one in ast.walk(part.value if isinstance(part, ast.DictComp) else part.elt):
                if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load):
                    yield from (replace_expression(one, name) for name in names if name != one.id)


def _change_loop(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """A loop in the other direction, or with one round more or less."""
    if not isinstance(node, ast.For):
        return
    text, whole = ast.unparse(node.iter), node.iter
    yield replace_expression(whole, f"reversed({text})")
    if isinstance(whole, ast.Call):
        for call in [one for one in ast.walk(whole) if isinstance(one, ast.Call)]:
            if isinstance(call.func, ast.Name) and call.func.id == "range" and call.args:
                last = text_of(call.args[0 if len(call.args) == 1 else 1])
                for form in (f"range({last})", f"range(1, {last})", f"range({last} - 1)", f"range({last} + 1)"):
                    yield replace_expression(call, form)
    yield replace_expression(whole, f"{text}[::-1]")


def _assignment(node: ast.AST, _: Scope) -> Iterator[Edit]:
    """= for += and the other way round."""
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        for sign in ("+=", "-="):
            yield Edit(
                replace_expression(node.targets[0], "").end, replace_expression(node.value, "").start, f" {sign} "
            )
    elif isinstance(node, ast.AugAssign):
        for sign in ("=", "-=", "+=", "*=", "/="):
            yield Edit(replace_expression(node.target, "").end, replace_expression(node.value, "").start, f" {sign} ")


def _swap_targets(node: ast.AST, scope: Scope) -> Iterator[Edit]:
    """Elements of a tuple on the left exchanged."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple):
        yield from _exchanged(node.targets[0], scope)


OF_STATEMENTS: tuple[Family, ...] = (
    _assignment,
    _swap_targets,
    _use_other_loop_variable,
    _change_loop,
    _target_indices,
)
ON_WHOLE_EXPRESSIONS: dict[Family, tuple[type[ast.operator], ...]] = {
    _multiples: (ast.Mult, ast.Div),
    add_factor: (ast.Mult, ast.Div),
    add_term: (ast.Add, ast.Sub),
}
EDIT_TIERS: tuple[tuple[Family, ...], ...] = (
    (
        _exchanged,
        use_activation_derivative,
        _dropped,
        _operators,
        _assignment,
        _swap_targets,
        _use_other_loop_variable,
        other_names,
    ),
    (_indices, _target_indices, _numbers, _multiples, _change_loop, wrapped, other_arrays),
    (transpose_sum_or_scale, add_factor, add_term),
)
