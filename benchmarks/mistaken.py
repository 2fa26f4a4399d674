"""How much of code with several mistakes is named, and how often all of it is mended.

``python benchmarks/mistaken.py`` runs the command, with ``--fix``, on the programs in ``mistaken_code/``, or on one of
the five sets there (``--set``). Each was written by someone who did not know how lines are found, first right, then
with two to four mistakes of the kind that people make who have misunderstood something: nothing is carried back, a
penalty is forgotten, sums are assigned, a mask is left out.

Printed for each program: how many of its mistakes have a finding on a line that a teacher would accept, how many
findings are on other lines, how many edits are called verified, whether the written file is right, by central
differences at three seeds and when asked twice, and the processor seconds. ``--misses`` shows what was missed.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from strangers import Plain, asked, is_slope, loaded, parted
from tables import markdown

FOLDER = Path(__file__).parent / "mistaken_code"
SETS = "first", "second", "third", "fourth", "fifth"
#: the seeds of the points at which a written file has to be right
SEEDS = (0, 1, 2)


class Fault(NamedTuple):
    """A mistake: what it is, the lines that a teacher would accept, and texts with those that mend it."""

    what: str
    lines: Sequence[int]
    mend: Sequence[tuple[str, str]]


class Program(NamedTuple):
    """A program with several mistakes."""

    name: str
    text: str
    faults: Sequence[Fault]

    def mended(self, but: int | None = None) -> str:
        """The text with all mistakes mended, or all but one."""
        text = self.text
        for number, fault in enumerate(self.faults):
            for old, new in fault.mend if number != but else ():
                assert text.count(old) == 1, (self.name, old)
                text = text.replace(old, new)
        return text


class Score(NamedTuple):
    """What came of one program."""

    program: Program
    missed: Sequence[Fault]
    others: Sequence[int]
    verified: int
    is_right: bool
    is_written: bool
    seconds: float


def programs(of_set: str = "*") -> list[Program]:
    """All of them, or those of one set, by name."""
    result = []
    for file in sorted(FOLDER.glob(f"{of_set}/*.py")):
        if "\nPAIRS = " in file.read_text(encoding="utf-8"):
            text, space = parted(file, "PAIRS")
            pairs = enumerate(space["PAIRS"], 1)
            result += [planted(f"{file.stem}_{k}", text, [Fault(*one) for one in pair]) for k, pair in pairs]
        else:
            text, space = parted(file, "FAULTS")
            result.append(Program(file.stem, text, [Fault(*one) for one in space["FAULTS"]]))
    return result


def planted(name: str, right: str, faults: Sequence[Fault]) -> Program:
    """The program that a right one is with these mistakes."""
    text = right
    for wrong, mend in (one for fault in faults for one in fault.mend):
        assert text.count(mend) == 1, (name, mend)
        text = text.replace(mend, wrong)
    return Program(name, text, faults)


def is_right(text: str) -> bool:
    """Whether every gradient is the slope, at each seed, and the same when asked twice."""
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"), contextlib.redirect_stdout(None):
        try:
            make = loaded(text, folder).make
            return all(is_slope(Plain(*make(np.random.default_rng(seed)))) for seed in SEEDS)
        except Exception:  # whatever spoiled code may raise
            return False


def scored(program: Program) -> Score:
    """Run the command, and look at what it says and writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{program.name}.py")
        path.write_text(program.text, encoding="utf-8")
        report, seconds = asked(path)
        written = path.read_text(encoding="utf-8")
    found = [one for one in report.get("findings", []) if one.get("line")]
    named = {one["line"] for one in found}
    accepted = {line for fault in program.faults for line in fault.lines}
    return Score(
        program,
        [fault for fault in program.faults if not named & set(fault.lines)],
        sorted(named - accepted),
        sum(bool((one.get("fix") or {}).get("verified")) for one in found),
        written != program.text and is_right(written),
        written != program.text,
        seconds,
    )


def table(scores: Sequence[Score]) -> str:
    """A row for each program, and one for all."""
    rows = [_row(one.program.name, [one]) for one in scores]
    heads = ["program", "mistakes", "named", "other lines", "verified edits", "right after --fix", "CPU s"]
    return markdown(heads, [*rows, _row("all", scores)])


def _row(name: str, scores: Sequence[Score]) -> list[str]:
    faults = sum(len(one.program.faults) for one in scores)
    return [
        name,
        str(faults),
        str(faults - sum(len(one.missed) for one in scores)),
        str(sum(len(one.others) for one in scores)),
        str(sum(one.verified for one in scores)),
        str(sum(one.is_right for one in scores)),
        f"{sum(one.seconds for one in scores):.0f}",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="programs with this in their name")
    parser.add_argument("--set", default="*", choices=SETS, dest="of_set", help="the programs of one set alone")
    parser.add_argument("--misses", action="store_true", help="show which mistakes were missed")
    options = parser.parse_args(arguments)
    scores = []
    for program in programs(options.of_set):
        if options.only in program.name:
            scores.append(one := scored(program))
            for fault in one.missed if options.misses else ():
                print(f"{program.name}, line {fault.lines[0]}: {fault.what}", flush=True)
    print(table(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
