"""The user's functions that run, with code that calls hooks."""

from __future__ import annotations

import linecache
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from types import CodeType
from typing import Any

from gradcheck._common.files import has_changed
from gradcheck._tape.hooks import Plain, Switch
from gradcheck._tape.places import Place, Source, Statement
from gradcheck._tape.rewriting import rewritten
from gradcheck._usercode.instrument import by_code_key, code_replaced, matching_code_objects, with_tap
from gradcheck._usercode.profiling import functions_run

_INNER = ("<module>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>")


class Program:
    """What runs when `run` is called, rewritten."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.places: list[Place] = []
        self.statements: list[Statement] = []
        #: functions that run and have no source
        self.hidden: list[str] = []
        #: files that are other ones on the disk than those that run
        self.changed: list[str] = []
        self._is_installed = False
        self.switch = Switch()
        self.codes: dict[CodeType, CodeType] = {}
        by_file: dict[str, list[CodeType]] = {}
        for code in functions_run(run):
            by_file.setdefault(code.co_filename, []).append(code)
        for file, codes in by_file.items():
            self._add(file, codes)

    def _add(self, file: str, codes: list[CodeType]) -> None:
        linecache.checkcache(file)  # it may have been edited and imported again
        if has_changed(file):
            self.changed.append(file)
        text = "" if file in self.changed else "".join(linecache.getlines(file))
        try:
            lines = tuple(sorted({code.co_firstlineno for code in codes}))
            places, statements, pairs = _rewritten(file, text, len(self.places), lines)
        except SyntaxError:
            pairs = {}
        if not text or not pairs:
            self.hidden += [code.co_qualname for code in codes if not _is_generated(code)]
            return
        self.places += places
        self.statements += statements
        for code in codes:
            if code.co_name in _INNER:
                continue  # the code around it holds them
            new = pairs.get(code) or by_code_key(code, pairs)
            if new is None:
                self.hidden.append(code.co_qualname)
            else:
                self.codes[code] = with_tap(new, self.switch)  # type: ignore[arg-type]  # anything can be a constant

    def all_codes(self) -> list[CodeType]:
        """All rewritten code, nested code included."""
        return [part for code in self.codes.values() for part in _nested(code)]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The functions stay rewritten for the whole block, in which `running` costs nothing: for many short runs."""
        with code_replaced(self.codes):
            self._is_installed = True
            try:
                yield
            finally:
                self._is_installed = False

    @contextmanager
    def running(self, hooks: Plain) -> Iterator[None]:
        """The functions call these hooks; put back at the end, whatever happens."""
        try:
            with nullcontext() if self._is_installed else code_replaced(self.codes):
                self.switch.set(hooks)
                yield
        finally:
            self.switch.set(Plain())  # for generators that outlive it


def _is_generated(code: CodeType) -> bool:
    """Whether the standard library wrote it, as it does for named tuples and dataclasses: it moves values only."""
    return code.co_filename == "<string>" and (code.co_name == "<lambda>" or code.co_name.startswith("__"))


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


@lru_cache(maxsize=16)
def _rewritten(
    file: str, text: str, first: int, lines: tuple[int, ...]
) -> tuple[list[Place], list[Statement], dict[CodeType, Any]]:
    """The places and statements of a file, numbered from `first`, and its code, old and new.

    `lines` are those at which the code begins that runs.
    """
    places: list[Place] = [None] * first  # type: ignore[list-item]  # those of other files
    statements: list[Statement] = []
    if not text:
        return [], [], {}
    tree = rewritten(Source(file, text), places, statements, lines)
    return places[first:], statements, matching_code_objects(file, tree, text)
