"""The picture of the errors: each on a logarithmic axis, beside the error bar it has to stay within."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gradcheck._common.verdict import MISS_PROBABILITY
from gradcheck.report.markup import Html, escape, inline, scrolling, tag
from gradcheck.report.phrases import VERDICT_SIGNS, format_small
from gradcheck.report.records import Block

#: the decades of the axis: from what double precision can tell to an error ten times the gradient
_FIRST = -16
_LAST = 1
#: the height of a row, and what is above the first
_ROW = 24.0
_TOP = 8.0


class _Frame(NamedTuple):
    """Lengths in units of the picture: where the axis begins and ends, the width of all; characters of names."""

    left: float
    right: float
    width: float
    characters: int
    ticks: tuple[int, ...]
    class_: str

    def x(self, value: float) -> float:
        """Where a size stands on the axis; what is beyond an end stands at that end."""
        exponent = math.log10(value) if 0 < value < math.inf else (_LAST if value > 0 else _FIRST)
        part = (min(max(exponent, _FIRST), _LAST) - _FIRST) / (_LAST - _FIRST)
        return self.left + part * (self.right - self.left)


#: on a page, and on a telephone; the style shows one of them
_WIDE = _Frame(150.0, 700.0, 780.0, 18, (-16, -12, -8, -4, 0), "picture")
_NARROW = _Frame(70.0, 280.0, 350.0, 8, (-16, -8, 0), "small-picture")
#: of an error as large as the sensitivity
PROMISE = f"would have been missed with a probability of at most 1e{round(math.log10(MISS_PROBABILITY))}"


def picture(gradients: Sequence[Block]) -> Html:
    """Each error on a logarithmic axis, beside the error bar it has to stay within."""
    wide = scrolling("Picture of the errors", _drawing(gradients, _WIDE))
    return tag("figure", wide, _drawing(gradients, _NARROW), _legend())


def _drawing(gradients: Sequence[Block], frame: _Frame) -> Html:
    bottom = _TOP + _ROW * len(gradients)
    rows = [_bar(gradient, _TOP + _ROW * (number + 0.5), frame) for number, gradient in enumerate(gradients)]
    title = tag("title", escape("The error of each gradient beside its error bar, on a logarithmic axis"))
    box = f"0 0 {frame.width:g} {bottom + 24:g}"
    return tag("svg", title, _axis(bottom, frame), *rows, viewBox=box, role="img", class_=frame.class_)


def _axis(bottom: float, frame: _Frame) -> Html:
    parts = []
    for exponent in frame.ticks:
        x = frame.x(10.0**exponent)
        parts.append(_line(x, _TOP, x, bottom, "grid"))
        parts.append(_label(x, bottom + 16, "1" if exponent == 0 else f"1e{exponent}", "tick", "middle"))
    return tag("g", *parts)


def _bar(gradient: Block, y: float, frame: _Frame) -> Html:
    """A row: the name, the error bar, what would be seen, the error."""
    name, fit, verdict = gradient.name, frame.characters, gradient.verdict
    name = name if len(name) <= fit else name[: fit - 1] + "…"
    parts = [tag("title", escape(f"{gradient.name}: {verdict}")), _label(0, y + 4, name, "label", "start")]
    bar, error = _drawable(gradient.error_bar), _drawable(gradient.error)
    if bar is not None:
        parts.append(_box(frame.left, y - 6, frame.x(bar) - frame.left, 12, "band"))
    if (seen := _drawable(gradient.sensitivity)) is not None:
        parts.append(_line(frame.x(seen), y - 9, frame.x(seen), y + 9, "seen"))
    if error is None:
        told = f"{VERDICT_SIGNS[verdict]} no number"
        return tag("g", *parts, _label(frame.left + 8, y + 4, told, f"value {verdict}", "start"))
    x = frame.x(error)
    if bar is None or error > bar:
        start = frame.left if bar is None else frame.x(bar)
        parts.append(_box(start, y - 3, x - start, 6, f"beyond {verdict}"))
    parts.append(tag("circle", cx=f"{x:.1f}", cy=f"{y:.1f}", r=8, class_=f"mark {verdict}"))
    parts.append(_label(x, y + 4, VERDICT_SIGNS[verdict], f"sign {verdict}", "middle"))
    parts.append(_label(frame.width - 4, y + 4, format_small(gradient.error), f"value {verdict}", "end"))
    return tag("g", *parts)


def _drawable(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)


def _box(x: float, y: float, width: float, height: float, class_: str) -> Html:
    return tag("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:g}", class_=class_)


def _label(x: float, y: float, text: str, class_: str, anchor: str) -> Html:
    return tag("text", escape(text), x=f"{x:.1f}", y=f"{y:.1f}", class_=class_, text_anchor=anchor)


def _legend() -> Html:
    band = _swatch(_box(1, 4, 26, 12, "band"))
    seen = _swatch(_line(14, 1, 14, 19, "seen"))
    beyond = _swatch(_box(1, 7, 26, 6, "beyond wrong"))
    return tag(
        "figcaption",
        inline("span", band, escape(" the error bar: below it nothing can be told")),
        inline("span", seen, escape(f" an error this large {PROMISE}")),
        inline("span", beyond, escape(" how far an error is outside its bar; relative to the gradient's norm")),
    )


def _swatch(shape: Html) -> Html:
    return inline("svg", shape, viewBox="0 0 28 20", width=28, height=20, aria_hidden="true")
