"""Which statement of the backward is wrong: the search that goes by what would happen if it gave the right thing.

A value of the backward is right if it is a derivative of the loss with respect to something that the forward computes.
Where one is wrong, it is overridden by each derivative of its shape in turn. The override that makes the most of what
follows right tells which line is at fault and what it should have given; then the search goes on with the override
in place, until every gradient is right.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._common.errors import TargetError
from gradcheck._tracing.dataflow import Around, Judgement, candidates, sources
from gradcheck._tracing.matching import Series
from gradcheck._tracing.orders import aligned, shaped
from gradcheck._tracing.recording import Event, Overrides, PartialRun, Recording, behind, run_with_overrides
from gradcheck._tracing.trace import Trace
from gradcheck._usercode.rewriting import Statement
from gradcheck._usercode.scope import innermost_loop
from gradcheck.report.evidence import Label

#: what a gradient that turns right counts, in values that turn right
GRADIENT = 3
#: what a value counts that was right and is no longer: a true repair makes nothing wrong
LOSS = 20
MOST_FAULTS = 24
#: values that one statement serves in turn, such as gates
MOST_IN_TURN = 4
#: how much may be tried: values that the backward computes, summed over its runs
MOST_WORK = 1_500_000


@dataclass
class Fault:
    """A statement that gives the wrong value: what it should give by (site, execution), and what it gave."""

    statement: Statement
    expected: dict[tuple[int, int], Array]
    given: dict[tuple[int, int], Array]
    label: Label
    #: what it gave, if that has a name
    gave: Label | None = None
    #: the derivatives that the statement was computed from: text and what it is
    inputs: dict[str, Label] = field(default_factory=dict)
    blocks: tuple[str, ...] = ()
    #: statements that it was computed from whose values are no derivatives, and those that handed it its inputs
    through: list[Statement] = field(default_factory=list)
    #: what explains as much
    rivals: list[Fault] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Given over expected, where that is one number."""
        given = np.concatenate([np.ravel(self.given[key]) for key in self.expected])
        expected = np.concatenate([np.ravel(self.expected[key]) for key in self.expected])
        length = float(np.sum(expected * expected))
        if not length:
            return None
        ratio = float(np.sum(given * expected)) / length
        close = np.max(np.abs(given - ratio * expected)) <= 1e-6 * np.max(np.abs(expected))
        return ratio if close and given.size > 1 else None


def faults(trace: Trace) -> list[Fault]:
    """Statements at fault, in the order in which they were found: what comes first in the data flow first."""
    return _Search(trace).faults()


def hidden(trace: Trace, fault: Fault, overrides: Overrides) -> Iterator[Fault]:
    """What may be wrong besides in what a faulty statement reads, which its own right value hides."""
    search = _Search(trace)
    judgement = search.judgement(overrides)
    for site in search.behind(judgement, fault, overrides):
        events = [event for event in judgement.recording.events if event.site == site]
        for series in search.fitting([event.value for event in events], thorough=False):
            yield search.fault(judgement, site, events, series)


def further(trace: Trace, fault: Fault, overrides: Overrides) -> Iterator[Fault]:
    """Earlier statements that would explain a fault."""
    search = _Search(trace)
    without = {key: value for key, value in overrides.items() if key not in fault.expected}
    return search.further(search.judgement(without), fault, without)


