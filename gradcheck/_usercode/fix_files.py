"""Writes verified fixes to the user's files, or to a patch; nothing is written that is not asked for."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from gradcheck._common.wording import shown_path
from gradcheck._usercode.patching import Edit, apply_edits
from gradcheck.report.report import Report


def merge_patches(reports: Iterable[Report]) -> dict[str, list[Edit]]:
    """The edits of all reports by file; of two that overlap the first."""
    result: dict[str, list[Edit]] = {}
    for report in reports:
        for file, edits in report.patch.items():
            chosen = result.setdefault(file, [])
            for first, begin, last, end, text in edits:
                edit = Edit((first, begin), (last, end), text)
                if all(edit.end <= other.start or edit.start >= other.end for other in chosen):
                    chosen.append(edit)
    return {file: edits for file, edits in result.items() if edits}


def before_and_after(file: str, edits: Sequence[Edit]) -> tuple[str, str]:
    """The file's source as it is, and with the edits."""
    with open(file, encoding="utf-8", newline="") as stream:
        source = stream.read()
    return source, apply_edits(source, edits)


def write(file: str, edits: Sequence[Edit]) -> Path:
    """Write the fixed file; the file as it was is kept beside it. The backup's path."""
    before, after = before_and_after(file, edits)
    backup = Path(file + ".orig")
    number = 1
    while backup.exists():
        number += 1
        backup = Path(f"{file}.orig{number}")
    for path, text in ((backup, before), (Path(file), after)):
        with path.open("w", encoding="utf-8", newline="") as stream:
            stream.write(text)
    return backup


def unified_diff(edits: dict[str, list[Edit]]) -> str:
    """One unified diff of all files, as ``patch -p1`` and ``git apply`` read it, with paths from here."""
    parts = []
    for file, of_file in edits.items():
        before, after = before_and_after(file, of_file)
        name = shown_path(file)
        lines = difflib.unified_diff(
            before.splitlines(keepends=True), after.splitlines(keepends=True), f"a/{name}", f"b/{name}"
        )
        parts += [line if line.endswith("\n") else line + "\n\\ No newline at end of file\n" for line in lines]
    return "".join(parts)
