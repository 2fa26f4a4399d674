"""Small edits inside an expression: forms, indices, axes, numbers, letters, scales."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np

from gradcheck._mending.frames import Frame, UnknownError
from gradcheck._mending.slots import Candidate, Workplace, is_factor
from gradcheck._mending.syntax import binary, index_parts, name, names_in, number, one_minus, squared
from gradcheck._tape.nodes import Array
from gradcheck._tape.parts import whole_name

Family = Callable[[Workplace], Iterator[Candidate]]

#: sizes that an index may begin behind
MOST_OFFSETS = 12
#: slices of the file that are tried as they are
MOST_SLICES = 60


def formed(place: Workplace) -> Iterator[Candidate]:
    """What stands for the derivative of an activation, or a helper, applied to a part."""
    for slot in place.floats:
        if isinstance(slot.node, ast.Constant):
            continue
        for new in forms(slot.node):
            yield Candidate.of(slot.node, new)
        yield Candidate.of(slot.node, ast.Compare(slot.node, [ast.Gt()], [number(0)]))
        for helper in place.around.helpers:
            yield Candidate.of(slot.node, ast.Call(name(helper), [slot.node], []))
        yield Candidate.of(slot.node, ast.Call(numpys("tanh"), [slot.node], []))
        yield Candidate.of(slot.node, ast.Call(numpys("sqrt"), [slot.node], []))
        match slot.node:  # f(x) where a form of x should stand
            case ast.Call(args=[argument]):
                for new in forms(argument):
                    yield Candidate.of(slot.node, new)


def formed_objects(place: Workplace) -> Iterator[Candidate]:
    """The same forms of what calculates by methods of the user's own, as the tensor of an autograd."""
    for slot in place.slots:
        if slot.is_plain and slot.is_object:
            yield from (Candidate.of(slot.node, new) for new in forms(slot.node))


#: the same of numbers
FORMS: tuple[Callable[[Array], Array], ...] = (
    lambda x: 1 - x, lambda x: x**2, lambda x: x * (1 - x), lambda x: 1 - x**2,
)  # fmt: skip


def forms(x: ast.expr) -> Iterator[ast.expr]:
    """1 - x, x², x (1 - x), 1 - x²."""
    yield one_minus(x)
    yield squared(x)
    yield binary(x, ast.Mult(), one_minus(x))
    yield one_minus(squared(x))


def more_forms(x: ast.expr) -> Iterator[ast.expr]:
    """Derivatives of other functions, told from x or from what they gave: exp, log, sqrt, softplus, relu, squares."""
    less = ast.UnaryOp(ast.USub(), x)
    yield ast.Call(numpys("exp"), [x], [])
    yield ast.Call(numpys("exp"), [less], [])
    yield one_minus(ast.Call(numpys("exp"), [less], []))
    yield binary(number(1), ast.Div(), x)
    yield binary(number(1), ast.Div(), binary(number(1), ast.Add(), ast.Call(numpys("exp"), [less], [])))
    yield binary(number(2), ast.Mult(), x)
    yield binary(number(1), ast.Div(), binary(number(2), ast.Mult(), x))
    yield ast.Compare(x, [ast.Gt()], [number(0)])
    yield ast.Call(numpys("sign"), [x], [])


def numpys(function: str) -> ast.expr:
    """A function of numpy."""
    return ast.Attribute(name("np"), function, ast.Load())


def indices(place: Workplace) -> Iterator[Candidate]:
    """Another step, of each index in turn, then another slice: only so many are run."""
    subscripts = (slot.node for slot in place.slots if isinstance(slot.node, ast.Subscript))
    parts = [part for node in subscripts for part in index_parts(node.slice)]
    steps = [part for part in parts if not isinstance(part, ast.Slice)]
    for others in itertools.zip_longest(*(other_indices(place, part) for part in steps)):
        yield from (Candidate.of(part, new) for part, new in zip(steps, others, strict=True) if new is not None)
    for part in parts:
        if isinstance(part, ast.Slice):
            yield from (Candidate.of(part, new) for new in _slices(place))


