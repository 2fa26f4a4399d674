"""Edits of a whole statement, which have to be run to be judged."""

from __future__ import annotations

import ast
import builtins
import itertools
from collections.abc import Iterator, Sequence
from typing import TypeGuard

import numpy as np

from gradcheck._common.user_files import is_users_class
from gradcheck._localising.provenance import neighbours_first
from gradcheck._mending.dictionaries import added_to_kept
from gradcheck._mending.frames import UnknownError
from gradcheck._mending.outside import Edit
from gradcheck._mending.suspects import Suspect, roots
from gradcheck._mending.syntax import Code, index_parts, loop_counters, names_in, parsed, span
from gradcheck._tape import TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._usercode.sums import going_on

Edits = tuple[Edit, ...]
_PRIMARY = (ast.Name, ast.Attribute, ast.Subscript, ast.Call, ast.Constant)
#: what is tried in the place of a comparison: the opposite, and the same but for what is equal
_OTHER_SIGNS: dict[type[ast.cmpop], tuple[str, ...]] = {
    ast.Gt: ("<=", ">=", "<"), ast.GtE: ("<", ">", "<="), ast.Lt: (">=", "<=", ">"), ast.LtE: (">", "<", ">="),
    ast.Eq: ("!=",), ast.NotEq: ("==",),
}  # fmt: skip
#: indices of other reads and writes that are tried
MOST_INDICES = 12
#: sizes by which something is divided
MOST_SIZES = 12
#: masks that are tried
MOST_MASKS = 6
#: arrays that calls write to which are tried
MOST_BUFFERS = 8


def structural(suspect: Suspect) -> Iterator[Edits]:
    """Another kind of assignment, another target, another loop; duplicates added up; the statement left out."""
    code, tree = suspect.code, suspect.tree
    yield from _assignment(code, tree)
    yield from _summed(code, tree)
    yield from added_to_kept(suspect)
    yield from _kept_in_part(suspect)
    yield from _duplicates(code, tree)
    yield from _callees(code, tree)
    yield from cleared_before(suspect)
    yield from _targets(code, tree)
    yield from _steps_of_all(code, tree)
    yield from other_buffers(code, tree)
    yield from _loops(code, tree)
    yield from _ends(code, tree)
    yield from _copied(code, tree)
    yield from (edits for edits, _ in scaled_afterwards(suspect))
    yield from _masked_in_place(suspect)


