"""Signs that speak for themselves: values that are calculated and never matter, writes into what is somebody else's,
gradients that are never written, and executions in the wrong order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from functools import cached_property

import numpy as np

from gradcheck._localising.mismatch import Mismatch
from gradcheck._localising.order import out_of_order
from gradcheck._localising.records import Sign, SignKind
from gradcheck._localising.standing import Standings
from gradcheck._localising.tape import MOVES, Binding, Node, Place, Statement, TapedRun


class Signs:
    """Looks for signs in one run.

    Args:
        mismatch: What is wrong.
        standings: What each value is.
    """

    def __init__(self, mismatch: Mismatch, standings: Standings) -> None:
        self.mismatch, self.standings = mismatch, standings
        self.run: TapedRun = mismatch.run
        one = mismatch.combinations(1, seed=0)
        #: the values that some gradient depends on
        self._moving = set(mismatch.sensitivities(one))

    def all(self, changed: Collection[str] = ()) -> list[Sign]:
        """Every sign there is; `changed` names arrays that are known to be changed though they should not be."""
        return [
            *(Sign("order of executions", one, one.text) for one in self.run.once(out_of_order)),
            *self.repeated_indices(),
            *self.overwritten(),
            *self.without_effect(),
            *self.unused_cotangents(),
            *self.never_written(),
            *self.written_into(changed),
        ]

    # -- values that do not matter ---------------------------------------------------------------------------------

    def without_effect(self) -> Iterator[Sign]:
        """Names that hold a derivative at every execution, none of which any gradient depends on."""
        for place, bindings in self._bindings.items():
            nodes = [one.node for one in bindings if one.node is not None]
            if len(nodes) < len(bindings) or any(self._matters(node) for node in nodes):
                continue
            if any((_root(node).label or "").startswith("cotangent") for node in nodes):
                continue
            if not any(self.standings.carries[node.index] and np.any(node.value) for node in nodes):
                continue
            kind: SignKind = "never read" if not any(one.reads for one in bindings) else "no effect"
            yield Sign(kind, place.statement, place.name or place.text, tuple(one.execution for one in bindings))

    def overwritten(self) -> Iterator[Sign]:
        """Names that hold a derivative at each of several executions, of which only the last is read."""
        for place, bindings in self._bindings.items():
            *first, last = bindings
            nodes = [one.node for one in first if one.node is not None]
            if not first or not last.reads or any(one.reads for one in first) or place.kind != "bind":
                continue
            matters = last.node is not None and self._matters(last.node)
            told = any(self.standings.carries[node.index] and np.any(node.value) for node in nodes)
            if len(nodes) == len(first) and matters and told:
                yield Sign("overwritten", place.statement, place.name or place.text, (last.execution,))

    @cached_property
    def _bindings(self) -> dict[Place, list[Binding]]:
        result: dict[Place, list[Binding]] = defaultdict(list)
        for binding in self.run.bindings:
            inside = binding.node is None or not self.run.is_forward(binding.node)
            if inside and binding.place.kind in ("bind", "parameter") and (binding.place.name or "_")[0] != "_":
                result[binding.place].append(binding)
        return result

    def _matters(self, node: Node) -> bool:
        """Whether some gradient depends on a value, under this name or another."""
        is_gradient = any(sink is node for sink in self.run.sinks.values())
        return is_gradient or node.index in self._moving or _root(node).index in self._moving

    def unused_cotangents(self) -> Iterator[Sign]:
        """Cotangents that were handed to the backward and that no gradient depends on."""
        for name, leaf in self.run.leaves.items():
            if not name.startswith("cotangent") or self._matters(leaf):
                continue
            bound = [one for one in self.run.bindings if one.node is not None and _root(one.node) is leaf]
            last = bound[-1] if bound else None
            reader = None if last is None else self._reader(last)
            statement = reader or (None if last is None else last.place.statement)
            shown = (last.place.name if last is not None else None) or name
            yield Sign("cotangent unused", statement, shown)

    def _reader(self, binding: Binding) -> Statement | None:
        """The first statement after a name was bound that reads it."""
        executed = {node.place.statement.line for node in self.run.nodes if node.place is not None}
        for place in self.run.places:
            same = place.function == binding.place.function and place.file == binding.place.file
            reads = place.name == binding.place.name and place.kind in ("read", "argument")
            if same and reads and place.line >= binding.place.line and place.statement is not binding.place.statement:
                return place.statement if place.statement.line in executed else None
        return None

    def never_written(self) -> Iterator[Sign]:
        """Wrong gradients that are as they were when their array was made."""
        for name in self.mismatch.wrong:
            sink = self.run.sinks[name]
            assert sink is not None
            root = _root(sink)
            if root.inputs or np.any(self.run.gradients[name]) or root.op == "store":
                continue
            place = root.place or next((one.place for one in self.run.bindings if one.node is root), None)
            yield Sign("never written", None if place is None else place.statement, name)

    # -- writes ----------------------------------------------------------------------------------------------------

    def written_into(self, changed: Collection[str]) -> Iterator[Sign]:
        """Writes by the backward into arrays that are known to be changed, and gradients added up in a parameter."""
        found: dict[tuple[int, str], Sign] = {}
        for sink in self.run.sinks.values():
            for place, execution, label in () if sink is None else self._added_up_in(sink):
                found.setdefault((place.number, label), Sign("writes into", place.statement, label, (execution,)))
        for write in self.run.writes:
            if write.label in changed and write.place is not None and write.node.index >= self.run.boundary:
                key = (write.place.number, write.label or "")
                found.setdefault(key, Sign("writes into", write.place.statement, key[1], (write.execution,)))
        yield from found.values()

    def _added_up_in(self, node: Node) -> list[tuple[Place, int, str]]:
        """The writes by which a gradient came about in the memory of a parameter; none if it has its own."""
        writes: list[tuple[Place, int]] = []
        while node.inputs and not self.run.is_forward(node):
            augments = node.place is not None and node.place.kind == "augment"
            if node.place is not None and (augments or node.op in ("store", "add.at")):
                writes.append((node.place, node.execution))
            elif node.op not in MOVES:
                return []
            node = node.inputs[0]
        label = node.label
        return [(*write, label) for write in writes[-1:]] if label in self.run.base and label is not None else []

    def repeated_indices(self) -> Iterator[Sign]:
        """Additions through an index that names entries more than once: all but the last are lost."""
        seen: set[int] = set()
        for write in self.run.writes:
            place = write.place
            if not write.repeats or place is None or self.run.is_forward(write.node) or place.number in seen:
                continue
            if place.statement.kind == "AugAssign" and write.node.index in self._moving:
                seen.add(place.number)
                yield Sign("repeated index", place.statement, place.text, (write.execution,))


def _root(node: Node) -> Node:
    """What a value was handed on from."""
    while node.op in MOVES and len(node.inputs) == 1:
        node = node.inputs[0]
    return node
