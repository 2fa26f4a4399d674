"""What a check of an LSTM costs beside other checkers, how that grows, and what is not the user's own code.

``python benchmarks/checks.py`` prints, in parts that can be named alone:

- peers: a default and a full check of lstm_core's character model (T = 6, B = 4), at several numbers of parameters,
  beside torch.autograd.gradcheck (of the same loss, and of torch's own LSTM), jax.test_util.check_grads, autograd's
  check_grads, scipy.optimize.check_grad and numdifftools.Gradient: losses asked for, seconds, peak memory of NumPy
  arrays. All take turns in every round; seconds are medians.
- growth: losses and seconds of ours, from 1e2 to 1e7 parameters and from 10 to 3000 time steps: by default, without
  laws, full, full by the tape, and of finding a line.
- laws: losses, gradients and seconds of each law that can be left out.
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
from costs import ROUNDS, SIZES, Check, checked, laws, own  # noqa: E402
from growing import growth  # noqa: E402
from peers import turn  # noqa: E402
from tables import markdown  # noqa: E402

from gradcheck import Target  # noqa: E402

#: beyond so many parameters nobody is asked to difference every entry; nor beyond the second by numdifftools
ENTRIES, SLOWEST = 10_000, 1_000
LONG = 2.0


def main() -> None:
    """Print the parts that were asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--parameters", type=int, nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--limit", type=float, default=60.0, help="seconds that one figure of growth may take")
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
        "gradcheck": checked(complexly()),
        "gradcheck, real differences": checked(really()),
    }
    entries = parameters <= ENTRIES
    checks["gradcheck, no laws"] = checked(complexly(), laws="none")
    if entries:
        checks["gradcheck full"] = checked(complexly(), full=True)
        checks["gradcheck full by tape"] = checked(complexly(), full="tape")
        checks["gradcheck full, batched"] = checked(complexly(batched=True), full=True)
        checks["gradcheck full, real differences"] = checked(really(), full=True)
        checks["gradcheck full, real differences, batched"] = checked(really(batched=True), full=True)
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


# -- figures -----------------------------------------------------------------------------------------------------------


def _shown(value: float | None) -> str:
    return "-" if value is None else str(value) if isinstance(value, int) else f"{value:.3g}"


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "peers": peers,
    "growth": growth,
    "own": own,
    "laws": laws,
}

if __name__ == "__main__":
    main()
