"""What `gradcheck check` writes for others: SARIF, Markdown, annotations, the summary of a step."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gradcheck.cli import main
from tests.gradcheck.report.html.html_tree import parse
from tests.gradcheck.report.test_annotations import read

CELLS = """\
import numpy as np
import gradcheck

@gradcheck.target
def square(rng, *, N=3):
    w = rng.standard_normal(N)
    def grads():
        return {"w": 3 * w}
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), grads)

@gradcheck.target
def cube(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**3)), lambda: {"w": 3 * w**2})
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file of a wrong and a right target."""
    (tmp_path / "cells.py").write_text(CELLS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for variable in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE", "FORCE_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.lines
def test_sarif_has_the_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code scanning would have no line, or the exit status would not be that of the check."""
    assert main(["check", "cells.py", "--sarif", "out.sarif"]) == 1
    (result,) = json.loads((folder / "out.sarif").read_text())["runs"][0]["results"]
    where = result["locations"][0]["physicalLocation"]
    assert (where["artifactLocation"]["uri"], where["region"]["startLine"]) == ("cells.py", 8)
    assert "✗ square: wrong" in capsys.readouterr().out


def test_sarif_is_written_where_nothing_is_wrong(folder: Path) -> None:
    """The upload of the next step would find no file."""
    assert main(["check", "cells.py::cube", "--sarif", "out.sarif"]) == 0
    assert json.loads((folder / "out.sarif").read_text())["runs"][0]["results"] == []


def test_sarif_does_not_take_the_place_of_code() -> None:
    """A slip of the hand would overwrite the file that is checked."""
    with pytest.raises(SystemExit, match="2"):
        main(["check", "cells.py", "--sarif", "cells.py"])
    assert Path("cells.py").read_text() == CELLS


def test_markdown_in_the_place_of_text(capsys: pytest.CaptureFixture[str]) -> None:
    """What is posted to a pull request would be a terminal's table, or both."""
    assert main(["check", "cells.py", "--markdown", "--no-explain"]) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("### ✗ `square`: wrong\n")
    assert "\n### ✓ `cube`: right\n" in printed
    assert "in all:" not in printed
    with pytest.raises(SystemExit, match="2"):
        main(["check", "cells.py", "--markdown", "--json"])


@pytest.mark.parametrize("in_workflow", [False, True])
def test_annotations_and_the_summary(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], in_workflow: bool
) -> None:
    """The page of a job would say nothing, or a script that reads the reports would read commands."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    if in_workflow:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
    option = [] if in_workflow else ["--github"]
    assert main(["check", "cells.py", "nowhere.py", "--json", "--no-explain", *option]) == 2
    printed = capsys.readouterr()
    assert [json.loads(line)["ok"] for line in printed.out.splitlines()] == [False, True, False]
    told = [read(line) for line in printed.err.splitlines() if line.startswith("::")]
    assert [command for command, _, _ in told] == ["error", "error"]
    assert told[0][1]["file"] == "cells.py"
    assert told[1][2] == "nowhere.py: no such file"
    written = (folder / "summary.md").read_text(encoding="utf-8")
    assert written.startswith("## gradcheck: 1 wrong, 1 right, 1 could not be run\n")


def test_nothing_is_told_to_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody's terminal would fill with commands."""
    main(["check", "cells.py", "--no-explain"])
    printed = capsys.readouterr()
    assert not [line for line in (printed.out + printed.err).splitlines() if line.startswith("::")]


@pytest.mark.lines
def test_a_page_of_a_check_shows_the_source_the_entries_and_the_steps(folder: Path) -> None:
    """--html would show numbers alone: not where derivatives end, which entries are wrong, or why."""
    assert main(["check", "cells.py", "--html", "out.html"]) == 1
    pages = parse((folder / "out.html").read_text(encoding="utf-8")).all("article")
    titles = [[one.text.strip() for one in page.all("summary")] for page in pages]
    assert titles[0][:3] == ["What each line holds", "Which entries are wrong", "From long steps to short ones"]
    assert titles[1][:2] == ["What each line holds", "From long steps to short ones"]
    assert [len(page.all("tr", "wrong")) for page in pages] == [1, 0]


@pytest.mark.lines
def test_a_trace_and_an_audit_are_written_as_pages(folder: Path) -> None:
    """The options would be refused, or leave no file."""
    assert main(["trace", "cells.py", "--html", "trace.html"]) == 0
    assert len(parse((folder / "trace.html").read_text(encoding="utf-8")).all("article")) == 2
    assert main(["mutate", "cells.py::cube", "--html", "bugs.html"]) == 0
    assert "planted bugs" in parse((folder / "bugs.html").read_text(encoding="utf-8")).one("title").text


def test_a_page_that_would_take_the_place_of_code_is_refused(folder: Path) -> None:
    """`gradcheck trace cells.py --html cells.py` would be the end of cells.py."""
    with pytest.raises(SystemExit, match="2"):
        main(["trace", "cells.py", "--html", "cells.py"])
    assert (folder / "cells.py").read_text() == CELLS
