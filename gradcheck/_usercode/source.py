"""A file of the user's as Python reads it: its text, lines, tree and places; edits of it, their diff, and writing back.

Lines are Python's own: only ``\\n``, ``\\r\\n`` and ``\\r`` end one. ``str.splitlines`` also breaks at form feeds and
at half a dozen other characters, which would name the wrong line. A place is (line from 1, byte of its UTF-8 from 0),
as syntax trees have it, whatever the file's encoding is.
"""

from __future__ import annotations

import ast
import difflib
import errno
import io
import linecache
import os
import re
import textwrap
import tokenize
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property, lru_cache
from itertools import chain, count, islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

from gradcheck._common.errors import TargetError
from gradcheck._common.files import has_changed
from gradcheck._common.wording import shown_path
from gradcheck._common.writing import FileChangedError, replace_file, write_copy

Place: TypeAlias = tuple[int, int]

_PYTHON_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
#: `patch` and `git apply` know no other end of a line
_PATCH_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_BOM = "\ufeff"
#: characters that git writes in their own way in a path
_QUOTED = {'"': '\\"', "\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}


class Edit(NamedTuple):
    """Replace the source between two places."""

    start: Place
    end: Place
    text: str


class Source:
    """The source of one file: read from the disk, or found in `linecache` where there is no file."""

    def __init__(self, file: str, text: str, encoding: str = "utf-8", data: bytes | None = None) -> None:
        """Take the text with its line endings as they are found, without a byte order mark.

        Args:
            file: Its path, or the name that it goes by.
            text: What it says.
            encoding: As `tokenize.detect_encoding` names it: "utf-8-sig" is UTF-8 with a byte order mark.
            data: The bytes on the disk; None if it is no file.
        """
        self.file, self.text, self.encoding, self.data = file, text, encoding, data
        self._with_ends = split_lines(text)
        self.lines = [line.rstrip("\r\n") for line in self._with_ends]

    @classmethod
    def read(cls, file: str) -> Source:
        """The file as it is on the disk now.

        Raises:
            TargetError: If it cannot be read, or is no text in the encoding that it names.
        """
        try:
            data = Path(file).read_bytes()
            # as Python does, which finds the cookie in a file with any line endings
            lines = io.BytesIO(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"))
            encoding = tokenize.detect_encoding(lines.readline)[0]
            return _shared(file, data.decode(encoding), encoding, data)
        except OSError as error:
            raise TargetError(f"cannot read {file}: {error.strerror}") from error
        except (SyntaxError, UnicodeError) as error:
            raise TargetError(f"cannot read {file}: {error}") from error

    @classmethod
    def of_running(cls, file: str) -> Source | None:
        """The source of code that runs, also of a notebook's or a doctest's; None if there is none any more."""
        linecache.checkcache(file)  # it may have been edited and imported again
        text = "".join(linecache.getlines(file))
        if not text or has_changed(file):
            return None
        with suppress(TargetError):
            found = cls.read(file)
            as_cached = "\n".join([*found.lines, ""])  # a last line that does not end is ended there
            if as_cached == text:
                return found
        return _shared(file, text, "utf-8", None)

    @property
    def codec(self) -> str:
        """The encoding of its text, in which a byte order mark is a character like others."""
        return self.encoding.removesuffix("-sig")

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree, to be read and not to be changed."""
        return ast.parse(self.text)

    @cached_property
    def statements(self) -> dict[tuple[type[ast.stmt], int, int], ast.stmt]:
        """The statements by kind, line and column."""
        return {
            (type(node), node.lineno, node.col_offset): node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.stmt)
        }

    @cached_property
    def newline(self) -> str:
        """What ends its first line."""
        return self._with_ends[0][len(self.lines[0]) :] or "\n" if self.lines else "\n"

    def segment(self, start: Place, end: Place) -> str:
        """The text between two places; its lines end with a line feed."""
        (first, begin), (last, stop) = start, end
        touched = [line.encode() for line in self.lines[first - 1 : last]]
        touched[-1] = touched[-1][:stop]  # before the beginning is cut off: they may be one line
        touched[0] = touched[0][begin:]
        return b"\n".join(touched).decode()

    def segment_of(self, node: ast.expr | ast.stmt) -> str:
        """The text of a node, as it is written."""
        return self.segment(*span_of(node))

    def edited(self, edits: Sequence[Edit]) -> str:
        """The text with these edits, which must not overlap; what they insert ends its lines as the file does.

        What several of them insert at one place stands there in their order.
        """
        lines = list(self._with_ends)
        for edit in sorted(edits, key=lambda one: one[:2])[::-1]:  # those of one place in their order
            (first, begin), (last, end) = edit.start, edit.end
            head, tail = lines[first - 1].encode()[:begin], lines[last - 1].encode()[end:]
            lines[first - 1 : last] = [head.decode() + edit.text.replace("\n", self.newline) + tail.decode()]
        return "".join(lines)

    def edited_segment(self, node: ast.stmt, edit: Edit) -> str:
        """The text of a statement after an edit inside it, as if it stood alone."""
        start, end = span_of(node)

        def within(place: Place) -> Place:
            return place[0] - start[0] + 1, place[1] - (start[1] if place[0] == start[0] else 0)

        return apply_edits(self.segment(start, end), [Edit(within(edit.start), within(edit.end), edit.text)])

    def change(self, *edits: Edit) -> tuple[int, str, str]:
        """(line, before, after): what edits do to the lines from the first that they touch to the last."""
        first, last = min(edit.start[0] for edit in edits), max(edit.end[0] for edit in edits)
        after = split_lines(self.edited(edits))
        changed = after[first - 1 : last + len(after) - len(self.lines)]
        return first, self.lines_between(first, last), _outdented([line.rstrip("\r\n") for line in changed])

    def lines_between(self, first: int, last: int) -> str:
        """The text of some lines, without the space around it."""
        return _outdented(self.lines[first - 1 : last])

    def diff(self, edits: Sequence[Edit], context: int = 3) -> str:
        """The edits as a unified diff, as ``patch -p1`` and ``git apply`` read it, with the path from here."""
        return self._diff_head() + self._diff_body(edits, context)

    def encoded_diff(self, edits: Sequence[Edit], context: int = 3) -> bytes:
        """The diff as bytes: its lines as the file has them, and its path as the system has it."""
        return os.fsencode(self._diff_head()) + self._diff_body(edits, context).encode(self.codec)

    def _diff_head(self) -> str:
        name = shown_path(self.file)
        return f"--- {_path_in_patch(f'a/{name}')}\n+++ {_path_in_patch(f'b/{name}')}\n"

    def _diff_body(self, edits: Sequence[Edit], context: int) -> str:
        bom = "" if self.encoding == self.codec else _BOM
        before, after = (_PATCH_LINE.findall(bom + text) for text in (self.text, self.edited(edits)))
        lines = islice(difflib.unified_diff(before, after, n=context), 2, None)  # they begin with a head of no names
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)

    def encoded(self, text: str) -> bytes:
        """The text in the file's encoding.

        Raises:
            TargetError: If it has characters that the encoding lacks.
        """
        try:
            return text.encode(self.encoding)
        except UnicodeError as error:
            raise TargetError(f"cannot write {self.file} in its encoding: {error}") from error

    def require_writable(self, edits: Sequence[Edit]) -> None:
        """Refuse edits that could not be written, before any file is.

        Raises:
            TargetError: If the file cannot be written in its encoding, byte for byte but for the edits.
            OSError: If it must not be written.
        """
        if self.data is None or self.encoded(self.text) != self.data:
            raise TargetError(f"{self.file} is no file that can be written back as it is")
        self.encoded(self.edited(edits))
        if not os.access(self.file, os.W_OK):
            raise PermissionError(errno.EACCES, "it is read-only", self.file)

    def write(self, edits: Sequence[Edit]) -> Path:
        """Write the file with these edits; the file as it was is kept beside it. The backup's path.

        Raises:
            TargetError: If the file cannot be written in its encoding, byte for byte but for the edits.
            OSError: If it must not be written.
        """
        self.require_writable(edits)
        assert self.data is not None  # or it could not be written
        path, after = Path(self.file), self.encoded(self.edited(edits))
        names = (Path(f"{self.file}.orig{number or ''}") for number in chain([0], count(2)))
        backup = write_copy(path, names, self.data)
        try:
            replace_file(path, after, expected=self.data)
        except BaseException as error:
            if path.read_bytes() != after:  # Ctrl-C may come when all is done
                backup.unlink()
            if isinstance(error, FileChangedError):
                raise TargetError(f"{self.file} has changed since it was checked: run the check again") from error
            raise
        return backup


def _outdented(lines: Sequence[str]) -> str:
    """Lines without the space around them, and without the indentation that they have in common."""
    return textwrap.dedent("\n".join(lines)).strip()


@lru_cache(maxsize=32)
def _shared(file: str, text: str, encoding: str, data: bytes | None) -> Source:
    """One object for one text, so that it is parsed once however often it is traced."""
    return Source(file, text, encoding, data)


def _path_in_patch(path: str) -> str:
    """As git writes a path: quoted where it has to be, and ended by a tab where it has spaces."""
    quoted = "".join(_QUOTED.get(one) or (f"\\{ord(one):03o}" if one < " " or one == "\x7f" else one) for one in path)
    return f'"{quoted}"' if quoted != path else path + "\t" * (" " in path)


def split_lines(text: str) -> list[str]:
    """The lines with their endings, as Python splits its source."""
    return _PYTHON_LINE.findall(text)


def apply_edits(text: str, edits: Sequence[Edit]) -> str:
    """The text with these edits, which must not overlap."""
    return Source("<edit>", text).edited(edits)


def span_of(node: ast.expr | ast.stmt) -> tuple[Place, Place]:
    """Where a node begins and ends."""
    assert node.end_lineno is not None  # every node that was parsed has an end
    assert node.end_col_offset is not None
    return (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)


def first_line(node: ast.stmt | ast.expr) -> int:
    """The line at which a function begins for the compiler: that of its first decorator, if it has any."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(one.lineno for one in decorators)])
