"""Puts taps into the user's running functions, for the time of a with-block.

The file each stands in is rewritten and compiled as a whole, so that closures, `super()` and nested functions come out
as the compiler makes them; then the code objects are taken out of the compiled module and put into the functions that
exist. Nothing else of the user's modules is touched.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType, FunctionType, MappingProxyType
from typing import Any, TypeAlias

from gradcheck._common.surely import surely
from gradcheck._common.thread_filters import ignoring
from gradcheck._usercode.functions import functions_with
from gradcheck._usercode.rewriting import TAP, Rewriter, Site
from gradcheck._usercode.source import Source

Tap: TypeAlias = Callable[[int, Any], Any]
_NOTHING: Mapping[CodeType, CodeType] = MappingProxyType({})
_COMPREHENSIONS = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"})


@dataclass
class Program:
    """The user's functions that ran and have source, with their rewritten code."""

    sites: list[Site] = field(default_factory=list)
    #: the code that ran, and its rewritten form
    codes: dict[CodeType, CodeType] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    #: what values pass through now, while the functions are rewritten (`instrumented`)
    tap: Tap | None = None


def rewrite(codes: list[CodeType]) -> Program:
    """Rewritten copies of these code objects."""
    program = Program()
    by_file: dict[str, list[CodeType]] = {}
    for code in codes:
        by_file.setdefault(code.co_filename, []).append(code)
    for file, of_file in by_file.items():
        source = Source.of_running(file)
        if source is None:
            continue
        program.sources[file] = source
        _rewrite_file(program, source, of_file)
    return program


@contextmanager
def instrumented(program: Program) -> Iterator[None]:
    """The functions run rewritten; put back at the end, whatever happens. Inside, `tapped` costs nothing."""

    def tap(number: int, value: Any) -> Any:
        current = program.tap
        return value if current is None else current(number, value)

    with code_replaced({old: with_tap(new, tap) for old, new in program.codes.items()}):
        yield


@contextmanager
def tapped(program: Program, tap: Tap) -> Iterator[None]:
    """Every value passes through the tap."""
    before, program.tap = program.tap, tap
    try:
        yield
    finally:
        program.tap = before


@contextmanager
def code_replaced(
    codes: dict[CodeType, CodeType],
    made_before: Mapping[CodeType, CodeType] = _NOTHING,
    at_rest: Callable[[CodeType], CodeType | None] = _NOTHING.get,
) -> Iterator[None]:
    """Functions with one of these codes run the other one instead; put back at the end.

    Args:
        codes: The code as it is, and what runs instead. It may hold more variables of the functions around.
        made_before: What runs instead where a function was made before: it holds what the code as it is does.
        at_rest: For code as it is, the same that holds what the code that ran instead of it does.
    """
    originals: list[tuple[FunctionType, CodeType]] = []

    def put_back() -> None:
        for function, code in originals:
            function.__code__ = code
        _restore_made_inside(codes, at_rest)

    try:
        for function in functions_with(codes):
            before = function.__code__
            new = codes[before]
            if new.co_freevars != before.co_freevars:
                new = made_before[before]
            originals.append((function, before))
            function.__code__ = new
        yield
    finally:
        surely(put_back)


def matching_code_objects(file: str, tree: ast.Module | str, source: str) -> dict[CodeType, CodeType]:
    """From each code object of the file as it is on disk to the one of the same place in `tree`."""
    with ignoring(SyntaxWarning):  # "'str' object is not callable": it will be
        old = _as_it_is(file, source)
        new = compile(tree, file, "exec", dont_inherit=True)
    return dict(_side_by_side(old, new))


@lru_cache(maxsize=8)
def _as_it_is(file: str, source: str) -> CodeType:
    return compile(source, file, "exec", dont_inherit=True)


def _rewrite_file(program: Program, source: Source, codes: list[CodeType]) -> None:
    try:
        tree = ast.parse(source.text)  # one of its own, since it is rewritten
    except SyntaxError:
        return
    tree = Rewriter(source, program.sites, {code.co_firstlineno for code in codes}).rewritten(tree)
    pairs = matching_code_objects(source.file, tree, source.text)
    for code in codes:
        if code.co_name in ("<module>", "<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>"):
            continue  # the code around it holds them
        new = pairs.get(code) or by_code_key(code, pairs)
        if new is not None:
            program.codes[code] = new


def by_code_key(code: CodeType, pairs: dict[CodeType, CodeType]) -> CodeType | None:
    """For code that was compiled in another way than from this source alone, as pytest does."""
    same = the_same_code(code, pairs)
    return None if same is None else pairs[same]


def the_same_code(code: CodeType, others: Collection[CodeType]) -> CodeType | None:
    """Which of these is the code, however it was compiled; None if that cannot be told."""
    same = [other for other in others if _key(other) == _key(code)]
    if len(same) > 1:  # it may hold more variables around it than it reads
        same = [other for other in same if other.co_freevars == code.co_freevars] or same
    if len(same) > 1:  # lambdas of one line
        same = [other for other in same if _first_column(other) == _first_column(code)]
    return same[0] if len(same) == 1 else None


def _key(code: CodeType) -> tuple[str, int]:
    return code.co_qualname, code.co_firstlineno


def _first_column(code: CodeType) -> int:
    """Where what it calculates begins in its lines."""
    return min((column for _, _, column, _ in code.co_positions() if column), default=0)


def _side_by_side(old: CodeType, new: CodeType) -> Iterator[tuple[CodeType, CodeType]]:
    yield old, new
    inner = [[constant for constant in code.co_consts if isinstance(constant, CodeType)] for code in (old, new)]
    for a, b in zip(*inner, strict=False):
        if a.co_name == b.co_name:
            yield from _side_by_side(a, b)


def with_tap(code: CodeType, tap: Tap) -> CodeType:
    """The code with the callable where its name stands, also in the code inside it."""
    constants = tuple(
        tap
        if constant == TAP and isinstance(constant, str)
        else with_tap(constant, tap)
        if isinstance(constant, CodeType)
        else constant
        for constant in code.co_consts
    )
    return code.replace(co_consts=constants)


def _restore_made_inside(codes: dict[CodeType, CodeType], at_rest: Callable[[CodeType], CodeType | None]) -> None:
    """Functions that rewritten code made and that outlived it get back the code they would have had."""
    originals: dict[CodeType, CodeType] = {}
    for old, new in codes.items():
        # a generator goes on with the code that it has; of comprehensions there are no functions
        originals |= {b: a for a, b in _side_by_side(old, new) if a is not old and a.co_name not in _COMPREHENSIONS}
    for function in functions_with(originals):
        original: CodeType | None = originals[function.__code__]
        if original is not None and function.__code__.co_freevars != original.co_freevars:
            original = at_rest(original)
        if original is not None and function.__code__.co_freevars == original.co_freevars:
            function.__code__ = original
