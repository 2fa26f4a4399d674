"""The verb: run a target on the tape, and write beside each line of its backward what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager

import numpy as np

from gradcheck._annotating.error_maps import maps_of
from gradcheck._annotating.faults import Faults
from gradcheck._autodiff.explain import library_of
from gradcheck._checking.check import check
from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._common.turns import in_turn
from gradcheck._localising.ground import Ground
from gradcheck._localising.holding import Words, given_by_statement, values_of
from gradcheck._localising.labels import Labels
from gradcheck._mending.residual import agree, wrong_names
from gradcheck._repair.points import Point
from gradcheck._tape import Node, Statement, TapedRun, TapeTooLargeError
from gradcheck._tape.belief import why_not_believed, why_not_followed
from gradcheck._targets.factory import TargetFactory, sizes_to_trace
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._usercode.foreign import foreign_calls
from gradcheck.report.records import Finding
from gradcheck.report.trace_records import Trace, TracedFunction, TracedLine


def annotate_backward(subject: Target | TargetFactory, seed: int) -> str:
    """The annotated source.

    Raises:
        TargetError: If the target cannot be run, or the tape cannot follow it or is not to be believed.
    """
    return str(trace(subject, seed))


@in_turn
def trace(subject: Target | TargetFactory, seed: int, known: Sequence[Finding] | None = None) -> Trace:
    """What each line of the backward holds; `known` is what a check has found, if there was one.

    Raises:
        TargetError: If the target cannot be run, or the tape cannot follow it or is not to be believed.
    """
    try:
        with _taped(subject, seed) as run:
            why = why_not_believed(run)
            if why:
                raise TargetError(f"no derivatives can be shown: {_why_unseen(subject, seed) or why}")
            factor = common_factor(run)
            if factor == 1.0 and not _wrong(run):
                return _annotated(run, (), subject, seed)
        findings = check(subject, seed=seed).findings if known is None else known
        with _taped(subject, seed, factor) as run:
            return _annotated(run, findings, subject, seed)
    except TapeTooLargeError as error:
        raise TargetError("no derivatives can be shown: the code computes too much to be followed") from error


def _why_unseen(subject: Target | TargetFactory, seed: int) -> str:
    """That the code calculates where no tape can follow it, and what to do instead; empty if it does not."""
    target = _built(subject, seed)
    library = library_of(target)
    if library:
        return f"the tape follows NumPy, and this code calculates in {library}; gradcheck check names the wrong line"
    with opened(target, seed):
        calls = foreign_calls(lambda: target.grads_at(target.values()))
    if calls:
        return f"the tape follows NumPy, and this code calls {calls[0].name}; trace the same written in NumPy"
    return ""


def _taped(subject: Target | TargetFactory, seed: int, factor: float = 1.0) -> AbstractContextManager[TapedRun]:
    return Point(lambda: _built(subject, seed), seed, factor=factor).taped()


def _built(subject: Target | TargetFactory, seed: int) -> Target:
    if isinstance(subject, Target):
        return subject
    try:
        return subject.build(seed, next(sizes_to_trace(subject)))
    except TargetError:
        return subject.build(seed, subject.sizes)


def common_factor(run: TapedRun) -> float:
    """A number that two gradients or more are too large by; 1 if there is none."""
    found: Counter[float] = Counter()
    for name, true in run.true_gradients.items():
        given = run.gradients.get(name)
        if given is not None and given.shape == true.shape and np.any(true):
            factor = float(np.sum(given * true) / np.sum(true * true))
            if factor and agree(given, factor * true):
                found[float(f"{factor:.8g}")] += 1
    (factor, count), *_ = [*found.most_common(1), (1.0, 0)]
    return factor if count > 1 else 1.0


def _wrong(run: TapedRun) -> list[str]:
    """The gradients that are not the true ones."""
    wrong = wrong_names(run.gradients, run.true_gradients)
    return [name for name in run.true_gradients if name in wrong]


def _annotated(run: TapedRun, findings: Sequence[Finding], subject: Target | TargetFactory, seed: int) -> Trace:
    standings = run.once(Ground).standings
    labels = Labels(run, standings)
    words = Words(run, labels, standings)
    wrong = _wrong(run)
    faults = Faults(run, wrong, labels, findings)
    said: dict[Statement, list[str]] = {}
    for statement, places in given_by_statement(run).items():
        if not any(standings.carries[node.index] for given in places for node in values_of(given)):
            continue
        found = list(dict.fromkeys(text for given in places if (text := words.of(given))))
        said[statement] = found or _following(faults, statement, [n for given in places for n in values_of(given)])
    for statement, text in faults.words.items():
        said[statement] = [text]
    notes = []
    if why := why_not_followed(run):
        notes.append(f"not all is shown: {why}")
    if run.multiple != 1.0:
        notes.append(
            f"several gradients are {run.multiple:.6g} times the true ones: L is that multiple of the loss here"
        )
    if wrong:
        notes.append(_summary(wrong, faults))
    gates, sizes = _layout(subject, seed)
    return Trace(
        _pages(said), tuple(notes), maps_of(run.gradients, run.true_gradients, wrong, gates, sizes), dict(sizes)
    )


def _layout(subject: Target | TargetFactory, seed: int) -> tuple[Sequence[str], Sizes]:
    """The gates, and the sizes by which an axis may be known."""
    if isinstance(subject, Target):
        return subject.gates, {}
    sizes = next(sizes_to_trace(subject))
    return _built(subject, seed).gates, sizes


def _following(faults: Faults, statement: Statement, nodes: list[Node]) -> list[str]:
    """That a statement is wrong only because of another."""
    first = faults.first
    if first is None or statement in faults.words or not any(one.index in faults.after for one in nodes):
        return []
    return [f"(no derivative, because of line {first.line})"]


def _pages(said: dict[Statement, list[str]]) -> tuple[TracedFunction, ...]:
    """The source of each function that holds derivatives."""
    functions: dict[tuple[str, str], list[Statement]] = {}
    for statement in said:
        functions.setdefault((statement.file, statement.function), []).append(statement)
    return tuple(
        TracedFunction(file, function, tuple(_lines(statements, said)))
        for (file, function), statements in functions.items()
    )


def _lines(statements: list[Statement], said: dict[Statement, list[str]]) -> Iterator[TracedLine]:
    source = statements[0].source
    beside = {one.end_line: said[one] for one in statements}
    for number in range(min(one.line for one in statements), max(one.end_line for one in statements) + 1):
        code = source.lines[number - 1].decode(errors="replace").rstrip("\r\n")
        words = " | ".join(beside.get(number, [])[:3])
        yield TracedLine(number, code, words, words.startswith("✗"))


def _summary(wrong: list[str], faults: Faults) -> str:
    lines = sorted({one.line for one in faults.words})
    if not lines:
        return f"wrong: {', '.join(wrong)}; no single line explains it: see gradcheck check\n"
    where = f"line {lines[0]}" if len(lines) == 1 else f"lines {', '.join(map(str, lines))}"
    return f"wrong: {', '.join(wrong)}; marked ✗: {where}\n"