def indices_inside(place: Workplace) -> Iterator[Candidate]:
    """Another step inside a calculated index, or an offset before it: a[t * N + k], or a[at(t, n + k)]."""
    sizes = _offsets(place)
    for slot in place.slots:
        calculated = slot.node.slice if isinstance(slot.node, ast.Subscript) else None
        if not isinstance(calculated, (ast.Call, ast.BinOp)):
            continue
        for part in _steps_in(calculated):
            for new in _near_steps(part):
                yield Candidate.of(part, new)
            for size in sizes if isinstance(part, ast.Name) else ():
                yield Candidate.of(part, binary(size, ast.Add(), part))


def _offsets(place: Workplace) -> list[ast.expr]:
    """What an index may begin behind, what the file begins one behind elsewhere before all else."""
    sums = (node for node in ast.walk(place.code.tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add))
    written = {ast.unparse(node.left) for node in sums if isinstance(node.right, ast.Name)}
    sizes = [one for one in place.around.integers if not isinstance(one.node, ast.Constant)]
    return [one.node for one in sorted(sizes, key=lambda one: one.text not in written)[:MOST_OFFSETS]]


def _steps_in(index: ast.expr) -> Iterator[ast.expr]:
    """The names in a calculated index, and those with a number added, the arguments of what is called."""
    match index:
        case ast.Call(args=args):
            for one in args:
                yield from _steps_in(one)
        case ast.BinOp(left=ast.Name(), op=ast.Add() | ast.Sub(), right=ast.Constant()):
            yield index
        case ast.BinOp(left=left, right=right):
            yield from _steps_in(left)
            yield from _steps_in(right)
        case ast.Name():
            yield index


def _near_steps(part: ast.expr) -> Iterator[ast.expr]:
    if isinstance(part, ast.BinOp):
        yield from _other_offsets(part)
    else:
        yield binary(part, ast.Add(), number(1))
        yield binary(part, ast.Sub(), number(1))


def _other_offsets(sum_: ast.BinOp) -> Iterator[ast.expr]:
    """Without what is added to an index or taken from it, and with that taken from it or added."""
    yield sum_.left
    yield binary(sum_.left, ast.Add() if isinstance(sum_.op, ast.Sub) else ast.Sub(), sum_.right)


def other_indices(place: Workplace, part: ast.expr) -> Iterator[ast.expr]:
    """What may stand between brackets in the place of an index."""
    if isinstance(part, ast.BinOp) and isinstance(part.op, (ast.Add, ast.Sub)):
        yield from _other_offsets(part)
    if not isinstance(part, ast.Constant):
        yield binary(part, ast.Sub(), number(1))
        yield binary(part, ast.Add(), number(1))
    yield from (number(value) for value in (0, 1, -1, 2, 3))
    for counter in place.around.counters:
        yield name(counter)
        yield binary(name(counter), ast.Sub(), number(1))
        yield binary(name(counter), ast.Add(), number(1))
    sizes = [one for one in place.around.integers if isinstance(one.node, ast.Name)]
    for size in sizes[:6]:
        yield binary(binary(size.node, ast.Sub(), number(1)), ast.Sub(), part)


def _slices(place: Workplace) -> Iterator[ast.expr]:
    """Slices with the ends that slices in the function have, and with their multiples; before, those of the file."""
    known = place.hole.first.local.keys() | place.hole.first.glob.keys()
    line = place.hole.root.lineno
    nearest = sorted(place.code.slices, key=lambda one: abs(one.lineno - line))
    yield from itertools.islice((one for one in nearest if names_in(one) <= known), MOST_SLICES)
    ends: dict[str, ast.expr | None] = {"": None}
    for node in place.around.read:
        if isinstance(node, ast.Subscript):
            for part in index_parts(node.slice):
                if isinstance(part, ast.Slice):
                    for end in (part.lower, part.upper):
                        if end is not None:
                            ends.setdefault(ast.unparse(end), end)
                        if isinstance(end, ast.UnaryOp):
                            ends.setdefault(ast.unparse(end.operand), end.operand)
                        elif end is not None:
                            less = ast.UnaryOp(ast.USub(), end)
                            ends.setdefault(ast.unparse(less), less)
    for atom in place.around.integers:
        if isinstance(atom.node, ast.Name) and len(ends) < 16:
            ends.setdefault(atom.text, atom.node)
            for factor in (2, 3):
                ends.setdefault(f"{factor} * {atom.text}", binary(number(factor), ast.Mult(), atom.node))
    for lower, upper in itertools.product(ends.values(), ends.values()):
        yield ast.Slice(lower, upper, None)


