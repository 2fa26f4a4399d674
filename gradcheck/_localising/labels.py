"""What a derivative is called in the user's names, and through which use of a value a part of it comes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcheck._localising.standing import EQUAL, Standing, Standings
from gradcheck._localising.tape import MOVES, Array, Node, TapedRun

#: characters of an expression of the forward that is quoted
LONGEST = 60
#: what a backward may carry for the derivative with respect to a complex value
CONJUGATE = "dL/dRe - i dL/dIm"
#: in the place of one expression
SEVERAL = "several uses"


@dataclass(frozen=True)
class Known:
    """One derivative: with respect to what, and through which use if not through all of them."""

    label: str
    #: the expression that uses it; empty for all uses
    through: str = ""
    #: whether it is that of one step of several that stand in one array
    is_step: bool = False
    #: of a complex value, where it is not dL/dRe + i dL/dIm: what it is
    form: str = ""

    @property
    def is_part(self) -> bool:
        """Whether it is less than the whole derivative."""
        return bool(self.through) or self.is_step

    def __str__(self) -> str:
        """As it stands beside a line."""
        return f"{self._whose}, as {self.form}" if self.form else self._whose

    @property
    def _whose(self) -> str:
        if self.is_step:
            return f"one step of dL/d({self.label})"
        if self.through == SEVERAL:
            return f"a part of dL/d({self.label}): several terms"
        if self.through == self.label:
            return f"a part of dL/d({self.label}), through later uses"
        return (
            f"a part of dL/d({self.label}): the term through {self.through}" if self.through else f"dL/d({self.label})"
        )


def form_of(run: TapedRun, nodes: list[Node]) -> str:
    """What of the derivatives of complex values a backward carries, where it is not dL/dRe + i dL/dIm."""
    return CONJUGATE if any(node.is_complex for node in nodes) and run.carries_conjugates else ""


class Labels:
    """Looks arrays up among the derivatives of a run's forward."""

    def __init__(self, run: TapedRun, standings: Standings) -> None:
        self.run, self.standings = run, standings

    def full(self, value: Array) -> Known | None:
        """The derivative through all uses that a value is; the best name for it."""
        found = [self.run.nodes[index] for index in self._full.find(value)]
        return Known(self.name_of(found), form=form_of(self.run, found)) if found else None

    def part(self, value: Array) -> Known | None:
        """The derivative through one use that a value is."""
        found = self._parts.find(value)
        if not found:
            return None
        uses = [self._uses[k] for k in found]
        consumer, operand = min(uses, key=lambda one: (one[0].op in MOVES, one[0].index))
        source = consumer.inputs[operand]
        return Known(self.name_of([source]), self.name_of([consumer]), form=form_of(self.run, [source]))

    def of(self, value: Array) -> Known | None:
        """Either."""
        return self.full(value) or self.part(value) or self.step(value) or self._several(value)

    def _several(self, value: Array) -> Known | None:
        """The derivative through some uses, the first ones or the last ones."""
        standing, source = self.standings.match(np.asarray(value, np.float64))
        if standing is not Standing.PARTIAL or source is None:
            return None
        return Known(self.name_of([source]), SEVERAL, form=form_of(self.run, [source]))

    def step(self, value: Array) -> Known | None:
        """The derivative of one step of a value that holds several."""
        found = [self.run.nodes[index] for index in self._steps.find(value)]
        return Known(self.name_of(found), is_step=True, form=form_of(self.run, found)) if found else None

    def name_of(self, nodes: list[Node]) -> str:
        """What values with one derivative are called: a parameter, a variable, or the longest expression."""
        nodes = [*nodes, *(one for node in nodes for one in self._handed_on(node))]
        labels = [node.label for node in nodes if node.label in self.run.base]
        if labels:
            return str(labels[0])
        for node in nodes:
            if node.index in self._bound:
                return self._bound[node.index]
        texts = [node.place.text for node in nodes if node.place is not None and node.op not in MOVES]
        texts = texts or [node.place.text for node in nodes if node.place is not None]
        text = max(texts, key=len, default=str(nodes[0].label))
        text = " ".join(text.split())
        return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."

    def _handed_on(self, node: Node) -> Iterator[Node]:
        """The value that was handed on as this one."""
        while node.op in MOVES and len(node.inputs) == 1 and node.inputs[0].size == node.size:
            node = node.inputs[0]
            yield node

    @cached_property
    def _bound(self) -> dict[int, str]:
        """The names that values of the forward were bound to, by the node."""
        found: dict[int, str] = {}
        for binding in self.run.bindings:
            node, name = binding.node, binding.place.name
            if node is None or name is None or node.op == "leaf" or not self.run.is_forward(node):
                continue
            for one in (node, *self._handed_on(node)):
                if one.op != "leaf" and binding.place.kind != "parameter":
                    found.setdefault(one.index, name)
        return found

    @cached_property
    def _full(self) -> _Table:
        table = _Table()
        for index, value in self.standings.full_derivatives.items():
            table.add(value, index)
        return table

    @cached_property
    def _steps(self) -> _Table:
        table = _Table()
        for index, value in self.standings.full_derivatives.items():
            for row in value if value.ndim > 2 + self.run.nodes[index].is_complex else ():
                table.add(row, index)
        return table

    @cached_property
    def _uses(self) -> list[tuple[Node, int]]:
        return [(self.run.nodes[consumer], operand) for consumer, operand in self.run.contributions]

    @cached_property
    def _parts(self) -> _Table:
        table = _Table()
        for k, (consumer, operand) in enumerate(self._uses):
            table.add(np.asarray(self.run.contributions[consumer.index, operand]), k)
        return table


class _Table:
    """Arrays by value, told apart by numbers."""

    def __init__(self) -> None:
        self._by_size: dict[int, list[tuple[Array, int]]] = defaultdict(list)

    def add(self, array: Array, number: int) -> None:
        """Add an array, and its transpose."""
        if not np.any(array) or not np.all(np.isfinite(array)):
            return
        self._by_size[array.size].append((np.ravel(array), number))
        if array.ndim == 2 and 1 not in array.shape:
            self._by_size[array.size].append((array.T.ravel(), number))

    def find(self, value: Array) -> list[int]:
        """The numbers of the arrays that are equal to it."""
        flat = np.ravel(np.asarray(value, np.float64))
        scale = float(np.max(np.abs(flat), initial=0.0))
        if scale == 0 or not np.isfinite(scale):
            return []
        stacked = self._stacked(flat.size)
        if stacked is None:
            return []
        arrays, numbers = stacked
        hits = np.max(np.abs(arrays - flat), axis=1) <= EQUAL * scale
        return list(dict.fromkeys(int(numbers[k]) for k in np.flatnonzero(hits)))

    def _stacked(self, size: int) -> tuple[Array, list[int]] | None:
        cache: dict[int, tuple[Array, list[int]]] = self.__dict__.setdefault("_cache", {})
        if size not in cache and self._by_size.get(size):
            arrays, numbers = zip(*self._by_size[size], strict=True)
            cache[size] = np.array(arrays), list(numbers)
        return cache.get(size)
