"""What the tape holds: values with the way back from each to what it was calculated from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gradcheck._common.errors import TargetError
from gradcheck._tape.pairs import as_pairs
from gradcheck._tape.places import Place

Array: TypeAlias = NDArray[Any]
#: from the derivative with respect to a value, (m, *its shape), to that with respect to one operand
Pull: TypeAlias = Callable[[Array], Array]

#: operations that hand values on without a calculation
MOVES = frozenset(
    {"view", "pass", "item", "store", "pack", "argument", "value", "element", "return", "call", "yield", "parameter"}
)
#: operations that keep a value as it is
KEEPS = frozenset({"copy", "array", "asarray", "ascontiguousarray", "stack", "astype"})
#: operations that put arrays beside each other along an axis that they have
JOINS = frozenset({"concatenate", "vstack", "hstack", "column_stack", "append"})
#: operations that keep entries within bounds
CLIPS = frozenset({"clip", "minimum", "maximum"})


#: numbers that can be on the tape
SCALARS = (float, complex, np.inexact)


class TapeError(TargetError):
    """The tape fails at code that runs without it: a fault of the tape's own, or code that sees that it is taped."""


class Cell:
    """A value that stays what it was: it is replaced by a copy before the memory behind it is written."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass(eq=False, slots=True)
class Call:
    """One call of a function of the user's: from where, the how manieth from there, and the call around it."""

    index: int
    place: Place
    execution: int
    outer: Call | None

    @property
    def stack(self) -> tuple[Place, ...]:
        """The places of the calls, outermost first."""
        return (*(self.outer.stack if self.outer is not None else ()), self.place)


@dataclass(eq=False, slots=True)
class Node:
    """One value on the tape."""

    index: int
    #: the operation: a ufunc's or function's name; "leaf"; "view", "pass", "store", "pack" move values only
    op: str
    inputs: tuple[Node, ...]
    pulls: tuple[Pull, ...]
    shape: tuple[int, ...]
    cell: Cell | None
    place: Place | None
    #: the how manieth execution of the place; those of one execution share it
    execution: int
    call: Call | None
    #: which operand each input was, where some operands are constants
    operands: tuple[int, ...] = ()
    #: of a leaf and of writes: the label of the array, if it was handed to the user's code
    label: str | None = None
    #: whether its numbers are pairs: of a complex value, or of the memory behind one
    is_complex: bool = False

    @property
    def value(self) -> Any:
        """The value as it was then; None for the state of a buffer after a write (see its operands).

        Of complex numbers the real and imaginary parts, along an axis behind all others.
        """
        return None if self.cell is None else as_pairs(self.cell.value)

    @property
    def as_it_was(self) -> Any:
        """The value as the code has it: complex numbers as such."""
        return None if self.cell is None else self.cell.value

    @property
    def size(self) -> int:
        """The number of entries."""
        return int(np.prod(self.shape, dtype=int))

    def brought_back(self, operand: int, derivative: Array) -> Array:
        """What comes back to one of the inputs, in its shape, of the derivative of this value."""
        source = self.inputs[operand]
        return np.asarray(self.pulls[operand](derivative.reshape(1, *self.shape))).reshape(source.shape)

    def __repr__(self) -> str:
        where = f"{self.place.line}:{self.place.text}#{self.execution}" if self.place else self.label
        return f"<{self.index} {self.op} {self.shape} {where}>"


@dataclass(eq=False, slots=True)
class Binding:
    """A name, attribute or parameter that was given a value; `reads` counts how often that value was then read."""

    place: Place
    execution: int
    #: None where the value is not a number, or an integer
    node: Node | None
    reads: int = 0
    #: the object itself and the version of its memory, while the tape is recorded
    value: Any = field(default=None, repr=False)
    state: Node | None = field(default=None, repr=False)


@dataclass(eq=False, slots=True)
class Write:
    """A write into an array; `label` names the array if it was handed to the user's code.

    `repeats`: it names an entry more than once, of which the last one stays.
    """

    node: Node
    place: Place | None
    execution: int
    label: str | None
    repeats: bool = False


def is_value(x: object) -> bool:
    """Whether it can be on the tape: a floating-point or complex array or scalar."""
    if isinstance(x, np.ndarray):
        return x.dtype.kind in "fc" and x.size > 0
    return isinstance(x, SCALARS)
