"""The words of the command line as people type them: a file alone is checked; a wrong word is told."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NoReturn

from gradcheck._common.similar import did_you_mean

#: what is answered without a command
_ANSWERED = ("-h", "--help", "--version")
_FILES = (".py", ".ipynb")


class Parser(argparse.ArgumentParser):
    """A parser whose complaints name what was likely meant."""

    #: all options of all commands
    words: frozenset[str] = frozenset()

    def error(self, message: str) -> NoReturn:
        """Complain, and end with status 2."""
        if message.endswith("required: COMMAND"):
            message = (
                "what is to be done? gradcheck check FILE checks a file with a target, gradcheck init FILE writes "
                "one for your network; gradcheck --help has the rest"
            )
        wrong = message.removeprefix("unrecognized arguments: ")
        if wrong != message:
            first = wrong.split()[0].partition("=")[0]
            message += did_you_mean(first, self.words) if first.startswith("-") else ""
        super().error(message)


def with_command(arguments: Sequence[str], commands: Sequence[str], parser: Parser) -> list[str]:
    """The arguments with ``check`` before them where they name a file and no command.

    A word that is neither ends the command, with what was likely meant.
    """
    given = list(arguments)
    if not given or given[0] in commands or given[0] in _ANSWERED:
        return given
    if given[0].startswith("-"):
        return ["check", *given] if any(map(_is_file, given)) and not set(given) & set(commands) else given
    if not _is_file(given[0]):
        hint = did_you_mean(given[0], commands) or f"; commands: {', '.join(commands)}"
        parser.error(f"{given[0]!r} is no command and no file{hint}")
    return ["check", *given]


def _is_file(word: str) -> bool:
    path = word.partition("::")[0]
    return path.endswith(_FILES) or os.path.exists(path)
