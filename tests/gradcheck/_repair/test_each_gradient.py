"""Several faults: each wrong gradient by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising import localise
from gradcheck._localising.spoiling import spoiling
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.each_gradient import (
    hands_on,
    mends_of_several,
    spoil_only,
    suspects_of_each,
    takes_each_alone,
    without_forward,
)
from gradcheck._repair.wrong_values import wrong_gradients
from gradcheck._tape import tape_target
from gradcheck._targets.target import Target
from tests.gradcheck._repair.eight import EIGHT, NAMES
from tests.gradcheck._repair.flat import FLAT
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, looked_for, taped
from tests.gradcheck._tape.programs import module


def test_eight_faults_are_told_one_by_one(tmp_path: Path) -> None:
    """Where all gradients are wrong, each for a reason of its own, none would be mended, or the return be accused."""
    bugs = [(f"d{name} += dy", f"d{name} = dy") for name in NAMES]
    found = find_by_tape(cell(tmp_path, *bugs, source=EIGHT), 0, {"T": 4, "H": 3}, set(NAMES))
    assert found is not None
    assert found.still_wrong == ()
    told = {fault.gradients: fault.statement.line for fault in found.faults}
    assert told == {(name,): line_of(f"d{name} += dy", EIGHT) for name in NAMES}
    assert len(found.faults) == 8
    assert all([edit.text.strip() for edit in fault.edits] == ["+="] for fault in found.faults)


def test_each_gradient_has_suspects_of_its_own(tmp_path: Path) -> None:
    """The statement that returns all gradients, or the forward, would be accused of what spoils one of them."""
    factory = cell(tmp_path, ("carry = self.W.T @ da", "carry = self.W @ da"))
    run, others = taped(factory)
    second = others[-1].run()
    found = suspects_of_each(run, {"W", "U"}, second)
    lines = {name: {one.line for one in suspects} for name, suspects in found.items()}
    assert {name: line_of("carry = self.W.T") in of_one for name, of_one in lines.items()} == {"W": True, "U": True}
    backward = range(line_of("def backward"), line_of('return {"W"'))
    assert all(line in backward for of_one in lines.values() for line in of_one)
    everything = localise(run, ["U", "W"], second=second, only=["U"]).alone
    apart = {one.line for one in everything} - lines["U"]
    assert {line_of('return {"W"'), line_of("self.x, self.h = ")} <= apart
    left = without_forward(run, localise(run, ["U", "W"], second=second, only=["U"])).alone
    assert line_of("self.x, self.h = ") not in [one.line for one in left]
    assert any(hands_on(one) and one.line == line_of('return {"W"') for one in everything)


def test_each_of_several_is_mended_by_an_edit_of_its_own(tmp_path: Path) -> None:
    """One fault would claim what another one spoils, or a statement be edited whose gradients are right already."""
    run, others = taped(cell(tmp_path, *[(f"d{name} += dy", f"d{name} = dy") for name in "bd"], source=EIGHT))
    suspects = suspects_of_each(run, {"b", "d"}, others[-1].run())
    found = mends_of_several(run, suspects, [point.taped for point in others])
    assert [(one.statement.line, one.gradients) for one in found] == [
        (line_of("db += dy", EIGHT), ("b",)),
        (line_of("dd += dy", EIGHT), ("d",)),
    ]


BOTH = """
import numpy as np

def both(p):
    kept = p["w"] * p["v"]
    y = np.sin(kept)
    dw = SIGN * np.cos(kept) * p["v"] * y
    dv = np.cos(kept) * p["w"] * y
    return 0.5 * np.sum(y ** 2), {"w": dw, "v": dv}
