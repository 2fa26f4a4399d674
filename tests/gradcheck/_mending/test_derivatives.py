"""Edits after which a statement gives a derivative, told from its own values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from gradcheck._localising.ground import Ground
from gradcheck._localising.spoiling import spoiling
from gradcheck._mending.derivatives import EditsToDerivatives, Look
from gradcheck._tape import TapedRun
from gradcheck._usercode.source import Edit
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import cell, taped


def look(run: TapedRun, line: int | None = None) -> Look:
    """The first statement that spoils, or that at a line."""
    one = next(one for one in spoiling(run) if line in (None, one.statement.line))
    known = run.once(Ground).standings.full

    def lookup(value):
        found = [run.nodes[k] for k in known.find_all(value) if k < len(run.nodes)] if np.any(value) else []
        return [node for node in found if node.index not in one.sources]

    return Look(
        run,
        one.statement,
        one.executions,
        one.idle,
        one.kept,
        is_known=lambda value: bool(lookup(value)),
        lookup=lookup,
        parts=lambda _: [],
        shares=lambda _: [],
        near=run.nodes[: run.boundary],
    )


def texts(found: list[tuple[Edit, ...]]) -> list[str]:
    """What is written."""
    return [edits[0].text for edits in found]


def test_the_step_that_is_meant_is_found(tmp_path: Path) -> None:
    """Two faults on one way would go without edits, since no gradient is right with one of them."""
    bugs = [("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), ("do = o * (1 - o) * do", "do = o * do")]
    run, others = taped(cell(tmp_path, *bugs, source=LISTS))
    search = EditsToDerivatives(look(run))
    with others[0].taped() as other:
        search.keep(look(other, spoiling(run)[0].statement.line))
    assert any("t + 1" in text for text in texts(search.nearest))


def test_what_holds_at_one_size_only_is_not_kept(tmp_path: Path) -> None:
    """A number that happens to be the right step would be offered for the step."""
    run, others = taped(cell(tmp_path, ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), source=LISTS))
    search = EditsToDerivatives(look(run))
    with others[0].taped() as other:
        search.keep(look(other))
    assert search.nearest
    assert not any(text.isdigit() for text in texts(search.nearest))


def test_a_slope_is_written_out(tmp_path: Path) -> None:
    """A derivative of an activation would only be found where it stands elsewhere already."""
    run, others = taped(cell(tmp_path, ("di = i * (1 - i) * di", "di = sigmoid(i) * di"), source=LISTS))
    search = EditsToDerivatives(look(run))
    with others[0].taped() as other:
        search.keep(look(other))
    assert any("1 - i" in text for text in texts(search.nearest))


def test_what_is_right_at_other_steps_stays(tmp_path: Path) -> None:
    """An edit would be taken that gives a derivative at one step and spoils those of the others."""
    old = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)"
    new = "dc += dh * o * (1 - np.tanh(cs[max(t + 1, 2)]) ** 2)"
    run, _ = taped(cell(tmp_path, (old, new), source=LISTS))
    found = look(run)
    assert found.kept
    assert not any("cs[1]" in text or text == "1" for text in texts(EditsToDerivatives(found).nearest))


def test_a_mask_that_keeps_everything_is_no_edit(tmp_path: Path) -> None:
    """A slope that should not be there would be turned into a comparison that happens to hold."""
    run, _ = taped(cell(tmp_path, ("dg *= 1 - g ** 2", "dg *= (1 - g ** 2) ** 2"), source=LISTS))
    search = EditsToDerivatives(look(run))
    assert search
    assert not any("> 0" in text for text in texts(search.nearest))


def test_what_only_makes_a_term_zero_is_no_edit(tmp_path: Path) -> None:
    """A term too much would be told as a square that should be a zeroth power."""
    old = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2)"
    new = "dc += dh * o * (1 - np.tanh(cs[t + 1]) ** 2) + dh * (1 - np.tanh(cs[t + 1]) ** 2)"
    run, _ = taped(cell(tmp_path, (old, new), source=LISTS))
    found = texts(EditsToDerivatives(look(run)).nearest)
    assert found
    assert not any("** 0" in text or text == "0" for text in found)


def test_another_derivative_at_hand_is_not_handed_on(tmp_path: Path) -> None:
    """All that a line calculates would be thrown away for a name that holds a derivative of something else."""
    bug = ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])")
    run, _ = taped(cell(tmp_path, bug, source=LISTS))
    names = {"dh", "dc", "dg", "di", "dh_next", "dc_next"}
    assert not names & set(texts(EditsToDerivatives(look(run)).nearest))


def test_what_is_wanted_in_another_shape_is_given_up(tmp_path: Path) -> None:
    """One part of a stack, where the whole is written at once, would end the search with an error."""
    run, _ = taped(cell(tmp_path, ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), source=LISTS))
    found = look(run)
    wanted = [(run.nodes[0], np.ones((2, 7))) for _ in found.executions]
    assert not EditsToDerivatives(replace(found, wanted=wanted, lookup=lambda _: []))
