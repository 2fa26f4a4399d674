"""The tests that the plugin makes of `@gradcheck.target` factories, and how it checks a target for any test.

Imported with the plugin in every run of pytest, so only pytest and the standard library stand at its top.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ExceptionChainRepr, ReprEntryNative, ReprFileLocation, ReprTraceback

from gradcheck.cli_parser import parse_laws, parse_seconds, parse_seed

if TYPE_CHECKING:
    from gradcheck._targets.factory import TargetFactory
    from gradcheck.report.report import Report

#: the user property of a test with the outcome of each check, for JUnit and for the summary
OUTCOME_PROPERTY = "gradcheck"
#: the user property of a test with one finding: its target, code, place and headline
FINDING_PROPERTY = "gradcheck-finding"
#: the user property of a mutation audit with its count
MUTANTS_PROPERTY = "gradcheck-mutants"
#: what the marker takes; command line and ini file have each as gradcheck_NAME
MARKER_OPTIONS = ("full", "laws", "seed", "explain", "budget")
#: the user property of a mutation audit that there was no time for
UNTRIED_PROPERTY = "gradcheck-untried"


#: the attribute of a test's report with what a baseline keeps: of builtins, so that xdist brings it from its workers
ENTRIES = "gradcheck_entries"
#: the reports of a test, by the names of their targets
CHECKED = pytest.StashKey["dict[str, Report]"]()


def _parse_laws(text: str) -> frozenset[str] | None:
    """Those of the ini file, where it names any."""
    return parse_laws(text) if text else None


_PARSERS: dict[str, Callable[[str], object]] = {"laws": _parse_laws, "seed": parse_seed, "budget": parse_seconds}


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
            if is_factory(value) and value.__module__ == module.__name__:
                yield from make_items(self, name, value)


def make_items(parent: pytest.Collector, name: str, factory: Any) -> Iterator[pytest.Item]:
    """The tests of one factory: its check, and with --gradcheck-mutate its mutation audit."""
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

        report = check_item(self, self.factory, read_options(self.config, self))
        if not report.ok:
            raise GradientError(report)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The report, or the user's own traceback, instead of ours."""
        from gradcheck._common.errors import TargetError, UserCodeError
        from gradcheck.report.report import GradientError

        if isinstance(excinfo.value, UserCodeError):
            return self._told(f"{excinfo.value.traceback_text}\n{excinfo.value}", str(excinfo.value))
        if isinstance(excinfo.value, (GradientError, TargetError)):
            return self._told(str(excinfo.value), str(excinfo.value))
        return super().repr_failure(excinfo, style)

    def _told(self, text: str, message: str) -> ExceptionChainRepr:
        """The text in the place of a traceback, and the message for the short summary and JUnit."""
        path, line, _ = self.reportinfo()
        crash = ReprFileLocation(str(path), (line or 0) + 1, message)
        return ExceptionChainRepr([(ReprTraceback([ReprEntryNative([f"{text}\n"])], None, "native"), crash, None)])

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Where the factory is defined."""
        code = getattr(self.factory.make, "__code__", None)
        return self.path, code and code.co_firstlineno - 1, f"gradcheck {self.name}"


class MutationItem(TargetItem):
    """How strong the check of one factory is, as a test: bugs are planted, and it has to find them."""

    def runtest(self) -> None:
        """Plant the bugs; fail with those that were not found."""
        from gradcheck._mutation.mutation_pool import mutate

        options = read_options(self.config, self)
        report = mutate(
            self.factory,
            budget=self.config.getoption("gradcheck_budget"),
            full=options["full"],
            seed=options["seed"],
            isolated=True,
        )
        self.user_properties.append((MUTANTS_PROPERTY, report.summary))
        if report.survived:
            raise MutantsSurvivedError(str(report))
        if report.untried:
            self.user_properties.append((UNTRIED_PROPERTY, len(report.untried)))
            raise MutantsUntriedError(f"{report}\ngo on with a larger --gradcheck-budget, or without one")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The mutants that were not found, instead of a traceback."""
        if isinstance(excinfo.value, (MutantsSurvivedError, MutantsUntriedError)):
            return self._told(str(excinfo.value), str(excinfo.value))
        return super().repr_failure(excinfo, style)


