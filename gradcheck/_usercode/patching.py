"""Edits of the user's source, and functions that run as if their file had been edited."""

from __future__ import annotations
import __future__

import ast
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, FunctionType
from typing import TypeAlias

from gradcheck._common.memory import memory_bounded
from gradcheck._common.surely import surely
from gradcheck._common.thread_filters import ignoring
from gradcheck._usercode.functions import functions_with
from gradcheck._usercode.instrument import the_same_code
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit, Source, apply_edits, first_line, span_of

#: where a code object stands in the one around it: its name, and how many of that name come before it
NestingPath: TypeAlias = tuple[tuple[str, int], ...]
#: by file, code and what runs in its place
Replacements: TypeAlias = list[dict[CodeType, CodeType]]
_FUTURES = {getattr(__future__, name).compiler_flag for name in __future__.all_feature_names}


class RebindError(Exception):
    """An edited function reads other variables of the function around it than it did, so it has to be made anew."""


def shift_edit(edit: Edit, by: int) -> Edit:
    """The edit, so many lines further down."""
    return Edit((edit.start[0] + by, edit.start[1]), (edit.end[0] + by, edit.end[1]), edit.text)


@dataclass
class Patch:
    """Edits of statements, one each, of one file or several."""

    chosen: list[tuple[Statement, Edit]]
    sources: dict[str, Source]

    def edits(self) -> dict[str, list[Edit]]:
        """The edits by file."""
        result: dict[str, list[Edit]] = {}
        for statement, edit in self.chosen:
            result.setdefault(statement.file, []).append(edit)
        return result

    def to_builtins(self) -> dict[str, list[tuple[int, int, int, int, str]]]:
        """The edits by file, as builtins."""
        return {
            file: [(*edit.start, *edit.end, edit.text) for edit in of_file] for file, of_file in self.edits().items()
        }

    def lines(self) -> list[tuple[str, int, str]]:
        """The lines that the edits touch, as they were when the edits were made: file, number and text."""
        edits = self.edits()
        places = {(file, line) for file in edits for one in edits[file] for line in _touched(one)}
        return [(file, line, self.sources[file].lines[line - 1]) for file, line in sorted(places)]


class EditedFunctions:
    """The functions that run, ready to be run with edits; only what stands around an edit is compiled again."""

    def __init__(self, codes: Collection[CodeType], sources: dict[str, Source]) -> None:
        self.sources = sources
        self.functions: dict[CodeType, list[FunctionType]] = {code: [] for code in codes}
        for one in functions_with(self.functions):
            self.functions[one.__code__].append(one)

    def edited(self, edits: Mapping[str, Sequence[Edit]], *, anew: bool = False) -> AbstractContextManager[None]:
        """Run functions as if the files had these edits; `anew`: functions inside others will be made again.

        So will those be in any case that a function makes which runs itself.

        Raises:
            SyntaxError: If the edited text is no code.
            RebindError: If functions have to be made again for the edits, and will not be.
        """
        return self.replaced(self.replacements(edits), anew=anew)

    def replacements(self, edits: Mapping[str, Sequence[Edit]]) -> Replacements:
        """By file, what runs with these edits in the place of the code that runs.

        Raises:
            SyntaxError: If the edited text is no code.
        """
        return [dict(self._replacements(file, of_file)) for file, of_file in edits.items()]

    @contextmanager
    def replaced(self, of_files: Replacements, *, anew: bool = False) -> Iterator[None]:
        """Run other code: the same each time, so that whoever knows functions by their code finds them again.

        Its memory is bounded: code that asks for far more than the process ever held raises `MemoryError`.

        Raises:
            RebindError: If functions have to be made again for that, and will not be.
        """
        changed: list[tuple[FunctionType, CodeType, CodeType]] = []
        for replacements in of_files:
            made_again = {inner for old in replacements for _, inner in _inside(old, ())}
            for old, new in replacements.items():
                for function in self.functions[old]:
                    if old.co_freevars == new.co_freevars:
                        changed.append((function, function.__code__, new))
                    elif not anew and old not in made_again:
                        raise RebindError(old.co_qualname)

        def put_back() -> None:
            for function, old, _ in changed:
                function.__code__ = old

        try:
            for function, _, new in changed:
                function.__code__ = new
            with memory_bounded():
                yield
        finally:
            surely(put_back)

    def _replacements(self, file: str, edits: Sequence[Edit]) -> Iterator[tuple[CodeType, CodeType]]:
        source = self.sources[file]
        mine = [code for code in self.functions if code.co_filename == file]
        shift = 0  # what stands below lines that were added or taken away has its lines moved as well
        for first, last in _toplevel_spans(source):
            inside = [edit for edit in edits if first <= edit.start[0] <= last]
            if not inside and not shift:
                continue
            before, segment = _before(source, first, last)
            live = {path: found for path, old in before.items() if (found := _alive(old, mine)) is not None}
            moves = any(edit.text.count("\n") != edit.end[0] - edit.start[0] for edit in inside)
            if not shift and not moves:
                segment = _without_others(source, first, segment, inside)
            text = "\n" * (first - 1 + shift) + apply_edits(segment, [shift_edit(edit, 1 - first) for edit in inside])
            after = _compiled(file, text, live)
            keep = {path: old for path, old in live.items() if path in after}
            if any(old.co_freevars != after[path].co_freevars for path, old in keep.items()):
                tree = ast.parse(text)
                _keep_reading(
                    tree, {(old.co_name, old.co_firstlineno + shift): old.co_freevars for old in keep.values()}
                )
                after = _compiled(file, tree, live)
            yield from ((old, after[path]) for path, old in keep.items())
            shift += sum(edit.text.count("\n") - (edit.end[0] - edit.start[0]) for edit in inside)


