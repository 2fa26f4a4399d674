"""A finding in one sentence: its headline and its message; `finding_notes.py` tells it in parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch

from gradcheck._common.cells import format_place
from gradcheck._common.wording import format_apart, format_sizes
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import (
    ActivationRatio,
    AxisPart,
    CarryDropped,
    EntriesClipped,
    EquivalentEdit,
    Evidence,
    FindingRecord,
    GradientOf,
    IndexRange,
    JudgedWithout,
    Label,
    LawBreach,
    MadeOfSlice,
    Mistake,
    Multiple,
    NormClipped,
    NotComparable,
    OneNumber,
    OnlyElsewhere,
    PartsMoved,
    RightInput,
    RightWhereOne,
    RuleGradients,
    SmallestSize,
    Symptom,
    WorstEntry,
    WrongPlace,
    WrongRegion,
)

#: right values that a statement reads: more of them make a sentence that nobody reads
MOST_INPUTS = 3
#: other edits that do as much
MOST_EQUIVALENT = 3
#: a factor nearer than this to -1 or 0 is a wrong sign or nothing at all
ROUNDING_OF_FACTOR = 1e-9

#: what is said of a mistake, by its code
_MISTAKES = {
    FindingCode.WRONG_SIGN: "the sign is wrong",
    FindingCode.WRONG_TERM_SIGN: "the sign of a term is wrong",
    FindingCode.WRONG_VARIABLE: "{subject} stands where {other} should",
    FindingCode.WRONG_INDEX: "{subject} stands where {other} should",
    FindingCode.WRONG_OPERATOR: "the operator {subject} stands where {other} should",
    FindingCode.TERM_MISSING: "the term {subject} is missing",
    FindingCode.TERM_EXTRA: "the term {subject} should not be here",
    FindingCode.FACTOR_MISSING: "the factor {subject} is missing",
    FindingCode.FACTOR_EXTRA: "the factor {subject} should not be here",
    FindingCode.DIVISION_MISSING: "a division by {subject} is missing",
    FindingCode.DIVISION_EXTRA: "the division by {subject} should not be here",
    FindingCode.POWER_MISSING: "the power {subject} is missing",
    FindingCode.POWER_EXTRA: "the power {subject} should not be here",
    FindingCode.ARGUMENTS_EXCHANGED: "the arguments {subject} and {other} are exchanged",
    FindingCode.FACTORS_EXCHANGED: "the factors {subject} and {other} are exchanged",
    FindingCode.VALUES_EXCHANGED: "the values {subject} and {other} are exchanged",
    FindingCode.MISSING_SUM: "a sum over {subject} is missing",
    FindingCode.EXTRA_SUM: "the sum over {subject} should not be here",
    FindingCode.MISSING_TRANSPOSE: "a transpose is missing",
    FindingCode.EXTRA_TRANSPOSE: "the transpose should not be here",
    FindingCode.MISSING_INDEX: "the index [{subject}] is missing",
    FindingCode.EXTRA_INDEX: "the index [{subject}] should not be here",
    FindingCode.MISSING_CALL: "a call of {called}() is missing",
    FindingCode.EXTRA_CALL: "the call of {called}() should not be here",
    FindingCode.SHARED_ARRAY: "one array stands in several places: what is added to one shows in all",
    FindingCode.MISSING_COPY: "a copy is missing: the array that is kept is overwritten later",
    FindingCode.WRITES_INTO_CALLERS: "it writes into {subject}, which is the caller's",
    FindingCode.EXTRA_STATEMENT: "this statement should not be here",
    FindingCode.MISSING_STATEMENT: "a statement is missing here: {subject} lacks what it brings",
    FindingCode.NOT_CLEARED: "what a call adds up is not set to zero before the next one",
    FindingCode.WRONG_ORDER: "the loop goes through the steps in the wrong order",
    FindingCode.WRONG_PLACE: "the statement stands in the wrong place: what it changes is read too soon or too late",
    FindingCode.BINDS_LATE: "a function made in a loop reads the loop's variable when it is called",
    FindingCode.INDEX_REPEATS: "an entry that the index names more than once is added to only once",
    FindingCode.CLIPS_FINISHED: (
        "it clips the finished gradients, so that what is returned is no gradient; the rest was looked at without it"
    ),
    FindingCode.CONSTANT_LEFT_OUT: (
        "the loss adds {subject}, which the backward leaves out; the rest was looked at without it"
    ),
    FindingCode.COTANGENT_UNUSED: "{subject} is never used: what it brings back is missing",
    FindingCode.LATER_STEPS_MISSING: "it is right at the last step alone: what comes back from later steps is missing",
    FindingCode.MISSING_CLIP: "a clip is missing",
    FindingCode.EXTRA_CLIP: "{called}() cuts a gradient off inside the backward",
    FindingCode.ASSIGNED_NOT_ADDED: "it overwrites what it should add to",
    FindingCode.ADDED_NOT_ASSIGNED: "it adds to what it should replace",
}
#: the functions whose derivatives have a code of their own
_ACTIVATIONS = {FindingCode.TANH_DERIVATIVE: "tanh", FindingCode.SIGMOID_DERIVATIVE: "the logistic function"}
#: what is said of gradients whose pattern needs no number
_PATTERNS = {
    FindingCode.PHANTOM: "not zero, although the loss does not depend on it",
    FindingCode.ZERO: "zero, although the loss depends on it",
    FindingCode.SIGN: "the true one with the wrong sign",
    FindingCode.TRANSPOSED: "the transpose of the true one",
}


#: of an edit that gives right values where it was tried
UNVERIFIED = "the edit is not verified: no whole check of the edited code has found all of it right"


def describe(finding: FindingRecord) -> tuple[str, str]:
    """The headline, and what follows it in the message."""
    if finding.code.is_law:
        found = "".join(f": {one.message}" for one in finding.evidence if isinstance(one, LawBreach))
        return f"law {finding.code.law} is broken", found
    if finding.code.is_pattern:
        symptom = Symptom(finding.code, finding.evidence)
        at = f" at line {finding.line}" if finding.line else ""
        return f"{_subject(finding.blocks)} {_predicate(symptom, len(finding.blocks))}{at}", _rest(finding.evidence)
    told = f" (in {finding.function})" if finding.function else ""
    parts = [*_trace_parts(finding), *_spoiled(finding.blocks)]
    if finding.fix is not None and not finding.fix.verified:
        parts.append(UNVERIFIED)
    return _mistake(finding), told + "".join(f"; {part}" for part in parts) + _rest(finding.evidence)


def describe_symptom(symptom: Symptom) -> str:
    """What one gradient looks like, without a subject: "right except at row 2 of 5"."""
    return _complement(symptom)


def describe_given(given: Label | None, expected: Label) -> str:
    """What a value is beside the derivative that it should be: "has the wrong sign"."""
    if given is None:
        return "is not the derivative of anything the forward computes"
    if given.expression != expected.expression or given.factor == 1.0:
        return f"is {given.without_execution()}"
    if abs(given.factor + 1) < ROUNDING_OF_FACTOR:
        return "has the wrong sign"
    return "is zero" if abs(given.factor) < ROUNDING_OF_FACTOR else f"is {given.factor:.6g} times that"


def list_with_and(words: Iterable[str]) -> str:
    """Words as in a sentence: a, b and c."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def describe_indices(indices: IndexRange) -> str:
    """Indices of one axis in words: columns 4..7 of 16 (part 2 of 4)."""
    listed = ", ".join(f"{first}" if first == last else f"{first}..{last}" for first, last in indices.runs)
    part = f" ({_part(indices.part)})" if indices.part else ""
    if indices.dimensions > 2:
        return f"[{listed}] of {indices.length} along axis {indices.axis}{part}"
    one, several = ("row", "rows") if indices.axis == 0 else ("column", "columns")
    if indices.dimensions == 1:
        one, several = "entry", "entries"
    single = len(indices.runs) == 1 and indices.runs[0][0] == indices.runs[0][1]
    return f"{one if single else several} {listed} of {indices.length}{part}"


