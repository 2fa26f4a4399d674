"""The magics of a notebook, in a session of IPython; without IPython they are not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from gradcheck.report.report import Report

CELL = """\
import numpy as np
import gradcheck
w = np.array([1.0, -2.0, 3.0])
def grads():
    return {"w": 3 * w}
bad = gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), grads)
"""


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A session in which the extension is loaded; `session.shown` is what it displayed."""
    pytest.importorskip("IPython")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from IPython.core.interactiveshell import InteractiveShell
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])  # a session puts itself in its place
    shell = InteractiveShell.instance(history_length=0)
    shell.history_manager.enabled = False
    shown: list[object] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    shell.extension_manager.load_extension("gradcheck")
    shell.shown = shown
    yield shell
    shell.reset()
    InteractiveShell.clear_instance()


def test_a_cell_is_run_and_what_it_defines_is_checked(session: Any) -> None:
    """`%%gradcheck` would show nothing, or check what another cell defined."""
    session.run_cell("import numpy as np, gradcheck\nold = gradcheck.Target({'v': np.ones(2)}, lambda: 0.0, dict)")
    session.run_cell("%%gradcheck --budget 60\n" + CELL)
    (report,) = session.shown
    assert isinstance(report, Report)
    assert (report.name, report.verdict) == ("bad", "wrong")
    assert "w" in session.user_ns


@pytest.mark.lines
def test_lines_are_those_of_the_cell(session: Any) -> None:
    """The line named would be one beside the wrong one, or that of a temporary file."""
    session.run_cell("%%gradcheck\n" + CELL, store_history=True)
    number = session.execution_count - 1
    assert f"cell [{number}], line 6, in grads\n" in str(session.shown[0])


def test_a_line_checks_what_is_there_by_name(session: Any) -> None:
    """A target could only be checked by running its cell again."""
    session.run_cell(CELL)
    session.run_cell("%gradcheck --no-explain bad")
    assert [report.verdict for report in session.shown] == ["wrong"]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%gradcheck\nx = 1", "no target: mark a factory with @gradcheck.target"),
        ("%gradcheck nothing", "no target 'nothing'; there is none"),
        ("%%gradcheck --sed 3\nx = 1", "unrecognized arguments: --sed"),
        ("%gradcheck --fix", "save the notebook and run gradcheck check x.ipynb --fix"),
        ("%%gradcheck --size T\nx = 1", "is not a size: expected NAME=N"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    session: Any, cell: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The kernel would end, or the student would see a traceback through argparse."""
    session.run_cell(cell)
    printed = capsys.readouterr()
    assert said in printed.err + printed.out
    assert "Traceback" not in printed.err + printed.out


def test_a_cell_that_raises_is_not_checked(session: Any) -> None:
    """Old targets would be checked although the cell did not run."""
    session.run_cell("%%gradcheck\n" + CELL + "1 / 0")
    assert session.shown == []


def test_str_of_a_report_is_its_text_in_a_notebook(session: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`print(report)` would print nothing: rich shows what it prints in a notebook there, and writes nothing."""
    import rich.console

    from tests.gradcheck.report.sample_reports import WRONG

    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    assert str(WRONG).startswith("✗ lstm: wrong")
    assert session.display_formatter.format(WRONG)[0]["text/plain"] == str(WRONG)
    assert session.display_formatter.format(WRONG)[0]["text/html"].startswith('<div class="gradcheck">')


def test_the_package_needs_no_ipython() -> None:
    """An import of the package, or of the magics, would fail where there is no IPython."""
    code = (
        "import sys; sys.modules['IPython'] = None\n"
        "import gradcheck, gradcheck.magics\n"
        "class Shell:\n"
        "    def register_magic_function(self, function, kind, name): print(kind, name)\n"
        "gradcheck.load_ipython_extension(Shell())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "line_cell gradcheck\n"
