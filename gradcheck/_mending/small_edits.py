"""Small edits of an expression: a part left out, exchanged, turned round; another sign, operator, index or axis."""

from __future__ import annotations

import ast
import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np

from gradcheck._mending.atoms import Atom, broadcasts
from gradcheck._mending.complex_edits import conjugates, only_turns, other_parts, parts_taken
from gradcheck._mending.details import (
    Family,
    formed,
    formed_objects,
    indices,
    indices_inside,
    letters,
    numbers,
    numpys,
    reductions,
    scaled,
    words,
)
from gradcheck._mending.regrouped import regrouped
from gradcheck._mending.running_sums import from_the_end
from gradcheck._mending.shifted import shifted
from gradcheck._mending.slots import Candidate, Slot, Workplace, is_operand
from gradcheck._mending.syntax import (
    backwards,
    binary,
    index_parts,
    item,
    name,
    names_in,
    number,
    one_minus,
    transposed,
    turns_round,
)

#: two by two of these are exchanged
MOST_EXCHANGED = 10
#: conditions of the file that are tried in one place
MOST_TESTS = 12


def other_reads(place: Workplace) -> Iterator[Candidate]:
    """Another value of the same shape that is read or has a name."""
    slots = [slot for slot in place.floats if slot.is_plain]
    of_each = [
        [Candidate.of(slot.node, atom.node) for atom in place.around.of_shape(slot.shape) if _is_other(atom, slot)]
        for slot in slots
    ]
    for candidates in itertools.zip_longest(*of_each):  # in turn: only so many are run
        yield from (one for one in candidates if one is not None)


def other_objects(place: Workplace) -> Iterator[Candidate]:
    """Another object of a class of the user's own that calculates, as a tensor, of the same shape."""
    for slot in place.slots:
        if not (slot.is_plain and slot.is_object):
            continue
        for key, value in place.frame_of(slot.node).local.items():
            is_alike = type(value) is type(slot.value) and value is not slot.value
            if is_alike and key.isidentifier() and _shape_of(value) == _shape_of(slot.value):
                yield Candidate.of(slot.node, name(key))


def _shape_of(value: object) -> object:
    return getattr(value, "shape", None)


def repeated_reads(place: Workplace) -> Iterator[Candidate]:
    """Another value of the same shape wherever one is read that is read more than once: x * x for y * y."""
    for slots in _repeated(slot for slot in place.floats if slot.is_plain):
        for atom in place.around.of_shape(slots[0].shape):
            if _is_other(atom, slots[0]):
                yield Candidate(tuple((slot.node, atom.node) for slot in slots))


def repeated_calls(place: Workplace) -> Iterator[Candidate]:
    """What a call is handed, wherever the same call stands more than once: s * (1 - s) for f(s) * (1 - f(s))."""
    for slots in _repeated(place.floats):
        calls = [slot.node for slot in slots if isinstance(slot.node, ast.Call) and len(slot.node.args) == 1]
        if calls:
            yield Candidate(tuple((call, call.args[0]) for call in calls))


def _repeated(slots: Iterable[Slot]) -> Iterator[list[Slot]]:
    """Those that say the same, where several do."""
    of_each: dict[str, list[Slot]] = defaultdict(list)
    for slot in slots:
        of_each[ast.dump(slot.node)].append(slot)
    return (alike for alike in of_each.values() if len(alike) > 1)


def _is_other(atom: Atom, slot: Slot) -> bool:
    return atom.plain and atom.node is not slot.node


def summed_items(place: Workplace) -> Iterator[Candidate]:
    """The sum over a list, or over the first axis of an array, of which one item is read."""
    values = {id(slot.node): slot.value for slot in place.slots}
    for slot in place.floats:
        match slot.node:
            case ast.Subscript(value=value, slice=ast.Constant() | ast.UnaryOp()):
                owner = values.get(id(value))
                if isinstance(owner, (list, tuple)) and len(owner) > 1:
                    yield Candidate.of(slot.node, ast.Call(name("sum"), [value], []))
                elif isinstance(owner, np.ndarray) and owner.ndim > 1:
                    summed = ast.Attribute(value, "sum", ast.Load())
                    yield Candidate.of(slot.node, ast.Call(summed, [], [ast.keyword("axis", ast.Constant(0))]))