"""


@pytest.mark.parametrize("sign", ["-", "0.5 *"])
def test_a_function_that_returns_both_can_be_at_fault_where_the_loss_does_not_depend_on_it(
    tmp_path: Path, sign: str
) -> None:
    """The gradients of a function that returns the loss as well would count as forward, and nobody be at fault."""
    made = module(tmp_path, BOTH.replace("SIGN *", sign))
    values = {"w": np.array([0.3, -0.7]), "v": np.array([1.1, 0.4])}
    target = Target.from_function(made.both, values)
    run = tape_target(target, target.values())
    found = localise(run, ["w"])
    kept = without_forward(run, found)
    assert 7 in [one.line for one in kept.alone]
    assert not {5, 6} & {one.line for one in kept.suspects}


def test_a_loop_that_leaves_a_step_out_is_mended_beside_other_faults(tmp_path: Path) -> None:
    """Where each gradient has a fault of its own as well, the loop would not be looked at."""
    bugs = [("for t in range(len(self.x), 0, -1):", "for t in range(len(self.x), 1, -1):")]
    bugs.append(("dW += np.outer(da, self.h[t - 1])", "dW += np.outer(np.sort(da), self.h[t - 1])"))
    found = find_by_tape(cell(tmp_path, *bugs), 0, {"T": 4, "D": 2, "H": 3}, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    assert {one.statement.line for one in found.faults} == {line_of(right) for right, _ in bugs}


def test_what_takes_each_gradient_by_itself_is_no_suspect(tmp_path: Path) -> None:
    """Other values of it make anything right; the time would be spent on edits of a line that only hands on."""
    source = HEAD.replace(
        'return {"W": dW, "U": dU}',
        'return {name: 1.0 * one for name, one in {"W": dW, "U": dU}.items()}',
    )
    wrong = {"W", "U"}
    run, others = taped(cell(tmp_path, ("carry = self.W.T @ da", "carry = self.W @ da"), source=source))
    alone = localise(run, sorted(wrong), second=others[-1].run()).alone
    told = {one.line: takes_each_alone(run, one, wrong) for one in alone}
    assert told[line_of("return {name", source)]
    assert not told[line_of("carry = self.W.T", source)]


def test_a_factor_of_all_gradients_may_be_where_each_is_taken(tmp_path: Path) -> None:
    """A mean for a sum at the end would have no line."""
    source = HEAD.replace(
        'return {"W": dW, "U": dU}',
        'return {name: 0.5 * one for name, one in {"W": dW, "U": dU}.items()}',
    )
    run, others = taped(cell(tmp_path, source=source))
    alone = localise(run, ["U", "W"], second=others[-1].run()).alone
    assert not any(takes_each_alone(run, one, {"W", "U"}) for one in alone)


#: two faults on the way to all gradients but one, in a vector that holds all of them
OF_ONE_VECTOR = (
    ("dz = (dh + carry) * (1 - hs[t + 1] ** 2)", "dz = dh + carry"),
    ('carry = dz * p["u"]', 'carry = dh * p["u"]'),
)


def test_beside_a_right_gradient_in_the_same_vector_what_spoils_is_told(tmp_path: Path) -> None:
    """Whoever hands all gradients to an optimiser as one vector would get no line as soon as one of them is right."""
    run, _ = taped(cell(tmp_path, *OF_ONE_VECTOR, source=FLAT))
    assert wrong_gradients(run) == {"u", "w"}
    lines = [one.statement.line for one in spoil_only(run, run.once(spoiling), {"u", "w"})]
    assert line_of(OF_ONE_VECTOR[1][0], FLAT) in lines
    assert line_of("db += dh", FLAT) not in lines


@pytest.mark.lines
def test_beside_a_right_gradient_in_the_same_vector_what_spoils_is_mended(tmp_path: Path) -> None:
    """No gradient is right with one of the two edits, so that they would not be found."""
    factory = cell(tmp_path, *OF_ONE_VECTOR, source=FLAT)
    found = looked_for(factory)
    assert found.still_wrong == ()
    assert {one.line for one in found.faults} == {line_of(old, FLAT) for old, _ in OF_ONE_VECTOR}
