"""A cell with a normaliser: gates in one stack, a derivative through a divisor, a read-out that is a generator."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from gradcheck._mending.building import holes_of
from gradcheck._mending.residual import Residual
from gradcheck._mending.suspects import Suspect
from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.normalised import NORMALISED, SIZES
from tests.gradcheck._repair.spoiled import cell, line_of, taped

GRADIENTS = {"Wz", "Wi", "Wf", "Wo", "R", "V"}


def told(folder: Path, old: str, new: str) -> list[tuple[int | None, list[str]]]:
    """The lines that are named for a mistake, each with what its edits write; all is right with them."""
    found = find_by_tape(cell(folder, (old, new), source=NORMALISED), 0, SIZES, GRADIENTS)
    assert found is not None
    assert found.still_wrong == ()
    return [(one.line, [edit.text for edit in one.edits]) for one in found.faults]


def test_what_a_generator_yields_is_edited(tmp_path: Path) -> None:
    """A backward that is written as a coroutine would be told the line, and never how to mend it."""
    right = 'yield dout @ p["V"].T'
    assert told(tmp_path, right, right.replace("dout", "out")) == [(line_of(right, NORMALISED), ["dout"])]


def test_a_gate_in_a_stack_is_mended(tmp_path: Path) -> None:
    """Edits of the gates beside it would use up what is tried before its own turn came."""
    ((line, edits),) = told(tmp_path, "df * f * gate(-pre_f)", "df * f * gate(pre_f) * (1 - f)")
    assert line == line_of("df * f * gate", NORMALISED)
    assert len(edits) == 1


def test_what_a_helper_is_handed_is_no_innocent(tmp_path: Path) -> None:
    """The argument of the wrong call would be left alone with the gates beside it, and get no edit."""
    run, _ = taped(cell(tmp_path, ("gate(-pre_f)", "gate(pre_f)"), source=NORMALISED))
    statement = next(one for one in run.statements if one.text.startswith("dpre ="))
    hole = holes_of(Suspect(run, statement, Residual(run)))[0]
    innocent = {ast.unparse(part) for part in hole.innocent()}
    assert "dc * i * (1 - z ** 2)" in innocent
    assert not innocent & {"df * f * gate(pre_f)", "gate(pre_f)", "pre_f"}


def test_what_comes_back_through_a_divisor_is_written_where_it_is_bound(tmp_path: Path) -> None:
    """The derivative of a quotient would be missing, and each who reads it be accused."""
    ((line, edits),) = told(tmp_path, "dn = dn_next - dh * o * c / n ** 2", "dn = dn_next")
    assert line == line_of("dn = dn_next", NORMALISED)
    assert "/ n ** 2" in edits[0]


@pytest.mark.parametrize("wrong", ["(dh * o / n + dc_next) * f", "dh * (o / n + dc_next)"])
def test_a_sum_in_wrong_brackets_is_written_in_others(tmp_path: Path, wrong: str) -> None:
    """A gate that goes with one term alone, or with all of them, would be told and not mended."""
    right = "dc = dc_next + dh * o / n"
    assert told(tmp_path, right, f"dc = {wrong}")[0][0] == line_of(right, NORMALISED)
