"""What a value of the forward is used for, also where it is kept in an array, or handed on, in between."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from gradcheck._mending.series import Kind, kind_of
from gradcheck._tape import MOVES, Node, TapedRun
from gradcheck._tape.sweep import entries_of, numbered

#: writes into one array that are followed
MOST_WRITES = 400
#: the operation that uses a value, and as which operand
Use = tuple[Node, int]
#: which entries of an array, counted from one
Entries = np.ndarray[Any, np.dtype[Any]]


class AllUses:
    """Of each value, the operations that calculate with it.

    Args:
        run: The loss and the gradients, on the tape.
    """

    def __init__(self, run: TapedRun) -> None:
        self._direct: dict[int, list[Use]] = defaultdict(list)
        for node in run.nodes:
            if run.derivatives[node.index] is not None and node.index not in run.twins:
                for operand, source in enumerate(node.inputs):
                    self._direct[source.index].append((node, operand))
        self._known: dict[tuple[int, Kind | None], list[Use]] = {}

    def of(self, node: Node, without: Kind | None = None) -> list[Use]:
        """All of them, but for what is behind uses of one kind; reads of more than the value count as they are."""
        asked = node.index, without
        if asked not in self._known:
            direct = [one for one in self._direct[node.index] if kind_of(one[0]) != without]
            self._known[asked] = [use for one in direct for use in self._followed(node, one)]
        return self._known[asked]

    def of_entries(self, node: Node) -> list[Use]:
        """All of them; of a view also what other views of the same entries are used for."""
        if node.op != "view" or len(node.inputs) != 1:
            return self.of(node)
        return self._reads(node.shape, node.inputs[0], entries_of(node) + 1)

    def _followed(self, node: Node, use: Use) -> list[Use]:
        consumer, operand = use
        if consumer.op == "store" and operand == 1 and _has_each_once(consumer, operand):
            entries = np.ravel(consumer.pulls[1](numbered(consumer))).astype(int)
            return self._reads(node.shape, consumer, entries)
        if consumer.op in MOVES and consumer.op != "store" and _is_same(consumer, operand, node):
            return self.of(consumer)
        return [use]

    def _reads(self, shape: tuple[int, ...], array: Node, entries: Entries) -> list[Use]:
        """What reads these entries of an array as an array of a shape, now and after it was written into elsewhere.

        Entries are counted from one, in the order in which they are wanted.
        """
        result: list[Use] = []
        states = [array]
        for state in states:
            for consumer, operand in self._direct[state.index]:
                if consumer.op == "store" and operand == 0:
                    states += [consumer] if len(states) < MOST_WRITES else []
                elif consumer.op not in MOVES:
                    result.append((consumer, operand))
                else:
                    result += self._taken(shape, consumer, operand, entries)
        return result

    def _taken(self, shape: tuple[int, ...], view: Node, operand: int, entries: Entries) -> list[Use]:
        """The same of a view of that array."""
        if not _has_each_once(view, operand):
            return [(view, operand)]
        taken = np.ravel(view.pulls[operand](numbered(view))).astype(int)[entries - 1]
        if not np.any(taken):
            return []
        if view.shape == shape and np.array_equal(taken, np.arange(1, len(taken) + 1)):
            return self.of(view)
        return self._reads(shape, view, taken) if np.all(taken) else [(view, operand)]


def _has_each_once(consumer: Node, operand: int) -> bool:
    """Whether no entry of an operand is in several places of what is made of it: it has one place then, or none."""
    return bool(np.all(consumer.pulls[operand](np.ones((1, *consumer.shape))) <= 1))


def _is_same(consumer: Node, operand: int, node: Node) -> bool:
    """Whether it hands a value on entry by entry, in the same shape."""
    if consumer.shape != node.shape:
        return False
    return np.array_equal(np.ravel(consumer.pulls[operand](numbered(consumer))), np.ravel(numbered(consumer)))
