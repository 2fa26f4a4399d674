"""Reports as pages show them."""

from __future__ import annotations

import re
from pathlib import Path

import gradcheck

#: what the README shows a report of, and the parts that it leaves out
README_COMMAND = "ASKER_DEFECTS=dWc_uses_dc gradcheck check examples/asker_lstm.py::asker_lstm"
GAP = "  ...\n"
#: what the tutorial shows the whole report of
TUTORIAL_COMMAND = "gradcheck check examples/asker_lstm.py::asker_lstm"
ROOT = Path(__file__).parent.parent


def words(text: str) -> list[str]:
    """The text without what differs between machines: numbers, signs, line breaks and column widths."""
    return re.sub(r"[-+]?\d[\d.e+-]*", "#", text).split()


def is_shown_in_readme(report: gradcheck.Report) -> bool:
    """Whether each part of a report that the README shows is in this one, and the README shows one."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"```text\n\$ {re.escape(README_COMMAND)}\n(.*?)```", readme, re.S)
    printed = " ".join(words(str(report)))
    return found is not None and all(" ".join(words(part)) in printed for part in found[1].split(GAP))


def is_shown_in_tutorial(report: gradcheck.Report) -> bool:
    """Whether the tutorial shows this report, the table first."""
    tutorial = (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8")
    shown = tutorial.split(f"$ {TUTORIAL_COMMAND}\n")[1].split("```")[0]
    is_in_order = shown.index("  gradient  shape") < shown.index("error[")
    # the order of rows follows errors, and those of the right ones are rounding
    return is_in_order and sorted(words(shown)) == sorted(words(str(report)))
