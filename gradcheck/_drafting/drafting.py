"""The order: the file is read, drafts are tried, the best of each is taken; where none runs, one with gaps is made."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gradcheck._common.definitions import load_definitions
from gradcheck._common.import_path import add_to_import_path
from gradcheck._drafting.of_classes import drafts_of_classes
from gradcheck._drafting.of_functions import drafts_of_functions
from gradcheck._drafting.of_modules import drafts_of_modules
from gradcheck._drafting.outline import outline
from gradcheck._drafting.reading import Reading
from gradcheck._drafting.sandbox import Sandbox
from gradcheck._drafting.trying import NO_FIT, Fit, runs_once, tried
from gradcheck._drafting.writing import Draft, file_text, import_root, module_name

#: packages that call C, which would read beside an array whose shape was guessed wrong
_OF_C = frozenset({"ctypes", "cffi"})
#: seconds for trying drafts
LIMIT = 40.0


@dataclass(frozen=True)
class Drafted:
    """The text of a target file, what it holds targets of, and whether nothing is left to fill in.

    `missing` says what could not be tried since a package is not installed.
    """

    text: str
    subjects: tuple[str, ...]
    runs: bool
    missing: tuple[str, ...] = ()


def drafted(file: Path, output: Path, limit: float = LIMIT) -> Drafted:
    """A target file for the code in a file.

    Raises:
        TargetError: If the file cannot be read.
    """
    reading, deadline = Reading.of(file), time.monotonic() + limit
    add_to_import_path(str(import_root(reading)))
    chosen: dict[str, Draft] = {}
    trouble = ""
    try:
        code = _module(reading)
    except Exception as error:
        trouble = f"{type(error).__name__}: {error}"
    else:
        sandbox = Sandbox(code)
        for drafts in _all_drafts(reading, sandbox):
            best = _best(reading, output, drafts, deadline)
            if best is not None:
                chosen.setdefault(best.name, best)
    if chosen:
        drafts = list(chosen.values())
        subjects = tuple(one.subject for one in drafts)
        return Drafted(file_text(reading, output, drafts), subjects, True, tuple(sandbox.missing))
    left = outline(reading, trouble)
    missing = () if trouble else tuple(sandbox.missing)
    return Drafted(file_text(reading, output, [left]), (left.subject,), False, missing)


def _module(reading: Reading) -> ModuleType:
    if not reading.needs_definitions_alone:
        try:
            return importlib.import_module(module_name(reading))
        except ImportError:  # a package is missing that the check may not need
            reading.needs_definitions_alone = True
    return load_definitions(reading.file)


def _all_drafts(reading: Reading, sandbox: Sandbox) -> Iterator[list[Draft]]:
    if reading.imported_packages & _OF_C:
        return
    yield from drafts_of_modules(reading)
    yield from drafts_of_functions(reading)
    yield from drafts_of_classes(reading, sandbox)


def _best(reading: Reading, output: Path, drafts: Iterable[Draft], deadline: float) -> Draft | None:
    """The draft whose gradients fit best; the first of which all is right ends the search."""
    best: tuple[Fit, Draft | None] = NO_FIT, None
    ran: set[str] = set()
    for draft in drafts:
        if time.monotonic() > deadline:
            break
        if "\n".join(draft.lines).replace("(B,", "(T,") in ran:  # what is called an example there is a time step
            continue
        if draft.fits_if_it_runs:
            if runs_once(file_text(reading, output, [draft]), output):
                return draft
            continue
        fit = tried(file_text(reading, output, [draft]), output)
        if fit.runs:
            ran.add("\n".join(draft.lines))
        if fit > best[0]:
            best = fit, draft
        if fit.is_full:
            break
    return best[1]
