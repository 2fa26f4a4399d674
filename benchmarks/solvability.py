"""How often the line of a planted bug is among those that could be at fault, and how often it comes first.

``python benchmarks/solvability.py`` plants the same single-statement bugs as ``lines.py``, tapes each once at small
sizes, and asks `gradcheck._localising` alone: no candidates, no edits. It prints for each cell how many bugs changed a
gradient, how often the changed line comes first, among the first two and at all, how many lines could be at fault (in
the median), and the processor seconds of the tape and of the localisation.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import sys
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from lines import CELLS, Bug, _planted, bugs, load, source_of, spoiled  # noqa: E402

from gradcheck._localising import localise  # noqa: E402
from gradcheck._tape import TapedRun, tape_target  # noqa: E402

HEAD = (
    f"{'cell':16}{'bugs':>6}{'wrong':>7}{'first':>8}{'of two':>8}{'found':>8}{'lines':>7}"
    f"{'tape s':>8}{'locate s':>9}{'worst':>8}"
)
#: relative to the largest entry of a gradient
WRONG = 1e-6


class Outcome(NamedTuple):
    """What was found of one bug."""

    cell: str
    line: int
    before: str
    after: str
    status: str
    found: tuple[int, ...] = ()
    taping: float = 0.0
    locating: float = 0.0

    @property
    def position(self) -> int:
        """Where the changed line comes, from 1; 0 if it is not found."""
        return self.found.index(self.line) + 1 if self.line in self.found else 0


def wrong_gradients(run: TapedRun) -> list[str]:
    """The names of the gradients that are not the tape's."""
    return [
        name
        for name, true in run.true_gradients.items()
        if name in run.gradients
        and np.shape(run.gradients[name]) == true.shape
        and not np.max(np.abs(run.gradients[name] - true), initial=0) <= WRONG * max(np.max(np.abs(true)), 1e-6)
    ]


def begun(factory: Any, seed: int) -> Any:
    """The factory's target at its own sizes."""
    target = factory.build(seed, factory.sizes)
    target.draw_cotangents(np.random.default_rng(seed))
    return target


def changes_the_loss(target: Any, original: Any) -> bool:
    """Whether another loss is to be differentiated: then the bug is in the forward."""
    values = original.values()
    return not np.array_equal(target.loss_at(values), original.loss_at(values))


def judged(name: str, bug: Bug, seed: int) -> Outcome:
    """Plant a bug and look for it."""
    cell = CELLS[name]
    text, before, after = spoiled(source_of(name), [bug])
    outcome = Outcome(name, bug.first, before, after, "raises")
    with _planted(cell, text) as folder, np.errstate(all="ignore"):
        try:
            factory = getattr(load(folder, cell), cell.target)
            target = begun(factory, seed)
            if not cell.file and changes_the_loss(target, begun(getattr(load(str(ROOT), cell), cell.target), seed)):
                return outcome._replace(status="another loss")
            begin = time.process_time()
            run = tape_target(target, target.values())
            wrong = wrong_gradients(run)
            taped = time.process_time()
        except Exception as error:  # the bug's own: a shape, a name, a type
            return outcome._replace(status=f"raises {error!r}"[:80])
        if not wrong:
            return outcome._replace(status="right")
        result = localise(run, wrong)
        located = time.process_time()
    file = str(Path(folder, cell.spoiled))
    lines = dict.fromkeys(one.line for one in result.statements if one.file == file)
    return outcome._replace(status="judged", found=tuple(lines), taping=taped - begin, locating=located - taped)


def row(name: str, outcomes: list[Outcome]) -> str:
    """One line of the table."""
    some = [one for one in outcomes if one.status == "judged"]
    if not some:
        return f"{name:16}{len(outcomes):6}{0:7}"
    shares = [
        100 * sum(accepted(one.position) for one in some) / len(some)
        for accepted in (lambda p: p == 1, lambda p: p in (1, 2), lambda p: p > 0)
    ]
    told = "".join(f"{share:7.1f}%" for share in shares)
    times = statistics.median(one.taping for one in some), statistics.median(one.locating for one in some)
    worst = max(one.taping + one.locating for one in some)
    size = statistics.median(len(one.found) for one in some)
    return f"{name:16}{len(outcomes):6}{len(some):7}{told}{size:7.1f}{times[0]:8.2f}{times[1]:9.2f}{worst:8.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cells", nargs="*", default=list(CELLS), help=f"some of {', '.join(CELLS)}")
    parser.add_argument("--sample", type=int, default=30, help="bugs tried in each cell (default: 30; 0: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--misses", action="store_true", help="print what does not come first")
    options = parser.parse_args()
    os.environ |= {"ASKER_DEFECTS": "none", "GUIDE_DEFECTS": "none", "OMP_NUM_THREADS": "1"}
    warnings.simplefilter("ignore")
    rng = random.Random(options.seed)
    print(HEAD)
    everything: list[Outcome] = []
    pool = multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1)
    for name in options.cells:
        found = bugs(name)
        chosen = rng.sample(found, min(options.sample or len(found), len(found)))
        outcomes = pool.starmap(judged, [(name, bug, options.seed) for bug in chosen], chunksize=1)
        everything += outcomes
        print(row(name, outcomes), flush=True)
        for one in outcomes if options.misses else ():
            if one.status == "judged" and one.position != 1:
                print(f"  {one.line}: {one.before}  ->  {one.after}  | {one.found[:6]}")
    print(row("all", everything))


if __name__ == "__main__":
    main()
