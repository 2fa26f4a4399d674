"""Writes codes.md: the pages that ``gradcheck explain`` prints."""

from __future__ import annotations

from pathlib import Path

from gradcheck.report.pages.finding import pages_to_markdown

if __name__ == "__main__":
    (Path(__file__).parent / "codes.md").write_text(pages_to_markdown(), encoding="utf-8")
