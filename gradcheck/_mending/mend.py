"""What this room hands over."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck._mending.outside import Edit
from gradcheck._tape import Statement


@dataclass(frozen=True)
class Mend:
    """Edits of one file, after which gradients are right that were wrong.

    Attributes:
        file: The file that is edited.
        edits: What is replaced, by line and byte in the line.
        statement: The statement that is at fault.
        gradients: Those that are wrong before and equal the truth afterwards, wherever it was tried.
        remaining: Those that are wrong still: another fault is in the way.
        evidence: How it was found and tried, in words.
    """

    file: str
    edits: tuple[Edit, ...]
    statement: Statement
    gradients: tuple[str, ...]
    remaining: tuple[str, ...]
    evidence: str
