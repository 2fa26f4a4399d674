"""Several faults on one way to the gradients: each is edited until what it gives is a derivative."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising.spoiling import Spoiling
from gradcheck._mending import Mend
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.forward import taped_at
from gradcheck._repair.found import EditedCode, Found, Mended
from gradcheck._repair.points import Point, points_of
from gradcheck._repair.wrong_values import faults_by_values, mend_by_values, spoilers, wrong_gradients
from gradcheck._tape import TapedRun
from gradcheck._usercode.source import Edit, Source
from tests.gradcheck._repair.lists import LISTS, NAMES, SIZES, SPOILED
from tests.gradcheck._repair.spoiled import cell, line_of


@pytest.fixture(scope="module")
def spoiled(tmp_path_factory: pytest.TempPathFactory):
    """What is found in the LSTM with all of its mistakes."""
    folder = tmp_path_factory.mktemp("lists")
    return find_by_tape(cell(folder, *SPOILED, source=LISTS), 0, SIZES, NAMES)


def test_each_of_eight_faults_is_named(spoiled) -> None:
    """Where several faults stand between, no edit of one makes a gradient right, and none would be found."""
    assert spoiled is not None
    assert sorted(fault.statement.line for fault in spoiled.faults) == sorted(
        line_of(right, LISTS) for right, _ in SPOILED
    )
    assert all(fault.edits for fault in spoiled.faults)


def test_all_gradients_are_right_with_all_edits(spoiled, tmp_path: Path) -> None:
    """Edits after which values look right would be left in the code, whether the gradients are or not."""
    assert spoiled.still_wrong == ()
    (source,) = (one for one in spoiled.sources.values() if one.file.endswith("cell.py"))
    (tmp_path / "right.py").write_text(source.edited(spoiled.edits[source.file]))
    right = cell(tmp_path, source=(tmp_path / "right.py").read_text()).build(1, {"T": 3, "D": 2, "H": 2})
    values = right.values()
    gradients = right.grads_at(values)
    for name, given in gradients.items():
        step = np.random.default_rng(0).standard_normal(given.shape)
        ends = [right.loss_at({**values, name: values[name] + sign * 1e-6 * step}) for sign in (1, -1)]
        assert np.isclose(np.sum(given * step), (ends[0] - ends[1]) / 2e-6, rtol=1e-6)


def test_what_makes_no_gradient_right_is_not_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits on trust would be written into the file where they led nowhere."""
    factory = cell(tmp_path, *SPOILED[1:3], ("dc_next = (1 - i) * dc", "dc_next = np.sort(dc, axis=0)"), source=LISTS)
    monkeypatch.setattr("gradcheck._repair.wrong_values.MOST_ROUNDS", 1)
    found = find_by_tape(factory, 0, SIZES, NAMES)
    assert found is not None
    right = NAMES - set(found.still_wrong)
    in_code = [edit for edits in found.edits.values() for edit in edits]
    for fault in found.faults:
        if fault.edits and not set(fault.gradients) & right:
            assert fault.is_trusted
            assert not set(map(str, fault.edits)) & set(map(str, in_code))


def test_right_code_is_left_as_it_is(tmp_path: Path) -> None:
    """Right statements whose values happen to be no derivative would be edited."""
    found = find_by_tape(cell(tmp_path, source=LISTS), 0, SIZES, NAMES)
    assert found is None


def test_wrong_gradients_are_told_by_name(tmp_path: Path) -> None:
    """A gradient that is right would count as wrong, or the other way round."""
    from tests.gradcheck._repair.spoiled import taped

    run, _ = taped(cell(tmp_path, ('d["bo"] += do', 'd["bo"] += 2 * do'), source=LISTS))
    assert wrong_gradients(run) == {"bo"}


def test_edits_that_do_not_run_together_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One edit that reads what is not there yet would lose all that was found before it."""
    factory = cell(tmp_path, *SPOILED[1:3], source=LISTS)
    line = line_of(SPOILED[1][0], LISTS)

    def unrunnable(_run, wrong, *_):
        edit = Edit((line, 8), (line, 10), "do = never_bound; do")
        return [[(edit,)] if one.statement.line == line else [] for one in wrong]

    monkeypatch.setattr("gradcheck._repair.wrong_values.edits_to_derivatives", unrunnable)
    points = next(points_of(factory, 0, SIZES))
    found = Found(still_wrong=tuple(sorted(NAMES)))
    _begin(found, points[0])
    asked = found, lambda trial: _taped(trial, points[0]), points[1:]
    first = faults_by_values(*asked)
    assert [one.line or one.statement.line for one in first] == [line]
    assert not mend_by_values(*asked, first)
    assert found.faults == []
    assert not any(found.edits.values())


@pytest.mark.parametrize(("idle", "spoil"), [(1, [True]), (2, [False, False])])
def test_who_only_gives_zero_is_asked_where_there_is_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle: int, spoil: list[bool]
) -> None:
    """Right statements whose values may be zero would be edited beside who spoils something, or a wrong one never."""
    asked: list[list[bool]] = []

    def with_idle(run: TapedRun, wrong: set[str]) -> list[Spoiling]:
        found = [one for one in spoilers(run, wrong) if one.executions][:2]
        return [replace(one, executions=(), idle=one.executions) for one in found[:idle]] + found[idle:]

    def ask(_run, wrong, *_):
        asked.append([bool(one.executions) for one in wrong])
        return [[] for _ in wrong]

    monkeypatch.setattr("gradcheck._repair.wrong_values.spoilers", with_idle)
    monkeypatch.setattr("gradcheck._repair.wrong_values.edits_to_derivatives", ask)
    bugs = ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), ("dg *= 1 - g ** 2", "dg *= 1 - i ** 2")
    points = next(points_of(cell(tmp_path, *bugs, source=LISTS), 0, SIZES))
    found = Found(still_wrong=tuple(sorted(NAMES)))
    _begin(found, points[0])
    faults_by_values(found, lambda trial: _taped(trial, points[0]), points[1:])
    assert asked[0] == spoil


def test_an_edit_after_which_more_is_wrong_is_taken_back(tmp_path: Path) -> None:
    """Right lines would be edited, since what they give is the derivative of something else then."""
    factory = cell(tmp_path, ('d["bo"] += do', 'd["bo"] += 2 * do'), source=LISTS)
    points = next(points_of(factory, 0, SIZES))
    found = Found(still_wrong=("bo",))
    _begin(found, points[0])
    line = line_of(SPOILED[1][0], LISTS)
    (file,) = (one for one in found.sources if one.endswith("cell.py"))
    statement = taped_at(points[0].run(), file, line)
    assert statement is not None
    assert statement.text.startswith("do = ")
    mend = Mend(file, (Edit((line, 8), (line, 13), "do = 3 * "),), statement, (), (), "")
    fault = Mended(statement, ("bo",), None, mend, is_by_value=True)
    assert not mend_by_values(found, lambda trial: _taped(trial, points[0]), points[1:], [fault])
    assert found.faults == []
    assert not any(found.edits.values())


def _begin(found: Found, point: Point) -> None:
    run = point.run()
    found.codes = list(run.program.codes)
    files = {code.co_filename for code in found.codes}
    found.sources = {file: one for file in files if (one := Source.of_running(file)) is not None}


@contextmanager
def _taped(found: Found, point: Point) -> Iterator[TapedRun]:
    with EditedCode(found, is_factory=True).in_place(), point.taped() as run:
        yield run
