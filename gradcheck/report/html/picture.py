"""The picture of the errors: each on a logarithmic axis, beside the error bar it has to stay within."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradcheck._common.verdict import MISS_PROBABILITY
from gradcheck.report.markup import Html, escape, inline, scrolling, tag
from gradcheck.report.phrases import VERDICT_SIGNS, format_small
from gradcheck.report.records import Block

#: the decades of the axis: from what double precision can tell to an error ten times the gradient
_FIRST = -16
_LAST = 1
_TICKS = (-16, -12, -8, -4, 0)
#: lengths in the picture's own units: where the axis begins and ends, and the width of all
_LEFT = 150.0
_RIGHT = 700.0
_WIDTH = 780.0
#: the height of a row, and what is above the first
_ROW = 24.0
_TOP = 8.0
#: characters of a name that fit before the axis
_LABEL = 18
#: of an error as large as the sensitivity
PROMISE = f"would have been missed with a probability of at most 1e{round(math.log10(MISS_PROBABILITY))}"


def picture(gradients: Sequence[Block]) -> Html:
    """Each error on a logarithmic axis, beside the error bar it has to stay within."""
    bottom = _TOP + _ROW * len(gradients)
    rows = [_bar(gradient, _TOP + _ROW * (number + 0.5)) for number, gradient in enumerate(gradients)]
    title = tag("title", escape("The error of each gradient beside its error bar, on a logarithmic axis"))
    drawing = tag(
        "svg", title, _axis(bottom), *rows, viewBox=f"0 0 {_WIDTH:g} {bottom + 24:g}", role="img", class_="picture"
    )
    return tag("figure", scrolling("Picture of the errors", drawing), _legend())


def _axis(bottom: float) -> Html:
    parts = []
    for exponent in _TICKS:
        x = _x(10.0**exponent)
        parts.append(_line(x, _TOP, x, bottom, "grid"))
        parts.append(_label(x, bottom + 16, "1" if exponent == 0 else f"1e{exponent}", "tick", "middle"))
    return tag("g", *parts)


def _bar(gradient: Block, y: float) -> Html:
    """A row: the name, the error bar, what would be seen, the error."""
    name = gradient.name if len(gradient.name) <= _LABEL else gradient.name[: _LABEL - 1] + "…"
    parts = [tag("title", escape(f"{gradient.name}: {gradient.verdict}")), _label(0, y + 4, name, "label", "start")]
    bar, error = _drawable(gradient.error_bar), _drawable(gradient.error)
    if bar is not None:
        parts.append(_box(_LEFT, y - 6, _x(bar) - _LEFT, 12, "band"))
    if (seen := _drawable(gradient.sensitivity)) is not None:
        parts.append(_line(_x(seen), y - 9, _x(seen), y + 9, "seen"))
    if error is None:
        parts.append(
            _label(
                _LEFT + 8, y + 4, f"{VERDICT_SIGNS[gradient.verdict]} no number", f"value {gradient.verdict}", "start"
            )
        )
        return tag("g", *parts)
    if bar is None or error > bar:
        start = _LEFT if bar is None else _x(bar)
        parts.append(_box(start, y - 3, _x(error) - start, 6, f"beyond {gradient.verdict}"))
    parts.append(tag("circle", cx=f"{_x(error):.1f}", cy=f"{y:.1f}", r=8, class_=f"mark {gradient.verdict}"))
    parts.append(_label(_x(error), y + 4, VERDICT_SIGNS[gradient.verdict], f"sign {gradient.verdict}", "middle"))
    parts.append(_label(_WIDTH - 4, y + 4, format_small(gradient.error), f"value {gradient.verdict}", "end"))
    return tag("g", *parts)


def _drawable(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _x(value: float) -> float:
    """Where a size stands on the axis; what is beyond an end stands at that end."""
    exponent = math.log10(value) if 0 < value < math.inf else (_LAST if value > 0 else _FIRST)
    part = (min(max(exponent, _FIRST), _LAST) - _FIRST) / (_LAST - _FIRST)
    return _LEFT + part * (_RIGHT - _LEFT)


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
