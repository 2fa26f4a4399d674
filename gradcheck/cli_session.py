"""What the commands share: the targets of the files, complaints on standard error, the progress line."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target

#: seconds before a progress line appears: a short check would only flicker
PROGRESS_DELAY = 2.0


@dataclass
class Session:
    """One run of a command over all its files; each command says what it does with a target, and how it ends."""

    options: argparse.Namespace
    out: TextIO
    errors: Console
    #: how many files or targets could not be run
    failed: int = 0
    #: the target under way, as FILE::NAME
    where: str = ""

    def run_subject(self, subject: Target | TargetFactory) -> None:
        """Do what the command is for with one target."""
        raise NotImplementedError

    def finish(self) -> int:
        """Do what is left after the last target; the result is the exit status."""
        return 2 if self.failed else 0

    def run_file(self, argument: str) -> None:
        """Run the command on the targets that FILE or FILE::NAME means."""
        from gradcheck._common.errors import TargetError

        path, _, name = argument.partition("::")
        try:
            subjects = _pin_sizes(find_subjects(path, name), path, self.options.size)
        except TargetError as error:
            self._report_failure(argument, str(error), error)
            return
        for subject_name, subject in subjects.items():
            self.where = f"{path}::{subject_name}"
            try:
                self.run_subject(subject)
            except TargetError as error:
                self._report_failure(self.where, f"{self.where}: {error}", error)
            except (KeyboardInterrupt, BrokenPipeError):
                raise
            except Exception:
                self._print_line(traceback.format_exc().rstrip(), "dim", prefix="")
                message = f"{self.where}: the check itself failed: please report this, with the traceback above"
                self._report_failure(self.where, message)

    def _print_line(self, text: str, style: str, *, prefix: str = "gradcheck: ") -> None:
        """To standard error, word for word."""
        self.errors.print(prefix + text, style=style, markup=False, soft_wrap=True)

    def _report_failure(self, where: str, message: str, error: Exception | None = None) -> None:
        from gradcheck._common.errors import UserCodeError

        self.failed += 1
        if self.options.json:
            print(json.dumps({"name": where, "ok": False, "error": message}), file=self.out, flush=True)
        if isinstance(error, UserCodeError):
            self._print_line(error.traceback_text.rstrip(), "dim", prefix="")
        self._print_line(message, "red")

    @contextlib.contextmanager
    def _progress(self, stage: str, counted: str) -> Iterator[Callable[[str, int], None] | None]:
        """A line on the terminal, once the command has taken a while; nothing where there is no terminal."""
        if not (self.errors.is_interactive and sys.stderr.isatty()):
            yield None
            return
        from rich.live import Live

        line = ProgressLine(stage, counted)
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


class ProgressLine:
    """What is being done, drawn anew a few times a second."""

    def __init__(self, stage: str, counted: str) -> None:
        """Time is counted from now."""
        self.stage, self.counted, self.count, self.started = stage, counted, 0, time.monotonic()

    def update(self, stage: str, count: int) -> None:
        """Show this stage and this count from now on."""
        self.stage, self.count = stage, count

    def __rich__(self) -> str:
        """As rich draws it."""
        return f"{self.stage} · {self.count} {self.counted} · {time.monotonic() - self.started:.0f} s"


def find_subjects(path: str, name: str) -> dict[str, Target | TargetFactory]:
    """The targets of a file by name, in the order of the file; only the one of this name, if a name is given."""
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


def _pin_sizes(
    subjects: dict[str, Target | TargetFactory], path: str, sizes: list[tuple[str, int]]
) -> dict[str, Target | TargetFactory]:
    """The subjects with these sizes pinned where a factory has a size of that name; at least one must."""
    from gradcheck._common.errors import TargetError
    from gradcheck._targets.factory import TargetFactory

    factories = {key: one for key, one in subjects.items() if isinstance(one, TargetFactory)}
    known = sorted({size for one in factories.values() for size in one.defaults})
    for name, value in sizes:
        if name not in known:
            which = path if len(subjects) > 1 else f"{path}::{next(iter(subjects))}"
            raise TargetError(f"{which} has no size {name!r}; its sizes are {', '.join(known) or 'none at all'}")
        factories = {
            key: one.with_sizes(**{name: value}) if name in one.defaults else one for key, one in factories.items()
        }
    return {**subjects, **factories}