class _Search:
    def __init__(self, trace: Trace) -> None:
        self.target, self.base, self.program = trace.target, trace.base, trace.program
        self.library, self.forward, self.names = trace.library, trace.forward, tuple(trace.slopes)
        self.judgement, self.wrong = trace.judgement, trace.wrong
        self.trace = trace
        self.work = 0
        #: whether a value that turns right in part counts as well
        self.finely = False
        self._by_size: dict[tuple[tuple[int, ...], int], list[tuple[bool, Series]]] = {}

    @property
    def exhausted(self) -> bool:
        """Whether enough has been tried."""
        return self.work > MOST_WORK

    def faults(self) -> list[Fault]:
        overrides: dict[tuple[int, int], Array] = {}
        found: list[Fault] = []
        while len(found) < MOST_FAULTS and not self.exhausted:
            judgement = self.judgement(overrides)
            wrong = self.wrong(judgement.recording.gradients)
            if not found and not wrong:
                break
            fault = self._best(judgement, overrides, wrong)
            if fault is None:
                break
            found.append(fault)
            overrides |= fault.expected
        return self._merged([fault for fault in self._with_blocks(found, overrides) if fault.blocks])

    # -- the search ------------------------------------------------------------------------------------------------

    def _best(self, judgement: Judgement, overrides: Overrides, wrong: tuple[str, ...]) -> Fault | None:
        """The first site in the data flow, and what it should give, that make more of what follows right."""
        around = candidates(judgement, self.program.sites, wrong, self.forward)
        # without wrong gradients, what is left may be hidden by an override, or harmless
        suspects = [site for site in around.suspects if wrong or site in around.tainted]
        handed_on = [
            site for site in suspects if site not in around.tainted and self.program.sites[site].kind == "bind"
        ]
        suspects = [site for site in suspects if site not in handed_on]
        aliases = around.aliases if wrong else []
        groups = [
            [(site, False) for site in [*(around.zeros if wrong else []), *suspects]],
            [(site, site in around.tainted) for site in aliases] + [(site, True) for site in suspects],
            [(site, thorough) for site in around.feeders for thorough in (False, True)],
            [(site, False) for site in handed_on],  # values of the forward, which should not be derivatives
        ]
        for self.finely in (False, True) if wrong else (False,):
            for group in groups:
                fault = self._first_of(group, around, judgement, overrides, wrong)
                if fault is not None:
                    return fault
        return None

    def _first_of(
        self,
        group: list[tuple[int, bool]],
        around: Around,
        judgement: Judgement,
        overrides: Overrides,
        wrong: tuple[str, ...],
    ) -> Fault | None:
        """The first site that explains more than one value, or else the first that explains any."""
        little: tuple[Fault, float, list[int]] | None = None
        for site, thorough in group:
            fault, gain = self._best_at(site, judgement, overrides, wrong, thorough)
            behind = around.sources.get(site, [])
            if fault is not None and gain > 1:
                return self._deepest(fault, gain, behind, judgement, overrides, wrong)
            if fault is not None and little is None:
                little = fault, gain, behind
            if thorough and site in around.tainted and fault is None:
                fault = self._exchanged(behind, judgement, overrides, wrong)
                if fault is not None:
                    return fault
        return self._deepest(*little, judgement, overrides, wrong) if little else None

    def _deepest(
        self,
        fault: Fault,
        gain: float,
        behind: list[int],
        judgement: Judgement,
        overrides: Overrides,
        wrong: tuple[str, ...],
    ) -> Fault:
        """The earliest site that explains the fault as well; those on the way to it are its rivals."""
        while True:
            deeper, more = self._source(fault, gain, behind, judgement, overrides, wrong)
            if deeper is None:
                return fault
            deeper.rivals.append(fault)
            fault, gain = deeper, more
            behind = sources(judgement, self.program.sites, self.forward, next(iter(fault.expected))[0])

    def _exchanged(
        self, behind: list[int], judgement: Judgement, overrides: Overrides, wrong: tuple[str, ...]
    ) -> Fault | None:
        """Two values of one statement that came in each other's place, though neither alone makes anything right."""
        sites, events = self.program.sites, judgement.recording.events
        aliases: dict[int, list[Event]] = {}
        together = {id(sites[site].statement) for site in behind}
        for event in events:
            site = sites[event.site]
            usable = event.same and site.is_statement_value and id(site.statement) in together
            if usable and (event.site, event.execution) not in overrides:
                aliases.setdefault(event.site, []).append(event)
        best: tuple[float, Fault] | None = None
        for a, b in combinations(aliases, 2):
            if sites[a].statement is not sites[b].statement or not {a, b} & set(behind):
                continue
            for one in self._starting_with(aliases[a], aliases[b][0].value):
                for other in self._starting_with(aliases[b], aliases[a][0].value):
                    expected = _by_execution(a, aliases[a], one) | _by_execution(b, aliases[b], other)
                    gain, _ = self._gain(judgement, {**overrides, **expected}, set(expected), wrong)
                    plain = not isinstance(sites[a].statement.node, ast.FunctionDef)
                    if 2 * gain + plain > (best[0] if best else 1):
                        fault = self.fault(judgement, a, aliases[a], one)
                        fault.expected |= _by_execution(b, aliases[b], other)
                        fault.given |= {(b, event.execution): event.value for event in aliases[b]}
                        fault.label = fault.label.beside(other.label)
                        best = 2 * gain + plain, fault
        return best[1] if best else None

    def _starting_with(self, events: list[Event], first: Array) -> list[Series]:
        """Series for these events whose first value is the given one."""
        values = [event.value for event in events]
        fitting = [*self.fitting(values, thorough=False), *self.fitting(values, thorough=True)]
        found = [series for series in fitting if self.library.equal(series.values[0], first)]
        return found[:6]

    def _best_at(
        self, site: int, judgement: Judgement, overrides: Overrides, wrong: tuple[str, ...], thorough: bool
    ) -> tuple[Fault | None, float]:
        """What the site should give, and how much more is right then."""
        events = [event for event in judgement.recording.events if event.site == site]
        if any((site, event.execution) in overrides for event in events):
            return None, 0
        best = self._best_of(site, events, judgement, overrides, wrong, thorough)
        if (thorough or best[0] is not None) and self._serves_several(site, judgement):
            in_turn = self._in_turn(site, events, judgement, overrides, wrong)
            best = in_turn if in_turn[1] > best[1] else best
        return best

    def _best_of(
        self,
        site: int,
        events: list[Event],
        judgement: Judgement,
        overrides: Overrides,
        wrong: tuple[str, ...],
        thorough: bool,
    ) -> tuple[Fault | None, float]:
        best: tuple[float, Series] | None = None
        # What is right at some executions is left as it is there, as long as something can be found so.
        settled = [k for k, event in enumerate(events) if judgement.right(event.index)]
        values = [event.value for event in events]
        likely = list(self.fitting(values, thorough=False))
        agreeing = [one for one in likely if all(self.library.equal(one.values[k], values[k]) for k in settled)]
        chosen = agreeing
        if thorough:
            chosen = [one for one in likely if all(one is not other for other in agreeing)]
            chosen += self.fitting(values, thorough=True)
        for series in chosen:
            if self.exhausted:
                break
            expected = _by_execution(site, events, series)
            gain, _ = self._gain(judgement, {**overrides, **expected}, set(expected), wrong)
            if gain > (best[0] if best else 0):
                best = gain, series
        return (self.fault(judgement, site, events, best[1]), best[0]) if best else (None, 0)

    def _serves_several(self, site: int, judgement: Judgement) -> bool:
        """Whether a statement seems to run several times in each time step: in a loop over gates, or in a helper."""
        statement = self.program.sites[site].statement
        loop = innermost_loop(self.program.sources[statement.file], statement.line)
        if loop is not None:
            return not any(word in loop for word in ("range(", "reversed(", "[::-1]"))
        counts = Counter(event.site for event in judgement.recording.events)
        others = {count for count in counts.values() if count > 1}
        return any(counts[site] == times * other for times in range(2, MOST_IN_TURN + 1) for other in others)

    def _in_turn(
        self, site: int, events: list[Event], judgement: Judgement, overrides: Overrides, wrong: tuple[str, ...]
    ) -> tuple[Fault | None, float]:
        """The same of a statement that serves several values in turn, as in a loop over the gates."""
        best: tuple[Fault | None, float] = None, 0
        for count in range(2, MOST_IN_TURN + 1):
            if len(events) % count:
                continue
            found = []
            for first in range(count):
                for unlikely in (False, True):
                    fault, _ = self._best_of(site, events[first::count], judgement, overrides, wrong, unlikely)
                    if fault is not None:
                        found.append(fault)
                        break
            if len(found) < 2:
                continue
            for other in found[1:]:
                found[0].expected |= other.expected
                found[0].given |= other.given
                found[0].label = found[0].label.beside(other.label)
            expected = found[0].expected
            gain, _ = self._gain(judgement, {**overrides, **expected}, set(expected), wrong)
            if gain > best[1]:
                best = found[0], gain
        return best

    def _source(
        self,
        fault: Fault,
        gain: float,
        behind: list[int],
        judgement: Judgement,
        overrides: Overrides,
        wrong: tuple[str, ...],
    ) -> tuple[Fault | None, float]:
        """An earlier site that explains the fault as well: a derivative of another thing than what it is used for."""
        found: tuple[float, Fault] | None = None
        for more, other, alias in self._explaining(fault, behind, judgement, overrides, wrong):
            if more > gain and (found is None or more > found[0] or (alias and more == found[0])):
                found = more, other
            elif more == gain and not alias:
                fault.rivals.append(other)
        return (found[1], found[0]) if found else (None, 0)

    def _explaining(
        self, fault: Fault, behind: list[int], judgement: Judgement, overrides: Overrides, wrong: tuple[str, ...]
    ) -> Iterator[tuple[float, Fault, bool]]:
        """Faults of earlier sites that make the same right: how much more that is, and whether it is only an alias."""
        for site in behind:
            if self.program.sites[site].statement is fault.statement:
                continue
            events = [event for event in judgement.recording.events if event.site == site]
            if any((site, event.execution) in overrides for event in events):
                continue
            if self.program.sites[site].kind == "bind" and not any(judgement.tainted[event.index] for event in events):
                continue  # a value of the forward that is taken from a cache: it should not be a derivative
            for series in self.fitting([event.value for event in events], thorough=False):
                if self.exhausted:
                    return
                expected = _by_execution(site, events, series)
                more, seen = self._gain(judgement, {**overrides, **expected}, set(expected), wrong)
                if all(
                    key in seen.values and self.library.equal(seen.values[key], value)
                    for key, value in fault.expected.items()
                ):
                    yield more, self.fault(judgement, site, events, series), all(event.same for event in events)

    def further(self, judgement: Judgement, fault: Fault, overrides: Overrides) -> Iterator[Fault]:
        """What a faulty value came through, statement by statement, as far back as that explains the fault."""
        wrong = self.wrong(judgement.recording.gradients)
        seen = {id(fault.statement)}
        for other in self._handed_on(judgement, fault):
            if id(other.statement) not in seen:
                seen.add(id(other.statement))
                yield other
        waiting = [fault, *fault.rivals]
        while waiting:
            one = waiting.pop(0)
            behind = sources(judgement, self.program.sites, self.forward, next(iter(one.expected))[0])
            for gain, other, _ in self._explaining(one, behind, judgement, overrides, wrong):
                if gain > 0 and id(other.statement) not in seen:
                    seen.add(id(other.statement))
                    waiting.append(other)
                    yield other

    def _handed_on(self, judgement: Judgement, fault: Fault) -> Iterator[Fault]:
        """Later statements that hand on what a faulty one gives: what is missing may be missing there."""
        events, sites = judgement.recording.events, self.program.sites
        expected = {
            event.index: fault.expected[event.site, event.execution]
            for event in events
            if (event.site, event.execution) in fault.expected
        }
        later: dict[int, dict[tuple[int, int], int]] = {}
        for event in events:
            if event.same and event.inputs and event.inputs[0] in expected:
                expected[event.index] = expected[event.inputs[0]]
                if sites[event.site].is_statement_value and sites[event.site].kind == "load":
                    later.setdefault(event.site, {})[event.site, event.execution] = event.index
        for site, keys in later.items():
            values = {key: expected[index] for key, index in keys.items()}
            given = {key: events[index].value for key, index in keys.items()}
            yield Fault(sites[site].statement, values, given, fault.label, inputs=self._inputs(judgement, site))

    def fault(self, judgement: Judgement, site: int, events: list[Event], series: Series) -> Fault:
        given = {(site, event.execution): event.value for event in events}
        expected = _by_execution(site, events, series)
        statement = self.program.sites[site].statement
        match = judgement.matches[events[0].index]
        gave = match.label if match is not None and match.partial else None
        fault = Fault(statement, expected, given, series.label, gave, self._inputs(judgement, site))
        fault.through = self._through(judgement, [event.index for event in events], statement)
        return fault

    def _gain(
        self, judgement: Judgement, overrides: Overrides, own: set[tuple[int, int]], wrong: tuple[str, ...]
    ) -> tuple[float, PartialRun]:
        """How much more is right with the overrides, the overridden values themselves not counted; and what came."""
        events = judgement.recording.events
        before = {
            (events[i].site, events[i].execution): (events[i].value, judgement.right(i))
            for i, judged in enumerate(judgement.judged)
            if judged
        }
        self.work += self.trace.passed
        try:
            seen = run_with_overrides(self.target, self.base, self.program, overrides, {site for site, _ in before})
        except TargetError:
            return 0, PartialRun()
        gain: float = GRADIENT * (len(wrong) - len(self.wrong(seen.gradients)))
        changed: list[tuple[Array, bool]] = []
        for key, (value, right) in before.items():
            if key in own:
                continue
            now = seen.values.get(key)
            if now is None:
                gain -= LOSS * right
            elif now.shape != value.shape or not np.array_equal(now, value):
                changed.append((now, right))
        matches = self.library.match_all([now for now, _ in changed])
        for (_, right), match in zip(changed, matches, strict=True):
            is_right = match is not None and match.exact
            # a value that is put together from others is no evidence for what they are
            gain += is_right and not right and not (match is not None and match.parts)
            gain -= LOSS * (right and not is_right)
        return gain + (self._in_part(before, seen) if self.finely else 0), seen

    def _in_part(self, before: dict[tuple[int, int], tuple[Array, bool]], seen: PartialRun) -> float:
        """How much more of what was not right stands as it does in a derivative."""
        more = 0.0
        for key, (value, right) in before.items():
            now = seen.values.get(key)
            if not right and now is not None and now.size > 1 and not np.array_equal(now, value):
                more += self.library.share(now) - self.library.share(value)
        return more

    def fitting(self, values: list[Array], thorough: bool) -> Iterator[Series]:
        """Series of derivatives of the shapes of these values, one for each execution."""
        shape, count = values[-1].shape, len(values)
        if any(value.shape != shape for value in values):
            return
        key = (shape, count)
        if key not in self._by_size:
            self._by_size[key] = list(self._all_fitting(shape, count))
        for unlikely, series in self._by_size[key]:
            if unlikely == thorough and not all(
                self.library.equal(value, other) for value, other in zip(values, series.values, strict=True)
            ):
                yield series

    def _all_fitting(self, shape: tuple[int, ...], count: int) -> Iterator[tuple[bool, Series]]:
        seen: set[bytes] = set()
        ordered = [one for series in self.library.series for one in aligned(series, count)]
        for unlikely, series in sorted(ordered, key=lambda one: one[0]):
            arrays = [fitted for value in series.values if (fitted := shaped(value, shape)) is not None]
            if len(arrays) < count:
                continue
            largest = max(float(np.max(np.abs(value))) for value in arrays)
            if largest <= 10 * self.library.absolute:
                continue
            key = np.round(np.array(arrays) / largest, 6).tobytes() + repr(round(np.log(largest), 5)).encode()
            if key not in seen:
                seen.add(key)
                yield unlikely, Series(series.label, tuple(arrays))

    # -- what is said of it ----------------------------------------------------------------------------------------

    def _inputs(self, judgement: Judgement, site: int) -> dict[str, Label]:
        """The derivatives that the statement reads, and what each is."""
        sites = self.program.sites
        statement = sites[site].statement
        result: dict[str, Label] = {}
        for i, event in enumerate(judgement.recording.events):
            match = judgement.matches[i]
            one = sites[event.site]
            if one.statement is statement and one.kind == "load" and match is not None and match.factor == 1.0:
                result.setdefault(one.text, match.label)
        return result

    def behind(self, judgement: Judgement, fault: Fault, overrides: Overrides) -> list[int]:
        """The sites of wrong values that a faulty statement reads, the nearest first."""
        events, sites = judgement.recording.events, self.program.sites
        found: dict[int, None] = {}
        seen: set[int] = set()
        waiting = [
            j
            for event in events
            if sites[event.site].statement is fault.statement and sites[event.site].kind == "load"
            for j in event.inputs
        ]
        while waiting:
            i = waiting.pop(0)
            if i in seen or judgement.right(i) or (events[i].site, events[i].execution) in overrides:
                continue
            seen.add(i)
            site = sites[events[i].site]
            if judgement.judged[i] and judgement.tainted[i] and site.number not in self.forward:
                found.setdefault(site.number)
            else:
                waiting += events[i].inputs
        return list(found)

    def _through(self, judgement: Judgement, starts: list[int], statement: Statement) -> list[Statement]:
        """The statements behind these events, back to the right ones; the nearest first."""
        events, sites = judgement.recording.events, self.program.sites
        found: list[Statement] = []
        seen: set[int] = set()
        waiting = [j for i in starts for j in events[i].inputs]
        while waiting:
            i = waiting.pop(0)
            if i in seen:
                continue
            seen.add(i)
            site = sites[events[i].site]
            other = site.statement
            if (
                other is not statement
                and other not in found
                and site.is_statement_value
                and site.number not in self.forward
            ):
                found.append(other)
            if not (judgement.judged[i] and judgement.right(i) and not events[i].same):
                waiting += events[i].inputs
        return found

    def _with_blocks(self, found: list[Fault], overrides: Overrides) -> list[Fault]:
        """Each with the wrong gradients that it flows into; without those that nothing depends on after all."""
        plain = self.judgement({})
        wrong = self.wrong(plain.recording.gradients)
        reached = {name: _sites(plain.recording, name) for name in wrong}
        right = self.judgement(overrides)
        result = []
        for fault in found:
            own = {site for site, _ in fault.expected}
            others = {key: value for key, value in overrides.items() if key not in fault.expected}
            gain, seen = self._gain(right, others, set(fault.expected), self.wrong(right.recording.gradients))
            if gain < 0:
                without = self.wrong(seen.gradients)
                fault.blocks = tuple(name for name in wrong if own & reached[name] or name in without) or wrong
                result.append(fault)
        return result

    def _merged(self, found: list[Fault]) -> list[Fault]:
        """One fault for each statement."""
        result: list[Fault] = []
        for fault in found:
            same = next((one for one in result if one.statement is fault.statement), None)
            if same is None:
                result.append(fault)
                continue
            same.expected |= fault.expected
            same.given |= fault.given
            same.blocks = tuple(name for name in self.names if name in {*same.blocks, *fault.blocks})
            same.label = same.label.beside(fault.label)
        return result


def _sites(recording: Recording, name: str) -> set[int]:
    """The sites of everything that a gradient was computed from."""
    return {recording.events[i].site for i in behind(recording, recording.sinks.get(name))}


def _by_execution(site: int, events: list[Event], series: Series) -> dict[tuple[int, int], Array]:
    return {
        (site, event.execution): value.reshape(event.value.shape)
        for event, value in zip(events, series.values, strict=True)
    }
