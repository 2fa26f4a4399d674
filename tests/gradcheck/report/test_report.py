"""The report that a user holds, and the error that carries it."""

from __future__ import annotations

import pickle
from pathlib import Path

from gradcheck.report.html import to_html
from gradcheck.report.markdown import to_markdown
from gradcheck.report.report import GradientError
from gradcheck.report.text import to_text
from tests.gradcheck.report.sample_reports import WRONG


def test_each_form_is_asked_of_the_report(tmp_path: Path) -> None:
    """A form would be that of another report, or none."""
    WRONG.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == to_html([WRONG])
    assert WRONG.to_markdown() == to_markdown(WRONG)
    assert str(WRONG) == to_text(WRONG)


def test_the_error_says_what_the_report_says() -> None:
    """A failed test would not show what is wrong, or lose it on the way from a worker."""
    error = pickle.loads(pickle.dumps(GradientError(WRONG)))
    assert isinstance(error, AssertionError)
    assert str(error) == str(WRONG)
    assert error.report == WRONG
