"""What is underlined in a line, and what is said beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradcheck.report.evidence import Label
from gradcheck.report.wrong_span import MOST_SAID, wrong_span
from tests.gradcheck.report.findings_of import finding_at


def marked(line: str, wrong: str, right: str | None = None, **more: object) -> tuple[str, str]:
    """The part that is underlined, and what is said."""
    span = wrong_span(finding_at(line, wrong, right, **more), line)
    assert span is not None
    return line[span.start : span.end], span.said


@pytest.mark.parametrize(
    ("line", "wrong", "right", "underlined", "said"),
    [
        ("    dW += v @ dc.T", "dc", "dct", "dc", "expected dct"),
        ("do = dh * dsigmoid(o)", "dsigmoid(o)", "(o * (1 - o))", "dsigmoid(o)", "expected (o * (1 - o))"),
        ("d = (1 - c) ** 2 * d", "(1 - c) ** 2", "(1 - c ** 2)", "(1 - c) ** 2", "expected (1 - c ** 2)"),
        ("h, c = step(o, h, c)", "step(o, h, c)", "step(o, c, h)", "h, c", "expected c, h"),
        ("x, y = c * i, c * g", "c * i, c * g", "c * g, c * i", "c * i, c * g", "expected c * g, c * i"),
        ("x = f(a, c * i, c * g, b)", "c * i, c * g", "c * g, c * i", "c * i, c * g", "expected c * g, c * i"),
        ("d = a * f * g", "a * f * g", "a * g", "f *", "should not be here"),
        ("    d /= n", "d /= n", "pass", "d /= n", "should not be here"),
        ("return g", "g", "g / n", "g", "expected g / n"),
        ("g = x", "=", "+=", "=", "expected +="),
    ],
)
def test_the_part_that_an_edit_changes(line: str, wrong: str, right: str, underlined: str, said: str) -> None:
    """Too much would be underlined, or half of a pair of brackets, or what is said would not fit what is underlined."""
    assert marked(line, wrong, right) == (underlined, said)


def test_the_derivative_is_told_where_no_edit_says_more() -> None:
    """A line without a verified edit would be underlined without a word; or a guess be told as what is expected."""
    expected = Label.at_execution("z", 1, 3)
    assert marked("d = a * b", "a * b", expected=expected) == ("a * b", "expected dL/d(z)")
    assert marked("d = a * b", "a * b", "a * c", expected=expected, verified=False) == ("a * b", "expected dL/d(z)")
    assert marked("d = a * b", "a * b", "a * c", verified=False) == ("a * b", "")


def test_long_code_is_not_said_twice() -> None:
    """The edit would stand there in full, and once more below."""
    assert marked("d = a", "a", "b" * MOST_SAID)[1] == f"expected {'b' * MOST_SAID}"
    assert marked("d = a", "a", "b" * (MOST_SAID + 1)) == ("a", "")


def test_a_part_that_goes_on_is_marked_to_the_end_of_the_line() -> None:
    """A call over several lines would not be underlined at all."""
    line = "d = f(a,   "
    found = replace(finding_at(line, "f(a,"), end_column=None)
    assert wrong_span(found, line) == (4, 8, "")


@pytest.mark.parametrize(("column", "end"), [(None, None), (99, 100), (0, 2), (3, 3), (3, 1)])
def test_no_part_is_marked_where_none_is_known(column: int | None, end: int | None) -> None:
    """Columns that are not in the line would end the report in an error."""
    assert wrong_span(replace(finding_at("d = a", "a"), column=column, end_column=end), "d = a") is None


def test_an_edit_beside_the_part_says_nothing_of_it() -> None:
    """What an edit puts elsewhere would be told as what belongs here."""
    found = finding_at("d = a + b", "b", "c")
    assert found.fix is not None
    for fix in (replace(found.fix, after="e = a + c"), replace(found.fix, line=9), replace(found.fix, before="x\ny")):
        assert wrong_span(replace(found, fix=fix), "d = a + b") == (8, 9, "")
