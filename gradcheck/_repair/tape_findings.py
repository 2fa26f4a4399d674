"""The records of what the tape finds: a line, what it should give, and the edit that mends it."""

from __future__ import annotations

from collections.abc import Mapping

from gradcheck._localising import Suspect
from gradcheck._localising.standing import Standing
from gradcheck._repair.by_tape import Found, Mended
from gradcheck._repair.mistake_names import name_mistake
from gradcheck._usercode.source import Edit, Source
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EquivalentEdit, Fix, Label
from gradcheck.report.records import Finding


def tape_findings(found: Found, *, verified: bool) -> list[Finding]:
    """A finding for each fault; `verified`: whether the whole check is content with all edits together."""
    return [_finding(one, found, verified) for one in found.faults]


def _finding(fault: Mended, found: Found, verified: bool) -> Finding:
    if fault.mend is None or fault.mend.file not in found.sources:
        return _line(fault, found.sources)
    source, edits = found.sources[fault.mend.file], _edits_of(fault, found)
    line, before, after = source.change(*edits)
    mistake = name_mistake(source, edits[0])
    others = [source.change(*other.edits) for other in fault.others if other.file == fault.mend.file]
    first, last = edits[0].start, edits[-1].end
    return Finding(
        mistake.code,
        fault.gradients,
        (*mistake.evidence, *(EquivalentEdit(at, text) for at, _, text in others)),
        file=source.file,
        line=line,
        column=_column(source, first),
        end_column=_column(source, last) if last[0] == first[0] else None,
        function=fault.suspect.statement.function,
        statement=before,
        expected=_expected(fault.suspect),
        fix=Fix(line, before, after, source.diff(edits), verified=verified),
    )


def _edits_of(fault: Mended, found: Found) -> list[Edit]:
    """The edits of one fault, in the text as it is."""
    assert fault.mend is not None
    lines = {edit.start[0] for edit in fault.mend.edits}
    return sorted(edit for edit in found.edits.get(fault.mend.file, fault.mend.edits) if edit.start[0] in lines)


def _line(fault: Mended, sources: Mapping[str, Source]) -> Finding:
    """A line that no edit mends."""
    statement = fault.suspect.statement
    places = [place for place in fault.suspect.places if place.line == statement.line]
    start = min(((place.line, place.column) for place in places), default=(statement.line, 0))
    source = sources.get(statement.file)
    return Finding(
        FindingCode.WRONG_LINE,
        fault.gradients,
        file=statement.file,
        line=statement.line,
        column=None if source is None else _column(source, start),
        function=statement.function,
        statement=statement.text,
        expected=_expected(fault.suspect),
    )


def _expected(suspect: Suspect) -> Label | None:
    """The derivative that the statement should give, where that is of one expression at all executions."""
    needed = suspect.needed
    if not needed or any(one.standing is not Standing.FULL or one.source is None for one in needed):
        return None
    sources = [one.source for one in needed if one.source is not None]
    texts = {source.place.text if source.place is not None else source.label for source in sources}
    if len(texts) != 1 or None in texts:
        return None
    return Label(str(texts.pop()))


def _column(source: Source, place: tuple[int, int]) -> int:
    """The column of a place, counted in characters from 1."""
    return len(source.segment((place[0], 0), place)) + 1