class MutantsSurvivedError(AssertionError):
    """A check called gradients right in which a bug was planted."""


class MutantsUntriedError(AssertionError):
    """No bug that was tried was missed, but there was no time for all of them."""


def check_item(item: pytest.Item, subject: Any, options: dict[str, Any]) -> Report:
    """Run the check; leave its outcome on the item, in builtins, where reports, JUnit and xdist find it."""
    from gradcheck._checking.check import check

    report = check(subject, **options)
    if report.is_interrupted:
        item.session.shouldstop = "interrupted while lines were looked for"
    gradients = f"{len(report.blocks)} gradient{'s' * (len(report.blocks) != 1)}"
    what = f": {report.name}, {gradients}, "
    # Hypothesis checks many times in one test; the last check counts, which is of the example that it reports.
    others = [one for one in item.user_properties if one[0] != OUTCOME_PROPERTY or what not in str(one[1])]
    item.user_properties[:] = [*others, (OUTCOME_PROPERTY, f"{report.verdict}{what}{report.evaluations} evaluations")]
    item.stash.setdefault(CHECKED, {})[report.name] = report
    _leave_findings(item, report)
    return report


def _leave_findings(item: pytest.Item, report: Report) -> None:
    """A property for each finding: its code, place and headline; those of an earlier check go."""
    from gradcheck.report.places import finding_line

    prefix = f"{report.name}: "
    others = [one for one in item.user_properties if one[0] != FINDING_PROPERTY or not str(one[1]).startswith(prefix)]
    told = [(FINDING_PROPERTY, f"{prefix}{finding_line(one)}") for one in report.findings]
    item.user_properties[:] = [*others, *told]


def read_options(config: pytest.Config, item: pytest.Item | None) -> dict[str, Any]:
    """The options of a check of this test, or of any test."""
    return {name: _read_option(config, item, name) for name in MARKER_OPTIONS}


def _read_option(config: pytest.Config, item: pytest.Item | None, name: str) -> Any:
    """The value of the closest marker that has one, else the command line's, else the ini file's."""
    for marker in item.iter_markers("gradcheck") if item is not None else ():
        if name in marker.kwargs:
            return marker.kwargs[name]
    given = config.getoption(f"gradcheck_{name}")
    if given is not None:
        return given
    value = config.getini(f"gradcheck_{name}")
    if name not in _PARSERS:
        return value
    try:
        return _PARSERS[name](value)
    except argparse.ArgumentTypeError as error:
        raise pytest.UsageError(f"gradcheck_{name} in the ini file: {error}") from None


def checks_begun() -> int:
    """How many checks have begun in this process. Nothing is imported for it, as for `is_factory`."""
    turns = sys.modules.get("gradcheck._common.turns")
    return 0 if turns is None else int(turns.turns_taken())


def require_checked(item: pytest.Item, before: int) -> None:
    """Fail a test in which no check has begun, unless a fixture hands it a report."""
    records = sys.modules.get("gradcheck.report.records")
    handed = getattr(item, "funcargs", {}).values()
    if checks_begun() == before and not (records and any(isinstance(one, records.ReportRecord) for one in handed)):
        pytest.fail(
            "marked gradcheck, but nothing was checked: call the fixture gradcheck or gradcheck.check(), or take the "
            "marker away",
            pytrace=False,
        )


def is_factory(value: object) -> bool:
    """Whether it is a target factory. Nothing is imported for it: without the class there is no instance."""
    factory = sys.modules.get("gradcheck._targets.factory")
    return factory is not None and isinstance(value, factory.TargetFactory)
