"""What ``gradcheck check`` writes for others than the person at the terminal: HTML, SARIF, GitHub."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from gradcheck.workflow import append_summary, is_workflow

if TYPE_CHECKING:
    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target
    from gradcheck.report.html.pictures import Pictures
    from gradcheck.report.report import Report


#: wrong gradients whose curve is drawn, so that there is room for a right one
MOST_WRONG = 2


class Checked(NamedTuple):
    """A report, and the file of its target."""

    report: Report
    file: str
    #: what tells it from the others: its name, after its file where there are several
    label: str
    #: what a page shows beside it, where one is asked for
    pictures: Pictures | None = None

    @property
    def labelled(self) -> Report:
        """The report for a reader of several."""
        return replace(self.report, name=self.label)


def pictures_of(subject: Target | TargetFactory, seed: int, report: Report) -> Pictures:
    """What a page shows beside a report: what each line holds, which entries are wrong, how differences go."""
    from gradcheck._annotating.annotate import trace
    from gradcheck._annotating.measured import measured_maps
    from gradcheck._checking.step_sizes import step_curves
    from gradcheck._common.errors import TargetError
    from gradcheck._targets.factory import TargetFactory
    from gradcheck.report.html.pictures import Pictures
    from gradcheck.report.phrases import worst_first
    from gradcheck.report.trace_records import Trace

    ordered = [block.name for block in worst_first(report)]
    right = [name for name in ordered if report.blocks[name].verdict == "right"]
    try:
        found = trace(subject, seed, report.findings)
    except TargetError:  # code that the tape cannot follow
        wrong = [name for name in ordered if report.blocks[name].verdict == "wrong"]
        sizes = subject.sizes if isinstance(subject, TargetFactory) else {}
        found = Trace((), (), measured_maps(subject, seed, wrong), dict(sizes))
    names = [*[name for name in ordered if name not in right][:MOST_WRONG], *right]
    return Pictures(found, step_curves(subject, seed, names))


def write_files(options: argparse.Namespace, checked: Sequence[Checked]) -> None:
    """Write the files that are asked for.

    Raises:
        OSError: If one of them must not be written; it names the file.
    """
    from gradcheck._common.writing import write_output

    if options.html is not None and checked:
        from gradcheck.report.html import to_html
        from gradcheck.report.html.pictures import NO_PICTURES

        page = to_html([one.labelled for one in checked], [one.pictures or NO_PICTURES for one in checked])
        write_output(options.html, page.encode())
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
