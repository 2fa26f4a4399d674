"""Arrays that are far longer than what is used of them.

Code may keep arrays for the longest sequence that there can be, and work in their first rows. Behind the last row that
is read, or given a value that the tape knows, all derivatives are zero, and each write would carry them on: with two
hundred combinations of gradients and 5000 steps that is more memory than there is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np

from gradcheck._tape.buffers import Buffer
from gradcheck._tape.nodes import Node
from gradcheck._tape.tape import ALIASES, Tape

#: what takes a part of memory
_VIEWS = frozenset({"view", "part"})
#: how many times as long as what is used of it a buffer is at least
_TIMES = 4


def leave_out_unused(tape: Tape, results: Iterable[Node | None]) -> None:
    """Let such arrays end behind what is used, on a tape that is complete, as if they had been made that long.

    Args:
        tape: The tape, before it is closed.
        results: What else is read than what nodes read: the loss and the gradients.
    """
    roots = {root.index: buffer for buffer in tape.buffers.values() if (root := _root_of_long(buffer)) is not None}
    if not roots:
        return
    of_memory = _of_memory(tape, roots)
    ends, others = _read(tape, of_memory)
    others |= {id(of_memory[one.index]) for one in results if one is not None and one.index in of_memory}
    for index, buffer in roots.items():
        rows = _rows_used(tape.nodes[index], buffer, ends[id(buffer)])
        if rows is not None and id(buffer) not in others:
            _end_at(buffer, rows, [tape.nodes[k] for k, one in of_memory.items() if one is buffer])


def _root_of_long(buffer: Buffer) -> Node | None:
    """What a long buffer of an array without a name held at first, if it came from outside and has rows."""
    root = buffer.root
    if not (buffer.is_long and buffer.is_plain) or root is None or root.inputs or root.label is not None:
        return None
    return root if root.shape else None


def _of_memory(tape: Tape, roots: dict[int, Buffer]) -> dict[int, Buffer]:
    """By the index of each node that is all of such a buffer's memory, under whatever name: the buffer."""
    shapes = {id(buffer): tape.nodes[index].shape for index, buffer in roots.items()}
    result = roots | {node.index: buffer for node, buffer, _ in tape.stores if id(buffer) in shapes}
    for node in tape.nodes:
        buffer = result.get(node.inputs[0].index) if len(node.inputs) == 1 else None
        is_all = node.op in ALIASES or (node.op == "view" and node.index not in tape.ends)
        if buffer is not None and is_all and node.shape == shapes[id(buffer)]:
            result[node.index] = buffer
    return result


def _read(tape: Tape, of_memory: dict[int, Buffer]) -> tuple[dict[int, int], set[int]]:
    """By the id of a buffer where the last use of its entries ends; and the ids of those that are used otherwise."""
    ends: dict[int, int] = defaultdict(int)
    others: set[int] = set()
    for node in tape.nodes:
        own, end = of_memory.get(node.index), tape.ends.get(node.index)
        if own is not None and end is not None:
            ends[id(own)] = max(ends[id(own)], end)
        for buffer in (of_memory[one.index] for one in node.inputs if one.index in of_memory):
            if buffer is own:
                continue  # the same memory, under another name or after a write
            if end is None or node.op not in _VIEWS:
                others.add(id(buffer))
            else:
                ends[id(buffer)] = max(ends[id(buffer)], end)
    return ends, others


def _rows_used(root: Node, buffer: Buffer, end: int) -> int | None:
    """How many rows are to be kept; None if it is not worth it."""
    rows = root.shape[0]
    used = max(1, -(-end * rows // buffer.extent))
    return used if used * _TIMES <= rows else None


def _end_at(buffer: Buffer, rows: int, nodes: list[Node]) -> None:
    whole = nodes[0].shape
    buffer.kept.size = buffer.extent // whole[0] * rows
    for cell in {id(node.cell): node.cell for node in nodes if node.cell is not None}.values():
        cell.value = np.array(cell.value[:rows])
    for node in nodes:
        node.shape = (rows, *whole[1:])
