"""How often the line of a planted bug is found, and how often it is mended.

``python benchmarks/lines.py`` plants single-statement bugs in the backward of correct cells of several styles, one at a
time or, with ``--pairs``, two, and checks each. It prints for each cell how many there were, how often the first
finding is on the changed line (of pairs: how often both lines are among the findings), how often a verified fix is
offered, and the processor seconds of a check. The bugs are those of ``gradcheck mutate``, whose operators know nothing
of the repair's edits. A bug that changes the loss, leaves the gradients as they are, or lets no size run, is not
counted; of a pair each bug has to change a gradient both alone and beside the other.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradcheck._common.files import load as load_file
from gradcheck._mutation.operators import Mutant, locals_at_return, mutants
from gradcheck._usercode.profiling import functions_run
from gradcheck._usercode.source import Edit, Source, apply_edits
from gradcheck._usercode.style import styled_edit

ROOT = Path(__file__).parent.parent

os.environ["LSTM_CORE"] = "numpy"  # the form of lstm_core in which bugs are planted, here and in the workers


class Cell(NamedTuple):
    """A correct cell: the file that is spoiled, the file and the name of its target, functions with a backward."""

    spoiled: str
    file: str
    target: str
    functions: tuple[str, ...]


CELLS = {
    "asker": Cell("examples/asker_lstm.py", "", "asker_lstm", ("backpropagate", "bptt", "dtanh")),
    "guide": Cell(
        "examples/guide_lstm.py",
        "",
        "guide_lstm",
        ("lstm_backward", "train_step", "dtanh", "dsigmoid_of", "dtanh_of"),
    ),
    "gru": Cell("examples/gru_class.py", "", "gru", ("backward",)),
    "cs231n": Cell("examples/cs231n_style.py", "", "vanilla_rnn", ("rnn_backward",)),
    "jax style": Cell("examples/jax_style.py", "", "gated_unit", ("loss_and_grads",)),
    "peephole": Cell("tests/gallery/peephole.py", "", "peephole", ("backward",)),
    "layer norm": Cell("tests/gallery/layer_norm.py", "", "layer_norm", ("backward",)),
    "columns": Cell("tests/gallery/columns.py", "", "columns", ("loss_fun",)),
    "lstm_core cell": Cell("lstm_core/cell.py", "tests/gallery/fused.py", "cell", ("cell_backward",)),
    "lstm_core": Cell(
        "lstm_core/sequence.py",
        "tests/gallery/fused.py",
        "sequence",
        ("lstm_backward", "backward"),
    ),
}


class Bug(NamedTuple):
    """A bug to be planted: the lines of its statement, and the change."""

    first: int
    last: int
    edit: Edit


class Outcome(NamedTuple):
    """What a check said of one bug (or two)."""

    cell: str
    before: str
    after: str
    status: str = ""
    line: bool = False
    fixed: bool = False
    seconds: float = 0.0
    said: str = ""
    #: the file with the fixes that were offered
    mended: str = ""


def source_of(name: str) -> Source:
    """The file of a cell that is spoiled, as it is."""
    return Source.read(str((ROOT / CELLS[name].spoiled).resolve()))


def bugs(name: str) -> list[Bug]:
    """Every bug that the operators make in a cell's backward.

    Raises:
        ValueError: If a function of the cell's does not run in its backward.
    """
    cell, source = CELLS[name], source_of(name)
    factory = getattr(load(str(ROOT), cell), cell.target)
    target = factory.build(0, factory.sizes)
    target.draw_cotangents(np.random.default_rng(0))
    base = target.values()
    codes = [code for code in functions_run(lambda: target.grads_at(base)) if code.co_filename == source.file]
    missing = {*cell.functions} - {code.co_name for code in codes}
    if missing:
        raise ValueError(f"{name}: {', '.join(sorted(missing))} of {cell.spoiled} does not run")
    codes = [code for code in codes if code.co_name in cell.functions]
    frames = locals_at_return(lambda: target.grads_at(base), codes)
    return [
        Bug(one.statement.line, one.statement.node.end_lineno or one.statement.line, _styled(one, source))
        for code in codes
        for one in mutants(source, code, frames[code])
    ]


def _styled(mutant: Mutant, source: Source) -> Edit:
    return styled_edit(mutant.statement.node, mutant.edit, source)


def spoiled(source: Source, chosen: Sequence[Bug]) -> tuple[str, str, str]:
    """The source with these bugs, each line number unchanged; the lines before and after."""
    edits = [one.edit for one in chosen]
    for one in chosen:  # an edit that takes lines away leaves as many empty ones behind the statement
        lost = one.edit.end[0] - one.edit.start[0] - one.edit.text.count("\n")
        end = one.last, len(source.lines[one.last - 1].encode())
        edits += [Edit(end, end, lost * "\n")] if lost else []
    changes = [source.change(one.edit) for one in chosen]
    before = " / ".join(" ".join(change[1].split()) for change in changes)
    after = " / ".join(" ".join(change[2].split()) for change in changes)
    return source.edited(edits), before, after


def judged(name: str, chosen: tuple[Bug, ...]) -> Outcome:
    """Check a cell with these bugs."""
    text, before, after = spoiled(source_of(name), chosen)
    result = Outcome(name, before, after)
    with _planted(CELLS[name], text) as folder:
        try:
            return _checked(CELLS[name], folder, [one.first for one in chosen], result)
        except Exception:
            return result._replace(status="error", said=traceback.format_exc()[-400:])


def gradients(name: str, text: str) -> bytes:
    """The gradients of a cell with this text, rounded, to be compared; nothing if it does not run."""
    cell = CELLS[name]
    with _planted(cell, text) as folder:
        try:
            factory = getattr(load(folder, cell), cell.target)
            target = factory.build(0, factory.sizes)
            target.draw_cotangents(np.random.default_rng(0))
            raw = dict(target.grads_at(target.values()))
            return repr({str(one): np.asarray(raw[one], dtype=float).round(9).tolist() for one in sorted(raw)}).encode()
        except Exception:  # whatever spoiled code may raise
            return b""


def load(folder: str, cell: Cell) -> Any:
    """The module with the target, from a folder with the spoiled file."""
    return load_file(Path(folder, cell.file or cell.spoiled))


@contextmanager
def _planted(cell: Cell, text: str) -> Iterator[str]:
    """A folder with the cell's files, one of them with this text; the first place where modules are looked for."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        place = Path(folder, cell.spoiled)
        for file in {Path(cell.spoiled).parent, *([Path(cell.file).parent] if cell.file else [])}:
            for one in (ROOT / file).glob("*.py"):
                Path(folder, file).mkdir(parents=True, exist_ok=True)
                Path(folder, file, one.name).write_bytes(one.read_bytes())
        place.write_text(text, encoding="utf-8")
        sys.path[:0] = [folder, str(place.parent)]
        yield folder


