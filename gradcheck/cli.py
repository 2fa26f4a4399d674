"""The command: ``gradcheck check FILE[::NAME] ...``.

Reports go to standard output; complaints, progress, and whatever the user's own code prints, to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, TextIO

from gradcheck._common.signs import HANDLER
from gradcheck.cli_completion import CompletionCommand
from gradcheck.cli_derive import DeriveCommand
from gradcheck.cli_explain import ExplainCommand
from gradcheck.cli_files import Checked, github_lines, pictures_of, write_files
from gradcheck.cli_folders import expand_folders
from gradcheck.cli_init import InitCommand
from gradcheck.cli_output import OUTPUT_LOST, Complaints, Output, OutputLostError, Screen, discard_rest, lost_status
from gradcheck.cli_parser import build_parser, refuse_outputs
from gradcheck.cli_session import Progress, Session
from gradcheck.cli_words import with_command

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from rich.console import RenderableType

    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target
    from gradcheck.cli_recheck import Rechecked
    from gradcheck.report.mutation_records import MutationReport
    from gradcheck.report.report import Report
    from gradcheck.report.trace_records import Trace

#: as a shell says of Ctrl-C
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the result is the exit status."""
    parser = build_parser()
    options = parser.parse_args(with_command(sys.argv[1:] if arguments is None else arguments, [*COMMANDS], parser))
    refuse_outputs(parser, options)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=HANDLER)  # a ✓ must not end a check where the encoding has none
    errors: Any = Complaints(sys.stderr or io.StringIO())
    if sys.stdout is None:
        print("gradcheck: standard output is closed, so there is nowhere to report to", file=errors)
        return OUTPUT_LOST
    out: Any = Output(sys.stdout)
    try:
        with contextlib.redirect_stdout(errors), contextlib.redirect_stderr(errors):
            status = _run_command(options, out)
        out.flush()
    except KeyboardInterrupt:
        print("gradcheck: interrupted; every array was put back", file=errors)
        return INTERRUPTED
    except OutputLostError as error:
        status = lost_status(error, errors)
    discard_rest(sys.stdout, sys.stderr)
    return status


def _run_command(options: argparse.Namespace, out: TextIO) -> int:
    from rich.console import Console

    # without --color it is for rich to find out
    no_color = True if getattr(options, "color", "auto") == "never" else None
    session = COMMANDS[options.command](options, out, Console(stderr=True, highlight=False, no_color=no_color))
    if session.takes_folders:
        expand_folders(session, options)
    for argument in options.files:
        session.run_file(argument)
    return session.finish()


@dataclass
class _TraceCommand(Session):
    """``gradcheck trace``."""

    takes_folders: ClassVar[bool] = True
    traces: list[tuple[str, Trace]] = field(default_factory=list)

    def run_subject(self, subject: Target | TargetFactory) -> None:
        from gradcheck._annotating.annotate import trace
        from gradcheck._common.printable import printable

        found = trace(subject, self.options.seed)
        print(printable(f"{self.where}\n{found}"), file=self.out)
        self.traces.append((self.where, found))

    def finish(self) -> int:
        from gradcheck.report.html.traced import traces_to_html

        is_written = self.write_html(lambda: traces_to_html(self.traces), bool(self.traces))
        return 2 if self.failed or not is_written else 0


@dataclass
class _MutateCommand(Session):
    """``gradcheck mutate``."""

    takes_folders: ClassVar[bool] = True
    audits: list[MutationReport] = field(default_factory=list)

    def run_subject(self, subject: Target | TargetFactory) -> None:
        from gradcheck._mutation.mutation_pool import mutate
        from gradcheck.report.progress_phrases import Stage

        options, started = self.options, time.monotonic()

        def told(done: int, total: int) -> None:
            left = (time.monotonic() - started) / done * (total - done) if done else None
            progress(Stage(f"planting bugs: {total} in all", left=left), done)

        with self._progress("planting bugs", "mutants") as progress:
            report = mutate(
                subject,  # type: ignore[arg-type]  # a Target is refused, with the reason
                full=options.full,
                seed=options.seed,
                budget=options.budget,
                jobs=options.jobs,
                isolated=True,
                progress=told,
            )
        print(report.to_json(indent=None) if options.json else report, file=self.out, flush=True)
        self.audits.append(report)

    def finish(self) -> int:
        from gradcheck.report.html.mutations import audits_to_html

        is_written = self.write_html(lambda: audits_to_html(self.audits), bool(self.audits))
        return 2 if self.failed or not is_written else _worst_status(self.audits)


