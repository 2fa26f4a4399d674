"""From a failed check to findings with a line: what is asked of the tape, and what a whole check confirms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from types import CodeType
from typing import TypeAlias

from gradcheck._common.arrays import Sizes
from gradcheck._common.clock import current_clock, limited
from gradcheck._common.errors import TargetError
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.cleared_memory import nan_filled_np_empty
from gradcheck._repair.found import Found
from gradcheck._repair.lines_above import with_lines_above
from gradcheck._repair.no_line import why_none_found, why_not_looked_for
from gradcheck._repair.tape_findings import tape_findings
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target
from gradcheck._usercode.functions import functions_kept
from gradcheck._usercode.patching import Patch, RebindError
from gradcheck.report.codes import FindingCode
from gradcheck.report.records import CutStage, Finding

#: whether a whole check of the patched code finds no more wrong than these gradients, and these laws mended
Content: TypeAlias = Callable[[Patch, Sequence[CodeType], tuple[str, ...], frozenset[str]], bool]


#: the laws that are broken where no gradient is wrong, by what breaks them
_LAWS = {FindingCode.WRITES_INTO_CALLERS: "purity", FindingCode.NOT_CLEARED: "statelessness"}


@dataclass
class Explanation:
    """What was found; `patch` is the verified chain of edits that mends it, if there is one."""

    findings: list[Finding] = field(default_factory=list)
    patch: Patch | None = None
    evaluations: int = 0
    note: str = ""
    #: gradients that are still wrong with the patch
    rest: tuple[str, ...] = ()
    #: what was under way when the time was up; None if all was looked for
    cut: CutStage | None = None

    @property
    def whole(self) -> bool:
        """Whether the patch mends all that is wrong."""
        return self.patch is not None and not self.rest


@dataclass(frozen=True)
class Question:
    """What is asked: where the backward of a subject is wrong.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        common: A factor that all gradients have in common.
        failing: Sizes at which it is known to fail.
        expected_wrong: The gradients that are wrong at some sizes; None if they are only where weights or cotangents
            are large.
        content: Whether a whole check of patched code is content.
        undecided: The gradients that could not be judged.
        keeps_state: Whether the code gives something else the next time: no two runs of it can be compared.
        is_impure: Whether the code changes arrays that are the caller's.
    """

    subject: Target | TargetFactory
    seed: int
    common: CommonFactor | None
    failing: Sizes
    expected_wrong: set[str] | None
    content: Content
    undecided: frozenset[str] = frozenset()
    keeps_state: bool = False
    is_impure: bool = False


def explain(question: Question) -> Explanation:
    """Look for the lines, and mend them; where the time is up, as far as that went."""
    subject, seed = question.subject, question.seed
    note = why_not_looked_for(subject, seed, question.failing)
    if note:
        return Explanation(note=note)
    result = Explanation(cut="lines")
    with nan_filled_np_empty(), functions_kept(), limited(current_clock()):
        result = _explained(question)
        if not (result.findings or result.cut or question.keeps_state):
            expected, undecided = question.expected_wrong, question.undecided
            result.note = why_none_found(subject, seed, question.failing, question.common, expected, undecided)
    return result


def _explained(question: Question) -> Explanation:
    """What the tape finds, its edits verified."""
    found = find_by_tape(
        question.subject,
        question.seed,
        question.failing,
        question.expected_wrong,
        question.common,
        undecided=question.undecided,
        is_impure=question.is_impure,
        keeps_state=question.keeps_state,
    )
    if found is None:
        return Explanation()
    cut: CutStage | None = "lines" if found.is_cut else None
    is_judged = False
    with limited(current_clock()):
        for stage in reversed(found.stages):  # all edits together, or as many of the first as the check is content with
            part = found.after(stage)
            # what was judged with a factor divided out holds only with the edit that takes the factor out of the code
            is_complete = question.common is None or stage.factor == 1.0
            laws = _mended_laws(question, part)
            # that a clip or a constant is taken out mends nothing by itself
            mends = not part.leaves_all and (laws or set(part.wrong) - set(part.still_wrong))
            kept = _accepted(question, part, laws) if is_complete and mends else None
            if kept is not None:
                findings = tape_findings(kept, verified=True)
                if not kept.still_wrong:
                    findings = with_lines_above(findings, kept, question.subject, question.seed, question.failing)
                return Explanation(findings, kept.kept_patch, found.evaluations, rest=kept.still_wrong, cut=cut)
        is_judged = True
    # what is carried from call to call makes much wrong that follows: only an edit tells where it comes in
    findings = [] if question.keeps_state else tape_findings(found, verified=False)
    return Explanation(findings, None, found.evaluations, rest=found.still_wrong, cut=cut if is_judged else "verifying")


def _mended_laws(question: Question, found: Found) -> frozenset[str]:
    """The laws that were broken by what is mended."""
    laws = {"reduction"} if question.common is not None else set()
    for code, law in _LAWS.items():
        if any(fault.code is code for fault in found.faults):
            laws.add(law)
    return frozenset(laws)


def _accepted(question: Question, found: Found, mended: frozenset[str]) -> Found | None:
    """What was found, or the same with an equivalent edit, whichever the check is content with first."""
    candidates = chain([found], found.with_other_edits())
    return next((one for one in candidates if _accepts(question, one, mended)), None)


def _accepts(question: Question, found: Found, mended: frozenset[str]) -> bool:
    try:
        return question.content(found.patch, found.codes, found.still_wrong, mended)
    except (TargetError, SyntaxError, RebindError):
        return False
