"""From a failed check to findings with a line: what is traced at which sizes, what is mended and what is said of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

import numpy as np

from gradcheck._common.arrays import Sizes, Values
from gradcheck._common.errors import TargetError
from gradcheck._repair.by_running import EditableStatement, PartialRepair, Search, rank_statements
from gradcheck._repair.by_value import (
    Repair,
    changed_lines,
    diff,
    edit_combinations,
    repairs_by_value,
)
from gradcheck._repair.edits import EXCHANGES, LIKELY_TIERS, SLIP_TIERS
from gradcheck._repair.mistake_names import name_mistake
from gradcheck._symptoms.common_factor import CommonFactor, factor_for_sizes
from gradcheck._targets.factory import TargetFactory, sizes_to_trace
from gradcheck._targets.target import Target, VjpTarget
from gradcheck._tracing.adjoints import TooMuchError
from gradcheck._tracing.faults import Fault, faults
from gradcheck._tracing.trace import NoSourceError, Trace, count_backward_values
from gradcheck._usercode.patching import Patch, RebindError, growth_of_edit, source_node
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit
from gradcheck._usercode.style import styled_edit
from gradcheck.report.records import Finding, Fix

#: how much larger weights and cotangents are made where a clip hides at the usual scale
LARGER = (64.0, 1024.0)
#: edits that are tried where it is not likely that one mends anything
FEW_RUNS = 300
#: faults that are told of where no edit mends any
MOST_UNMENDED = 3
#: statements around a fault that are tried with it
MOST_NEAR = 8
#: statements of which one edit seems to be enough, that are verified
MOST_SINGLES = 4
#: places that are tried for a factor that all gradients have in common
MOST_SCALINGS = 4
#: whether a whole check of the patched code finds no more wrong than these gradients, and these laws mended
Content: TypeAlias = Callable[[Patch, Trace, tuple[str, ...], frozenset[str]], bool]


@dataclass
class Explanation:
    """What the trace found; `patch` is the verified chain of edits that mends what was found, if there is one."""

    findings: list[Finding] = field(default_factory=list)
    patch: Patch | None = None
    evaluations: int = 0
    note: str = ""
    #: gradients that are still wrong with the patch
    rest: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether the patch mends all that is wrong."""
        return self.patch is not None and not self.rest


def explain(
    subject: Target | TargetFactory,
    seed: int,
    common: CommonFactor | None,
    failing: Sizes,
    known: set[str] | None,
    content: Content,
    *,
    briefly: bool = False,
) -> Explanation:
    """Trace the backward where it is wrong.

    Args:
        subject: What is checked.
        seed: The seed of the check.
        common: A factor that all gradients have in common.
        failing: Sizes at which it is known to fail.
        known: The gradients that are wrong at some sizes; None if they are only where weights or cotangents are large.
        content: Whether a whole check of patched code is content.
        briefly: Try few edits, since it is not a line of the backward that is known to be wrong.
    """
    with _nan_filled_np_empty():
        return _explained(subject, seed, common, failing, known, content, briefly)


@contextmanager
def _nan_filled_np_empty() -> Iterator[None]:
    """Let np.empty() give no numbers: with what lay in memory before, a wrong edit may seem to be right."""
    numpy: Any = np  # its functions are not meant to be put aside
    plain = np.empty, np.empty_like

    def cleared(make: Callable[..., Any]) -> Callable[..., Any]:
        def made(*arguments: Any, **options: Any) -> Any:
            array = make(*arguments, **options)
            if array.dtype.kind in "fc":
                array.fill(np.nan)
            return array

        return made

    try:
        numpy.empty, numpy.empty_like = cleared(plain[0]), cleared(plain[1])
        yield
    finally:
        numpy.empty, numpy.empty_like = plain