def turned_round(place: Workplace) -> Iterator[Candidate]:
    """A sequence the other way round, by its first axis or as the file does it: what ran backwards comes back so."""
    turns = {ast.unparse(one): one for one in (backwards(), *place.code.turns)}
    for slot in place.slots:
        axes = np.ndim(slot.value) if isinstance(slot.value, np.ndarray) else isinstance(slot.value, (list, tuple))
        may_turn = slot.is_plain or isinstance(slot.node, ast.Call)
        for index in turns.values() if may_turn and axes else ():
            if len(index_parts(index)) <= axes:
                yield Candidate.of(slot.node, ast.Subscript(slot.node, index, ast.Load()))
        if isinstance(slot.node, ast.Subscript) and turns_round(slot.node.slice):
            yield Candidate.of(slot.node, slot.node.value)


def unread(place: Workplace) -> Iterator[Candidate]:
    """What the function gives a name and never reads, for another name."""
    left = _never_read(place)
    for slot in place.slots:
        if isinstance(slot.node, ast.Name):
            for one in left:
                yield Candidate.of(slot.node, name(one))


def unread_terms(place: Workplace) -> Iterator[Candidate]:
    """What the function gives a name and never reads, as a term more."""
    values = {one: place.hole.first.local[one] for one in _never_read(place)}
    left = [one for one, value in values.items() if isinstance(value, (np.ndarray, np.floating))]
    for slot in place.outermost(ast.Add, ast.Sub) if left else ():
        for one in left:
            if np.shape(values[one]) == slot.shape:
                yield Candidate.of(slot.node, binary(slot.node, ast.Add(), name(one)))


def unread_factors(place: Workplace) -> Iterator[Candidate]:
    """What the function gives a name and never reads, as a factor or a divisor: of a whole number another one."""
    values = {one: place.hole.first.local[one] for one in _never_read(place)}
    for slot in place.slots if values else ():
        integers = [one for one, value in values.items() if isinstance(value, (int, np.integer)) and value != 1]
        floats = [
            one for one, value in values.items() if slot.is_float and np.shape(value) and _fits(value, slot.shape)
        ]
        for one in integers if slot.is_integer and slot.is_plain else floats:
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), name(one)))
            if slot.is_float:
                yield Candidate.of(slot.node, binary(slot.node, ast.Div(), name(one)))


