"""The magics of a notebook: ``%%gradcheck`` runs a cell and checks the targets that it defines.

IPython calls in, so nothing of it is imported before it is there.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from gradcheck._common.cells import cell_of
from gradcheck._common.similar import did_you_mean
from gradcheck.cli_parser import add_sizes, parse_laws, parse_seconds, parse_seed

if TYPE_CHECKING:
    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target

    #: what a session defines by name
    Subjects = dict[str, Target | TargetFactory]


def register(ipython: Any) -> None:
    """Let this session know the magics."""

    def gradcheck(line: str, cell: str | None = None) -> None:
        """Run the cell and check the targets that it defines, or those that are named.

        %%gradcheck [--full | --full-by-tape] [--laws LAWS] [--seed N] [--size NAME=N] [--budget SECONDS]
        [--no-explain] [NAME ...]

        As a line, %gradcheck NAME checks targets that are there already; without a name, all of them.
        """
        run_magic(ipython, line, cell)

    ipython.register_magic_function(gradcheck, "line_cell", "gradcheck")


def run_magic(ipython: Any, line: str, cell: str | None) -> None:
    """Run the cell, if there is one; check; show each report.

    Raises:
        UsageError: IPython's, which it shows in one line, where something cannot be understood or cannot be run.
    """
    options = _parser().parse_args(shlex.split(line))
    before = {} if cell is None else _subjects(ipython.user_ns)
    if cell is not None and not _run_cell(ipython, cell):
        return
    now = _subjects(ipython.user_ns)
    found = {name: one for name, one in now.items() if before.get(name) is not one}
    _check(_chosen(found, now, options.names), options)


def _run_cell(ipython: Any, cell: str) -> bool:
    """Run what stands below the magic; whether that went well. What it raises is shown by IPython."""
    known: dict[str, int] = getattr(ipython.compile, "_filename_map", {})
    before, number = dict(known), _number_of_running_cell()
    # A comment for the line of the magic: of empty lines at the beginning IPython counts none.
    done = ipython.run_cell(f"# %%gradcheck\n{cell}", store_history=False).success
    for file in [file for file, given in known.items() if before.get(file) != given]:
        known[file] = number or known[file]  # IPython 9 counts a cell within a cell as the next one
    return bool(done)


def _number_of_running_cell() -> int | None:
    frame = sys._getframe()
    while frame is not None:
        cell = cell_of(frame.f_code.co_filename)
        if cell is not None and cell.number is not None:
            return cell.number
        frame = frame.f_back  # type: ignore[assignment]  # None above the first
    return None


def _check(subjects: Subjects, options: argparse.Namespace) -> None:
    from gradcheck._checking.check import check
    from gradcheck._common.errors import TargetError, UserCodeError
    from gradcheck.cli_session import pin_sizes

    try:
        for name, subject in pin_sizes(subjects, "the cell", options.size).items():
            report = check(
                subject,
                full=options.full,
                laws=options.laws,
                explain=options.explain,
                budget=options.budget,
                seed=options.seed,
            )
            _display(replace(report, name=name) if report.name == "target" else report)
            if report.is_interrupted:
                return
    except TargetError as error:
        if isinstance(error, UserCodeError):
            print(error.traceback_text.rstrip(), file=sys.stderr)
        _refuse(str(error), error)


def _chosen(found: Subjects, now: Subjects, names: list[str]) -> Subjects:
    """The targets that are meant: those that are named, else those that were found."""
    if not names and not found:
        _refuse("no target: mark a factory with @gradcheck.target, or define a gradcheck.Target")
    for name in names:
        if name not in now:
            _refuse(f"no target {name!r}; there is {', '.join(now) or 'none'}{did_you_mean(name, now)}")
    return {name: now[name] for name in names} if names else found


def _subjects(namespace: dict[str, Any]) -> Subjects:
    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target

    return {
        name: value
        for name, value in namespace.items()
        if isinstance(value, (Target, TargetFactory)) and not name.startswith("_")
    }


def _display(report: object) -> None:
    import_module("IPython.display").display(report)


def _refuse(message: str, cause: BaseException | None = None) -> NoReturn:
    raise import_module("IPython.core.error").UsageError(f"gradcheck: {message}") from cause


class _Parser(argparse.ArgumentParser):
    """A parser that ends no kernel."""

    def error(self, message: str) -> NoReturn:
        """Say what cannot be understood."""
        wrong = set(message.removeprefix("unrecognized arguments: ").split())
        if wrong & {"--fix", "--patch"}:
            _refuse(
                "a running session shows fixes and writes none: save the notebook and run gradcheck check x.ipynb --fix"
            )
        _refuse(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="%%gradcheck", add_help=False)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--full-by-tape", dest="full", action="store_const", const="tape")
    parser.add_argument("--laws", type=parse_laws)
    parser.add_argument("--no-explain", dest="explain", action="store_false")
    parser.add_argument("--seed", type=parse_seed, default=0)
    parser.add_argument("--budget", type=parse_seconds, default=30.0)
    add_sizes(parser)
    return parser
