"""The backward's source with the derivatives beside it, by perturbation: where the tape cannot follow the code."""

from __future__ import annotations

from dataclasses import replace

from gradcheck._common.errors import TargetError
from gradcheck._common.turns import in_turn
from gradcheck._targets.factory import TargetFactory, sizes_to_trace
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck._tracing.dataflow import Judgement
from gradcheck._tracing.trace import Trace

#: the column at which derivatives are written
COLUMN = 72


@in_turn
def annotate_backward(subject: Target | TargetFactory, seed: int) -> str:
    """The annotated source.

    Raises:
        TargetError: If the target cannot be run, or no source is at hand.
    """
    target = subject
    if isinstance(subject, TargetFactory):
        try:
            target = subject.build(seed, next(sizes_to_trace(subject)))
        except TargetError:
            target = subject.build(seed, subject.sizes)
    assert isinstance(target, Target)
    with opened(target, seed), Trace(target) as trace:
        judgement = trace.judgement({})
        return _annotated(trace, judgement)


def _annotated(trace: Trace, judgement: Judgement) -> str:
    said: dict[tuple[str, int], list[str]] = {}
    sites = trace.program.sites
    functions: dict[tuple[str, str], list[int]] = {}
    for i, event in enumerate(judgement.recording.events):
        site = sites[event.site]
        if not judgement.judged[i] or site.number in trace.forward:
            continue
        statement = site.statement
        place = statement.file, statement.node.end_lineno or statement.line
        functions.setdefault((statement.file, statement.function), []).append(place[1])
        match = judgement.matches[i]
        if match is None or site.kind == "bind":
            continue
        labels = replace(match.label, factor=match.factor).without_execution().each()
        words = " | ".join(str(replace(label, sum_of="")) for label in labels)
        lines = said.setdefault(place, [])
        if words not in lines:
            lines.append(words)
    parts = []
    for (file, function), numbers in functions.items():
        source = trace.program.sources[file].lines
        parts.append(f"{file}, {function}")
        for number in range(min(numbers), max(numbers) + 1):
            words = " | ".join(said.get((file, number), [])[:3])
            parts.append(f"{number:5} {source[number - 1]:<{COLUMN}} {words}".rstrip())
        parts.append("")
    return "\n".join(parts)
