"""What the tests of the checker share."""

from __future__ import annotations

import pytest

from gradcheck._checking import check as _check

#: about lines, or about what a user sees
WITH_LINES = {
    "test_trace",
    "test_edits",
    "test_findings",
    "test_verifier",
    "test_plugin",
    "test_cli",
    "test_fix_files",
    "test_pace",
    "test_clip_lines",
    "test_threads",
    "test_adapter_lines",
    "test_annotate",
}


@pytest.fixture(autouse=True)
def lines_only_where_they_matter(request, monkeypatch):
    """Let verdicts be tested without the search for lines: it cannot change them, and takes seconds."""
    monkeypatch.setattr(_check, "TRACE_ERRORS_RAISE", True)
    if request.module.__name__.rpartition(".")[2] not in WITH_LINES:
        monkeypatch.setattr(_check._CheckRun, "_with_line_findings", lambda _, report: report)
