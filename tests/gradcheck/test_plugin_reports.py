"""What the plugin tells GitHub, JUnit and the short summary, read back as each of them reads it."""

from __future__ import annotations

import xml.etree.ElementTree

# A run of pytest inside this process forgets what it was the first to import, and NumPy cannot be imported twice.
import hypothesis  # noqa: F401
import numpy  # noqa: F401
import pytest

from gradcheck.report import annotations, summary, text  # noqa: F401
from tests.gradcheck.report.test_annotations import read

CELLS = """
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
TEST = """
from cells import square
def test_square(gradcheck):
    gradcheck(square)
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong and a right factory, and a test of the wrong one."""
    pytester.makepyfile(cells=CELLS, test_cells=TEST)
    pytester.makeini("[pytest]\naddopts = -p no:benchmark -p no:cacheprovider\ngradcheck_files = cells.py")
    monkeypatch.setenv("COLUMNS", "160")
    for variable in (
        "FORCE_COLOR", "CI", "BUILD_NUMBER", "GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "GITHUB_WORKSPACE",
    ):  # fmt: skip
        monkeypatch.delenv(variable, raising=False)


def annotated(result: pytest.RunResult) -> list[dict[str, str]]:
    """The properties of the annotations of a run."""
    return [read(line)[1] for line in result.outlines if line.startswith("::")]


@pytest.mark.lines
def test_the_short_summary_has_place_and_headline(pytester: pytest.Pytester) -> None:
    """Whoever reads the end of a log would have to search it for the line."""
    result = pytester.runpytest("--gradcheck")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "FAILED cells.py::square - cells.py:8: 3 stands where 2 should*",
            "FAILED test_cells.py::test_square - cells.py:8: 3 stands where 2 should*",
            "✗ square: wrong · 1 of 1 gradients wrong",
        ]
    )


@pytest.mark.lines
@pytest.mark.parametrize("option", [[], ["-n", "1"]])
def test_a_workflow_gets_annotations_and_a_summary(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: list[str]
) -> None:
    """The page of a pull request would say no more than that a job failed; with xdist neither."""
    if option:
        pytest.importorskip("xdist")
    path = pytester.path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    run = pytester.runpytest_subprocess if option else pytester.runpytest
    result = run("--gradcheck", "--gradcheck-no-explain" if option else "--gradcheck-budget=30", "cells.py", *option)
    result.assert_outcomes(passed=1, failed=1)
    (told,) = annotated(result)
    assert told["file"] == "cells.py"
    assert told["title"].startswith("gradcheck[")
    assert told.get("line") == (None if option else "8")
    written = path.read_text(encoding="utf-8")
    assert written.startswith("before\n## gradcheck: 1 wrong, 1 right\n")
    assert "### ✗ `cells.py::square`: wrong" in written  # as several tests may check targets of one name


def test_annotations_only_where_they_are_read(pytester: pytest.Pytester) -> None:
    """Somebody's terminal would fill with commands for GitHub, or none could be had elsewhere."""
    assert annotated(pytester.runpytest("--gradcheck", "--gradcheck-no-explain", "cells.py")) == []
    result = pytester.runpytest("--gradcheck", "--gradcheck-no-explain", "--gradcheck-github", "cells.py")
    assert len(annotated(result)) == 1


def test_a_check_that_is_meant_to_fail_is_not_annotated(pytester: pytest.Pytester) -> None:
    """A test that a bug is caught would put an error on every pull request."""
    pytester.makepyfile(
        test_caught="import gradcheck, pytest\nfrom cells import square\n"
        "def test_caught(request):\n"
        "    check = request.getfixturevalue('gradcheck')\n"
        "    with pytest.raises(gradcheck.GradientError):\n"
        "        check(square, explain=False)\n"
    )
    result = pytester.runpytest("--gradcheck-github", "test_caught.py")
    result.assert_outcomes(passed=1)
    assert annotated(result) == []


@pytest.mark.lines
def test_junit_has_findings(pytester: pytest.Pytester) -> None:
    """A dashboard would show a failure without its line."""
    pytester.runpytest("--gradcheck", "cells.py", "--junitxml=out.xml")
    root = xml.etree.ElementTree.parse(pytester.path / "out.xml").getroot()
    found = {one.attrib["name"]: one.attrib["value"] for one in root.iter("property")}
    assert found["gradcheck-finding"] == "square: wrong-variable at cells.py:8: 3 stands where 2 should"
    failure = next(root.iter("failure"))
    assert failure.attrib["message"].startswith("cells.py:8: 3 stands where 2 should")
    assert "✗ square: wrong" in (failure.text or "")


def test_an_error_of_the_users_is_in_the_short_summary(pytester: pytest.Pytester) -> None:
    """The short summary would name a target that cannot be run, and not say why."""
    pytester.makepyfile(cells=CELLS.replace('return {"w": 3 * w}', 'raise ValueError("off")'))
    result = pytester.runpytest("--gradcheck", "cells.py")
    result.stdout.fnmatch_lines(["FAILED cells.py::square - grads() raised ValueError: off*"])
    result.stdout.fnmatch_lines(["*in grads", "*ValueError: off"])


def test_a_summary_that_cannot_be_written_is_told(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run would end with an internal error of pytest's."""
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path))
    result = pytester.runpytest("--gradcheck", "--gradcheck-no-explain", "cells.py")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["gradcheck: cannot write the summary *"])
