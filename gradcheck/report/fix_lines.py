"""The lines that an edit takes away and those that it brings, as they are shown; and how it was verified."""

from __future__ import annotations

from gradcheck.report.evidence import Fix
from gradcheck.report.source_lines import TAB, DiffLine, diff_lines, split_lines


def fix_lines(fix: Fix) -> list[DiffLine]:
    """From the first line that changes to the last one, without what all are indented by, and with spaces for tabs."""
    lines = list(diff_lines(fix.diff))
    changed = [at for at, one in enumerate(lines) if one.sign != " "]
    lines = lines[changed[0] : changed[-1] + 1] if changed else _without_diff(fix)
    texts = [one.text.expandtabs(TAB) for one in lines]
    indent = min((len(text) - len(text.lstrip()) for text in texts if text.strip()), default=0)
    return [DiffLine(one.sign, one.number, text[indent:]) for one, text in zip(lines, texts, strict=True)]


def verified(fix: Fix) -> str:
    """How widely a verified edit was checked, as far as that is known: verified at 12 sizes, 2 seeds."""
    told = [f"{count} {word}{'s' * (count > 1)}" for count, word in ((fix.sizes, "size"), (fix.seeds, "seed")) if count]
    return f"verified at {', '.join(told)}" if told else "verified"


def _without_diff(fix: Fix) -> list[DiffLine]:
    gone = [DiffLine("-", number, text) for number, text in enumerate(split_lines(fix.before), fix.line)]
    return [*gone, *(DiffLine("+", number, text) for number, text in enumerate(split_lines(fix.after), fix.line))]
