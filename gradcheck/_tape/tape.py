"""The tape itself: the nodes, the versions of memory, and which node an object stands for now."""

from __future__ import annotations

import math
import sys
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import owner_of
from gradcheck._common.clock import look
from gradcheck._common.errors import TargetError
from gradcheck._tape.buffers import Buffer, Geometry, Kept, Region, end_of, scattered
from gradcheck._tape.nodes import Array, Call, Cell, Node, Pull, is_value
from gradcheck._tape.pairs import is_complex, on_pairs, shape_on_tape
from gradcheck._tape.places import Place

#: a place and the how manieth execution of it; no place for what is not in the user's source
At: TypeAlias = tuple[Place | None, int]
#: an object, its node, and the version of the memory at which it was that
Entry: TypeAlias = tuple[Any, Node, Buffer | None, Node | None]

#: nodes between two looks at the clock
NODES_A_LOOK = 256
#: aliases made for a name or an argument, and all others
_OF_NAMES = frozenset({"pass", "argument", "value"})
ALIASES = _OF_NAMES | {"element", "return", "yield", "call"}
NOWHERE: At = (None, 0)


class TapeTooLargeError(TargetError):
    """The values to be kept take more memory than allowed, or are too many."""


class Tape:
    """Grows while the user's code runs."""

    def __init__(self, budget: int, most: float = math.inf) -> None:
        self.budget, self.bytes = budget, 0
        #: how many nodes it may have
        self.most = most
        self.nodes: list[Node] = []
        self.buffers: dict[int, Buffer] = {}
        #: by id; each entry keeps its object alive, so no id is used again
        self.seen: dict[int, Entry] = {}
        self.cells: list[Cell] = []
        #: cells of memory that is not known yet, by the id of its owner
        self.pending: dict[int, list[Cell]] = {}
        #: writes, with the buffer written
        self.stores: list[tuple[Node, Buffer, At]] = []
        #: the indices of writes that name an entry more than once: the last one stays
        self.repeating: set[int] = set()
        #: of long buffers, by the index of a write or of a view of a part: the entry behind the last that is used
        self.ends: dict[int, int] = {}
        #: by the index of a write into all of an array: what it held before
        self.before: dict[int, Node] = {}
        #: the call of the user's code that runs now
        self.call: Call | None = None
        self.calls: list[Call] = []
        #: whether the run is over: what it has made and is used later is of no interest
        self.is_closed = False

    # -- objects and their nodes -----------------------------------------------------------------------------------

    def node(self, x: Any) -> Node | None:
        """The node of an object as it is now; None for what is no value, and for constants that are no arrays."""
        entry = self.seen.get(id(x))
        if entry is not None and entry[0] is x and (entry[2] is None or entry[2].state is entry[3]):
            return entry[1]
        if not isinstance(x, np.ndarray) or not is_value(x):
            return None
        buffer = self.buffers.get(id(owner_of(x)))
        return self.leaf(x, None) if buffer is None else self.view(x, buffer, NOWHERE)

    def known(self, x: Any) -> bool:
        """Whether it is on the tape already: itself, or the memory behind it."""
        entry = self.seen.get(id(x))
        if entry is not None and entry[0] is x:
            return True
        return isinstance(x, np.ndarray) and id(owner_of(x)) in self.buffers

    def track(self, x: Any, node: Node) -> None:
        """From now on the object stands for the node."""
        buffer = self._buffer_of(x, node) if isinstance(x, np.ndarray) else None
        self.seen[id(x)] = (x, node, buffer, None if buffer is None else buffer.state)

    def _buffer_of(self, x: Array, node: Node) -> Buffer | None:
        """The buffer of a new value's memory."""
        owner = owner_of(x)
        buffer = self.buffers.get(id(owner))
        if buffer is None:
            buffer = self.buffers[id(owner)] = Buffer(owner)
            self._spend(owner.nbytes)
            if x is owner and buffer.is_plain:
                buffer.state = buffer.root = node
            elif (geometry := buffer.geometry(x)) is not None:
                buffer.state = self.new("pack", (node,), (geometry.gathered,), (buffer.extent,), None, NOWHERE)
                buffer.state.is_complex = node.is_complex
                buffer.root = buffer.state
            buffer.held += self.pending.pop(id(owner), [])
        return buffer

    def leaf(self, x: Array, label: str | None) -> Node:
        """An array that comes from outside: a parameter, an input, a constant."""
        owner = owner_of(x)
        buffer = self.buffers.get(id(owner))
        if buffer is None and x is not owner and is_value(owner):
            is_whole = Buffer(owner).is_whole(x)
            if not is_whole or (label is None and owner.flags.c_contiguous):
                self.leaf(owner, None)
                buffer = self.buffers[id(owner)]
                seen = self.view(x, buffer, NOWHERE) if is_whole else None
                if seen is not None:
                    return seen
        node = self.new("leaf", (), (), shape_on_tape(x), self.hold(x), NOWHERE)
        node.label, node.is_complex = label, is_complex(x)
        if buffer is None:
            self.track(x, node)
            buffer = self.buffers[id(owner)]
            buffer.label = label
            return node
        geometry = buffer.geometry(x)
        if geometry is not None:  # one of several arrays in the same memory
            self.stored(buffer, geometry, [(node, lambda g: g)], NOWHERE)
        self.seen[id(x)] = (x, node, buffer, buffer.state)
        return node

    def view(self, x: Array, buffer: Buffer, at: At, parent: Any = None) -> Node | None:
        """The node of an array that looks at known memory: that of the array it was made from, if that is known."""
        state, geometry = buffer.state, buffer.geometry(x)
        if state is None or geometry is None:
            return None
        is_whole = buffer.is_whole(x)
        source, pull = state, _from_memory(geometry, buffer.kept, is_whole)
        entry = self.seen.get(id(parent))
        if entry is not None and entry[0] is parent and entry[3] is state and entry[1] is not state:
            around = buffer.geometry(parent)
            if around is not None:
                source = entry[1]
                pull = pull if buffer.is_whole(parent) else _from_parent(geometry, around)
        # the real part of a complex array looks at its memory as well, and is another value
        op = "view" if is_complex(x) is source.is_complex else "part"
        node = self.new(op, (source,), (pull,), shape_on_tape(x), self.hold(x), at)
        node.is_complex = is_complex(x)
        if buffer.is_long and not is_whole:
            self.ends[node.index] = geometry.span[1]
        self.seen[id(x)] = (x, node, buffer, state)
        return node

    def alias(self, x: Any, at: At, op: str = "pass") -> Node | None:
        """A new node for an object that is on the tape, so that this use of it is told apart."""
        node = self.node(x)
        if node is None:
            return None
        entry = self.seen[id(x)]
        new = self.new(op, (node,), (lambda g: g,), node.shape, node.cell, at)
        new.is_complex = node.is_complex
        self.seen[id(x)] = (x, new, entry[2], entry[3])
        return new

    def unnamed(self, x: Any) -> None:
        """An object is read from where nothing is known of it: what names it was given meanwhile does not count."""
        entry = self.seen.get(id(x))
        if entry is None or entry[0] is not x:
            return
        node = entry[1]
        while node.op in _OF_NAMES:
            node = node.inputs[0]
        root = node
        while root.op in ALIASES:
            root = root.inputs[0]
        # what comes from outside is read from there again and again, whatever containers it was put into
        self.seen[id(x)] = (x, root if root.op == "leaf" else node, entry[2], entry[3])

    # -- new nodes -------------------------------------------------------------------------------------------------

    def new(
        self,
        op: str,
        inputs: tuple[Node, ...],
        pulls: tuple[Pull, ...],
        shape: tuple[int, ...],
        cell: Cell | None,
        at: At,
        operands: tuple[int, ...] = (),
    ) -> Node:
        """One more node."""
        if not len(self.nodes) % NODES_A_LOOK:
            look()
            if len(self.nodes) > self.most:
                raise TapeTooLargeError(f"one run has more than {self.most} values: check the code at smaller sizes")
        place, execution = at
        node = Node(len(self.nodes), op, inputs, pulls, shape, cell, place, execution, self.call, operands)
        self.nodes.append(node)
        return node

    def record(self, op: str, at: At, out: Any, pulls: list[tuple[Any, Pull]]) -> Node:
        """A new value, with the ways back to its operands, as rules give them."""
        found = [(self.node(x), on_pairs(pull, out, x), k) for k, (x, pull) in enumerate(pulls)]
        kept = [(node, pull, k) for node, pull, k in found if node is not None]
        cell = self.hold(out)
        node = self.new(op, tuple(n for n, _, _ in kept), tuple(p for _, p, _ in kept), shape_on_tape(out), cell, at,
                        tuple(k for _, _, k in kept))  # fmt: skip
        node.is_complex = is_complex(out)
        self.track(out, node)
        return node

    def hold(self, x: Any) -> Cell:
        """A cell with what the object is now."""
        if not isinstance(x, np.ndarray):
            return Cell(x)
        if not is_value(x):
            self._spend(x.nbytes)
            return Cell(x.copy())  # nobody watches over what is written into it
        entry = self.seen.get(id(x))
        if entry is not None and entry[0] is x and entry[2] is not None and entry[2].state is entry[3]:
            known = entry[1].cell
            if known is not None:
                return known
        owner = owner_of(x)
        buffer = self.buffers.get(id(owner))
        held = self.pending.setdefault(id(owner), []) if buffer is None else buffer.held
        if buffer is None:
            for cell in held:
                if cell.value is x:
                    return cell
        cell = Cell(x)
        self.cells.append(cell)
        held.append(cell)
        return cell

    # -- writes ----------------------------------------------------------------------------------------------------

    def about_to_write(self, x: Array, region: Region | None = None) -> Buffer | None:
        """The buffer behind an array that is about to be written, with copies made for those who need them."""
        if id(owner_of(x)) not in self.buffers:
            self.node(x)
        buffer = self.buffers.get(id(owner_of(x)))
        if buffer is not None:
            region = buffer.geometry(x) if region is None else region
            if isinstance(region, Geometry):
                low, high = region.span
            elif region is None or not region.size:
                low, high = 0, buffer.extent
            else:
                low, high = int(region.min()), int(region.max()) + 1
            self._spend(buffer.protect(low, high))
        return buffer

    def stored(
        self, buffer: Buffer, region: Region, values: list[tuple[Node, Pull]], at: At, op: str = "store"
    ) -> Node:
        """The memory after a write into a part of it; each pull goes from the part to a value written."""
        old, extent, kept = buffer.state, buffer.extent, buffer.kept
        shape = buffer.root.shape if buffer.root is not None else (extent,)

        def rest(g: Array) -> Array:
            g = np.array(g.reshape(len(g), kept.size), np.float64, order="C")  # the view counts on rows one by one
            if isinstance(region, Geometry) and kept.size == extent:
                region.view(g)[...] = 0
            else:
                written = region.positions() if isinstance(region, Geometry) else region
                g[:, written[written < kept.size]] = 0
            return g

        def taken(pull: Pull) -> Pull:
            def pulled(g: Array) -> Array:
                g = g.reshape(len(g), kept.size)
                return pull(region.gathered(g) if isinstance(region, Geometry) else g[:, region])

            return pulled

        inputs = [node for node, _ in values]
        pulls = [taken(pull) for _, pull in values]
        whole = isinstance(region, Geometry) and region.is_injective and np.prod(region.shape, dtype=int) == extent
        if old is not None and not whole:
            inputs, pulls = [old, *inputs], [rest, *pulls]
        node = self.new(op, tuple(inputs), tuple(pulls), shape, None, at)
        node.is_complex = is_complex(buffer.owner)
        buffer.state = node
        self.stores.append((node, buffer, at))
        if buffer.is_long:
            self.ends[node.index] = end_of(region) if values else 0
        if whole and old is not None:
            self.before[node.index] = old
        if not isinstance(region, Geometry) and len(np.unique(region)) < np.size(region):
            self.repeating.add(node.index)
        return node

    # -- memory ----------------------------------------------------------------------------------------------------

    def _spend(self, count: int) -> None:
        self.bytes += count
        if self.bytes > self.budget:
            raise TapeTooLargeError(
                f"the values of one run take more than {self.budget / 1e6:.0f} MB: check the code at smaller sizes"
            )

    def close(self) -> None:
        """Keep copies of what somebody else can still write, and let go of the rest."""
        self.is_closed = True
        for node, buffer, _ in self.stores:
            node.label = buffer.label
        self.seen.clear()
        for buffer in self.buffers.values():
            buffer.held.clear()
        self.buffers.clear()
        self.pending.clear()
        for cell in self.cells:
            value = cell.value
            # ours, the cell's, and the one that getrefcount is handed
            if isinstance(value, np.ndarray) and (value.base is not None or sys.getrefcount(value) > 3):
                cell.value = value.copy()
        self.cells.clear()