def _explained(
    subject: Target | TargetFactory,
    seed: int,
    common: CommonFactor | None,
    failing: Sizes,
    known: set[str] | None,
    content: Content,
    briefly: bool,
) -> Explanation:
    if isinstance(subject, Target):
        return _at(subject, seed, 1.0 if common is None else common.value, known, content, None, briefly)
    tried: list[Sizes] = []
    result = Explanation()

    def at(sizes: Sizes) -> Explanation:
        def rebuild() -> Target:
            again = subject.build(seed, sizes)
            again.draw_cotangents(np.random.default_rng([seed, 1]))
            return again

        tried.append(sizes)
        try:
            target = subject.build(seed, sizes)
            divisor = 1.0 if common is None else factor_for_sizes(common.label, sizes)
        except (TargetError, StopIteration):
            return Explanation()
        return _at(target, seed, divisor, known, content, rebuild, briefly)

    for sizes in [*sizes_to_trace(subject), failing]:
        if sizes not in tried:
            result = at(sizes)
            if result.findings:
                break
    if result.findings and not result.whole and not briefly:
        # in one step of time what is wrong in one place does not spread to all others
        short = _one_step(subject, seed, tried[-1])
        briefly = True
        closer = at(short) if short is not None else result
        closer.evaluations += result.evaluations
        result = closer if closer.whole else result
    return result


def _one_step(subject: TargetFactory, seed: int, sizes: Sizes) -> Sizes | None:
    """The sizes with that one at 1 which makes the backward compute least: the number of time steps."""
    counts: list[tuple[int, str]] = []
    for name in sizes:
        if name not in subject.pinned and sizes[name] > 1:
            try:
                counts.append((count_backward_values(subject.build(seed, {**sizes, name: 1})), name))
            except TargetError:
                continue
    return {**sizes, min(counts)[1]: 1} if counts else None


def _at(
    target: Target,
    seed: int,
    divisor: float,
    known: set[str] | None,
    content: Content,
    rebuild: Callable[[], Target] | None,
    briefly: bool,
) -> Explanation:
    with target.preserved():
        target.draw_cotangents(np.random.default_rng([seed, 1]))
        if not _is_double_precision(target):
            return Explanation(
                note="no line is looked for in float32: its rounding hides which value is which derivative"
            )
        for base in _points(target, hidden=known is None):
            try:
                with Trace(target, divisor, base) as trace:
                    plain = trace.judgement({})
                    wrong = trace.wrong(plain.recording.gradients)
                    if not wrong and divisor == 1.0:
                        continue
                    if known is not None and not set(wrong) <= known:
                        return Explanation(
                            note="no line is looked for: traced, other gradients are wrong than in the check, as "
                            "they are where code calculates in less than double precision"
                        )
                    trace.held = trace.forward_functions(plain)
                    found = repairs_by_value(trace, faults(trace))
                    around = rank_statements(trace, plain)
            except NoSourceError as error:
                return Explanation(note=str(error))
            except TooMuchError:
                return Explanation(
                    note="the backward was not traced: it computes too much at these sizes; "
                    "with a factory (@gradcheck.target) smaller ones can be chosen"
                )
            search = Search(trace, around, rebuild)
            if briefly:
                search.limit = min(search.limit, FEW_RUNS)
            mended = _Mended(trace, search, content, wrong)
            if wrong:
                mended.of(found)
            if divisor != 1.0:
                mended.scaled(divisor)
            if mended.found and mended.patch is None:
                mended.found = mended.found[:MOST_UNMENDED]  # what comes later may only follow from these
            if mended.found:
                findings = [_finding(mend, trace, mended.patch) for mend in mended.found]
                return Explanation(findings, mended.patch, trace.evaluations, rest=mended.rest)
    return Explanation(note=_no_source_note(trace))


def _is_double_precision(target: Target) -> bool:
    """Whether values can be told apart: parameters in double precision, or such as can be replaced by wider ones."""
    return target.takes_complex or all(array.dtype.itemsize >= 8 for array in target.values().values())


