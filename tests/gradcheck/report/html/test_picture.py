"""The picture: what is outside its error bar is seen to be, and what has no number is no zero."""

from __future__ import annotations

import math

import pytest

from gradcheck.report.html.picture import picture
from gradcheck.report.records import Block
from tests.gradcheck.report.html.html_tree import page
from tests.gradcheck.report.sample_reports import VACUOUS, WRONG


def test_picture_shows_what_is_outside() -> None:
    """The error far outside its bar would look like one within it."""
    groups = page(WRONG).one("svg", "picture").all("g")[1:]
    beyond = [group.all("rect", "beyond") for group in groups]
    assert [len(found) for found in beyond] == [1, 1, 0]  # b, U, W
    outside = [found[0] for found in beyond[:2]]
    widths = [float(str(rect.attributes["width"])) for rect in outside]
    assert widths[0] > widths[1] > 100
    for group, rect in zip(groups, outside, strict=False):
        band = group.one("rect", "band").attributes
        end = float(str(band["x"])) + float(str(band["width"]))
        assert float(str(rect.attributes["x"])) == pytest.approx(end, abs=0.1)
        mark = float(str(group.one("circle").attributes["cx"]))
        assert mark == pytest.approx(end + float(str(rect.attributes["width"])), abs=0.2)


def test_picture_without_numbers() -> None:
    """A gradient that could not be compared would be missing from the picture, or drawn as an error of zero."""
    (group,) = page(VACUOUS).one("svg", "picture").all("g")[1:]
    assert not group.all("circle")
    assert "∅ no number" in group.text


@pytest.mark.parametrize("error", [0.0, 1e-300, 1e300, math.inf])
def test_what_is_beyond_the_axis_stands_at_its_end(error: float) -> None:
    """A mark would be drawn outside of the picture, where nobody sees it."""
    drawn = picture([Block("W", (1,), "wrong", error, 1e-12)])
    assert f'cx="{700.0 if error > 1 else 150.0}"' in drawn


def test_a_long_name_is_cut_before_the_axis() -> None:
    """A name would be written over its own error bar."""
    drawn = picture([Block("encoder.layers.0.weight", (1,), "right", 1e-15, 1e-13)])
    assert ">encoder.layers.0.…<" in drawn
    assert "encoder.layers.0.weight: right" in drawn


def test_a_small_screen_has_a_picture_of_its_own() -> None:
    """On a telephone the errors would lie beyond the edge, or names be too small to read."""
    small = page(WRONG).one("svg", "small-picture")
    wide = page(WRONG).one("svg", "picture")
    width = float(str(small.attributes["viewbox"]).split()[2])
    assert width < 390 < float(str(wide.attributes["viewbox"]).split()[2])
    assert [group.one("title").text for group in small.all("g")[1:]] == [
        group.one("title").text for group in wide.all("g")[1:]
    ]
    assert all(float(str(circle.attributes["cx"])) <= width for circle in small.all("circle"))
