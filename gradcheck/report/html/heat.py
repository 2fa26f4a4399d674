"""Which entries of a gradient are wrong, as a map: the darker a cell, the larger its error."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gradcheck.report.markup import Html, escape, inline, join_html, scrolling, tag
from gradcheck.report.trace_records import ErrorMap

#: a cell, and what is left of it and above it for words
_CELL, _LEFT, _TOP = 14, 30, 22
#: errors at which a cell is white and black: rounding, and as large as the gradient
_FIRST, _LAST = -12.0, 0.0


def heat_maps(maps: Sequence[ErrorMap]) -> Html:
    """The maps, and what their shades mean."""
    return join_html(tag("div", *map(_figure, maps), class_="maps"), _legend())


def _figure(one: ErrorMap) -> Html:
    shape = "×".join(map(str, one.shape)) or "scalar"
    axes = " by ".join(part for part in (one.row, one.column) if part)
    caption = tag("figcaption", inline("b", escape(one.name)), inline("span", escape(f"{shape}: {axes}")))
    return tag("figure", caption, scrolling(f"Errors of {one.name}", _drawing(one)), class_="heat")


def _drawing(one: ErrorMap) -> Html:
    count = max(map(len, one.rows))
    width, height = _LEFT + count * _CELL + 2, _TOP + len(one.rows) * _CELL + 2
    title = tag("title", escape(f"The error of each entry of {one.name}, relative to the gradient's norm"))
    cells = [_cell(i, j, value) for i, row in enumerate(one.rows) for j, value in enumerate(row)]
    parts = [title, *cells, *_numbers(len(one.rows), count), *_gates(one, count)]
    return tag("svg", *parts, viewBox=f"0 0 {width} {height}", width=width, height=height, role="img", class_="cells")


def _cell(i: int, j: int, value: float) -> Html:
    part = (math.log10(value) - _FIRST) / (_LAST - _FIRST) if value > 0 else 0.0
    shade = f"{min(max(part, 0.0), 1.0):.2f}"
    told = tag("title", escape(f"[{i}, {j}]: {value:.1e}"))
    x, y = _LEFT + j * _CELL, _TOP + i * _CELL
    return tag("rect", told, x=x, y=y, width=_CELL, height=_CELL, fill_opacity=shade, class_="cell")


def _numbers(rows: int, columns: int) -> Iterator[Html]:
    """The first and the last index of each axis."""
    for i in sorted({0, rows - 1}):
        yield _word(_LEFT - 6, _TOP + i * _CELL + 11, str(i), "end")
    for j in sorted({0, columns - 1}):
        yield _word(_LEFT + j * _CELL + _CELL / 2, _TOP - 6, str(j), "middle")


def _gates(one: ErrorMap, columns: int) -> Iterator[Html]:
    """A line before each gate, and its name in the middle of it."""
    length = len(one.rows) if one.are_rows else columns
    for number, name in enumerate(one.gates):
        begin, end = (at * length * _CELL / len(one.gates) for at in (number, number + 1))
        middle = (begin + end) / 2
        if one.are_rows:
            yield tag("line", x1=_LEFT, x2=_LEFT + columns * _CELL, y1=_TOP + begin, y2=_TOP + begin, class_="gate")
            yield _word(8, _TOP + middle + 4, name, "middle")
        else:
            bottom = _TOP + len(one.rows) * _CELL
            yield tag("line", x1=_LEFT + begin, x2=_LEFT + begin, y1=_TOP, y2=bottom, class_="gate")
            yield _word(_LEFT + middle, 10, name, "middle")


def _word(x: float, y: float, text: str, anchor: str) -> Html:
    return tag("text", escape(text), x=f"{x:g}", y=f"{y:g}", text_anchor=anchor, class_="tick")


def _legend() -> Html:
    """A row of shades, with the errors that they stand for."""
    steps = range(int(_FIRST), int(_LAST) + 1, 2)
    cells = [
        tag("rect", x=at * 40, y=0, width=40, height=12, class_="cell", fill_opacity=f"{at / (len(steps) - 1):.2f}")
        for at in range(len(steps))
    ]
    words = [_word(at * 40 + 20, 26, "1" if step == 0 else f"1e{step}", "middle") for at, step in enumerate(steps)]
    width = 40 * len(steps)
    shades = tag("svg", *cells, *words, viewBox=f"0 0 {width} 30", width=width, height=30, aria_hidden="true")
    told = "an error relative to the gradient's norm; of many entries each cell shows the worst of a block"
    return tag("figure", shades, tag("figcaption", escape(told)))
