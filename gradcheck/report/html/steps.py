"""Central differences from long steps to short ones, on axes of decades, with the slopes that they have to follow."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from gradcheck.report.markup import Html, escape, inline, join_html, paragraph, scrolling, tag
from gradcheck.report.trace_records import StepCurve

#: the decades of both axes, and of the distance
_STEPS, _DISTANCES = (-13, 0), (-14, 2)
_LEFT, _TOP, _WIDTH, _HEIGHT = 52.0, 10.0, 560.0, 280.0
#: at this distance the truncated part of a central difference is, at a step of one, in the guide
_GUIDES = ((2, "h²: cut off too early"), (-1, "1/h: rounding"))
#: nearer than this a gradient is the slope
NEAR = 1e-5
MEANING = (
    "Along one direction through each gradient: how far a central difference of the loss is from what the gradient "
    "says. Of a right gradient the distance falls with the square of the step, until rounding makes it grow again. "
    "A wrong one stays as far away as it is wrong, however short the step is."
)


def step_plot(curves: Sequence[StepCurve]) -> Html:
    """The curves, what each says, and what that means."""
    title = tag("title", escape("Distance of central differences from each gradient, by step, on logarithmic axes"))
    box = f"0 0 {_LEFT + _WIDTH + 10:g} {_TOP + _HEIGHT + 40:g}"
    drawn = [part for number, curve in enumerate(curves) for part in _curve(curve, number)]
    plot = tag("svg", title, *_axes(), *_guides(), *drawn, viewBox=box, role="img", class_="steps")
    told = [
        tag("li", inline("b", escape(one.name)), escape(f" ({_MARKS[at]}): {_says(one)}")) for at, one in _few(curves)
    ]
    return join_html(
        tag("figure", scrolling("Differences by step", plot)), paragraph(MEANING, "small"), tag("ul", *told)
    )


#: what tells the curves apart without colour
_MARKS = ("●", "■", "▲")


def _few(curves: Sequence[StepCurve]) -> list[tuple[int, StepCurve]]:
    return list(enumerate(curves[: len(_MARKS)]))


def _says(curve: StepCurve) -> str:
    """In words, whether it comes near."""
    nearest = min(distance for _, distance in curve.points)
    if nearest <= NEAR:
        return f"comes as near as {nearest:.1e}: the gradient is the slope"
    return f"comes no nearer than {nearest:.1e}: the gradient is not the slope"


def _x(step: float) -> float:
    return _LEFT + _WIDTH * (step - _STEPS[0]) / (_STEPS[1] - _STEPS[0])


def _y(distance: float) -> float:
    inside = min(max(distance, _DISTANCES[0]), _DISTANCES[1])
    return _TOP + _HEIGHT * (_DISTANCES[1] - inside) / (_DISTANCES[1] - _DISTANCES[0])


def _axes() -> Iterator[Html]:
    bottom, right = _TOP + _HEIGHT, _LEFT + _WIDTH
    for decade in range(_STEPS[0] + 1, _STEPS[1] + 1, 4):
        yield _line(_x(decade), _TOP, _x(decade), bottom, "grid")
        yield _word(_x(decade), bottom + 16, _power(decade), "middle")
    for decade in range(_DISTANCES[0], _DISTANCES[1] + 1, 4):
        yield _line(_LEFT, _y(decade), right, _y(decade), "grid")
        yield _word(_LEFT - 6, _y(decade) + 4, _power(decade), "end")
    yield _word(_LEFT + _WIDTH / 2, bottom + 34, "step h, relative to the parameter", "middle")


def _guides() -> Iterator[Html]:
    """What truncation and rounding do to a difference of a smooth loss in double precision."""
    for slope, words in _GUIDES:
        begin = -1.0 if slope > 0 else -13.0
        height = -2.0 if slope > 0 else -2.5
        end = begin + (-12.0 / slope if slope > 0 else 9.0)
        other = height + slope * (end - begin)
        yield _line(_x(begin), _y(height), _x(end), _y(other), "guide")
        middle, at = (begin + end) / 2, (height + other) / 2
        yield _word(_x(middle) + (8 if slope > 0 else 10), _y(at) + (4 if slope > 0 else -4), words, "start")


def _curve(curve: StepCurve, number: int) -> Iterator[Html]:
    is_right = min(distance for _, distance in curve.points) <= NEAR
    class_ = "right" if is_right else "wrong"
    places = [(_x(math.log10(h)), _y(math.log10(d) if d > 0 else -math.inf)) for h, d in curve.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield tag("polyline", points=path, class_=f"curve {class_}")
    mark = _MARKS[number % len(_MARKS)]
    for x, y in places:
        yield tag("text", escape(mark), x=f"{x:.1f}", y=f"{y + 4:.1f}", text_anchor="middle", class_=class_)


def _power(decade: int) -> str:
    return "1" if decade == 0 else f"1e{decade}"


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)


def _word(x: float, y: float, text: str, anchor: str) -> Html:
    return tag("text", escape(text), x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor, class_="tick")
