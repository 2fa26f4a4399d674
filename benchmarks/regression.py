"""Whether lstm_core, or your own code, has become slower: ratios to a reference in the same run, against a baseline.

``python benchmarks/regression.py`` times each kernel and its reference in turn and compares the median of their ratio
with that of the baseline for this machine, in ``benchmarks/baseline.json``. What is more than 25% slower is measured
again; the exit status is 1 where it is so three times. A machine that the baseline does not know is not judged, and the
status is 0: ratios to matrix products differ between processors, and ``--update`` adds this one.

``--pairs FILE`` does the same for code of your own: a Python file with a function ``pairs()`` that returns, by name,
``(kernel, reference)``, two functions without arguments. ``--baseline`` names a file of your own for its ratios.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from contenders import compiled, floor, in_numpy, problem
from peers import rounds

import gradcheck
from gradcheck import Target
from gradcheck._localising import localise
from gradcheck._tape import tape_target
from gradcheck._targets.opening import opened

Kernel = Callable[[], Any]

ROOT = Path(__file__).parent.parent
BASELINE = Path(__file__).with_name("baseline.json")
#: how much slower is a loss, and how often it must be seen
LOSS, REPEATS = 1.25, 3
#: seconds for each pair; of the quick form
SECONDS, QUICK = 3.0, 0.6
STEPS, SYMBOLS = 100, 65
#: the cells of `tests/gallery` in which lines and fixes are looked for
SPECIMENS = ("lstm", "vanilla_rnn", "fused_lstm", "gated_unit", "projected")
#: how the name of a pair begins that needs numba
COMPILED = "compiled "


def main() -> int:
    """Measure, compare, and tell; the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few of the sizes, less time for each")
    parser.add_argument("--pairs", type=Path, help="a file with pairs() (default: lstm_core and gradcheck)")
    parser.add_argument("--baseline", type=Path, default=BASELINE, help="(default: benchmarks/baseline.json)")
    parser.add_argument("--update", action="store_true", help="write what is measured as this machine's baseline")
    parser.add_argument("--only", metavar="WORD", default="", help="only the pairs with this in their name")
    options = parser.parse_args()
    chosen = _of_file(options.pairs) if options.pairs else pairs(quick=options.quick)
    chosen = {name: pair for name, pair in chosen.items() if options.only in name}
    seconds = QUICK if options.quick else SECONDS
    known = json.loads(options.baseline.read_text(encoding="utf-8")) if options.baseline.exists() else {}
    if options.update:
        found = {name: round(ratio(*pair, seconds), 3) for name, pair in chosen.items()}
        known[machine()] = known.get(machine(), {}) | found
        options.baseline.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(f"{len(found)} ratios written to {options.baseline} for {machine()}")
        return 0
    return compared(chosen, known.get(machine(), {}), seconds)


def compared(chosen: dict[str, tuple[Kernel, Kernel]], baseline: dict[str, float], seconds: float) -> int:
    """Print each ratio beside its baseline; 1 if one is worse three times."""
    if not baseline:
        print(f"no baseline for {machine()}: nothing is compared; --update writes one")
    print(f"{'':34}{'ratio':>9}{'baseline':>10}{'change':>9}")
    lost = []
    for name, pair in chosen.items():
        found = ratio(*pair, seconds)
        before = baseline.get(name)
        for _ in range(REPEATS - 1):
            if before is None or found <= LOSS * before:
                break
            found = min(found, ratio(*pair, seconds))
        change = "" if before is None else f"{100 * (found / before - 1):+.0f}%"
        print(f"{name:34}{found:9.2f}{'-' if before is None else f'{before:.2f}':>10}{change:>9}")
        if before is not None and found > LOSS * before:
            lost.append(name)
    if lost:
        print(f"slower than {LOSS:g} times the baseline, {REPEATS} times in a row: {', '.join(lost)}", file=sys.stderr)
    return 1 if lost else 0


def ratio(kernel: Kernel, reference: Kernel, seconds: float) -> float:
    """The median over rounds of the time of the kernel over that of its reference."""
    found = rounds({"kernel": kernel, "reference": reference}, seconds)
    return statistics.median(a / b for a, b in zip(found["kernel"], found["reference"], strict=True))


