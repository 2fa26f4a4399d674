"""A finding in words, as a compiler tells it: its headline, what follows from it, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from gradcheck._common.cells import cell_of, format_place
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import (
    EntriesClipped,
    EquivalentEdit,
    FindingRecord,
    LawBreach,
    NormClipped,
    RightInput,
    SmallestSize,
)
from gradcheck.report.finding_phrases import MOST_INPUTS, describe, describe_given, list_with_and, what_follows
from gradcheck.report.fix_lines import verified
from gradcheck.report.pages.finding import PAGES

#: names of gradients that are told; of more, how many there are
MOST_NAMES = 2
#: characters of a note that options stand in
MOST_ON_A_LINE = 72
#: relative errors beyond this are no percentage that anybody can imagine
MOST_AS_PERCENTAGE = 10.0
#: what is wrong where a law does not hold
LAW_HEADLINES = {
    FindingCode.LAW_SCALAR: "the loss is no single real number",
    FindingCode.LAW_FINITE: "the loss or a gradient is not finite",
    FindingCode.LAW_REPEATABILITY: "the loss is not the same when asked twice",
    FindingCode.LAW_PURITY: "a call changes parameters, inputs or cotangents",
    FindingCode.LAW_STATELESSNESS: "the gradients are not the same when asked twice",
    FindingCode.LAW_INDEPENDENCE: "the gradients are made from differences of the loss",
    FindingCode.LAW_LINEARITY: "the backward is not linear in its cotangents",
    FindingCode.LAW_DEPENDENCE: "the loss does not depend on an input",
    FindingCode.LAW_SCALE: "gradients are wrong where weights are large",
    FindingCode.LAW_REDUCTION: "the loss is a mean and the gradients are a sum, or the reverse",
    FindingCode.LAW_NAMES: "a gradient is missing, or is that of no parameter",
    FindingCode.LAW_SHAPES: "a gradient has another shape than its parameter",
    FindingCode.LAW_SIZES: "the code raises at some sizes",
}


@dataclass(frozen=True)
class Setting:
    """What the report around a finding adds to it.

    `breaches` has the verdict that each broken law leads to, `errors` how wrong each wrong gradient is, and `shared`
    are the gradients that several lines make wrong.
    """

    breaches: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, float] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    #: whether it was said why no line can be looked for
    has_no_lines: bool = False


#: of a finding by itself
ALONE = Setting()


def severity(finding: FindingRecord, setting: Setting) -> str:
    """Whether it makes something wrong, or keeps it from being decided."""
    return "error" if setting.breaches.get(finding.code.law, "wrong") == "wrong" else "warning"


def plain_headline(finding: FindingRecord) -> str:
    """What is wrong, for somebody who does not know the laws by their names."""
    return LAW_HEADLINES.get(finding.code) or describe(finding)[0]


def place(finding: FindingRecord) -> tuple[str, str]:
    """Where it is, file:line:column and function; blanks where that is not known."""
    if finding.file is None or finding.line is None:
        return "", ""
    at = format_place(finding.file, finding.line)
    if finding.column and cell_of(finding.file) is None:
        at += f":{finding.column}"
    return at, f"in {finding.function}" if finding.function else ""


def notes_on(finding: FindingRecord, setting: Setting, told: str) -> Iterator[str]:
    """What it should give, what it reads, what it spoils and what shows it; `told` stands beside the line."""
    yield from (one.message for one in finding.evidence if isinstance(one, LawBreach) and one.message)
    if finding.code.is_line:
        yield from _derivatives(finding, told)
    yield from (words for one in finding.evidence if (words := what_follows(one)) and not isinstance(one, SmallestSize))
    yield from _extent(finding, setting)


def advice(finding: FindingRecord, setting: Setting = ALONE) -> str:
    """What to do where there is no edit and nothing that was found says it; else empty."""
    says_it = any(isinstance(one, (LawBreach, EntriesClipped, NormClipped)) for one in finding.evidence)
    if finding.fix is not None or says_it:
        return ""
    if finding.code is FindingCode.WRONG_LINE:
        make = f"make the line give {finding.expected.without_execution()}; " if finding.expected is not None else ""
        return f"{make}gradcheck trace FILE shows what each line of the backward holds"
    if finding.code is FindingCode.NO_PATTERN and setting.has_no_lines:
        return "write the same in NumPy, and compare each step of the backward with it, from its end"
    return PAGES[finding.code.value].mend.removesuffix(".")


def help_title(finding: FindingRecord) -> str:
    """What is said before an edit."""
    fix = finding.fix
    return "possible edit (not verified)" if fix is None or not fix.verified else f"help ({verified(fix)})"


def edited_line(line: str) -> str:
    """The new line, or what it means."""
    return "leave the statement out (pass)" if line.strip() == "pass" else line.strip()


def equivalent(finding: FindingRecord) -> tuple[str, str]:
    """Another edit that does as much, after what is said before it; blanks if there is none."""
    found = next((one for one in finding.evidence if isinstance(one, EquivalentEdit)), None)
    if found is None:
        return "", ""
    return "or as well" if found.line == finding.line else f"or as well, line {found.line}", found.after.strip()


def options(sizes: dict[str, int]) -> str:
    """Sizes as options of the command."""
    return " ".join(f"--size {name}={value}" for name, value in sizes.items())


def format_share(error: float) -> str:
    """A relative error as people say it: 34 %."""
    if error >= MOST_AS_PERCENTAGE:
        return f"{error:.0f} times its size"
    return f"{100 * error:.0f} %" if error >= 0.01 else f"{100 * error:.2g} %"


def _derivatives(finding: FindingRecord, told: str) -> Iterator[str]:
    """What the statement should give and gives, and which of the values that it reads are right."""
    if finding.expected is None:
        return
    expected = str(finding.expected.without_execution())
    should = "" if told == f"expected {expected}" else f"the line should give {expected}"
    does = "" if finding.given is None else f"the value {describe_given(finding.given, finding.expected)}"
    yield from filter(None, ["; ".join(filter(None, [should, does]))])
    inputs = [one for one in finding.evidence if isinstance(one, RightInput)][:MOST_INPUTS]
    if inputs:
        named = list_with_and(f"{one.expression} is {one.label.without_execution()}" for one in inputs)
        yield f"what it reads is right: {named}"


def _extent(finding: FindingRecord, setting: Setting) -> Iterator[str]:
    """What it spoils, and the smallest sizes that show it: on one line, unless that is too long to paste from."""
    spoiled = _spoiled(finding, setting) if finding.code.is_line else ""
    sizes = next((options(one.sizes) for one in finding.evidence if isinstance(one, SmallestSize)), "")
    told = [one for one in (spoiled, sizes and f"smallest: {sizes}") if one]
    yield from [together] if told and len(together := "; ".join(told)) <= MOST_ON_A_LINE else told


def _spoiled(finding: FindingRecord, setting: Setting) -> str:
    """Which gradients it makes wrong, and by how much."""
    names = finding.blocks
    if not names:
        return ""
    few = len(names) <= MOST_NAMES
    told = list_with_and(names) if few else f"{len(names)} gradients"
    wrong = [name for name in names if name in setting.errors]
    if not wrong:
        return f"makes {told} wrong"
    worst = max(wrong, key=lambda name: setting.errors[name])
    by = f"by {format_share(setting.errors[worst])}{' in all' if worst in setting.shared else ''}"
    return f"makes {told} wrong, {by}" if len(names) == 1 else f"makes {told} wrong, {worst} {by}"
