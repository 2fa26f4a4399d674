"""The arguments of the command: what can be given, and what is refused at once."""

from __future__ import annotations

import argparse
from pathlib import Path

from gradcheck._laws.choice import chosen_laws
from gradcheck._version import __version__
from gradcheck.cli_words import Parser

CHECK_EPILOG = """\
exit status:
  0    all right
  1    something wrong
  2    bad usage, or a target that cannot be run
  3    nothing wrong, but not all verified
  74   the report could not be written: standard output is closed, or the disk is full
  130  interrupted
  141  whoever read the report has gone
Of several targets the worst counts: 2 before 1, 1 before 3, 3 before 0.
"""
MUTATE_EPILOG = """\
exit status:
  0    the check saw every bug that changes a gradient
  1    the check missed some of them
  2    bad usage, or the check does not pass without a planted bug
  3    there was nothing to plant, or no time for all of it
  74   the report could not be written: standard output is closed, or the disk is full
  130  interrupted
  141  whoever read the report has gone
"""


def build_parser() -> Parser:
    """The parser of ``gradcheck`` with all its commands."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = Parser(
        prog="gradcheck",
        description="Verifies hand-written gradients, and says what is wrong where. gradcheck FILE checks a file.",
        epilog=CHECK_EPILOG,
        formatter_class=raw,
    )
    parser.add_argument("--version", action="version", version=f"gradcheck {__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", parser_class=argparse.ArgumentParser
    )
    subjects = _subject_options()
    reports = _report_options(subjects)
    check = commands.add_parser(
        "check",
        parents=[reports],
        help="check the targets of a file",
        description="Check every @gradcheck.target (and every Target) of the files, or only those that are named.",
        epilog=CHECK_EPILOG,
        formatter_class=raw,
    )
    _add_check_options(check)
    forms = check.add_mutually_exclusive_group()
    _add_json(forms)
    forms.add_argument("--markdown", action="store_true", help="print the reports as Markdown")
    forms.add_argument("-q", "--quiet", action="store_true", help="print a line for each target that is not right")
    forms.add_argument(
        "-v", "--verbose", action="store_true", help="also print each law with what was found, and each size tried"
    )
    mutate = commands.add_parser(
        "mutate",
        parents=[reports],
        help="plant bugs in the backward, and see whether the check finds them",
        description="Plant bugs in the backward of every @gradcheck.target of the files, one at a time. Show the bugs "
        "that the check misses, and what would make it see them.",
        epilog=MUTATE_EPILOG,
        formatter_class=raw,
    )
    _add_mutate_options(mutate)
    _add_json(mutate)
    trace = commands.add_parser(
        "trace",
        parents=[subjects],
        help="show the backward's source with the derivative that each line holds",
        description="Show the source of the backward and, beside each line, the derivative of the loss that it holds.",
    )
    trace.add_argument("--html", metavar="PATH", type=_parse_writable, help="also write it to one HTML file, in colour")
    trace.set_defaults(json=False)
    _add_init(commands)
    derive = commands.add_parser(
        "derive",
        parents=[subjects],
        help="write the backward of a forward, verified",
        description="Write a backward in NumPy, statement by statement in the names of the forward, for a target whose "
        "loss works: its gradients may be missing or raise. NAME is a target, or a function that its loss runs. It is "
        "shown only if the full check finds it right; otherwise the exit status is 2.",
    )
    derive.add_argument("--output", type=Path, metavar="PATH", help="write it there; a file that exists is left alone")
    derive.set_defaults(json=False)
    explain = commands.add_parser(
        "explain",
        help="print the page on a finding code",
        description="Print the page on a finding code: what it means, the equation, an example wrong and right, how to "
        "mend it. Without a code, list all of them.",
    )
    explain.add_argument("files", nargs="*", metavar="CODE", help="the code of a finding, as in wrong-sign")
    explain.set_defaults(json=False)
    completion = commands.add_parser(
        "completion",
        help="print a script that completes the command in a shell",
        description="Print a script for a shell. Where it goes: docs/command-line.md.",
    )
    completion.add_argument(
        "files", nargs=1, choices=("bash", "zsh", "fish"), metavar="{bash,zsh,fish}", help="the shell"
    )
    completion.set_defaults(json=False)
    every = (one for command in commands.choices.values() for one in command._actions)
    parser.words = frozenset(option for action in every for option in action.option_strings)
    return parser


def _add_init(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    init = commands.add_parser(
        "init",
        help="write a target file for code as it is found",
        description="Read a Python file, try how its gradients can be checked, and write a target file that runs, or "
        "one with a TODO at each gap. Nothing is overwritten. Exit status 0: it runs; 2: something is left to fill in.",
    )
    init.add_argument("files", nargs=1, metavar="FILE", help="a Python file with a hand-written backward")
    init.add_argument(
        "--output", type=_parse_writable, metavar="PATH", help="the file to write (default: check_NAME.py beside FILE)"
    )
    init.set_defaults(json=False)


def refuse_outputs(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End the command where something that it is asked to write would take the place of somebody's work."""
    from gradcheck._common.writing import why_refused

    given = {one: path for one in ("html", "patch", "sarif") if (path := getattr(options, one, None)) is not None}
    checked = [Path(argument.partition("::")[0]) for argument in options.files]
    taken: dict[Path, str] = {}
    output = getattr(options, "output", None)
    if output is not None and output.exists():
        parser.error(f"argument --output: {str(output)!r} is not overwritten: give a path where there is no file yet")
    for option, path in given.items():
        refusal = why_refused(path, checked)
        if refusal:
            parser.error(f"argument --{option}: {str(path)!r} is not overwritten: {refusal}")
        other = taken.setdefault(path.resolve(), option)
        if other != option and not (path.exists() and not path.is_file()):
            parser.error(f"argument --{option}: {str(path)!r} is what --{other} is written to")