def _assignment(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """= for +=, and the other way round."""
    if isinstance(tree, ast.Assign) and len(tree.targets) == 1:
        where, value = tree.targets[0], tree.value
        in_place = list(_in_place(code, tree))
        yield from in_place
        yield from _carried_on(code, tree)
        yield from _begun_where_none(code, where, value)
        signs: tuple[str, ...] = () if in_place else ("+=", "-=")  # x += x + y is nobody's
    elif isinstance(tree, ast.Expr):
        yield from _set_by_name(code, tree.value)
        yield from _added_to_output(code, tree.value)
        return
    elif isinstance(tree, ast.AugAssign):
        where, value = tree.target, tree.value
        signs = ("=", "+=", "-=", "*=", "/=")
    else:
        return
    for sign in signs:
        yield (with_sign(code, where, sign, value),)


def with_sign(code: Code, where: ast.expr, sign: str, value: ast.expr) -> Edit:
    """The edit after which another sign stands between a target and what is assigned to it."""
    between = span(where)[1], span(value)[0]
    return Edit(*between, f" {sign} {'(' if '(' in code.between(*between) else ''}")


def _set_by_name(code: Code, call: ast.expr) -> Iterator[Edits]:
    """setattr(x, name, getattr(x, name) + y) for setattr(x, name, y), and the other way round."""
    match call:
        case ast.Call(func=ast.Name(id="setattr"), args=[owner, name, value]):
            before = f"getattr({code.segment(owner)}, {code.segment(name)})"
            yield (Edit(*(span(value)[0],) * 2, f"{before} + "),)
            match value:
                case ast.BinOp(left=left, op=ast.Add(), right=right) if code.segment(left) == before:
                    yield (Edit(*span(value), code.segment(right)),)


def _added_to_output(code: Code, call: ast.expr) -> Iterator[Edits]:
    """x += f(y) for f(y, out=x) and for copyto(x, y): what several bring is added up."""
    match call:
        case ast.Call(func=ast.Attribute(attr="copyto"), args=[target, value], keywords=[]):
            yield (Edit(*span(call), f"{code.segment(target)} += {code.segment(value)}"),)
        case ast.Call(args=[*_, last], keywords=[ast.keyword(arg="out", value=target)]):
            begin = span(call)[0]
            left_out = Edit(span(last)[1], span(target)[1], "")
            yield Edit(begin, begin, f"{code.segment(target)} += "), left_out


def _begun_where_none(code: Code, where: ast.expr, value: ast.expr) -> Iterator[Edits]:
    """x = y if x is None else x + y for x = y: what several bring is added up, and there is nothing at first."""
    if isinstance(where, ast.Attribute) and not isinstance(value, (ast.IfExp, ast.Lambda)):
        target, text = code.segment(where), code.segment(value)
        yield (Edit(*span(value), f"{text} if {target} is None else {target} + {text}"),)


def _summed(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """+= for = within a loop, from zero before it: what is assigned there was never begun."""
    loop = next(code.loops_around(tree), None)
    match tree:
        case ast.Assign(targets=[ast.Name() | ast.Attribute() | ast.Subscript() as where], value=value) if loop:
            names = names_in(where)
            if names & set(loop_counters(code, tree)):
                return
            start, target = span(loop)[0], code.segment(where)
            begun = Edit(start, start, f"{target} = 0\n{' ' * loop.col_offset}")
            yield begun, with_sign(code, where, "+=", value)


def _in_place(code: Code, tree: ast.Assign) -> Iterator[Edits]:
    """x += y for x = x + y, which leaves what else shares the memory of x as it was."""
    told = going_on(tree)
    if told is not None and told.operand == 0:
        text = f"{code.segment(told.target)} {told.sign}= {code.segment(told.term)}"
        yield (Edit(*span(tree), text),)


def _carried_on(code: Code, tree: ast.Assign) -> Iterator[Edits]:
    """x = x + y for x = z + y within a loop, which begins anew each time."""
    match tree:
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(left, ast.Add() | ast.Sub() as op, right)):
            read = names_in(tree.value)
            if name not in read and next(code.loops_around(tree), None) is not None:
                yield (Edit(*span(left), name),)
                if isinstance(op, ast.Add):
                    yield (Edit(*span(right), name),)


def _duplicates(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """np.add.at, which adds up what goes to the same place."""
    match tree:
        case ast.AugAssign(target=ast.Subscript() as target, op=ast.Add() | ast.Sub() as op):
            sign = "add" if isinstance(op, ast.Add) else "subtract"
        case ast.Assign(targets=[ast.Subscript(slice=ast.Name() | ast.Attribute() | ast.Subscript()) as target]):
            sign = "add"
        case _:
            return
    arguments = code.segment(target.value), _as_argument(code, target.slice), code.segment(tree.value)
    yield (Edit(*span(tree), f"{code.numpy}.{sign}.at({', '.join(arguments)})"),)


def _as_argument(code: Code, index: ast.expr) -> str:
    """What stands between brackets, as it is handed to a function."""
    match index:
        case ast.Tuple(elts=elts):
            return f"({', '.join(_as_argument(code, one) for one in elts)}{',' if len(elts) == 1 else ''})"
        case ast.Slice(lower=None, upper=upper, step=None):
            return f"slice({'None' if upper is None else code.segment(upper)})"
        case ast.Slice(lower=lower, upper=upper, step=step):
            parts = ["None" if one is None else code.segment(one) for one in (lower, upper, step)]
            return f"slice({', '.join(parts[:2] if step is None else parts)})"
    return code.segment(index)


def _callees(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """Another function of the file in the place of one that is called for what it writes."""
    match tree:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name) as called)):
            functions = [node for node in code.tree.body if isinstance(node, ast.FunctionDef)]
            arity = {node.name: len(node.args.args) for node in functions}
            for other in functions:
                if other.name != name and arity[other.name] == arity.get(name) and other is not code.function(tree):
                    yield (Edit(*span(called), other.name),)


