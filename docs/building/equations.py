"""Equations in LaTeX become MathML, which browsers draw themselves: no script, nothing from another server."""

from __future__ import annotations

import html
from typing import Any


def equations(source: str, *_: Any, **__: Any) -> str:
    r"""A fence ``math`` as MathML; rows end in ``\\``, columns in ``&``, as in ``aligned``."""
    from latex2mathml.converter import convert  # only where the site is built

    body = source.replace(r"\begin{aligned}", "").replace(r"\end{aligned}", "").strip()
    rows = []
    for row in body.split(r"\\"):
        cells = []
        for column, cell in enumerate(row.strip().split("&")):
            inner = convert("{}" + cell.strip() if column % 2 else cell.strip())
            inner = inner[inner.index(">") + 1 : -len("</math>")].replace(
                'stretchy="true">&#x000AF;', 'stretchy="false">&#x000AF;'
            )
            align = "left" if column % 2 else "right"
            cells.append(f'<mtd style="text-align: {align}">{inner}</mtd>')
        rows.append(f"<mtr>{''.join(cells)}</mtr>")
    table = f'<mtable displaystyle="true">{"".join(rows)}</mtable>'
    told = html.escape(body)
    return f'<div class="equations"><math display="block" alttext="{told}">{table}</math></div>'
