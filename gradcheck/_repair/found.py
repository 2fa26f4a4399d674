"""What the search on the tape has found so far, and the code with its edits."""

from __future__ import annotations

import linecache
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import compress
from types import CodeType

from gradcheck._localising import Localisation, Suspect
from gradcheck._mending import Mend
from gradcheck._repair.derivative_edits import Tried
from gradcheck._repair.edits_in_turn import line_before, moved_back
from gradcheck._tape import Statement as TapedStatement
from gradcheck._tape.parts import whole_name
from gradcheck._usercode.patching import EditedFunctions, Patch
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit, Source, split_lines
from gradcheck.report.codes import FindingCode

#: equivalents of each of several faults that are tried where the check is not content with all of them
MOST_OTHERS = 2


@dataclass
class Mended:
    """One fault: the statement, and the edits that mend it, if any do."""

    statement: TapedStatement
    gradients: tuple[str, ...]
    suspect: Suspect | None = None
    mend: Mend | None = None
    others: tuple[Mend, ...] = ()
    #: whether it is what gives all gradients a factor in common
    is_common: bool = False
    #: the edits of the mend, in the text as it is
    edits: list[Edit] = field(default_factory=list)
    #: what is wrong, where that is known before any edit, and the name that it is about
    code: FindingCode | None = None
    name: str = ""
    #: where the statement begins in the text as it is; None while it has no edits
    line: int | None = None
    #: whether its edits were judged by what the statement gives with them
    is_by_value: bool = False
    #: whether a part of a gradient is right with its edits, and not the whole
    is_of_part: bool = False
    #: whether its edits are told on trust: the statement gives derivatives with them, but no gradient is right
    is_trusted: bool = False
    #: whether it is no fault to be told of: what is right without it is right for the check as well
    is_unsaid: bool = False

    @classmethod
    def of(
        cls,
        statement: TapedStatement,
        mends: Sequence[Mend],
        suspect: Suspect | None = None,
        code: FindingCode | None = None,
    ) -> Mended:
        """A fault with its edits, of which there is at least one, the best first."""
        return cls(statement, mends[0].gradients, suspect, mends[0], tuple(mends[1:]), code=code)

    @property
    def is_mended(self) -> bool:
        """Whether its edits are in the code, and mend something."""
        return bool(self.edits) and not self.is_trusted

    @property
    def is_left(self) -> bool:
        """Whether it is told and left where it is: a clip of finished gradients, or a small constant of the loss."""
        return self.code in (FindingCode.CLIPS_FINISHED, FindingCode.CONSTANT_LEFT_OUT)


@dataclass(frozen=True)
class Stage:
    """What there was after a mend."""

    #: how many faults are mended
    faults: int
    edits: dict[str, list[Edit]]
    still_wrong: tuple[str, ...]
    #: the factor that all gradients have still
    factor: float


