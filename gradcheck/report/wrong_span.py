"""Which part of a line is wrong, and what should stand there: told by the place of a finding and its verified edit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from gradcheck.report.evidence import FindingRecord
from gradcheck.report.source_lines import split_lines

#: code of more characters is not said twice, since the edit follows
MOST_SAID = 48
_TOKEN = re.compile(r"\s+|\w+|\*\*|//|[^\w\s]")
#: where an element begins and ends, as far as no brackets are in it
_BEGINS, _ENDS = re.compile(r"[,(\[{]\s*"), re.compile(r"[,)\]}]")
_CLOSING = {")": "(", "]": "[", "}": "{"}


class Span(NamedTuple):
    """Characters of a line, from 0, and what is said beside them: "expected dct"; empty if nothing is to be said."""

    start: int
    end: int
    said: str


def wrong_span(finding: FindingRecord, line: str) -> Span | None:
    """The part of this line that is wrong; None where only the line is known."""
    code_end = len(line.rstrip())
    if finding.column is None or not 0 < finding.column <= code_end:
        return None
    start = finding.column - 1
    end = min(finding.end_column - 1, code_end) if finding.end_column else code_end
    if end <= start:
        return None
    derivative = f"expected {finding.expected.without_execution()}" if finding.expected is not None else ""
    wrong = line[start:end]
    right = _replacement(finding, line, start, end) if finding.end_column else None
    if right is None:
        return Span(start, end, derivative)
    lead, trail = _whole_elements(wrong, *_shared(wrong, right))
    changed, wanted = wrong[lead : len(wrong) - trail], right[lead : len(right) - trail]
    if changed.strip() and wanted.strip() in ("", "pass"):
        return _without_space(line, start + lead, end - trail, "should not be here")
    if not changed.strip() or not wanted.strip() or not (_is_balanced(changed) and _is_balanced(wanted)):
        lead, trail, wanted = 0, 0, right
    said = f"expected {wanted.strip()}" if len(wanted) <= MOST_SAID else ""
    return _without_space(line, start + lead, end - trail, said)


def _replacement(finding: FindingRecord, line: str, start: int, end: int) -> str | None:
    """What a verified edit of one line puts in the place of the span; None if that is not all it does."""
    fix = finding.fix
    if fix is None or not fix.verified or fix.line != finding.line:
        return None
    if len(split_lines(fix.before)) > 1 or len(split_lines(fix.after)) > 1 or line.strip() != fix.before.strip():
        return None
    before, after = line[:start].lstrip(), line[end:].rstrip()
    new = fix.after.strip()
    if not (new.startswith(before) and new.endswith(after) and len(new) >= len(before) + len(after)):
        return None
    return new[len(before) : len(new) - len(after)]


def _shared(wrong: str, right: str) -> tuple[int, int]:
    """How many characters both have in common at the beginning and at the end, in whole tokens."""
    one, other = _TOKEN.findall(wrong), _TOKEN.findall(right)
    lead = _count_equal(one, other)
    trail = _count_equal(one[lead:][::-1], other[lead:][::-1])
    return len("".join(one[:lead])), len("".join(one[len(one) - trail :]))


def _whole_elements(wrong: str, lead: int, trail: int) -> tuple[int, int]:
    """Where several elements change, all of the first one and of the last: "dc * g, dc * i", and not "g, dc * i"."""
    if not any(sign == "," and not depth for sign, depth in _depths(wrong[lead : len(wrong) - trail])):
        return lead, trail
    before = [found.end() for found in _BEGINS.finditer(wrong[:lead])]
    after = _ENDS.search(wrong, len(wrong) - trail)
    return max(before, default=0), len(wrong) - after.start() if after else 0


def _depths(code: str) -> Iterator[tuple[str, int]]:
    """Each character, and how many brackets are open before it."""
    depth = 0
    for sign in code:
        yield sign, depth
        depth += (sign in _CLOSING.values()) - (sign in _CLOSING)


def _count_equal(one: list[str], other: list[str]) -> int:
    """How many tokens are the same before the first that differ."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _without_space(line: str, start: int, end: int, said: str) -> Span:
    """The span with no space at its ends."""
    code = line[start:end]
    return Span(start + len(code) - len(code.lstrip()), end - len(code) + len(code.rstrip()), said)


def _is_balanced(code: str) -> bool:
    """Whether every bracket is closed within."""
    opened: list[str] = []
    for sign in code:
        if sign in _CLOSING.values():
            opened.append(sign)
        elif sign in _CLOSING and (not opened or opened.pop() != _CLOSING[sign]):
            return False
    return not opened
