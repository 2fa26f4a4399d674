"""What is shown at a place: the right file and line, in one line where there is room for one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gradcheck._common.cells import name_of_cell
from gradcheck.report.places import finding_line, remarks, short_line
from gradcheck.report.report import Report
from tests.gradcheck.report.sample_reports import INCONCLUSIVE, RIGHT, VACUOUS, WRONG, hostile


def test_a_line_has_its_place_and_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An annotation would stand at the top of the file, or in another one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    law, sign, _ = remarks(WRONG, str(tmp_path / "targets" / "lstm.py"))
    assert (sign.file, sign.line, sign.column, sign.end_column) == ("model.py", 7, 12, 14)
    assert (law.file, law.line) == ("targets/lstm.py", 0)
    assert (sign.code, sign.is_error, sign.title) == ("wrong-sign", True, "lstm: the sign is wrong")
    assert sign.text.endswith("verified fix, line 7:\n- grads['b'] -= dz\n+ grads['b'] += dz")


def test_paths_are_told_from_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a workflow that works in a folder, GitHub would look for the file in another place."""
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path))
    assert [one.file for one in remarks(WRONG)] == ["", "sub/model.py", ""]


def test_a_cell_has_no_line_of_its_file() -> None:
    """Line 7 of a cell would be shown at line 7 of the notebook's JSON."""
    file = name_of_cell(str(Path.cwd() / "x.ipynb"), 3)
    (remark,) = remarks(replace(WRONG, findings=(replace(WRONG.findings[1], file=file),)))
    assert (remark.file, remark.line) == ("x.ipynb", 0)
    assert remark.text.startswith("x.ipynb, cell [3], line 7: the sign is wrong")


def test_what_is_not_decided_is_no_error() -> None:
    """A kink would be shown as a mistake, or not at all."""
    (remark,) = remarks(INCONCLUSIVE)
    assert (remark.code, remark.is_error, remark.text) == ("inconclusive", False, "W, b: the loss has a kink")
    assert [one.code for one in remarks(VACUOUS)] == ["vacuous"]
    assert list(remarks(RIGHT)) == []


def test_a_wrong_report_without_findings_is_told() -> None:
    """A wrong gradient of which nothing else is known would not be seen."""
    (remark,) = remarks(replace(WRONG, findings=()), "lstm.py")
    assert (remark.code, remark.file, remark.is_error) == ("wrong", "lstm.py", True)


def test_the_short_line_begins_with_the_place() -> None:
    """pytest's summary would begin with the name of our exception."""
    assert short_line(WRONG) == "model.py:7: the sign is wrong (and 2 others)"
    assert short_line(replace(WRONG, findings=())).startswith("lstm: wrong · 2 of 3 gradients wrong")
    assert finding_line(WRONG.findings[1]) == "wrong-sign at model.py:7: the sign is wrong"


@pytest.mark.parametrize("report", [WRONG, hostile("a\nb\x1b[31m")])
def test_one_line_is_one_line(report: Report) -> None:
    """A name with a line break would end the line, and what follows would be a command of its own."""
    for line in (short_line(report), *map(finding_line, report.findings), *(one.title for one in remarks(report))):
        assert "\n" not in line
        assert "\x1b" not in line
