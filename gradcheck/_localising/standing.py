"""Which values of the backward are right: what each of them is a derivative of, if the forward's tape knows it.

A value is *full* if it is dL/d(something) through all uses of it, *partial* if it is the derivative through some uses
only, *zero*, *plain* if no derivative went into it (it was calculated from values of the forward), else *unknown*.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from itertools import combinations

import numpy as np

from gradcheck._localising.from_each_step import goes_back_from_each
from gradcheck._localising.tape import JOINS, KEEPS, MOVES, Array, Node, Statement, TapedRun, ancestors, numbered

#: largest difference of equal values, relative to the largest entry
EQUAL = 1e-7
#: writes into arrays of the forward whose uses are told apart
MOST_STORES = 256
#: arrays that others were joined to, of which what comes back to these is known by its uses
MOST_JOINED = 200
#: parts that one array is taken apart into: gates, but no time steps
MOST_PARTS = 6
#: uses of a value of which what comes back through any several is known: the stages of a step of Runge and Kutta
MOST_IN_ANY_ORDER = 5


class Standing(IntEnum):
    """What a value of the backward is."""

    FULL = 0
    PARTIAL = 1
    ZERO = 2
    PLAIN = 3
    UNKNOWN = 4


class Known:
    """Arrays that can be looked up by value; of equal ones, the first."""

    def __init__(self) -> None:
        self._arrays: dict[int, list[tuple[Array, int]]] = defaultdict(list)
        #: by size: random weights, and the arrays' weighted sums in their order, with that order
        self._keys: dict[int, tuple[Array, Array, Array]] = {}

    def add(self, array: Array, number: int, *, as_it_is: bool = False) -> None:
        """Add an array (and its transpose, unless it counts as it is alone) that is told apart by this number."""
        largest = float(np.abs(array).max()) if array.size else 0.0
        if largest == 0 or not math.isfinite(largest) or (largest == 1.0 and (array == 1.0).all()):
            return
        self._arrays[array.size].append((array.ravel(), number))
        if array.ndim == 2 and 1 not in array.shape and not as_it_is:
            self._arrays[array.size].append((array.T.ravel(), number))

    def with_all_of(self, other: Known) -> Known:
        """The arrays of both."""
        result = Known()
        for known in (self, other):
            for size, arrays in known._arrays.items():
                result._arrays[size] += arrays
        return result

    def find_in_part(self, value: Array, used: Array) -> int | None:
        """The number of the first array that is equal to it in the entries that are used."""
        found = self._arrays.get(value.size, [])
        flat, mask = np.ravel(value), np.ravel(used)
        size = float(np.max(np.abs(flat[mask]), initial=0.0))
        hits = [one for array, one in found if np.max(np.abs(array[mask] - flat[mask]), initial=0.0) <= EQUAL * size]
        return min(hits, default=None)

    def find(self, value: Array) -> int | None:
        """The number of the first array that is equal to it."""
        return min(self.find_all(value), default=None)

    def find_all(self, value: Array) -> list[int]:
        """The numbers of all arrays that are equal to it."""
        size = int(np.size(value))
        flat = np.ravel(value)
        if size not in self._arrays:
            return []
        weights, keys, order = self._sorted(size)
        key, margin = float(weights @ flat), EQUAL * float(np.abs(weights) @ np.abs(flat))
        a, b = np.searchsorted(keys, [key - margin, key + margin])
        return [
            number
            for array, number in (self._arrays[size][k] for k in order[a:b])
            if np.max(np.abs(array - flat)) <= EQUAL * np.max(np.abs(array))
        ]

    def _sorted(self, size: int) -> tuple[Array, Array, Array]:
        if size not in self._keys:
            weights = np.random.default_rng(size).standard_normal(size)
            keys = np.array([weights @ array for array, _ in self._arrays[size]])
            order = np.argsort(keys, kind="stable")
            self._keys[size] = weights, keys[order], order
        return self._keys[size]


@dataclass(frozen=True)
class Joined:
    """A value that was joined to others, in one array.

    Attributes:
        node: The array.
        operand: The how manieth of what was joined it is.
        source: The value, before it was handed on.
        parts: What comes back to it through each use of the array.
    """

    node: Node
    operand: int
    source: Node
    parts: list[Array]

    @property
    def whole(self) -> Array:
        """What comes back to it through all of them; it may have uses of its own, besides."""
        return np.asarray(np.sum(self.parts, axis=0))


class Standings:
    """What each value of a run's backward is."""

    def __init__(self, run: TapedRun) -> None:
        self.run = run
        self._cache: dict[int, tuple[Standing, int | None]] = {}
        #: the same by shape and bytes: much is only handed on
        self._by_value: dict[tuple[tuple[int, ...], bytes], tuple[Standing, int | None]] = {}

    def of(self, node: Node) -> Standing:
        """The standing of a value; of the memory after a write, which has no value, unknown."""
        return self._of(node)[0]

    def source(self, node: Node) -> Node | None:
        """The value of the forward that a full or partial one is the derivative of."""
        number = self._of(node)[1]
        return None if number is None else self.node_of(number)

    def node_of(self, number: int) -> Node:
        """The value of the forward that a known derivative is of, by its number: a part of one comes after all."""
        count = len(self.run.nodes)
        return self.run.nodes[number] if number < count else self.parts[number - count][0]

    def _of(self, node: Node) -> tuple[Standing, int | None]:
        found = self._cache.get(node.index)
        if found is None:
            found = self._cache[node.index] = self._judged(node)
        return found

    def _judged(self, node: Node) -> tuple[Standing, int | None]:
        value = node.value
        if value is None:
            return Standing.UNKNOWN, None
        value = np.asarray(value, np.float64)
        if not np.any(value):
            return Standing.ZERO, None
        if not self.carries[node.index]:
            return Standing.PLAIN, None
        return self._matched(value)

    def _matched(self, value: Array, used: Array | None = None) -> tuple[Standing, int | None]:
        if used is not None:
            return self._looked_up(value, used)
        key = value.shape, value.tobytes()
        if key not in self._by_value:
            self._by_value[key] = self._looked_up(value)
        return self._by_value[key]

    def _looked_up(self, value: Array, used: Array | None = None) -> tuple[Standing, int | None]:
        for known, standing in ((self.full, Standing.FULL), (self.partial, Standing.PARTIAL)):
            number = known.find(value) if used is None else known.find_in_part(value, used)
            if number is not None:
                return standing, number
        return Standing.UNKNOWN, None

    def match(self, value: Array, used: Array | None = None) -> tuple[Standing, Node | None]:
        """The standing that a value would have, and the value of the forward it is the derivative of.

        Entries that are not used (a mask) can be anything.
        """
        standing, number = self._matched(value, used) if np.any(value) else (Standing.ZERO, None)
        return standing, None if number is None else self.node_of(number)

    # -- what is known ---------------------------------------------------------------------------------------------

    @cached_property
    def full_derivatives(self) -> dict[int, Array]:
        """dL/d(value) by the forward's nodes; of what was only handed on, that of its origin, through all uses."""
        result: dict[int, Array] = {}
        for node in self.run.nodes:
            own = self.run.derivative(node)
            if own is None or node.index in self.run.twins:
                continue
            found = np.array(own, np.float64)
            if node.op in MOVES:
                self._from_origin(node, found, result)
            result[node.index] = found
        return result

    def _from_origin(self, node: Node, found: Array, known: dict[int, Array]) -> None:
        numbers = numbered(node)
        flat = found.reshape(-1)
        for source, pull in zip(node.inputs, node.pulls, strict=True):
            if source.index not in known:
                continue
            positions = np.asarray(pull(numbers)).reshape(-1)
            at = np.flatnonzero(positions)
            entries = positions[at].astype(int) - 1
            once = len(set(entries.tolist())) == len(entries) and np.all(positions[at] == entries + 1)
            if once and np.all(entries < node.size):
                flat[entries] = known[source.index].reshape(-1)[at]

    def _turns_sign(self, index: int) -> bool:
        """Whether its derivative is that of another value but for the sign, so that a wrong sign would look right."""
        if _is_turned(self.run.nodes[index]):
            return index not in self._named_turned
        return index in self._subtracted or index in self._turned_before_named

    @cached_property
    def _named_turned(self) -> set[int]:
        """Values -x and 1 - x that have a name where x has none, as in A = -exp(l): that is what people mean."""
        run = self.run
        named = {one.node.index for one in run.bindings if one.node is not None}
        leaves = {leaf.index for leaf in run.leaves.values()}
        return {
            node.index
            for node in run.nodes[: run.boundary]
            if _is_turned(node)
            and node.index in named
            and node.inputs
            and node.inputs[0].op not in MOVES
            and node.inputs[0].index not in named | leaves
        }

    @cached_property
    def _turned_before_named(self) -> set[int]:
        return {self.run.nodes[index].inputs[0].index for index in self._named_turned}

    @cached_property
    def _subtracted(self) -> set[int]:
        """Values that are only subtracted from others, except for parameters."""
        run, uses, result = self.run, defaultdict(list), set[int]()
        for consumer, operand in run.contributions:
            uses[run.nodes[consumer].inputs[operand].index].append((run.nodes[consumer], operand))
        for index in sorted(uses, reverse=True):
            if run.nodes[index].label not in run.base and all(
                (one.op == "subtract" and len(one.inputs) == 2 and operand == 1)
                or (one.op in MOVES and one.index in result)
                for one, operand in uses[index]
            ):
                result.add(index)
        return result

    @cached_property
    def _subtracted_in_logistic(self) -> set[int]:
        """The values x of 1 / (1 + exp(x)), where x is a sum of terms each with a minus, as -a * b - c.

        The pre-activation is -x, which is no value of the forward.
        """

        def leads_to(node: Node, *ops: str) -> bool:
            """Whether the only use of a value is the first of these operations, the only one of that the second, ..."""
            uses = [self.run.nodes[number] for number, _ in self._parts_of_use.get(node.index, ())]
            return not ops or (len(uses) == 1 and uses[0].op == ops[0] and leads_to(uses[0], *ops[1:]))

        exponentials = (node for node in self.run.nodes[: self.run.boundary] if node.op == "exp")
        ends = (one for node in exponentials if leads_to(node, "add", "divide") for one in node.inputs)
        return {one.index for one in ends if one.op != "negative" and _is_negated(one)}

    @cached_property
    def full(self) -> Known:
        """The derivatives through all uses."""
        result = Known()
        for index, value in self.full_derivatives.items():
            if index in self._subtracted_in_logistic:
                result.add(-value, index)
            elif not self._turns_sign(index):
                result.add(value, index, as_it_is=index in self._given_turned)
        for index, values in enumerate(self._of_terms[0]):
            for value in values if values is not None and not self._turns_sign(index) else ():
                result.add(value, index)
        for part, value in self.parts:
            result.add(value, part.index)
        for name, leaf in self.run.leaves.items() if self.run.inner != 1.0 else ():
            if name in self.run.base and leaf.index in self.full_derivatives:  # what is returned in the end
                result.add(self.full_derivatives[leaf.index] / self.run.inner, leaf.index)
        return result

    def is_of_turned(self, node: Node) -> bool:
        """Whether it is the derivative of a value whose sign is turned where it is used, as 1 - z of z."""
        return node.value is not None and self._of_turned.find(np.asarray(node.value, np.float64)) is not None

    @cached_property
    def _of_turned(self) -> Known:
        result = Known()
        for index, value in self.full_derivatives.items():
            if self._turns_sign(index) and index not in self._subtracted_in_logistic:
                result.add(value, index)
        return result

    @cached_property
    def parts(self) -> list[tuple[Node, Array]]:
        """Parts of values whose derivatives are known, and theirs: of several gates in one array, that of each.

        The forward need not take them apart where the backward does: they are as wide as values of the backward are.
        """
        shapes = {node.shape for node in self.run.backward if node.shape}
        narrower: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
        result: list[tuple[Node, Array]] = []
        for index, value in self.full_derivatives.items():
            if self._turns_sign(index):
                continue
            if value.shape not in narrower:
                narrower[value.shape] = [shape for shape in shapes if _is_narrower(shape, value.shape)]
            for name, part in (one for shape in narrower[value.shape] for one in _parts_of_shape(value, shape)):
                node, number = self.run.nodes[index], len(self.run.nodes) + len(result)
                cut = replace(node, index=number, op="view", inputs=(node,), pulls=(), shape=part.shape, label=name)
                result.append((cut, part))
        return result

    @cached_property
    def partial(self) -> Known:
        """The derivatives through some uses."""
        result = Known()
        for value, index in self._parts():
            result.add(value, index, as_it_is=index in self._given_turned)
        return result

    @cached_property
    def _given_turned(self) -> set[int]:
        """Parameters of which the gradient is the transpose of the true one: on the way to it that counts as wrong."""
        run, result = self.run, set[int]()
        for name, true in run.true_gradients.items():
            given, leaf = run.gradients.get(name), run.leaves.get(name)
            if leaf is not None and given is not None and true.ndim == 2 and np.shape(given) == true.shape[::-1]:
                size = EQUAL * float(np.max(np.abs(true)))
                if np.max(np.abs(given - true.T)) <= size < np.max(np.abs(true - true.T)) and true.shape[0] > 1:
                    result.add(leaf.index)
        return result

    @cached_property
    def any(self) -> Known:
        """The derivatives through all uses, and through some."""
        return self.full.with_all_of(self.partial)

    @cached_property
    def uses(self) -> dict[int, list[Array]]:
        """By the index of a value of the forward: what comes back through each use of it, the first one first."""
        return {index: [part for _, part in of_one] for index, of_one in self._parts_of_use.items()}

    @cached_property
    def _parts_of_use(self) -> dict[int, list[tuple[int, Array]]]:
        """The same, each with the index of what uses it."""
        found: dict[int, list[tuple[int, Array]]] = defaultdict(list)
        for (consumer, operand), part in self.run.contributions.items():
            found[self.run.nodes[consumer].inputs[operand].index].append((consumer, part))
        return {index: sorted(of_one, key=lambda one: one[0]) for index, of_one in found.items()}

    def _parts(self) -> Iterator[tuple[Array, int]]:
        for index, parts in self.uses.items():
            if self._turns_sign(index):
                continue
            own = self.run.derivative(self.run.nodes[index])
            if own is not None:
                yield own, index
            for part in parts:
                yield part, index
            yield from ((one, index) for one in begun(parts))
        for index, parts in self._of_entries():
            yield from ((one, index) for one in begun(parts))
        for index, parts in (*self._of_joined(), *self._of_written()):
            if not self._turns_sign(index):
                yield from ((one, index) for one in (*parts, *begun(parts)))
        for index, parts in self.parts_of_terms.items():
            if not self._turns_sign(index):
                yield from ((one, index) for one in parts)

    @cached_property
    def _of_terms(self) -> tuple[list[Array | None], dict[tuple[int, int], Array]]:
        """The derivatives of each term of the loss, where the backward goes back from each by itself."""
        return self.run.of_terms if self.run.once(goes_back_from_each) else ([], {})

    @cached_property
    def parts_of_terms(self) -> dict[int, list[Array]]:
        """By the index of a value of the forward: what comes back of one term through one use of it."""
        found: dict[int, list[Array]] = defaultdict(list)
        for (consumer, operand), parts in self._of_terms[1].items():
            found[self.run.nodes[consumer].inputs[operand].index] += [one for one in parts if np.any(one)]
        return found

    def _of_entries(self) -> Iterator[tuple[int, list[Array]]]:
        """What comes back to one entry of a value through each of the reads that take it out."""
        found: dict[tuple[int, bytes], list[Array]] = defaultdict(list)
        for node in self.run.nodes[: self.run.boundary]:
            own = self.run.derivative(node) if node.size == 1 and node.op in MOVES and len(node.inputs) == 1 else None
            if own is not None and node.inputs[0].size > 1:
                taken = np.asarray(node.pulls[0](np.ones((1, *node.shape))))
                found[origin(node.inputs[0]).index, taken.tobytes()].append(own)
        for (index, _), parts in found.items():
            yield index, parts

    def _of_joined(self) -> Iterator[tuple[int, list[Array]]]:
        """What comes back to each of several values that were joined to one array, through each use of that array."""
        yield from ((one.source.index, one.parts) for one in self.joined)

    @cached_property
    def joined(self) -> list[Joined]:
        """Values that were joined to arrays that are used in several ways: of past states, as keys and as values."""
        run = self.run
        joins = [node for node in run.nodes[: run.boundary] if node.op in JOINS | KEEPS and len(node.inputs) > 1]
        result: list[Joined] = []
        for node in joins[:MOST_JOINED]:
            uses = self._parts_of_use.get(node.index, ())
            apart = [part for use, part in uses for _, part in self._through_moves(use, part)]
            for operand, source in enumerate(node.inputs if len(apart) > 1 else ()):
                parts = [run.brought_back(node, operand, part) for part in apart]
                result.append(Joined(node, operand, origin(source), [part for part in parts if np.any(part)]))
        return result

    def _of_written(self) -> Iterator[tuple[int, list[Array]]]:
        """What comes back to a value that was written into an array of the forward through each use of that array.

        Of states that are kept in one array for all steps, what the next step and what the output brings back.
        """
        run = self.run
        stores = [node for node in run.nodes[: run.boundary] if node.op == "store" and len(node.inputs) == 2]
        if len(stores) > MOST_STORES:
            return
        ways: dict[int, list[tuple[int, Array]]] = defaultdict(list)
        apart: dict[int, list[tuple[int, Array]]] = defaultdict(list)
        written = {node.index for node in stores}
        for (consumer, operand), part in run.contributions.items():
            source = run.nodes[consumer].inputs[operand].index
            if source in written and consumer not in written:
                ways[source].append((consumer, part))
                apart[source] += self._through_moves(consumer, part)
        yield from self._back_to_written(stores, ways)
        if any(len(apart[source]) > len(of_one) for source, of_one in ways.items()):
            yield from self._back_to_written(stores, apart)

    def _through_moves(self, use: int, part: Array) -> list[tuple[int, Array]]:
        """What comes back through a use of a value; where it is only handed on there, through each use of that."""
        node = self.run.nodes[use]
        if node.op not in MOVES or len(node.inputs) != 1 or node.index not in self._parts_of_use:
            return [(use, part)]
        parts = [pair for one in self._parts_of_use[use] for pair in self._through_moves(*one)]
        return [(number, self.run.brought_back(node, 0, one)) for number, one in parts]

    def _back_to_written(
        self, stores: list[Node], ways: dict[int, list[tuple[int, Array]]]
    ) -> Iterator[tuple[int, list[Array]]]:
        later: dict[int, list[tuple[int, Array]]] = {}
        for node in reversed(stores):  # what is used after it was written on comes back to what was written before
            begun_here = later.setdefault(node.index, []) + ways.get(node.index, [])
            back = ((consumer, self.run.brought_back(node, 0, part)) for consumer, part in begun_here)
            later.setdefault(node.inputs[0].index, []).extend((k, part) for k, part in back if np.any(part))
            of_value = sorted(
                ((k, self.run.brought_back(node, 1, part)) for k, part in begun_here), key=lambda one: one[0]
            )
            parts = [part for _, part in of_value if np.any(part)]
            if len(parts) > 1:
                yield origin(node.inputs[1]).index, parts

    @cached_property
    def calculated(self) -> list[tuple[Statement, Node]]:
        """What statements of the backward calculate from derivatives, and not only hand on; each with its statement."""
        return [
            (node.place.statement, node)
            for node in self.run.backward
            if node.op not in MOVES and node.place is not None and self.carries[node.index]
        ]

    def is_doubtful(self, node: Node) -> bool:
        """Whether it may be the derivative of something else than is meant: it was only handed on, or another statement
        calculates the same from the same."""
        return node.op in MOVES or node.index in self._calculated_twice

    @cached_property
    def _calculated_twice(self) -> set[int]:
        known, givers = Known(), dict[int, Statement]()
        whole = [(statement, node) for statement, node in self.calculated if self.of(node) is Standing.FULL]
        for statement, node in whole:
            known.add(np.asarray(node.value, np.float64), node.index)
            givers[node.index] = statement
        result: set[int] = set()
        for statement, node in whole:
            same = known.find_all(np.asarray(node.value, np.float64))
            others = [k for k in same if givers[k] is not statement and k not in result]
            result.update(
                k for k in others if not self._is_of(node, k) and not self._is_of(self.run.nodes[k], node.index)
            )
        return result

    def _is_of(self, node: Node, index: int) -> bool:
        """Whether a value was calculated from another one."""
        return index < node.index and index in ancestors(node)

    # -- what derivatives went into --------------------------------------------------------------------------------

    @cached_property
    def carries(self) -> list[bool]:
        """Whether a derivative went into each value of the backward."""
        run = self.run
        result = [False] * len(run.nodes)
        forward = _Values(run)
        for node in run.nodes:
            if run.is_forward(node):
                continue
            if any(result[one.index] for one in node.inputs):
                result[node.index] = True
            elif node.op == "leaf":
                result[node.index] = node.label is None and not forward.has(node) and self._is_known(node)
            else:
                result[node.index] = self._is_known(node) and (not forward.has(node) or self._is_difference(node))
        return result

    def _is_difference(self, node: Node) -> bool:
        """Whether it is a prediction less its target, taken anew: its own derivative, if it is squared."""
        return node.op == "subtract" and self._matched(np.asarray(node.value, np.float64))[0] is Standing.FULL

    def _is_known(self, node: Node) -> bool:
        return node.value is not None and self._matched(np.asarray(node.value, np.float64))[0] <= Standing.PARTIAL


