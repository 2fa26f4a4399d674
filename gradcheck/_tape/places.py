"""Where in the user's source a value came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from gradcheck._usercode.source import split_lines

#: what stands at a place:
#: "read" a name, attribute or item; "operation" an operator; "call" a call; "bind" a name that is bound;
#: "parameter" one of a function; "argument" what a call is handed; "element" an item of a tuple, list or dict that is
#: written out; "value" what a statement assigns unchanged; "return" or "yield" what a function hands back;
#: "store" a write to a subscript or attribute; "augment" an augmented assignment; "iterate" what a loop goes through;
#: "display" a tuple, list or dict that is written out
Kind: TypeAlias = Literal[
    "read", "operation", "call", "bind", "parameter", "argument", "element", "value", "return", "yield", "store",
    "augment", "iterate", "display",
]  # fmt: skip


@dataclass(eq=False)
class Source:
    """The text of one file."""

    file: str
    text: str

    @cached_property
    def lines(self) -> list[bytes]:
        """Its lines as bytes, since columns count bytes."""
        return [line.encode() for line in split_lines(self.text)]

    def segment(self, line: int, column: int, end_line: int, end_column: int) -> str:
        """What stands between two positions."""
        lines = self.lines[line - 1 : end_line]
        if not lines:
            return ""
        lines[-1] = lines[-1][:end_column]
        lines[0] = lines[0][column:]
        return b"".join(lines).decode(errors="replace")


@dataclass(eq=False)
class Statement:
    """One statement of a function; of one with a body, only its head."""

    source: Source = field(repr=False)
    line: int
    end_line: int
    function: str
    kind: str
    places: list[Place] = field(default_factory=list, repr=False)

    @property
    def file(self) -> str:
        """The file it stands in."""
        return self.source.file

    @property
    def text(self) -> str:
        """Its lines, without the indentation of the first."""
        return b"".join(self.source.lines[self.line - 1 : self.end_line]).decode(errors="replace").strip()


#: line and column of the first character, and of that behind the last
Span: TypeAlias = tuple[tuple[int, int], tuple[int, int]]


@dataclass(eq=False)
class Place:
    """One expression, or one target, of a statement; `number` is its index in the list of places."""

    number: int
    kind: Kind
    statement: Statement = field(repr=False)
    line: int
    column: int
    end_line: int
    end_column: int
    #: the name that is bound or read, if it is one
    name: str | None = None
    #: how many of a call's arguments are places of their own
    arguments: int = 0

    @property
    def file(self) -> str:
        """The file it stands in."""
        return self.statement.source.file

    @property
    def function(self) -> str:
        """The qualified name of the function around it."""
        return self.statement.function

    @property
    def span(self) -> Span:
        """Where it begins and ends."""
        return (self.line, self.column), (self.end_line, self.end_column)

    @property
    def text(self) -> str:
        """The source text of the expression."""
        return self.statement.source.segment(self.line, self.column, self.end_line, self.end_column)
