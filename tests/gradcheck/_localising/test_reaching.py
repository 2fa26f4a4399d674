"""Which gradients a value goes into, of which each may be a part of one vector."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.reaching import Reaching
from gradcheck._tape import Node, TapedRun
from tests.gradcheck._repair.flat import FLAT
from tests.gradcheck._repair.spoiled import HEAD, cell, taped


def given_by(run: TapedRun, statement: str) -> list[Node]:
    """The values that a statement calculates; not the array that it writes them into."""
    nodes = (node for node in run.nodes if node.place is not None and node.place.statement.text == statement)
    return [node for node in nodes if node.op in ("add", "subtract", "multiply")]


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("db += dh", {"b"}),
        ("du += dz * hs[t]", {"u"}),
        ("dw += dz * x[t]", {"w"}),
        ("dz = (dh + carry) * (1 - hs[t + 1] ** 2)", {"u", "w"}),
        ('dh = hs[t + 1] + p["b"] - y[t]', {"b", "u", "w"}),
    ],
)
def test_of_one_vector_each_gradient_has_its_own_part(statement: str, names: set[str], tmp_path: Path) -> None:
    """Nothing would spoil one gradient alone, since whatever is written into the vector is behind all of them."""
    run, _ = taped(cell(tmp_path, source=FLAT))
    reaching = run.once(Reaching)
    nodes = given_by(run, statement)
    assert nodes
    assert reaching.reached(nodes) == names
    assert {name for name in "buw" if {node.index for node in nodes} & reaching.behind(name)} == names


def test_what_is_multiplied_by_zeros_reaches_nothing(tmp_path: Path) -> None:
    """What comes back to a state before the first step would be told to be behind gradients that it never enters."""
    run, _ = taped(cell(tmp_path))
    last = [node for node in given_by(run, "dh = self.h[t] + carry") if node.execution == 0]
    assert run.once(Reaching).reached(last) == {"U", "W"}
    unread = [node for node in run.nodes if node.place is not None and node.place.text == "self.W.T @ da"]
    assert run.once(Reaching).reached(unread[-1:]) == set()


def test_a_gradient_that_is_not_on_the_tape_has_nothing_behind_it(tmp_path: Path) -> None:
    """A gradient that is a constant would end the search with an error."""
    run, _ = taped(cell(tmp_path, ('"U": dU}', '"U": np.ones_like(dU)}'), source=HEAD))
    reaching = run.once(Reaching)
    assert not reaching.behind("nothing")
    assert reaching.reached(given_by(run, "dh = self.h[t] + carry")) == {"W"}
