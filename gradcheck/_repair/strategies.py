"""The strategies by which a fault is mended, in the order in which they are tried; a whole check decides on each."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import CodeType
from typing import TypeAlias

from gradcheck._common.errors import TargetError
from gradcheck._repair.by_running import EditableStatement, PartialRepair, Search
from gradcheck._repair.by_value import Repair, edit_combinations
from gradcheck._repair.edits import EXCHANGES, LIKELY_TIERS, SLIP_TIERS
from gradcheck._tracing.faults import Fault
from gradcheck._tracing.trace import Trace
from gradcheck._usercode.patching import Patch, RebindError, growth_of_edit, source_node
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.source import Edit
from gradcheck._usercode.style import styled_edit

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
Content: TypeAlias = Callable[[Patch, Sequence[CodeType], tuple[str, ...], frozenset[str]], bool]


@dataclass(frozen=True)
class Proposal:
    """Repairs that may mend all that is wrong but these gradients; `told` are reported, if not just the repairs."""

    repairs: Sequence[Repair]
    still_wrong: tuple[str, ...] = ()
    told: Sequence[Repair] = ()


@dataclass(frozen=True)
class Outcome:
    """What is told of, and the patch that a whole check is content with, if there is one."""

    repairs: list[Repair]
    patch: Patch | None = None
    still_wrong: tuple[str, ...] = ()


Proposals: TypeAlias = Generator[Proposal, None, None]
Strategy: TypeAlias = Callable[["Case"], Proposals]


@dataclass(frozen=True)
class Case:
    """What is to be mended: the trace with the repairs that it found by value, and the search by running."""

    trace: Trace
    search: Search
    content: Content
    wrong: tuple[str, ...]
    traced: list[Repair]

    def verified_patch(self, proposal: Proposal) -> Patch | None:
        """The first combination of edits that the whole check is content with."""
        for chosen in edit_combinations(list(proposal.repairs)) if proposal.repairs else ():
            patch = self.patch(chosen)
            if self.accepts(patch, proposal.still_wrong):
                return patch
        return None

    def accepts(self, patch: Patch, still_wrong: tuple[str, ...] = (), laws: frozenset[str] = frozenset()) -> bool:
        """Whether the whole check of patched code is content; code that does not run is no repair."""
        try:
            return self.content(patch, list(self.trace.program.codes), still_wrong, laws)
        except (TargetError, SyntaxError, RebindError):
            return False

    def patch(self, chosen: list[tuple[Statement, Edit]]) -> Patch:
        """The edits as a patch of the sources that ran."""
        return Patch(chosen, self.trace.program.sources)

    def from_steps(self, steps: Sequence[PartialRepair]) -> list[Repair]:
        """What the search found, with what the trace says of the same statements."""
        return [
            Repair([self.tidy(one) for one in step.alternatives], step.blocks, self._fault_at(step.alternatives))
            for step in steps
        ]

    def tidy(self, one: tuple[Statement, Edit]) -> tuple[Statement, Edit]:
        """The edit without parentheses that do nothing."""
        statement, edit = one
        source = self.trace.program.sources[statement.file]
        return statement, styled_edit(source_node(statement, source), edit, source)

    def _fault_at(self, alternatives: list[tuple[Statement, Edit]]) -> Fault | None:
        statements = [statement for statement, _ in alternatives]
        return next((one.fault for one in self.traced if one.fault and one.fault.statement in statements), None)


def find_repair(case: Case, divisor: float) -> Outcome:
    """What mends the case: the first proposal that a whole check is content with, and then the common factor."""
    outcome = _first_verified(case) if case.wrong else Outcome([])
    if divisor != 1.0 and (outcome.patch is not None or not case.wrong):
        outcome = _with_scaling(case, outcome, divisor)
    if outcome.patch is None:
        return Outcome(outcome.repairs[:MOST_UNMENDED])  # what comes later may only follow from these
    return outcome


def _first_verified(case: Case) -> Outcome:
    for strategy in STRATEGIES:
        with closing(strategy(case)) as proposals:
            for proposal in proposals:
                patch = case.verified_patch(proposal)
                if patch is not None:
                    return Outcome(list(proposal.told or proposal.repairs), patch, proposal.still_wrong)
    return Outcome(case.traced)


def _with_scaling(case: Case, outcome: Outcome, divisor: float) -> Outcome:
    """The outcome with the factor taken out that all gradients have in common, on top of the other repairs."""
    chosen = outcome.patch.chosen if outcome.patch else []
    case.trace.stop_dividing()
    for step in islice(case.search.scaling(chosen, divisor), MOST_SCALINGS):
        for one in map(case.tidy, step.alternatives):
            patch = case.patch([*chosen, one])
            if case.accepts(patch, (), frozenset({"reduction"})):
                scaling = Repair([one], step.blocks, kind="reduction")
                return Outcome([*outcome.repairs, scaling], patch, outcome.still_wrong)
    return outcome


# -- the strategies ----------------------------------------------------------------------------------------------------


def exchange_in_one_statement(case: Case) -> Proposals:
    """What looks like two faults may be one exchange."""
    if len(case.traced) == 2:
        with case.search.limited_to_runs(FEW_RUNS):
            for step in islice(case.search.single(EXCHANGES), MOST_SINGLES):
                yield Proposal(case.from_steps([step]))


def edits_judged_by_value(case: Case) -> Proposals:
    """An edit for every fault, all of which the trace found by value."""
    if case.traced and all(repair.alternatives for repair in case.traced):
        for chosen in _with_other_lines(case.traced):
            yield Proposal(_shared(case, chosen))


def edits_completed_by_running(case: Case, share: float, *, without_any: bool = False) -> Proposals:
    """What the trace left without an edit gets one by running, within this share of the runs that are left."""
    if case.traced and (without_any or any(repair.alternatives for repair in case.traced)):
        with case.search.limited_to_share(share):
            if _fill(case):
                yield Proposal(_shared(case, case.traced))


def single_edit_by_running(case: Case) -> Proposals:
    """One edit that makes every gradient right, wherever it is, within half of the runs that are left."""
    with case.search.limited_to_share(1 / 2):
        for step in islice(case.search.single(), MOST_SINGLES):
            yield Proposal(case.from_steps([step]))


def edits_of_a_part(case: Case) -> Proposals:
    """Edits that mend a part: those of the trace, where they leave no more wrong than a chain found by running does."""
    steps = case.search.chain()
    rest = steps[-1].still_wrong if steps else case.wrong
    mended = [repair for repair in case.traced if repair.alternatives]
    if rest and mended:
        left = case.search.wrong([repair.alternatives[0] for repair in mended])
        if len(left) <= len(rest) and len(left) != len(case.wrong):
            yield Proposal(mended, left, case.traced)
    if steps:
        yield Proposal(case.from_steps(steps), rest)


#: from what is most likely, and costs least, to what is tried last
STRATEGIES: tuple[Strategy, ...] = (
    exchange_in_one_statement,
    edits_judged_by_value,
    partial(edits_completed_by_running, share=1 / 4),
    single_edit_by_running,
    partial(edits_completed_by_running, share=1 / 2, without_any=True),
    edits_of_a_part,
)


def _with_other_lines(found: list[Repair]) -> Iterator[list[Repair]]:
    """The repairs, and then with one of them in turn in another line that explains as much."""
    yield found
    for i, repair in enumerate(found):
        for other in repair.instead:
            yield [*found[:i], other, *found[i + 1 :]]


def _fill(case: Case) -> bool:
    """Whether every fault has an edit; what has none by value is looked for by running."""
    for repair in case.traced:
        if repair.alternatives or repair.fault is None:
            continue
        chosen = [other.alternatives[0] for other in case.traced if other.alternatives]
        around = _near(case, repair.fault)
        before = case.search.wrong(chosen)
        step = case.search.step(chosen, before, around, len(set(before) - set(repair.blocks)))
        if step is None or set(step.still_wrong) & set(repair.blocks):
            return False
        repair.alternatives = [case.tidy(one) for one in step.alternatives]
    return True


def _near(case: Case, fault: Fault) -> list[EditableStatement]:
    """The statement at fault, what its values came through, and the calls of its function."""
    statements = [fault.statement, *fault.through[:MOST_NEAR]]
    called = f"{fault.statement.function.rpartition('.')[2]}("
    near = [place for one in statements for place in case.search.places if place.statement is one]
    calls = [place for place in case.search.places if called in place.statement.text and place not in near]
    return [*near, *calls[:MOST_NEAR]]


def _shared(case: Case, found: list[Repair]) -> list[Repair]:
    """One edit of a helper in the place of those of the lines that call it, if that does as well."""
    for name in sorted({place.statement.function.rpartition(".")[2] for place in case.search.places}):
        calling = [repair for repair in found if f"{name}(" in repair.alternatives[0][0].text]
        mended = [repair.alternatives[0][0] for repair in calling]
        if any(f"{name}(" in one.statement.text and one.statement not in mended for one in case.search.places):
            continue  # a line that calls it is right
        # one of the lines that call it may have a fault of its own
        but_one = [[repair for repair in calling if repair is not own] for own in calling] if len(calling) > 2 else []
        for sharing in [calling, *but_one] if calling else []:
            others = [repair for repair in found if repair not in sharing]
            helper = _inside(case, name, sharing, others)
            if helper is None:
                continue
            if sharing is not calling:
                own = next(repair for repair in calling if repair not in sharing)
                others = [repair if repair is not own else _again(case, own, [helper, *others]) for repair in others]
            return [helper, *others]
    return found


def _inside(case: Case, name: str, sharing: list[Repair], others: list[Repair]) -> Repair | None:
    """The edit of a helper that, on top of the others, does what those of the lines that share it do."""
    chosen = [repair.alternatives[0] for repair in others]
    inside = [one for one in case.search.places if one.statement.function.rpartition(".")[2] == name]
    before = case.search.wrong(chosen)
    step = None
    if len(sharing) == 1:
        step = case.search.step(chosen, before, inside, tiers=SLIP_TIERS)
    if (step is None or step.still_wrong) and (len(sharing) > 1 or len(inside) == 1):
        step = case.search.step(chosen, before, inside, tiers=LIKELY_TIERS)
        if len(sharing) == 1 and step is not None and growth_of_edit(step.alternatives[0][1]) >= sharing[0].other_lines:
            return None
    if step is None or step.still_wrong:
        return None
    spoiled = {one for repair in sharing for one in repair.blocks}
    alternatives = [case.tidy(one) for one in step.alternatives]
    return Repair(alternatives, tuple(one for one in case.wrong if one in spoiled))


def _again(case: Case, repair: Repair, found: list[Repair]) -> Repair:
    """The repair of a line that calls a helper as it is once the helper is mended."""
    statement = repair.alternatives[0][0]
    around = [place for place in case.search.places if place.statement is statement]
    chosen = [one.alternatives[0] for one in found if one is not repair]
    step = case.search.step(chosen, case.wrong, around)
    if step is None or step.still_wrong:
        return repair
    return Repair([case.tidy(one) for one in step.alternatives], repair.blocks, repair.fault)
