"""How many wrong gradients a check sees, how often it accuses right ones, and what it costs; peers beside it.

``python benchmarks/detection.py`` runs a quick form in some minutes, ``--full`` what docs/measured.md is made of, in
hours; naming parts runs these alone. The parts:

- kinds: every planted bug of ``tests/gallery/kinds.py``, and the cells as they are.
- entries: one entry of the 6800 of an LSTM's gradient, drawn from those that are not zero, multiplied by 1 + r.
- promise: errors of 1 to 2 times the sensitivity that a report prints.
- correct: random right targets, most of them in an awkward place (`corpus.py`).
- cost: losses asked for by a check of a right LSTM, as its parameters grow.

A rate of trials is printed with its 95% interval (Wilson 1927). Of a peer, "seen" means that it does not pass; ours has
to say what a kind is, and of an entry that it is not right.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trials
from checkers import OURS, STEP, TOLERANCES, checkers
from rich.console import Console
from rich.progress import track
from tables import markdown

#: relative sizes of a wrong entry
SIZES = tuple(10.0**-k for k in range(1, 9))
#: the one that `trials` are spent on; at the others fewer will do
USUAL = 1e-6
#: checkers that difference every entry: they have a twentieth of the trials, and no more than 1e4 parameters
SLOW = (OURS[1], "torch slow", "torch slow, tight")
#: tasks after which a worker starts anew: JAX keeps all that it has compiled
FRESH = 500
#: powers of ten of parameters
ORDERS = (2, 3, 4, 5, 6)


def main() -> None:
    """Run the parts that were asked for, print their tables."""
    options = _options()
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    found, missing = checkers()
    names = tuple(name for name in found if name in (options.checkers or found))
    print(f"tight: {', '.join(f'{peer} {tolerance:g}' for peer, tolerance in TOLERANCES.items())}; JAX steps {STEP:g}")
    print(f"not installed, left out: {', '.join(missing) or 'none'}")
    result: dict[str, Any] = {}
    if options.json and options.json.exists():
        result = json.loads(options.json.read_text(encoding="utf-8"))
    result |= {"checkers": names, "missing": missing, "tolerances": TOLERANCES}
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=FRESH) as pool:
        for part in options.parts:
            result[part] = PARTS[part](pool, options, names)
            if options.json:
                options.json.write_text(json.dumps(result, indent=1), encoding="utf-8")
    if result.keys() >= {"kinds", "entries", "correct"}:
        print(f"\n{readme(result)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--full", action="store_true", help="10 seeds, 2 sizes, 200 trials, 20000 right targets")
    parser.add_argument("--seeds", type=int, help="seeds of each kind (default: 1)")
    parser.add_argument("--sizes", type=int, help="sizes of each kind: the defaults, one more of each (default: 1)")
    parser.add_argument("--kinds", type=int, help="every so many-th kind and cell (default: 1, all of them)", default=1)
    parser.add_argument("--trials", type=int, help="wrong entries (default: 20)")
    parser.add_argument("--promises", type=int, help="targets whose sensitivity is put to the test (default: 200)")
    parser.add_argument("--correct", type=int, help="right targets (default: 500)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first target (default: 0)")
    parser.add_argument("--checkers", nargs="+", help="these alone, by the names in the tables")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write every figure to this file, beside those of other parts")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}: expected some of {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    usual = {"seeds": (1, 10), "sizes": (1, 2), "trials": (20, 200), "promises": (200, 2000), "correct": (500, 20_000)}
    for name, (quick, full) in usual.items():
        if getattr(options, name) is None:
            setattr(options, name, full if options.full else quick)
    return options


# -- the parts: each runs its trials, prints its table, and returns what it counted ------------------------------------


def kinds(pool: Any, options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Planted bugs seen, by checker."""
    gallery = trials.gallery()
    where = [(seed, larger, names) for seed in range(options.seeds) for larger in range(options.sizes)]
    chosen = range(0, len(gallery.KINDS), options.kinds)
    of_kinds = _run(pool, trials.of_kind, [(number, *at) for at in where for number in chosen])
    of_cells = _run(
        pool, trials.of_cell, [(cell, *at) for at in where for cell in list(gallery.CORRECT)[:: options.kinds]]
    )
    of_gradients = [one for one in of_kinds if one.verdicts == ("wrong",)]
    counted = {}
    for name in names:
        missed = Counter(f"{one.cell}: {one.name}" for one in of_kinds if one.checker == name and not one.seen)
        as_they_are = [one for one in of_cells if one.checker == name]
        counted[name] = {
            "wrong gradients": _rate(one.seen for one in of_gradients if one.checker == name),
            "all kinds": _rate(one.seen for one in of_kinds if one.checker == name),
            "cells accused": _rate(one.seen for one in as_they_are),
            "evaluations": statistics.median(one.evaluations for one in as_they_are),
            "seconds": statistics.median(one.seconds for one in as_they_are),
            "missed": dict(missed.most_common()),
        }
    beside = sorted(gallery.KINDS[number].name for number in chosen if gallery.KINDS[number].verdicts != ("wrong",))
    number, some = len(chosen), len(chosen) - len(beside)
    tried = f"{options.seeds} seeds, {options.sizes} sizes"
    print(f"\nkinds: {number} planted bugs, {some} of them wrong gradients; {tried}")
    _table(
        ["checker", "wrong gradients seen", "all kinds seen", "right cells accused", "evaluations", "seconds"],
        [
            [
                name,
                *(shown(one[what]) for what in ("wrong gradients", "all kinds", "cells accused")),
                f"{one['evaluations']:.0f}",
                f"{one['seconds']:.4f}",
            ]
            for name, one in counted.items()
        ],
    )
    print(f"not wrong at the point itself, so that a peer need not see them: {'; '.join(beside)}")
    for name, one in counted.items():
        if one["missed"]:
            print(f"{name} misses: {'; '.join(f'{kind} ({times})' for kind, times in one['missed'].items())}")
    return {"kinds": number, "of gradients": some, "seeds": options.seeds, "sizes": options.sizes, "by": counted}


