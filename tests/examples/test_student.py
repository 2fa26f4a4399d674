"""The notebook of the examples says what its text promises."""

from __future__ import annotations

from pathlib import Path

import gradcheck
from gradcheck._common.files import load
from gradcheck.report.phrases import format_location

NOTEBOOK = Path(__file__).parents[2] / "examples" / "student.ipynb"


def test_its_wrong_line_is_named() -> None:
    """A student who tries the example would not be told which line it is."""
    (finding,) = gradcheck.check(load(NOTEBOOK).rnn, budget=None).findings
    assert format_location(finding).endswith("student.ipynb, cell [2], line 19")
    assert finding.fix is not None
    assert finding.fix.after == "da = dh * (1 - self.h[t + 1] ** 2)"