# -- a wrong gradient --------------------------------------------------------------------------------------------------


def _subject(names: Sequence[str]) -> str:
    return f"the gradient of {names[0]}" if len(names) == 1 else f"the gradients of {list_with_and(names)}"


def _predicate(symptom: Symptom, count: int) -> str:
    """What is said of one gradient or of several."""
    if symptom.code is FindingCode.NOT_COMPARABLE:
        return "cannot be compared"
    clip = next((one for one in symptom.evidence if isinstance(one, NormClipped)), None)
    if clip is not None:
        return f"{'is' if count == 1 else 'are'} right, then clipped to a norm of {clip.norm:g}"
    complement = _complement(symptom)
    if not complement:
        return f"{'does' if count == 1 else 'do'} not match the slope of the loss"
    return f"is {complement}" if count == 1 else f"are each {complement}"


def _complement(symptom: Symptom) -> str:
    """What a gradient is; empty where that has no name."""
    if symptom.code in _PATTERNS:
        return _PATTERNS[symptom.code]
    return next((words for one in symptom.evidence if (words := _what_it_is(one))), "")


@singledispatch
def _what_it_is(_: Evidence) -> str:
    """What a gradient is, if this evidence says so."""
    return ""


@_what_it_is.register
def _(one: Multiple) -> str:
    return f"{one.factor:.6g} times the true one"


