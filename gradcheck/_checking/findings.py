"""What a check found, one finding for each thing that is wrong: laws, patterns of gradients, lines.

A pattern is named only where it fits to within the error bars; what does not fit gets no name.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from gradcheck._checking.audit import Audit
from gradcheck._common.arrays import Sizes, norm
from gradcheck._symptoms.common_factor import CommonFactor, label_of_factor
from gradcheck._symptoms.patterns import factor, match_pattern
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import (
    CarryDropped,
    EntriesClipped,
    Evidence,
    LawBreach,
    NormClipped,
    NotComparable,
    RightWhereOne,
    SmallestSize,
    Symptom,
    WorstEntry,
    WrongPlace,
    WrongRegion,
)
from gradcheck.report.records import Finding, Trial

#: how near a norm must be to a round number to be one: clipping code adds 1e-6 to what it divides by
ROUND = 2e-6


def common_factor(audit: Audit, sizes: Sizes) -> CommonFactor | None:
    """A factor named by the sizes that at least two gradients share, or all of them, while none is right without it."""
    if any(block.verdict == "right" for block in audit.blocks.values()):
        return None
    factors = {
        name: k
        for name, numerical in audit.numerical.items()
        if name in audit.gradients and (k := factor(audit.gradients[name], numerical)) is not None
    }
    labels = {name: label for name, k in factors.items() if (label := label_of_factor(k, sizes))}
    if not labels:
        return None
    label, count = Counter(labels.values()).most_common(1)[0]
    names = tuple(name for name in labels if labels[name] == label)
    judged = [name for name, block in audit.blocks.items() if block.verdict != "vacuous"]
    return CommonFactor(factors[names[0]], label, names) if count >= 2 or len(judged) == count else None


def findings(
    audit: Audit, smallest: Sizes | None, common: CommonFactor | None, trials: Sequence[Trial] = ()
) -> tuple[Finding, ...]:
    """One finding for each thing that is wrong: broken laws first, then gradients grouped by what they look like."""
    result = [
        Finding(
            FindingCode.of_law(law.name),
            common.blocks if common and law.name == "reduction" else (),
            (LawBreach(law.name, law.message),),
        )
        for law in audit.laws.values()
        if not law.holds
    ]
    explained = set(common.blocks) if common else set()
    symptoms = {name: _symptom(audit, name) for name in audit.wrong if name not in explained}
    grouped: dict[Symptom, list[str]] = {}
    for name, symptom in symptoms.items():
        grouped.setdefault(_with_all_clipped(symptom, symptoms), []).append(name)
    return *result, *(_finding_for(audit, symptom, names, smallest, trials) for symptom, names in grouped.items())


def _with_all_clipped(symptom: Symptom, symptoms: Mapping[str, Symptom]) -> Symptom:
    """The clip of several gradients at one bound, with the entries of all of them."""
    own = next((one for one in symptom.evidence if isinstance(one, EntriesClipped)), None)
    if own is None:
        return symptom
    every = [one for other in symptoms.values() for one in other.evidence if isinstance(one, EntriesClipped)]
    same = [one for one in every if one.bound == own.bound]
    clipped, size = sum(one.clipped for one in same), sum(one.size for one in same)
    return replace(
        symptom, evidence=(replace(own, clipped=clipped, size=size, misfit=max(one.misfit for one in same)),)
    )


def with_lines(
    findings: Sequence[Finding], lines: Sequence[Finding], *, mended: Collection[str] = ()
) -> tuple[Finding, ...]:
    """Laws first, then lines, then the rest; a pattern that the lines explain is left out, a law never is.

    Nothing more is said of gradients that are right with all edits of the lines together (`mended`).

    A line takes the pattern of the gradients that it spoils as its symptom, if they all show one.
    """
    lines = [line for line in lines if not _only_clipped(line, findings)]
    spoiled = {name for line in lines for name in line.blocks}.union(mended if lines else ())
    explained = [one for one in findings if one.code.is_explained_by_a_line and set(one.blocks) <= spoiled]
    kept = [one for one in findings if one not in explained]
    return (
        *(one for one in kept if one.code.is_law),
        *(line if line.symptom else replace(line, symptom=_common_symptom(line, explained)) for line in lines),
        *(one for one in kept if not one.code.is_law),
    )


def _only_clipped(line: Finding, findings: Sequence[Finding]) -> bool:
    """Whether all that a line is said to spoil is right but for a clip that the numbers tell exactly."""
    clipped = {name for one in findings if one.code is FindingCode.CLIPPED for name in one.blocks}
    return bool(line.blocks) and set(line.blocks) <= clipped


def _common_symptom(line: Finding, explained: Sequence[Finding]) -> FindingCode | None:
    """The pattern that all the gradients show which are wrong because of a line."""
    codes = {one.code for one in explained if set(one.blocks) & set(line.blocks)}
    return codes.pop() if len(codes) == 1 else None


def with_places(lines: Sequence[Finding], places: Mapping[str, Symptom], smallest: Sizes | None) -> tuple[Finding, ...]:
    """The lines with what the check knows besides: what a single line spoils; at the first, the smallest size."""
    added: list[tuple[Evidence, ...]] = [() for _ in lines]
    if len(lines) == 1:
        added[0] = tuple(WrongPlace(name, places[name].evidence[0]) for name in lines[0].blocks if name in places)
    if lines and smallest:
        added[0] += (SmallestSize(smallest),)
    return tuple(replace(line, evidence=line.evidence + more) for line, more in zip(lines, added, strict=True))


def _finding_for(
    audit: Audit, symptom: Symptom, names: list[str], smallest: Sizes | None, trials: Sequence[Trial]
) -> Finding:
    ones = _sizes_of_one(trials, names)
    carried = _carried(audit, names, _steps(audit, names, ones, trials))
    clipped = _norm_clipped(audit, symptom.code, names)
    code = FindingCode.CLIPPED if clipped else symptom.code
    code = FindingCode.CARRY_DROPPED if carried and carried[0].steps else code
    # where these are right at the smallest size that fails, it is others that fail there
    fails = smallest is not None and all(smallest[size] > 1 for size in ones)
    at = (SmallestSize(smallest),) if smallest and fails else ()
    axes = (RightWhereOne(tuple(ones)),) if ones else ()
    evidence = (*symptom.evidence, *carried, *clipped, *_worst_entry(audit, names), *at, *axes)
    return Finding(code, tuple(names), evidence)


def _steps(audit: Audit, names: Sequence[str], ones: Sequence[str], trials: Sequence[Trial]) -> str:
    """The size that is the number of time steps, if a gradient is right at the last of them alone."""
    lengths = {_length_right_at_last(audit, name) for name in names}
    found = [size for size in ones if lengths & {trial.sizes[size] for trial in trials}]
    return found[0] if len(found) == 1 else ""


def _length_right_at_last(audit: Audit, name: str) -> int:
    """The length of an axis along which a gradient is right at the last index alone; 0 if there is none."""
    evidence = audit.places[name].evidence if name in audit.places else ()
    return max((part.last_of for one in evidence if isinstance(one, WrongRegion) for part in one.slices), default=0)


def _carried(audit: Audit, names: Sequence[str], steps: str) -> tuple[CarryDropped, ...]:
    """What it means that a gradient is right at the last index alone, if that is the last time step."""
    return (CarryDropped(steps),) if steps or any(_length_right_at_last(audit, name) for name in names) else ()


def _norm_clipped(audit: Audit, code: FindingCode, names: Sequence[str]) -> tuple[NormClipped, ...]:
    """Whether these gradients are too small by one factor, and the norm of all, or else theirs, is a round number."""
    if code is not FindingCode.FACTOR:
        return ()
    some_right = any(block.verdict == "right" for block in audit.blocks.values())
    of_all = not (some_right or set(names) < {*audit.wrong})
    size = math.hypot(*(norm(one) for name, one in audit.gradients.items() if of_all or name in names))
    limit = float(f"{size:.2g}")
    true = math.hypot(*(norm(audit.numerical[name]) for name in names))
    if true <= size or abs(size - limit) > ROUND * max(limit, 1.0):
        return ()
    return (NormClipped(limit, abs(size - limit), true),)


def _sizes_of_one(trials: Sequence[Trial], names: Sequence[str]) -> list[str]:
    """The sizes for which these gradients are right at one and wrong beyond: a path along that axis is wrong."""
    found: list[str] = []
    judged = [trial for trial in trials if trial.verdict == "right" or trial.wrong]
    for size in judged[0].sizes if judged else ():
        outcomes = {
            one: {bool(set(trial.wrong) & set(names)) for trial in judged if (trial.sizes[size] == 1) is one}
            for one in (True, False)
        }
        if outcomes == {True: {False}, False: {True}}:
            found.append(size)
    return found


def _worst_entry(audit: Audit, names: list[str]) -> tuple[WorstEntry, ...]:
    """The entry that shows it best: both values of the gradient with the largest error."""
    for name in sorted(names, key=lambda name: -(audit.blocks[name].error or 0.0)):
        worst = audit.blocks[name].worst
        if worst is not None:
            return (WorstEntry(name, *worst),)
    return ()


def _symptom(audit: Audit, name: str) -> Symptom:
    """What one wrong gradient looks like."""
    if name in audit.elsewhere:
        return audit.elsewhere[name]
    if name not in audit.gradients:
        return Symptom(FindingCode.NOT_COMPARABLE, (NotComparable(audit.blocks[name].message),))
    analytic, numerical = audit.gradients[name], audit.numerical.get(name)
    found = Symptom(FindingCode.NO_PATTERN) if numerical is None else match_pattern(name, analytic, audit.numerical)
    return audit.places.get(name, found) if found.code is FindingCode.NO_PATTERN else found
