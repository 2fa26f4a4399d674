"""The command: ``gradcheck check FILE[::NAME] ...``.

Reports go to standard output; complaints, progress, and whatever the user's own code prints, to standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from gradcheck._version import __version__

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target
    from gradcheck.report.mutation_records import MutationReport
    from gradcheck.report.report import Report

EPILOG = """\
exit status:
  0    all right
  1    something wrong
  2    bad usage, or a target that cannot be run
  3    nothing wrong, but not all verified
  130  interrupted
Of several targets the worst counts: 2 before 1, 1 before 3, 3 before 0.
"""
MUTATE_EPILOG = """\
exit status:
  0    every bug that changes a gradient was seen
  1    some were not
  2    bad usage, or gradients that are not right as they stand
  3    there was nothing to plant, or no time
  130  interrupted
"""
#: seconds before a progress line appears
PROGRESS_DELAY = 2.0
#: as a shell says of a program whose reader has gone: none of the statuses above, since nobody knows
BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is the result."""
    options = _parser().parse_args(arguments)
    out = sys.stdout
    for stream in (out, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a ✓ must not end a check where the encoding has none
    try:
        with contextlib.redirect_stdout(sys.stderr):
            status = _check_files(options, out)
        out.flush()
    except KeyboardInterrupt:
        print("gradcheck: interrupted; every array was put back", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader has gone, as `head` does. Python flushes once more at exit, so that has to go nowhere.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return BROKEN_PIPE
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradcheck",
        description="Verifies hand-written gradients, and says what is wrong where.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gradcheck {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    check = commands.add_parser(
        "check",
        help="check the targets of a file",
        description="Check every @gradcheck.target (and every Target) of the files, or the ones named.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("files", nargs="+", metavar="FILE[::NAME]", help="a Python file, or one target of it")
    check.add_argument("--full", action="store_true", help="difference every entry of every gradient")
    check.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="seed of parameters and directions (default: 0)"
    )
    check.add_argument(
        "--size",
        type=_size,
        action="append",
        default=[],
        metavar="NAME=N",
        help="pin a size, as in --size T=7; repeatable",
    )
    check.add_argument("--json", action="store_true", help="print one JSON object a target, each on a line")
    check.add_argument("--html", metavar="PATH", type=_writable, help="write the reports to one HTML file as well")
    check.add_argument(
        "--fix", action="store_true", help="write the verified fixes to the files; each is kept as FILE.orig"
    )
    check.add_argument("--patch", metavar="PATH", type=_writable, help="write the verified fixes to a patch instead")
    check.add_argument(
        "--jobs", type=_jobs, default=1, metavar="N", help="share the entries of --full out to N processes (default: 1)"
    )
    mutate = commands.add_parser(
        "mutate",
        help="plant bugs in the backward, and see whether the check finds them",
        description="Plant bugs in the backward of every @gradcheck.target of the files, one at a time, and tell which "
        "of them its check does not see, and what would make it see them.",
        epilog=MUTATE_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    mutate.add_argument("files", nargs="+", metavar="FILE[::NAME]", help="a Python file, or one factory of it")
    mutate.add_argument("--full", action="store_true", help="check each mutant in full")
    mutate.add_argument("--seed", type=_seed, default=0, metavar="N", help="seed of the checks (default: 0)")
    mutate.add_argument("--size", type=_size, action="append", default=[], metavar="NAME=N", help="pin a size")
    mutate.add_argument("--json", action="store_true", help="print one JSON object a factory, each on a line")
    mutate.add_argument(
        "--jobs", type=_jobs, default=1, metavar="N", help="processes that share the mutants (default: 1)"
    )
    mutate.add_argument(
        "--budget", type=_seconds, metavar="SECONDS", help="leave untried what is not begun by then (default: try all)"
    )
    mutate.set_defaults(html=None, fix=False, patch=None)
    trace = commands.add_parser(
        "trace",
        help="show the backward's source with the derivative that each line holds",
        description="Show the source of the backward and, beside each line, which derivative of the loss it holds.",
    )
    trace.add_argument("files", nargs="+", metavar="FILE[::NAME]", help="a Python file, or one target of it")
    trace.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="seed of parameters and directions (default: 0)"
    )
    trace.add_argument("--size", type=_size, action="append", default=[], metavar="NAME=N", help="pin a size")
    trace.set_defaults(full=False, json=False, html=None, jobs=1, fix=False, patch=None)
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: expected an integer of at least 0")
    return int(text)


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes: expected an integer of at least 1")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: expected a number of seconds above 0")
    return seconds


