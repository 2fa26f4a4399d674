"""Which statements of a wrong backward are at fault, what they should hold, and why.

What the check found speaks first: it has tried edits, and verified the one that it shows. Where it names no line, the
statements that could be at fault are marked as such, with what they would have to hold.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from gradcheck._localising import Needed, Suspect, localise
from gradcheck._localising.labels import Labels
from gradcheck._localising.standing import Standing
from gradcheck._tape import Statement, TapedRun
from gradcheck._tape.nodes import Array
from gradcheck.report.records import Finding

#: equal factors, relative
SAME = 1e-6
#: statements that are marked where nothing decides between them
MOST_MARKED = 4


class Faults:
    """What is wrong, by statement; `after` are the values that are wrong because of it."""

    def __init__(self, run: TapedRun, wrong: Collection[str], labels: Labels, findings: Sequence[Finding]) -> None:
        self.run, self.labels = run, labels
        self.words: dict[Statement, str] = {}
        self.first: Statement | None = None
        self.after: set[int] = set()
        if wrong:
            self._from_findings(findings)
            if not self.words:
                self._from_suspects(wrong)
            self.first = min(self.words, key=self._when_run, default=None)
            self._follow()

    def _when_run(self, statement: Statement) -> int:
        numbers = {place.number for place in statement.places}
        return next((n.index for n in self.run.nodes if n.place is not None and n.place.number in numbers), 0)

    def _follow(self) -> None:
        """The values that were calculated from those of the marked statements."""
        for node in self.run.nodes:
            own = node.place is not None and node.place.statement in self.words and not self.run.is_forward(node)
            if own or any(source.index in self.after for source in node.inputs):
                self.after.add(node.index)

    # -- what the check found --------------------------------------------------------------------------------------

    def _from_findings(self, findings: Sequence[Finding]) -> None:
        for one in findings:
            statement = None if one.line is None else self._statement(one.file, one.line)
            if statement is None:
                continue
            should = "" if one.expected is None else f"should hold {self._label(one)}: "
            fix = f"; right with {one.fix.after.strip()}" if one.fix is not None and one.fix.verified else ""
            words = f"✗ {should}{one.headline}{fix}"
            self.words[statement] = f"{self.words[statement]} | {words}" if statement in self.words else words

    def _statement(self, file: str | None, line: int) -> Statement | None:
        around = [one for one in self.run.statements if one.file == file and one.line <= line <= one.end_line]
        return max(around, key=lambda one: one.line, default=None)

    def _label(self, finding: Finding) -> str:
        """The derivative that is expected, by its best name."""
        assert finding.expected is not None
        text = finding.expected.expression
        nodes = [n for n in self.run.nodes if n.place is not None and n.place.text == text and self.run.is_forward(n)]
        for node in nodes:
            value = self.run.derivative(node)
            known = None if value is None else self.labels.full(value)
            if known is not None and finding.expected == type(finding.expected)(text):
                return str(known)
        return str(finding.expected)

    # -- what could be at fault ------------------------------------------------------------------------------------

    def _from_suspects(self, wrong: Collection[str]) -> None:
        found = localise(self.run, wrong)
        region = {id(one) for one in found.region}
        alone = [one for one in found.alone if id(one.statement) in region][:MOST_MARKED]
        for one in found.together or alone:
            self.words[one.statement] = f"✗? {self._says(one)}"

    def _says(self, one: Suspect) -> str:
        if all(needed.standing is Standing.UNKNOWN for needed in one.needed):
            end = f": with other values here {', '.join(one.blamed_for)} would be right" if one.blamed_for else ""
            return f"could be at fault{end}"
        known = [needed for needed in one.needed if needed.standing is not Standing.UNKNOWN]
        should = list(dict.fromkeys(self._should(needed) for needed in known))
        return f"would have to hold {', '.join(should[:2])}: {self._why(known)}"

    def _should(self, needed: Needed) -> str:
        known = self.labels.of(needed.needed)
        return "zeros" if needed.standing is Standing.ZERO else str(known) if known is not None else "other values"

    def _why(self, found: list[Needed]) -> str:
        """What it holds instead."""
        values, needed = [one.value for one in found], [one.needed for one in found]
        if not any(np.any(value) for value in values):
            return "it holds zeros"
        instead = {str(self.labels.full(value)) for value in values}
        if len(instead) == 1 and "None" not in instead:
            return f"it holds {instead.pop()}"
        factor = _factor(values, needed)
        if factor is not None:
            return "its sign is turned" if factor == -1 else f"it is {factor:.6g} times that"
        missing = {str(self.labels.of(b - a)) for a, b in zip(values, needed, strict=True)}
        if len(missing) == 1 and "None" not in missing:
            return f"what is missing is {missing.pop()}"
        return "what it holds is no derivative"


def _factor(values: list[Array], needed: list[Array]) -> float | None:
    """What all the values are multiplied by, if it is one number."""
    if any(a.shape != b.shape for a, b in zip(values, needed, strict=True)):
        return None
    a, b = (np.concatenate([np.ravel(one) for one in each]) for each in (values, needed))
    if not np.any(b):
        return None
    factor = float(a @ b / (b @ b))
    if factor == 0 or np.max(np.abs(a - factor * b)) > SAME * np.max(np.abs(a)):
        return None
    return round(factor, 9)