def _points(target: Target, *, hidden: bool) -> Iterator[Values]:
    """Where to trace: at the parameters as they are, or at larger ones."""
    base = {name: array.astype(np.result_type(array, np.float64)) for name, array in target.values().items()}
    if not hidden:
        yield base
        return
    if isinstance(target, VjpTarget):
        cotangents = target.cotangents
        try:
            for factor in LARGER:
                target.cotangents = [factor * cotangent for cotangent in cotangents]
                yield base
        finally:
            target.cotangents = cotangents
        return
    for name, array in base.items():
        if array.ndim >= 2:
            for factor in LARGER:
                yield {**base, name: array * factor}


def _no_source_note(trace: Trace) -> str:
    if not trace.program.without_source:
        return ""
    return f"no line can be named in {', '.join(trace.program.without_source)}: the source is not at hand"


# -- what mends it -----------------------------------------------------------------------------------------------------


@dataclass
class _Mended:
    """The mends of one trace, and the patch that a whole check is content with."""

    trace: Trace
    search: Search
    content: Content
    wrong: tuple[str, ...]
    found: list[Repair] = field(default_factory=list)
    patch: Patch | None = None
    #: what is still wrong with it
    rest: tuple[str, ...] = ()

    def of(self, traced: list[Repair]) -> None:
        """What the trace found, mended; or what the search finds by running, where that explains more."""
        self.found = traced
        if len(traced) == 2 and self._exchanged(traced):
            return
        if traced and all(mend.alternatives for mend in traced):
            for chosen in _with_other_lines(traced):
                if self._verified(self._shared(chosen)):
                    return
        if any(mend.alternatives for mend in traced) and self._completed(traced, 1 / 4):
            return
        with self.search.limited_to_share(1 / 2):
            for step in islice(self.search.single(), MOST_SINGLES):
                if self._verified(self._searched(traced, [step])):
                    return
        if traced and self._completed(traced, 1 / 2):
            return
        steps = self.search.chain()
        rest = steps[-1].still_wrong if steps else self.wrong
        if rest and self._in_part(traced, rest):
            return
        if steps:
            self._verified(self._searched(traced, steps), rest)

    def _in_part(self, traced: list[Repair], rest: tuple[str, ...]) -> bool:
        """Whether the edits that the trace found, for some of the faults, leave no more gradients wrong than these."""
        with_edit = [mend for mend in traced if mend.alternatives]
        left = self.search.wrong([mend.alternatives[0] for mend in with_edit])
        if (
            not with_edit
            or len(left) > len(rest)
            or len(left) == len(self.wrong)
            or not self._verified(with_edit, left)
        ):
            return False
        self.found = traced
        return True

    def _exchanged(self, traced: list[Repair]) -> bool:
        """Whether an exchange in one statement explains what looks like two faults."""
        with self.search.limited_to_runs(FEW_RUNS):
            steps = self.search.single(EXCHANGES)
            return any(self._verified(self._searched(traced, [step])) for step in islice(steps, MOST_SINGLES))

    def scaled(self, divisor: float) -> None:
        """Take out the factor that all gradients have in common, on top of the other mends."""
        if self.wrong and self.patch is None:
            return
        chosen = self.patch.chosen if self.patch else []
        self.trace.stop_dividing()
        for step in islice(self.search.scaling(chosen, divisor), MOST_SCALINGS):
            for one in step.alternatives:
                one = self._tidy(one)
                patch = Patch([*chosen, one], self.trace.program.sources)
                if self._content(patch, (), frozenset({"reduction"})):
                    self.found.append(Repair([one], step.blocks, kind="reduction"))
                    self.patch = patch
                    return

    def _completed(self, traced: list[Repair], share: float) -> bool:
        """Whether what the trace left without an edit gets one by running, and all of it is verified."""
        with self.search.limited_to_share(share):
            return self._filled(traced) and self._verified(self._shared(traced))

    def _searched(self, traced: list[Repair], steps: list[PartialRepair]) -> list[Repair]:
        """What the search found, with what the trace says of the same statements."""
        return [
            Repair([self._tidy(one) for one in step.alternatives], step.blocks, _same_place(traced, step.alternatives))
            for step in steps
        ]

    def _tidy(self, one: tuple[Statement, Edit]) -> tuple[Statement, Edit]:
        statement, edit = one
        source = self.trace.program.sources[statement.file]
        return statement, styled_edit(source_node(statement, source), edit, source)

    def _filled(self, found: list[Repair]) -> bool:
        """Whether every fault has an edit; what has none by value is looked for by running."""
        for mend in found:
            if mend.alternatives or mend.fault is None:
                continue
            chosen = [other.alternatives[0] for other in found if other.alternatives]
            around = self._near(mend.fault)
            before = self.search.wrong(chosen)
            step = self.search.step(chosen, before, around, len(set(before) - set(mend.blocks)))
            if step is None or set(step.still_wrong) & set(mend.blocks):
                return False
            mend.alternatives = [self._tidy(one) for one in step.alternatives]
        return True

    def _near(self, fault: Fault) -> list[EditableStatement]:
        """The statement at fault, what its values came through, and the calls of its function."""
        statements = [fault.statement, *fault.through[:MOST_NEAR]]
        called = f"{fault.statement.function.rpartition('.')[2]}("
        near = [place for one in statements for place in self.search.places if place.statement is one]
        calls = [place for place in self.search.places if called in place.statement.text and place not in near]
        return [*near, *calls[:MOST_NEAR]]

    def _shared(self, found: list[Repair]) -> list[Repair]:
        """One edit of a helper in the place of those of the lines that call it, if that does as well."""
        for name in sorted({place.statement.function.rpartition(".")[2] for place in self.search.places}):
            calling = [mend for mend in found if f"{name}(" in mend.alternatives[0][0].text]
            mended = [mend.alternatives[0][0] for mend in calling]
            if any(f"{name}(" in one.statement.text and one.statement not in mended for one in self.search.places):
                continue  # a line that calls it is right
            # one of the lines that call it may have a fault of its own
            but_one = [[mend for mend in calling if mend is not own] for own in calling] if len(calling) > 2 else []
            for sharing in [calling, *but_one] if calling else []:
                others = [mend for mend in found if mend not in sharing]
                helper = self._inside(name, sharing, others)
                if helper is None:
                    continue
                if sharing is not calling:
                    own = next(mend for mend in calling if mend not in sharing)
                    others = [mend if mend is not own else self._again(own, [helper, *others]) for mend in others]
                return [helper, *others]
        return found

    def _inside(self, name: str, sharing: list[Repair], others: list[Repair]) -> Repair | None:
        """The edit of a helper that, on top of the others, does what those of the lines that share it do."""
        chosen = [mend.alternatives[0] for mend in others]
        inside = [one for one in self.search.places if one.statement.function.rpartition(".")[2] == name]
        before = self.search.wrong(chosen)
        step = None
        if len(sharing) == 1:
            step = self.search.step(chosen, before, inside, tiers=SLIP_TIERS)
        if (step is None or step.still_wrong) and (len(sharing) > 1 or len(inside) == 1):
            step = self.search.step(chosen, before, inside, tiers=LIKELY_TIERS)
            if (
                len(sharing) == 1
                and step is not None
                and growth_of_edit(step.alternatives[0][1]) >= sharing[0].other_lines
            ):
                return None
        if step is None or step.still_wrong:
            return None
        blocks = {one for mend in sharing for one in mend.blocks}
        alternatives = [self._tidy(one) for one in step.alternatives]
        return Repair(alternatives, tuple(one for one in self.wrong if one in blocks))

    def _again(self, mend: Repair, found: list[Repair]) -> Repair:
        """The mend of a line that calls a helper as it is once the helper is mended."""
        statement = mend.alternatives[0][0]
        around = [place for place in self.search.places if place.statement is statement]
        chosen = [one.alternatives[0] for one in found if one is not mend]
        step = self.search.step(chosen, self.wrong, around)
        if step is None or step.still_wrong:
            return mend
        return Repair([self._tidy(one) for one in step.alternatives], mend.blocks, mend.fault)

    def _verified(self, found: Sequence[Repair], rest: tuple[str, ...] = ()) -> bool:
        """Whether the whole check is content with one of the chains; then it is what is reported."""
        for chosen in edit_combinations(list(found)) if found else ():
            patch = Patch(chosen, self.trace.program.sources)
            if self._content(patch, rest, frozenset()):
                self.found, self.patch, self.rest = list(found), patch, rest
                return True
        return False

    def _content(self, patch: Patch, rest: tuple[str, ...], laws: frozenset[str]) -> bool:
        try:
            return self.content(patch, self.trace, rest, laws)
        except (TargetError, SyntaxError, RebindError):
            return False


