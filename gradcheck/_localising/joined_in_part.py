"""What was joined to one array and is used in several ways, where the backward gives what one of these brings back.

Past states that are stacked are keys and values of an attention. Each state is used elsewhere as well, so that its
derivative is given in parts in any case: what the stack brings back to it is looked at by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.incomplete import by_place
from gradcheck._localising.lost import parameters_behind
from gradcheck._localising.spoiling import Wanted
from gradcheck._localising.standing import Joined, Known, begun
from gradcheck._localising.tape import Array, Node, Place, TapedRun


def joined_in_part(run: TapedRun, wrong: Collection[str]) -> Iterator[tuple[Place, dict[int, Wanted]]]:
    """The places that give a part of what a stack brings back, where nothing gives all of that; what belongs there."""
    joined = [one for one in run.once(Ground).standings.joined if len(one.parts) > 1]
    if not joined:
        return
    places = run.once(by_place)
    lacking, known = _given_in_part_alone(joined, [node for _, nodes in places for node in nodes]), Known()
    depending = run.once(parameters_behind)
    for number, one in lacking.items():
        for part in (*one.parts, *begun(one.parts)) if depending[one.source.index] <= set(wrong) else ():
            known.add(part, number)
    taken: set[int] = set()
    for place, nodes in places:
        found: dict[int, Wanted] = {}
        for node in nodes:
            which = next((k for k in known.find_all(_value(node)) if k not in taken), None)
            if which is not None:
                found[node.execution] = Wanted(lacking[which].node.index, lacking[which].whole)
                taken.add(which)
        if found:
            yield place, found


def _given_in_part_alone(joined: list[Joined], given: list[Node]) -> dict[int, Joined]:
    """Those of which nothing that is given is all that comes back, by their numbers."""
    whole = Known()
    for number, one in enumerate(joined):
        whole.add(one.whole, number)
    told = {number for node in given for number in whole.find_all(_value(node))}
    return {number: one for number, one in enumerate(joined) if number not in told}


def _value(node: Node) -> Array:
    return np.asarray(node.value, np.float64)
