"""Annotations, read back as GitHub's runner reads them."""

from __future__ import annotations

import re

import pytest

from gradcheck.report.annotations import annotation_of_failure, to_annotations
from gradcheck.report.places import remarks
from gradcheck.report.report import Report
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, INCONCLUSIVE, WRONG, hostile


def read(line: str) -> tuple[str, dict[str, str], str]:
    """Command, properties and text, as actions/runner's ActionCommand takes a line apart."""
    found = re.fullmatch(r"::(\w+)(?: ([^\n]*?))?::([^\n]*)", line)
    assert found is not None, line
    properties = dict(one.split("=", 1) for one in (found[2] or "").split(","))
    unescaped = {name: _unescaped(value.replace("%3A", ":").replace("%2C", ",")) for name, value in properties.items()}
    return found[1], unescaped, _unescaped(found[3])


def _unescaped(text: str) -> str:
    return text.replace("%0D", "\r").replace("%0A", "\n").replace("%25", "%")


@pytest.mark.parametrize("report", [*EVERY_VERDICT, hostile("a::b,c%0A\n::error::x")])
def test_the_runner_reads_back_what_was_said(report: Report) -> None:
    """A colon or a comma in a name would end a property, and a line break the annotation."""
    lines = to_annotations(report, "dir,x/a:b.py")
    told = list(remarks(report, "dir,x/a:b.py"))
    assert len(lines) == len(told)
    for line, remark in zip(lines, told, strict=True):
        command, properties, text = read(line)
        assert command == ("error" if remark.is_error else "warning")
        assert text == remark.text
        assert properties.get("file", "") == remark.file
        assert properties["title"] == f"gradcheck[{remark.code}] {remark.title}"


def test_the_faulty_line_is_annotated() -> None:
    """The annotation would not stand at the line."""
    _, properties, _ = read(to_annotations(WRONG)[1])
    assert (properties["line"], properties["endLine"]) == ("7", "7")
    assert (properties["col"], properties["endColumn"]) == ("12", "14")
    assert read(to_annotations(INCONCLUSIVE)[0])[0] == "warning"


def test_what_could_not_be_run_is_annotated() -> None:
    """A workflow would fail without a word on its page."""
    assert read(annotation_of_failure("a.py: no such file"))[2] == "a.py: no such file"
