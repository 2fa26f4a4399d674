"""How often the line of a bug is named, and mended, in cells that are written as other people write them.

``python benchmarks/strangers.py`` plants the bugs of the cells in ``strangers_code/``, one at a time or, with
``--pairs``, two, and runs the command on each file, with ``--fix``. Each cell was written by someone who did not know
how lines are found, in a style of its own, with eight mistakes that people make. The tool's word counts for nothing
here: the file that it has written is right only if central differences of this file's own say so, at two sizes and two
seeds, and when asked twice.

Printed for each cell: how often the first finding with a line is on the changed line (of pairs: how often both lines
are among the findings), how often the written file is right, how often one was written that is not, and the processor
seconds of a command. ``--misses`` shows what was said where a line or a mend was missed.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.util
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

from tables import markdown

FOLDER = Path(__file__).parent / "strangers_code"
#: what makes a target of a cell, appended to its file
TARGET = """

import gradcheck


@gradcheck.target
def subject(rng, *, {sizes}):
    return make(gradcheck.Target, rng, {given})
"""
#: the step of the central differences
STEP = 1e-5
#: how far a gradient may be from them, relative to its largest entry
CLOSE = 1e-6
#: and from itself, asked again
SAME = 1e-9
#: gradients below this are compared as if they were as large
SMALL = 1e-3
#: seconds on the wall after which a command is given up
TIMEOUT = 180

Array = np.ndarray[Any, np.dtype[Any]]


class Cell(NamedTuple):
    """A correct cell, and what can be planted in it: by name, a text that stands once, and another for it."""

    name: str
    text: str
    bugs: Mapping[str, tuple[str, str]]
    pairs: Sequence[tuple[str, str]]

    @property
    def sizes(self) -> dict[str, int]:
        """The default sizes of its `make`."""
        functions = (one for one in ast.parse(self.text).body if isinstance(one, ast.FunctionDef))
        given = next(one for one in functions if one.name == "make").args
        named = given.args[-len(given.defaults) :]
        return {one.arg: int(ast.literal_eval(value)) for one, value in zip(named, given.defaults, strict=True)}

    def planted(self, *bugs: str) -> tuple[str, list[int]]:
        """The text with these bugs, and their lines."""
        text, lines = self.text, []
        for bug in bugs:
            old, new = self.bugs[bug]
            assert self.text.count(old) == 1, (self.name, bug)
            lines.append(self.text[: self.text.index(old)].count("\n") + 1)
            text = text.replace(old, new)
        return text, lines

    def target(self) -> str:
        """What makes a target of it."""
        sizes = ", ".join(f"{name}={value}" for name, value in self.sizes.items())
        return TARGET.format(sizes=sizes, given=", ".join(f"{name}={name}" for name in self.sizes))


class Score(NamedTuple):
    """What came of one file."""

    cell: str
    bugs: tuple[str, ...]
    lines: list[int]
    named: list[int]
    is_first: bool
    is_right: bool
    is_written: bool
    seconds: float


def cells() -> list[Cell]:
    """All of them, by name."""
    result = []
    for file in sorted(FOLDER.glob("*.py")):
        text, space = parted(file, "BUGS")
        result.append(Cell(file.stem, text, space["BUGS"], space["PAIRS"]))
    return result


def parted(file: Path, name: str) -> tuple[str, dict[str, Any]]:
    """The text before a variable of this name, and what that and all behind it hold."""
    text, rest = file.read_text(encoding="utf-8").split(f"\n{name} = ")
    space: dict[str, Any] = {}
    exec(f"{name} = {rest}", space)
    return text, space


# -- the truth, by central differences of this file's own --------------------------------------------------------------


class Plain:
    """Keeps what a cell hands over; of a forward and a backward it makes a loss with weights of its own."""

    def __init__(self, params: Any, loss: Callable[[], float], grads: Callable[[], Any], **_: Any) -> None:
        """Take what a `Target` takes, and leave the rest."""
        self.params, self.loss, self.grads = params, loss, grads

    @classmethod
    def from_vjp(cls, forward: Callable[..., Any], backward: Callable[..., Any], inputs: Any, **_: Any) -> Plain:
        """The weighted sum of all outputs is the loss, the weights are the cotangents."""
        arrays = {
            name: np.array(one, float) if np.asarray(one).dtype.kind == "f" else one for name, one in inputs.items()
        }
        outputs = forward(*arrays.values())[0]
        is_one, rng = not isinstance(outputs, tuple), np.random.default_rng(5)
        weights = [rng.normal(size=np.shape(one)) for one in ((outputs,) if is_one else outputs)]

        def loss() -> float:
            found = forward(*arrays.values())[0]
            parts = zip(weights, (found,) if is_one else found, strict=True)
            return float(sum(np.sum(weight * one) for weight, one in parts))

        def grads() -> dict[str, Any]:
            copies = [one.copy() for one in weights]
            found = backward(copies[0] if is_one else tuple(copies), forward(*arrays.values())[1])
            return dict(found) if isinstance(found, dict) else dict(zip(inputs, found, strict=True))

        return cls({name: one for name, one in arrays.items() if np.asarray(one).dtype.kind == "f"}, loss, grads)


def loaded(text: str, folder: str) -> ModuleType:
    """The text as a module, from a file of its own."""
    path = Path(tempfile.mkdtemp(dir=folder), "cell.py")
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(f"stranger_{path.parent.name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def is_right(text: str, sizes: dict[str, int]) -> bool:
    """Whether every gradient is the slope, at two sizes and two seeds, and the same when asked twice."""
    grown = {name: value + 1 for name, value in sizes.items()}
    with tempfile.TemporaryDirectory() as folder, np.errstate(all="ignore"), contextlib.redirect_stdout(None):
        try:
            make = loaded(text, folder).make
            for seed, at in ((11, sizes), (12, grown), (13, sizes)):
                try:
                    target = make(Plain, np.random.default_rng(seed), **at)
                except ValueError:  # a cell may refuse sizes
                    target = make(Plain, np.random.default_rng(seed), **sizes)
                if not is_slope(target):
                    return False
        except Exception:  # whatever spoiled code may raise
            return False
    return True


def is_slope(target: Plain) -> bool:
    """Whether every gradient is the slope, and the same when asked twice."""
    params = target.params() if callable(target.params) else target.params
    first, again = _gradients(target), _gradients(target)
    for name, weight in params.items():
        slopes = np.zeros(weight.shape)
        for index in np.ndindex(weight.shape):
            slopes[index] = _slope(target, weight, index)
        scale = max(float(np.max(np.abs(slopes), initial=0.0)), SMALL)
        if first[name].shape != slopes.shape or np.max(np.abs(first[name] - slopes), initial=0.0) > CLOSE * scale:
            return False
        if np.max(np.abs(first[name] - again[name]), initial=0.0) > SAME * scale:
            return False
    return True


def _gradients(target: Plain) -> dict[str, Array]:
    target.loss()
    return {name: np.array(one, float) for name, one in target.grads().items()}


def _slope(target: Plain, weight: Array, index: tuple[int, ...]) -> float:
    before = weight[index]
    ends = []
    for step in (STEP, -STEP):
        weight[index] = before + step
        ends.append(float(target.loss()))
    weight[index] = before
    return (ends[0] - ends[1]) / (2 * STEP)


# -- the command, and its score ----------------------------------------------------------------------------------------


def scored(cell: Cell, bugs: tuple[str, ...]) -> Score:
    """Plant these bugs, run the command, and look at what it says and writes."""
    text, lines = cell.planted(*bugs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{cell.name}.py")
        path.write_text(text + cell.target(), encoding="utf-8")
        report, seconds = asked(path)
        written = path.read_text(encoding="utf-8").removesuffix(cell.target())
    named = [one["line"] for one in report.get("findings", []) if one.get("line")]
    is_first = set(lines) <= set(named) if len(lines) > 1 else named[:1] == lines
    good = written != text and is_right(written, cell.sizes)
    return Score(cell.name, bugs, lines, named, is_first, good, written != text, seconds)


def asked(path: Path) -> tuple[dict[str, Any], float]:
    """The report of the command, and its processor seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "gradcheck", "check", str(path), "--json", "--fix"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUTF8": "1"}
    lines: list[str] = []
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=TIMEOUT, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return (json.loads(lines[0]) if lines else {}), seconds