@dataclass
class _CheckCommand(Session):
    """``gradcheck check``."""

    takes_folders: ClassVar[bool] = True
    checked: list[Checked] = field(default_factory=list)
    #: whether the verdict and the table of the target under way are printed already
    is_verdict_shown: bool = False
    #: what the files say when they have been fixed; empty if they were not
    mended: list[Rechecked] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.screen = Screen.on(self.out, self.options.color)
        if self.options.jobs > 1 and not self.options.full:
            self.print_line("--jobs divides the entries of --full; without --full it has no effect", "yellow")

    def run_subject(self, subject: Target | TargetFactory) -> None:
        from gradcheck._checking.check import check

        options = self.options
        with self._executor_for(subject) as executor, self._progress("checking", "evaluations") as progress:
            report = check(
                subject,
                full=options.full,
                laws=options.laws,
                explain=options.explain,
                budget=options.budget,
                seed=options.seed,
                executor=executor,
                progress=progress,
                on_verdict=lambda report: self._show_verdict(report, progress),
            )
        self._show(report)
        if options.html is not None:
            self.checked[-1] = self.checked[-1]._replace(pictures=pictures_of(subject, options.seed, report))

    def _executor_for(self, subject: Target | TargetFactory) -> contextlib.AbstractContextManager[Executor | None]:
        """The processes that a full check is shared out to; none where there is nothing to share."""
        if not (self.options.full and self.options.jobs > 1):
            return contextlib.nullcontext()
        from gradcheck._common.workers import workers
        from gradcheck._targets.factory import TargetFactory

        return workers(self.options.jobs) if isinstance(subject, TargetFactory) else contextlib.nullcontext()

    @property
    def _has_other_form(self) -> bool:
        """Whether the reports are not printed as text at length."""
        return bool(self.options.json or self.options.markdown or self.options.quiet)

    @property
    def reports(self) -> list[Report]:
        """The reports so far."""
        return [one.report for one in self.checked]

    def finish(self) -> int:
        for line in github_lines(self.options, self.checked, self.failures):
            print(line, file=self.errors.file)
        if not (self._write_files() and self._write_fixes()):
            return 2
        if len(self.reports) + self.failed > 1 and not self._has_other_form:
            counts = Counter[str](report.verdict for report in self.reports)
            parts = [f"{count} {verdict}" for verdict, count in sorted(counts.items())]
            parts += [f"{self.failed} could not be run"] if self.failed else []
            print(f"\nin all: {', '.join(parts)}", file=self.out)
        return 2 if self.failed else _worst_status(self.mended or self.reports)

    def _write_fixes(self) -> bool:
        """Write what --fix and --patch ask for; whether that went well."""
        if not (self.options.fix or self.options.patch):
            return True
        from gradcheck._common.errors import TargetError
        from gradcheck._usercode.fix_files import collect_fixes, write_fixes, write_patch

        fixes = collect_fixes(self.reports)
        if not fixes:
            self.print_line("no verified fix to write", "yellow")
            return True
        try:
            if self.options.patch:
                write_patch(self.options.patch, fixes)
            for done in write_fixes(fixes) if self.options.fix else ():
                self.print_line(done, "green")
            if self.options.fix:
                self._check_again()
        except OSError as error:
            self.print_line(f"cannot write {error.filename}: {error.strerror}", "red")
            return False
        except TargetError as error:
            self.print_line(str(error), "red")
            return False
        return True

    def _check_again(self) -> None:
        """Check the files as they were written: whether all is mended now decides the exit status."""
        from gradcheck.cli_recheck import check_again

        options = self.options
        self.mended = check_again(options.files, options.size, full=options.full, laws=options.laws, seed=options.seed)
        for one in self.mended:
            style = "green" if one.verdict == "right" else "yellow"
            self.print_line(f"checked again: {one.name} is {one.verdict} · {one.headline}", style)

    def _write_files(self) -> bool:
        """Write what --html and --sarif ask for; whether that went well."""
        try:
            write_files(self.options, self.checked)
        except OSError as error:
            self.print_line(f"cannot write {error.filename}: {error.strerror}", "red")
            return False
        return True

    def _show_verdict(self, report: Report, progress: Progress) -> None:
        """What is known before lines are looked for, so that it is there whatever happens then."""
        if not self._has_other_form:
            from gradcheck.report.text import verdict_to_rich

            with progress.paused():
                self._print_beginning(verdict_to_rich(replace(report, name=self._label(report))))
            self.is_verdict_shown = True

    def _show(self, report: Report) -> None:
        from gradcheck.report.text import brief_to_rich, details_to_rich, rest_to_rich, to_rich

        shown = replace(report, name=self._label(report))
        if self.options.json:
            print(report.to_json(indent=None), file=self.out, flush=True)
        elif self.options.markdown:
            print(shown.to_markdown(), file=self.out, flush=True)
        elif self.options.quiet:
            if not report.ok:
                self.screen.show(brief_to_rich(shown))
        elif self.is_verdict_shown:
            self.screen.show(rest_to_rich(report))
        else:
            self._print_beginning(to_rich(shown))
        if self.options.verbose:
            self.screen.show(details_to_rich(report))
        self.is_verdict_shown = False
        self.checked.append(Checked(report, os.path.abspath(self.where.partition("::")[0]), shown.name))
        self.is_interrupted = report.is_interrupted

    def _label(self, report: Report) -> str:
        """What the reader knows a target by: its name; with its file before it, where several files are checked."""
        files = {one.partition("::")[0] for one in self.options.files}
        return f"{self.where.partition('::')[0]}::{report.name}" if len(files) > 1 else report.name

    def _print_beginning(self, part: RenderableType) -> None:
        """With a blank line between targets."""
        if self.reports:
            print(file=self.out)
        self.screen.show(part)


COMMANDS: dict[str, type[Session]] = {
    "check": _CheckCommand,
    "completion": CompletionCommand,
    "derive": DeriveCommand,
    "explain": ExplainCommand,
    "init": InitCommand,
    "mutate": _MutateCommand,
    "trace": _TraceCommand,
}


def _worst_status(reports: Sequence[Report] | Sequence[MutationReport] | Sequence[Rechecked]) -> int:
    """One exit status for several reports: 1 before 3, 3 before 0."""
    statuses = {report.exit_status for report in reports}
    return 1 if 1 in statuses else 3 if 3 in statuses else 0
