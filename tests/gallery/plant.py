"""Plants a bug in a cell: a few words of its source are replaced, and what comes out is run as a module of its own."""

from __future__ import annotations

import linecache
from pathlib import Path
from types import ModuleType
from typing import Any

from gradcheck._common.files import load

ROOT = Path(__file__).parents[2]
#: the cells: their names are those of their targets; each is in a file of its own name, but for those of the examples
CELLS = {
    "vanilla_rnn": "examples/cs231n_style.py",
    "gru": "examples/gru_class.py",
    "gated_unit": "examples/jax_style.py",
} | {
    name: f"tests/gallery/{name}.py"
    for name in (
        "lstm",
        "fused_lstm",
        "peephole",
        "coupled",
        "projected",
        "layer_norm",
        "leaky",
        "hard",
        "columns",
        "bidirectional",
        "stacked",
        "masked",
        "windows",
        "attention",
        "seq2seq",
        "char_model",
    )
}


def correct(cell: str) -> Any:
    """The cell's factory, as it stands in its file."""
    return getattr(load(ROOT / CELLS[cell]), cell)


def plant(cell: str, name: str, *edits: tuple[str, str]) -> Any:
    """The cell's factory, from its source with the first text of each pair replaced by the second.

    Raises:
        ValueError: If a text to be replaced does not stand in the cell exactly once.
    """
    path = ROOT / CELLS[cell]
    source = path.read_text(encoding="utf-8")
    for right, wrong in edits:
        if source.count(right) != 1:
            raise ValueError(f"{name}: {right!r} stands in {path.name} {source.count(right)} times, expected once")
        source = source.replace(right, wrong)
    file = f"{path} ({name})"
    module = ModuleType(f"{cell}_spoiled")
    # Tracebacks and the search for lines read it there; an entry without a time is never looked for on the disk.
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    exec(compile(source, file, "exec"), vars(module))
    return getattr(module, cell)