def table(scores: Sequence[Score]) -> str:
    """A row for each cell, and one for all."""
    groups = [(name, list(group)) for name, group in itertools.groupby(scores, key=lambda one: one.cell)]
    rows = [_row(name, group) for name, group in [*groups, ("all", list(scores))]]
    return markdown(["cell", "bugs", "line", "right after --fix", "written, not right", "CPU s", "worst"], rows)


def _row(name: str, scores: Sequence[Score]) -> list[str]:
    seconds = [one.seconds for one in scores] or [0.0]
    wrong = sum(one.is_written and not one.is_right for one in scores)
    return [
        name,
        str(len(scores)),
        str(sum(one.is_first for one in scores)),
        str(sum(one.is_right for one in scores)),
        str(wrong),
        f"{statistics.median(seconds):.1f}",
        f"{max(seconds):.1f}",
    ]


def jobs(chosen: Sequence[Cell], *, pairs: bool, only: str) -> Iterator[tuple[Cell, tuple[str, ...]]]:
    """What is planted: each cell with each of its bugs, or of its pairs."""
    for cell in chosen:
        groups = [tuple(pair) for pair in cell.pairs] if pairs else [(bug,) for bug in cell.bugs]
        yield from ((cell, bugs) for bugs in groups if only in f"{cell.name}/{'+'.join(bugs)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; exit status 1 if a written file is not right."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pairs", action="store_true", help="two bugs at once")
    parser.add_argument("--only", default="", metavar="TEXT", help="cells and bugs with this in their name")
    parser.add_argument("--misses", action="store_true", help="show where a line or a mend was missed")
    options = parser.parse_args(arguments)
    scores = []
    for cell, bugs in jobs(cells(), pairs=options.pairs, only=options.only):
        scores.append(one := scored(cell, bugs))
        if options.misses and not (one.is_first and one.is_right):
            end = "right" if one.is_right else "written, not right" if one.is_written else "no mend"
            print(f"{cell.name}/{'+'.join(bugs)}: line {one.lines}, named {one.named}, {end}", flush=True)
    print(table(scores))
    return int(any(one.is_written and not one.is_right for one in scores))


if __name__ == "__main__":
    sys.exit(main())
