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
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, ClassVar, TextIO

from gradcheck._common.similar import did_you_mean
from gradcheck.cli_output import OutputLostError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target

#: seconds before a progress line appears: a short check would only flicker
PROGRESS_DELAY = 2.0
#: seconds between two looks at what is to be shown
PROGRESS_INTERVAL = 0.25
#: seconds between two lines where there is no terminal
LINE_EVERY = 10.0


@dataclass
class Session:
    """One run of a command over all its files; each command says what it does with a target, and how it ends."""

    options: argparse.Namespace
    out: TextIO
    errors: Console
    #: what was said of each file or target that could not be run
    failures: list[str] = field(default_factory=list)
    #: the target under way, as FILE::NAME
    where: str = ""
    #: whether Ctrl-C ended what was left of a target; no other is begun then
    is_interrupted: bool = False
    #: whether a folder stands for the files with targets in it
    takes_folders: ClassVar[bool] = False

    @property
    def failed(self) -> int:
        """How many files or targets could not be run."""
        return len(self.failures)

    def run_subject(self, subject: Target | TargetFactory) -> None:
        """Do what the command is for with one target."""
        raise NotImplementedError

    def finish(self) -> int:
        """Do what is left after the last target; the result is the exit status."""
        return 2 if self.failed else 0

    def find(self, path: str, name: str) -> dict[str, Target | TargetFactory]:
        """The targets that FILE::NAME means, by their names."""
        return find_subjects(path, name)

    def run_file(self, argument: str) -> None:
        """Run the command on the targets that FILE or FILE::NAME means."""
        from gradcheck._common.errors import TargetError

        path, _, name = argument.partition("::")
        if self.is_interrupted:
            self.print_line(f"{argument} was not begun: interrupted", "yellow")
            return
        try:
            subjects = pin_sizes(self.find(path, name), path, self.options.size)
        except TargetError as error:
            self.report_failure(argument, str(error), error)
            return
        for subject_name, subject in subjects.items():
            self.where = f"{path}::{subject_name}"
            if self.is_interrupted:
                self.print_line(f"{self.where} was not begun: interrupted", "yellow")
                continue
            try:
                self.run_subject(subject)
            except TargetError as error:
                self.report_failure(self.where, f"{self.where}: {error}", error)
            except (KeyboardInterrupt, OutputLostError):
                raise
            except Exception:
                self.print_line(traceback.format_exc().rstrip(), "dim", prefix="")
                message = f"{self.where}: the check itself failed: please report this, with the traceback above"
                self.report_failure(self.where, message)

    def write_html(self, page: Callable[[], str], is_any: bool) -> bool:
        """Write the page that --html asks for, if there is anything to show; whether that went well."""
        from gradcheck._common.writing import write_output

        if self.options.html is None or not is_any:
            return True
        try:
            write_output(self.options.html, page().encode())
        except OSError as error:
            self.print_line(f"cannot write {error.filename}: {error.strerror}", "red")
            return False
        return True

    def print_line(self, text: str, style: str, *, prefix: str = "gradcheck: ") -> None:
        """To standard error, word for word."""
        from gradcheck._common.printable import printable

        self.errors.print(prefix + printable(text), style=style, markup=False, soft_wrap=True)

    def report_failure(self, where: str, message: str, error: Exception | None = None) -> None:
        """Say what could not be run, and why; it decides the exit status."""
        from gradcheck._common.errors import UserCodeError

        self.failures.append(message)
        if self.options.json:
            print(json.dumps({"name": where, "ok": False, "error": message}), file=self.out, flush=True)
        if isinstance(error, UserCodeError):
            self.print_line(error.traceback_text.rstrip(), "dim", prefix="")
        self.print_line(message, "red")

    @contextlib.contextmanager
    def _progress(self, stage: str, counted: str) -> Iterator[Progress]:
        """What is going on, on standard error, once the command has taken a while."""
        is_terminal = self.errors.is_interactive and sys.stderr.isatty()
        progress = Progress(self.errors.file, ProgressLine(stage, counted), self.where, is_terminal=is_terminal)
        progress.start()
        try:
            yield progress
        finally:
            progress.stop()


