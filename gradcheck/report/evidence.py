"""A finding as data, and what it rests on; `gradcheck.report.finding_phrases` puts both into words."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import ClassVar

from gradcheck.report.codes import FindingCode


@dataclass(frozen=True)
class Label:
    """A derivative of the loss, told by the expression of the forward that it is taken with respect to.

    `execution` counts from 1, `of` how often the expression runs; `time_step` counts the executions from 0. `sum_of`
    and `detail` say what else it is: a sum over some executions, a part, all executions stacked. `factor` is what the
    derivative is multiplied by. `also` are other derivatives beside it, where a statement gives several values.
    """

    expression: str
    execution: int | None = None
    of: int | None = None
    time_step: int | None = None
    sum_of: str = ""
    detail: str = ""
    factor: float = 1.0
    also: tuple[Label, ...] = ()

    @classmethod
    def at_execution(cls, expression: str, execution: int, of: int) -> Label:
        """The derivative at one execution of several."""
        return cls(expression, execution, of, execution - 1)

    def without_execution(self) -> Label:
        """The derivative whichever execution it is of."""
        also = tuple(one.without_execution() for one in self.also)
        return replace(self, execution=None, of=None, time_step=None, also=also)

    def with_detail(self, detail: str) -> Label:
        """The derivative, and what else is to be said of it."""
        return replace(self, detail=", ".join(part for part in (self.detail, detail) if part))

    def times(self, factor: float) -> Label:
        """A multiple of the derivative."""
        return replace(self, factor=factor, also=tuple(one.times(factor) for one in self.also))

    def beside(self, other: Label) -> Label:
        """This derivative and another one."""
        return replace(self, also=(*self.also, *other.each()))

    def each(self) -> tuple[Label, ...]:
        """The derivatives one by one."""
        return replace(self, also=()), *self.also

    def __str__(self) -> str:
        """As in a report: 2 * dL/d(h) at execution 1 of 3."""
        return " and ".join(one._single() for one in self.each())

    def _single(self) -> str:
        times = {1.0: "", -1.0: "-"}.get(self.factor, f"{self.factor:.6g} * ")
        when = "" if self.execution is None else f" at execution {self.execution} of {self.of}"
        more = "".join(f", {part}" for part in (self.sum_of, self.detail) if part)
        return f"{times}dL/d({self.expression}){when}{more}"


class Evidence:
    """One thing that a finding rests on. `kind` is its name in data: "worst-entry" of WorstEntry."""

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Name the kind after the class."""
        cls.kind = re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


@dataclass(frozen=True)
class LawBreach(Evidence):
    """What was found of a law that does not hold."""

    law: str
    message: str


@dataclass(frozen=True)
class NotComparable(Evidence):
    """Why a gradient could not be compared with anything."""

    reason: str


@dataclass(frozen=True)
class Multiple(Evidence):
    """The gradient is `factor` times the true one; zero, or a true one that is zero, is no multiple."""

    factor: float


@dataclass(frozen=True)
class GradientOf(Evidence):
    """The gradient is that of another parameter, to within `misfit`."""

    parameter: str
    misfit: float


@dataclass(frozen=True)
class PartsMoved(Evidence):
    """The true gradient with its parts along an axis in another order (counted from 0), to within `misfit`."""

    axis: int
    order: tuple[int, ...]
    misfit: float


@dataclass(frozen=True)
class OneNumber(Evidence):
    """The gradient is one number everywhere; `true_sum` is the sum of the true ones where that is the number."""

    value: float
    true_sum: float | None


@dataclass(frozen=True)
class EntriesClipped(Evidence):
    """The true gradient with entries cut off at `bound`, which `clipped` of `size` entries are, to within `misfit`."""

    bound: float
    clipped: int
    size: int
    misfit: float


@dataclass(frozen=True)
class NormClipped(Evidence):
    """All gradients together have a round norm (to within `misfit`), and the true norm is larger."""

    norm: float
    misfit: float
    true_norm: float


@dataclass(frozen=True)
class MadeOfSlice(Evidence):
    """The gradient is made of one slice of an array alone, to within `misfit`, and the true one is not."""

    slice: str
    misfit: float


@dataclass(frozen=True)
class AxisPart:
    """One or several of `count` equal parts of an axis, by their numbers from 1; gates, if `are_gates`, by name."""

    numbers: tuple[int, ...]
    count: int
    names: tuple[str, ...] = ()
    are_gates: bool = False


@dataclass(frozen=True)
class IndexRange:
    """Indices of one axis of a gradient: runs (first, last), and what part of the axis they are."""

    axis: int
    dimensions: int
    length: int
    runs: tuple[tuple[int, int], ...]
    part: AxisPart | None = None
    #: an array of integers that holds just these indices more than once
    repeated_in: str = ""
    #: an array of integers that holds just these indices at its last index alone
    last_in: str = ""
    #: how long that array is, or the axis itself if these are its last index and it may be time; else 0
    last_of: int = 0


