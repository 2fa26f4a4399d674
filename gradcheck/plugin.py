"""The pytest plugin: the marker, the fixture, and `@gradcheck.target` factories as tests.

Imported in every run of pytest in an environment that has gradcheck, so only pytest and the standard library stand at
its top. Hooks are in the order of a run.
"""

from __future__ import annotations

import fnmatch
import importlib
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

from gradcheck import plugin_baseline, plugin_reports
from gradcheck._laws.choice import chosen_laws
from gradcheck.plugin_items import (
    MARKER_OPTIONS,
    OUTCOME_PROPERTY,
    UNTRIED_PROPERTY,
    TargetFile,
    check_item,
    checks_begun,
    is_factory,
    make_items,
    read_options,
    require_checked,
)
from gradcheck.plugin_options import pytest_addoption as pytest_addoption

if TYPE_CHECKING:
    from gradcheck.report.report import Report

#: the test that is running, for the session-scoped fixture
_running = pytest.StashKey[pytest.Item]()
#: the patterns of `gradcheck_files` that no file has matched so far
_unmatched = pytest.StashKey[set[str]]()
#: how many checks had begun before a test
_checks_before = pytest.StashKey[int]()
#: seconds for the search for lines, if nothing else is said
BUDGET = 30.0
#: the exit status where nothing is wrong, but not all was verified
NOT_ALL_VERIFIED = 3
#: what is wrong with an item's marker
_misused = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; refuse a bad ini file before anything runs."""
    config.addinivalue_line(
        "markers",
        "gradcheck(full=False, seed=0): a gradient audit; also takes explain=False (look for no lines) and budget=30 "
        "(seconds for that); skipped unless pytest is run with --gradcheck",
    )
    config.option.gradcheck = config.option.gradcheck or config.option.gradcheck_mutate
    config.pluginmanager.register(plugin_reports, "gradcheck-reports")
    plugin_baseline.configure(config)
    config.stash[_unmatched] = set(config.getini("gradcheck_files"))
    config.pluginmanager.register(_UntriedCounter(), "gradcheck-untried")
    read_options(config, None)  # refuses a bad seed


def pytest_report_header(config: pytest.Config) -> str:
    """Say whether the audits run, and how to run them again as they were."""
    if not config.getoption("gradcheck"):
        return "gradcheck: off (--gradcheck runs the audits)"
    options = read_options(config, None)
    full = " --gradcheck-full" if options["full"] else ""
    lines = f" --gradcheck-budget={options['budget']:g}" if options["budget"] != BUDGET else ""
    lines = lines if options["explain"] else " --gradcheck-no-explain"
    return f"gradcheck: on (--gradcheck{full}{lines} --gradcheck-seed={options['seed']})"


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Files that match `gradcheck_files`, when the audits are on; but not what pytest itself reads as a test file."""
    collectors = yield
    if _holds_targets(parent.config, file_path) and not any(map(_looks_inside, collectors)):
        collectors = [*collectors, TargetFile.from_parent(parent, path=file_path)]
    return collectors


def pytest_pycollect_makeitem(collector: pytest.Collector, name: str, obj: object) -> list[pytest.Item] | None:
    """Factories in a test file: a test each where `gradcheck_files` matches, so that the file is imported only once.

    Elsewhere nothing, whatever the name: a factory called test_lstm is no test function.
    """
    if not (isinstance(collector, pytest.Module) and is_factory(obj)):
        return None
    if not (_holds_targets(collector.config, collector.path) and obj.__module__ == collector.obj.__name__):
        return []
    return list(make_items(collector, name, obj))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked, when the audits are off."""
    for item in items:
        markers = list(item.iter_markers("gradcheck"))
        problem = next(filter(None, map(_marker_error, markers)), None)
        if problem is not None:
            message = f"{item.nodeid}: the marker gradcheck {problem}"
            if not hasattr(config, "workerinput"):
                raise pytest.UsageError(message)
            item.stash[_misused] = message  # xdist loses a worker's usage error, so there it fails the test
        elif markers and not config.getoption("gradcheck"):
            item.add_marker(pytest.mark.skip(reason="needs --gradcheck"))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Audits that never run look like audits that pass: warn, unless the user chose the files of this run."""
    config = session.config
    if config.getoption("gradcheck") and not config.getoption("file_or_dir"):
        unmatched = config.stash[_unmatched]
        for pattern in sorted(unmatched):
            config.issue_config_time_warning(
                pytest.PytestConfigWarning(
                    f"gradcheck_files: no file that pytest visits matches {pattern}; is its folder in testpaths?"
                ),
                stacklevel=2,
            )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember which test is running: the fixture belongs to the session, its reports to tests."""
    item.config.stash[_running] = item
    item.stash[_checks_before] = checks_begun()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a marked test that passes without having checked anything: it looks like an audit that passes."""
    result = yield
    if item.get_closest_marker("gradcheck") is not None:
        require_checked(item, item.stash[_checks_before])
    return result


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker is misused (see `pytest_collection_modifyitems`)."""
    if _misused in item.stash:
        pytest.fail(item.stash[_misused], pytrace=False)


@pytest.fixture(scope="session")
def gradcheck(request: pytest.FixtureRequest) -> GradcheckFixture:
    """Call it like `gradcheck.check`: ``gradcheck(target_or_factory, full=..., seed=...)``.

    Fails the test unless everything is right, and returns the report. Session-scoped, so that Hypothesis takes it; in
    a Hypothesis test no line is searched for unless ``explain=True`` is given.
    """
    return GradcheckFixture(request.config)


class GradcheckFixture:
    """The fixture's value. It has the package's names too, since a test's argument `gradcheck` hides the package."""

    def __init__(self, config: pytest.Config) -> None:
        """For the tests of one session."""
        self._config = config

    def __call__(self, target_or_factory: Any, **options: Any) -> Report:
        """Check; raise `gradcheck.GradientError` unless the report is ok."""
        __tracebackhide__ = True
        from hypothesis import currently_in_test_context

        from gradcheck._common.errors import TargetError
        from gradcheck.report.report import GradientError

        item = self._config.stash[_running]
        given = read_options(self._config, item)
        if currently_in_test_context():  # Hypothesis tries hundreds of examples to find the smallest that fails
            given["explain"] = False
        try:
            report = check_item(item, target_or_factory, {**given, **options})
        except TargetError as error:
            cause = error.__cause__ and error.__cause__.with_traceback(_user_frames(error.__cause__.__traceback__))
            raise error.with_traceback(None) from cause
        if not report.ok:
            raise GradientError(report)
        return report

    def __getattr__(self, name: str) -> Any:
        """A name of the package."""
        return getattr(importlib.import_module("gradcheck"), name)

    def __repr__(self) -> str:
        """As Hypothesis shows it among the arguments of a failing test."""
        return "gradcheck"