class ProgressLine:
    """What is being done, drawn anew a few times a second."""

    def __init__(self, stage: str, counted: str) -> None:
        """Time is counted from now."""
        self.stage, self.counted, self.count = stage, counted, 0
        self.started = self.told = time.monotonic()

    def update(self, stage: str, count: int) -> None:
        """Show this stage and this count from now on."""
        self.stage, self.count, self.told = stage, count, time.monotonic()

    def __rich__(self) -> str:
        """As rich draws it."""
        from gradcheck.report.progress_phrases import describe_stage

        now = time.monotonic()
        return (
            f"{describe_stage(self.stage, now - self.told)} · {self.count} {self.counted} · {now - self.started:.0f} s"
        )


class Progress:
    """Shows a `ProgressLine`: in place on a terminal, as a line every few seconds elsewhere. News get a line at once.

    Nothing is shown of what is done before a delay. Call it like ``progress(stage, count)``.
    """

    def __init__(self, stream: IO[str], line: ProgressLine, where: str, *, is_terminal: bool) -> None:
        """Nothing is shown before `start`."""
        from rich.console import Console

        # the stream itself: the evaluator silences the user's code by exchanging sys.stderr
        self.console = Console(file=stream, highlight=False, soft_wrap=True)
        self.line, self.where, self.is_terminal = line, where, is_terminal
        self._told: set[str] = set()
        self._news: list[str] = []
        self._live: Live | None = None
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def __call__(self, stage: str, count: int) -> None:
        """Show this stage and this count from now on."""
        self.line.update(stage, count)
        news = getattr(stage, "news", "")
        if news and news not in self._told:
            self._told.add(news)
            self._news.append(stage)

    def start(self) -> None:
        """From now on show what is going on, after a delay."""
        self._thread.start()

    def stop(self) -> None:
        """Show nothing any more."""
        self._ended.set()
        self._thread.join()
        self._leave()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the terminal to somebody else meanwhile; what was news before them is none after them."""
        with self._lock:
            self._leave()
            self._news.clear()
            yield

    def _show(self) -> None:
        from gradcheck.report.progress_phrases import describe_stage

        shown = time.monotonic()
        wait = PROGRESS_DELAY
        while not self._ended.wait(wait):
            wait = PROGRESS_INTERVAL
            with self._lock:
                for text in self._news[:]:
                    self._news.remove(text)
                    self._print(describe_stage(text))
                    shown = time.monotonic()
                if self.is_terminal:
                    self._draw()
                elif time.monotonic() - shown >= LINE_EVERY:
                    self._print(self.line.__rich__())
                    shown = time.monotonic()

    def _print(self, text: str) -> None:
        self.console.print(f"gradcheck: {self.where}: {text}", markup=False, style="dim")

    def _draw(self) -> None:
        if self._live is None:
            from rich.live import Live

            # Standard output and error stay as they are: the evaluator exchanges them too.
            self._live = Live(
                self.line, console=self.console, transient=True, redirect_stdout=False, redirect_stderr=False,
                auto_refresh=False,
            )  # fmt: skip
            self._live.start()
        self._live.refresh()

    def _leave(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None


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
        raise TargetError(f"{path} holds no target: {_how_to_have_one(path)}")
    for key, value in found.items():
        if isinstance(value, Target) and value.name == "target":
            value.name = key
    if not name:
        return found
    if name not in found:
        hint = did_you_mean(name, found)
        raise TargetError(f"{path} has no target {name!r}; it has {', '.join(found)}{hint}")
    return {name: found[name]}


def _how_to_have_one(path: str) -> str:
    by_hand = "mark a factory with @gradcheck.target, or define a gradcheck.Target"
    return f"gradcheck init {path} writes one; or {by_hand}" if path.endswith(".py") else by_hand


def pin_sizes(
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
            hint = did_you_mean(name, known)
            raise TargetError(f"{which} has no size {name!r}; its sizes are {', '.join(known) or 'none at all'}{hint}")
        factories = {
            key: one.with_sizes(**{name: value}) if name in one.defaults else one for key, one in factories.items()
        }
    return {**subjects, **factories}
