"""The user's functions that run, with code that calls hooks."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache, partial
from types import CodeType
from typing import Any, TypeVar

from gradcheck._common.files import has_changed
from gradcheck._tape.around import holding_all_around
from gradcheck._tape.hooks import Plain, Switch
from gradcheck._tape.places import Place, Source, Statement
from gradcheck._tape.rewriting import rewritten
from gradcheck._usercode.instrument import by_code_key, code_replaced, matching_code_objects, with_tap
from gradcheck._usercode.profiling import functions_run

T = TypeVar("T")

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
        #: the code that runs, and what runs instead: functions inside others hold all variables around them
        self.codes: dict[CodeType, CodeType] = {}
        #: what runs instead in functions that were made before, which hold those that they read
        self.made_before: dict[CodeType, CodeType] = {}
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
            places, statements, pairs, made_before = _rewritten(file, text, len(self.places), lines)
        except SyntaxError:
            pairs, made_before = {}, ()
        if not text or not pairs:
            self.hidden += [code.co_qualname for code in codes if not _is_generated(code)]
            return
        self.places += places
        self.statements += statements
        for code in codes:
            if code.co_name in _INNER:
                continue  # the code around it holds them
            new = _paired(code, pairs)
            if new is None:
                self.hidden.append(code.co_qualname)
            else:
                self.codes[code] = self._hooked(new)
                if new.co_freevars != code.co_freevars:
                    before = (_paired(code, of_one) for of_one in made_before)
                    same = (one for one in before if one is not None and one.co_freevars == code.co_freevars)
                    self.made_before[code] = self._hooked(next(same, code))

    def _hooked(self, code: CodeType) -> CodeType:
        return with_tap(code, self.switch)  # type: ignore[arg-type]  # anything can be a constant

    def all_codes(self) -> list[CodeType]:
        """All rewritten code, nested code included."""
        return [part for code in self.codes.values() for part in _nested(code)]

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The functions stay rewritten for the whole block, in which `running` costs nothing: for many short runs."""
        with self._replaced():
            self._is_installed = True
            try:
                yield
            finally:
                self._is_installed = False

    @contextmanager
    def running(self, hooks: Plain) -> Iterator[None]:
        """The functions call these hooks; put back at the end, whatever happens."""
        try:
            with nullcontext() if self._is_installed else self._replaced():
                self.switch.set(hooks)
                yield
        finally:
            self.switch.set(Plain())  # for generators that outlive it

    def _replaced(self) -> AbstractContextManager[None]:
        return code_replaced(self.codes, self.made_before, self._at_rest)

    def _at_rest(self, code: CodeType) -> CodeType | None:
        """Code as it is, but that it holds all variables around it: for functions that were made while others ran."""
        lines = tuple(sorted({one.co_firstlineno for one in self.codes if one.co_filename == code.co_filename}))
        pairs = _holding_all(code.co_filename, "".join(linecache.getlines(code.co_filename)), lines)
        return _paired(code, pairs)


def made_holding_all(make: Callable[[], T]) -> T:
    """What a function makes, with functions inside others that hold all variables around them, read or not.

    Code that has to read one more than it does can be run then.
    """
    by_file: dict[str, list[CodeType]] = {}
    for code in functions_run(make):
        if any(isinstance(one, CodeType) for one in code.co_consts):
            by_file.setdefault(code.co_filename, []).append(code)
    pairs: dict[CodeType, CodeType] = {}
    for file in by_file:
        linecache.checkcache(file)
        if not has_changed(file):
            with suppress(SyntaxError):
                pairs |= _holding_all(file, "".join(linecache.getlines(file)), None)
    found = ((code, _paired(code, pairs)) for of_file in by_file.values() for code in of_file)
    codes = {code: new for code, new in found if new is not None and new.co_freevars == code.co_freevars}
    with code_replaced(codes, at_rest=partial(_paired, pairs=pairs)):
        return make()


def _paired(code: CodeType, pairs: dict[CodeType, CodeType]) -> CodeType | None:
    return pairs.get(code) or by_code_key(code, pairs)


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
) -> tuple[list[Place], list[Statement], dict[CodeType, Any], tuple[dict[CodeType, Any], ...]]:
    """The places and statements of a file, numbered from `first`, and its code, old and new.

    `lines` are those at which the code begins that runs. Functions inside others hold all variables of such around
    them. What was made before holds those that it reads, or (`made_holding_all`) all: it is told last, in both ways.
    """
    places: list[Place] = [None] * first  # type: ignore[list-item]  # those of other files
    statements: list[Statement] = []
    if not text:
        return [], [], {}, ()
    tree = rewritten(Source(file, text), places, statements, lines)
    with holding_all_around(tree, lines) as hold_more:
        pairs = matching_code_objects(file, tree, text)
    made_before = matching_code_objects(file, tree, text) if hold_more else pairs
    with holding_all_around(tree, None) as hold_more:
        made_holding = matching_code_objects(file, tree, text) if hold_more else made_before
    return places[first:], statements, pairs, (made_before, made_holding)


@lru_cache(maxsize=4)
def _holding_all(file: str, text: str, lines: tuple[int, ...] | None) -> dict[CodeType, CodeType]:
    tree = ast.parse(text)
    with holding_all_around(tree, lines):
        return matching_code_objects(file, tree, text)
