"""What the commands share."""

from __future__ import annotations

import argparse
import io
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from gradcheck import cli_session
from gradcheck._common.errors import TargetError
from gradcheck.cli_session import Progress, ProgressLine, Session, find_subjects
from gradcheck.report.progress_phrases import Stage

TARGETS = """
import numpy as np
import gradcheck

@gradcheck.target
def first(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})

second = first.with_sizes(N=1).build(0, {"N": 1})
"""


class Noting(Session):
    """A command that notes what it is given, and fails as it is told."""

    def run_subject(self, subject: Any) -> None:
        """Note the target's place and sizes; raise what the options say."""
        self.out.write(f"{self.where} {getattr(subject, 'sizes', None)}\n")
        if self.options.error is not None:
            raise self.options.error


def session(error: Exception | None = None, size: tuple[tuple[str, int], ...] = (), json: bool = False) -> Noting:
    """A session whose output and complaints are kept as text."""
    options = argparse.Namespace(size=list(size), json=json, error=error)
    return Noting(options, io.StringIO(), Console(file=io.StringIO(), width=200))


def said(run: Noting) -> tuple[str, str]:
    """What stands on standard output and on standard error."""
    assert isinstance(run.out, io.StringIO)
    assert isinstance(run.errors.file, io.StringIO)
    return run.out.getvalue(), run.errors.file.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A file with a factory and a target."""
    path = tmp_path / "nets.py"
    path.write_text(TARGETS)
    return str(path)


def test_every_target_is_run_in_order(file: str) -> None:
    """A target would be left out, or a size be given to what has none."""
    run = session(size=(("N", 5),))
    run.run_file(file)
    assert said(run) == (f"{file}::first {{'N': 5}}\n{file}::second None\n", "")
    assert run.finish() == 0


def test_target_that_cannot_be_run(file: str) -> None:
    """One target that cannot be run would end the command, or leave the exit status at 0."""
    run = session(TargetError("no parameters"), json=True)
    run.run_file(f"{file}::first")
    out, err = said(run)
    assert out.splitlines()[1] == f'{{"name": "{file}::first", "ok": false, "error": "{file}::first: no parameters"}}'
    assert err == f"gradcheck: {file}::first: no parameters\n"
    assert run.finish() == 2


def test_interrupt_ends_the_command(file: str) -> None:
    """Ctrl-C would be reported as a failure of the check, and the next target be begun."""
    with pytest.raises(KeyboardInterrupt):
        session(KeyboardInterrupt()).run_file(file)  # type: ignore[arg-type]


def test_subjects_by_name(file: str) -> None:
    """FILE::NAME would find another target, or a misspelt name none, in silence."""
    assert list(find_subjects(file, "")) == ["first", "second"]
    assert list(find_subjects(file, "second")) == ["second"]
    with pytest.raises(TargetError, match="has no target 'third'; it has first, second"):
        find_subjects(file, "third")


def test_progress_line_shows_stage_and_count() -> None:
    """A long check would not show what it is doing."""
    line = ProgressLine("checking", "evaluations")
    line.update("tracing", 12)
    assert line.__rich__() == "tracing · 12 evaluations · 0 s"


def test_old_news_are_not_told_after_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below a finished table it would say that one of ten gradients is judged."""
    monkeypatch.setattr(cli_session, "PROGRESS_DELAY", 0.0)
    monkeypatch.setattr(cli_session, "PROGRESS_INTERVAL", 0.01)
    for is_verdict_shown in (False, True):
        stream = io.StringIO()
        progress = Progress(stream, ProgressLine("checking", "evaluations"), "net.py::one", is_terminal=False)
        progress(Stage("judging", news="wrong: W"), 1)
        if is_verdict_shown:
            with progress.paused():
                pass
        progress.start()
        time.sleep(0.05)
        progress.stop()
        assert ("judging" in stream.getvalue()) is not is_verdict_shown