class _UntriedCounter:
    """Gives the run an exit status of its own where tests failed for want of time, and for nothing else."""

    def __init__(self) -> None:
        self.failed = self.untried = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a failure; under xdist those of the workers arrive here, too."""
        self.failed += report.failed
        self.untried += report.failed and any(name == UNTRIED_PROPERTY for name, _ in report.user_properties)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Nothing is wrong, but not all is verified."""
        if self.untried and self.untried == self.failed and session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            session.exitstatus = NOT_ALL_VERIFIED


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line for each audit that is not right, and a count of all."""
    verdicts: Counter[str] = Counter()
    lines = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == OUTCOME_PROPERTY:
                    verdict = str(value).partition(":")[0]
                    verdicts[verdict] += 1
                    lines += [f"{value} ({report.nodeid})"] if verdict != "right" else []
    plugin_reports.tell_github(terminalreporter)
    if not verdicts:
        return
    terminalreporter.section("gradient audits")
    from gradcheck._common.printable import printable

    for line in lines:
        terminalreporter.line(printable(line))
    terminalreporter.line(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))


# -- what the hooks share ----------------------------------------------------------------------------------------------


def _marker_error(marker: pytest.Mark) -> str | None:
    """What is wrong with the arguments of a marker, if anything."""
    unknown = [*map(repr, marker.args), *sorted(set(marker.kwargs) - set(MARKER_OPTIONS))]
    if unknown:
        names = f"{', '.join(MARKER_OPTIONS[:-1])} and {MARKER_OPTIONS[-1]}"
        return f"takes {names} by name, got {', '.join(unknown)}"
    seed = marker.kwargs.get("seed", 0)
    if type(seed) is not int or seed < 0:
        return f"has seed={seed!r}: expected an integer of at least 0"
    for name in ("full", "explain"):
        value = marker.kwargs.get(name, False)
        if type(value) is not bool and (name, value) != ("full", "tape"):
            return f"has {name}={value!r}: expected True or False" + (' or "tape"' if name == "full" else "")
    try:
        chosen_laws(marker.kwargs.get("laws"))
    except (ValueError, TypeError) as error:
        return f"has laws={marker.kwargs['laws']!r}: {error}"
    budget = marker.kwargs.get("budget")
    if budget is not None and (type(budget) not in (int, float) or not budget > 0):
        return f"has budget={budget!r}: expected seconds above 0, or None for no limit"
    return None


def _holds_targets(config: pytest.Config, path: Path) -> bool:
    """Whether the audits are on and the file matches `gradcheck_files`."""
    if not config.getoption("gradcheck") or path.suffix not in (".py", ".ipynb"):
        return False
    relative = path.relative_to(config.rootpath) if path.is_relative_to(config.rootpath) else path
    matching = {pattern for pattern in config.getini("gradcheck_files") if _matches(relative, pattern)}
    config.stash[_unmatched] -= matching
    return bool(matching)


def _matches(path: Path, pattern: str) -> bool:
    """By the whole path from the root, or by the name alone where the pattern has no slash, as python_files does."""
    return fnmatch.fnmatch(path.as_posix() if "/" in pattern else path.name, pattern)


def _looks_inside(collector: pytest.Collector) -> bool:
    """Whether it asks `pytest_pycollect_makeitem` about each name of the file; doctest's module does not."""
    return isinstance(collector, pytest.Module) and type(collector).collect is pytest.Module.collect


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this package."""
    if traceback is None:
        return None
    rest = _user_frames(traceback.tb_next)
    if traceback.tb_frame.f_globals.get("__name__", "").startswith("gradcheck."):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
