"""Clips of the finished gradients: what they take away is nobody's fault, and hides whose fault the rest is.

A backward often ends with a clip of each gradient, or of all of them to a norm. The other faults are looked for in the
code without it; the clip itself is told and left where it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

import numpy as np

from gradcheck._common.arrays import Sizes
from gradcheck._mending import removals
from gradcheck._repair.found import Mended
from gradcheck._repair.no_line import why_not_looked_for
from gradcheck._repair.points import Point
from gradcheck._tape import CLIPS, MOVES, Node, Statement, TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._tape.sweep import ancestors
from gradcheck._targets.factory import TargetFactory, target_of
from gradcheck._targets.target import Target
from gradcheck.report.codes import FindingCode

_SCALES = frozenset({"multiply", "divide"})


def mend_of_final_clip(run: TapedRun, others: Sequence[Point]) -> Mended | None:
    """The edit after which gradients are returned as they were before a clip; None where there is none."""
    again = [partial(_taped_without_clips, one) for one in others]
    for statement, before in _clipped(run).items():
        found = removals(_expecting(run, before), statement, again)
        if found:
            return Mended(statement, tuple(sorted(before)), None, found[0], code=FindingCode.CLIPS_FINISHED)
    return None


def statements_of_final_clips(subject: Target | TargetFactory, seed: int, sizes: Sizes) -> dict[str, Statement]:
    """By gradient: the statement that clips it at these sizes; empty where the tape cannot follow."""
    if why_not_looked_for(subject, seed, sizes):
        return {}
    run = Point(lambda: target_of(subject, seed, sizes), seed).run_or_none()
    clipped = {} if run is None else _clipped(run)
    return {name: statement for statement, before in clipped.items() for name in before}


def _clipped(run: TapedRun) -> dict[Statement, dict[str, Array]]:
    """By the statement that clips: the gradients as they were before."""
    result: dict[Statement, dict[str, Array]] = {}
    for name, sink in run.sinks.items():
        node = None if sink is None else _last_calculated(sink)
        if node is None or node.place is None or run.is_forward(node):
            continue
        before = _before_clip(node)
        if before is not None and before.shape == node.shape and np.any(before.value != node.value):
            shape = run.gradients[name].shape
            result.setdefault(node.place.statement, {})[name] = np.array(before.value, float).reshape(shape)
    return result


def _last_calculated(node: Node) -> Node | None:
    """The value that was handed on to become this one; None where it was put together from several."""
    while node.op in MOVES:
        if len(node.inputs) != 1:
            return None
        node = node.inputs[0]
    return node


def _before_clip(node: Node) -> Node | None:
    """What a clip took: entries that were cut off, or all of an array by a factor that was calculated from it."""
    if node.op in CLIPS and node.inputs:
        return node.inputs[0]
    if node.op in _SCALES and len(node.inputs) == 2:
        for whole, factor in (node.inputs, node.inputs[::-1]):
            if factor.size == 1 and whole.size > 1 and whole.index in ancestors(factor):
                return whole
    return None


@contextmanager
def _taped_without_clips(point: Point) -> Iterator[TapedRun]:
    with point.taped() as run:
        before = {name: value for of_one in _clipped(run).values() for name, value in of_one.items()}
        yield _expecting(run, before)


def _expecting(run: TapedRun, gradients: Mapping[str, Array]) -> TapedRun:
    """The same run, of which these gradients are expected, and the others as they are."""
    return run.expecting({**run.gradients, **gradients})
