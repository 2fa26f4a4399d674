"""What a check of an LSTM costs beside other checkers, how that grows, and what is not the user's own code.

``python benchmarks/checks.py`` prints, in three parts that can be named alone:

- peers: a default and a full check of lstm_core's character model (T = 6, B = 4), at several numbers of parameters,
  beside torch.autograd.gradcheck (of the same loss, and of torch's own LSTM), jax.test_util.check_grads, autograd's
  check_grads, scipy.optimize.check_grad and numdifftools.Gradient: losses asked for, seconds, peak memory of NumPy
  arrays. All take turns in every round; seconds are medians.
- growth: losses and seconds of ours, from 1e2 to 1e6 parameters and from 10 to 1000 time steps.
- own: the part of a check that is not spent in the target's loss and gradients.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import statistics
import time
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402  the number of threads is read when it is imported
import trials  # noqa: E402
from checkers import Wrapped, checkers, one_thread  # noqa: E402
from peers import turn  # noqa: E402
from tables import markdown  # noqa: E402

import gradcheck  # noqa: E402
from gradcheck import Target  # noqa: E402
from gradcheck._targets.problems import InPlaceProblem  # noqa: E402

#: (symbols, hidden units) of about 500, 6800, 1e5 and 1e6 parameters
SIZES = {500: (5, 8), 6800: (16, 32), 100_000: (62, 124), 1_000_000: (196, 392)}
#: beyond so many parameters nobody is asked to difference every entry; nor beyond the second by numdifftools
ENTRIES, SLOWEST = 10_000, 1_000
ROUNDS, LONG = 15, 2.0

#: what is timed: losses asked for, or None where nobody counts
Check = Callable[[], int | None]


def main() -> None:
    """Print the parts that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--parameters", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: expected some of {', '.join(PARTS)}")
    one_thread()
    found = {part: PARTS[part](options) for part in options.parts or PARTS}
    if options.json:
        options.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


# -- peers -------------------------------------------------------------------------------------------------------------


