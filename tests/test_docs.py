"""The documentation names what exists, and its picture is what the command draws."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.report import codes, evidence
from gradcheck.report.records import Block, Finding, Law, ReportRecord, Trial

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "CONTRIBUTING.md", ROOT / "benchmarks" / "README.md"]


def test_the_picture_is_what_the_command_draws() -> None:
    """The picture would show steps or rooms that the command no longer draws."""
    code = "import draw_how_a_check_works as drawing; print(drawing.draw(), end='')"
    drawn = subprocess.run([sys.executable, "-X", "utf8", "-c", code], cwd=DOCS, capture_output=True, check=True).stdout
    assert drawn.decode() == (DOCS / "how-a-check-works.svg").read_text(encoding="utf-8")


def test_the_picture_names_rooms_that_exist() -> None:
    """A reader would look for a folder that was renamed."""
    rooms = re.findall(r'font-family="monospace">([^<]*)<', (DOCS / "how-a-check-works.svg").read_text("utf-8"))
    assert rooms
    for name in " ".join(rooms).split():
        assert (ROOT / "gradcheck" / name / "__init__.py").exists(), name


def test_the_reading_order_names_files_that_exist() -> None:
    """A newcomer would be sent to a file that was renamed."""
    rows = re.findall(r"^\| (`gradcheck/.*?) \|", (DOCS / "how-a-check-works.md").read_text("utf-8"), re.M)
    assert rows
    for row in rows:
        first, *others = re.findall(r"`([^`]*)`", row)
        for path in [ROOT / first, *((ROOT / first).parent / other for other in others)]:
            assert path.exists(), path


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """A reader would follow a link to nothing."""
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("record", [ReportRecord, Block, Law, Trial, Finding], ids=lambda record: record.__name__)
def test_every_field_of_a_report_is_documented(record: type) -> None:
    """A program that reads reports would find fields that nobody explains."""
    page = (DOCS / "report.md").read_text("utf-8")
    assert [one.name for one in dataclasses.fields(record) if f"`{one.name}`" not in page] == []


def test_every_code_of_a_finding_is_documented() -> None:
    """A program that reads reports would find codes that nobody explains."""
    page = (DOCS / "report.md").read_text("utf-8")
    assert [code for code in codes.FindingCode if f"`{code}`" not in page] == []


def test_every_kind_of_evidence_is_documented_with_its_fields() -> None:
    """A program that reads reports would find evidence that nobody explains."""
    page = (DOCS / "report.md").read_text("utf-8")
    records = [
        evidence.Label,
        evidence.Fix,
        evidence.IndexRange,
        evidence.AxisPart,
        *evidence.Evidence.__subclasses__(),
    ]
    names = [one.kind for one in evidence.Evidence.__subclasses__()]
    names += [one.name for record in records for one in dataclasses.fields(record)]
    assert [name for name in names if f"`{name}`" not in page] == []
