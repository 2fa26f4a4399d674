"""A target in short, as text and as HTML: its name, and what it has gradients of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gradcheck.report.markup import NOTHING, column_head, data_table, escape, inline, tag
from gradcheck.report.stylesheet import scoped


class Held(NamedTuple):
    """An array of a target: a parameter, or an input."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    is_input: bool = False


def target_in_short(name: str, arrays: Sequence[Held]) -> str:
    """One line: ``<Target lstm: W 3×4, b 4>``."""
    held = ", ".join(f"{one.name} {_shape(one)}" for one in arrays if not one.is_input)
    return f"<Target {name}: {held}>" if held else f"<Target {name}>"


def target_to_html(name: str, arrays: Sequence[Held]) -> str:
    """The name, and a table of the arrays."""
    rows = [
        tag(
            "tr",
            tag("th", escape(one.name), scope="row"),
            *(tag("td", escape(cell)) for cell in (_shape(one), one.dtype, "input" if one.is_input else "parameter")),
        )
        for one in arrays
    ]
    columns = [column_head(words) for words in ("array", "shape", "dtype", "role")]
    title = tag("p", escape("target "), inline("b", escape(name)))
    return scoped(title, data_table("Arrays", columns, rows, "gradients") if rows else NOTHING)


def _shape(one: Held) -> str:
    return "×".join(map(str, one.shape)) or "scalar"
