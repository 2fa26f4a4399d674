"""A training step of lstm_core beside torch, JAX, autograd, a naive loop, and the matrix products alone.

``python benchmarks/peers.py`` measures T = 100 steps over 65 symbols, for each width, batch, precision and kind of
input, on one thread and on two: the loss and all gradients. First all must agree on these. Then each takes its turn in
every round, in one process, so that a machine that is slow at times is slow for all. A ratio is the median over rounds
of the ratio in one round, printed with its quartiles: a peer's time over lstm_core's, and lstm_core's over that of the
matrix products alone. Where numba is installed, there is a table for each of lstm_core's paths, from the same rounds.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from contenders import CONTENDERS, LIBRARIES, problem
from tables import markdown

#: what the libraries read when they start: so each number of threads has a process of its own
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
STEPS, SYMBOLS = 100, 65
WIDTHS, BATCHES, DTYPES, INPUTS = (32, 128, 512), (1, 32), ("float32", "float64"), ("tokens", "dense")
#: how far losses and gradients may be apart, beside the largest entry
AGREE = {"float32": 1e-4, "float64": 1e-10}
#: a turn takes so long at least, in seconds: calls that are shorter are repeated
TURN = 2e-3
LEAST_ROUNDS, MOST_ROUNDS = 5, 101
#: lstm_core's own, and the heads of their tables
PATHS = {"lstm_core": "lstm_core in NumPy", "compiled": "lstm_core compiled by numba"}


def main() -> None:
    """Measure what was asked for, a process for each number of threads, and print the tables."""
    options = _options()
    if options.alone:
        print(json.dumps([measured(point, options) for point in points(options)]))
        return
    missing = [name for name in _names() if not _installed(name)]
    print(f"not installed, left out: {', '.join(missing) or 'none'}")
    found = {str(threads): _in_a_process(threads) for threads in options.threads}
    result = {"steps": STEPS, "symbols": SYMBOLS, "missing": missing, "threads": found}
    for threads, measured_points in found.items():
        print(f"\n{threads} thread{'s' if threads != '1' else ''}; T={STEPS}, {SYMBOLS} symbols; medians [quartiles]")
        for path, head in PATHS.items():
            if path in measured_points[0]["seconds"]:
                print(f"\n{head}\n\n{table(measured_points, path)}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if options.plot:
        plot(result, options.plot)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS, help="hidden units (default: %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="(default: %(default)s)")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES, help="(default: both)")
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=INPUTS, help="(default: both)")
    parser.add_argument("--threads", type=int, nargs="+", default=(1, 2), help="(default: %(default)s)")
    parser.add_argument("--only", nargs="+", help=f"contenders beside lstm_core, of {', '.join(_names())}")
    parser.add_argument("--seconds", type=float, default=8.0, help="for each point (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    parser.add_argument("--plot", type=Path, help="draw the ratios to this file (with matplotlib)")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.only or ()) - set(_names()):
        parser.error(f"no contender {', '.join(sorted(unknown))}: expected some of {', '.join(_names())}")
    return options


def _names() -> list[str]:
    """Everyone but lstm_core."""
    return [name for name in CONTENDERS if name != "lstm_core"]


def _installed(name: str) -> bool:
    return name not in LIBRARIES or importlib.util.find_spec(LIBRARIES[name]) is not None


def _in_a_process(threads: int) -> list[dict[str, Any]]:
    """The same command, alone with so many threads: most libraries read that once, when they start."""
    flags = "" if threads > 1 else "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    environment = os.environ | dict.fromkeys(THREADS, str(threads)) | {"XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, __file__, *sys.argv[1:], "--alone", "--threads", str(threads)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
    return found


def points(options: argparse.Namespace) -> list[tuple[str, int, int, str]]:
    """What is measured: inputs, H, B and dtype."""
    return list(product(options.inputs, options.widths, options.batches, options.dtypes))


# -- one point ---------------------------------------------------------------------------------------------------------


def measured(point: tuple[str, int, int, str], options: argparse.Namespace) -> dict[str, Any]:
    """The seconds of each contender, round by round, once all have given the same gradients."""
    inputs, H, B, dtype = point
    _limit(options.threads[0])
    given = problem(STEPS, B, H, SYMBOLS, dtype, inputs == "dense")
    wanted = ("lstm_core", *(name for name in options.only or _names() if _installed(name)))
    steps = {name: CONTENDERS[name](given) for name in wanted}
    apart = {name: _apart(steps["lstm_core"](), step()) for name, step in steps.items() if name != "floor"}
    if max(apart.values()) > AGREE[dtype]:
        raise SystemExit(f"{inputs} H={H} B={B} {dtype}: not the same gradients, {apart}")
    seconds = rounds(steps, options.seconds)
    print(f"{inputs} H={H} B={B} {dtype}: {len(seconds['lstm_core'])} rounds", file=sys.stderr)
    return {"inputs": inputs, "H": H, "B": B, "dtype": dtype, "apart": apart, "seconds": seconds}


def rounds(steps: dict[str, Any], budget: float) -> dict[str, list[float]]:
    """Seconds a call, for each round in which everyone has a turn; the first turns, which warm up, do not count."""
    times = {name: max(1, math.ceil(TURN / turn(step, 1))) for name, step in steps.items()}
    once = sum(times[name] * turn(step, times[name]) for name, step in steps.items())
    number = min(max(int(budget / once), LEAST_ROUNDS), MOST_ROUNDS)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(number):
        for name, step in steps.items():
            found[name].append(turn(step, times[name]))
    return found


def turn(step: Any, times: int) -> float:
    """Seconds of a call, the mean of so many."""
    started = time.perf_counter()
    for _ in range(times):
        step()
    return (time.perf_counter() - started) / times


def _apart(one: Any, other: Any) -> float:
    """The largest difference of losses and gradients, each beside the largest entry."""
    loss, grads = one
    other_loss, other_grads = other
    found = [abs(float(loss) - float(other_loss))]
    for name, gradient in grads.items():
        found.append(float(np.abs(np.asarray(other_grads[name]) - gradient).max() / np.abs(gradient).max()))
    return max(found)


def _limit(threads: int) -> None:
    """One thread is one core: JAX has threads that no variable sets."""
    if _installed("torch"):
        importlib.import_module("torch").set_num_threads(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


# -- what is shown -----------------------------------------------------------------------------------------------------


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> tuple[float, float, float]:
    """The lower quartile, the median and the upper quartile of the ratio of two contenders within a round."""
    ratios = [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return low, middle, high


def table(measured_points: Sequence[dict[str, Any]], path: str = "lstm_core") -> str:
    """A line for each point: milliseconds of lstm_core on one of its paths, and the ratios."""
    beside = [name for name in measured_points[0]["seconds"] if name not in (path, "floor")]
    heads = ["inputs", "H", "B", "dtype", f"{path} ms", "/ floor", *(f"{name} /" for name in beside)]
    rows = []
    for point in measured_points:
        seconds = point["seconds"]
        row = [point["inputs"], str(point["H"]), str(point["B"]), point["dtype"]]
        row.append(f"{1e3 * statistics.median(seconds[path]):.3g}")
        row.append(_shown(ratio(seconds, path, "floor")) if "floor" in seconds else "-")
        rows.append(row + [_shown(ratio(seconds, name, path)) for name in beside])
    return markdown(heads, rows)


def _shown(quartiles: tuple[float, float, float]) -> str:
    low, middle, high = quartiles
    return f"{middle:.2f} [{low:.2f}, {high:.2f}]"


def plot(result: dict[str, Any], path: Path) -> None:
    """The ratios of the peers to lstm_core, a panel for each number of threads and kind of input."""
    plt = importlib.import_module("matplotlib.pyplot")
    panels = [(threads, inputs) for threads in result["threads"] for inputs in INPUTS]
    figure, axes = plt.subplots(len(panels), 1, figsize=(9, 3 * len(panels)), squeeze=False, constrained_layout=True)
    for (threads, inputs), axis in zip(panels, axes[:, 0], strict=True):
        chosen = [point for point in result["threads"][threads] if point["inputs"] == inputs]
        names = [name for name in (chosen[0]["seconds"] if chosen else ()) if name not in ("lstm_core", "floor")]
        for k, name in enumerate(names):
            ratios = [ratio(point["seconds"], name, "lstm_core") for point in chosen]
            low, middle, high = (list(part) for part in zip(*ratios, strict=True))
            errors = [
                [m - a for m, a in zip(middle, low, strict=True)],
                [b - m for m, b in zip(middle, high, strict=True)],
            ]
            places = [at + 0.8 * (k - len(names) / 2 + 0.5) / len(names) for at in range(len(chosen))]
            axis.bar(places, middle, 0.8 / len(names), yerr=errors, label=name)
        axis.set_xticks(range(len(chosen)), [f"{p['H']},{p['B']}\n{p['dtype'][-2:]}" for p in chosen])
        axis.axhline(1, color="black", linewidth=0.8)
        axis.set_yscale("log")
        axis.set_ylabel("time / lstm_core's")
        axis.set_title(f"{inputs}, {threads} thread{'s' if threads != '1' else ''}  (H,B and bits)")
        axis.legend()
    figure.savefig(path)


if __name__ == "__main__":
    main()