@_what_it_is.register
def _(one: GradientOf) -> str:
    return f"the gradient of {one.parameter}{_misfit(one.misfit)}"


@_what_it_is.register
def _(one: PartsMoved) -> str:
    order = ", ".join(str(number + 1) for number in one.order)
    moved = f"the true one with its {len(one.order)} parts along axis {one.axis} in the order {order}"
    return f"{moved}: the gates are laid out in another order than in the forward{_misfit(one.misfit)}"


@_what_it_is.register
def _(one: OneNumber) -> str:
    total = "" if one.true_sum is None else f" and add up to {one.true_sum:.6g}"
    return f"one number everywhere, although the true entries differ{total}: it is summed over too many axes"


@_what_it_is.register
def _(one: EntriesClipped) -> str:
    return f"right, then clipped at ±{one.bound:.6g}"


@_what_it_is.register
def _(one: MadeOfSlice) -> str:
    fits = f"made of {one.slice} alone{_misfit(one.misfit)}, and the true one is not"
    return f"{fits}: is it assigned where it should be added to, or does a loop end early?"


def _zeros(one: OnlyElsewhere) -> tuple[str, bool]:
    """What is zero at the point, and whether that is one thing."""
    entries = [f"entries of {list_with_and(one.in_part)}"] if one.in_part else []
    return list_with_and((*one.zero, *entries)), len(one.zero) == 1 and not entries


def elsewhere_in_words(one: OnlyElsewhere) -> str:
    """Where gradients are compared once more: "where b is not zero"."""
    if one.repeated:
        holds = "holds" if len(one.repeated) == 1 else "hold"
        return f"where {list_with_and(one.repeated)} {holds} a number more than once"
    zeros, is_one = _zeros(one)
    return f"where {zeros} {'is' if is_one else 'are'} not zero"


@_what_it_is.register
def _(one: OnlyElsewhere) -> str:
    if one.repeated:
        return f"right here, and wrong {elsewhere_in_words(one)}: should = be +=, or += np.add.at?"
    zeros, is_one = _zeros(one)
    are, them = ("is", "it is") if is_one else ("are", "they are")
    return f"right here, where {zeros} {are} zero, and wrong where {them} not"


