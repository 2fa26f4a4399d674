"""Several faults: each wrong gradient looked at by itself, while the others may become what they like."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

from gradcheck._localising import Localisation, Suspect, localise
from gradcheck._localising.blame import Role
from gradcheck._localising.ground import Ground
from gradcheck._localising.reaching import Reaching
from gradcheck._localising.spoiling import Spoiling
from gradcheck._localising.suspects import Need
from gradcheck._mending import Again, Budget, Mend, MendSearch
from gradcheck._mending.residual import factor_between
from gradcheck._repair.around_suspects import statements_around
from gradcheck._repair.forward import forward_statements
from gradcheck._repair.found import Mended
from gradcheck._tape import MOVES, Node, Statement, TapedRun

#: gradients that are looked at, the smallest first
MOST_GRADIENTS = 12
#: statements of which an edit is looked for, those first that could be at fault in most gradients
MOST_STATEMENTS = 14
#: loops, conditions and what they read that are looked at around these, where no edit of a statement mends anything
MOST_AROUND = 10
#: suspects of each gradient
MOST_SUSPECTS = 5
#: what is tried of each statement
BUDGET = Budget(candidates=1500, runs=20)
#: small edits of a statement, or large ones
Size: TypeAlias = Callable[[MendSearch], list[Mend]]


def suspects_of_each(run: TapedRun, wrong: set[str], second: TapedRun | None) -> dict[str, list[Suspect]]:
    """By gradient: the statements that could be at fault in it, the likeliest first; none that only hand it on."""
    result: dict[str, list[Suspect]] = {}
    for name in sorted(wrong, key=lambda one: (run.true_gradients[one].size, one))[:MOST_GRADIENTS]:
        found = without_forward(run, localise(run, sorted(wrong), second=second, only=[name], brief=True))
        suspects = [one for one in found.alone if not hands_on(one)]
        if suspects:
            result[name] = suspects[:MOST_SUSPECTS]
    return result


def mends_of_several(run: TapedRun, suspects: Mapping[str, Sequence[Suspect]], again: Sequence[Again]) -> list[Mended]:
    """Faults of which each is mended by an edit of its own, those first that spoil most gradients."""
    counts = Counter(id(one.statement) for of_one in suspects.values() for one in of_one)
    first = {id(one.statement): one for of_one in suspects.values() for one in of_one}
    ordered = sorted(first.values(), key=lambda one: (-counts[id(one.statement)], one.nodes[0].index))
    searches = [MendSearch(run, one.statement, again, BUDGET) for one in ordered[:MOST_STATEMENTS]]
    pairs = list(zip(ordered, searches, strict=False))
    return (
        _mended_by(pairs, suspects, MendSearch.small)
        or _mended_around(run, [one for one, _ in pairs], again)
        or _mended_by(pairs, suspects, MendSearch.large)
    )


def _mended_by(
    pairs: Sequence[tuple[Suspect, MendSearch]],
    suspects: Mapping[str, Sequence[Suspect]],
    size: Size,
) -> list[Mended]:
    """Those that an edit of this size mends, each gradient by one of them."""
    result: list[Mended] = []
    right: set[str] = set()
    for suspect, search in pairs:
        statement = suspect.statement
        blamed = {name for name, of_one in suspects.items() if any(one.statement is statement for one in of_one)}
        if blamed <= right:
            continue
        edits = [one for one in size(search) if not right & set(one.gradients)]
        if edits:
            right.update(edits[0].gradients)
            result.append(Mended.of(statement, edits, suspect))
    return result


def _mended_around(run: TapedRun, suspects: Sequence[Suspect], again: Sequence[Again]) -> list[Mended]:
    """The first statement around these of which an edit makes gradients right: a loop leaves a step out, say."""
    around = islice(statements_around(run, suspects, len(suspects)), MOST_AROUND)
    fault = first_mended((MendSearch(run, one, again, BUDGET) for one in around), MendSearch.small)
    return [] if fault is None else [fault]


def first_mended(searches: Iterable[MendSearch], size: Size) -> Mended | None:
    """The first of these statements that an edit of this size mends."""
    for search in searches:
        edits = size(search)
        if edits:
            return Mended.of(search.statement, edits)
    return None


def hands_on(suspect: Suspect) -> bool:
    """Whether its values are handed on as they are."""
    return not suspect.elsewhere and not any(_is_calculated(node, suspect) for node in suspect.nodes)


def takes_each_alone(run: TapedRun, suspect: Suspect, wrong: Collection[str]) -> bool:
    """Whether it takes each of several gradients by itself, entry by entry, and none lacks a factor only.

    Other values of it could make anything right, so that this says nothing; and no edit of it could give them.
    """
    sinks = {name: sink for name, sink in run.sinks.items() if name in wrong and sink is not None}
    if len(sinks) < 2 or any(factor_between(run.gradients[name], run.true_gradients[name]) for name in sinks):
        return False
    carries, reaching = run.once(Ground).standings.carries, run.once(Reaching)
    for node in suspect.nodes:
        reached = sorted(reaching.reached([node]) & set(sinks))
        read = [one for one in node.inputs if carries[one.index] and not run.is_forward(one)]
        if len(reached) != 1 or node.size != sinks[reached[0]].size or any(one.size != node.size for one in read):
            return False
    return len({node.size for node in suspect.nodes}) > 1


def is_credible(suspect: Suspect) -> bool:
    """Whether it spoils what is known to be right, and should give derivatives: that is no chance."""
    is_spoiler = suspect.role is Role.SPOILS and suspect.need is Need.KNOWN
    return is_spoiler and suspect.reads_known and not hands_on(suspect)


def _is_calculated(node: Node, suspect: Suspect) -> bool:
    """Whether a value, or what it is a part or a view of, was calculated by the statement."""
    while node.op in MOVES and node.inputs:
        node = node.inputs[0]
    return node.op not in MOVES and node.place is not None and node.place.statement is suspect.statement


def without_forward(run: TapedRun, found: Localisation) -> Localisation:
    """Without statements of the forward, and of helpers that are right."""
    forward = run.once(forward_statements)

    def of_backward(suspects: Sequence[Suspect]) -> list[Suspect]:
        return [one for one in suspects if id(one.statement) not in forward]

    return replace(found, alone=of_backward(found.alone), find_together=lambda: of_backward(found.together))


def gradients_behind(run: TapedRun, statement: Statement, names: Collection[str]) -> tuple[str, ...]:
    """Those of the gradients that are calculated from what a statement gives."""
    given = (node for node in run.nodes if node.place is not None and node.place.statement is statement)
    return tuple(sorted(run.once(Reaching).reached(given) & set(names)))


def spoil_only(run: TapedRun, found: Sequence[Spoiling], wrong: Collection[str]) -> list[Spoiling]:
    """Those of the backward whose values at those executions reach wrong gradients alone.

    What a right gradient is calculated from is right, whatever it is.
    """
    forward = run.once(forward_statements)
    right = set().union(*(run.once(Reaching).behind(name) for name in run.sinks if name not in wrong))
    given: dict[int, set[int]] = defaultdict(set)
    for node in run.nodes:
        if node.index in right and node.place is not None and node.op not in MOVES:
            given[id(node.place.statement)].add(node.execution)
    return [
        one
        for one in found
        if id(one.statement) not in forward and not given[id(one.statement)] & {*one.executions, *one.idle}
    ]
