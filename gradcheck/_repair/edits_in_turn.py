"""Edits of a text that has been edited already, told as edits of the text as it was."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradcheck._usercode.source import Edit

#: line, and byte in the line
Place = tuple[int, int]


def moved_back(edit: Edit, before: Sequence[Edit]) -> Edit | None:
    """The edit as one of the text without the edits `before`, of which it is none, to be made after them.

    None if it begins or ends within what one of them put there, or cannot be told from beside what one inserted.
    """
    spans = list(_spans(before))
    start, end = _original(edit.start, spans), _original(edit.end, spans)
    if start is None or end is None or any(_tangled(edit, *span) for span in spans):
        return None
    return Edit(start, end, edit.text)


def line_before(line: int, before: Sequence[Edit]) -> int:
    """The line of the text without the edits `before` at which a line of the edited text begins, or the last above."""
    spans = list(_spans(before))
    while line > 1:
        found = _original((line, 0), spans)
        if found is not None:
            return found[0]
        line -= 1
    return line


def _spans(edits: Sequence[Edit]) -> Iterator[tuple[Edit, Place, Place]]:
    """Each edit in the order of the text, and where what it put there begins and ends in the edited text."""
    old_end: Place = (1, 0)
    new_end: Place = (1, 0)
    for edit in sorted(edits, key=lambda one: one[:2]):
        start = _shifted(edit.start, old_end, new_end)
        added = edit.text.split("\n")
        column = len(added[-1].encode()) + (start[1] if len(added) == 1 else 0)
        old_end, new_end = edit.end, (start[0] + len(added) - 1, column)
        yield edit, start, new_end


def _tangled(edit: Edit, other: Edit, start: Place, end: Place) -> bool:
    """Whether an edit replaces what another inserted, or inserts right before it: the text as it was has one place."""
    if other.start != other.end or start == end:
        return False
    return (edit.start <= start and end <= edit.end) or edit.start == edit.end == start


def _shifted(place: Place, known: Place, moved: Place) -> Place:
    """Where a place is, if a place before it is known to have moved."""
    line, column = place
    return line + moved[0] - known[0], column + (moved[1] - known[1] if line == known[0] else 0)


def _original(place: Place, spans: Sequence[tuple[Edit, Place, Place]]) -> Place | None:
    before: tuple[Place, Place] = (1, 0), (1, 0)
    for edit, start, end in spans:
        if place < start or (place == start and start < end):
            break
        if place < end:
            return None
        before = end, edit.end
    return _shifted(place, *before)
