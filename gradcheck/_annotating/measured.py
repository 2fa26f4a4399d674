"""Maps of wrong entries by differences, of code that the tape cannot follow: torch, JAX, kernels in C."""

from __future__ import annotations

import time
from collections.abc import Sequence

from gradcheck._annotating.error_maps import maps_of
from gradcheck._common.arrays import Array
from gradcheck._common.errors import TargetError
from gradcheck._common.turns import in_turn
from gradcheck._numeric.entries import difference_entries
from gradcheck._numeric.evaluator import Evaluator
from gradcheck._numeric.gradients import parse_gradients
from gradcheck._targets.factory import TargetFactory, target_of
from gradcheck._targets.opening import opened
from gradcheck._targets.target import Target
from gradcheck.report.trace_records import ErrorMap

#: a gradient of more entries is left out: each takes some evaluations of the loss
MOST_ENTRIES = 512
#: seconds after which no other gradient is begun
LIMIT = 20.0


@in_turn
def measured_maps(subject: Target | TargetFactory, seed: int, names: Sequence[str]) -> tuple[ErrorMap, ...]:
    """A map of each of these gradients that is not too large; none where the code raises."""
    started = time.monotonic()
    sizes = subject.sizes if isinstance(subject, TargetFactory) else {}
    try:
        target = target_of(subject, seed)
        with opened(target, seed):
            evaluator = Evaluator(target)
            given = parse_gradients(evaluator.raw_grads(), evaluator.base)[1]
            small = [name for name in names if name in given and given[name].size <= MOST_ENTRIES]
            true: dict[str, Array] = {}
            for name in small:
                if time.monotonic() - started < LIMIT:
                    true[name] = difference_entries(evaluator, name).values
            return maps_of(given, true, small, target.gates, sizes)
    except TargetError:
        return ()
