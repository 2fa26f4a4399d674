"""What an array is matched with, and how that is labelled."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import pytest

from gradcheck._tracing.adjoints import Adjoint
from gradcheck._tracing.matching import Library, Match
from gradcheck._tracing.orders import aligned
from gradcheck._usercode.rewriting import Site, Statement
from gradcheck.report.evidence import Label

RNG = np.random.default_rng(0)
H = [RNG.standard_normal((2, 3)) for _ in range(3)]
C = RNG.standard_normal((2, 3))


def adjoint(number: int, text: str, value: Any, execution: int = 0, kind: Any = "bind", identity: int = 0) -> Adjoint:
    """The derivative of one value of a forward."""
    statement = Statement("a.py", ast.parse(f"{text} = 1").body[0], f"{text} = 1", "forward")
    site = Site(number, kind, text, 1, statement)
    return Adjoint(site, execution, value, order=execution, identity=identity)


@pytest.fixture(scope="module")
def library() -> Library:
    """h at three time steps, and c once."""
    return Library([*(adjoint(0, "h", value, t) for t, value in enumerate(H)), adjoint(1, "c", C)], 1.0)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (C, Match(Label("c"))),
        (C.T, Match(Label("c"))),
        (2 * C, Match(Label("c"), 2.0)),
        (H[1], Match(Label("h", 2, 3, 1))),
        (H[1][:, :2].copy() * 0, None),
        (np.ones((2, 3)), None),
        (H[2] + H[1], Match(Label("h", sum_of="the sum of the last 2 of 3"))),
        (H[0] + H[1] + H[2], Match(Label("h", sum_of="the sum of the last 3 of 3"))),
        (np.stack(H), Match(Label("h", detail="all executions"))),
        (np.stack(H[::-1]), Match(Label("h", detail="all executions, last first"))),
        (C[0], Match(Label("c", detail="row 0"))),
    ],
)
def test_a_value_is_labelled(library: Library, value: Any, match: Match | None) -> None:
    """A value would be taken for the derivative of another expression, or at another time step."""
    (found,) = library.match_all([value])
    if match is not None and found is not None:
        assert found.factor == pytest.approx(match.factor)
        found, match = found._replace(factor=1.0), match._replace(factor=1.0)
    assert found == match


def test_values_side_by_side_are_labelled_each(library: Library) -> None:
    """The gates of a fused gradient would go by the name of the first of them."""
    (found,) = library.match_all([np.hstack([C, H[0]])])
    assert found is not None
    assert found.parts
    assert [label.expression for label in found.label.each()] == ["c", "c", "c", "h", "h", "h"]
    assert str(found.label.each()[0]) == "dL/d(c), part 1 of 3"


def test_a_value_through_some_of_its_uses_is_partial() -> None:
    """A sum that is short of a derivative would be called right."""
    uses = [adjoint(number, "h", RNG.standard_normal((2, 3)), 0, "load", 7) for number in range(3)]
    (found,) = Library(uses, 1.0).match_all([uses[0].value + uses[2].value])
    assert found == Match(Label("h", detail="through 2 of its uses"), partial=True)
    assert not found.exact


def test_an_order_is_told_in_the_label(library: Library) -> None:
    """What a statement should give would be told without saying that it is summed."""
    series = next(one for one in library.series if len(one.values) == 3)
    labels = {str(one.label) for _, one in aligned(series, 1)}
    assert {"dL/d(h), summed over its executions", "dL/d(h), of all executions", "dL/d(h)"} <= labels
    assert "dL/d(h), accumulated" in {str(one.label) for _, one in aligned(series, 3)}