def _is_turned(node: Node) -> bool:
    return node.op == "negative" or (node.op == "subtract" and node.operands == (1,))


def _is_negated(node: Node) -> bool:
    """Whether each term of a sum has a minus."""
    match node.op:
        case "negative":
            return True
        case "multiply" | "matmul" | "divide":
            return any(map(_is_negated, node.inputs))
        case "add":
            return all(map(_is_negated, node.inputs))
        case "subtract":
            return _is_negated(node.inputs[0])
    return False


def shares(parts: list[Array]) -> Iterator[tuple[list[Array], list[Array]]]:
    """These in two: those that come first, those that come last, and all but one; each with the others."""
    for k in range(1, len(parts)):
        yield parts[:k], parts[k:]
        yield parts[k:], parts[:k]
    for k in range(1, len(parts) - 1):
        yield [*parts[:k], *parts[k + 1 :]], parts[k : k + 1]


def begun(parts: list[Array]) -> Iterator[Array]:
    """Sums of several of these, and not of all: of any where they are few, else of those that come first or last."""
    if len(parts) <= MOST_IN_ANY_ORDER:
        several: Iterable[Sequence[Array]] = (
            some for size in range(2, len(parts)) for some in combinations(parts, size)
        )
    else:
        several = (some for some, _ in shares(parts) if len(some) > 1)
    yield from (np.sum(some, axis=0) for some in several)


