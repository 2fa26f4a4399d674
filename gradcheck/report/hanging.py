"""Text whose lines after the first are indented."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text


@dataclass(frozen=True)
class Hanging:
    """A text that is wrapped, between words unless it is one; each line but the first has this indentation."""

    text: Text
    indent: int
    is_word: bool = False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As wide as there is room."""
        indent = self.indent if options.max_width > 2 * self.indent else 0
        if self.text.cell_len <= options.max_width:
            yield self.text
            return
        width = options.max_width - indent
        cuts = range(width, len(self.text), width)
        for number, line in enumerate(self.text.divide(cuts) if self.is_word else self.text.wrap(console, width)):
            line.rstrip()
            yield Text.assemble(" " * indent if number else "", line)