@dataclass(frozen=True)
class WrongRegion(Evidence):
    """Which part of a gradient is wrong, or (`is_right`) which part alone is right; all else is the other way round.

    `wrong` entries are wrong of `size` there. `entries` are the first of the wrong ones where they fill no slice.
    `factor` is what the wrong part is of the true one, where that is one number.
    """

    slices: tuple[IndexRange, ...] = ()
    is_right: bool = False
    entries: tuple[tuple[int, ...], ...] = ()
    wrong: int = 0
    size: int = 0
    factor: float | None = None


@dataclass(frozen=True)
class CarryDropped(Evidence):
    """The gradient is right at the last index of an axis alone; `steps` is the size that counts time steps, if any."""

    steps: str


@dataclass(frozen=True)
class WorstEntry(Evidence):
    """The entry that shows it best, with both values."""

    parameter: str
    index: tuple[int, ...]
    analytic: float
    numerical: float


@dataclass(frozen=True)
class SmallestSize(Evidence):
    """The smallest sizes at which it fails."""

    sizes: dict[str, int]


@dataclass(frozen=True)
class RightWhereOne(Evidence):
    """The gradient is right wherever one of these sizes is one, and wrong wherever it is larger."""

    sizes: tuple[str, ...]


@dataclass(frozen=True)
class ActivationRatio(Evidence):
    """A bias's gradient is wrong by a factor that depends on its pre-activation a alone: `formula`.

    It fits `units` entries, all of them or those that `where` tells, at `shifts` values of each, to within `misfit`.
    """

    parameter: str
    formula: str
    mistake: str
    where: IndexRange | None
    units: int
    shifts: int
    misfit: float
    #: where it was found, if not at the sizes of the report
    sizes: dict[str, int] | None = None


@dataclass(frozen=True)
class Mistake(Evidence):
    """What an edit says of a line: what is missing, too much, or stands in the place of another thing."""

    subject: str = ""
    #: what should stand in its place, or stands in each other's place with it
    other: str = ""
    #: the function that takes the subject for something else
    called: str = ""
    is_extra: bool = False


@dataclass(frozen=True)
class RightInput(Evidence):
    """A value that the statement reads and that is the derivative it should be."""

    expression: str
    label: Label


@dataclass(frozen=True)
class RightLine(Evidence):
    """A line above the statement, and the derivatives that it gives, which they should be."""

    line: int
    labels: tuple[Label, ...]


@dataclass(frozen=True)
class RuleGradients(Evidence):
    """What the backward of a custom function returns when it is run alone: gradients of which arguments are wrong.

    With the edits of the report it returns right ones at so many sets of values (`mended_at`).
    """

    rule: str
    wrong: tuple[str, ...]
    right: tuple[str, ...] = ()
    mended_at: int = 0


@dataclass(frozen=True)
class EquivalentEdit(Evidence):
    """Another edit that does as much as the fix."""

    line: int
    after: str


@dataclass(frozen=True)
class JudgedWithout(Evidence):
    """The edit was judged without a small constant that the loss adds on a line, and the backward leaves out."""

    constant: str
    file: str
    line: int


@dataclass(frozen=True)
class WrongPlace(Evidence):
    """Which part of one gradient is wrong because of a line."""

    parameter: str
    region: Evidence


@dataclass(frozen=True)
class OnlyElsewhere(Evidence):
    """The gradient is right at the point, and wrong where these parameters are not zero, or inputs hold repeats.

    Of the parameters `in_part` some entries are zero at the point, and others are not.
    """

    zero: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    in_part: tuple[str, ...] = ()


@dataclass(frozen=True)
class Symptom:
    """What one wrong gradient looks like, told without any source."""

    code: FindingCode
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Fix:
    """An edit of one line that makes the gradients right.

    `sizes` is at how many sets of sizes the whole check of the edited code was asked, and `seeds` with how many seeds;
    0 where that is not known.
    """

    line: int
    before: str
    after: str
    diff: str
    verified: bool
    sizes: int = 0
    seeds: int = 0


@dataclass(frozen=True)
class FindingRecord:
    """One thing that is wrong, as data; `gradcheck.report.records.Finding` adds the words.

    `blocks` are the gradients that it spoils. `line` is where the wrong part begins, at `column`, and `end_column` is
    just beyond it; both count characters from 1. `expected` is what the statement should give and `given` what it
    gives, where that has a name. `symptom` is what the spoiled gradients look like, of a line.
    """

    code: FindingCode
    blocks: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    file: str | None = None
    line: int | None = None
    column: int | None = None
    end_column: int | None = None
    function: str | None = None
    statement: str | None = None
    expected: Label | None = None
    given: Label | None = None
    symptom: FindingCode | None = None
    fix: Fix | None = None