def _checked(cell: Cell, folder: str, lines: list[int], result: Outcome) -> Outcome:
    import gradcheck
    from gradcheck._common import errors

    errors.SEARCH_ERRORS_RAISE = True
    try:
        factory = getattr(load(folder, cell), cell.target)
        if not cell.file and _changes_the_loss(factory, getattr(load(str(ROOT), cell), cell.target)):
            return result._replace(status="another loss")
        begin = time.process_time()
        report = gradcheck.check(factory, budget=None)  # the same on a slow machine
        seconds = time.process_time() - begin
    except (gradcheck.TargetError, SyntaxError):
        return result._replace(status="raises")
    if not any(block.verdict == "wrong" for block in report.blocks.values()):
        return result._replace(status=report.verdict if report.ok else "law")
    if any(not law.holds for law in report.laws.values() if law.name in ("shapes", "finite", "names")):
        return result._replace(status="law")
    located = [finding.line for finding in report.findings if finding.line is not None]
    hit = located[:1] == lines if len(lines) == 1 else set(lines) <= set(located)
    said = "; ".join(f"{one.line}: {one.fix.after if one.fix else None}" for one in report.findings if one.line)
    mended = _patched(report.patch, cell, folder)
    return result._replace(status="judged", line=hit, mended=mended, seconds=seconds, said=said)


def _patched(patch: dict[str, Any], cell: Cell, folder: str) -> str:
    """The spoiled file with the verified fixes; nothing if there are none."""
    place = Path(folder, cell.spoiled)
    edits = [Edit((a, b), (c, d), new) for a, b, c, d, new in patch.get(str(place), ())]
    return apply_edits(place.read_text(encoding="utf-8"), edits) if edits else ""


