"""What is wrong, as GitHub shows it beside the line: commands of a workflow, one a line."""

from __future__ import annotations

from gradcheck._common.printable import printable
from gradcheck.report.places import Remark, remarks
from gradcheck.report.records import ReportRecord


def to_annotations(report: ReportRecord, file: str = "") -> list[str]:
    """One ``::error file=...,line=...::text`` for each finding; what is not decided is a ``::warning``."""
    return [annotation(one) for one in remarks(report, file)]


def annotation_of_failure(message: str) -> str:
    """What is said of a target that could not be run, as a command."""
    return annotation(Remark("cannot-be-run", True, "a target could not be run", printable(message)))


def annotation(remark: Remark) -> str:
    """A remark as a command."""
    told = {
        "file": remark.file,
        "line": remark.line,
        "endLine": remark.line,
        "col": remark.column,
        "endColumn": remark.end_column,
        "title": f"gradcheck[{remark.code}] {remark.title}",
    }
    properties = ",".join(f"{name}={_property(str(value))}" for name, value in told.items() if value)
    return f"::{'error' if remark.is_error else 'warning'} {properties}::{_data(remark.text)}"


def _data(text: str) -> str:
    """Escaped as the runner reads it back."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
