"""The baseline: the same code gives the same file, and each thing that becomes less is told."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from gradcheck.report.baseline import (
    BaselineError,
    Entries,
    count_right,
    describe_comparison,
    entry_of,
    losses,
    merged,
    news,
    read_baseline,
    write_baseline,
)
from gradcheck.report.records import Block, Law
from gradcheck.report.report import Report
from tests.gradcheck.report.sample_reports import EVERY_VERDICT

REPORT = Report(
    "lstm",
    "right",
    {"W": Block("W", (2,), "right", 0.0, 1e-14, 5.04e-13), "b": Block("b", (2,), "right", 0.0, 1e-14, 2e-12)},
    {"purity": Law("purity", True, ""), "scale": Law("scale", True, "")},
    scheme="complex step",
)


def entries(report: Report = REPORT, test: str = "a.py::lstm") -> Entries:
    """What is kept of one test."""
    return {test: {report.name: entry_of(report)}}


def without(name: str) -> Report:
    """The report without a gradient."""
    return replace(REPORT, blocks={key: block for key, block in REPORT.blocks.items() if key != name})


def with_block(**changes: object) -> Report:
    """The report with another gradient of W."""
    return replace(REPORT, blocks={**REPORT.blocks, "W": replace(REPORT.blocks["W"], **changes)})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (without("W"), "the gradient of W was right, and is gone"),
        (with_block(verdict="wrong"), "the gradient of W was right, and is wrong"),
        (with_block(verdict="vacuous"), "the gradient of W was right, and is vacuous"),
        (with_block(verdict="inconclusive"), "the gradient of W was right, and is inconclusive"),
        (with_block(sensitivity=5.2e-12), "the gradient of W: errors of 5.0e-13 were seen, now 5.2e-12"),
        (with_block(sensitivity=None), "the gradient of W: errors of 5.0e-13 were seen, nothing is promised now"),
        (with_block(sensitivity=float("inf")), "errors of 5.0e-13 were seen, nothing is promised now"),
        (replace(REPORT, laws={"purity": REPORT.laws["purity"]}), "law scale held, and is now broken or not asked"),
        (replace(REPORT, laws={}), "laws purity, scale held, and are now broken or not asked"),
        (
            replace(REPORT, laws={**REPORT.laws, "scale": Law("scale", False, "a clip")}),
            "law scale held, and is now broken or not asked",
        ),
        (
            replace(REPORT, laws={**REPORT.laws, "scale": Law.untested("scale", "no weight is larger")}),
            "law scale held, and is now broken or not asked",
        ),
        (replace(REPORT, scheme="Richardson"), "complex steps fell back to Richardson differences"),
        (replace(REPORT, scheme=""), "complex steps fell back to no differences"),
    ],
)
def test_each_loss_is_told(now: Report, said: str) -> None:
    """A gradient would stop being verified and CI stay green."""
    (found,) = losses(entries(), entries(now), is_complete=True)
    assert found.startswith("a.py::lstm: ")
    assert said in found


@pytest.mark.parametrize(
    "now",
    [
        REPORT,
        with_block(sensitivity=5e-12),
        with_block(sensitivity=1e-15),
        replace(REPORT, seed=3, evaluations=9, seconds=2.0),
        replace(REPORT, blocks={**REPORT.blocks, "U": Block("U", (1,), "wrong")}),
        replace(REPORT, laws={**REPORT.laws, "linearity": Law("linearity", False, "")}),
    ],
)
def test_nothing_else_is_a_loss(now: Report) -> None:
    """A run on another machine, or a check that sees more, would fail."""
    assert losses(entries(), entries(now), is_complete=True) == []


def test_differences_that_always_were_are_no_loss() -> None:
    """Code that never took complex numbers would fail from the first comparison on."""
    real = replace(REPORT, scheme="Richardson")
    assert losses(entries(real), entries(real), is_complete=True) == []
    assert losses(entries(real), entries(REPORT), is_complete=True) == []


def test_a_check_that_is_gone_is_a_loss() -> None:
    """Deleting a test would make a red run green; running one test alone would be red."""
    (found,) = losses(entries(), {}, is_complete=True)
    assert found == "a.py::lstm: is no longer checked; right before: W, b"
    assert losses(entries(), {}, is_complete=False) == []
    assert losses(entries(), {"a.py::lstm": {}}, is_complete=False) == [found]


def test_what_was_wrong_is_not_protected() -> None:
    """A gradient that is known to be wrong would have to stay wrong."""
    was = entries(with_block(verdict="wrong"))
    assert losses(was, entries(without("W")), is_complete=True) == []


@pytest.mark.parametrize("report", EVERY_VERDICT, ids=lambda one: one.name)
def test_the_file_is_read_as_it_was_written(report: Report) -> None:
    """What is compared would not be what was saved."""
    kept = {**entries(report), **entries(REPORT, 'b.py::"x"')}
    text = write_baseline(kept)
    assert read_baseline(text) == kept
    assert write_baseline(read_baseline(text)) == text
    assert json.loads(text)["schema"] == "gradcheck.baseline"
    assert read_baseline(write_baseline({})) == {}


def test_a_diff_of_the_file_is_of_what_changed() -> None:
    """A change of one gradient would rewrite the file, and nobody could review it."""
    before, after = (write_baseline(entries(one)).splitlines() for one in (REPORT, with_block(verdict="wrong")))
    assert len(before) == len(after)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def broken(change: Callable[[dict[str, object]], object]) -> str:
    """A file with something changed in it."""
    data = copy.deepcopy(json.loads(write_baseline(entries())))
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no JSON"),
        ("[]", 'expected "schema": "gradcheck.baseline"'),
        (broken(lambda data: data.update(version=2)), "version 2: this gradcheck reads version 1"),
        (broken(lambda data: data.update(tests=3)), 'expected "tests"'),
        (broken(lambda data: data.update(tests={"a": 3})), 'expected "tests"'),
        (broken(lambda data: data.update(tests={"a": {"b": {"scheme": "", "laws": [], "gradients": {"W": 1}}}})),
         'expected "tests"'),
    ],
)  # fmt: skip
def test_what_is_no_baseline_is_refused(text: str, why: str) -> None:
    """A run would fail with a traceback, or compare with nothing and be green."""
    with pytest.raises(BaselineError, match=why):
        read_baseline(text)


def test_it_is_said_how_to_accept_a_change() -> None:
    """Whoever meant the change would not know how to go on."""
    kept, now = entries(), entries(without("W"))
    lines = describe_comparison(losses(kept, now, is_complete=True), kept, now, "base.json", is_complete=True)
    assert lines == [
        "1 thing is worse than in base.json:",
        "- a.py::lstm: the gradient of W was right, and is gone",
        "mend what is lost; or accept it with pytest --gradcheck --gradcheck-save=base.json, and commit the file",
    ]


def test_what_is_new_and_what_was_left_out_is_told() -> None:
    """New gradients would never be protected; a run of one test would look like one of all."""
    kept, now = entries(), entries(REPORT, "b.py::gru")
    lines = describe_comparison([], kept, now, "base.json", is_complete=False)
    assert lines[0] == "nothing is worse than in base.json: 2 right gradients of 1 check"
    assert lines[1] == "1 of its 1 tests were not part of this run"
    assert lines[2].startswith("2 right gradients are not in it yet: keep them with")
    assert news(kept, kept) == 0


def test_a_run_of_some_tests_keeps_the_others() -> None:
    """Saving after one test would throw the others away."""
    kept, now = entries(), entries(REPORT, "b.py::gru")
    assert set(merged(kept, now, is_complete=False)) == {"a.py::lstm", "b.py::gru"}
    assert set(merged(kept, now, is_complete=True)) == {"b.py::gru"}
    assert count_right(kept) == (2, 1)