def _fits(value: object, shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and bool(value.shape) and broadcasts(value.shape, shape)


def terms_handed_on(place: Workplace) -> Iterator[Candidate]:
    """A term more of what is only handed on, as to a list."""
    for slot in place.floats if place.hole.is_bare else ():
        for atom in place.around.of_shape(slot.shape):
            if _is_other(atom, slot):
                yield Candidate.of(slot.node, binary(slot.node, ast.Add(), atom.node))


def _never_read(place: Workplace) -> list[str]:
    """Names that the function binds, or is handed, and never reads."""
    function = place.code.function(place.hole.root)
    arguments = function.args if function is not None else None
    handed = [] if arguments is None else [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    names = [node for node in ast.walk(function) if isinstance(node, ast.Name)] if function is not None else []
    written = {id(node) for node in names if _is_written(place, node)}
    loaded = {node.id for node in names if id(node) not in written}
    stored = dict.fromkeys((*(node.id for node in names if id(node) in written), *(one.arg for one in handed)))
    return [one for one in stored if one not in loaded and one in place.hole.first.local]


def _is_written(place: Workplace, node: ast.Name) -> bool:
    """Whether a name is bound, or an item of what it names is."""
    around = place.code.parent(node)
    if isinstance(around, ast.Subscript) and around.value is node:
        return isinstance(around.ctx, ast.Store)
    return isinstance(node.ctx, ast.Store)


def dropped(place: Workplace) -> Iterator[Candidate]:
    """An operand, a call, an attribute or an index left out; or two factors, as of a slope that is s * (1 - s)."""
    for slot in place.slots:
        match slot.node:
            case ast.BinOp(left=ast.BinOp(left=rest, op=ast.Mult()), op=ast.Mult()):
                yield Candidate.of(slot.node, rest)
        match slot.node:
            case ast.BinOp(left=left, op=op, right=right):
                yield Candidate.of(slot.node, left)
                yield Candidate.of(slot.node, ast.UnaryOp(ast.USub(), right) if isinstance(op, ast.Sub) else right)
                if isinstance(op, ast.Sub):
                    yield Candidate.of(slot.node, right)
            case ast.Call(func=func, args=args):
                if args:
                    yield Candidate.of(slot.node, args[0])
                if isinstance(func, ast.Attribute):
                    yield Candidate.of(slot.node, func.value)
            case ast.Attribute(value=value) | ast.Subscript(value=value) | ast.UnaryOp(operand=value):
                if slot.is_float or (isinstance(slot.node, ast.Subscript) and isinstance(slot.value, (list, tuple))):
                    yield Candidate.of(slot.node, value)


_OPERATORS: dict[type[ast.operator], tuple[ast.operator, ...]] = {
    ast.Add: (ast.Sub(), ast.Mult()), ast.Sub: (ast.Add(), ast.Mult()), ast.Mult: (ast.Div(), ast.Add(), ast.Sub()),
    ast.Div: (ast.Mult(),), ast.MatMult: (ast.Mult(),), ast.Pow: (),
}  # fmt: skip


def bounds(place: Workplace) -> Iterator[Candidate]:
    """What a whole number is compared with, one less or more: a step too early, a step too late."""
    integers = {id(slot.node) for slot in place.slots if slot.is_integer}
    for slot in place.slots:
        bound = slot.node.comparators[-1] if isinstance(slot.node, ast.Compare) else None
        if bound is not None and id(bound) in integers:
            yield Candidate.of(bound, binary(bound, ast.Sub(), number(1)))
            yield Candidate.of(bound, binary(bound, ast.Add(), number(1)))


def other_tests(place: Workplace) -> Iterator[Candidate]:
    """Another condition of the file, as the one that the forward asks; or this one, or both."""
    root = place.hole.root
    around = place.code.parent(root)
    if not (isinstance(around, (ast.If, ast.While, ast.IfExp)) and around.test is root):
        return
    known = place.hole.first.local.keys() | place.hole.first.glob.keys()
    own = ast.unparse(root)
    others = [one for text, one in place.code.tests.items() if text != own and names_in(one) <= known]
    yield from (Candidate.of(root, one) for one in others[:MOST_TESTS])
    for one in others[:MOST_TESTS]:
        for op in (ast.Or(), ast.And()):
            yield Candidate.of(root, ast.BoolOp(op, [root, one]))


def counts(place: Workplace) -> Iterator[Candidate]:
    """A length of its own for each example in the place of a number that scales."""
    for scale, shape in scales(place):
        yield from (Candidate.of(scale, one.node) for one in place.around.counts_fitting(shape))


def inverse_orders(place: Workplace) -> Iterator[Candidate]:
    """The order that undoes one, np.argsort(order): what comes back through x[order]; and back."""
    for slot in place.slots:
        match slot.node:
            case ast.Call(func=ast.Attribute(attr="argsort"), args=[order]):
                yield Candidate.of(slot.node, order)
            case _ if slot.is_plain and _is_order(slot.value):
                yield Candidate.of(slot.node, ast.Call(numpys("argsort"), [slot.node], []))


def _is_order(value: object) -> bool:
    """Whether it holds each of the first whole numbers once."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "iu" or value.ndim != 1 or value.size < 2:
        return False
    return bool(np.array_equal(np.sort(value), np.arange(value.size)))


def scales(place: Workplace) -> Iterator[tuple[ast.expr, tuple[int, ...]]]:
    """Numbers that something is multiplied with or divided by, each with the shape of what comes of that."""
    numbers = {id(slot.node) for slot in place.slots if isinstance(slot.value, (int, float, np.number))}
    for slot in place.floats:
        match slot.node:
            case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
                for scale in (right, left) if isinstance(op, ast.Mult) else (right,):
                    if id(scale) in numbers:
                        yield scale, slot.shape


def ones(place: Workplace) -> Iterator[Candidate]:
    """One added or taken away."""
    for slot in place.outermost(ast.Add, ast.Sub):
        for op in (ast.Add(), ast.Sub()):
            if not _is_one_more(slot.node, type(op)):
                yield Candidate.of(slot.node, binary(slot.node, op, number(1)))


def _is_one_more(node: ast.expr, op: type[ast.operator]) -> bool:
    """Whether one was taken away or added already, which this would undo."""
    match node:
        case ast.BinOp(op=ast.Add() | ast.Sub(), right=ast.Constant(value=1)):
            return not isinstance(node.op, op)
    return False


def begun_at_zero(place: Workplace) -> Iterator[Candidate]:
    """Zeros for what is bound before a loop, where something is left there from the last time."""
    root = place.hole.root
    is_array = any(slot.node is root and slot.is_float and slot.shape for slot in place.slots)
    if is_array and next(place.code.loops_around(root), None) is None:
        yield Candidate.of(root, ast.Call(numpys("zeros_like"), [root], []))


def operators(place: Workplace) -> Iterator[Candidate]:
    """Another operator, operands the other way round, another sign."""
    turning = {id(slot.node) for slot in place.floats if only_turns(slot)}
    for slot in place.slots:
        if isinstance(slot.node, ast.BinOp):
            left, op, right = slot.node.left, slot.node.op, slot.node.right
            if isinstance(op, (ast.Sub, ast.Div, ast.MatMult)):
                yield Candidate.of(slot.node, binary(right, op, left))
            if isinstance(op, ast.MatMult):
                yield Candidate.of(slot.node, binary(transposed(right), op, transposed(left)))
            for other in _OPERATORS.get(type(op), ()):
                if isinstance(other, (ast.Mult, ast.Div)) and id(right) in turning:
                    continue  # to divide by it is to multiply with its conjugate
                yield Candidate.of(slot.node, binary(left, other, right))
        if slot.is_float and not is_operand(slot.node, place.code, (ast.Mult, ast.Div)):
            yield Candidate.of(slot.node, ast.UnaryOp(ast.USub(), slot.node))
        if isinstance(slot.node, ast.Compare):
            for sign in (ast.Gt(), ast.Lt(), ast.GtE(), ast.LtE(), ast.NotEq(), ast.Eq()):
                if type(sign) is not type(slot.node.ops[0]):
                    yield Candidate.of(slot.node, ast.Compare(slot.node.left, [sign], slot.node.comparators))


def opposites(place: Workplace) -> Iterator[Candidate]:
    """A mask the other way round: 1 - mask where it is a factor, ~mask where it selects, and back."""
    for slot in place.slots:
        if not _is_mask(slot.value):
            continue
        match slot.node:
            case ast.UnaryOp(op=ast.Invert() | ast.Not(), operand=mask):
                yield Candidate.of(slot.node, mask)
            case _ if is_operand(slot.node, place.code, tuple(_OPERATORS)):
                yield Candidate.of(slot.node, one_minus(slot.node))
            case _ if not isinstance(slot.value, np.ndarray):
                yield Candidate.of(slot.node, ast.UnaryOp(ast.Not(), slot.node))
            case _ if slot.value.dtype.kind == "b":
                yield Candidate.of(slot.node, ast.UnaryOp(ast.Invert(), slot.node))


def _is_mask(value: object) -> bool:
    """Whether it is true or false, at each entry, or whole numbers that are zero or one."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return bool(value.size) and bool(np.all((value == 0) | (value == 1)))
    return isinstance(value, (bool, np.bool_)) or (isinstance(value, np.ndarray) and value.dtype.kind == "b")


def rotated(place: Workplace) -> Iterator[Candidate]:
    """A bracket moved: (a + b) * c for a * c + b, a + b * c for (a + b) * c, and their like."""
    for slot in place.slots:
        if not isinstance(slot.node, ast.BinOp):
            continue
        left, op, right = slot.node.left, slot.node.op, slot.node.right
        if isinstance(left, ast.BinOp) and type(left.op) is not type(op):
            yield Candidate.of(slot.node, binary(left.left, left.op, binary(left.right, op, right)))
            yield Candidate.of(slot.node, binary(binary(left.left, op, right), left.op, left.right))
        if isinstance(right, ast.BinOp) and type(right.op) is not type(op):
            yield Candidate.of(slot.node, binary(binary(left, op, right.left), right.op, right.right))
            yield Candidate.of(slot.node, binary(right.left, right.op, binary(left, op, right.right)))


def turned(place: Workplace) -> Iterator[Candidate]:
    """Transposed."""
    for slot in place.floats:
        around = place.code.parent(slot.node)
        is_asked = isinstance(around, ast.Attribute) or (isinstance(slot.node, ast.Attribute) and slot.node.attr == "T")
        if len(slot.shape) > 1 and not isinstance(slot.node, ast.List) and not is_asked:
            yield Candidate.of(slot.node, transposed(slot.node))
        if len(slot.shape) > 2 and slot.is_plain:
            yield from (Candidate.of(slot.node, new) for new in _with_axes_exchanged(place, slot))
    for slot in place.slots:  # of a class of the user's that has a transpose, as its operators
        if slot.is_plain and not slot.is_float and hasattr(type(slot.value), "T"):
            yield Candidate.of(slot.node, transposed(slot.node))


def _with_axes_exchanged(place: Workplace, slot: Slot) -> Iterator[ast.expr]:
    """The matrices of a stack of them transposed, as the file does it or by `swapaxes`."""
    for call in place.code.transposes.get(len(slot.shape), ()):
        yield ast.Call(ast.Attribute(slot.node, "transpose", ast.Load()), call.args, [])
    ends: list[ast.expr] = [ast.UnaryOp(ast.USub(), number(axis)) for axis in (1, 2)]
    yield ast.Call(ast.Attribute(slot.node, "swapaxes", ast.Load()), ends, [])


def exchanged(place: Workplace) -> Iterator[Candidate]:
    """Two parts, arguments or elements in each other's place."""
    for slot in place.slots:
        parts = _parts(slot.node)
        for i, j in itertools.combinations(range(min(len(parts), MOST_EXCHANGED)), 2):
            yield Candidate(((parts[i], parts[j]), (parts[j], parts[i])))
    reads = [slot for slot in place.floats if slot.is_plain][:MOST_EXCHANGED]
    for a, b in itertools.combinations(reads, 2):
        if a.shape == b.shape and not _inside(a, b) and not _inside(b, a):
            yield Candidate(((a.node, b.node), (b.node, a.node)))


def indices_exchanged(place: Workplace) -> Iterator[Candidate]:
    """The indices of two arrays in each other's place: d[1:], h[:-1] for d[:-1], h[1:], a shift the wrong way."""
    reads = [slot for slot in place.floats if isinstance(slot.node, ast.Subscript)][:MOST_EXCHANGED]
    for a, b in itertools.combinations(reads, 2):
        if not (isinstance(a.node, ast.Subscript) and isinstance(b.node, ast.Subscript)):
            continue
        is_apart = not _inside(a, b) and not _inside(b, a)
        if is_apart and ast.dump(a.node.slice) != ast.dump(b.node.slice):
            swaps = (a.node, item(a.node.value, b.node.slice)), (b.node, item(b.node.value, a.node.slice))
            yield Candidate(swaps)


def _inside(inner: Slot, outer: Slot) -> bool:
    return any(node is inner.node for node in ast.walk(outer.node))


def _parts(node: ast.expr) -> list[ast.expr]:
    match node:
        case ast.Call(args=args):
            return [one for one in args if not isinstance(one, ast.Starred)]
        case ast.Tuple(elts=elts) | ast.List(elts=elts):
            return list(elts)
        case ast.Dict(values=values):
            return list(values)
        case ast.IfExp(body=body, orelse=orelse):
            return [body, orelse]
    return []


def callees(place: Workplace) -> Iterator[Candidate]:
    """Another helper called, or a function of numpy that the function calls elsewhere."""
    for slot in place.slots:
        if isinstance(slot.node, ast.Call) and isinstance(slot.node.func, (ast.Name, ast.Attribute)):
            for helper in place.around.helpers:
                yield Candidate.of(slot.node, ast.Call(name(helper), slot.node.args, slot.node.keywords))
            is_whole = slot.node is place.hole.root
            for function in ("zeros_like", "ones_like"):
                if slot.node.args and slot.is_float and is_whole:
                    yield Candidate.of(slot.node, ast.Call(numpys(function), slot.node.args[:1], []))


FIRST: tuple[Family, ...] = (
    other_reads, other_objects, repeated_reads, repeated_calls, dropped, operators, opposites, conjugates, other_parts,
    parts_taken, bounds, other_tests, counts, inverse_orders, exchanged, indices_exchanged, regrouped, turned, formed,
    formed_objects, ones, indices, indices_inside, rotated, numbers, words, reductions, letters, scaled, callees,
    unread_terms, unread_factors, begun_at_zero, summed_items, turned_round, from_the_end, shifted,
)  # fmt: skip
