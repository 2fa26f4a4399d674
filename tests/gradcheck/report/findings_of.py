"""Findings at a line of a given source, as a check makes them."""

from __future__ import annotations

import difflib
from typing import Any

from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Evidence, Fix
from gradcheck.report.records import Finding


def finding_at(
    source: str,
    wrong: str,
    right: str | None = None,
    *evidence: Evidence,
    code: str = "wrong-line",
    verified: bool = True,
    **more: Any,
) -> Finding:
    """The finding of the first line that holds `wrong`, which a verified edit replaces with `right`."""
    lines = source.splitlines()
    at, before = next((at, line) for at, line in enumerate(lines) if wrong in line)
    column, fix = before.index(wrong) + 1, None
    if right is not None:
        after = before.replace(wrong, right, 1)
        new = [*lines[:at], *after.splitlines(), *lines[at + 1 :]]
        diff = "\n".join(difflib.unified_diff(lines, new, "a/m.py", "b/m.py", lineterm=""))
        fix = Fix(at + 1, before.strip(), after.strip(), diff, verified)
    given: dict[str, Any] = {"file": "m.py", "line": at + 1, "column": column, "end_column": column + len(wrong)}
    given |= {"statement": before.strip(), "fix": fix}
    return Finding(FindingCode(code), ("W",), evidence, **{**given, **more})