def entries(pool: Any, options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """One wrong entry seen, by checker and size."""
    few, jobs = max(1, options.trials // 20), []
    for size in SIZES:
        usual = options.trials if size == USUAL else max(few, options.trials // 2)
        for seed in range(usual):
            asked = tuple(name for name in names if name not in SLOW or seed < few)
            jobs.append((trials.WAYS[1], size, seed, asked))
            jobs.append((trials.WAYS[0], size, seed, tuple(name for name in asked if name in OURS)))
    done = _run(pool, trials.of_entry, jobs)
    counted, rows = {}, []
    for name in names:
        for way in trials.WAYS if name in OURS else trials.WAYS[1:]:
            some = [one for one in done if (one.checker, one.way) == (name, way)]
            by_size = {
                f"{size:.0e}": {
                    "seen": _rate(one.seen for one in some if one.size == size),
                    "wrong": _rate(one.wrong for one in some if one.size == size),
                    "promised": _rate(one.seen for one in some if one.size == size and one.promised),
                }
                for size in SIZES
            }
            told = f"{name}, {way}" if name in OURS else name
            counted[told] = by_size
            rows.append([told, *(_percent(by_size[size]["seen"]) for size in by_size)])
            if name in OURS:
                rows.append(["  called wrong", *(_percent(by_size[size]["wrong"]) for size in by_size)])
                rows.append(["  larger than promised", *(_percent(by_size[size]["promised"]) for size in by_size)])
    print(f"\nentries: one of 6800 entries times 1 + r, seen; {options.trials} trials at {USUAL:g}")
    _table(["checker", *(f"{size:.0e}" for size in SIZES)], rows)
    for told, by_size in counted.items():
        print(f"at {USUAL:g}, {told}: {shown(by_size[f'{USUAL:.0e}']['seen'])}")
    return counted


def promise(pool: Any, options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Errors of 1 to 2 times the printed sensitivity seen, by default and in full."""
    modes = [full for full, name in enumerate(OURS) if name in names]
    first, seeds = options.first, options.promises
    jobs = [(seed, bool(full)) for full in modes for seed in range(first, first + seeds // (1 + full))]
    done, counted = _run(pool, trials.of_promise, jobs), {}
    print("\npromise: errors of 1 to 2 times the printed sensitivity, in right blocks of the corpus")
    for full in modes:
        for single in (True, False):
            some = [one.seen for one in done if (one.full, one.single) == (bool(full), single)]
            told = f"{OURS[full]}, {'one entry' if single else 'a random direction'}"
            counted[told] = _rate(some)
            print(f"{told}: {shown(counted[told])} seen of {len(some)}")
    missed = [one._asdict() for one in done if not one.seen]
    for one in missed:
        print(f"missed: {one}")
    return {**counted, "missed": missed}


def correct(pool: Any, options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Right targets accused, or left undecided, by checker."""
    seeds = range(options.first, options.first + options.correct)
    jobs = [(seed, tuple(name for name in names if name == OURS[0] or not seed % 20)) for seed in seeds]
    done, counted, rows = _run(pool, trials.of_corpus, jobs), {}, []
    for name in names:
        for smooth in (True, False) if name in OURS else (True,):
            some = [one for one in done if (one.checker, one.smooth) == (name, smooth)]
            told = f"{name}, {'smooth float64' if smooth else 'kinks, float32, noise'}"
            accused = [one for one in some if one.word in ("wrong", "law", "raises", "fails")]
            undecided = Counter(_briefly(one.reason) for one in some if one.word == "inconclusive")
            counted[told] = {
                "accused": _rate(one in accused for one in some),
                "inconclusive": _rate(one.word == "inconclusive" for one in some),
                "vacuous": _rate(one.word == "vacuous" for one in some),
                "evaluations": statistics.median([one.evaluations for one in some] or [0]),
                "seconds": statistics.median([one.seconds for one in some] or [0]),
                "reasons": dict(undecided.most_common()),
                "seeds accused": [one.seed for one in accused],
                "seeds inconclusive": [one.seed for one in some if one.word == "inconclusive"],
            }
            rows.append(
                [
                    told,
                    str(len(some)),
                    *(shown(counted[told][what]) for what in ("accused", "inconclusive", "vacuous")),
                    f"{counted[told]['evaluations']:.0f}",
                    f"{counted[told]['seconds']:.4f}",
                ]
            )
    print(f"\ncorrect: right targets {seeds.start} to {seeds.stop - 1}")
    _table(["checker", "targets", "accused", "inconclusive", "vacuous", "evaluations", "seconds"], rows)
    for told, one in counted.items():
        for reason, times in one["reasons"].items():
            print(f"{told}, inconclusive: {times} x {reason}")
    for one in done:
        if one.checker in OURS and one.word in ("wrong", "law", "raises"):
            print(f"{one.checker} accuses target {one.seed} ({', '.join(one.awkward)}): {one.word}: {one.reason}")
    return counted


def cost(pool: Any, options: argparse.Namespace, names: tuple[str, ...]) -> dict[str, Any]:
    """Losses asked for, as the number of parameters grows."""
    top = ORDERS if options.full else ORDERS[:-1]
    jobs = [(order, tuple(name for name in names if name not in SLOW or order <= 3 + options.full)) for order in top]
    done = _run(pool, trials.of_cost, jobs)
    counted: dict[str, dict[int, tuple[int, float]]] = {}
    sizes = sorted({one.parameters for one in done})
    for one in done:
        told = f"{one.checker}, {one.way}" if one.checker in OURS else one.checker
        counted.setdefault(told, {})[one.parameters] = (one.evaluations, one.seconds)
    print("\ncost: evaluations of the loss (seconds) of one check, by the number of parameters")
    cells = {told: [_at(by_size.get(size)) for size in sizes] for told, by_size in counted.items()}
    _table(["checker", *map(str, sizes)], [[told, *of_sizes] for told, of_sizes in cells.items()])
    return counted


PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "kinds": kinds,
    "entries": entries,
    "promise": promise,
    "correct": correct,
    "cost": cost,
}


# -- figures -----------------------------------------------------------------------------------------------------------


def interval(seen: int, of: int) -> tuple[float, float]:
    """Wilson's 95% interval of a rate."""
    z = 1.959964
    middle, spread = seen + z * z / 2, z * math.sqrt(seen * (of - seen) / of + z * z / 4)
    return max(0.0, (middle - spread) / (of + z * z)), min(1.0, (middle + spread) / (of + z * z))


def shown(rate: dict[str, Any]) -> str:
    """A rate and its interval, in percent."""
    if not rate["of"]:
        return "-"
    low, high = rate["interval"]
    return f"{_percent(rate)} [{100 * low:.2f}, {100 * high:.2f}]"


def readme(result: dict[str, Any]) -> str:
    """The table that docs/measured.md shows."""
    heads = ["checker", "planted bugs", "1e-2", "1e-4", "1e-6", "right code accused", "evaluations"]
    lines = []
    for name, of_kinds in result["kinds"]["by"].items():
        ways = [f"{name}, {way}" for way in trials.WAYS] if name in OURS else [name]
        of_entries = [
            " / ".join(_percent(result["entries"][way][f"{float(size):.0e}"]["seen"]) for way in ways)
            for size in heads[2:5]
        ]
        of_correct = result["correct"][f"{name}, smooth float64"]
        cells = [_percent(of_kinds["wrong gradients"]), *of_entries, _percent(of_correct["accused"])]
        lines.append([name, *cells, f"{of_correct['evaluations']:.0f}"])
    return markdown(heads, lines)


def _rate(flags: Iterable[bool]) -> dict[str, Any]:
    found = list(flags)
    seen, of = sum(found), len(found)
    return {"times": seen, "of": of, "interval": interval(seen, of) if of else None}


def _percent(rate: dict[str, Any]) -> str:
    """Never 100% for all but a few, nor 0% for a few."""
    if not rate["of"]:
        return "-"
    share = 100 * rate["times"] / rate["of"]
    digits = 0 if share in (0, 100) else 1 if 0.1 <= share <= 99.9 else 3
    return f"{share:.{digits}f}%"


def _at(found: tuple[int, float] | None) -> str:
    return f"{found[0]} ({found[1]:.2g})" if found else "-"


def _briefly(reason: str) -> str:
    """A reason without its figures."""
    return reason.partition(":")[0].partition(";")[0].partition(" resolve")[0]


def _run(pool: Any, function: Callable[..., list[Any]], jobs: Sequence[tuple[Any, ...]]) -> list[Any]:
    done = pool.imap(partial(_called, function), jobs)
    console = Console(stderr=True)
    shown = track(done, function.__name__, len(jobs), console=console, disable=not console.is_terminal)
    return [one for found in shown for one in found]


def _called(function: Callable[..., list[Any]], arguments: tuple[Any, ...]) -> list[Any]:
    return function(*arguments)


def _table(heads: list[str], rows: list[list[str]]) -> None:
    widths = [max(len(row[k]) for row in [heads, *rows]) for k in range(len(heads))]
    for row in [heads, *rows]:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    main()