def cleared_before(suspect: Suspect) -> Iterator[Edits]:
    """An array that lives through the loop set to zero before the statement, which adds to it."""
    code, tree = suspect.code, suspect.tree
    loop = next(code.loops_around(tree), None)
    if loop is None or not suspect.frames:
        return
    added = {id(node.target) for node in ast.walk(loop) if isinstance(node, ast.AugAssign)}
    names = [node for node in ast.walk(loop) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
    inside = {node.id for node in names if id(node) not in added}
    start, local = span(tree)[0], suspect.frames[-1].local
    for name in dict.fromkeys(_added_to(tree)):
        value = local.get(name)
        if name not in inside and isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.ndim:
            yield (Edit(start, start, f"{name}[...] = 0.0\n{' ' * tree.col_offset}"),)


def _added_to(tree: ast.stmt) -> Iterator[str]:
    """The names of arrays that a statement may add to in place."""
    match tree:
        case ast.AugAssign(target=ast.Name(id=name) | ast.Subscript(value=ast.Name(id=name)), op=ast.Add() | ast.Sub()):
            yield name
        case ast.Expr(value=ast.Call(args=args)):
            yield from (one.id for one in args if isinstance(one, ast.Name))


def _targets(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """Another place that is written to."""
    targets = _assigned(tree)
    counters = loop_counters(code, tree)
    for target in targets:
        if isinstance(target, ast.Subscript):
            yield from _throughout(code, tree, target)
            yield from _exchanged_with_reads(code, tree, target)
            yield from _other_masks(code, target)
            start, end = span(target.slice)
            for part in _parts_of_indices(target):
                yield from ((Edit(*span(part), text),) for text in _other_parts(part, counters))
            for other in (*_other_keys(code, target), *_other_indices(code, target)):
                yield (Edit(start, end, other),)
        if isinstance(target, (ast.Tuple, ast.List)):
            # neighbours are exchanged more often than what stands apart
            for i, j in neighbours_first(len(target.elts)):
                first, second = target.elts[i], target.elts[j]
                a, b = code.segment(first), code.segment(second)
                yield Edit(*span(first), b), Edit(*span(second), a)


def _parts_of_indices(target: ast.Subscript) -> Iterator[ast.expr]:
    """All that stands between its brackets: of `d[t][:, k]` the t, the slice and the k."""
    yield from index_parts(target.slice)
    if isinstance(target.value, ast.Subscript):
        yield from _parts_of_indices(target.value)


def _other_parts(part: ast.expr, counters: Sequence[str]) -> Iterator[str]:
    """What may stand in the place of an index, or of one of several, that is written to."""
    match part:
        case ast.Constant(value=int() as number):
            texts = dict.fromkeys(("-1", "0", str(number + 1), f"{number}:", ":"))  # another one, or all of them
            yield from (text for text in texts if text != str(number))
        case ast.UnaryOp():
            yield "0"
        case ast.Constant():
            pass
        case _:
            if isinstance(part, ast.BinOp):  # the last one, told by how many there are
                yield "0"
            yield from (text for one in counters for text in (one, f"{one} - 1", f"{one} + 1"))


def _steps_of_all(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """Another step in all that a statement reads at one: c, n = cs[t], ns[t] for cs[t + 1], ns[t + 1]."""
    counters = loop_counters(code, tree)
    read = [node for root in roots(tree) for node in ast.walk(root) if isinstance(node, ast.Subscript)]
    of_text: dict[str, list[ast.expr]] = {}
    for node in read:
        if names_in(node.slice) & set(counters) and not isinstance(node.slice, (ast.Slice, ast.Tuple)):
            of_text.setdefault(code.segment(node.slice), []).append(node.slice)
    for text, places in of_text.items():
        for counter in counters[:1] if len(places) > 1 else ():
            for other in (counter, f"{counter} - 1", f"{counter} + 1"):
                if other != text:
                    yield tuple(sorted(Edit(*span(place), other) for place in places))


def other_buffers(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """Another array of the function that a call writes to, or a new one, where what it writes to is read later."""
    function = code.function(tree)
    if function is None or isinstance(tree, (ast.For, ast.While, ast.If, ast.With)):
        return
    elsewhere = dict.fromkeys(code.segment(one.value) for one in _outputs(function))
    for one in _outputs(tree):
        for text in itertools.islice((text for text in elsewhere if text != code.segment(one.value)), MOST_BUFFERS):
            yield (Edit(*span(one.value), text),)


def _outputs(tree: ast.AST) -> Iterator[ast.keyword]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "out")


def _other_masks(code: Code, target: ast.Subscript) -> Iterator[Edits]:
    """The opposite of a condition that tells what is written to, one that takes in what is equal, another step's."""
    for node in ast.walk(target.slice):
        match node:
            case ast.Compare(left=left, ops=[op], comparators=[right]) if others := _OTHER_SIGNS.get(type(op)):
                for sign in others:
                    yield (Edit(span(left)[1], span(right)[0], f" {sign} "),)
            case ast.UnaryOp(op=ast.Invert(), operand=operand):
                yield (Edit(*span(node), code.segment(operand)),)
            case ast.Subscript(slice=ast.Slice() | ast.Tuple()):
                pass
            case ast.Subscript(slice=index):
                text = code.segment(index)
                for other in ("-1", "0") if isinstance(index, (ast.Constant, ast.UnaryOp)) else ():
                    yield (Edit(*span(index), other),) if other != text else ()
                counters = (one for one in loop_counters(code, target) if one != text)
                for other in (*counters, _by(text, -1), _by(text, 1)):
                    yield (Edit(*span(index), other),)
    if isinstance(target.slice, (ast.Name, ast.Attribute, ast.Subscript)):
        yield (Edit(*span(target.slice), f"~{code.segment(target.slice)}"),)


def _throughout(code: Code, tree: ast.stmt, target: ast.Subscript) -> Iterator[Edits]:
    """Another index both where the statement writes and where it reads what is there."""
    here = ast.dump(target).replace("Store()", "Load()")
    same = [node for root in roots(tree) for node in ast.walk(root) if ast.dump(node) == here]
    if not same:
        return
    places = [target.slice, *(node.slice for node in same if isinstance(node, ast.Subscript))]
    for text in _other_indices(code, target):
        yield tuple(sorted(Edit(*span(place), text) for place in places))


def _exchanged_with_reads(code: Code, tree: ast.stmt, target: ast.Subscript) -> Iterator[Edits]:
    """The index that is written at and one that is read at in each other's place: what moves up moves down."""
    here = code.segment(target.slice)
    for node in (one for root in roots(tree) for one in ast.walk(root)):
        if isinstance(node, ast.Subscript) and (there := code.segment(node.slice)) != here:
            yield tuple(sorted((Edit(*span(target.slice), there), Edit(*span(node.slice), here))))


def _assigned(tree: ast.stmt) -> list[ast.expr]:
    """What an assignment writes to."""
    return tree.targets if isinstance(tree, ast.Assign) else [tree.target] if isinstance(tree, ast.AugAssign) else []


def _other_keys(code: Code, target: ast.Subscript) -> Iterator[str]:
    """Keys that the same dictionary is asked for elsewhere."""
    function = code.function(target)
    if not isinstance(target.slice, ast.Constant) or function is None:
        return
    owner = ast.dump(target.value).replace("Store()", "Load()")
    found: dict[str, None] = {}
    for node in ast.walk(function):
        if not (isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)):
            continue
        if ast.dump(node.value).replace("Store()", "Load()") == owner:
            found.setdefault(code.segment(node.slice))
    yield from (text for text in found if text != code.segment(target.slice))


def _other_indices(code: Code, target: ast.Subscript) -> list[str]:
    """Indices that stand elsewhere in the file, of names that the function knows: a gather undone is a scatter."""
    function = code.function(target)
    if function is None or isinstance(target.slice, ast.Constant):
        return []
    known = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    known |= {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    found: dict[str, None] = {}
    for node in ast.walk(code.tree):
        if isinstance(node, ast.Subscript) and not isinstance(node.slice, ast.Constant):
            names = names_in(node.slice)
            if names and names <= known:
                found.setdefault(code.segment(node.slice))
    return [text for text in found if text != code.segment(target.slice)][:MOST_INDICES]


def _loops(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """The other direction; what other loops of the file go through; one round more or less."""
    if not isinstance(tree, ast.For):
        yield from _ranges_handed_over(code, tree)
        return
    others = [node.iter for node in ast.walk(code.tree) if isinstance(node, ast.For) and node is not tree]
    yield from other_direction(code, tree)
    for text in dict.fromkeys(code.segment(one) for one in others):
        yield from _either_way(tree, text)
    for call in ast.walk(tree.iter):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            yield from _ranges(code, call) if call.func.id == "range" else ()
            yield from _one_turned(code, call) if call.func.id == "zip" else ()


def _ranges_handed_over(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """Another range of the file, and the same turned round, in the place of one that a function is handed."""
    if isinstance(tree, (ast.While, ast.If, ast.With, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return
    ranges = dict.fromkeys(code.segment(node) for node in ast.walk(code.tree) if _is_range(node))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and not _is_range(node))
    for one in (each for call in calls for each in call.args if _is_range(each)):
        text = code.segment(one)
        others = [*(other for other in ranges if other != text), f"{text}[::-1]"]
        yield from ((Edit(*span(one), other),) for other in others[:MOST_INDICES])


def _is_range(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("range", "reversed")


def other_direction(code: Code, loop: ast.For) -> Iterator[Edits]:
    """The loop through the same, the last one first."""
    match loop.iter:
        case ast.Call(func=ast.Name(id="reversed"), args=[inner]):
            yield from _either_way(loop, code.segment(inner))
        case _:
            yield from _either_way(loop, code.segment(loop.iter))


def _either_way(loop: ast.For, text: str) -> Iterator[Edits]:
    start, end = span(loop.iter)
    yield from ((Edit(start, end, form),) for form in (f"reversed({text})", f"reversed(list({text}))", text))


def _one_turned(code: Code, call: ast.Call) -> Iterator[Edits]:
    """One of several that a loop goes through side by side turned round."""
    for one in call.args:
        text = code.segment(one)
        match one:
            case ast.Call(func=ast.Name(id="reversed"), args=[inner]):
                yield (Edit(*span(one), code.segment(inner)),)
            case _:
                yield from ((Edit(*span(one), form),) for form in (f"reversed({text})", f"reversed(list({text}))"))


def _ranges(code: Code, call: ast.Call) -> Iterator[Edits]:
    parts = [code.segment(one) for one in call.args]
    start, end = span(call)
    if len(parts) == 3:
        first, last, step = parts
        forms = [(_by(first, -1), last, step), (_by(first, 1), last, step), (first, _by(last, -1), step),
                 (first, _by(last, 1), step), (first, "-1", step), (last, first, "1")]  # fmt: skip
        yield from ((Edit(start, end, f"range({', '.join(form)})"),) for form in forms)
        return
    last = parts[-1] if parts else "0"
    low = parts[0] if len(parts) == 2 else "0"
    for a, b in ((low, _by(last, 1)), (low, _by(last, -1)), ("0", last), ("1", last)):
        text = f"range({b})" if a == "0" else f"range({a}, {b})"
        yield (Edit(start, end, text),)


def _by(text: str, one: int) -> str:
    """One more or less: of a number the next."""
    if text.isdigit():
        return str(int(text) + one)
    return f"{text} + 1" if one > 0 else f"{text} - 1"


def _ends(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """The other end of a list or a deque."""
    for node in (one for root in roots(tree) for one in ast.walk(root)):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="pop" | "popleft" as method), args=args):
                whole = code.segment(owner)
                yield (Edit(*span(node), f"{whole}.popleft()" if method == "pop" else f"{whole}.pop()"),)
                if method == "pop":
                    yield (Edit(*span(node), f"{whole}.pop()" if args else f"{whole}.pop(0)"),)
            case ast.Call(func=ast.Attribute(value=owner, attr="append" | "appendleft" as method), args=[one]):
                whole, value = code.segment(owner), code.segment(one)
                other = f"{whole}.appendleft({value})" if method == "append" else f"{whole}.append({value})"
                yield (Edit(*span(node), other),)
                if method == "append":
                    yield (Edit(*span(node), f"{whole}.insert(0, {value})"),)


def left_out(tree: ast.stmt) -> Iterator[Edits]:
    """The statement left out."""
    if isinstance(tree, (ast.Assign, ast.AugAssign, ast.Expr)):
        yield (Edit(*span(tree), "pass"),)


def _copied(code: Code, tree: ast.stmt) -> Iterator[Edits]:
    """A copy of what is kept, so that later writes do not change it."""
    if isinstance(tree, ast.For):
        return
    for node in (one for root in roots(tree) for one in ast.walk(root)):
        if isinstance(node, (ast.Name, ast.Subscript, ast.Attribute)):
            around = code.parent(node)
            kept = around is tree or isinstance(around, (ast.Tuple, ast.List))
            if kept or (isinstance(around, ast.Call) and around.func is not node):
                yield (Edit(*span(node), f"{code.segment(node)}.copy()"),)


def scaled_afterwards(suspect: Suspect) -> Iterator[tuple[Edits, int]]:
    """What the statement has written divided by a size, in a statement more, and the size."""
    tree = suspect.tree
    targets = _assigned(tree)
    if len(targets) != 1 or not suspect.frames or tree.lineno != tree.end_lineno:
        return
    where = targets[0]
    while isinstance(where, ast.Subscript):
        where = where.value
    if not isinstance(where, ast.Name):
        return
    value, end = suspect.frames[-1].local.get(where.id), span(tree)[1]
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        divided = _divided_next(suspect.code, tree, where.id)
        for text, size in _sizes_at_hand(suspect, where.id, value):
            if divided is not None:  # by something already: by one more
                start = span(divided)[0]
                yield (Edit(start, start, f"{text} * "),), size
            else:
                yield (Edit(end, end, f"\n{' ' * tree.col_offset}{where.id} /= {text}"),), size


def _divided_next(code: Code, tree: ast.stmt, name: str) -> ast.expr | None:
    """What the next statement divides a variable by, if it does."""
    around = code.parent(tree)
    for block in (getattr(around, part, []) for part in ("body", "orelse", "finalbody")):
        following = next((after for one, after in itertools.pairwise(block) if one is tree), None)
        match following:
            case ast.AugAssign(target=ast.Name(id=target), op=ast.Div(), value=value) if target == name:
                return value if isinstance(value, (ast.BinOp, *_PRIMARY)) and not _is_loose(value) else None
    return None


def _is_loose(value: ast.expr) -> bool:
    """Whether a factor before it would go with a part of it alone."""
    return isinstance(value, ast.BinOp) and not isinstance(value.op, (ast.Mult, ast.Pow))


def _masked_in_place(suspect: Suspect) -> Iterator[Edits]:
    """x *= mask / y for x /= y, and the like: what counts for nothing is left out there as well."""
    match suspect.tree:
        case ast.AugAssign(target=ast.Name(id=name) as target, op=ast.Mult() | ast.Div() as op, value=factor):
            sign = "/" if isinstance(op, ast.Div) else "*"
        case _:
            return
    value = suspect.code.segment(factor)
    value = f"({value})" if isinstance(factor, (ast.BinOp, ast.IfExp, ast.Lambda, ast.Compare, ast.BoolOp)) else value
    held = suspect.frames[-1].local.get(name) if suspect.frames else None
    shape = held.shape if isinstance(held, np.ndarray) else ()
    for mask in itertools.islice(_masks_at_hand(suspect, shape), MOST_MASKS) if shape else ():
        yield (Edit(span(target)[1], span(suspect.tree)[1], f" *= {mask} {sign} {value}"),)


def _kept_in_part(suspect: Suspect) -> Iterator[Edits]:
    """x -= y for x[:] = 0, and x *= 1 - mask: what was handed on is taken out, and the rest of it stays."""
    match suspect.tree:
        case ast.Assign(
            targets=[ast.Subscript(value=ast.Name(id=name), slice=ast.Slice() | ast.Constant(value=builtins.Ellipsis))],
            value=ast.Constant(value=value),
        ) if value == 0 and suspect.frames:
            local = suspect.frames[-1].local
            held = local.get(name)
        case _:
            return
    if not isinstance(held, np.ndarray):
        return
    alike = [key for key, one in local.items() if key != name and _is_alike(one, held)]
    taken = [f"{name} -= {key}" for key in alike[::-1][:MOST_BUFFERS]]
    masks = itertools.islice(_masks_at_hand(suspect, held.shape), MOST_MASKS)
    yield from ((Edit(*span(suspect.tree), text),) for text in (*taken, *(f"{name} *= 1 - {one}" for one in masks)))


def _is_alike(value: object, array: Array) -> bool:
    return isinstance(value, np.ndarray) and value.shape == array.shape and value.dtype == array.dtype


def _masks_at_hand(suspect: Suspect, shape: tuple[int, ...]) -> Iterator[str]:
    """Arrays of zeros and ones that are read somewhere in the file, as they fit a shape: one for each example."""
    arrays = [name for name, value in suspect.frames[-1].local.items() if isinstance(value, np.ndarray)]
    nodes = {name: parsed(name) for name in arrays} | {ast.unparse(one): one for one in suspect.code.items}
    for text, node in nodes.items():
        try:
            values = [np.asarray(frame.value(node)) for frame in suspect.frames]
        except (UnknownError, ValueError):  # a list of arrays of several shapes is none
            continue
        found = {float(one) for value in values if value.dtype.kind in "bfiu" for one in np.unique(value)}
        own = values[-1].shape
        if found != {0.0, 1.0}:
            continue
        if len(own) == len(shape) and all(one in (1, other) for one, other in zip(own, shape, strict=True)):
            yield text
        elif own and own == shape[: len(own)]:
            yield f"{text}[{', '.join([':'] * len(own) + ['None'] * (len(shape) - len(own)))}]"


def _sizes_at_hand(suspect: Suspect, name: str, value: Array) -> list[tuple[str, int]]:
    """Sizes of the array, and other whole numbers above one that have names, each with its value."""
    own = [(f"len({name})", len(value)), *([(f"{name}.shape[1]", value.shape[1])] if value.ndim > 1 else [])]
    local = suspect.frames[-1].local
    others = [(key, one) for key, one in local.items() if type(one) is int and one > 1 and key.isidentifier()]
    owners = [(key, vars(one)) for key, one in local.items() if is_users_class(type(one)) and hasattr(one, "__dict__")]
    others += [(f"{key}.{one}", n) for key, held in owners for one, n in held.items() if type(n) is int and n > 1]
    lists = [(f"len({key})", len(one)) for key, one in local.items() if isinstance(one, (list, tuple)) and len(one) > 1]
    return [*own, (f"{name}.size", value.size), *others, *lists][:MOST_SIZES]


def copies_before(run: TapedRun, suspect: Suspect) -> Iterator[Edits]:
    """A copy of an array that the statement writes into and that the caller handed over, where it gets its name."""
    code, tree = suspect.code, suspect.tree
    if not any(one.label and one.place and one.place.statement is suspect.statement for one in run.writes):
        return
    function = code.function(tree)
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return
    for target in ast.walk(tree):
        if isinstance(target, ast.Name):
            where = _bound_at(function, target.id)
            if where is not None:
                line = where.end_lineno or where.lineno
                end = (line, len(code.lines[line - 1].rstrip(b"\r\n")))
                yield (Edit(end, end, f"\n{' ' * _indent(function)}{target.id} = {target.id}.copy()"),)


def _indent(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return function.body[0].col_offset


def _bound_at(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> ast.stmt | None:
    """The statement of the function's own block that binds a name first; where it is a parameter, the docstring."""
    for statement in function.body:
        if isinstance(statement, ast.Assign):
            for node in ast.walk(statement):
                if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Store):
                    return statement
    return None
