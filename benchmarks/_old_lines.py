"""How often the line of a planted bug is found, and how often it is mended.

``python benchmarks/lines.py`` plants single-statement bugs in the backward of correct cells of several styles, one at a
time or, with ``--pairs``, two, and checks each. It prints for each cell how many there were, how often the first
finding is on the changed line (of pairs: how often both lines are among the findings), how often a verified fix is
offered, and the processor seconds of a check. The bugs are made here, by operators that know nothing of the repair's
edits. A bug that changes the loss, leaves the gradients as they are, or lets no size run, is not counted;
of a pair each bug has to change a gradient both alone and beside the other.
"""

from __future__ import annotations

import argparse
import ast
import copy
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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import combinations
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

ROOT = Path(__file__).parent.parent


class Cell(NamedTuple):
    """A correct cell: the file that is spoiled, the file and the name of its target, functions with a backward."""

    spoiled: str
    file: str
    target: str
    functions: tuple[str, ...]


CELLS = {
    "asker": Cell("examples/asker_lstm.py", "", "asker_lstm", ("backpropagate", "bptt", "dsigmoid", "dtanh")),
    "guide": Cell(
        "examples/guide_lstm.py",
        "",
        "guide_lstm",
        ("lstm_backward", "train_step", "dsigmoid", "dtanh", "dsigmoid_of", "dtanh_of"),
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
        ("lstm_backward", "_run_back", "_slopes", "_input_weight_gradient"),
    ),
}
#: a spoiled node, and what takes its place
Bug = tuple[ast.stmt, ast.AST, Callable[[Any], ast.AST]]
SWAPS: dict[type[ast.operator], tuple[type[ast.operator], ...]] = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Add, ast.Div),
    ast.Div: (ast.Mult,),
    ast.MatMult: (),
}


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