@_what_it_is.register
def _(one: WrongRegion) -> str:
    if one.entries:
        more = one.wrong - len(one.entries)
        named = ", ".join(str(list(index)) for index in one.entries)
        where = f"right except at {one.wrong} of {one.size} entries: {named}{f' and {more} others' if more else ''}"
    elif one.is_right:
        where = f"wrong everywhere except at {', '.join(_indices(part) for part in one.slices)}"
    else:
        within = f", in {one.wrong} of {one.size} entries there" if one.size else ""
        where = f"right except at {', '.join(_indices(part) for part in one.slices)}{within}"
    return where + _ratio(one.factor)


def _indices(part: IndexRange) -> str:
    more = ", the last" if part.last_of else ""
    if part.last_in:
        more = f", which {part.last_in} holds at its last index alone"
    if part.repeated_in:
        more = f", which {part.repeated_in} holds more than once (what it holds once is right: should = be +=?)"
    return describe_indices(part) + more


def _part(part: AxisPart) -> str:
    numbers = list_with_and(str(number) for number in part.numbers)
    names = list_with_and(part.names) if part.names else ""
    several = "s" if len(part.numbers) > 1 else ""
    if part.are_gates:
        return f"gate{several} {f'{names}, ' if names else ''}{numbers} of {part.count}"
    return f"part{several} {numbers} of {part.count}" + (f": {names}, if these are gates" if names else "")


def _ratio(factor: float | None) -> str:
    if factor is None:
        return ""
    if abs(factor) < ROUNDING_OF_FACTOR:
        return "; there it is zero"
    if abs(factor + 1) < ROUNDING_OF_FACTOR:
        return "; there it has the wrong sign"
    return f"; there it is {factor:.6g} times the true one"


def _misfit(misfit: float) -> str:
    return f" (to within {misfit:.0e})"


# -- a line ------------------------------------------------------------------------------------------------------------


def _mistake(finding: FindingRecord) -> str:
    """What is wrong on the line."""
    mistake = next((one for one in finding.evidence if isinstance(one, Mistake)), Mistake())
    if finding.code in _ACTIVATIONS:
        return _activation(_ACTIVATIONS[finding.code], mistake)
    if finding.code is FindingCode.WRONG_RETURN:
        return "the backward returns a wrong gradient, and no line in it could be told"
    template = _MISTAKES.get(finding.code, "the statement gives a wrong value")
    return template.format(subject=mistake.subject, other=mistake.other, called=mistake.called)


def _activation(function: str, mistake: Mistake) -> str:
    if mistake.called:
        return f"{mistake.subject} is already activated, but {mistake.called}() takes it for a pre-activation"
    if not mistake.subject:
        return f"the derivative of {function} is missing"
    if mistake.other:
        return f"the derivative of {function} is {mistake.subject}, not {mistake.other}"
    amount = "should not be here" if mistake.is_extra else "is missing"
    return f"the factor {mistake.subject}, the derivative of {function}, {amount}"


def _trace_parts(finding: FindingRecord) -> Iterator[str]:
    """What the statement should give, what it gives, and which of the values that it reads are right."""
    if finding.expected is None:
        return
    yield f"expected {finding.expected.without_execution()}"
    inputs = [one for one in finding.evidence if isinstance(one, RightInput)][:MOST_INPUTS]
    if finding.given is not None or inputs:  # without either, nobody looked at what the value is
        yield f"the value {describe_given(finding.given, finding.expected)}{_although(inputs)}"


def _although(inputs: Sequence[RightInput]) -> str:
    if not inputs:
        return ""
    named = [(one.expression, one.label.without_execution()) for one in inputs]
    if len(named) == 1:
        return f", although its input {named[0][0]} is correct ({named[0][1]})"
    return f", although its inputs {list_with_and(f'{name} ({label})' for name, label in named)} are correct"


