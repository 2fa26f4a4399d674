"""Text whose lines after the first are indented."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text


@dataclass(frozen=True)
class Hanging:
    """A text that is wrapped between words; each line but the first is indented by so many columns."""

    text: Text
    indent: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As wide as there is room."""
        indent = self.indent if options.max_width > 2 * self.indent else 0
        if self.text.cell_len <= options.max_width:
            yield self.text
            return
        for number, line in enumerate(self.text.wrap(console, options.max_width - indent)):
            line.rstrip()
            yield Text.assemble(" " * indent if number else "", line)
