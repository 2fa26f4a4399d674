"""Reports as pages show them."""

from __future__ import annotations

import re
from pathlib import Path

import gradcheck

#: what the README shows a report of, and the parts that it leaves out
COMMAND = "ASKER_DEFECTS=dWc_uses_dc gradcheck check examples/asker_lstm.py::asker_lstm"
GAP = "  ...\n"


def words(text: str) -> list[str]:
    """The text without what differs between machines: numbers, signs, line breaks and column widths."""
    return re.sub(r"[-+]?\d[\d.e+-]*", "#", text).split()


def is_shown_in_readme(report: gradcheck.Report) -> bool:
    """Whether each part of a report that the README shows is in this one, and the README shows one."""
    readme = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"```text\n\$ {re.escape(COMMAND)}\n(.*?)```", readme, re.S)
    printed = " ".join(words(str(report)))
    return found is not None and all(" ".join(words(part)) in printed for part in found[1].split(GAP))