@dataclass
class Found:
    """What the tape tells of a wrong backward."""

    faults: list[Mended] = field(default_factory=list)
    #: who could be at fault, after the edits so far
    last: Localisation | None = None
    #: by gradient: who could be at fault in it alone, where that was asked for after the edits so far
    of_each: dict[str, list[Suspect]] = field(default_factory=dict)
    #: the gradients that are wrong before any edit
    wrong: tuple[str, ...] = ()
    #: those that are wrong still
    still_wrong: tuple[str, ...] = ()
    #: the edits so far, of the source as it is, by file; the lists are replaced, never changed
    edits: dict[str, list[Edit]] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)
    codes: list[CodeType] = field(default_factory=list)
    evaluations: int = 0
    stages: list[Stage] = field(default_factory=list)
    #: whether all that is wrong still is a factor that all gradients have in common
    is_common: bool = False
    #: statements of which no edit gives a derivative, with the executions at which it should
    fruitless: set[Tried] = field(default_factory=set)
    #: statements that are at fault whatever edits would be found
    signs: list[Mended] = field(default_factory=list)
    #: whether the time was up before the search was through
    is_cut: bool = False

    @property
    def mended(self) -> int:
        """How many faults have an edit."""
        return sum(fault.is_mended for fault in self.faults)

    @property
    def leaves_all(self) -> bool:
        """Whether there is no edit but of what is left where it is."""
        return all(fault.is_left for fault in self.faults if fault.mend is not None and fault.is_mended)

    def reach(self, wrong: set[str], factor: float) -> None:
        """Note what is wrong with the edits so far."""
        self.still_wrong = tuple(sorted(wrong))
        self.wrong = self.wrong or self.still_wrong
        if self.edits and (not self.stages or len(self.faults) > self.stages[-1].faults):
            self.stages.append(Stage(len(self.faults), dict(self.edits), self.still_wrong, factor))

    def note_edits(self) -> None:
        """Note that edits of the last stage have become others."""
        if self.stages:
            self.stages[-1] = replace(self.stages[-1], edits=dict(self.edits))

    def copy(self) -> Found:
        """The same, to go on from without changing this one."""
        faults = [replace(one) for one in self.faults]
        return replace(self, faults=faults, edits=dict(self.edits), stages=list(self.stages))

    def before_edits(self) -> Found:
        """The code as it is, with nothing found in it yet."""
        return replace(self.copy(), faults=[], edits={})

    def with_more(self, file: str, edits: Sequence[Edit]) -> Found:
        """The same with these in the code as well, which are edits of the text with the edits so far."""
        trial = self.copy()
        earlier = trial.edits.get(file, [])
        trial.edits[file] = [*earlier, *_moved_back(edits, earlier)]
        return trial

    def take_back(self, fault: Mended) -> None:
        """Leave a fault and its edits out."""
        self.edits = _without(self.edits, fault.edits)
        self.faults.remove(fault)

    def tell_whole(self) -> None:
        """Name gradients, where parts of them were looked at."""
        for fault in self.faults:
            names = tuple(dict.fromkeys(map(whole_name, fault.gradients)))
            fault.is_of_part, fault.gradients = fault.is_of_part or names != fault.gradients, names

    def leave_out_trusted(self) -> None:
        """Leave those edits out of the code after which no gradient is right with all steps; they are told."""
        for fault in self.faults if self.still_wrong else ():
            right = tuple(name for name in fault.gradients if name not in self.still_wrong)
            if fault.edits and fault.gradients and not right:
                fault.is_trusted = True
                self.edits = _without(self.edits, fault.edits)
                self.stages = [replace(one, edits=_without(one.edits, fault.edits)) for one in self.stages]
                if not (fault.is_by_value or fault.is_of_part):  # it is right with one time step alone
                    fault.mend, fault.others, fault.edits = None, (), []
        self._tell_each_line_once()

    def _tell_each_line_once(self) -> None:
        """Of the faults of a line keep those that are mended, or else the first."""
        lines = {(one.statement.file, one.line) for one in self.faults if one.is_mended}
        kept: list[bool] = []
        for fault in self.faults:
            at = fault.statement.file, fault.line
            kept.append(fault.is_mended or at not in lines)
            lines.add(at)
        self.faults = list(compress(self.faults, kept))
        self.stages = [replace(one, faults=sum(kept[: one.faults])) for one in self.stages]

    def note_signs(self, faults: Sequence[Mended]) -> None:
        """Note what is told if no edit is found, in the code with the edits so far.

        Behind an edit that is taken on trust much may look wrong that is not: signs are noted before there are any.
        """
        self.signs = [self._placed(one) for one in faults]

    @property
    def signs_left(self) -> list[Mended]:
        """The signs of what is still wrong."""
        left = ((one, tuple(name for name in one.gradients if name in self.still_wrong)) for one in self.signs)
        return [replace(one, gradients=names) for one, names in left if names]

    def add_unmended(self, faults: Sequence[Mended]) -> None:
        """Add faults without a mend, whose statements are those of the code with the edits so far, or have a line."""
        self.faults += [one if one.line is not None else self._placed(one) for one in faults]

    def _placed(self, fault: Mended) -> Mended:
        edits = self.edits.get(fault.statement.file, [])
        return replace(fault, line=line_before(fault.statement.line, edits))

    def after(self, stage: Stage) -> Found:
        """What was found by the end of a stage; the faults that only later edits mend have no edit."""
        faults = [one if number < stage.faults else replace(one, mend=None) for number, one in enumerate(self.faults)]
        return replace(self, faults=faults, edits=stage.edits, still_wrong=stage.still_wrong)

    def with_other_edits(self) -> Iterator[Found]:
        """The same with each equivalent edit of one fault in the place of its own.

        At the sizes at which they were tried both do the same: where two sizes are equal, either divides.
        """
        is_alone = len(self.faults) == 1
        for number, fault in enumerate(self.faults):
            for other in fault.others if is_alone else fault.others[:MOST_OTHERS]:
                trial = self.copy()
                trial.take_back(trial.faults[number])
                beside = tuple(one for one in fault.others if one is not other)
                if add_mend(trial, replace(fault, mend=other, others=beside, edits=[]), {}):
                    trial.faults.insert(number, trial.faults.pop())
                    yield trial

    @property
    def patch(self) -> Patch:
        """All edits, each with the statement that it is of."""
        return self._patch_without(())

    @property
    def kept_patch(self) -> Patch:
        """All edits but those of what is left where it is."""
        return self._patch_without([edit for fault in self.faults if fault.is_left for edit in fault.edits])

    def _patch_without(self, left_out: Collection[Edit]) -> Patch:
        told = [(file, edit) for file, edits in self.edits.items() for edit in edits if edit not in left_out]
        return Patch([(_statement_at(self.sources[file], edit), edit) for file, edit in told], self.sources)


