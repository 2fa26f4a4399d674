"""What of a check is not the user's own code, and what each law costs: parts of `checks.py`."""

from __future__ import annotations

import argparse
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import trials
from peers import turn
from tables import markdown

import gradcheck
from gradcheck import Target
from gradcheck._laws.choice import EVERY
from gradcheck._targets.problems import InPlaceProblem

#: (symbols, hidden units) of about 500, 6800, 1e5 and 1e6 parameters
SIZES = {500: (5, 8), 6800: (16, 32), 100_000: (62, 124), 1_000_000: (196, 392)}
#: what is timed: losses asked for, or None where nobody counts
Check = Callable[[], int | None]
ROUNDS = 15


def checked(target: Target, **options: Any) -> Check:
    """A check of a right target."""

    def check() -> int:
        report = gradcheck.check(target, explain=False, **options)
        assert report.ok, str(report)
        return report.evaluations

    return check


def own(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds of a default check in the target's functions, and out of them; memory beside the target's."""
    rows = []
    for parameters in options.parameters:
        for way in trials.WAYS:
            target, other = (trials.lstm(0, way, *SIZES[parameters]) for _ in range(2))
            bytes_of_one = sum(array.nbytes for array in target.values().values())
            # of another one: what it keeps of complex parameters would have to be put back by the check
            alone = _peak(lambda other=other, way=way: _asked_once(other, way))  # type: ignore[misc]
            beside = (_peak(checked(target)) - alone) / bytes_of_one
            spent, whole, inside = _timed(target), [], []
            for _ in range(ROUNDS):
                spent[0] = 0.0
                whole.append(turn(checked(target), 1))
                inside.append(spent[0])
            outside = [(a - b) / b for a, b in zip(whole, inside, strict=True)]
            figures = {"whole": statistics.median(whole), "own": statistics.median(outside), "copies": beside}
            rows.append({"parameters": parameters, "way": way, **figures})
    print("\nown: a default check; its own time beside the target's; its memory beside the target's, in copies of P")
    cells = [
        [str(r["parameters"]), r["way"], f"{1e3 * r['whole']:.1f}", f"{100 * r['own']:.0f}%", f"{r['copies']:.1f}"]
        for r in rows
    ]
    print(markdown(["parameters", "way", "whole, ms", "own / target's", "copies"], cells))
    return rows


def laws(options: argparse.Namespace) -> list[dict[str, Any]]:
    """What each law costs: a check without it beside the whole one, and one without any."""
    rows = []
    for parameters in options.parameters:
        target = trials.lstm(0, trials.WAYS[0], *SIZES[parameters])
        chosen = {"all": EVERY, "none": frozenset[str](), **{f"no {name}": EVERY - {name} for name in LEFT_OUT}}
        reports: dict[str, list[Any]] = {name: [] for name in chosen}
        for _ in range(ROUNDS):
            for name, asked in chosen.items():
                reports[name].append(gradcheck.check(target, laws=asked, explain=False))
        for name, found in reports.items():
            ratios = [one.seconds / whole.seconds for one, whole in zip(found, reports["all"], strict=True)]
            figures = {"losses": found[0].evaluations, "ratio": statistics.median(ratios)}
            rows.append({"parameters": parameters, "laws": name, **figures})
    print("\nlaws: losses, and the time of the whole check")
    print(markdown(["parameters", "laws", "losses", "/ all"], [[str(v) for v in _rounded(r)] for r in rows]))
    return rows


def _rounded(row: dict[str, Any]) -> list[Any]:
    return [*list(row.values())[:-1], f"{row['ratio']:.2f}"]


#: what an LSTM on tokens can do without
LEFT_OUT = ("independence", "scale", "elsewhere")


def _peak(run: Callable[[], object]) -> int:
    run()
    tracemalloc.start()
    run()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def _asked_once(target: Target, way: str) -> None:
    """A loss and its gradients; where it takes complex parameters, a loss of them as well."""
    problem = target.problem
    assert isinstance(problem, InPlaceProblem)
    problem.loss()
    problem.grads()
    if way == trials.WAYS[0]:
        target.loss_at({name: array.astype(complex) for name, array in problem.arrays().items()})


def _timed(target: Target) -> list[float]:
    """Count the seconds in its loss and its gradients."""
    spent = [0.0]  # a number, which a check does not put back as it does what a target reaches

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                spent[0] += time.perf_counter() - started

        return call

    problem = target.problem
    assert isinstance(problem, InPlaceProblem)
    problem.loss, problem.grads = timed(problem.loss), timed(problem.grads)
    return spent
