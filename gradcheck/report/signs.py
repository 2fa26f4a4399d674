"""The signs of verdicts, which are read without colour."""

from __future__ import annotations

from gradcheck._common.verdict import Verdict

VERDICT_SIGNS: dict[Verdict, str] = {"right": "✓", "wrong": "✗", "inconclusive": "?", "vacuous": "∅"}
