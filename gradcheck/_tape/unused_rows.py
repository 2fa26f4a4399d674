"""Arrays that are far longer than what is used of them.

Code may keep arrays for the longest sequence that there can be, and work in their first rows. Behind the last row that
is read, or given a value that the tape knows, all derivatives are zero, and each write would carry them on: with two
hundred combinations of gradients and 5000 steps that is more memory than there is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gradcheck._tape.buffers import Buffer
from gradcheck._tape.nodes import Node
from gradcheck._tape.tape import ALIASES, Tape

#: shorter buffers stay as they are
LONG = 4096
#: how many times as long as what is used of it a buffer is at least
_TIMES = 4


def leave_out_unused(tape: Tape, results: Iterable[Node | None]) -> None:
    """Let such arrays end behind what is used, on a tape that is complete, as if they had been made that long.

    Args:
        tape: The tape, before it is closed.
        results: What else is read than what nodes read: the loss and the gradients.
    """
    roots = {
        buffer.root.index: buffer for buffer in tape.buffers.values() if _is_long(buffer) and buffer.root is not None
    }
    if not roots:
        return
    of_memory = _of_memory(tape, roots)
    ends, others = _read(tape, of_memory)
    others |= {id(of_memory[one.index]) for one in results if one is not None and one.index in of_memory}
    for buffer in roots.values():
        rows = _rows_used(buffer, ends.get(id(buffer), 0))
        if rows is not None and id(buffer) not in others:
            _end_at(buffer, rows, [tape.nodes[k] for k, one in of_memory.items() if one is buffer])


def _is_long(buffer: Buffer) -> bool:
    root = buffer.root
    return (
        buffer.extent >= LONG
        and buffer.is_plain
        and root is not None
        and not root.inputs
        and root.label is None
        and len(root.shape) > 0
    )


def _of_memory(tape: Tape, roots: dict[int, Buffer]) -> dict[int, Buffer]:
    """By the index of each node that is all of such a buffer's memory, under whatever name: the buffer."""
    result = dict(roots)
    long = {id(buffer) for buffer in roots.values()}
    result |= {node.index: buffer for node, buffer, _ in tape.stores if id(buffer) in long}
    for node in tape.nodes:
        buffer = result.get(node.inputs[0].index) if len(node.inputs) == 1 else None
        if buffer is not None and buffer.root is not None and node.shape == buffer.root.shape:
            is_all = node.op in ALIASES or (node.op == "view" and node.index not in tape.ends)
            if is_all:
                result[node.index] = buffer
    return result


def _read(tape: Tape, of_memory: dict[int, Buffer]) -> tuple[dict[int, int], set[int]]:
    """By the id of a buffer where the last use of its entries ends; and the ids of those that are used otherwise."""
    ends: dict[int, int] = {}
    others: set[int] = set()
    written = {node.index for node, _, _ in tape.stores}
    for node, buffer in _readers(tape, of_memory):
        if node.index in tape.ends:
            ends[id(buffer)] = max(ends.get(id(buffer), 0), tape.ends[node.index])
        elif node.index not in of_memory:
            others.add(id(buffer))
    for index in written & set(of_memory):
        buffer = of_memory[index]
        ends[id(buffer)] = max(ends.get(id(buffer), 0), tape.ends[index])
    return ends, others


def _readers(tape: Tape, of_memory: dict[int, Buffer]) -> Iterator[tuple[Node, Buffer]]:
    for node in tape.nodes:
        for source in node.inputs:
            if source.index in of_memory:
                yield node, of_memory[source.index]


def _rows_used(buffer: Buffer, end: int) -> int | None:
    """How many rows are to be kept; None if it is not worth it."""
    assert buffer.root is not None
    rows = buffer.root.shape[0]
    used = max(1, -(-end * rows // buffer.extent))
    return used if used * _TIMES <= rows else None


def _end_at(buffer: Buffer, rows: int, nodes: list[Node]) -> None:
    assert buffer.root is not None
    whole = buffer.root.shape
    buffer.kept.size = buffer.extent // whole[0] * rows
    for cell in {id(node.cell): node.cell for node in nodes if node.cell is not None}.values():
        cell.value = np.array(cell.value[:rows])
    for node in nodes:
        node.shape = (rows, *whole[1:])
