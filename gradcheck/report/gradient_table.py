"""The table of gradients on a terminal: no number is broken, empty columns are left out, and so is what has no room."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from gradcheck._common.verdict import Verdict
from gradcheck.report.hanging import Hanging
from gradcheck.report.phrases import VERDICT_SIGNS, format_small, format_worst_entry, worst_first
from gradcheck.report.records import Block, ReportRecord

STYLES: dict[Verdict, str] = {"right": "green", "wrong": "bold red", "inconclusive": "yellow", "vacuous": "yellow"}
#: longer names go on in the next line where there is little room
LONGEST_NAME = 20
#: what a reader misses least, first
_LEAVE_OUT = (
    frozenset[str](),
    frozenset({"± bar"}),
    frozenset({"± bar", "shape"}),
    frozenset({"± bar", "shape", "would see"}),
)


@dataclass(frozen=True)
class Column:
    """A column: its head, and a cell for each gradient."""

    head: str
    cells: tuple[str, ...]

    def width(self, is_head_split: bool) -> int:
        """How many columns of the terminal it takes."""
        heads = self.split_head if is_head_split else [self.head]
        return max(Text(text).cell_len for text in (*heads, *self.cells))

    @property
    def split_head(self) -> list[str]:
        """The head in lines; a sign of one letter stays beside its word."""
        return self.head.split() if self.head[1] != " " else [self.head]


@dataclass(frozen=True)
class GradientTable:
    """The table for rich."""

    report: ReportRecord

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As much of it as there is room for; below each other where there is no room for a table."""
        gradients = worst_first(self.report)
        columns = [column for column in _columns(gradients) if any(column.cells)]
        for left_out, gap, is_head_split in _layouts():
            shown = [column for column in columns if column.head not in left_out]
            if _width(shown, gap, is_head_split) <= options.max_width:
                yield _table(shown, gap, is_head_split, gradients)
                missing = [column.head for column in columns if column.head in left_out]
                if missing:
                    yield Hanging(Text(f"({', '.join(missing)}: where the terminal is wider)", style="dim"), 0)
                return
        for number, gradient in enumerate(gradients):
            yield from _stacked(gradient, columns, number)


def _layouts() -> Iterator[tuple[frozenset[str], int, bool]]:
    """What to leave out, the gap between columns, and whether heads take two lines: the best first."""
    for left_out in _LEAVE_OUT:
        yield from ((left_out, 2, False), (left_out, 2, True), (left_out, 1, True))


def _columns(gradients: Sequence[Block]) -> list[Column]:
    rows = [
        (
            gradient.name,
            "×".join(map(str, gradient.shape)) or "scalar",
            _verdict(gradient),
            format_small(gradient.error),
            format_small(gradient.error_bar),
            format_small(gradient.sensitivity),
            *format_worst_entry(gradient),
        )
        for gradient in gradients
    ]
    heads = "gradient", "shape", "verdict", "error", "± bar", "would see", "worst entry", "analytic", "numerical"
    return [Column(head, tuple(row[at] for row in rows)) for at, head in enumerate(heads)]


def _verdict(gradient: Block) -> str:
    divided = f" (÷ {gradient.factor:g})" if gradient.factor != 1.0 else ""
    return f"{VERDICT_SIGNS[gradient.verdict]} {gradient.verdict}{divided}"


def _width(columns: Sequence[Column], gap: int, is_head_split: bool) -> int:
    names, *others = (column.width(is_head_split) for column in columns)
    return min(names, LONGEST_NAME) + sum(others) + gap * len(others)


def _table(columns: Sequence[Column], gap: int, is_head_split: bool, gradients: Sequence[Block]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")
    for column in columns:
        is_number = column.head not in ("gradient", "shape", "verdict")
        table.add_column(
            "\n".join(column.split_head) if is_head_split else column.head,
            justify="right" if is_number else "left",
            overflow="fold",
            no_wrap=column.head != "gradient",
            vertical="bottom",
        )
    for at, gradient in enumerate(gradients):
        cells = ((column.head, column.cells[at]) for column in columns)
        table.add_row(
            *(Text(cell, style=STYLES[gradient.verdict] if head == "verdict" else "") for head, cell in cells)
        )
    return table


def _stacked(gradient: Block, columns: Sequence[Column], at: int) -> Iterator[Hanging]:
    """One gradient as text, each value with its name."""
    cells = {column.head: column.cells[at] for column in columns if column.cells[at]}
    verdict = cells.pop("verdict")
    yield Hanging(Text.assemble(cells.pop("gradient"), " ", (verdict, STYLES[gradient.verdict])), 2)
    yield from (Hanging(Text(f"  {head} {cell}"), 4) for head, cell in cells.items())
