"""What a run tells whatever is asked: what its values are, and which statements gave them."""

from __future__ import annotations

from collections import Counter

from gradcheck._localising.holes import Holes, holes_of
from gradcheck._localising.records import Key
from gradcheck._localising.standing import Standings
from gradcheck._localising.tape import TapedRun


class Ground:
    """Made once for a run: each wrong gradient is asked about by itself."""

    def __init__(self, run: TapedRun) -> None:
        self.standings = Standings(run)
        self.holes: list[Holes] = holes_of(run)
        self.keys = _keys(run)


def _keys(run: TapedRun) -> dict[int, Key]:
    """A key of each statement, the same in every run of the same text."""
    seen: Counter[tuple[str, int, int]] = Counter()
    result: dict[int, Key] = {}
    for statement in run.statements:
        where = (statement.file, statement.line, statement.end_line)
        result[id(statement)] = (*where, seen[where])
        seen[where] += 1
    return result
