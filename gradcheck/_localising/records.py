"""What the room hands out: suspects with their evidence, and sure signs, as data; the words are made elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from gradcheck._localising.blame import Execution, Role
from gradcheck._localising.standing import Standing
from gradcheck._localising.suspects import Need, System
from gradcheck._localising.tape import Array, Node, Place, Statement

#: so many times as much freedom others have where one suspect is ahead of them
AHEAD = 4
#: a statement by what is the same in another run of the same file: file, line, last line, and which of those it is
Key: TypeAlias = tuple[str, int, int, int]
#: "never read": a derivative is bound to a name and never read; "no effect": it is read, and no gradient depends on it;
#: "overwritten": of the derivatives that a loop binds to a name only the last is read; "cotangent unused": one handed
#: in that no gradient depends on; "never written": a gradient is as its array was made; "writes into": an array of
#: somebody else's is changed; "repeated index": += through an index that names an entry more than once; "order of
#: executions": a loop carries derivatives in the order of the forward
SignKind: TypeAlias = Literal[
    "never read", "no effect", "overwritten", "cotangent unused", "never written", "writes into", "repeated index",
    "order of executions",
]  # fmt: skip


@dataclass(frozen=True)
class Needed:
    """What one execution of a place would have to give."""

    place: Place | None
    execution: int
    #: the value now, and the one that would make the gradients right
    value: Array
    needed: Array
    #: what the needed value is: a full or partial derivative, zero, or unknown
    standing: Standing
    #: the value of the forward that it is the derivative of, which tells the place and the time step
    source: Node | None
    #: of a complex value, where it is not dL/dRe + i dL/dIm: what it is
    form: str = ""


@dataclass
class Suspect:
    """A statement that could be at fault: were its values others, every gradient it is blamed for would be right."""

    statement: Statement
    key: Key
    #: the expressions or targets that have to give other values
    places: list[Place]
    #: in how many directions the gradients would have to be moved
    rank: int
    #: how many numbers would have to be others, as far as is known
    changes: int
    role: Role
    need: Need
    #: whether entries have to change that the statement did not mean to write: a wrong index, or = for +=
    elsewhere: bool
    #: the values that have to be others, in the order in which they came about
    nodes: list[Node] = field(repr=False)
    #: what they have to be, where there is only one answer; only those that differ
    needed: list[Needed] = field(repr=False)
    #: each execution: whether what it reads is right, and what it gives
    executions: list[Execution] = field(repr=False)
    #: whether all that it reads, where it reads nothing wrong, is known: derivatives, or values of the forward
    reads_known: bool
    system: System = field(repr=False)
    #: the gradients that it is blamed for
    blamed_for: tuple[str, ...] = ()
    #: how many times a derivative the needed values are, where the backward calculates with multiples
    times: float = 1.0

    @property
    def line(self) -> int:
        """The line where it begins."""
        return self.statement.line


@dataclass(frozen=True)
class Sign:
    """Something that speaks for itself, whatever the numbers say."""

    kind: SignKind
    statement: Statement | None
    #: the name, parameter, array or gradient that it is about
    name: str
    executions: tuple[int, ...] = ()


@dataclass
class Localisation:
    """Where the faults of a backward are."""

    #: statements each of which could be at fault alone, the likeliest first
    alone: list[Suspect]
    signs: list[Sign]
    #: wrong gradients that nothing on the tape leads to
    unreached: list[str]
    #: works out those that could be together: that takes longer than all else, and is seldom asked
    find_together: Callable[[], list[Suspect]] = list

    @cached_property
    def together(self) -> list[Suspect]:
        """Where no statement could be at fault alone: the fewest that could be together."""
        return self.find_together()

    @property
    def suspects(self) -> Sequence[Suspect]:
        """The likeliest first."""
        return self.alone or self.together

    @property
    def is_decided(self) -> bool:
        """Whether the first explains the difference with far less freedom than all others: that is no chance."""
        if len(self.alone) < 2:
            return bool(self.alone)
        return AHEAD * self.alone[0].changes <= min(one.changes for one in self.alone[1:])

    @property
    def statements(self) -> list[Statement]:
        """The statements in the order in which to look at them: loops in the wrong order, then the suspects."""
        loops = [one.statement for one in self.signs if one.kind == "order of executions" and one.statement is not None]
        return list(dict.fromkeys([*loops, *(one.statement for one in self.suspects)]))

    @property
    def region(self) -> list[Statement]:
        """The statements between which nothing decides."""
        if not self.alone:
            return [one.statement for one in self.together]
        first = self.alone[0]
        return [one.statement for one in self.alone if _ties(one, first)]


def _ties(one: Suspect, other: Suspect) -> bool:
    return (one.changes, one.role, one.need) == (other.changes, other.role, other.need)