def _spoiled(names: Sequence[str]) -> Iterator[str]:
    if names:
        one = len(names) == 1
        yield f"this makes the gradient{'' if one else 's'} of {list_with_and(names)} wrong"


# -- what follows ------------------------------------------------------------------------------------------------------


def _rest(evidence: Sequence[Evidence]) -> str:
    """What else is to be said, in the order of the evidence."""
    equivalent = [one for one in evidence if isinstance(one, EquivalentEdit)][:MOST_EQUIVALENT]
    edits = "; equivalent: " + "; ".join(f"line {one.line}: {one.after}" for one in equivalent) if equivalent else ""
    return edits + "".join(_with_sign(one) for one in evidence)


def _with_sign(one: Evidence) -> str:
    """What evidence adds, after the sign that joins it to what stands before."""
    words = what_follows(one)
    return f"{': ' if isinstance(one, (NotComparable, CarryDropped)) else '; '}{words}" if words else ""


@singledispatch
def what_follows(_: Evidence) -> str:
    """What this evidence adds to the headline."""
    return ""


@what_follows.register
def _(one: NotComparable) -> str:
    return one.reason


@what_follows.register
def _(one: CarryDropped) -> str:
    if one.steps:
        return f"what comes back from later steps of {one.steps} is dropped or wrong"
    return "if this is the last time step, what comes back from later steps is dropped or wrong"


@what_follows.register
def _(one: EntriesClipped) -> str:
    reached = f"{one.clipped} of {one.size} entries reach that{_misfit(one.misfit)}"
    return f"{reached}: clip where the weights are updated, or declare it with Target(..., clipped={one.bound:g})"


@what_follows.register
def _(one: NormClipped) -> str:
    size = f"their norm is {one.norm:g} (to within {one.misfit:.0e}), and the true norm is {one.true_norm:.6g}"
    return f"{size}: clip where the weights are updated, or declare it with Target(..., clipped_norm={one.norm:g})"


@what_follows.register
def _(one: WorstEntry) -> str:
    analytic, numerical = format_apart(one.analytic, one.numerical)
    return f"{one.parameter}{list(one.index)}: analytic {analytic}, numerical {numerical}"


@what_follows.register
def _(one: RuleGradients) -> str:
    right = f", and the right one of {list_with_and(one.right)}" if one.right else ""
    some = "a wrong gradient" if len(one.wrong) == 1 else "wrong gradients"
    mended = f"; edited, it returns right ones at {one.mended_at} sets of values" if one.mended_at else ""
    return f"run alone, the backward of {one.rule} returns {some} of {list_with_and(one.wrong)}{right}{mended}"


@what_follows.register
def _(one: JudgedWithout) -> str:
    place = format_place(one.file, one.line)
    return f"the edit was judged without the {one.constant} that the loss adds ({place}) and the backward leaves out"


@what_follows.register
def _(one: WrongPlace) -> str:
    return f"{one.parameter} is {_what_it_is(one.region)}"


@what_follows.register
def _(one: SmallestSize) -> str:
    return f"smallest failing size: {format_sizes(one.sizes)}"


@what_follows.register
def _(one: RightWhereOne) -> str:
    first = f"only from {one.sizes[0]}=2: " if len(one.sizes) == 1 else ""
    right = " or ".join(f"{size}=1" for size in one.sizes)
    return f"{first}right wherever {right}, wrong wherever it is larger"


@what_follows.register
def _(one: ActivationRatio) -> str:
    place = f", at {describe_indices(one.where)}," if one.where else ""
    at = f"at {format_sizes(one.sizes)} " if one.sizes else ""
    fits = f"{one.units} of its entries, {one.shifts} values of each, to within {one.misfit:.0e}"
    ratio = f"{one.formula} times the true one ({fits})"
    return f"{at}the gradient of {one.parameter}{place} is {ratio}, as if {one.mistake}"
