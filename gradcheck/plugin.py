"""The pytest plugin: the marker, the fixture, and `@gradcheck.target` factories as tests.

Imported in every run of pytest in an environment that has gradcheck, so only pytest and the standard library stand at
its top. Hooks are in the order of a run.
"""

from __future__ import annotations

import argparse
import fnmatch
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from gradcheck._report import Report

#: the test that is running, for the session-scoped fixture
_running = pytest.StashKey[pytest.Item]()
_REASON = "needs --gradcheck"
_PROPERTY = "gradcheck"
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
    group.addoption("--gradcheck-seed", type=_seed, default=None, metavar="N", help="seed of every check (default: 0)")
    parser.addini(
        "gradcheck_files", "glob patterns of files whose @gradcheck.target factories are collected", "args", default=[]
    )
    parser.addini("gradcheck_full", "difference every entry, not only directions", "bool", default=False)
    parser.addini("gradcheck_seed", "seed of every check", default="0")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers", "gradcheck(full=False, seed=0): a gradient audit; skipped unless pytest is run with --gradcheck"
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say whether the audits run, and how to run them again as they were."""
    if not config.getoption("gradcheck"):
        return "gradcheck: off (--gradcheck runs the audits)"
    full = " --gradcheck-full" if _option(config, None, "full") else ""
    return f"gradcheck: on (--gradcheck{full} --gradcheck-seed={_option(config, None, 'seed')})"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Files that match `gradcheck_files`, when the audits are on."""
    config = parent.config
    if not config.getoption("gradcheck") or file_path.suffix != ".py":
        return None
    patterns = config.getini("gradcheck_files")
    relative = file_path.relative_to(config.rootpath) if file_path.is_relative_to(config.rootpath) else file_path
    if not any(_matches(relative, pattern) for pattern in patterns):
        return None
    collector: pytest.Collector = TargetFile.from_parent(parent, path=file_path)
    return collector


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is marked, when the audits are off."""
    for item in items:
        marker = item.get_closest_marker("gradcheck")
        if marker is None:
            continue
        unknown = sorted(set(marker.kwargs) - set(_MARKER_OPTIONS))
        if marker.args or unknown:
            given = ", ".join([*map(repr, marker.args), *unknown])
            raise pytest.UsageError(
                f"{item.nodeid}: the marker gradcheck takes {' and '.join(_MARKER_OPTIONS)} by name, got {given}"
            )
        if not config.getoption("gradcheck"):
            item.add_marker(pytest.mark.skip(reason=_REASON))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Remember which test is running: the fixture belongs to the session, its reports to tests."""
    item.config.stash[_running] = item
    return (yield)


@pytest.fixture(scope="session")
def gradcheck(request: pytest.FixtureRequest) -> Callable[..., Report]:
    """Call it like `gradcheck.check`: ``gradcheck(target_or_factory, full=..., seed=...)``.

    Fails the test unless everything is right, and returns the report. Session-scoped, so that Hypothesis takes it.
    """
    config = request.config

    def audit(target_or_factory: Any, **options: Any) -> Report:
        __tracebackhide__ = True
        item = config.stash[_running]
        for name in _MARKER_OPTIONS:
            options.setdefault(name, _option(config, item, name))
        report = _audited(item, target_or_factory, options)
        if not report.ok:
            pytest.fail("\n" + str(report), pytrace=True)
        return report

    return audit


class TargetFile(pytest.File):
    """A file with `@gradcheck.target` factories."""

    def collect(self) -> Iterator[pytest.Item]:
        """One test for each factory."""
        from gradcheck._errors import TargetError, UserCodeError
        from gradcheck._files import load
        from gradcheck._sizes import TargetFactory

        try:
            module = load(self.path)
        except UserCodeError as error:
            raise self.CollectError(f"{error.traceback_text}\n{error}") from None
        except TargetError as error:
            raise self.CollectError(str(error)) from None
        for name, value in vars(module).items():
            if isinstance(value, TargetFactory) and value.__module__ == module.__name__:
                yield TargetItem.from_parent(self, name=name, factory=value)


class TargetItem(pytest.Item):
    """One factory as a test."""

    def __init__(self, *, factory: Any, **keywords: Any) -> None:
        """`factory` is checked when the test runs."""
        super().__init__(**keywords)
        self.factory = factory
        self.add_marker("gradcheck")

    def runtest(self) -> None:
        """Check the factory."""
        from gradcheck._errors import GradientError

        report = _audited(self, self.factory, {name: _option(self.config, self, name) for name in _MARKER_OPTIONS})
        if not report.ok:
            raise GradientError(report)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report, or the user's own traceback, instead of ours."""
        from gradcheck._errors import GradientError, TargetError, UserCodeError

        if isinstance(excinfo.value, UserCodeError):
            return f"{excinfo.value.traceback_text}\n{excinfo.value}"
        if isinstance(excinfo.value, (GradientError, TargetError)):
            return str(excinfo.value).lstrip("\n")
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the factory is defined."""
        import inspect

        return self.path, inspect.getsourcelines(self.factory.make)[1] - 1, f"gradcheck {self.name}"


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
                    verdict = value.partition(":")[0]
                    verdicts[verdict] += 1
                    lines += [f"{value} ({report.nodeid})"] if verdict != "right" else []
    if not verdicts:
        return
    terminalreporter.section("gradient audits")
    for line in lines:
        terminalreporter.line(line)
    terminalreporter.line(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))


def _audited(item: pytest.Item, subject: Any, options: dict[str, Any]) -> Report:
    """Run the check; leave its outcome on the item, in builtins, where reports, JUnit and xdist find it."""
    from gradcheck._check import check

    report = check(subject, **options)
    summary = f"{report.verdict}: {report.name}, {len(report.blocks)} gradients, {report.evaluations} evaluations"
    item.user_properties.append((_PROPERTY, summary))
    if not report.ok:
        item.add_report_section("call", "gradcheck", str(report))
    return report


def _option(config: pytest.Config, item: pytest.Item | None, name: str) -> Any:
    """The marker's word, else the command line's, else the ini file's."""
    marker = item.get_closest_marker("gradcheck") if item is not None else None
    if marker is not None and name in marker.kwargs:
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


def _matches(path: Path, pattern: str) -> bool:
    """By the whole path from the root, or by the name alone where the pattern has no slash, as python_files does."""
    return fnmatch.fnmatch(path.as_posix() if "/" in pattern else path.name, pattern)