def pairs(*, quick: bool = False) -> dict[str, tuple[Kernel, Kernel]]:
    """A training step over its matrix products; a check over ten gradients; a line and a fix over the verdict.

    A training step in NumPy, and where numba is installed compiled as well.
    """
    chosen: dict[str, tuple[Kernel, Kernel]] = {}
    for H, B in ((32, 1), (128, 32)) if quick else ((32, 1), (32, 32), (128, 1), (128, 32), (512, 1), (512, 32)):
        for dtype in ("float32", "float64"):
            given = problem(STEPS, B, H, SYMBOLS, dtype, dense=False)
            name = f"training step H={H} B={B} {dtype}"
            chosen[name] = in_numpy(given), floor(given)
            if with_numba():
                chosen[COMPILED + name] = compiled(given), floor(given)
    chosen["default check"] = checked()
    chosen["default check, 1e5 parameters"] = checked(H=124, symbols=62)
    for cell in SPECIMENS[:1] if quick else SPECIMENS:
        chosen[f"line in {cell}"], chosen[f"fix in {cell}"] = searched(cell)
    return chosen


def with_numba() -> bool:
    """Whether lstm_core can be compiled here."""
    return importlib.util.find_spec("numba") is not None


def checked(H: int = 32, symbols: int = 16) -> tuple[Kernel, Kernel]:
    """A default check of an LSTM, and ten gradients of it: about half of what the user's own code takes in it."""
    given = problem(6, 4, H, symbols, "float64", dense=False)
    step, params = in_numpy(given), given.params
    target = Target(params, lambda: step()[0], lambda: step()[1])
    return lambda: gradcheck.check(target, explain=False), lambda: [step() for _ in range(10)]


def searched(cell: str) -> tuple[tuple[Kernel, Kernel], tuple[Kernel, Kernel]]:
    """The search for the line of a planted bug, and a check with its fix, each with the verdict alone.

    The line is what the tape and the localisation tell, before any edit is tried. The bug is the first of its cell that
    makes gradients wrong.
    """
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    kinds = importlib.import_module("tests.gallery.kinds").KINDS
    factory = next(kind.target for kind in kinds if kind.cell == cell and kind.verdicts == ("wrong",))

    @cache
    def wrong() -> list[str]:
        return [name for name, block in verdict_of(factory).blocks.items() if block.verdict == "wrong"]

    def line() -> None:
        with opened(factory.build(0, factory.sizes), 0) as target:
            assert localise(tape_target(target, target.values()), wrong()).statements

    def fix() -> None:
        report = gradcheck.check(factory, budget=None)
        assert any(one.fix is not None and one.fix.verified for one in report.findings), str(report)

    return (line, lambda: verdict_of(factory)), (fix, lambda: verdict_of(factory))


def verdict_of(factory: gradcheck.TargetFactory) -> gradcheck.Report:
    """A check that looks for no line."""
    return gradcheck.check(factory, explain=False)


def machine() -> str:
    """What ratios depend on: the processor, the width of its vectors, and the versions of Python and NumPy."""
    import numpy as np

    model = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
        parts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        model = f"{parts.get('model name', '')} family {parts.get('cpu family', '?')}"
        # Zen 3 and Zen 4 are one family, and a virtual machine may hide them; float32 products then take twice as long
        model += "" if "avx512f" in parts.get("flags", "").split() else ", no AVX-512"
    python, core = ".".join(platform.python_version_tuple()[:2]), os.environ.get("OPENBLAS_CORETYPE")
    versions = f"Python {python}, NumPy {np.__version__}{f', OpenBLAS for {core}' if core else ''}"
    return f"{model or platform.processor() or platform.machine()}, {versions}"


def _of_file(path: Path) -> dict[str, tuple[Kernel, Kernel]]:
    """What the `pairs` of a file returns."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"{path} is not a Python file: give one with a function pairs()")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "pairs"):
        raise SystemExit(f"{path} has no function pairs(): it returns (kernel, reference) by name")
    found: dict[str, tuple[Kernel, Kernel]] = module.pairs()
    return found


if __name__ == "__main__":
    sys.exit(main())