def parse_seed(text: str) -> int:
    """A seed, also for pytest's option and ini key."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: expected an integer of at least 0")
    return int(text)


def parse_laws(text: str) -> frozenset[str]:
    """Laws that are asked, also for pytest's option and ini key."""
    try:
        return chosen_laws(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _subject_options() -> argparse.ArgumentParser:
    """What every command takes: files, a seed, sizes."""
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument(
        "files",
        nargs="+",
        metavar="FILE[::NAME]",
        help="a Python file or a notebook, or one target of it; check, mutate and trace also take a folder",
    )
    parent.add_argument(
        "--seed", type=parse_seed, default=0, metavar="N", help="seed of parameters and directions (default: 0)"
    )
    add_sizes(parent)
    parent.add_argument(
        "--color",
        choices=("auto", "always", "never"),
        default="auto",
        help="auto: on a terminal, unless NO_COLOR is set (the default); always: in pipes too; never: not at all",
    )
    return parent


def add_sizes(parser: argparse.ArgumentParser) -> None:
    """Let sizes be pinned."""
    parser.add_argument(
        "--size",
        type=_parse_size,
        action="append",
        default=[],
        metavar="NAME=N",
        help="pin a size, as in --size T=7; repeatable",
    )


def _report_options(subjects: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """What the commands that report on a target take as well."""
    parent = argparse.ArgumentParser(add_help=False, parents=[subjects])
    parent.add_argument("--full", action="store_true", help="difference every entry of every gradient")
    parent.set_defaults(laws=None)
    return parent


def _add_json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object per target, each on its own line")


def _add_check_options(check: argparse.ArgumentParser) -> None:
    check.add_argument(
        "--budget",
        type=parse_seconds,
        default=30.0,
        metavar="SECONDS",
        help="the verdict comes first; then look for lines and fixes for so long (default: 30)",
    )
    check.add_argument(
        "--no-explain",
        dest="explain",
        action="store_false",
        help="the verdict alone: look for no lines, fixes or smallest sizes",
    )
    check.add_argument(
        "--full-by-tape",
        dest="full",
        action="store_const",
        const="tape",
        help="like --full; where it can be followed, all entries from one reverse sweep over the loss, confirmed by "
        "measured slopes",
    )
    check.add_argument(
        "--laws",
        type=parse_laws,
        metavar="LAWS",
        help="ask only these of the laws that cost time: some of independence, dependence, linearity, scale, elsewhere "
        "and sizes, with commas between them; or none (default: all)",
    )
    check.add_argument(
        "--html", metavar="PATH", type=_parse_writable, help="also write the reports to one HTML file, with pictures"
    )
    check.add_argument("--sarif", metavar="PATH", type=_parse_writable, help="also write the findings as SARIF 2.1.0")
    check.add_argument(
        "--github",
        action="store_true",
        help="also write annotations for GitHub, and the summary of its step (the default in a workflow)",
    )
    check.add_argument(
        "--fix", action="store_true", help="write the verified fixes to the files; each original is kept as FILE.orig"
    )
    check.add_argument("--patch", metavar="PATH", type=_parse_writable, help="write the verified fixes to a patch file")
    check.add_argument(
        "--jobs",
        type=_parse_jobs,
        default=1,
        metavar="N",
        help="divide the entries of --full among N processes (default: 1)",
    )


def _add_mutate_options(mutate: argparse.ArgumentParser) -> None:
    mutate.add_argument("--html", metavar="PATH", type=_parse_writable, help="also write all bugs to one HTML file")
    mutate.add_argument(
        "--jobs", type=_parse_jobs, default=1, metavar="N", help="divide the bugs among N processes (default: 1)"
    )
    mutate.add_argument(
        "--budget",
        type=parse_seconds,
        metavar="SECONDS",
        help="begin no new bug after this time (default: try all)",
    )


def _parse_jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of processes: expected an integer of at least 1")
    return int(text)


def parse_seconds(text: str) -> float:
    """A time, also for pytest's option and ini key."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time: expected a number of seconds above 0")
    return seconds


def _parse_size(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not (name.isidentifier() and equals and value.removeprefix("-").isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: expected NAME=N, as in T=7")
    if int(value) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: a size is at least 1")
    return name, int(value)


def _parse_writable(text: str) -> Path:
    """Refused at once where it can be, since a check may take an hour."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder: expected a file to write")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}: there is no folder {str(path.parent)!r}")
    return path
