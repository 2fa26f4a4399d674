"""Which mistake an edit mends, told from what it puts in the place of what."""

from __future__ import annotations

import ast
import re
import textwrap

from gradcheck._mending.syntax import differing_child
from gradcheck._tape import CLIPS
from gradcheck._usercode.source import Edit, Source, span_of
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Mistake, Symptom

#: edits of the sign between a target and its value
_ASSIGNMENTS = {
    ("=", "+="): FindingCode.ASSIGNED_NOT_ADDED,
    ("+=", "="): FindingCode.ADDED_NOT_ASSIGNED,
    ("+=", "-="): FindingCode.WRONG_SIGN,
    ("-=", "+="): FindingCode.WRONG_SIGN,
}
_OPERATORS = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.MatMult: "@", ast.Pow: "**"}
#: calls that add up what goes to the same place
_AT = re.compile(r"\w+\.(add|subtract)\.at\(")
#: what is missing or too much beside an operator: the codes of a missing and of an extra one
_OPERANDS: dict[type[ast.operator], tuple[FindingCode, FindingCode]] = {
    ast.Add: (FindingCode.TERM_MISSING, FindingCode.TERM_EXTRA),
    ast.Sub: (FindingCode.TERM_MISSING, FindingCode.TERM_EXTRA),
    ast.Mult: (FindingCode.FACTOR_MISSING, FindingCode.FACTOR_EXTRA),
    ast.MatMult: (FindingCode.FACTOR_MISSING, FindingCode.FACTOR_EXTRA),
    ast.Div: (FindingCode.DIVISION_MISSING, FindingCode.DIVISION_EXTRA),
    ast.Pow: (FindingCode.POWER_MISSING, FindingCode.POWER_EXTRA),
}


def name_mistake(source: Source, edit: Edit) -> Symptom:
    """The code of the mistake and what it is about; `WRONG_LINE` where the diff says as much."""
    was, now = source.segment(edit.start, edit.end).strip(), edit.text.strip()
    if (was, now) in _ASSIGNMENTS:
        return Symptom(_ASSIGNMENTS[was, now])
    if _AT.match(now):
        return Symptom(FindingCode.INDEX_REPEATS if _is_augmented(was) else FindingCode.ASSIGNED_NOT_ADDED)
    if not was and " /= " in now:
        return _named(FindingCode.DIVISION_MISSING, now.partition(" /= ")[2])
    if not was and (symptom := _inserted(now)) is not None:
        return symptom
    if now == "pass":
        return Symptom(FindingCode.EXTRA_STATEMENT)
    if was in ("", "pass") and (target := _target(edit.text)):
        return _named(FindingCode.MISSING_STATEMENT, target)
    if was and (symptom := _in_index(source, edit)) is not None:
        return symptom
    old, new = _expression(was), _expression(now)
    if old is None or new is None:
        is_slice = all(_expression(f"_[{one}]") for one in (was, now))
        return _named(FindingCode.WRONG_INDEX, was, now) if is_slice else Symptom(FindingCode.WRONG_LINE)
    return _of_expressions(old, new) or Symptom(FindingCode.WRONG_LINE)


def _in_index(source: Source, edit: Edit) -> Symptom | None:
    """Another index, where all of the edit is between the brackets of one."""
    try:
        nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.Subscript)]
    except SyntaxError:  # a part of a statement
        return None
    inside = [node for node in nodes if _holds(node.slice, edit)]
    if not inside:
        return None
    node = min(inside, key=lambda one: (one.end_lineno or 0, one.end_col_offset or 0))
    (start, end), text = span_of(node), source.segment_of(node)
    if start[0] != end[0] or edit.start[0] != start[0]:
        return None
    first = source.segment(start, edit.start)
    return _named(FindingCode.WRONG_INDEX, text, f"{first}{edit.text}{source.segment(edit.end, end)}")


def _holds(node: ast.expr, edit: Edit) -> bool:
    start, end = span_of(node)
    return start <= edit.start and edit.end <= end


def _inserted(now: str) -> Symptom | None:
    """What is put beside what stands there: a term, what a sum goes on with, or one more that it is divided by."""
    if now.startswith(("+ ", "- ")) and _expression(now):
        return _named(FindingCode.TERM_MISSING, now[2:])
    if now.endswith(" +") and "=" in now:
        return _named(FindingCode.COTANGENT_UNUSED, "what the call gives")
    if now.startswith("getattr(") and now.endswith(" +"):
        return Symptom(FindingCode.ASSIGNED_NOT_ADDED)
    if now.endswith(" *") and _expression(now[:-2]):
        return _named(FindingCode.DIVISION_MISSING, now[:-2])
    return None