@lru_cache(maxsize=8)
def _toplevel_spans(source: Source) -> tuple[tuple[int, int], ...]:
    """The first and the last line of each statement of the module."""
    return tuple((first_line(node), node.end_lineno or 0) for node in source.tree.body)


@lru_cache(maxsize=64)
def _before(source: Source, first: int, last: int) -> tuple[dict[NestingPath, CodeType], str]:
    segment = "\n".join([*source.lines[first - 1 : last], ""])
    return _compiled(source.file, "\n" * (first - 1) + segment, {}), segment


def _without_others(source: Source, first: int, segment: str, edits: Sequence[Edit]) -> str:
    """The text of a class from this line on without the methods that have no edits: it is soon compiled."""
    node = next(one for one in source.tree.body if first_line(one) == first)
    if not isinstance(node, ast.ClassDef):
        return segment
    lines = segment.split("\n")
    methods = [one for one in node.body if isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef))]
    names = Counter(one.name for one in methods)
    touched = {line for edit in edits for line in _touched(edit)}
    places = [range(first_line(one), (one.end_lineno or 0) + 1) for one in methods]
    others = [(one, place) for one, place in zip(methods, places, strict=True) if touched.isdisjoint(place)]
    if len(others) == len(methods):
        return segment  # a class needs a body
    for method, place in others:
        if names[method.name] == 1 and not _makes_functions_before_it_runs(method):
            lines[place.start - first : place.stop - first] = [""] * len(place)
    return "\n".join(lines)


def _makes_functions_before_it_runs(method: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether there are some in its decorators or defaults: without them, others would be counted wrongly."""
    around = [*method.decorator_list, method.args]
    made = (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    return any(isinstance(node, made) for one in around for node in ast.walk(one))


def _compiled(file: str, text: ast.Module | str, live: dict[NestingPath, CodeType]) -> dict[NestingPath, CodeType]:
    flags = 0
    for code in live.values():
        flags |= code.co_flags
    with ignoring(SyntaxWarning):  # an edit need not be good style
        future = sum(flag for flag in _FUTURES if flags & flag)
        return dict(_inside(compile(text, file, "exec", flags=future, dont_inherit=True), ()))


def _inside(code: CodeType, path: NestingPath) -> Iterator[tuple[NestingPath, CodeType]]:
    count: Counter[str] = Counter()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            here = (*path, (constant.co_name, count[constant.co_name]))
            count[constant.co_name] += 1
            yield here, constant
            yield from _inside(constant, here)


def _alive(old: CodeType, mine: list[CodeType]) -> CodeType | None:
    """The code that runs: as it was compiled from this source, or, as pytest does it, in another way."""
    exact = [code for code in mine if code == old]
    return exact[0] if len(exact) == 1 else the_same_code(old, mine)


def _keep_reading(tree: ast.Module, names: dict[tuple[str, int], tuple[str, ...]]) -> None:
    """Let functions go on naming the variables around them that an edit made them forget, in code that never runs."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            forgotten = names.get((node.name, first_line(node)), ())
            if forgotten:
                node.body.append(ast.If(ast.Constant(value=False), [ast.Expr(_tuple(forgotten))], []))
        elif isinstance(node, ast.Lambda):
            forgotten = names.get(("<lambda>", node.lineno), ())
            if forgotten:
                node.body = ast.IfExp(ast.Constant(value=True), node.body, _tuple(forgotten))
    ast.fix_missing_locations(tree)


def _tuple(names: tuple[str, ...]) -> ast.Tuple:
    return ast.Tuple([ast.Name(name, ast.Load()) for name in names], ast.Load())


def source_node(statement: Statement, source: Source) -> ast.stmt:
    """The statement as it stands in the source."""
    return source.statements[type(statement.node), statement.node.lineno, statement.node.col_offset]


def _touched(edit: Edit) -> range:
    return range(edit.start[0], edit.end[0] + 1)


def growth_of_edit(edit: Edit) -> int:
    """How much longer the code becomes: of equivalent edits the shortest is shown first."""
    return len(edit.text) - (edit.end[1] - edit.start[1] if edit.start[0] == edit.end[0] else 0)


def replace_expression(node: ast.expr | ast.stmt, text: str) -> Edit:
    """The edit that puts this text in the place of the node."""
    return Edit(*span_of(node), text)
