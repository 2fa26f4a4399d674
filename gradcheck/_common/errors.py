"""The errors of a target that cannot be run, and the call of user code that turns whatever it raises into one."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck._common.cells import cell_of, format_place, shown_file
from gradcheck._common.printable import printable

#: set by the tests: an error in the search for lines is an error
SEARCH_ERRORS_RAISE = False
#: files whose frames say nothing to a user: ours, and the import system's
_NOT_THEIRS = (str(Path(__file__).parents[1]) + os.sep, "<frozen importlib")


class TargetError(Exception):
    """A target that cannot be run: bad parameters, a bad argument, or (`UserCodeError`) code that raises."""

    def __init__(self, message: str) -> None:
        """The message may hold names of the user's: it is made printable."""
        super().__init__(printable(message))


class UserCodeError(TargetError):
    """The user's own code raised. `place` says where, `traceback_text` is their traceback, without our frames."""

    def __init__(self, what: str, error: BaseException) -> None:
        self.what = what
        self.error = error
        frames = [
            frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_NOT_THEIRS)
        ]
        self.place = f"{_place(frames[-1])}, in {frames[-1].name}" if frames else ""
        self.traceback_text = printable(
            "".join(
                [
                    "Traceback (most recent call last):\n",
                    *traceback.format_list([_as_shown(frame) for frame in frames]),
                    *traceback.format_exception_only(error),
                ]
            )
        )
        summary = f"{type(error).__name__}: {error}".rstrip(": ")
        super().__init__(f"{what} raised {summary}" + (f" ({self.place})" if self.place else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        # From a worker as text: not every error of a user's own can be pickled.
        return _from_text, (str(self), {"what": self.what, "place": self.place, "traceback_text": self.traceback_text})


def call_user_code(what: str, function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
    """Call the user's code; what it raises is reported as theirs."""
    try:
        with np.errstate(all="ignore"):
            return function(*arguments, **keywords)
    except TargetError:
        raise
    except (Exception, SystemExit) as error:
        raise UserCodeError(what, error) from error


def _place(frame: traceback.FrameSummary) -> str:
    if cell_of(frame.filename) is None:
        return f"{frame.filename}:{frame.lineno}"
    return format_place(frame.filename, frame.lineno or 1)


def _as_shown(frame: traceback.FrameSummary) -> traceback.FrameSummary:
    """The frame; that of a cell under the cell's number."""
    if cell_of(frame.filename) is None:
        return frame
    return traceback.FrameSummary(
        shown_file(frame.filename), frame.lineno, frame.name, lookup_line=False, line=frame.line
    )


def _from_text(message: str, state: dict[str, str]) -> UserCodeError:
    error = UserCodeError.__new__(UserCodeError, message)
    error.__dict__.update(state, error=RuntimeError(message))
    return error