class EditedCode:
    """The functions, and their source as it is looked up, as if the files had been edited as far as is found.

    Args:
        found: What is found so far.
        is_factory: Whether functions inside others are made again.
    """

    def __init__(self, found: Found, *, is_factory: bool) -> None:
        self._is_factory = is_factory
        self._functions = EditedFunctions(found.codes if found.edits else (), found.sources)
        self._texts = {file: found.sources[file].edited(edits) for file, edits in found.edits.items()}
        self._replacements = self._functions.replacements(found.edits)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Run it; the code is the same each time."""
        cached = {file: linecache.cache.get(file) for file in self._texts}
        with self._functions.replaced(self._replacements, anew=self._is_factory):
            try:
                for file, text in self._texts.items():
                    # without a time of change it is never compared with the disk
                    linecache.cache[file] = len(text), None, split_lines(text), file
                yield
            finally:
                for file, before in cached.items():
                    if before is None:
                        linecache.cache.pop(file, None)
                    else:
                        linecache.cache[file] = before


def add_mend(found: Found, fault: Mended, before: Mapping[str, list[Edit]]) -> bool:
    """Add a fault with its mend; whether the mend can be told as edits of the text as it is.

    Args:
        found: What is found so far.
        fault: The fault, whose mend is one of the text with the edits `before`.
        before: By file.
    """
    mend = fault.mend
    assert mend is not None
    found.faults.append(fault)
    earlier_here = before.get(mend.file, [])
    fault.line = line_before(fault.statement.line, earlier_here)
    others = ((one, _moved_back(one.edits, earlier_here)) for one in fault.others)
    fault.others = tuple(replace(one, edits=tuple(edits)) for one, edits in others if len(edits) == len(one.edits))
    moved, edits = mend.edits, _moved_back(mend.edits, earlier_here)
    source = found.sources[mend.file]
    takes_back = any(edit.text == source.segment(edit.start, edit.end) for edit in edits)
    if len(edits) < len(moved) or takes_back:
        return False
    earlier = found.edits.get(mend.file, [])
    kept = [one for one in earlier if not any(_covers(edit, one) for edit in edits)]
    for other in found.faults:
        other.edits = [one for one in other.edits if one in kept or one not in earlier]
    fault.edits = edits
    found.edits[mend.file] = [*kept, *edits]
    return True


def _without(edits: Mapping[str, list[Edit]], left_out: Collection[Edit]) -> dict[str, list[Edit]]:
    return {file: [one for one in of_file if one not in left_out] for file, of_file in edits.items()}


def _moved_back(edits: Sequence[Edit], before: Sequence[Edit]) -> list[Edit]:
    """Those that can be told as edits of the text without the edits `before`."""
    return [moved for edit in edits if (moved := moved_back(edit, before)) is not None]


def _covers(edit: Edit, other: Edit) -> bool:
    """Whether an edit replaces all that an earlier one has put there."""
    return edit.start <= other.start < other.end <= edit.end


def _statement_at(source: Source, edit: Edit) -> Statement:
    """The innermost statement that an edit lies in."""
    inside = [
        node
        for node in source.statements.values()
        if (node.lineno, node.col_offset) <= edit.start and edit.start[0] <= (node.end_lineno or node.lineno)
    ]
    node = max(inside, key=lambda one: (one.lineno, one.col_offset))
    return Statement(source.file, node, source.segment_of(node), "")