def _from_memory(geometry: Geometry, kept: Kept, whole: bool) -> Pull:
    """From entries of a buffer to all of it."""
    if whole:
        return lambda g: g  # the sweep brings it into shape
    return lambda g: geometry.scattered(g, kept.size)


def _from_parent(geometry: Geometry, around: Geometry) -> Pull:
    """From entries of a buffer to those of an array that these are some of."""
    if geometry == around:
        return lambda g: g
    low, high = around.span
    inner = Geometry(geometry.offset - low, geometry.shape, geometry.strides)
    outer = Geometry(around.offset - low, around.shape, around.strides)
    if outer.is_injective:
        return lambda g: outer.view(inner.scattered(g, high - low))
    # of entries that were broadcast, and share a position, the first stands for all
    positions, first = np.unique(outer.positions().ravel(), return_index=True)
    size = int(np.prod(outer.shape, dtype=int))

    def pulled(g: Array) -> Array:
        result = np.zeros((len(g), size))
        result[:, first] = inner.scattered(g, high - low)[:, positions]
        return result

    return pulled


def positions_in(buffer: Buffer, x: Array, index: Any) -> Array | None:
    """The positions in the buffer of entries of x that a fancy index selects."""
    geometry = buffer.geometry(x)
    if geometry is None:
        return None
    positions = geometry.positions()
    if not is_complex(x):
        return np.asarray(positions[index])
    return np.stack([positions[..., part][index] for part in range(2)], -1)


def gather_pull(x: Array, index: Any) -> Pull:
    """The way back from x[index] for a fancy index."""
    shape, size = x.shape, x.size
    if isinstance(index, np.ndarray) and index.dtype.kind in "iu":
        kept, row = index.copy(), int(np.prod(shape[1:], dtype=int))

        def rows(g: Array) -> Array:
            if row == 1 or size < 4096:
                where = np.arange(size).reshape(shape)[kept]
                return scattered(g.reshape(len(g), -1), where.ravel(), size)
            result = np.zeros((len(g), *shape), g.dtype)
            np.add.at(result, (slice(None), kept), g)  # type: ignore[arg-type]  # the stub knows no tuples
            return result

        return rows
    where = np.arange(size).reshape(shape)[index].ravel()
    return lambda g: scattered(g.reshape(len(g), -1), where, size)