def peers(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Everyone on the same loss."""
    _, missing = checkers()
    missing += [name for name in ("scipy", "numdifftools") if importlib.util.find_spec(name) is None]
    print(f"not installed, left out: {', '.join(missing) or 'none'}")
    rows = [row for parameters in options.parameters for row in _at(parameters, SIZES[parameters])]
    print("\npeers: one check of a right LSTM")
    figures = ("losses", "seconds", "ratio", "peak")
    cells = [[str(row["parameters"]), row["checker"], *(_shown(row[what]) for what in figures)] for row in rows]
    print(markdown(["parameters", "checker", "losses", "seconds", "/ default", "peak MB"], cells))
    return rows


def _at(parameters: int, sizes: tuple[int, int]) -> list[dict[str, Any]]:
    checks = _checks(parameters, sizes)
    once = {name: turn(check, 1) for name, check in checks.items()}  # warms up as well
    short = [name for name, seconds in once.items() if seconds < LONG]
    seconds = {name: [one] for name, one in once.items() if name not in short}
    for _ in range(ROUNDS):
        for name in short:
            seconds.setdefault(name, []).append(turn(checks[name], 1))
    usual = statistics.median(seconds["gradcheck"])
    rows = []
    for name, check in checks.items():
        tracemalloc.start()
        losses = check()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        median = statistics.median(seconds[name])
        figures = {"losses": losses, "seconds": median, "ratio": median / usual, "peak": peak / 1e6}
        rows.append({"parameters": parameters, "checker": name, "rounds": len(seconds[name]), **figures})
    return rows


def _checks(parameters: int, sizes: tuple[int, int]) -> dict[str, Check]:
    """Everyone who can be asked about so many parameters."""
    found, _ = checkers()
    complexly, really = (partial(trials.lstm, 0, way, *sizes) for way in trials.WAYS)
    checks: dict[str, Check] = {
        "gradcheck": _ours(complexly()),
        "gradcheck, real differences": _ours(really()),
    }
    entries = parameters <= ENTRIES
    if entries:
        checks["gradcheck full"] = _ours(complexly(), full=True)
        checks["gradcheck full, batched"] = _ours(complexly(batched=True), full=True)
        checks["gradcheck full, real differences"] = _ours(really(), full=True)
        checks["gradcheck full, real differences, batched"] = _ours(really(batched=True), full=True)
    for name, checker in found.items():
        if not name.startswith("gradcheck") and "tight" not in name and (entries or "slow" not in name):
            checks[name] = _peer(checker, really())
    if importlib.util.find_spec("torch"):
        checks["torch fast, its own LSTM"] = _torch(*sizes, fast=True)
        if entries:
            checks["torch slow, its own LSTM"] = _torch(*sizes, fast=False)
    if importlib.util.find_spec("scipy") and entries:
        checks["scipy check_grad"] = _scipy(really())
    if importlib.util.find_spec("numdifftools") and parameters <= SLOWEST:
        checks["numdifftools"] = _numdifftools(really())
    return checks


def _ours(target: Target, *, full: bool = False) -> Check:
    def check() -> int:
        report = gradcheck.check(target, full=full, explain=False)
        assert report.ok, str(report)
        return report.evaluations

    return check


def _peer(checker: Any, target: Target) -> Check:
    return lambda: int(checker(target, 0).evaluations)


def _torch(V: int, H: int, *, fast: bool) -> Check:
    torch = importlib.import_module("torch")
    lstm, double = torch.nn.LSTM(V, H, dtype=torch.float64), torch.float64
    tokens = torch.randint(0, V, (trials.STEPS, trials.BATCH))
    x, targets = torch.eye(V, dtype=double)[tokens], torch.randint(0, V, (trials.STEPS * trials.BATCH,))
    names = [name for name, _ in lstm.named_parameters()]
    head = torch.randn(H, V, dtype=double) / math.sqrt(H), torch.zeros(V, dtype=double)
    arrays = [array.detach().clone().requires_grad_() for array in (*lstm.parameters(), *head)]
    losses = [0]

    def loss(*given: Any) -> Any:
        losses[0] += 1
        h = torch.func.functional_call(lstm, dict(zip(names, given[:4], strict=True)), (x,))[0]
        return torch.nn.functional.cross_entropy((h @ given[4] + given[5]).reshape(len(targets), V), targets)

    def check() -> int:
        losses[0] = 0
        assert torch.autograd.gradcheck(loss, arrays, fast_mode=fast)
        return losses[0]

    return check


def _scipy(target: Target) -> Check:
    optimize, wrapped = importlib.import_module("scipy.optimize"), _Flat(target)

    def check() -> int:
        wrapped.losses = 0
        apart = optimize.check_grad(wrapped.loss, wrapped.gradient, wrapped.start)
        assert apart < 1e-5 * np.linalg.norm(wrapped.gradient(wrapped.start)), apart
        return wrapped.losses

    return check


def _numdifftools(target: Target) -> Check:
    gradient, wrapped = importlib.import_module("numdifftools").Gradient, _Flat(target)

    def check() -> int:
        wrapped.losses = 0
        found = gradient(wrapped.loss)(wrapped.start)
        assert np.abs(found - wrapped.gradient(wrapped.start)).max() < 1e-8
        return wrapped.losses

    return check


class _Flat:
    """A target as a function of one vector."""

    def __init__(self, target: Target) -> None:
        self.wrapped = Wrapped(target, 0)
        self.start = np.concatenate([array.ravel() for array in self.wrapped.start])
        self.losses = 0

    def loss(self, vector: Any) -> float:
        self.losses += 1
        return float(self.wrapped.loss(*self._arrays(vector)))

    def gradient(self, vector: Any) -> Any:
        return np.concatenate([array.ravel() for array in self.wrapped.grads(*self._arrays(vector))])

    def _arrays(self, vector: Any) -> list[Any]:
        ends = np.cumsum([array.size for array in self.wrapped.start])
        parts = np.split(vector, ends[:-1])
        return [part.reshape(array.shape) for part, array in zip(parts, self.wrapped.start, strict=True)]


# -- growth ------------------------------------------------------------------------------------------------------------


def growth(_: argparse.Namespace) -> list[dict[str, Any]]:
    """Losses and seconds of ours, as parameters and time steps grow."""
    rows = []
    for P in (100, 1_000, 10_000, 100_000, 1_000_000):
        H = round(math.sqrt(P / 6.5))
        rows.append(_grown(max(H // 2, 2), H, trials.STEPS, full=P <= ENTRIES))
    rows += [_grown(16, 32, T, full=T <= 100) for T in (10, 30, 100, 300, 1000)]
    print("\ngrowth: losses (seconds) of one check, B = 4")
    ways = [way for way in rows[0] if way not in ("P", "T")]
    cells = [[str(row["P"]), str(row["T"]), *(_pair(row.get(way)) for way in ways)] for row in rows]
    print(markdown(["P", "T", *ways], cells))
    return rows


def _grown(V: int, H: int, T: int, *, full: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "P": sum(array.size for array in trials.lstm(0, trials.WAYS[0], V, H).values().values()),
        "T": T,
    }
    for way in trials.WAYS:
        for deep in (False, True)[: 1 + full]:
            report = gradcheck.check(trials.lstm(0, way, V, H, T, batched=deep), full=deep, explain=False)
            assert report.ok, str(report)
            row[f"{'full, batched' if deep else 'default'}, {way}"] = (report.evaluations, report.seconds)
    return row


def _pair(found: tuple[int, float] | None) -> str:
    return f"{found[0]} ({found[1]:.2g})" if found else "-"


# -- own ---------------------------------------------------------------------------------------------------------------


def own(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Seconds of a default check in the target's functions, and out of them."""
    rows = []
    for parameters in options.parameters:
        for way in trials.WAYS:
            target = trials.lstm(0, way, *SIZES[parameters])
            inside, whole = [], []
            spent = _timed(target)
            for _ in range(ROUNDS):
                spent[0] = 0.0
                whole.append(turn(_ours(target), 1))
                inside.append(spent[0])
            outside = [a - b for a, b in zip(whole, inside, strict=True)]
            medians = {"whole": statistics.median(whole), "own": statistics.median(outside)}
            rows.append({"parameters": parameters, "way": way, **medians})
    print("\nown: milliseconds of a default check, and those that are not the target's")
    cells = [[str(r["parameters"]), r["way"], f"{1e3 * r['whole']:.2f}", f"{1e3 * r['own']:.2f}"] for r in rows]
    print(markdown(["parameters", "way", "whole", "not the target's"], cells))
    return rows


def _timed(target: Target) -> list[float]:
    """Count the seconds in its loss and its gradients."""
    spent = [0.0]

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


# -- figures -----------------------------------------------------------------------------------------------------------


def _shown(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3g}"


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {"peers": peers, "growth": growth, "own": own}

if __name__ == "__main__":
    main()
