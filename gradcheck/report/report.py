"""The report that a user holds: its records, and each form in which it can be read."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from gradcheck._common.printable import printable
from gradcheck.report.records import ReportRecord

# Each form is imported where it is asked for: `rich` alone takes as long as a small check.


class Report(ReportRecord):
    """Everything a check found out. `str(report)` is the text, `report.ok` the answer."""

    def to_html(self, path: str | PathLike[str]) -> None:
        """Write the report as one HTML file that needs nothing beside it."""
        from gradcheck._common.writing import replace_file
        from gradcheck.report.html import to_html

        replace_file(Path(path), to_html([self]).encode())

    def to_markdown(self) -> str:
        """The report as a Markdown section, for a pull request or a job summary."""
        from gradcheck.report.markdown import to_markdown

        return to_markdown(self)

    def _repr_html_(self) -> str:
        """As a notebook shows it."""
        from gradcheck.report.html import to_fragment

        return to_fragment(self)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """As IPython shows it in a terminal, where the short form would not say what is wrong."""
        return {"text/plain": str(self)}

    def __repr__(self) -> str:
        """In short: the name and the outcome."""
        from gradcheck.report.phrases import headline

        return printable(f"<Report {self.name}: {self.verdict} · {headline(self)}>")

    def __str__(self) -> str:
        """The report as text."""
        from gradcheck.report.text import to_text

        return to_text(self)


class GradientError(AssertionError):
    """Raised by `assert_gradients`: its text is the report's; the report itself is in `.report`."""

    def __init__(self, report: Report) -> None:
        """The report whose text is the message."""
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        """From a worker as its report."""
        return GradientError, (self.report,)
