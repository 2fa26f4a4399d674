"""Kinds of gradient bugs, one of each planted in a correct recurrent cell.

A kind is a cell's source with a few words of it replaced, run as a module of its own; the cell's file holds no trace of
it. `KINDS` is the table, `CORRECT` the cells as they are, `outcome` what a check said in the words of the table.
"""

from __future__ import annotations

import linecache
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import gradcheck
from gradcheck._files import load

ROOT = Path(__file__).parents[2]
#: cell -> the file it stands in, and the name of its target
CELLS = {
    "lstm": ("tests/gallery/lstm.py", "lstm"),
    "fused_lstm": ("tests/gallery/fused_lstm.py", "fused_lstm"),
    "rnn": ("examples/cs231n_style.py", "vanilla_rnn"),
    "gru": ("examples/gru_class.py", "gru"),
    "gated_unit": ("examples/jax_style.py", "gated_unit"),
    "peephole": ("tests/gallery/peephole.py", "peephole"),
    "layer_norm": ("tests/gallery/layer_norm.py", "layer_norm"),
    "columns": ("tests/gallery/columns.py", "columns"),
}


class Kind(NamedTuple):
    """A kind of bug: what it is called, where it is planted, how it shows, and what a check must say of it.

    `verdicts` are words of `outcome`: "wrong" for most; "law" for a broken law beside right gradients.
    """

    name: str
    cell: str
    shows: str
    target: Any
    verdicts: tuple[str, ...]


def outcome(report: gradcheck.Report) -> str:
    """The verdict; "law" where no gradient is wrong but a law is broken."""
    if report.verdict == "wrong" and all(block.verdict != "wrong" for block in report.blocks.values()):
        return "law"
    return report.verdict


def plant(cell: str, name: str, *edits: tuple[str, str]) -> Any:
    """The cell's factory, from its source with the first text of each pair replaced by the second.

    Raises:
        ValueError: If a text to be replaced does not stand in the cell exactly once.
    """
    path, target = CELLS[cell]
    source = (ROOT / path).read_text(encoding="utf-8")
    for right, wrong in edits:
        if source.count(right) != 1:
            raise ValueError(f"{name}: {right!r} stands in {path} {source.count(right)} times, expected once")
        source = source.replace(right, wrong)
    file = f"{ROOT / path} ({name})"
    module = ModuleType(f"{cell}_spoiled")
    # Tracebacks and the search for lines find the source there; without a time it is never looked for on the disk.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), vars(module))
    return getattr(module, target)


def _kind(cell: str, name: str, shows: str, *edits: tuple[str, str], verdict: str = "wrong") -> Kind:
    return Kind(name, cell, shows, plant(cell, name, *edits), (verdict,))


CORRECT: dict[str, Any] = {cell: getattr(load(ROOT / path), target) for cell, (path, target) in CELLS.items()}

KINDS: tuple[Kind, ...] = (
    # -- pre-activations and slopes ------------------------------------------------------------------------------------
    _kind("lstm", "dc for dct in dWc", "that weight only", ("v.T @ dct", "v.T @ dc")),
    _kind("lstm", "dc for dct in dbc", "that bias only", ("dct.sum(axis=0)", "dc.sum(axis=0)")),
    _kind(
        "lstm",
        "sigma' of activated values",
        "all gates; the output gate alone at T=1",
        ("return s * (1 - s)", "return sigmoid(s) * (1 - sigmoid(s))"),
    ),
    _kind(
        "lstm",
        "tanh' of the activated candidate",
        "from the candidate to all gates",
        ("dtanh(ct)", "dtanh(np.tanh(ct))"),
    ),
    _kind("lstm", "sigma' applied twice", "that gate's blocks", ("* dsigmoid(i)", "* dsigmoid(i) * dsigmoid(i)")),
    _kind("lstm", "sigma for sigma'", "that gate's blocks, a factor around 2.5", ("* dsigmoid(f)", "* f")),
    _kind("lstm", "tanh' for the output gate", "that gate's blocks", ("dsigmoid(o)", "dtanh(o)")),
    _kind("lstm", "gate's derivative omitted", "that gate's blocks", ("ct * dsigmoid(i)", "ct")),
    _kind("lstm", "tanh' omitted on the way into c", "all but the output gate at T=1", (" * dtanh(np.tanh(c))", "")),
    _kind("lstm", "tanh' of c from raw c", "all but the output gate at T=1", ("dtanh(np.tanh(c))", "dtanh(c)")),
    _kind("lstm", "dc/di uses i, not g", "the input gate's blocks", ("dc * ct *", "dc * i *")),
    _kind("lstm", "dc/dg uses g, not i", "the candidate's blocks", ("dc * i * dtanh(ct)", "dc * ct * dtanh(ct)")),
    _kind("lstm", "dc/df uses the new c", "the forget gate's blocks", ("dc * c_old *", "dc * c *")),
    _kind("lstm", "dh/do uses raw c", "the output gate's blocks", ("dh * np.tanh(c) *", "dh * c *")),
    _kind("lstm", "o missing in dc", "all but the output gate at T=1", ("dh * o * dtanh", "dh * dtanh")),
    _kind("lstm", "sign of a gate", "that gate's blocks, factor -1", ("dzf = dc", "dzf = -dc")),
    # -- what is carried from step to step -----------------------------------------------------------------------------
    _kind("lstm", "carried dh dropped", "T=1 right", ("step_back(dh + dhs[t]", "step_back(dhs[t]")),
    _kind("lstm", "carried dc dropped", "T=1 right", ("dhs[t], dc, tape[t]", "dhs[t], 0 * dc, tape[t]")),
    _kind(
        "lstm",
        "carried dc assigned, not accumulated",
        "last step right but for c_T",
        ("dc = dc + dh * o", "dc = dh * o"),
    ),
    _kind(
        "lstm",
        "dL/dc of the last step ignored",
        "where the loss uses c_T",
        ("dh, dx = np.zeros_like(dc), []", "dh, dx, dc = np.zeros_like(dc), [], np.zeros_like(dc)"),
    ),
    _kind("lstm", "dh and dc swapped", "T>=2", ("dx_t, dh, dc = step_back", "dx_t, dc, dh = step_back")),
    _kind("lstm", "forget gate missing in the carried dc", "T>=2, and c0", ("dh_old, dc * f", "dh_old, dc")),
    _kind(
        "layer_norm",
        "only the last step processed",
        "T=1 right",
        ("range(len(dstates) - 1, -1, -1)", "[len(dstates) - 1]"),
    ),
    _kind(
        "fused_lstm",
        "index -1 wraps at t=0",
        "forget gate only",
        ("c_old = cs[t - 1] if t else c0", "c_old = cs[t - 1]"),
    ),
    _kind(
        "fused_lstm",
        "gate order mismatch",
        "permuted parts",
        (
            "di, df, do, dg = dc * g, dc * c_old, dh * squashed, dc * i",
            "df, di, do, dg = dc * g, dc * c_old, dh * squashed, dc * i",
        ),
    ),
    _kind(
        "fused_lstm",
        "elementwise clip inside",
        "at large cotangents",
        ("dh = dhs[t] + carried", "dh = np.clip(dhs[t] + carried, -20, 20)"),
        verdict="law",
    ),
)