def _size(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value.removeprefix("-").isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: expected NAME=N, as in T=7")
    if int(value) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a size is at least 1")
    return name, int(value)


def _writable(text: str) -> Path:
    """Refused at once where it can be, since a check may take an hour."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder: expected a file to write")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: there is no folder {str(path.parent)!r}")
    return path


def _check_files(options: argparse.Namespace, out: TextIO) -> int:
    from rich.console import Console

    session = _Session(options, out, Console(file=out, highlight=False), Console(stderr=True, highlight=False))
    if options.command == "check" and options.jobs > 1 and not options.full:
        session._print_line("--jobs shares out the entries of --full; without --full it changes nothing", "yellow")
    for argument in options.files:
        session.run_file(argument)
    return session.finish()


@dataclass
class _Session:
    """One run of the command over all its files."""

    options: argparse.Namespace
    out: TextIO
    console: Console
    errors: Console
    reports: list[Report] = field(default_factory=list)
    audits: list[MutationReport] = field(default_factory=list)
    #: how many files or targets could not be run
    failed: int = 0

    def run_file(self, argument: str) -> None:
        from gradcheck._common.errors import TargetError

        path, _, name = argument.partition("::")
        try:
            subjects = self._pinned(_subjects(path, name), path)
        except TargetError as error:
            self._report_failure(argument, str(error), error)
            return
        for subject_name, subject in subjects.items():
            where = f"{path}::{subject_name}"
            try:
                if self.options.command == "trace":
                    self._trace(where, subject)
                    continue
                if self.options.command == "mutate":
                    self._mutate(subject)
                    continue
                report = self._checked(subject)
            except TargetError as error:
                self._report_failure(where, f"{where}: {error}", error)
            except (KeyboardInterrupt, BrokenPipeError):
                raise
            except Exception:
                self._print_line(traceback.format_exc().rstrip(), "dim", prefix="")
                self._report_failure(
                    where, f"{where}: the check itself failed: please report this, with the traceback above"
                )
            else:
                self._show(report)

    def finish(self) -> int:
        """The last line, the HTML file, and the exit status."""
        if self.options.html is not None and self.reports:
            from gradcheck.report.html import to_html

            try:
                self.options.html.write_text(to_html(self.reports), encoding="utf-8")
            except OSError as error:
                self._print_line(f"cannot write {self.options.html}: {error.strerror}", "red")
                return 2
        if not self._write_fixes():
            return 2
        if self.options.command == "mutate":
            statuses = {report.exit_status for report in self.audits}
            return 2 if self.failed else 1 if 1 in statuses else 3 if 3 in statuses else 0
        counts = Counter[str](report.verdict for report in self.reports)
        if len(self.reports) + self.failed > 1 and not self.options.json:
            parts = [f"{count} {verdict}" for verdict, count in sorted(counts.items())]
            parts += [f"{self.failed} could not be run"] if self.failed else []
            print(f"\nin all: {', '.join(parts)}", file=self.out)
        if self.failed:
            return 2
        statuses = {report.exit_status for report in self.reports}
        return 1 if 1 in statuses else 3 if 3 in statuses else 0

    def _trace(self, where: str, subject: Target | TargetFactory) -> None:
        from gradcheck._tracing.annotated_source import annotate_backward

        print(f"{where}\n{annotate_backward(subject, self.options.seed)}", file=self.out)

    def _mutate(self, subject: Target | TargetFactory) -> None:
        from gradcheck._mutation.mutation_pool import mutate

        options = self.options
        with self._progress("planting bugs", "mutants") as progress:
            report = mutate(
                subject,  # type: ignore[arg-type]  # a Target is refused, with the reason
                full=options.full,
                seed=options.seed,
                budget=options.budget,
                jobs=options.jobs,
                progress=None
                if progress is None
                else lambda done, total: progress(f"planting bugs: {total} in all", done),
            )
        print(report.to_json(indent=None) if options.json else report, file=self.out, flush=True)
        self.audits.append(report)

    def _write_fixes(self) -> bool:
        """Write what --fix and --patch ask for; whether that went well."""
        if not (self.options.fix or self.options.patch):
            return True
        from gradcheck._common.errors import TargetError
        from gradcheck._usercode.fix_files import collect_fixes, write_fixes, write_patch

        fixes = collect_fixes(self.reports)
        try:
            if self.options.patch:
                write_patch(self.options.patch, fixes)
            for done in write_fixes(fixes) if self.options.fix else ():
                self._print_line(done, "green")
        except OSError as error:
            self._print_line(f"cannot write {error.filename}: {error.strerror}", "red")
            return False
        except TargetError as error:
            self._print_line(str(error), "red")
            return False
        if not fixes:
            self._print_line("no verified fix to write", "yellow")
        return True

    def _print_line(self, text: str, style: str, *, prefix: str = "gradcheck: ") -> None:
        """To standard error, word for word."""
        self.errors.print(prefix + text, style=style, markup=False, soft_wrap=True)

    def _pinned(self, subjects: dict[str, Target | TargetFactory], path: str) -> dict[str, Target | TargetFactory]:
        """The subjects with --size applied where a factory has a size of that name; one of them must."""
        from gradcheck._common.errors import TargetError
        from gradcheck._targets.factory import TargetFactory

        factories = {key: one for key, one in subjects.items() if isinstance(one, TargetFactory)}
        known = sorted({size for one in factories.values() for size in one.defaults})
        for name, value in self.options.size:
            if name not in known:
                which = path if len(subjects) > 1 else f"{path}::{next(iter(subjects))}"
                raise TargetError(f"{which} has no size {name!r}; its sizes are {', '.join(known) or 'none at all'}")
            factories = {
                key: one.with_sizes(**{name: value}) if name in one.defaults else one for key, one in factories.items()
            }
        return {**subjects, **factories}

    def _checked(self, subject: Target | TargetFactory) -> Report:
        from gradcheck._checking.check import check
        from gradcheck._targets.factory import TargetFactory

        jobs = self.options.jobs if isinstance(subject, TargetFactory) and self.options.full else 1
        with _pool(jobs) as executor, self._progress() as progress:
            return check(subject, full=self.options.full, seed=self.options.seed, executor=executor, progress=progress)

    def _show(self, report: Report) -> None:
        if self.options.json:
            print(report.to_json(indent=None), file=self.out, flush=True)
        else:
            if self.reports:
                print(file=self.out)
            if self.console.is_terminal:
                from gradcheck.report.text import to_rich

                self.console.print(to_rich(report))
            else:
                print(report, file=self.out, flush=True)
        self.reports.append(report)

    def _report_failure(self, where: str, message: str, error: Exception | None = None) -> None:
        from gradcheck._common.errors import UserCodeError

        self.failed += 1
        if self.options.json:
            print(json.dumps({"name": where, "ok": False, "error": message}), file=self.out, flush=True)
        if isinstance(error, UserCodeError):
            self._print_line(error.traceback_text.rstrip(), "dim", prefix="")
        self._print_line(message, "red")

    @contextlib.contextmanager
    def _progress(
        self, stage: str = "checking", counted: str = "evaluations"
    ) -> Iterator[Callable[[str, int], None] | None]:
        """A line on the terminal, once a check has taken a while; nothing where there is no terminal."""
        if not (self.errors.is_interactive and sys.stderr.isatty()):
            yield None
            return
        from rich.live import Live

        line = _ProgressLine(stage, counted)
        # Standard output and error stay as they are: the evaluator silences the user's code by exchanging them too.
        live = Live(
            line,
            console=self.errors,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            refresh_per_second=4,
        )
        timer = threading.Timer(PROGRESS_DELAY, live.start)
        timer.daemon = True
        timer.start()
        try:
            yield line.update
        finally:
            timer.cancel()
            timer.join()
            live.stop()


class _ProgressLine:
    """What is being done, drawn anew a few times a second."""

    def __init__(self, stage: str, counted: str) -> None:
        self.stage, self.counted, self.count, self.started = stage, counted, 0, time.monotonic()

    def update(self, stage: str, count: int) -> None:
        self.stage, self.count = stage, count

    def __rich__(self) -> str:
        return f"{self.stage} · {self.count} {self.counted} · {time.monotonic() - self.started:.0f} s"


def _subjects(path: str, name: str) -> dict[str, Target | TargetFactory]:
    """The targets of a file by name, in the order in which they stand; or only the one of this name."""
    from gradcheck._common.errors import TargetError
    from gradcheck._common.files import load
    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target

    module = load(path)
    found: dict[str, Target | TargetFactory] = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, Target) or (isinstance(value, TargetFactory) and value.__module__ == module.__name__)
    }
    if not found:
        raise TargetError(
            f"{path} holds no target: mark a factory with @gradcheck.target, or define a gradcheck.Target"
        )
    for key, value in found.items():
        if isinstance(value, Target) and value.name == "target":
            value.name = key
    if not name:
        return found
    if name not in found:
        raise TargetError(f"{path} has no target {name!r}; it has {', '.join(found)}")
    return {name: found[name]}


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[Executor | None]:
    from gradcheck._common.workers import workers

    if jobs == 1:
        yield None
        return
    with workers(jobs) as pool:
        yield pool
