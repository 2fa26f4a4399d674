"""How the cost of a check grows with parameters and time steps: a part of `checks.py`."""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import trials
from peers import turn
from tables import markdown

import gradcheck
from gradcheck import Target
from gradcheck._localising import localise
from gradcheck._tape import tape_target
from gradcheck._targets.opening import opened

#: what growth goes through
PARAMETERS, TIME_STEPS = tuple(10**k for k in range(2, 8)), (10, 30, 100, 300, 1000, 3000)
#: the ways whose seconds grow with the square of the size; those of the others grow with the size
SQUARE = ("full, batched",)


def growth(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Losses and time of ours, as parameters and time steps grow; each way up to where it would take too long.

    The time is told in runs of the loss with its gradients, timed beside it, so that it says as much on other machines.
    """
    print("\ngrowth: losses of one check, and in brackets its time in runs of the loss with its gradients; B = 4")
    print(f"left out where {options.limit:g} s would not be enough")
    rows = []
    shapes = [(max(H // 2, 2), H, trials.STEPS) for H in (round(math.sqrt(P / 6.5)) for P in PARAMETERS)]
    for sizes in (shapes, [(16, 32, T) for T in TIME_STEPS]):
        ways, before = growing(), 1.0
        for way in ways.values():
            way(2, 3, 2)  # the first check loads what it needs
        last = dict.fromkeys(ways, 0.0)
        for V, H, T in sizes:
            row: dict[str, Any] = {"P": 4 * H * (V + H + 1) + V * (H + 1), "T": T}
            larger, before = row["P"] * T / before, row["P"] * T
            for name, way in ways.items():
                if last[name] * larger ** (1 + (name in SQUARE)) <= options.limit:
                    losses, seconds, once = way(V, H, T)
                    row[name], last[name] = (losses, seconds / once), seconds
                else:
                    last[name] = math.inf
            rows.append(row)
    cells = [[f"{row['P']:,}", str(row["T"]), *(_pair(row.get(way)) for way in ways)] for row in rows]
    print(markdown(["P", "T", *ways], cells))
    return rows


def growing() -> dict[str, Callable[[int, int, int], tuple[int, float, float]]]:
    """What grows with symbols, hidden units and time steps: losses, seconds, those of a loss with its gradients."""
    complexly, really = trials.WAYS

    def checked(way: str, V: int, H: int, T: int, **options: Any) -> tuple[int, float, float]:
        target = trials.lstm(0, way, V, H, T, batched=options.get("full") is True)
        report = gradcheck.check(target, explain=False, **options)
        assert report.ok, str(report)
        return report.evaluations, report.seconds, once(target)

    return {
        "default": partial(checked, complexly),
        "default, real differences": partial(checked, really),
        "default, no laws": partial(checked, complexly, laws="none"),
        "full, batched": partial(checked, complexly, full=True),
        "full by tape": partial(checked, complexly, full="tape"),
        "a line": lined,
    }


def once(target: Target) -> float:
    """Seconds of a loss with its gradients, the median of a few."""
    values = target.values()
    target.grads_at(values)
    return statistics.median(turn(lambda: target.grads_at(values), 1) for _ in range(5))


def lined(D: int, H: int, T: int) -> tuple[int, float, float]:
    """The line of a planted bug in an LSTM of the tests, by the tape and the localisation alone."""
    factory = next(one.target for one in trials.gallery().KINDS if one.cell == "lstm" and one.verdicts == ("wrong",))
    with opened(factory.build(0, {**factory.sizes, "T": T, "B": trials.BATCH, "D": D, "H": H}), 0) as target:
        started = time.perf_counter()
        run = tape_target(target, target.values())
        wrong = [
            name
            for name, true in run.true_gradients.items()
            if np.max(np.abs(run.gradients[name] - true)) > 1e-6 * np.max(np.abs(true))
        ]
        assert localise(run, wrong).statements
        return 2, time.perf_counter() - started, once(target)


def _pair(found: tuple[int, float] | None) -> str:
    return f"{found[0]} ({float(f'{found[1]:.2g}'):g})" if found else "-"