def _of_expressions(old: ast.expr, new: ast.expr) -> Symptom | None:
    found = (
        _other_form(old, new)
        or _opposite(old, new)
        or _wrapping(old, new)
        or _exchanged(old, new)
        or _operands(old, new)
    )
    found = found or _in_product(old, new) or _operator(old, new) or _replaced(old, new)
    if found is not None:
        return found
    match differing_child(old, new):
        case (ast.expr() as part, ast.expr() as other):
            return _of_expressions(part, other)
        case (ast.keyword() as part, ast.keyword() as other):
            return _of_expressions(part.value, other.value)
    return None


def _is_augmented(text: str) -> bool:
    try:
        return isinstance(ast.parse(text).body[0], ast.AugAssign)
    except (SyntaxError, IndexError):
        return False


def _target(text: str) -> str:
    """What assignments write to, if there is nothing else."""
    try:
        body = ast.parse(textwrap.dedent(text.strip("\n"))).body
    except SyntaxError:
        return ""
    targets = []
    for one in body:
        match one:
            case ast.Assign(targets=[target]) | ast.AugAssign(target=target):
                targets.append(ast.unparse(target))
            case _:
                return ""
    return ", ".join(targets)


def _named(code: FindingCode, subject: str = "", other: str = "", called: str = "", *, extra: bool = False) -> Symptom:
    return Symptom(code, (Mistake(subject, other, called, extra),))


def _expression(text: str) -> ast.expr | None:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError:
        return None


def _same(a: ast.AST, b: ast.AST) -> bool:
    return ast.dump(a) == ast.dump(b)


def _opposite(old: ast.expr, new: ast.expr) -> Symptom | None:
    """A gate or a mask for what it leaves over, 1 - z for z: no term is missing there."""
    if any(_same(part, rest) for one, part in ((old, new), (new, old)) if (rest := _turned_over(one)) is not None):
        return _named(FindingCode.WRONG_VARIABLE, ast.unparse(old), ast.unparse(new))
    return None


def _turned_over(node: ast.expr) -> ast.expr | None:
    """The x of 1 - x, ~x and not x."""
    match node:
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=x) if not isinstance(x, ast.BinOp):
            return x
        case ast.UnaryOp(op=ast.Invert() | ast.Not(), operand=x):
            return x
    return None


def _wrapping(old: ast.expr, new: ast.expr) -> Symptom | None:
    """Something around the value that is missing, or too much."""
    for inner, outer, extra in ((old, new, False), (new, old, True)):
        match outer:
            case ast.UnaryOp(op=ast.USub(), operand=part) if _same(part, inner):
                return _named(FindingCode.WRONG_SIGN)
            case ast.Attribute(attr="T", value=part) if _same(part, inner):
                return _around("TRANSPOSE", extra)
            case ast.Call(func=ast.Attribute(attr="swapaxes" | "transpose", value=part)) if _same(part, inner):
                return _around("TRANSPOSE", extra)
            case ast.Subscript(value=part) if _same(part, inner):
                return _around("INDEX", extra, ast.unparse(outer.slice))
            case ast.Call(func=ast.Attribute(attr="sum", value=part)) if _same(part, inner):
                return _around("SUM", extra, _axis(outer))
            case ast.Call(func=ast.Attribute(attr="concatenate"), args=[ast.List(elts=parts)]) if not extra:
                if any(isinstance(one, ast.Subscript) and _same(one.value, inner) for one in parts):
                    return _named(FindingCode.WRONG_INDEX, ast.unparse(old), ast.unparse(new))
            case ast.Call(func=ast.Attribute(attr="copy", value=part)) if _same(part, inner) and not extra:
                return _named(FindingCode.MISSING_COPY)
            case ast.Call(args=[part, *_]) if _same(part, inner):
                called = ast.unparse(outer.func)
                return _around("CLIP" if called.rpartition(".")[2] in CLIPS else "CALL", extra, called=called)
    return None


def _around(what: str, extra: bool, subject: str = "", called: str = "") -> Symptom:
    """The code of something around a value that is missing, or that should not be there."""
    return _named(FindingCode[f"{'EXTRA' if extra else 'MISSING'}_{what}"], subject, called=called, extra=extra)


def _axis(call: ast.Call) -> str:
    for keyword in call.keywords:
        if keyword.arg == "axis":
            return f"axis {ast.unparse(keyword.value)}"
    return f"axis {ast.unparse(call.args[0])}" if call.args else "all axes"


def _exchanged(old: ast.expr, new: ast.expr) -> Symptom | None:
    """Two parts, or more, in another order."""
    before, after = _parts(old), _parts(new)
    if len(before) < 2 or before == after or sorted(before) != sorted(after):
        return None
    code = FindingCode.ARGUMENTS_EXCHANGED if isinstance(old, ast.Call) else FindingCode.VALUES_EXCHANGED
    code = FindingCode.FACTORS_EXCHANGED if isinstance(old, ast.BinOp) else code
    *first, last = [a for a, b in zip(before, after, strict=True) if a != b]
    return _named(code, ", ".join(first), last)


