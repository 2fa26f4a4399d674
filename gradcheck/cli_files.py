"""What ``gradcheck check`` writes for others than the person at the terminal: HTML, SARIF, GitHub."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gradcheck.workflow import append_summary, is_workflow

if TYPE_CHECKING:
    from gradcheck.report.report import Report


class Checked(NamedTuple):
    """A report, and the file of its target."""

    report: Report
    file: str
    #: what tells it from the others: its name, after its file where there are several
    label: str

    @property
    def labelled(self) -> Report:
        """The report for a reader of several."""
        return replace(self.report, name=self.label)


def write_files(options: argparse.Namespace, checked: Sequence[Checked]) -> None:
    """Write the files that are asked for.

    Raises:
        OSError: If one of them must not be written; it names the file.
    """
    from gradcheck._common.writing import write_output

    if options.html is not None and checked:
        from gradcheck.report.html import to_html

        write_output(options.html, to_html([one.labelled for one in checked]).encode())
    if options.sarif is not None:
        from gradcheck.report.sarif import to_sarif

        write_output(options.sarif, to_sarif([(one.report, one.file) for one in checked]).encode())


def github_lines(options: argparse.Namespace, checked: Sequence[Checked], failures: Sequence[str]) -> list[str]:
    """What GitHub's runner is to read; the summary of the step is written, if there is one."""
    if not (options.github or is_workflow()):
        return []
    from gradcheck.report.annotations import annotation_of_failure, to_annotations
    from gradcheck.report.summary import part_of, to_summary

    complaint = append_summary(to_summary([part_of(one.labelled) for one in checked], failures))
    lines = [line for one in checked for line in to_annotations(one.report, one.file)]
    return [*lines, *map(annotation_of_failure, failures), *([complaint] if complaint else [])]
