"""What the tests of the checker share."""

from __future__ import annotations

import pytest

from gradcheck._checking import lines
from gradcheck._common import errors


@pytest.fixture(autouse=True)
def lines_only_where_they_matter(request, monkeypatch):
    """Let verdicts be tested without the search for lines: it cannot change them, and takes seconds.

    Tests that are about lines, or about what a user sees of them, have the marker `lines`.
    """
    monkeypatch.setattr(errors, "SEARCH_ERRORS_RAISE", True)
    if request.node.get_closest_marker("lines") is None:
        monkeypatch.setattr(lines, "with_line_findings", lambda _, report: report)