def _parts(node: ast.expr) -> list[str]:
    match node:
        case ast.Call(args=parts) | ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Dict(values=parts):
            return [ast.unparse(one) for one in parts]
        case ast.BinOp():
            return [ast.unparse(node.left), ast.unparse(node.right)]
    return []


def _operands(old: ast.expr, new: ast.expr) -> Symptom | None:
    """The derivative of an activation in a wrong form; a factor or a term that is missing, or too much."""
    derivative = _activation(new)
    if isinstance(old, ast.Call) and derivative and len(old.args) == 1:
        called = ast.unparse(old.func)
        if called.startswith(("np.", "numpy.")):
            return _named(derivative)
        return _named(derivative, ast.unparse(old.args[0]), called=called)
    for inner, outer, extra in ((old, new, False), (new, old, True)):
        if isinstance(outer, ast.BinOp) and type(outer.op) in _OPERANDS:
            for one, other in ((outer.left, outer.right), (outer.right, outer.left)):
                if _same(one, inner):
                    code = _OPERANDS[type(outer.op)][extra]
                    is_factor = code in (FindingCode.FACTOR_MISSING, FindingCode.FACTOR_EXTRA)
                    code = (is_factor and _activation(other)) or code
                    return _named(code, ast.unparse(other), extra=extra)
        match outer:
            case ast.BinOp(left=ast.BinOp(left=one, op=ast.Mult(), right=y), op=ast.Mult(), right=rest):
                slope = ast.BinOp(y, ast.Mult(), rest)
                if _same(one, inner) and (code_of_slope := _activation(slope)):
                    return _named(code_of_slope, ast.unparse(slope), extra=extra)
    return None


def _in_product(old: ast.expr, new: ast.expr) -> Symptom | None:
    """The derivative of an activation in a wrong form as the last factor, where it is written without brackets."""
    before, after = _factors(old), _factors(new)
    if len(before) < 2 or len(after) != len(before) + 1 or not isinstance(before[-1], ast.Call):
        return None
    if not all(_same(a, b) for a, b in zip(before[:-1], after, strict=False)):
        return None
    written = ast.BinOp(after[-2], ast.Mult(), after[-1])
    return _operands(before[-1], written) if _activation(written) else None


def _other_form(old: ast.expr, new: ast.expr) -> Symptom | None:
    """The derivative of an activation, told from the activated value, in a form that it does not have."""
    before, after = _factors(old), _factors(new)
    different = [(a, b) for a, b in zip(before, after, strict=False) if not _same(a, b)]
    if len(before) != len(after) or len(different) != 1:
        return None
    ((was, now),) = different
    derivative = _activation(now) if isinstance(was, ast.BinOp) else None
    return _named(derivative, ast.unparse(now), ast.unparse(was)) if derivative and _names(was) == _names(now) else None


def _names(node: ast.expr) -> set[str]:
    named = (ast.Name, ast.Attribute, ast.Subscript)
    return {ast.unparse(one) for one in ast.walk(node) if isinstance(one, named)}


def _factors(node: ast.expr) -> list[ast.expr]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return [*_factors(node.left), node.right]
    return [node]


def _operator(old: ast.expr, new: ast.expr) -> Symptom | None:
    if not (isinstance(old, ast.BinOp) and isinstance(new, ast.BinOp)) or type(old.op) is type(new.op):
        return None
    if not (_same(old.left, new.left) and _same(old.right, new.right)):
        return None
    if {type(old.op), type(new.op)} == {ast.Add, ast.Sub}:
        return _named(FindingCode.WRONG_TERM_SIGN)
    signs = _OPERATORS.get(type(old.op), "?"), _OPERATORS.get(type(new.op), "?")
    return _named(FindingCode.WRONG_OPERATOR, *signs)


def _activation(node: ast.expr) -> FindingCode | None:
    """Which activation's derivative an expression is, told from the activated value; None if of none."""
    match node:
        case ast.BinOp(left=y, op=ast.Mult(), right=ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=same)):
            return FindingCode.SIGMOID_DERIVATIVE if _same(y, same) else None
        case ast.BinOp(left=ast.Constant(value=1), op=ast.Sub(), right=ast.BinOp(op=ast.Pow())):
            return FindingCode.TANH_DERIVATIVE
    return None


def _replaced(old: ast.expr, new: ast.expr) -> Symptom | None:
    """A name, an index or a number in the place of another."""
    if not (_is_read(old) and _is_read(new)):
        return None
    same_array = isinstance(old, ast.Subscript) and isinstance(new, ast.Subscript) and _same(old.value, new.value)
    code = FindingCode.WRONG_INDEX if same_array else FindingCode.WRONG_VARIABLE
    return _named(code, ast.unparse(old), ast.unparse(new))


def _is_read(node: ast.expr) -> bool:
    """Whether it is a name, an index or a number, also a negative one."""
    match node:
        case ast.Name() | ast.Attribute() | ast.Subscript() | ast.Constant():
            return True
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant()):
            return True
    return False
