"""Writes a derivative in the user's names: from the forward's tape, and from what is at hand where it is needed."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from gradcheck._mending.library import values_at
from gradcheck._mending.naming import EQUAL, NOTHING, Names
from gradcheck._mending.series import Kind
from gradcheck._mending.slots import Candidate, Workplace
from gradcheck._mending.syntax import binary, conjugate, conjugated, loop_counters, names_in, number, parsed
from gradcheck._mending.uses import AllUses, Use
from gradcheck._mending.vjp import Cotangent, Operand, added, call, einsum_back, elementary
from gradcheck._tape import Node
from gradcheck._tape.nodes import JOINS, Array
from gradcheck._tape.sweep import numbered

#: steps from a value to the derivatives that are at hand
MOST_STEPS = 12
#: uses of a value of which some are chosen
MOST_USES = 6
#: operations that are written for one value of the forward that has no name
MOST_OPERATIONS = 2
_ARITHMETIC: dict[str, ast.operator] = {
    "add": ast.Add(), "subtract": ast.Sub(), "multiply": ast.Mult(), "divide": ast.Div()
}  # fmt: skip
#: functions that are called for a value of the forward
_CALLED = frozenset({"exp", "log", "sqrt", "tanh"})
#: by function of one value: whether its slope is written with what it gives, and how what comes back is
SLOPES: dict[str, tuple[bool, Callable[[ast.expr, ast.expr], ast.expr]]] = {
    "exp": (True, lambda back, y: binary(back, ast.Mult(), y)),
    "sqrt": (True, lambda back, y: binary(back, ast.Div(), binary(number(2), ast.Mult(), y))),
    "log": (False, lambda back, x: binary(back, ast.Div(), x)),
    "square": (False, lambda back, x: binary(binary(back, ast.Mult(), number(2)), ast.Mult(), x)),
}
#: a value, or its use by one consumer, at each execution; None where there is none
Uses = list[tuple[Node, int] | None]


def formula(place: Workplace) -> Iterator[Candidate]:
    """The derivative that the hole needs, by the chain rule: a sum over uses of the value whose derivative it is."""
    needed = place.hole.needed
    if needed is None or needed.known is None:
        return
    series, which = needed.known.series, needed.known.which
    without = series.without
    nodes = [series.nodes[j] for j in which]
    writer = _Writer(place)
    if len(place.hole.executions) != len(nodes):
        return
    yield from _with_rest(place, nodes, needed.known.values)
    if series.operand is not None and series.partial:
        written = writer.use([(node, series.operand) for node in nodes], MOST_STEPS)
    else:
        values = nodes if series.operand is None else [node.inputs[series.operand] for node in nodes]
        written = writer.derivative(values, MOST_STEPS, named=False, without=without)
    if written is not None:
        yield Candidate.of(place.hole.root, written)


def _with_rest(place: Workplace, values: Sequence[Node], wanted: Sequence[Array]) -> Iterator[Candidate]:
    """What stands there, and what it lacks of the derivatives of these values: what comes back through other uses."""
    given = [one.values[0] if len(one.values) == 1 else None for one in place.hole.executions]
    if place.hole.operator is not None or any(
        one is None or one.shape != whole.shape for one, whole in zip(given, wanted, strict=True)
    ):
        return
    rest = [whole - one for one, whole in zip(given, wanted, strict=True) if one is not None]
    for candidate in formula_of_part(place, values, rest):
        ((root, term),) = candidate.swaps
        yield Candidate.of(root, binary(root, ast.Add(), term))


def formula_of_part(place: Workplace, values: Sequence[Node], parts: Sequence[Array]) -> Iterator[Candidate]:
    """What comes back to values of the forward, one for each execution, through those uses that bring back these parts.

    By the chain rule as well.
    """
    writer = _Writer(place)
    if len(place.hole.executions) != len(values):
        return
    parallel = writer.parallel(list(values), writer.uses.of_entries)
    shapes = [np.shape(one) for one in parts]  # what reads more than the value brings back more
    pairs = [(one, writer.brought_back(one)) for one in parallel if None not in one]
    pairs = [(one, found) for one, found in pairs if [part.shape for part in found] == shapes][:MOST_USES]
    uses, brought = [one for one, _ in pairs], [found for _, found in pairs]
    for count in range(1, len(uses) + 1):
        for chosen in itertools.combinations(range(len(uses)), count):
            sums = [sum(brought[number][k] for number in chosen) for k in range(len(values))]
            if not _equal([np.asarray(one) for one in sums], list(parts)):
                continue
            terms = [writer.use(uses[number], MOST_STEPS) for number in chosen]
            written = added([one for one in terms if one is not None]) if None not in terms else None
            if written is not None:
                yield Candidate.of(place.hole.root, written)


class _Writer:
    def __init__(self, place: Workplace) -> None:
        self.place, self.run = place, place.hole.suspect.run
        self.names = place.shared("names", lambda: Names(place))
        self.uses = self.run.once(AllUses)

    def value(self, values: list[Node], operations: int) -> ast.expr | None:
        """Values of the forward: by a name, or calculated as in the forward from what has names."""
        if any(one.value is None for one in values):
            return None
        found = self.names.named([np.asarray(one.value, float) for one in values])
        kinds = {(one.op, one.operands) for one in values}
        if found is not None or operations == 0 or len(kinds) > 1:
            return found
        if values[0].op in _CALLED and self.place.around.complexes:  # no slope is told by dividing there
            inner = self.value([one.inputs[0] for one in values], operations - 1)
            return None if inner is None else call(f"np.{values[0].op}", inner)
        if values[0].op not in _ARITHMETIC:
            return None
        if len(values[0].inputs) != 2:
            return None
        parts = [self.value([one.inputs[number] for one in values], operations - 1) for number in (0, 1)]
        left, right = parts
        return None if left is None or right is None else binary(left, _ARITHMETIC[values[0].op], right)

    # -- derivatives -----------------------------------------------------------------------------------------------

    def derivative(
        self, values: list[Node], steps: int, *, named: bool = True, without: Kind | None = None
    ) -> ast.expr | None:
        """dL/d(value); `without`: all but what comes back through uses of one kind."""
        wanted = [self.run.derivatives[node.index] for node in values]
        if any(one is None for one in wanted):
            return None
        if named and (found := self.names.named([one for one in wanted if one is not None])) is not None:
            return found
        if steps == 0:
            return None
        terms, left = self._at_hand(self.parallel(values, lambda value: self.uses.of(value, without)))
        for uses in left:
            term = self.use(uses, steps - 1)
            if term is None:
                return None
            terms.append(term)
        return added(terms)

    def _at_hand(self, uses: list[Uses]) -> tuple[list[ast.expr], list[Uses]]:
        """What has a name of what comes back through several of these uses, but not all, together; and the others."""
        brought = [self._brought_back_everywhere(one) for one in uses] if 2 < len(uses) <= MOST_USES else []
        if len({part.shape for one in brought for part in one if part.shape}) == 1:
            for count in range(len(uses) - 1, 1, -1):
                for chosen in itertools.combinations(range(len(uses)), count):
                    sums = [np.asarray(sum(parts)) for parts in zip(*(brought[k] for k in chosen), strict=True)]
                    found = self.names.named(sums)
                    if found is not None:
                        return [found], [one for k, one in enumerate(uses) if k not in chosen]
        return [], uses

    def parallel(self, values: list[Node], uses_of: Callable[[Node], list[Use]]) -> list[Uses]:
        """The uses of the values, those of one kind together."""
        kinds: dict[tuple[int, str, int, int], Uses] = {}
        for k, value in enumerate(values):
            seen: dict[tuple[int, str, int], int] = {}
            for consumer, operand in uses_of(value):
                place = -1 if consumer.place is None else consumer.place.number
                nth = seen[place, consumer.op, operand] = seen.get((place, consumer.op, operand), -1) + 1
                kinds.setdefault((place, consumer.op, operand, nth), [None] * len(values))[k] = (consumer, operand)
        return list(kinds.values())

    def brought_back(self, uses: Uses) -> list[Array]:
        """What comes back through these uses."""
        return [
            np.asarray(self.run.contributions.get((one[0].index, one[1]), np.nan)) for one in uses if one is not None
        ]

    def _brought_back_everywhere(self, uses: Uses) -> list[Array]:
        """The same, and zero where there is no such use."""
        brought = iter(self.brought_back(uses))
        return [np.zeros(()) if one is None else next(brought) for one in uses]

    def use(self, uses: Uses, steps: int) -> ast.expr | None:
        """What comes back through one use."""
        present = next((one for one in uses if one is not None), None)
        if present is None:
            return None
        parts = [None if one is None else self.run.contributions.get((one[0].index, one[1])) for one in uses]
        shape = present[0].inputs[present[1]].shape
        wanted = [np.zeros(shape) if part is None else part for part in parts]
        if (found := self.names.named(wanted)) is not None:
            return found
        whole = [one for one in uses if one is not None]
        if len(whole) < len(uses) or steps == 0:
            return None
        consumers = [node for node, _ in whole]
        outer = [self.run.derivatives[node.index] for node in consumers]
        if all(g is not None and g.shape == w.shape and np.allclose(g, w) for g, w in zip(outer, wanted, strict=True)):
            return self.derivative(consumers, steps - 1)
        if consumers[0].op in JOINS:
            return None if consumers[0].is_complex else self._part(whole, steps)
        found = self._local(whole, wanted, steps)
        if consumers[0].is_complex:
            is_real = found is not None and not present[0].inputs[present[1]].is_complex
            return ast.Attribute(found, "real", ast.Load()) if found is not None and is_real else found
        return found or self._along(consumers, wanted, steps)

    def _part(self, uses: list[tuple[Node, int]], steps: int) -> ast.expr | None:
        """What comes back from what several arrays were joined to: the part of it where the value stands."""
        consumers, (joined, operand) = [node for node, _ in uses], uses[0]
        behind = self.derivative(consumers, steps - 1)
        entries = np.ravel(joined.pulls[operand](numbered(joined))).astype(int) - 1
        if behind is None or not entries.size or entries.min() < 0:
            return None
        ends = [(int(at.min()), int(at.max()) + 1) for at in np.unravel_index(entries, joined.shape)]
        slices = [self._slice(a, b, size) for (a, b), size in zip(ends, joined.shape, strict=True)]
        if any(one is None for one in slices):
            return None
        index = [one for one in slices if one is not None]
        while len(index) > 1 and index[-1].lower is None and index[-1].upper is None:
            index.pop()
        return ast.Subscript(behind, ast.Tuple(list(index), ast.Load()) if len(index) > 1 else index[0], ast.Load())

    def _slice(self, start: int, stop: int, size: int) -> ast.Slice | None:
        """By the names that its ends have; None where one has none."""
        lower = self._named_size(start) if start > 0 else None
        upper = self._named_size(stop) if stop < size else None
        return None if (start > 0 and lower is None) or (stop < size and upper is None) else ast.Slice(lower, upper)

    def _named_size(self, size: int) -> ast.expr | None:
        """What has this value; at one step the number of the step may have it as well."""
        counters = set(loop_counters(self.place.code, self.place.hole.root))
        sizes = (one for one in self.place.around.integers if one.value == size)
        return next((one.node for one in sizes if not counters & names_in(one.node)), None)

    def _local(self, uses: list[tuple[Node, int]], wanted: list[Array], steps: int) -> ast.expr | None:
        """By the rule of the operation."""
        consumers, operand = [node for node, _ in uses], uses[0][1]
        first = consumers[0]
        if first.op in ("mean", "sum"):
            return self._spread(consumers, wanted, steps)
        if first.op == "einsum":
            return self._einsum(consumers, operand, steps)
        if first.op in SLOPES:
            return self._by_slope(consumers, steps)
        if first.op == "add" and first.is_complex:  # of a real number
            return self.derivative(consumers, steps - 1) if _shape(first) == _shape(first.inputs[operand]) else None
        if first.op not in ("multiply", "divide", "subtract", "negative", "matmul", "dot"):
            return None
        behind = self.derivative(consumers, steps - 1)
        operands = self._operands(consumers, operand)
        if behind is None or operands is None:
            return None
        values = values_at(self.place, behind)
        had = _shape(first) if values is None else values[0].shape
        which = first.operands[operand] if first.operands else operand
        found = elementary(first.op, min(which, len(operands) - 1), Cotangent(behind, had), operands, had)
        return None if found is None else found.node

    def _by_slope(self, consumers: list[Node], steps: int) -> ast.expr | None:
        """Through a function of one value: the derivative behind it, with the slope in what it gives or is given."""
        of_result, write = SLOPES[consumers[0].op]
        value = self.value([one if of_result else one.inputs[0] for one in consumers], MOST_OPERATIONS)
        behind = None if value is None else self.derivative(consumers, steps - 1)
        return None if value is None or behind is None else write(behind, self._carried(value, consumers[0]))

    def _carried(self, factor: ast.expr, node: Node) -> ast.expr:
        """A factor, as it stands in what comes back: the conjugate of a complex one, where no conjugates come back."""
        if not node.is_complex or self.run.carries_conjugates:
            return factor
        return conjugated(factor) or conjugate(self.place.code, factor)

    def _einsum(self, consumers: list[Node], operand: int, steps: int) -> ast.expr | None:
        """Through an einsum of arrays that all have names here, with the letters that it has in the forward."""
        called = None if consumers[0].place is None else parsed(consumers[0].place.text)
        match called:
            case ast.Call(args=[ast.Constant(value=str(text)), *arrays]) if len(arrays) == len(consumers[0].inputs):
                written = einsum_back(text, operand)
            case _:
                return None
        others = [k for k in range(len(arrays)) if k != operand]
        named = [(self.value([node.inputs[k] for node in consumers], 0), consumers[0].inputs[k]) for k in others]
        factors = [self._carried(one, node) for one, node in named if one is not None]
        behind = None if written is None or len(factors) < len(named) else self.derivative(consumers, steps - 1)
        return None if behind is None else call("np.einsum", ast.Constant(written), behind, *factors)

    def _operands(self, consumers: list[Node], operand: int) -> list[Operand] | None:
        """The operands of an operation; that whose derivative it is has no name here, and needs none."""
        first, own = consumers[0], ast.Constant(None)
        if first.op == "negative":
            return [Operand(own, _shape(first.inputs[0]))]
        if len(first.inputs) == 1 and first.op == "subtract":
            return [Operand(own, _shape(first.inputs[0]))] * 2  # the other one is a constant
        if len(first.inputs) != 2:
            return None
        shapes = [_shape(node) for node in first.inputs]
        if first.op == "subtract":
            return [Operand(own, shape) for shape in shapes]
        named: list[Operand] = [Operand(own, shape) for shape in shapes]
        read = (0, 1) if first.op == "divide" and operand == 1 else (1 - operand,)
        for which in read:
            written = self.value([node.inputs[which] for node in consumers], MOST_OPERATIONS)
            if written is None:
                return None
            named[which] = Operand(self._carried(written, first.inputs[which]), shapes[which])
        return named

    def _spread(self, consumers: list[Node], wanted: list[Array], steps: int) -> ast.expr | None:
        """What comes back from a sum or a mean whose axes were kept, and so fits what was summed."""
        behind = self.derivative(consumers, steps - 1)
        if behind is None or len(consumers[0].shape) != wanted[0].ndim:
            return None
        if consumers[0].op == "sum":
            return behind
        share = wanted[0].size // consumers[0].size
        sizes = [one for one in self.place.around.integers if one.value == share]
        if isinstance(behind, ast.UnaryOp):
            return ast.UnaryOp(behind.op, _mean(behind.operand, sizes[0].node if sizes else ast.Constant(share)))
        return _mean(behind, sizes[0].node if sizes else ast.Constant(share))

    def _along(self, consumers: list[Node], wanted: list[Array], steps: int) -> ast.expr | None:
        """Through an activation: the slope, where it is a form of what is at hand, times the derivative behind it."""
        nodes: list[Node] = consumers
        for _ in range(MOST_STEPS):
            outer = [self.run.derivatives[node.index] for node in nodes]
            given = [one for one in outer if one is not None and one.shape == wanted[0].shape]
            if len(given) < len(nodes):
                return None
            with np.errstate(all="ignore"):
                slopes = [w / g for w, g in zip(wanted, given, strict=True)]
            known = np.concatenate([np.isfinite(one).ravel() for one in slopes])  # 0 / 0 tells nothing
            form = self.names.slope_named(slopes) if 2 * np.count_nonzero(known) > known.size else None
            behind = None if form is None else self.derivative(nodes, steps - 1)
            if form is not None and behind is not None:
                return binary(behind, ast.Mult(), form)
            uses = [self.uses.of(node) for node in nodes]
            if any(len(one) != 1 for one in uses):
                return None
            nodes = [one[0][0] for one in uses]
        return None


def _shape(node: Node) -> tuple[int, ...]:
    """The shape that a value has in the code."""
    return node.shape[:-1] if node.is_complex else node.shape


def _mean(node: ast.expr, size: ast.expr) -> ast.expr:
    """A sum over an axis, divided by its length."""
    match node:
        case ast.Call(func=ast.Attribute(attr="sum", value=value), args=args, keywords=keywords):
            return ast.Call(ast.Attribute(value, "mean", ast.Load()), args, keywords)
    return binary(node, ast.Div(), size)


def _equal(values: list[Array], wanted: list[Array]) -> bool:
    """Whether values are those that are wanted, wherever these are numbers."""
    for value, one in zip(values, wanted, strict=True):
        if value.shape != one.shape:
            return False
        known = np.isfinite(one)
        scale = float(np.max(np.abs(one[known]), initial=0.0))
        if not np.all(np.abs(value - one)[known] <= EQUAL * scale + NOTHING):
            return False
    return True
