"""Whether a factor that some gradients have is theirs alone, or that of all: what else is wrong hides it in the others.

A backward whose loss is a mean and whose gradients are a sum has the factor in every derivative that it calculates.
Where one layer is averaged once too often, the derivatives that lead there are right as they are.
"""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck._common.arrays import Sizes
from gradcheck._common.errors import TargetError
from gradcheck._localising.ground import Ground
from gradcheck._localising.standing import Standing, origin
from gradcheck._repair.points import points_of
from gradcheck._tape import MOVES, Node, TapedRun
from gradcheck._tape.belief import is_believed
from gradcheck._targets.factory import TargetFactory


def is_factor_of_some(subject: TargetFactory, seed: int, sizes: Sizes) -> bool:
    """Whether derivatives of what the forward calculates come about in the backward as they are, without a factor.

    No where the tape cannot be believed.
    """
    try:
        with next(points_of(subject, seed, sizes))[0].taped() as run:
            return is_believed(run) and any(_whole_derivatives(run))
    except TargetError:
        pass
    return False


def _whole_derivatives(run: TapedRun) -> Iterator[Node]:
    """Values that the backward calculates and that are dL/d(something), other than a parameter."""
    standings = run.once(Ground).standings
    parameters = {leaf.index for leaf in run.leaves.values()}
    for node in run.backward:
        if node.op not in MOVES and node.size > 1 and standings.of(node) is Standing.FULL:
            source = standings.source(node)
            if source is not None and origin(source).index not in parameters:
                yield node
