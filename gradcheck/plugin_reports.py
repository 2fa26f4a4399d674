"""What the plugin tells others than the person at the terminal: JUnit, GitHub, and pytest's own short summary.

Imported with the plugin in every run of pytest, so only pytest and the standard library stand at its top.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest

from gradcheck.plugin_items import CHECKED, ENTRIES
from gradcheck.workflow import append_summary, is_workflow

#: attributes of a test's report, of builtins, so that xdist brings them from its workers
_ANNOTATIONS = "gradcheck_annotations"
_PARTS = "gradcheck_parts"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the report of a test bring what its checks found."""
    report = yield
    checked = item.stash.get(CHECKED, {}) if call.when == "call" else {}
    if not checked:
        return report
    item.stash[CHECKED] = {}  # items live as long as the session, and a test may be run again
    from gradcheck.report.places import short_line

    if report.failed:
        wrong = [one for one in checked.values() if not one.ok]
        crash = getattr(report.longrepr, "reprcrash", None)
        if wrong and crash is not None and _is_about_gradients(call):
            crash.message = short_line(wrong[-1])
        if is_github(item.config):
            from gradcheck.report.annotations import to_annotations

            told = [line for one in wrong for line in to_annotations(one, str(item.path))]
            setattr(report, _ANNOTATIONS, told)
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        from gradcheck.report.summary import part_of

        setattr(report, _PARTS, [list(part_of(replace(one, name=_label(item, one.name)))) for one in checked.values()])
    if item.config.getoption("gradcheck_save") or item.config.getoption("gradcheck_compare"):
        from gradcheck.report.baseline import entry_of

        setattr(report, ENTRIES, {name: entry_of(one) for name, one in checked.items()})
    return report


def is_github(config: pytest.Config) -> bool:
    """Whether GitHub shows what is written."""
    return bool(config.getoption("gradcheck_github")) or is_workflow()


def tell_github(terminalreporter: Any) -> None:
    """Write the annotations, and the summary of the job."""
    every = [one for reports in terminalreporter.stats.values() for one in reports]
    terminalreporter.ensure_newline()  # a command begins a line, or it is none
    for line in dict.fromkeys(line for one in every for line in getattr(one, _ANNOTATIONS, [])):
        terminalreporter.line(line)
    parts = [part for one in every for part in getattr(one, _PARTS, [])]
    if parts:
        from gradcheck.report.summary import Part, to_summary

        complaint = append_summary(to_summary([Part(*part) for part in parts]))
        if complaint:
            terminalreporter.line(complaint)


def _label(item: pytest.Item, name: str) -> str:
    """What tells a target of a test from those of others."""
    return item.nodeid if item.name == name else f"{item.nodeid}: {name}"


def _is_about_gradients(call: pytest.CallInfo[None]) -> bool:
    from gradcheck.report.report import GradientError

    return call.excinfo is not None and isinstance(call.excinfo.value, GradientError)