def _with_other_lines(found: list[Repair]) -> Iterator[list[Repair]]:
    """The mends, and then with one of them in turn in another line that explains as much."""
    yield found
    for i, mend in enumerate(found):
        for other in mend.instead:
            yield [*found[:i], other, *found[i + 1 :]]


def _same_place(traced: list[Repair], alternatives: list[tuple[Statement, Edit]]) -> Fault | None:
    """What the trace said of the statement that the search found."""
    statements = [statement for statement, _ in alternatives]
    return next((mend.fault for mend in traced if mend.fault and mend.fault.statement in statements), None)


# -- what is said ------------------------------------------------------------------------------------------------------


def _finding(mend: Repair, trace: Trace, patch: Patch | None) -> Finding:
    fault, sources = mend.fault, trace.program.sources
    if patch is None or not mend.alternatives:
        assert fault is not None  # what the search found is there only with a patch
        statement = fault.statement
        message = f"{_traced(fault)} {_in(statement)}{_because(fault.blocks)}"
        return Finding("line", message, fault.blocks, statement.file, statement.line, statement.text)
    chosen = next(one for one in patch.chosen if one in mend.alternatives)
    statement, edit = chosen
    line, before, after = changed_lines(*chosen, sources)
    fix = Fix(line, before, after, diff(Patch([chosen], sources), statement.file), verified=True)
    said = [name_mistake(sources[statement.file], edit)]
    if fault is not None and fault.statement is statement:
        said.append(_traced(fault))
    what = "; ".join(one for one in said if one) or "the statement is at fault"
    equivalent = [changed_lines(*one, sources) for one in mend.alternatives if one != chosen]
    others = "; equivalent: " + "; ".join(f"line {at}: {text}" for at, _, text in equivalent[:3]) if equivalent else ""
    message = f"{what} {_in(statement)}{_because(mend.blocks)}{others}"
    return Finding(mend.kind, message, mend.blocks, statement.file, line, before, fix)


def _in(statement: Statement) -> str:
    return f"(in {statement.function})"


def _traced(fault: Fault) -> str:
    """What the statement should have given, what it gave, and which of the values that it read are right."""
    ratio = fault.ratio
    gave = _plain(fault.gave) or "a derivative of nothing"
    if ratio is not None:
        gave = "the same with the wrong sign" if abs(ratio + 1) < 1e-9 else f"{ratio:.6g} times that"
        gave = "zero" if abs(ratio) < 1e-12 else gave
    inputs = [f"{name}, which is {_plain(label)}" for name, label in list(fault.inputs.items())[:3]]
    given = f" from {' and '.join(inputs)}" if inputs else ""
    return f"this should give dL/d({fault.label}), and gives {gave}{given}"


def _because(blocks: tuple[str, ...]) -> str:
    return f"; wrong because of it: {', '.join(blocks)}"


def _plain(label: str) -> str:
    return label.partition(" at execution ")[0]
