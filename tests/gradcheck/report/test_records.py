"""The report as data: builtins all the way down, the same for the same seed, ready to travel."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from gradcheck import Block, Finding, Law, Report, Target, Trial, Worst, check
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Mistake
from tests.gradcheck import networks
from tests.gradcheck.networks import Rnn, factory, sine, vjp_target

BUILTINS = {dict, list, str, int, float, bool, type(None)}


def kinked() -> Target:
    """A target at a kink: inconclusive."""
    w = np.zeros(2)
    return Target({"w": w}, lambda: np.abs(w).sum(), lambda: {"w": np.ones(2)})


def outside() -> Target:
    """A target at the edge of its domain: error bars are infinite."""
    w = np.zeros(2)
    return Target({"w": w}, lambda: float(np.sqrt(w).sum()), lambda: {"w": np.ones(2)})


def misshapen() -> Target:
    """A target with a NaN, a missing and an extra gradient."""
    params = {"a": np.ones(2), "b": np.ones(2)}
    return Target(params, lambda: params["a"].sum(), lambda: {"a": np.array([1, np.nan]), "c": 1})


REPORTS: dict[str, Any] = {
    "right": lambda: factory(),
    "wrong": lambda: factory(Rnn, "no carry"),
    "common factor": lambda: factory(Rnn, "mean over T, and sign"),
    "float32": lambda: factory(Rnn, "one entry", dtype=np.float32),
    "clip": lambda: factory(Rnn, "clip"),
    "vjp": lambda: vjp_target("clip"),
    "scalar": lambda: sine(np.array(0.5), slope=lambda w: 2 * np.cos(w)),
    "vacuous": lambda: Target({"w": np.zeros((0, 2))}, lambda: 1.0, lambda: {"w": np.zeros((0, 2))}),
    "kinked": kinked,
    "outside": outside,
    "misshapen": misshapen,
    "pinned": lambda: factory().with_sizes(T=np.int32(2)),
}


@cache
def report_of(name: str, *, full: bool = False) -> Report:
    """The report on one of them, once for all tests that look at it."""
    return check(REPORTS[name](), full=full, seed=5)


def leaves(value: Any) -> list[Any]:
    """Every value in a nest of dicts and lists, and every key."""
    if isinstance(value, dict):
        return [value, *value, *(leaf for part in value.values() for leaf in leaves(part))]
    if isinstance(value, (list, tuple)):
        return [value, *(leaf for part in value for leaf in leaves(part))]
    return [value]


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_builtins_all_the_way_down(name: str, full: bool) -> None:
    """A NumPy scalar would end a run under xdist with "no tests ran" and exit status 0."""
    report = report_of(name, full=full)
    assert {type(leaf) for leaf in leaves(report.to_dict())} <= BUILTINS
    assert all(type(key) is str for key in leaves(report.to_dict()) if isinstance(key, str))
    loaded = json.loads(report.to_json())
    assert list(loaded) == list(report.to_dict())
    assert "NaN" not in report.to_json()
    assert "Infinity" not in report.to_json()


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("name", REPORTS)
def test_the_same_seed_gives_the_same_report(name: str, full: bool) -> None:
    """A failure in CI could not be repeated."""
    first, again = report_of(name, full=full), check(REPORTS[name](), full=full, seed=5)
    assert replace(first, seconds=0.0).to_json() == replace(again, seconds=0.0).to_json()
    assert str(replace(first, seconds=0.0)) == str(replace(again, seconds=0.0))


def test_another_seed_looks_elsewhere() -> None:
    """Every seed would ask along the same directions."""
    first, other = (check(factory(), seed=seed) for seed in (0, 1))
    assert (first.seed, other.seed) == (0, 1)
    assert first.blocks["W"].error != other.blocks["W"].error


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_travels(name: str) -> None:
    """A report could not come back from another process."""
    report = report_of(name)
    again = pickle.loads(pickle.dumps(report))
    assert again.to_json() == report.to_json()
    assert str(again) == str(report)


@pytest.mark.parametrize("name", REPORTS)
def test_a_check_of_a_target_does_not_depend_on_the_one_before(name: str) -> None:
    """A second check of the same object would find something else."""
    subject = REPORTS[name]()
    assert replace(check(subject), seconds=0.0).to_json() == replace(check(subject), seconds=0.0).to_json()


@pytest.mark.parametrize(
    ("verdict", "ok", "status"),
    [("right", True, 0), ("wrong", False, 1), ("inconclusive", False, 3), ("vacuous", False, 3)],
)
def test_the_exit_status_follows_the_verdict(verdict: Any, ok: bool, status: int) -> None:
    """CI would pass what is not right, or not tell wrong from undecided."""
    report = Report("r", verdict, {}, {})
    assert (report.ok, report.exit_status, report.to_dict()["ok"]) == (ok, status, ok)


def test_everything_found_is_in_the_data() -> None:
    """Something that the text says would be missing in JSON."""
    block = Block(
        "W", (2, 3), "wrong", 0.5, 1e-9, 1e-8, Worst((1, 2), 2.0, 1.0), "why", 3.0, "right except at row 1 of 2"
    )
    report = Report(
        "model",
        "wrong",
        {"W": block},
        {"purity": Law("purity", False, "changed")},
        (Finding(FindingCode.WRONG_SIGN, ("W",), (Mistake(),), "model.py", 3, 5, 9, "f", "dW = -dW"),),
        {"T": 2},
        {"T": 1},
        (Trial({"T": 2}, "wrong", ("W",), "said"),),
        "complex step",
        seconds=0.25,
    )
    data = json.loads(report.to_json(indent=None))
    assert data["blocks"]["W"] == {
        "name": "W",
        "shape": [2, 3],
        "verdict": "wrong",
        "error": 0.5,
        "error_bar": 1e-9,
        "sensitivity": 1e-8,
        "worst": {"index": [1, 2], "analytic": 2.0, "numerical": 1.0},
        "message": "why",
        "factor": 3.0,
        "where": "right except at row 1 of 2",
    }
    assert data["laws"]["purity"] == {
        "name": "purity",
        "holds": False,
        "message": "changed",
        "breach": "wrong",
        "tested": True,
    }
    assert (data["schema"], data["version"]) == ("gradcheck.report", 1)
    assert data["findings"] == [
        {
            "code": "wrong-sign",
            "kind": "gradient",
            "headline": "the sign is wrong",
            "message": "the sign is wrong (in f); this makes the gradient of W wrong",
            "blocks": ["W"],
            "evidence": [{"kind": "mistake", "subject": "", "other": "", "called": "", "is_extra": False}],
            "file": "model.py",
            "line": 3,
            "column": 5,
            "end_column": 9,
            "function": "f",
            "statement": "dW = -dW",
            "expected": None,
            "given": None,
            "symptom": None,
            "fix": None,
        }
    ]
    assert data["trials"] == [{"sizes": {"T": 2}, "verdict": "wrong", "wrong": ["W"], "message": "said"}]
    assert (data["smallest"], data["sizes"], data["seconds"], data["ok"]) == ({"T": 1}, {"T": 2}, 0.25, False)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_json_does_not_know_are_null(value: float) -> None:
    """The JSON of an inconclusive block could not be read by anything but Python."""
    report = Report("r", "inconclusive", {"w": Block("w", (1,), "inconclusive", value, value, value)}, {})
    assert json.loads(report.to_json())["blocks"]["w"]["error"] is None


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_reads_as_text(name: str) -> None:
    """A report would be an object without words, or leave out what is wrong."""
    report = report_of(name)
    text = str(report)
    assert report.name in text
    assert report.verdict in text
    assert all(block in text for block in report.blocks)


def test_a_block_names_its_shape() -> None:
    """Blocks would come in another order than the parameters, or under another shape."""
    report = check(networks.right_rnn)
    assert {name: block.shape for name, block in report.blocks.items()} == {
        "h0": (1, 9),
        "W": (2, 9),
        "U": (9, 9),
        "b": (9,),
        "V": (9, 2),
    }
    assert all(name == block.name for name, block in report.blocks.items())
