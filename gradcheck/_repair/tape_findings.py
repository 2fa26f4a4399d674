"""The records of what the tape finds: a line, what it should give, and the edit that mends it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gradcheck._localising import Suspect
from gradcheck._localising.standing import Standing
from gradcheck._mending.distance import words_of
from gradcheck._repair.found import Found, Mended
from gradcheck._repair.mistake_names import name_mistake
from gradcheck._usercode.source import Edit, Source
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EquivalentEdit, Fix, JudgedWithout, Label, Mistake, Symptom
from gradcheck.report.records import Finding

#: tokens by which an equivalent edit may be longer than the one that is offered
MOST_LONGER = 2
#: a sign after the operator of a sum
SIGN_ON_SIGN = re.compile(r"[+-] -")


def tape_findings(found: Found, *, verified: bool) -> list[Finding]:
    """A finding for each fault, what is left where it is last; `verified`: whether the whole check is content."""
    told = (one for one in found.faults if not one.is_unsaid)
    return [_finding(one, found, verified) for one in sorted(told, key=lambda one: one.is_left)]


def _finding(fault: Mended, found: Found, verified: bool) -> Finding:
    if fault.is_left or fault.mend is None or not fault.edits or fault.mend.file not in found.sources:
        return _line(fault, found.sources)
    source, edits = found.sources[fault.mend.file], sorted(fault.edits)
    line, before, after = source.change(*edits)
    # beside the edit of the statement there may be one that prepares it elsewhere
    main = [edit for edit in edits if "\n" not in edit.text] or edits
    mistake = _mistake(fault, source, main[0])
    others = [source.change(*other.edits) for other in fault.others if other.file == fault.mend.file]
    first, last = main[0].start, main[-1].end
    is_at_statement = fault.code is FindingCode.WRITES_INTO_CALLERS
    stands_there = source.lines_between(first[0], last[0]) if len(main) < len(edits) else before
    equivalent = (EquivalentEdit(at, text) for at, _, text in others if not _is_roundabout(text, after))
    left_out = (JudgedWithout(one.name, one.statement.file, _line_of(one)) for one in found.faults if one.is_unsaid)
    return Finding(
        mistake.code,
        fault.gradients,
        (*mistake.evidence, *equivalent, *left_out),
        symptom=FindingCode.COMMON_FACTOR if fault.is_common else None,
        file=source.file,
        line=_line_of(fault) if is_at_statement else first[0],
        column=None if is_at_statement else _column(source, first),
        end_column=_column(source, last) if last[0] == first[0] and not is_at_statement else None,
        function=fault.statement.function,
        statement=fault.statement.text if is_at_statement else stands_there,
        expected=_expected(fault.suspect),
        fix=Fix(line, before, after, source.diff(edits), verified=verified and fault.is_mended),
    )


def _is_roundabout(text: str, chosen: str) -> bool:
    """Whether an equivalent says in more words what the chosen edit says: t - d + 1 - 1 for t - d, 1 + -o for 1 - o."""
    if SIGN_ON_SIGN.search(text) and not SIGN_ON_SIGN.search(chosen):
        return True
    return len(words_of(text)) > len(words_of(chosen)) + MOST_LONGER


def _mistake(fault: Mended, source: Source, edit: Edit) -> Symptom:
    """The code of the mistake and what it is about."""
    if fault.code is FindingCode.WRITES_INTO_CALLERS:
        return Symptom(fault.code, (Mistake(edit.text.partition("=")[0].strip()),))
    return name_mistake(source, edit) if fault.code is None else Symptom(fault.code)


def _line(fault: Mended, sources: Mapping[str, Source]) -> Finding:
    """A line that no edit mends."""
    statement = fault.statement
    places = [place for place in fault.suspect.places if place.line == statement.line] if fault.suspect else []
    line = _line_of(fault)
    start = line, min((place.column for place in places), default=0)
    source = sources.get(statement.file)
    return Finding(
        fault.code or FindingCode.WRONG_LINE,
        fault.gradients,
        (Mistake(fault.name),) if fault.name else (),
        file=statement.file,
        line=line,
        column=None if source is None else _column(source, start),
        function=statement.function,
        statement=statement.text,
        expected=_expected(fault.suspect),
    )


def _line_of(fault: Mended) -> int:
    """Where its statement begins in the file as it is."""
    return fault.statement.line if fault.line is None else fault.line


def _expected(suspect: Suspect | None) -> Label | None:
    """The derivative that the statement should give, where that is of one expression at all executions."""
    needed = [] if suspect is None else suspect.needed
    if suspect is None or not needed or any(one.standing is not Standing.FULL or one.source is None for one in needed):
        return None
    sources = [one.source for one in needed if one.source is not None]
    texts = {source.place.text if source.place is not None else source.label for source in sources}
    if len(texts) != 1 or None in texts:
        return None
    form = needed[0].form
    return Label(str(texts.pop()), detail=f"as {form}" if form else "").times(suspect.times)


def _column(source: Source, place: tuple[int, int]) -> int:
    """The column of a place, counted in characters from 1."""
    return len(source.segment((place[0], 0), place)) + 1
