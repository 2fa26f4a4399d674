"""Folders on the command line: the files in them that hold targets, and what is said of the others."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.cli_session import Session

#: how many skipped files and folders are named
NAMED = 10


def expand_folders(session: Session, options: argparse.Namespace) -> None:
    """Put in the place of each folder its files with targets; standard error says what is skipped, and why."""
    options.files = list(_expanded(session, options.files))


def _expanded(session: Session, arguments: list[str]) -> Iterator[str]:
    given = {os.path.realpath(one.partition("::")[0]) for one in arguments}
    for argument in arguments:
        if os.path.isdir(argument):
            yield from _files_of(session, argument, given)
        else:
            yield argument


def _files_of(session: Session, folder: str, given: set[str]) -> Iterator[str]:
    from gradcheck._targets.looking import find_target_files

    found = find_target_files(folder)
    files = [one for one in found.files if os.path.realpath(one) not in given]  # nothing twice
    given.update(map(os.path.realpath, files))
    for number, (path, reason) in enumerate(found.skipped.items()):
        if number < NAMED:
            session.print_line(f"skipped {path}: {reason}", "yellow")
    if len(found.skipped) > NAMED:
        session.print_line(f"skipped {len(found.skipped) - NAMED} others", "yellow")
    without = f"; {found.others} {'holds' if found.others == 1 else 'hold'} no target" if found.others else ""
    if found.files:
        count = "1 file" if len(files) == 1 else f"{len(files)} files"
        session.print_line(f"{folder}: {count} with targets{without}", "dim")
    else:
        looked = f"{found.others} Python files and notebooks" if found.others else "no Python file and no notebook"
        session.report_failure(
            folder, f"{folder} holds no file with a target: looked at {looked}; gradcheck init FILE writes one"
        )
    yield from files