def reductions(place: Workplace) -> Iterator[Candidate]:
    """A sum over an axis, a mean for a sum, another axis, axes that are kept."""
    for slot in place.slots:
        match slot.node:
            case ast.Call(func=ast.Attribute(attr="sum" | "mean" as given) as func, args=args, keywords=keywords):
                other = ast.Attribute(func.value, "mean" if given == "sum" else "sum", ast.Load())
                yield Candidate.of(slot.node, ast.Call(other, args, keywords))
                for axis in (None, number(0), number(1), number(-1)):
                    for keeps in (False, True):
                        yield Candidate.of(slot.node, _sum(place, func, axis, keeps, args if is_numpys(func) else []))
        if slot.is_float and slot.shape:
            bases = [slot.node]
            if isinstance(slot.node, ast.Subscript):
                bases.append(slot.node.value)
            for base in bases:
                for axis in (number(0), number(1), number(-1)):
                    for keeps in (False, True):
                        method = ast.Attribute(base, "sum", ast.Load())
                        yield Candidate.of(slot.node, _sum(place, method, axis, keeps, []))


def is_numpys(function: ast.Attribute) -> bool:
    """Whether a function is read from NumPy."""
    return isinstance(function.value, ast.Name) and function.value.id in ("np", "numpy")


def _sum(place: Workplace, function: ast.expr, axis: ast.expr | None, keeps: bool, args: list[ast.expr]) -> ast.expr:
    args = args[:1]
    keywords = []
    if axis is not None and (place.code.names_axis or args):
        keywords.append(ast.keyword("axis", axis))
    elif axis is not None:
        args = [axis]
    if keeps:
        keywords.append(ast.keyword("keepdims", ast.Constant(True)))
    return ast.Call(function, args, keywords)


def numbers(place: Workplace) -> Iterator[Candidate]:
    """Another constant or size."""
    for slot in place.slots:
        if isinstance(slot.node, ast.Constant) and type(slot.value) in (int, float):
            v = slot.value
            for new in dict.fromkeys((v + 1, v - 1, -v, 2 * v, v / 2, 0, 1, 2, 1 / v if v else 0)):
                if new != v:
                    whole = isinstance(v, int) and new == int(new)
                    yield Candidate.of(slot.node, number(int(new) if whole else new))
            for atom in place.around.floats if v == 1 else ():
                if atom.shape == () and atom.plain:  # what is smoothed or leaks is one less that
                    yield Candidate.of(slot.node, one_minus(atom.node))
        elif isinstance(slot.value, bool) and isinstance(slot.node, ast.Constant):
            yield Candidate.of(slot.node, ast.Constant(not slot.value))
        if slot.is_integer:
            for atom in place.around.integers:
                if atom.value != slot.value:
                    yield Candidate.of(slot.node, atom.node)
        if is_factor(slot.node, place.code) and slot.shape == () and slot.value is not None:
            yield from (Candidate.of(slot.node, atom.node) for atom in place.around.scalars)


