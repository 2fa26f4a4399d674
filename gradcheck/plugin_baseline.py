"""The baseline of a run of pytest: what its checks found, compared with what is kept, or kept from now on.

Imported with the plugin in every run of pytest, so only pytest and the standard library stand at its top.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradcheck.plugin_items import ENTRIES


class Baseline:
    """Gathers the checks of a run; at its end compares them, and writes them."""

    def __init__(self, save: Path | None, compare: Path | None) -> None:
        """Read what is kept, before anything runs.

        Raises:
            pytest.UsageError: If it cannot be read.
        """
        self.save, self.compare = save, compare
        self.kept = {} if compare is None else _read(compare)
        self.now: dict[str, dict[str, Any]] = {}
        self.is_complete = True
        self.losses: list[str] = []
        self.lines: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take what a test has checked."""
        entries = getattr(report, ENTRIES, None)
        if entries:
            self.now.setdefault(report.nodeid, {}).update(entries)

    def pytest_deselected(self) -> None:
        """Note that not all tests run."""
        self.is_complete = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compare, write, and let the run fail where something was lost."""
        if hasattr(session.config, "workerinput") or session.config.getoption("collectonly"):
            return
        ended_early = session.shouldstop or session.shouldfail
        if session.config.getoption("file_or_dir") or ended_early:
            self.is_complete = False
        if self.compare is not None:
            from gradcheck.report.baseline import losses

            self.losses = losses(self.kept, self.now, is_complete=self.is_complete)
            self.lines += self._told()
        if self.save is not None:
            self.lines.append(self._written(self.save))
        if self.losses and session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED, 3):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """What was lost, and how to accept it."""
        if self.lines:
            terminalreporter.section("gradcheck baseline")
            for line in self.lines:
                terminalreporter.line(line)

    def _told(self) -> list[str]:
        from gradcheck.report.baseline import describe_comparison

        return describe_comparison(self.losses, self.kept, self.now, str(self.compare), is_complete=self.is_complete)

    def _written(self, path: Path) -> str:
        from gradcheck._common.writing import write_output
        from gradcheck.report.baseline import count_right, merged, write_baseline

        kept = {} if self.is_complete or not path.exists() else _read(path)
        entries = merged(kept, self.now, is_complete=self.is_complete)
        try:
            write_output(path, write_baseline(entries).encode())
        except OSError as error:
            raise pytest.UsageError(f"--gradcheck-save: cannot write {path}: {error.strerror}") from None
        right, checks = count_right(entries)
        return f"written to {path}: {right} right gradients of {checks} checks; keep it in the repository"


def add_options(group: Any) -> None:
    """The two options."""
    group.addoption(
        "--gradcheck-save",
        type=Path,
        default=None,
        metavar="FILE",
        help="write what the checks of this run find to a JSON file to be kept in the repository (implies --gradcheck)",
    )
    group.addoption(
        "--gradcheck-compare",
        type=Path,
        default=None,
        metavar="FILE",
        help="fail where a gradient that was right in FILE is gone, wrong or vacuous, a law is no longer asked, or an "
        "error would have to be ten times larger to be seen (implies --gradcheck)",
    )


def configure(config: pytest.Config) -> None:
    """Let the run have a baseline, if it is asked for one."""
    save, compare = config.getoption("gradcheck_save"), config.getoption("gradcheck_compare")
    if save is None and compare is None:
        return
    config.option.gradcheck = True
    if save is not None and not save.parent.is_dir():
        raise pytest.UsageError(f"--gradcheck-save {save}: there is no folder {str(save.parent)!r}")
    config.pluginmanager.register(Baseline(save, compare), "gradcheck-baseline")


def _read(path: Path) -> dict[str, dict[str, Any]]:
    from gradcheck.report.baseline import BaselineError, read_baseline

    try:
        return read_baseline(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise pytest.UsageError(f"{path}: no such file; --gradcheck-save {path} writes it") from None
    except (OSError, UnicodeError) as error:
        raise pytest.UsageError(f"cannot read {path}: {error}") from None
    except BaselineError as error:
        raise pytest.UsageError(f"{path} is no baseline: {error}") from None
