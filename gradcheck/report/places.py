"""Where a finding is, and what a tool that shows one line of it should say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gradcheck._common.cells import cell_of, format_place, on_disk
from gradcheck._common.printable import printable
from gradcheck.report.evidence import Fix
from gradcheck.report.phrases import format_location, headline, reasons
from gradcheck.report.records import Finding, ReportRecord


@dataclass(frozen=True)
class Remark:
    """One thing to be shown at a place: `code` names its kind, `title` is one line, `text` all of it.

    `file` is a path from the root, if it lies there, with slashes; empty where no file is known. Lines and columns
    count from 1, 0 where they are unknown. `end_column` is just beyond the last character.
    """

    code: str
    is_error: bool
    title: str
    text: str
    file: str = ""
    line: int = 0
    column: int = 0
    end_column: int = 0
    #: an edit of this file that was verified
    fix: Fix | None = None


def remarks(report: ReportRecord, file: str = "") -> Iterator[Remark]:
    """What is wrong, then what is not decided; what has no file of its own is in `file`, that of the target."""
    for finding in report.findings:
        yield _of_finding(report, finding, file)
    if report.verdict == "wrong" and not report.findings:
        yield Remark("wrong", True, _line(f"{report.name}: wrong"), printable(headline(report)), _from_root(file))
    for reason, gradients in reasons(report).items():
        names = ", ".join(gradient.name for gradient in gradients)
        verdict = gradients[0].verdict
        yield Remark(
            verdict, False, _line(f"{report.name}: {verdict}"), printable(f"{names}: {reason}"), _from_root(file)
        )


def short_line(report: ReportRecord) -> str:
    """Place and headline of the first finding, in one line; the outcome where nothing was found."""
    if not report.findings:
        return _line(f"{report.name}: {report.verdict} · {headline(report)}")
    first = next(filter(format_location, report.findings), report.findings[0])
    at = f"{format_location(first)}: " if format_location(first) else ""
    others = len(report.findings) - 1
    more = f" (and {others} other{'s' * (others > 1)})" if others else ""
    return _line(f"{at}{first.headline}{more}")


def finding_line(finding: Finding) -> str:
    """A finding in one line: code, place, headline."""
    at = format_location(finding)
    return _line(f"{finding.code.value}{f' at {at}' if at else ''}: {finding.headline}")


def _of_finding(report: ReportRecord, finding: Finding, file: str) -> Remark:
    title, text = _line(f"{report.name}: {finding.headline}"), finding.message
    is_error = report.verdict == "wrong"
    if finding.fix is not None:
        said = "verified fix" if finding.fix.verified else "possible fix, not verified"
        text += f"\n{said}, line {finding.fix.line}:\n- {finding.fix.before}\n+ {finding.fix.after}"
    if finding.file is None or finding.line is None:
        return Remark(finding.code.value, is_error, title, printable(text), _from_root(file))
    if cell_of(finding.file) is not None:  # the lines of a cell are no lines of its file
        text = f"{format_place(finding.file, finding.line)}: {text}"
        return Remark(finding.code.value, is_error, title, printable(text), _from_root(on_disk(finding.file)))
    columns = (finding.column, finding.end_column) if finding.column and finding.end_column else (0, 0)
    fix = finding.fix if finding.fix is not None and finding.fix.verified else None
    at = (_from_root(finding.file), finding.line, *columns)
    return Remark(finding.code.value, is_error, title, printable(text), *at, fix=fix)


def root() -> Path:
    """The folder that paths are told from: that of the repository, where a workflow names it; else the current one."""
    workspace = os.environ.get("GITHUB_WORKSPACE", "")
    return Path(workspace) if workspace and Path.cwd().is_relative_to(workspace) else Path.cwd()


def _from_root(file: str) -> str:
    if not file:
        return ""
    path = Path.cwd() / file
    return (path.relative_to(root()) if path.is_relative_to(root()) else path).as_posix()


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