def letters(place: Workplace) -> Iterator[Candidate]:
    """Letters of an einsum exchanged, in one operand or in the result."""
    for slot in place.slots:
        if not (isinstance(slot.node, ast.Constant) and isinstance(slot.value, str) and "->" in slot.value):
            continue
        inputs, _, output = slot.value.partition("->")
        words = [*inputs.split(","), output]
        for k, word in enumerate(words):
            for i, j in itertools.combinations(range(len(word)), 2):
                new = list(word)
                new[i], new[j] = new[j], new[i]
                told = [*words[:k], "".join(new), *words[k + 1 :]]
                yield Candidate.of(slot.node, ast.Constant(",".join(told[:-1]) + "->" + told[-1]))
            for i, letter in itertools.product(range(len(word)), sorted(set(inputs) - set(", "))):
                told = [*words[:k], word[:i] + letter + word[i + 1 :], *words[k + 1 :]]
                yield Candidate.of(slot.node, ast.Constant(",".join(told[:-1]) + "->" + told[-1]))


def words(place: Workplace) -> Iterator[Candidate]:
    """Another of the words that something is, where it is compared with one."""
    for node in ast.walk(place.hole.root):
        match node:
            case ast.Compare(
                left=left, ops=[ast.Eq() | ast.NotEq()], comparators=[ast.Constant(value=str(word)) as told]
            ):
                for other in dict.fromkeys(_values_of(place, left)):
                    if isinstance(other, str) and other != word:
                        yield Candidate.of(told, ast.Constant(other))


def keys(place: Workplace) -> Iterator[Candidate]:
    """The name of another wrong gradient, where one is spelled: as it is, or in a text with values in it."""
    names = sorted(set(map(whole_name, place.hole.residual.wrong)))
    for slot in place.slots:
        match slot.node:
            case ast.Constant() if isinstance(place.code.parent(slot.node), ast.JoinedStr):
                pass  # a part of a text, which is looked at as a whole
            case ast.Constant(value=str(word)) if word in names:
                yield from (Candidate.of(slot.node, ast.Constant(name)) for name in names if name != word)
            case ast.JoinedStr(values=parts) if slot.value in names:
                with suppress(UnknownError):
                    told = [_text_of(part, place.frame_of(slot.node)) for part in parts]
                    yield from (Candidate.of(slot.node, new) for new in _other_texts(parts, told, names))


def _other_texts(parts: list[ast.expr], told: list[str], names: list[str]) -> Iterator[ast.JoinedStr]:
    """A text, of which it is known what its parts say, with one of its fixed parts as in another of these names."""
    for k, part in enumerate(parts):
        before, after = "".join(told[:k]), "".join(told[k + 1 :])
        if isinstance(part, ast.Constant):
            alike = [name for name in names if name.startswith(before) and name.endswith(after)]
            words = [name[len(before) : len(name) - len(after)] for name in alike]
            for word in dict.fromkeys(word for word in words if word not in ("", part.value)):
                yield ast.JoinedStr([*parts[:k], ast.Constant(word), *parts[k + 1 :]])


def _text_of(part: ast.expr, frame: Frame) -> str:
    text: str = frame.value(part if isinstance(part, ast.Constant) else ast.JoinedStr([part]))
    return text


def _values_of(place: Workplace, node: ast.expr) -> Iterator[object]:
    for one in place.hole.executions:
        with suppress(UnknownError):
            yield one.frame.value(node)


def scaled(place: Workplace) -> Iterator[Candidate]:
    """Twice or half as much; times or divided by a size or a scalar that is at hand."""
    scalars = [one for one in place.around.floats if one.shape == () and not isinstance(one.node, ast.BinOp)][:24]
    scalars += place.around.scalars
    sizes = [one for one in place.around.integers if np.abs(one.value) > 1][:24]
    for slot in place.outermost(ast.Mult, ast.Div):
        for factor in (*(number(2),), *(one.node for one in scalars), *(one.node for one in sizes)):
            yield Candidate.of(slot.node, binary(factor, ast.Mult(), slot.node))
            yield Candidate.of(slot.node, binary(slot.node, ast.Div(), factor))
        for size in sizes:
            root = ast.Call(numpys("sqrt"), [size.node], [])
            yield Candidate.of(slot.node, binary(slot.node, ast.Div(), root))
