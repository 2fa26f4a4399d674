"""The command: ``gradcheck check FILE[::NAME] ...``.

Exit status: 0 all right; 1 something wrong; 2 bad usage, or a target that cannot be run; 3 nothing wrong, but not all
verified; 130 interrupted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from gradcheck._version import __version__

EPILOG = """\
exit status: 0 all right; 1 something wrong; 2 bad usage, or a target that cannot be run;
3 nothing wrong, but not all verified; 130 interrupted
"""
#: seconds before a progress line appears
PATIENCE = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is the result."""
    options = _parser().parse_args(arguments)
    try:
        return _check_files(options)
    except KeyboardInterrupt:
        print("interrupted; every array was put back", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone, as `head` does; Python would complain at exit
        return 1


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
    check.add_argument("--html", metavar="PATH", type=Path, help="write the reports to one HTML file as well")
    check.add_argument(
        "--jobs", type=_jobs, default=1, metavar="N", help="share the entries of --full out to N processes"
    )
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: expected an integer of at least 0")
    return int(text)


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes: expected an integer of at least 1")
    return int(text)


def _size(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value.lstrip("-").isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: expected NAME=N, as in T=7")
    if int(value) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a size is at least 1")
    return name, int(value)


def _check_files(options: argparse.Namespace) -> int:
    from rich.console import Console

    session = _Session(options, Console(highlight=False), Console(stderr=True, highlight=False))
    for argument in options.files:
        session.run_file(argument)
    return session.finish()


@dataclass
class _Session:
    """One run of the command over all its files."""

    options: argparse.Namespace
    console: Any
    errors: Any
    reports: list[Any] = field(default_factory=list)
    failed: bool = False

    def run_file(self, argument: str) -> None:
        from gradcheck._errors import TargetError

        path, _, name = argument.partition("::")
        try:
            subjects = self._pinned(_subjects(path, name or None), path)
        except TargetError as error:
            self._complain(argument, error)
            return
        for subject_name, subject in subjects.items():
            try:
                report = self._checked(subject)
            except TargetError as error:
                self._complain(f"{path}::{subject_name}", error)
            else:
                self._show(report)

    def finish(self) -> int:
        if self.options.html is not None and self.reports:
            from gradcheck.report.html import to_html

            try:
                self.options.html.write_text(to_html(self.reports), encoding="utf-8")
            except OSError as error:
                self.errors.print(
                    f"gradcheck: cannot write {self.options.html}: {error.strerror}", style="red", markup=False
                )
                self.failed = True
        if self.failed:
            return 2
        statuses = {report.exit_status for report in self.reports}
        return 1 if 1 in statuses else 3 if 3 in statuses else 0

    def _pinned(self, subjects: dict[str, Any], path: str) -> dict[str, Any]:
        """The subjects with --size applied where a factory has a size of that name; one of them must."""
        from gradcheck._errors import TargetError
        from gradcheck._sizes import TargetFactory

        for name, value in self.options.size:
            having = [key for key, one in subjects.items() if isinstance(one, TargetFactory) and name in one.defaults]
            if not having:
                known = sorted(
                    {size for one in subjects.values() if isinstance(one, TargetFactory) for size in one.defaults}
                )
                raise TargetError(
                    f"no target of {path} has a size {name!r}; the sizes are {', '.join(known) or 'none'}"
                )
            subjects = {key: one.at(**{name: value}) if key in having else one for key, one in subjects.items()}
        return subjects

    def _checked(self, subject: Any) -> Any:
        from gradcheck._check import check
        from gradcheck._sizes import TargetFactory

        with _pool(self.options.jobs) as pool, self._progress() as progress, contextlib.redirect_stdout(sys.stderr):
            executor = pool if isinstance(subject, TargetFactory) and self.options.full else None
            return check(subject, full=self.options.full, seed=self.options.seed, executor=executor, progress=progress)

    def _show(self, report: Any) -> None:
        self.reports.append(report)
        if self.options.json:
            print(report.to_json(indent=None), flush=True)
            return
        from gradcheck.report.text import to_rich

        if len(self.reports) > 1:
            self.console.print()
        self.console.print(to_rich(report))

    def _complain(self, where: str, error: Exception) -> None:
        from gradcheck._errors import UserCodeError

        self.failed = True
        if self.options.json:
            print(json.dumps({"name": where, "error": str(error)}), flush=True)
        if isinstance(error, UserCodeError):
            self.errors.print(error.traceback_text.rstrip(), style="dim", markup=False)
        self.errors.print(f"gradcheck: {where}: {error}", style="red", markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def _progress(self) -> Iterator[Any]:
        """A line on the terminal, once a check has taken a while; nothing where there is no terminal."""
        if not self.errors.is_terminal:
            yield None
            return
        started = time.monotonic()
        with self.errors.status("checking") as status:
            status.stop()

            def progress(stage: str, evaluations: int) -> None:
                if time.monotonic() - started > PATIENCE:
                    status.start()
                    status.update(f"{stage} · {evaluations} evaluations · {time.monotonic() - started:.0f} s")

            yield progress


def _subjects(path: str, name: str | None) -> dict[str, Any]:
    """The targets of a file by name, in the order in which they stand."""
    from gradcheck._errors import TargetError
    from gradcheck._files import load
    from gradcheck._sizes import TargetFactory
    from gradcheck._target import Target

    with contextlib.redirect_stdout(sys.stderr):
        module = load(path)
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, Target) or (isinstance(value, TargetFactory) and value.__module__ == module.__name__)
    }
    if not found:
        raise TargetError(
            f"{path} holds no target: mark a factory with @gradcheck.target, or define a gradcheck.Target"
        )
    if name is None:
        return found
    if name not in found:
        raise TargetError(f"{path} has no target {name!r}; it has {', '.join(found)}")
    return {name: found[name]}


def _pool(jobs: int) -> contextlib.AbstractContextManager[Executor | None]:
    if jobs == 1:
        return contextlib.nullcontext()
    # Spawned, not forked: BLAS threads of the parent do not survive a fork.
    return ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
