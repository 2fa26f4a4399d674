"""The errors this package raises: one for a target that cannot be run, one for a gradient that is wrong."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck._report import Report

_HERE = str(Path(__file__).parent)


class TargetError(Exception):
    """A target that cannot be run: bad parameters, a bad argument, or (`UserCodeError`) code that raises."""


class UserCodeError(TargetError):
    """The user's own code raised. `place` says where, `traceback_text` is their traceback, without our frames."""

    def __init__(self, what: str, error: BaseException) -> None:
        self.what = what
        self.error = error
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_HERE)]
        self.place = f"{frames[-1].filename}:{frames[-1].lineno}, in {frames[-1].name}" if frames else ""
        self.traceback_text = "".join(
            [
                "Traceback (most recent call last):\n",
                *traceback.format_list(frames),
                *traceback.format_exception_only(error),
            ]
        )
        summary = f"{type(error).__name__}: {error}".rstrip(": ")
        super().__init__(f"{what} raised {summary}" + (f" ({self.place})" if self.place else ""))


class GradientError(AssertionError):
    """Raised by `assert_gradients`: its text is the report's; the report itself is in `.report`."""

    def __init__(self, report: Report) -> None:
        super().__init__("\n" + str(report))
        self.report = report