def _changes_the_loss(spoiled: Any, original: Any) -> bool:
    """Whether another loss is to be differentiated: then the bug is in the forward, and not what is counted."""
    targets = [factory.build(0, original.sizes) for factory in (spoiled, original)]
    for target in targets:
        target.draw_cotangents(np.random.default_rng(0))
    values = targets[1].values()
    return not np.array_equal(*(target.loss_at(values) for target in targets))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("cells", nargs="*", default=list(CELLS), help=f"some of {', '.join(CELLS)}")
    parser.add_argument(
        "--sample", type=int, default=60, help="bugs, or pairs, tried in each cell (default: 60; 0: all)"
    )
    parser.add_argument("--pairs", action="store_true", help="two bugs at once, in different statements")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="write every outcome to this file")
    parser.add_argument("--misses", action="store_true", help="print what was not found or not mended")
    options = parser.parse_args()
    os.environ |= {"ASKER_DEFECTS": "none", "GUIDE_DEFECTS": "none", "OMP_NUM_THREADS": "1"}
    rng = random.Random(options.seed)
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=1) as pool:
        drawn = partial(_pairs, pool) if options.pairs else _singles
        jobs = [(name, one) for name in options.cells for one in drawn(name, options.sample, rng)]
        outcomes = _with_fixes(pool, pool.starmap(judged, jobs, chunksize=1))
    print(f"{'cell':16}{'bugs':>6}{'wrong':>7}{'line':>7}{'fixed':>7}{'median s':>10}{'worst s':>9}")
    for name in [*options.cells, "all"]:
        of_cell = [one for one in outcomes if name in (one.cell, "all")]
        some = [one for one in of_cell if one.status == "judged"]
        seconds = [one.seconds for one in some] or [0.0]
        judgements = [(one.line, one.fixed) for one in some] or [(False, False)]
        line, fixed = (100 * sum(flags) / max(1, len(some)) for flags in zip(*judgements, strict=True))
        told = f"{line:6.1f}%{fixed:6.1f}%{statistics.median(seconds):10.2f}{max(seconds):9.2f}"
        print(f"{name:16}{len(of_cell):6}{len(some):7}{told}")
    for one in outcomes:
        missed = one.status == "error" or (one.status == "judged" and not (one.line and one.fixed))
        if options.misses and missed:
            print(f"{one.cell}: {one.before}  ->  {one.after}  | line {one.line}, fixed {one.fixed} | {one.said}")
    if options.json:
        options.json.write_text(json.dumps([one._asdict() for one in outcomes], indent=1), encoding="utf-8")


def _singles(name: str, sample: int, rng: random.Random) -> list[tuple[Bug, ...]]:
    found = bugs(name)
    return [(one,) for one in rng.sample(found, min(sample or len(found), len(found)))]


def _pairs(pool: Pool, name: str, sample: int, rng: random.Random) -> list[tuple[Bug, ...]]:
    """Pairs of bugs, of different statements, each of which changes a gradient both alone and beside the other."""
    source = source_of(name)

    def seen(chosen: Sequence[tuple[Bug, ...]]) -> dict[tuple[Bug, ...], bytes]:
        texts = [(name, spoiled(source, some)[0]) for some in chosen]
        return dict(zip(chosen, pool.starmap(gradients, texts, chunksize=1), strict=True))

    alone = seen([(), *_singles(name, 3 * sample, rng)])
    useless = {b"", alone.pop(())}
    matter = [some[0] for some, one in alone.items() if one not in useless]
    pairs = [(a, b) for a, b in combinations(matter, 2) if a.last < b.first or b.last < a.first]
    both = seen(rng.sample(pairs, min(sample or len(pairs), len(pairs))))
    return [(a, b) for (a, b), one in both.items() if one not in {*useless, alone[(a,)], alone[(b,)]}]


def _with_fixes(pool: Pool, outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes, those marked as fixed whose fixes give the gradients of the file without a bug."""
    cells = {one.cell for one in outcomes}
    right = {name: pool.apply(gradients, (name, source_of(name).text)) for name in cells}
    texts = [(one.cell, one.mended) for one in outcomes if one.mended]
    seen = dict(zip(texts, pool.starmap(gradients, texts, chunksize=1), strict=True))
    return [one._replace(fixed=seen.get((one.cell, one.mended)) == right[one.cell]) for one in outcomes]


if __name__ == "__main__":
    main()
