"""Judges the records of a backward by their data flow: which are right, which wrong, and where it went wrong first."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np

from gradcheck._tracing.matching import Library, Match
from gradcheck._tracing.recording import Event, Recording
from gradcheck._usercode.rewriting import Site

#: values that no derivative flows into are candidates only as long as there are few of them
MOST_UNTAINTED = 12


@dataclass
class Judgement:
    """A recording, judged. Lists run parallel to its events."""

    recording: Recording
    #: what each event is the derivative of
    matches: list[Match | None]
    #: a statement's own value, which is not zero
    judged: list[bool]
    #: a derivative flows into it
    tainted: list[bool] = field(default_factory=list)
    #: something computed from it is a derivative
    recovered: list[bool] = field(default_factory=list)
    #: something that it was computed from is wrong
    blocked: list[bool] = field(default_factory=list)

    def right(self, index: int) -> bool:
        """Whether the event is exactly a derivative."""
        match = self.matches[index]
        return match is not None and match.exact

    def suspect(self, index: int) -> bool:
        """Whether the event is a derivative of nothing, and nothing that follows from it is one."""
        return self.judged[index] and not self.right(index) and not self.recovered[index]


def judge(recording: Recording, library: Library, sites: list[Site]) -> Judgement:
    """Match every statement's value, and follow the data."""
    events = recording.events
    judged = [
        _is_whole(sites[event.site], event) and not event.same and not library.is_zero(event.value) for event in events
    ]
    wanted = [i for i, one in enumerate(judged) if one]
    matches: list[Match | None] = [None] * len(events)
    for i, match in zip(wanted, library.match_all([events[i].value for i in wanted]), strict=True):
        matches[i] = match
    for i, event in enumerate(events):
        if event.same and event.inputs:
            matches[i] = matches[event.inputs[0]]
    result = Judgement(recording, matches, judged)
    _follow(result)
    return result


def _is_whole(site: Site, event: Event) -> bool:
    """Whether the value is all that a statement computes: no reading, and no buffer that is filled bit by bit."""
    if site.kind == "load":
        return site.is_statement_value and bool(event.inputs)  # a slice
    if site.kind == "value" and "empty" in site.text.partition("(")[0]:
        return False  # to be filled
    partly_filled = site.kind == "after" and not isinstance(site.statement.node, ast.AugAssign)
    return site.is_statement_value and site.kind != "touch" and not partly_filled


def _follow(result: Judgement) -> None:
    events = result.recording.events
    result.tainted = [False] * len(events)
    result.recovered = [False] * len(events)
    result.blocked = [False] * len(events)
    for i, event in enumerate(events):
        result.tainted[i] = (result.judged[i] and result.right(i)) or any(result.tainted[j] for j in event.inputs)
    for i in reversed(range(len(events))):
        if result.recovered[i] or (result.judged[i] and result.right(i)):
            for j in events[i].inputs:
                result.recovered[j] = True
    for i, event in enumerate(events):
        result.blocked[i] = any(result.blocked[j] or (result.suspect(j) and result.tainted[j]) for j in event.inputs)


@dataclass
class Around:
    """Where it may have gone wrong."""

    #: values that are derivatives of nothing, though all they were computed from is right, in the order of execution
    suspects: list[int]
    #: what wrong gradients are put together from
    feeders: list[int]
    #: for each suspect: right values that it was computed from, and the names they came under
    sources: dict[int, list[int]]
    #: the suspects and aliases that a derivative flows into
    tainted: set[int]
    #: statements that only hand a value on: what they leave out cannot be seen in what they compute
    aliases: list[int]
    #: statements that give zero every time
    zeros: list[int]


def candidates(result: Judgement, sites: list[Site], wrong: Collection[str], forward: Collection[int]) -> Around:
    """The sites where it may have gone wrong."""
    events = result.recording.events
    suspects: dict[int, int] = {}
    sources: dict[int, dict[int, int]] = {}
    untainted = 0
    for i, event in enumerate(events):
        if event.site in forward or not result.suspect(i) or result.blocked[i]:
            continue
        if not result.tainted[i]:
            untainted += 1
            if untainted > MOST_UNTAINTED:
                continue
        suspects.setdefault(event.site, i)
        _add_sources(result, sites, forward, i, sources.setdefault(event.site, {}))
    feeders: dict[int, int] = {}
    for name in wrong:
        sink = result.recording.sinks.get(name)
        if sink is not None and not result.blocked[sink]:
            found: dict[int, int] = {}
            _add_sources(result, sites, forward, sink, found, untainted=True)
            if events[sink].site not in forward:
                found.setdefault(events[sink].site, sink)
            for site, i in found.items():
                feeders[site] = i
                _add_sources(result, sites, forward, i, sources.setdefault(site, {}))
    aliases = _aliases(result, sites, forward)
    tainted = {events[i].site for i in range(len(events)) if result.tainted[i]}
    # what a statement computes before what only hands it on; the last first
    last_first = sorted(feeders, key=lambda site: (events[feeders[site]].same, -feeders[site]))
    return Around(
        sorted(suspects, key=lambda site: suspects[site]),
        [site for site in last_first if site not in suspects],
        {site: sorted(found, key=lambda one: found[one]) for site, found in sources.items()},
        {site for site, i in suspects.items() if result.tainted[i]} | (tainted & set(aliases)),
        aliases,
        _zeros(result, sites, forward),
    )


def _aliases(result: Judgement, sites: list[Site], forward: Collection[int]) -> list[int]:
    found: dict[int, None] = {}
    for event in result.recording.events:
        site = sites[event.site]
        handed_on = (
            event.same
            and site.is_statement_value
            and site.kind == "load"
            and isinstance(site.statement.node, ast.Assign)
        )
        if handed_on and site.number not in forward:
            found.setdefault(site.number)
    return list(found)


def _zeros(result: Judgement, sites: list[Site], forward: Collection[int]) -> list[int]:
    found: dict[int, bool] = {}
    for event in result.recording.events:
        site = sites[event.site]
        assigned = (
            site.is_statement_value and site.kind in ("value", "load") and isinstance(site.statement.node, ast.Assign)
        )
        if assigned and "zeros" not in site.text:
            found[event.site] = found.get(event.site, True) and not np.any(event.value)
    return [number for number, zero in found.items() if zero and number not in forward]


def sources(result: Judgement, sites: list[Site], forward: Collection[int], site: int) -> list[int]:
    """What a site's values came from, back to the statements that computed it, in the order of execution."""
    found: dict[int, int] = {}
    for i, event in enumerate(result.recording.events):
        if event.site == site:
            _add_sources(result, sites, forward, i, found)
    return sorted(found, key=lambda one: found[one])


def _add_sources(
    result: Judgement,
    sites: list[Site],
    forward: Collection[int],
    index: int,
    found: dict[int, int],
    untainted: bool = False,
) -> None:
    """The way an event's inputs came to it, back to the statements that they are the values of."""
    events = result.recording.events
    seen: set[int] = set()
    waiting = list(events[index].inputs)
    while waiting:
        i = waiting.pop()
        if i in seen:
            continue
        seen.add(i)
        site = sites[events[i].site]
        whole = result.judged[i] and site.kind != "bind"
        usable = result.tainted[i] or untainted or (site.is_statement_value and events[i].same)
        if usable and site.number not in forward and (whole or site.kind in ("load", "bind", "after")):
            found.setdefault(site.number, i)
        if not whole:
            waiting += events[i].inputs
