"""What the lines of a backward hold, as data and as text; with pictures of the errors where gradients are wrong."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

#: the column at which derivatives are written
COLUMN = 72


@dataclass(frozen=True)
class TracedLine:
    """A line of source, what it holds, and whether that is marked as wrong."""

    number: int
    code: str
    words: str = ""
    is_wrong: bool = False


@dataclass(frozen=True)
class TracedFunction:
    """The lines of a function from the first that holds a derivative to the last."""

    file: str
    name: str
    lines: tuple[TracedLine, ...]


@dataclass(frozen=True)
class ErrorMap:
    """How wrong each entry of a gradient is, relative to its norm, as rows; of many entries, the worst of each block.

    `shape` is that of the gradient. `row` and `column` say what the axes are. `gates` stand side by side along the
    columns, or along the rows if `are_rows`.
    """

    name: str
    shape: tuple[int, ...]
    rows: tuple[tuple[float, ...], ...]
    row: str
    column: str
    gates: tuple[str, ...] = ()
    are_rows: bool = False


@dataclass(frozen=True)
class Trace:
    """What the lines of a backward hold, at these sizes.

    `notes` are what else is to be said; `maps` are of the wrong gradients.
    """

    functions: tuple[TracedFunction, ...]
    notes: tuple[str, ...] = ()
    maps: tuple[ErrorMap, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        """The source with the derivatives beside it."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        for function in self.functions:
            yield f"{function.file}, {function.name}"
            for line in function.lines:
                yield f"{line.number:5} {line.code:<{COLUMN}} {line.words}".rstrip()
            yield ""
        yield from self.notes


@dataclass(frozen=True)
class StepCurve:
    """How far a central difference along a direction through one gradient is from what the gradient says, by step.

    `points` are the step, relative to the parameter, and the distance, relative to the slope.
    """

    name: str
    points: tuple[tuple[float, float], ...]