def _is_narrower(shape: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    """Whether it is smaller along one axis, by no more than there are parts, and the same along the others."""
    differing = [(one, other) for one, other in zip(shape, whole, strict=False) if one != other]
    return (
        len(shape) == len(whole)
        and len(differing) == 1
        and differing[0][0] < differing[0][1] <= MOST_PARTS * differing[0][0]
    )


def _parts_of_shape(value: Array, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """The parts beside each other that make up an array along the axis where it is wider, and what is left; each with
    a name."""
    axis = next(axis for axis in range(value.ndim) if shape[axis] != value.shape[axis])
    width, length = shape[axis], value.shape[axis]
    for number, first in enumerate(range(0, length - width + 1, width)):
        yield f"part {number}", np.take(value, range(first, first + width), axis)
    if length % width:
        yield "rest", np.take(value, range(length - width, length), axis)


def origin(node: Node) -> Node:
    """The value that was handed on as this one."""
    while node.op in MOVES and len(node.inputs) == 1 and node.inputs[0].size == node.size:
        node = node.inputs[0]
    return node


class _Values:
    """The values of the forward."""

    def __init__(self, run: TapedRun) -> None:
        self._seen = {
            np.asarray(node.value).tobytes() for node in run.nodes if node.value is not None and run.is_forward(node)
        }

    def has(self, node: Node) -> bool:
        """Whether it is one of them."""
        return node.value is not None and np.asarray(node.value).tobytes() in self._seen
