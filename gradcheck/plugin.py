"""The pytest plugin: the marker, the fixture, and `@gradcheck.target` factories as tests.

Imported in every run of pytest in an environment that has gradcheck, so only pytest and the standard library stand at
its top. Hooks are in the order of a run.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import sys
from collections import Counter
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradcheck._targets.factory import TargetFactory
    from gradcheck.report.report import Report

#: the test that is running, for the session-scoped fixture
_running = pytest.StashKey[pytest.Item]()
#: the patterns of `gradcheck_files` that no file has matched so far
_unmatched = pytest.StashKey[set[str]]()
#: what is wrong with an item's marker
_misused = pytest.StashKey[str]()
_REASON = "needs --gradcheck"
_PROPERTY = "gradcheck"
_MUTANTS = "gradcheck-mutants"
_MARKER_OPTIONS = ("full", "seed")


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: expected an integer of at least 0")
    return int(text)


def pytest_addoption(parser: pytest.Parser) -> None:
    """One group; every option begins with --gradcheck."""
    group = parser.getgroup("gradcheck", "gradient audits")
    group.addoption(
        "--gradcheck",
        action="store_true",
        default=False,
        help="run tests marked gradcheck, and collect @gradcheck.target",
    )
    group.addoption(
        "--gradcheck-full", action="store_true", default=None, help="difference every entry, not only directions"
    )
    group.addoption(
        "--gradcheck-mutate",
        action="store_true",
        default=False,
        help="plant bugs in the backward of every collected factory; its check has to find them (implies --gradcheck)",
    )
    group.addoption(
        "--gradcheck-budget", type=float, default=None, metavar="SECONDS", help="time for the bugs of each factory"
    )
    group.addoption("--gradcheck-seed", type=_seed, default=None, metavar="N", help="seed of every check (default: 0)")
    parser.addini(
        "gradcheck_files", "glob patterns of files whose @gradcheck.target factories are collected", "args", default=[]
    )
    parser.addini("gradcheck_full", "difference every entry, not only directions", "bool", default=False)
    parser.addini("gradcheck_seed", "seed of every check", default="0")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker; refuse a bad ini file before anything runs."""
    config.addinivalue_line(
        "markers", "gradcheck(full=False, seed=0): a gradient audit; skipped unless pytest is run with --gradcheck"
    )
    config.option.gradcheck = config.option.gradcheck or config.option.gradcheck_mutate
    config.stash[_unmatched] = set(config.getini("gradcheck_files"))
    _option(config, None, "seed")


def pytest_report_header(config: pytest.Config) -> str:
    """Say whether the audits run, and how to run them again as they were."""
    if not config.getoption("gradcheck"):
        return "gradcheck: off (--gradcheck runs the audits)"
    full = " --gradcheck-full" if _option(config, None, "full") else ""
    return f"gradcheck: on (--gradcheck{full} --gradcheck-seed={_option(config, None, 'seed')})"


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
    if not (isinstance(collector, pytest.Module) and _is_factory(obj)):
        return None
    if not (_holds_targets(collector.config, collector.path) and obj.__module__ == collector.obj.__name__):
        return []
    return list(_items(collector, name, obj))


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
            item.add_marker(pytest.mark.skip(reason=_REASON))


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
    return (yield)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Fail a test whose marker is misused (see `pytest_collection_modifyitems`)."""
    if _misused in item.stash:
        pytest.fail(item.stash[_misused], pytrace=False)


@pytest.fixture(scope="session")
def gradcheck(request: pytest.FixtureRequest) -> GradcheckFixture:
    """Call it like `gradcheck.check`: ``gradcheck(target_or_factory, full=..., seed=...)``.

    Fails the test unless everything is right, and returns the report. Session-scoped, so that Hypothesis takes it; in
    a Hypothesis test no line is looked for unless ``explain=True`` is given.
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
        given = {name: _option(self._config, item, name) for name in _MARKER_OPTIONS}
        if currently_in_test_context():  # Hypothesis tries hundreds of examples to find the smallest that fails
            given["explain"] = False
        try:
            report = _audited(item, target_or_factory, {**given, **options})
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


class TargetFile(pytest.File):
    """A file with `@gradcheck.target` factories that is not a test file."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test for each factory."""
        from gradcheck._common.errors import UserCodeError
        from gradcheck._common.files import load

        try:
            module = load(self.path)
        except UserCodeError as error:
            raise self.CollectError(f"{error.traceback_text}\n{error}") from None
        for name, value in vars(module).items():
            if _is_factory(value) and value.__module__ == module.__name__:
                yield from _items(self, name, value)


def _items(parent: pytest.Collector, name: str, factory: Any) -> Iterator[pytest.Item]:
    yield TargetItem.from_parent(parent, name=name, factory=factory)
    if parent.config.getoption("gradcheck_mutate"):
        yield MutationItem.from_parent(parent, name=f"{name}[mutants]", factory=factory)


