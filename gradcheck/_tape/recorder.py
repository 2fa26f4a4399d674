"""The hooks that record: what rewritten code calls while the tape runs."""

from __future__ import annotations

import sys
from collections.abc import Collection
from types import CodeType, FrameType
from typing import Any

import numpy as np

from gradcheck._common.arrays import owner_of
from gradcheck._tape.calls import Caller
from gradcheck._tape.hooks import BINARY, INPLACE, UNARY, Plain
from gradcheck._tape.iterating import visited
from gradcheck._tape.libraries import NUMBERS, OPERANDS
from gradcheck._tape.nodes import Array, Binding, Pull, is_value
from gradcheck._tape.pairs import is_complex
from gradcheck._tape.places import Place
from gradcheck._tape.rules.complex_parts import PARTS
from gradcheck._tape.rules.elementwise import elementwise
from gradcheck._tape.rules.operation import Operation
from gradcheck._tape.tape import At, Tape, gather_pull
from gradcheck._tape.ufuncs import UFUNCS
from gradcheck._tape.writes import is_basic, store_item

_SIGNS: dict[str, Any] = {"USub": np.negative, "UAdd": np.positive}
#: np.r_ and np.c_, which join what stands between their brackets
_JOINING = (type(np.r_), type(np.c_))


class Recorder(Plain):
    """Does what the source says, and notes it on the tape."""

    def __init__(self, tape: Tape, places: list[Place], codes: Collection[CodeType]) -> None:
        self.tape, self.places = tape, places
        self.counts = [0] * len(places)
        self.caller = Caller(tape, codes)
        self.bindings: list[Binding] = []
        #: what a name of a frame, an attribute of an object or an item of a container was last given
        self.slots: dict[tuple[int, Any], Binding] = {}
        #: what a name was last given in a function, or (None) in any: nested functions read names of those around
        self.by_name: dict[tuple[str | None, str | None], Binding] = {}

    def _at(self, place: int) -> At:
        count = self.counts[place]
        self.counts[place] = count + 1
        return self.caller.inside or (self.places[place], count)

    # -- names, attributes and items -------------------------------------------------------------------------------

    def read(self, place: int, value: Any, /) -> Any:
        self.counts[place] += 1
        where = self.places[place]
        slot = self.slots.get((id(sys._getframe(1)), where.name))
        if slot is not None and slot.value is value:
            self._resolve(slot)
        else:
            self._read_from_outside(where, value)
        return value

    def _read_from_outside(self, where: Place, value: Any) -> None:
        """A name that is none of this frame's: of a function around it, or of the module."""
        function = where.function
        while True:
            slot = self.by_name.get((function, where.name))
            if slot is not None and slot.value is value:
                self._resolve(slot)
                return
            if not function:
                break
            function = function.rpartition(".")[0]
        slot = self.by_name.get((None, where.name))
        if slot is not None and slot.value is value:
            slot.reads += 1

    def _resolve(self, slot: Binding) -> None:
        """A value is read by what it is bound to: that use of it counts."""
        slot.reads += 1
        if slot.node is None:
            return
        entry = self.tape.seen.get(id(slot.value))
        if entry is not None and entry[3] is slot.state:
            self.tape.seen[id(slot.value)] = (entry[0], slot.node, entry[2], entry[3])

    def _bound(self, at: At, value: Any, listed: bool = True) -> Binding:
        node = self.tape.node(value)
        entry = None if node is None else self.tape.seen[id(value)]
        assert at[0] is not None
        binding = Binding(at[0], at[1], node, 0, value, None if entry is None else entry[3])
        if listed:
            self.bindings.append(binding)
        return binding

    def _named(self, binding: Binding, frame: FrameType) -> None:
        name = binding.place.name
        self.slots[id(frame), name] = binding
        self.by_name[binding.place.function, name] = self.by_name[None, name] = binding

    def bind(self, place: int, value: Any, /) -> Any:
        self._named(self._bound(self._at(place), value), sys._getframe(1))
        return value

    def bind_item(self, place: int, value: Any, whole: Any, index: int | None, /) -> Any:
        at = self._at(place)
        if not self.read_from(whole, index, value):
            self.tape.unnamed(value)
        if is_value(value):
            if isinstance(whole, np.ndarray) and index is not None and not self.tape.known(value):
                self._picked(at, whole, index, value)
            else:
                self.tape.alias(value, at)
        if self.places[place].name is not None:
            self._named(self._bound(at, value), sys._getframe(1))
        return value

    def parameter(self, place: int, value: Any, /) -> Any:
        entries = self.caller.handed.get(id(value))
        if entries and entries[0] is not None and entries[0][0] is value:
            self.tape.seen[id(value)] = entries.pop(0)  # one array for two parameters is told apart as what was handed
        self._named(self._bound(self._at(place), value), sys._getframe(1))
        return value

    def passed(self, place: int, value: Any, /) -> Any:
        at = self._at(place)
        is_argument = self.places[place].kind == "argument"
        if is_value(value):
            before = self.tape.node(value)
            entry = self.tape.seen.get(id(value))
            if before is not None:
                self.tape.alias(value, at, self.places[place].kind)
            if is_argument:
                self.caller.undo.append((id(value), entry, self.tape.seen.get(id(value))))
        elif is_argument:
            self.caller.undo.append((0, None, None))
        return value

    def attribute(self, place: int, owner: Any, name: str, /) -> Any:
        at = self._at(place)
        out = getattr(owner, name)
        if isinstance(owner, np.ndarray):
            if isinstance(out, np.ndarray) and out is not owner:
                self._looked_at(at, out, owner)
            return out
        if name in PARTS and is_complex(owner):
            return self.caller.finished(at, name, PARTS[name], (owner,), {}, out)
        if not self.read_from(owner, name, out):
            self.tape.unnamed(out)
        return out

    def read_from(self, owner: Any, key: Any, value: Any) -> bool:
        """An object is read from an attribute or an item: whether it is known what that was given, which then counts.

        It may have been handed to others since then.
        """
        slot = self.slots.get((id(owner), key))
        if slot is None or slot.value is not value:
            return False
        self._resolve(slot)
        return True

    def item(self, place: int, owner: Any, index: Any, /) -> Any:
        at = self._at(place)
        out = owner[index]
        if isinstance(owner, (list, tuple, dict)):
            key = index + len(owner) if isinstance(index, int) and index < 0 and not isinstance(owner, dict) else index
            if isinstance(key, slice) or not self.read_from(owner, key, out):
                self.tape.unnamed(out)
        elif isinstance(owner, np.ndarray):
            if is_value(out):
                self._picked(at, owner, index, out)
        elif isinstance(owner, (np.flatiter, np.inexact)):
            self._copied_out(at, self.caller.as_array(at, owner), index, out)
        elif isinstance(owner, _JOINING):
            name = "r_" if owner is np.r_ else "c_"
            return self.caller.finished(at, name, owner.__getitem__, (index,), {}, out)
        elif isinstance(owner, np.nditer) and isinstance(index, int):
            visited(self.tape, owner.operands[index], out)
        return out

    def _picked(self, at: At, owner: Array, index: Any, out: Any) -> None:
        """An entry, a view or a copy of entries was taken from an array."""
        if not is_value(owner) or not is_value(out):
            return
        if isinstance(out, np.ndarray) and is_basic(index) and self.tape.node(owner) is not None:
            self._looked_at(at, out, owner)
        else:
            self._copied_out(at, owner, index, out)

    def _copied_out(self, at: At, owner: Any, index: Any, out: Any) -> None:
        """An entry, or a copy of entries, was taken from an array."""
        if is_value(owner) and is_value(out):
            pull = _entry_pull(owner.shape, index) if is_basic(index) else gather_pull(owner, index)
            self.tape.record("item", at, out, [(owner, pull)])

    def _looked_at(self, at: At, out: Array, parent: Array) -> None:
        """A view of an array was made."""
        if not is_value(out):
            return
        buffer = self.tape.buffers.get(id(owner_of(out)))
        if buffer is None:
            self.tape.node(out)
            buffer = self.tape.buffers.get(id(owner_of(out)))
        if buffer is not None:
            self.tape.view(out, buffer, at, parent)

    # -- operators -------------------------------------------------------------------------------------------------

    def binary(self, place: int, name: str, left: Any, right: Any, /) -> Any:
        at = self._at(place)
        if not (isinstance(left, OPERANDS) and isinstance(right, OPERANDS)):
            return self.caller.operation(at, BINARY[name], left, right)
        out = BINARY[name](left, right)
        if name == "Pow" and isinstance(left, np.matrix):  # the product of a matrix with itself
            return self.caller.finished(at, "matrix_power", BINARY[name], (left, right), {}, out)
        ufunc = np.matmul if name == "Mult" and _is_matrix_product(left, right) else UFUNCS.get(name)
        if ufunc is not None and is_value(out):
            self.caller.binary(at, ufunc, out, left, right)
        return out

    def unary(self, place: int, name: str, operand: Any, /) -> Any:
        at = self._at(place)
        out = UNARY[name](operand)
        ufunc = _SIGNS.get(name)
        if ufunc is not None and is_value(out) and isinstance(operand, NUMBERS) and not self.tape.known(out):
            operation = Operation(ufunc, (operand,), {}, out, self.tape.hold)
            self.tape.record(ufunc.__name__, at, out, elementwise(ufunc, (operand,), operation))
        return out

    def augment(self, place: int, name: str, old: Any, value: Any, /) -> Any:
        at = self._at(place)
        ufunc = UFUNCS.get(name)
        if ufunc is None:
            return INPLACE[name](old, value)
        if not isinstance(old, np.ndarray):
            return self.caller.binary(at, ufunc, INPLACE[name](old, value), old, value)
        if not is_value(old) or not isinstance(value, OPERANDS):
            return INPLACE[name](old, value)
        new = BINARY[name](old, value)
        if not np.can_cast(new.dtype, old.dtype, "same_kind") or new.shape != old.shape:
            return INPLACE[name](old, value)  # which raises
        self.caller.binary(at, ufunc, new, old, value)
        self._updated(at, old, new)
        return old

    def _updated(self, at: At, old: Array, new: Array) -> None:
        """All of an array was replaced."""
        node = self.tape.node(new)
        buffer = self.tape.about_to_write(old)
        old[...] = new
        region = None if buffer is None else buffer.geometry(old)
        if buffer is None or region is None or node is None:
            return
        self.tape.stored(buffer, region, [(node, lambda g: g)], at)
        # the array now stands for what was calculated, not for a look at its memory
        self.tape.seen[id(old)] = (old, node, buffer, buffer.state)

    # -- calls -----------------------------------------------------------------------------------------------------

    def call(self, place: int, function: Any, /, *args: Any, **keywords: Any) -> Any:
        if function is getattr and len(args) == 2:
            self.caller.forget((self.places[place], 0))
            return self.attribute(place, *args)
        at = self._at(place)
        if function is not dict:
            return self.caller.call(at, function, args, keywords)
        # under its name, each is what it was handed over as
        kept = {name: self._bound(at, one, listed=False) for name, one in keywords.items()}
        result = self.caller.call(at, function, args, keywords)
        self.slots |= {(id(result), name): binding for name, binding in kept.items()}
        return result

    def method(self, place: int, owner: Any, name: str, /, *args: Any, **keywords: Any) -> Any:
        at = self._at(place)
        if name == "append" and type(owner) is list and len(args) == 1:
            self.slots[id(owner), len(owner)] = self._bound(at, args[0], listed=False)
        return self.caller.method(at, owner, name, args, keywords)

    # -- targets and containers ------------------------------------------------------------------------------------

    def store_attribute(self, place: int, value: Any, owner: Any, name: str, /) -> None:
        if name == "flat" and isinstance(owner, np.ndarray):
            self._fill(self._at(place), owner, Ellipsis, value)
            return
        if name in PARTS and isinstance(owner, np.ndarray):
            self.store_item(place, value, getattr(owner, name), Ellipsis)
            return
        binding = self._bound(self._at(place), value)
        setattr(owner, name, value)
        self.slots[id(owner), name] = binding

    def store_item(self, place: int, value: Any, owner: Any, index: Any, /) -> None:
        at = self._at(place)
        if isinstance(owner, np.flatiter):
            self._fill(at, owner.base, index, value)
            return
        if not isinstance(owner, np.ndarray):
            owner[index] = self.caller.rows(value) if isinstance(owner, list) and isinstance(index, slice) else value
            if isinstance(owner, (list, dict)) and not isinstance(index, slice):
                key = index + len(owner) if isinstance(owner, list) and index < 0 else index
                self.slots[id(owner), key] = self._bound(at, value, listed=False)
            return
        if isinstance(value, (list, tuple, np.flatiter)) and is_value(owner):
            value = self.caller.as_array(at, value)
        store_item(self.tape, at, owner, index, value)

    def _fill(self, at: At, array: Array, index: Any, value: Any) -> None:
        """``array.flat[index] = value``, which repeats or cuts the numbers of the value, whatever its shape."""
        where = np.arange(array.size)[index]
        if not is_value(array) or not where.size:
            array.flat[index] = value
            return
        fitting = self.caller.library(at, np.resize, (self.caller.as_array(at, value), where.shape), {})
        store_item(self.tape, at, array, np.unravel_index(where, array.shape), fitting)

    def iterate(self, place: int, values: Any, /) -> Any:
        self.counts[place] += 1
        return self.caller.rows(values)

    def display(self, place: int, items: Any, /) -> Any:
        at = self._at(place)
        for key, value in items.items() if isinstance(items, dict) else enumerate(items):
            if is_value(value) and id(value) in self.tape.seen:
                self.slots[id(items), key] = self._bound(at, value, listed=False)
        return items


def _is_matrix_product(left: Any, right: Any) -> bool:
    """Whether a star between these stands for the product of matrices."""
    is_any = isinstance(left, np.matrix) or isinstance(right, np.matrix)
    return is_any and np.ndim(left) > 0 and np.ndim(right) > 0


def _entry_pull(shape: tuple[int, ...], index: Any) -> Pull:
    """The way back from one entry of an array."""
    where = (slice(None), *(index if isinstance(index, tuple) else (index,)))

    def pull(g: Array) -> Array:
        result = np.zeros((len(g), *shape), g.dtype)
        result[where] = g
        return result

    return pull
