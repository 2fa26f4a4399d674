"""The verb: run a target on the tape, and write beside each line of its backward what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager

import numpy as np

from gradcheck._annotating.faults import Faults
from gradcheck._checking.check import check
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
from gradcheck._targets.target import Target
from gradcheck.report.records import Finding

#: the column at which derivatives are written
COLUMN = 72


@in_turn
def annotate_backward(subject: Target | TargetFactory, seed: int) -> str:
    """The annotated source.

    Raises:
        TargetError: If the target cannot be run, or the tape cannot follow it or is not to be believed.
    """
    try:
        with _taped(subject, seed) as run:
            why = why_not_believed(run)
            if why:
                raise TargetError(f"no derivatives can be shown: {why}")
            factor = common_factor(run)
            if factor == 1.0 and not _wrong(run):
                return _annotated(run, ())
        findings = check(subject, seed=seed).findings
        with _taped(subject, seed, factor) as run:
            return _annotated(run, findings)
    except TapeTooLargeError as error:
        raise TargetError("no derivatives can be shown: the code computes too much to be followed") from error


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


def _annotated(run: TapedRun, findings: Sequence[Finding]) -> str:
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
    parts = _pages(said)
    if why := why_not_followed(run):
        parts.append(f"not all is shown: {why}")
    if run.multiple != 1.0:
        parts.append(
            f"several gradients are {run.multiple:.6g} times the true ones: L is that multiple of the loss here"
        )
    if wrong:
        parts.append(_summary(wrong, faults))
    return "\n".join(parts)


def _following(faults: Faults, statement: Statement, nodes: list[Node]) -> list[str]:
    """That a statement is wrong only because of another."""
    first = faults.first
    if first is None or statement in faults.words or not any(one.index in faults.after for one in nodes):
        return []
    return [f"(no derivative, because of line {first.line})"]


def _pages(said: dict[Statement, list[str]]) -> list[str]:
    """The source of each function that holds derivatives."""
    functions: dict[tuple[str, str], list[Statement]] = {}
    for statement in said:
        functions.setdefault((statement.file, statement.function), []).append(statement)
    parts: list[str] = []
    for (file, function), statements in functions.items():
        source = statements[0].source
        beside = {one.end_line: said[one] for one in statements}
        parts.append(f"{file}, {function}")
        for number in range(min(one.line for one in statements), max(one.end_line for one in statements) + 1):
            line = source.lines[number - 1].decode(errors="replace").rstrip("\r\n")
            words = " | ".join(beside.get(number, [])[:3])
            parts.append(f"{number:5} {line:<{COLUMN}} {words}".rstrip())
        parts.append("")
    return parts


def _summary(wrong: list[str], faults: Faults) -> str:
    lines = sorted({one.line for one in faults.words})
    if not lines:
        return f"wrong: {', '.join(wrong)}; no single line explains it: see gradcheck check\n"
    where = f"line {lines[0]}" if len(lines) == 1 else f"lines {', '.join(map(str, lines))}"
    return f"wrong: {', '.join(wrong)}; marked ✗: {where}\n"