class TargetItem(pytest.Item):
    """One factory as a test."""

    def __init__(self, *, factory: TargetFactory, **keywords: Any) -> None:
        """`factory` is checked when the test runs."""
        super().__init__(**keywords)
        self.factory = factory
        self.add_marker("gradcheck")

    def runtest(self) -> None:
        """Check the factory."""
        from gradcheck.report.report import GradientError

        report = _audited(self, self.factory, {name: _option(self.config, self, name) for name in _MARKER_OPTIONS})
        if not report.ok:
            raise GradientError(report)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report, or the user's own traceback, instead of ours."""
        from gradcheck._common.errors import TargetError, UserCodeError
        from gradcheck.report.report import GradientError

        if isinstance(excinfo.value, UserCodeError):
            return f"{excinfo.value.traceback_text}\n{excinfo.value}"
        if isinstance(excinfo.value, (GradientError, TargetError)):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the factory is defined."""
        code = getattr(self.factory.make, "__code__", None)
        return self.path, code and code.co_firstlineno - 1, f"gradcheck {self.name}"


class MutationItem(TargetItem):
    """How strong the check of one factory is, as a test: bugs are planted, and it has to find them."""

    def runtest(self) -> None:
        """Plant the bugs; fail with those that were not found."""
        from gradcheck._mutation.mutation_pool import mutate

        options = {name: _option(self.config, self, name) for name in _MARKER_OPTIONS}
        report = mutate(self.factory, budget=self.config.getoption("gradcheck_budget"), **options)
        self.user_properties.append((_MUTANTS, report.summary))
        if report.survived:
            raise MutantsSurvivedError(str(report))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The mutants that were not found, instead of a traceback."""
        if isinstance(excinfo.value, MutantsSurvivedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)


class MutantsSurvivedError(AssertionError):
    """A check called gradients right in which a bug was planted."""


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line for each audit that is not right, and a count of all."""
    verdicts: Counter[str] = Counter()
    lines = []
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for name, value in report.user_properties:
                if name == _PROPERTY:
                    verdict = str(value).partition(":")[0]
                    verdicts[verdict] += 1
                    lines += [f"{value} ({report.nodeid})"] if verdict != "right" else []
    if not verdicts:
        return
    terminalreporter.section("gradient audits")
    for line in lines:
        terminalreporter.line(line)
    terminalreporter.line(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))


# -- what the hooks share ----------------------------------------------------------------------------------------------


def _audited(item: pytest.Item, subject: Any, options: dict[str, Any]) -> Report:
    """Run the check; leave its outcome on the item, in builtins, where reports, JUnit and xdist find it."""
    from gradcheck._checking.check import check

    report = check(subject, **options)
    gradients = f"{len(report.blocks)} gradient{'s' * (len(report.blocks) != 1)}"
    what = f": {report.name}, {gradients}, "
    # Hypothesis asks many times in one test; the last time counts, which is the example that it reports.
    others = [(name, value) for name, value in item.user_properties if name != _PROPERTY or what not in str(value)]
    item.user_properties[:] = [*others, (_PROPERTY, f"{report.verdict}{what}{report.evaluations} evaluations")]
    return report


def _option(config: pytest.Config, item: pytest.Item | None, name: str) -> Any:
    """The word of the closest marker that has one, else the command line's, else the ini file's."""
    for marker in item.iter_markers("gradcheck") if item is not None else ():
        if name in marker.kwargs:
            return marker.kwargs[name]
    given = config.getoption(f"gradcheck_{name}")
    if given is not None:
        return given
    value = config.getini(f"gradcheck_{name}")
    if name != "seed":
        return value
    try:
        return _seed(value)
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"gradcheck_seed in the ini file: {error}") from None


def _marker_error(marker: pytest.Mark) -> str | None:
    """What is wrong with the arguments of a marker, if anything."""
    unknown = [*map(repr, marker.args), *sorted(set(marker.kwargs) - set(_MARKER_OPTIONS))]
    if unknown:
        return f"takes {' and '.join(_MARKER_OPTIONS)} by name, got {', '.join(unknown)}"
    seed, full = marker.kwargs.get("seed", 0), marker.kwargs.get("full", False)
    if type(seed) is not int or seed < 0:
        return f"has seed={seed!r}: expected an integer of at least 0"
    if type(full) is not bool:
        return f"has full={full!r}: expected True or False"
    return None


def _holds_targets(config: pytest.Config, path: Path) -> bool:
    """Whether the audits are on and the file matches `gradcheck_files`."""
    if not config.getoption("gradcheck") or path.suffix != ".py":
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


def _is_factory(value: object) -> bool:
    """Without importing anything: where nobody has imported the class, nobody has made one."""
    sizes = sys.modules.get("gradcheck._targets.factory")
    return sizes is not None and isinstance(value, sizes.TargetFactory)


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """The traceback without the frames of this package."""
    if traceback is None:
        return None
    rest = _user_frames(traceback.tb_next)
    if traceback.tb_frame.f_globals.get("__name__", "").startswith("gradcheck."):
        return rest
    return TracebackType(rest, traceback.tb_frame, traceback.tb_lasti, traceback.tb_lineno)
