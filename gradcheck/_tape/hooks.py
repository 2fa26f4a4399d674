"""What rewritten code calls: each hook does what the source says. Here they do only that."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add, "Sub": operator.sub, "Mult": operator.mul, "Div": operator.truediv, "Pow": operator.pow,
    "MatMult": operator.matmul, "Mod": operator.mod, "FloorDiv": operator.floordiv, "BitAnd": operator.and_,
    "BitOr": operator.or_, "BitXor": operator.xor, "LShift": operator.lshift, "RShift": operator.rshift,
}  # fmt: skip
INPLACE: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.iadd, "Sub": operator.isub, "Mult": operator.imul, "Div": operator.itruediv, "Pow": operator.ipow,
    "MatMult": operator.imatmul, "Mod": operator.imod, "FloorDiv": operator.ifloordiv, "BitAnd": operator.iand,
    "BitOr": operator.ior, "BitXor": operator.ixor, "LShift": operator.ilshift, "RShift": operator.irshift,
}  # fmt: skip
UNARY: dict[str, Callable[[Any], Any]] = {
    "USub": operator.neg, "UAdd": operator.pos, "Invert": operator.invert, "Not": operator.not_
}  # fmt: skip

#: the hooks that rewritten code uses, in the order in which the class below has them
NAMES = (
    "read", "passed", "bind", "bind_item", "parameter", "attribute", "item", "binary", "unary", "augment", "call",
    "method", "store_attribute", "store_item", "iterate", "display",
)  # fmt: skip


class Plain:
    """The hooks without anything recorded. The first argument is always the number of the place."""

    def read(self, _: int, value: Any, /) -> Any:
        """A name is read."""
        return value

    def passed(self, _: int, value: Any, /) -> Any:
        """A value is handed on: an argument, an item, what is assigned, returned or yielded."""
        return value

    def bind(self, _: int, value: Any, /) -> Any:
        """A name is about to be bound."""
        return value

    def bind_item(self, _: int, value: Any, _whole: Any, _index: int | None, /) -> Any:
        """A name is about to be bound to an item that was unpacked from a whole, at an index."""
        return value

    def parameter(self, _: int, value: Any, /) -> Any:
        """A function begins, with this value for one of its parameters."""
        return value

    def attribute(self, _: int, owner: Any, name: str, /) -> Any:
        """An attribute is read."""
        return getattr(owner, name)

    def item(self, _: int, owner: Any, index: Any, /) -> Any:
        """A subscript is read."""
        return owner[index]

    def binary(self, _: int, name: str, left: Any, right: Any, /) -> Any:
        """An operator with two operands."""
        return BINARY[name](left, right)

    def unary(self, _: int, name: str, operand: Any, /) -> Any:
        """An operator with one operand."""
        return UNARY[name](operand)

    def augment(self, _: int, name: str, old: Any, value: Any, /) -> Any:
        """The operator of an augmented assignment."""
        return INPLACE[name](old, value)

    def call(self, _: int, function: Any, /, *args: Any, **keywords: Any) -> Any:
        """A function is called."""
        return function(*args, **keywords)

    def method(self, _: int, owner: Any, name: str, /, *args: Any, **keywords: Any) -> Any:
        """A method is called."""
        return getattr(owner, name)(*args, **keywords)

    def store_attribute(self, _: int, value: Any, owner: Any, name: str, /) -> None:
        """An attribute is set."""
        setattr(owner, name, value)

    def store_item(self, _: int, value: Any, owner: Any, index: Any, /) -> None:
        """A subscript is set."""
        owner[index] = value

    def iterate(self, _: int, values: Any, /) -> Any:
        """A loop begins."""
        return values

    def display(self, _: int, items: Any, /) -> Any:
        """A tuple, list or dict was written out."""
        return items


class Switch:
    """Stands in the rewritten code; its hooks are those of whatever it is set to."""

    #: what stands between brackets is handed on as an object
    slice = slice

    def __init__(self) -> None:
        self.set(Plain())

    def set(self, hooks: Plain) -> None:
        """From now on these hooks are called."""
        for name in NAMES:
            setattr(self, name, getattr(hooks, name))
