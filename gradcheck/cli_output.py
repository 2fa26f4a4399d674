"""Standard output and standard error of the command: colours, and what becomes of it where they cannot be written."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

#: as a shell says of a program whose reader has gone: no status of a check, since nobody knows how it went
BROKEN_PIPE = 141
#: what sysexits.h calls an error of input or output: the disk is full, standard output is closed
OUTPUT_LOST = 74


class OutputLostError(OSError):
    """The report could not be written."""


class Output:
    """A stream whose errors are told apart from those of the user's code and of other files."""

    def __init__(self, stream: Any) -> None:
        """All but writing is the stream's."""
        self._stream = stream

    def write(self, text: str) -> int:
        """Write it.

        Raises:
            OutputLostError: If the stream cannot be written.
        """
        try:
            return int(self._stream.write(text))
        except OSError as error:
            raise OutputLostError(error.errno, error.strerror) from error

    def flush(self) -> None:
        """Flush.

        Raises:
            OutputLostError: If the stream cannot be written.
        """
        try:
            self._stream.flush()
        except OSError as error:
            raise OutputLostError(error.errno, error.strerror) from error

    def __getattr__(self, name: str) -> Any:
        """As the stream has it."""
        return getattr(self._stream, name)


class Complaints(Output):
    """Standard error: where it cannot be written there is nobody to tell."""

    def write(self, text: str) -> int:
        """Write it, if it can be written."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that can be done."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


@dataclass(frozen=True)
class Screen:
    """Where reports are shown: a terminal in colour, or a stream of plain lines."""

    console: Console
    is_coloured: bool

    @classmethod
    def on(cls, stream: Any, color: str) -> Screen:
        """As --color has it; NO_COLOR counts where that leaves it open."""
        from rich.console import Console

        if color == "always":
            console = Console(
                file=stream, highlight=False, force_terminal=True, color_system="standard", no_color=False
            )
            return cls(console, True)
        console = Console(file=stream, highlight=False)
        return cls(console, console.is_terminal and color == "auto" and not os.environ.get("NO_COLOR"))

    def show(self, part: RenderableType) -> None:
        """Show a part of a report."""
        if self.is_coloured:
            self.console.print(part)
            return
        from gradcheck.report.text import WIDTH, as_text

        has_width = self.console.is_terminal or os.environ.get("COLUMNS", "").isdecimal()
        text = as_text(part, self.console.width if has_width else WIDTH)
        print(text, file=self.console.file, flush=True)


def lost_status(error: OutputLostError, errors: TextIO | Complaints) -> int:
    """Say that the report is lost, unless its reader has gone, as `head` does; the result is the exit status."""
    if isinstance(error.__cause__, BrokenPipeError):
        return BROKEN_PIPE
    print(f"gradcheck: cannot write the report to standard output: {error.strerror}", file=errors)
    return OUTPUT_LOST


def discard_rest(*streams: Any) -> None:
    """Let what is still to be written go nowhere: Python flushes once more at exit, and ends with another status."""
    for stream in streams:
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