def bugs(cell: Cell) -> tuple[str, list[Bug]]:
    """The source of a cell, and every bug that the operators make of it."""
    source = (ROOT / cell.spoiled).read_text(encoding="utf-8")
    found: list[Bug] = []
    for function in ast.walk(ast.parse(source)):
        if isinstance(function, ast.FunctionDef) and function.name in cell.functions:
            stored = {n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            for statement in ast.walk(function):
                if isinstance(statement, (ast.Assign, ast.AugAssign, ast.Return)) and statement.value is not None:
                    found += _of_statement(statement, sorted(stored))
    return source, found


def _of_statement(statement: ast.Assign | ast.AugAssign | ast.Return, stored: list[str]) -> Iterator[Bug]:
    assert statement.value is not None
    for node in ast.walk(statement.value):
        if isinstance(node, ast.BinOp):
            for operator in SWAPS.get(type(node.op), ()):
                yield statement, node, partial(_with_operator, operator)
            yield statement, node, lambda n: n.left
            yield statement, node, lambda n: n.right
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in stored:
            for other in stored:
                if other != node.id:
                    yield statement, node, partial(_named, other)
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            yield statement, node, lambda n: ast.Constant(n.value + 1)
        if isinstance(node, ast.Attribute) and node.attr == "T":
            yield statement, node, lambda n: n.value
        if isinstance(node, ast.Call) and node.args:
            yield statement, node, lambda n: n.args[0]
        if isinstance(node, (ast.BinOp, ast.Call, ast.Name)):
            yield statement, node, lambda n: ast.UnaryOp(ast.USub(), n)
    if isinstance(statement, ast.AugAssign):
        yield statement, statement, lambda n: ast.Assign([n.target], n.value)


def _with_operator(operator: type[ast.operator], node: ast.BinOp) -> ast.AST:
    return ast.BinOp(node.left, operator(), node.right)


def _named(name: str, _: ast.AST) -> ast.AST:
    return ast.Name(name, ast.Load())


def spoiled(source: str, chosen: list[Bug]) -> tuple[str, list[str], list[str]]:
    """The source with these bugs, each line number unchanged; the statements before and after."""
    lines = source.splitlines(keepends=True)
    before, after = [], []
    for statement, node, change in chosen:
        text = ast.unparse(ast.fix_missing_locations(_Replaced(node, change).visit(_aside(statement, node))))
        end = statement.end_lineno or statement.lineno
        before.append(" ".join("".join(lines[statement.lineno - 1 : end]).split()))
        after.append(text)
        blank = ["\n"] * (end - statement.lineno)
        lines[statement.lineno - 1 : end] = [" " * statement.col_offset + text + "\n", *blank]
    return "".join(lines), before, after


class _Replaced(ast.NodeTransformer):
    def __init__(self, node: ast.AST, change: Callable[[Any], ast.AST]) -> None:
        self.node, self.change = node, change

    def visit(self, node: ast.AST) -> Any:
        if getattr(node, "spoil", False):
            return ast.copy_location(self.change(node), node)
        return self.generic_visit(node)


def _aside(statement: ast.stmt, node: ast.AST) -> ast.stmt:
    """A copy of the statement, the node in it marked."""
    node.spoil = True  # type: ignore[attr-defined]  # a mark that copies with the node
    try:
        return copy.deepcopy(statement)
    finally:
        del node.spoil  # type: ignore[attr-defined]


def judged(name: str, numbers: tuple[int, ...]) -> Outcome:
    """Check a cell with these of its bugs."""
    source, found = bugs(CELLS[name])
    chosen = [found[number] for number in numbers]
    text, before, after = spoiled(source, chosen)
    result = Outcome(name, " / ".join(before), " / ".join(after))
    with _planted(CELLS[name], text) as folder:
        try:
            return _checked(CELLS[name], folder, [statement.lineno for statement, _, _ in chosen], result)
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
    from gradcheck._common.files import load

    return load(Path(folder, cell.file or cell.spoiled))


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
    from gradcheck._checking import check as _check

    _check.TRACE_ERRORS_RAISE = True
    try:
        factory = getattr(load(folder, cell), cell.target)
        if not cell.file and _changes_the_loss(factory, getattr(load(str(ROOT), cell), cell.target)):
            return result._replace(status="another loss")
        begin = time.process_time()
        report = gradcheck.check(factory)
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
    from gradcheck._usercode.source import Edit, apply_edits

    place = Path(folder, cell.spoiled)
    edits = [Edit((a, b), (c, d), new) for a, b, c, d, new in patch.get(str(place), ())]
    return apply_edits(place.read_text(encoding="utf-8"), edits) if edits else ""


def _changes_the_loss(spoiled: Any, original: Any) -> bool:
    """Whether another loss is to be differentiated: then the bug is in the forward, and not what is counted."""
    right = original.build(0, original.sizes)
    values = right.values()
    return not np.array_equal(spoiled.build(0, original.sizes).loss_at(values), right.loss_at(values))


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


def _singles(name: str, sample: int, rng: random.Random) -> list[tuple[int, ...]]:
    count = len(bugs(CELLS[name])[1])
    return [(number,) for number in rng.sample(range(count), min(sample or count, count))]


def _pairs(pool: Pool, name: str, sample: int, rng: random.Random) -> list[tuple[int, ...]]:
    """Pairs of bugs, of different statements, each of which changes a gradient both alone and beside the other."""
    source, found = bugs(CELLS[name])

    def seen(chosen: list[tuple[int, ...]]) -> dict[tuple[int, ...], bytes]:
        texts = [(name, spoiled(source, [found[one] for one in numbers])[0]) for numbers in chosen]
        return dict(zip(chosen, pool.starmap(gradients, texts, chunksize=1), strict=True))

    alone = seen([(), *_singles(name, 3 * sample, rng)])
    useless = {b"", alone.pop(())}
    matter = [numbers[0] for numbers, one in alone.items() if one not in useless]
    pairs = [(a, b) for a, b in combinations(matter, 2) if found[a][0] is not found[b][0]]
    both = seen(rng.sample(pairs, min(sample or len(pairs), len(pairs))))
    return [(a, b) for (a, b), one in both.items() if one not in {*useless, alone[(a,)], alone[(b,)]}]


def _with_fixes(pool: Pool, outcomes: list[Outcome]) -> list[Outcome]:
    """The outcomes, those marked as fixed whose fixes give the gradients of the file without a bug."""
    cells = {one.cell for one in outcomes}
    right = {name: pool.apply(gradients, (name, bugs(CELLS[name])[0])) for name in cells}
    texts = [(one.cell, one.mended) for one in outcomes if one.mended]
    seen = dict(zip(texts, pool.starmap(gradients, texts, chunksize=1), strict=True))
    return [one._replace(fixed=seen.get((one.cell, one.mended)) == right[one.cell]) for one in outcomes]


if __name__ == "__main__":
    main()
