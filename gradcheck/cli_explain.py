"""``gradcheck explain CODE``: the page on a finding code."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.cli_session import Session


@dataclass
class ExplainCommand(Session):
    """``gradcheck explain``; without a code, the list of all."""

    shown: int = 0

    def run_file(self, argument: str) -> None:
        """Print the page on one code."""
        from gradcheck.report.pages.finding import NoPageError, page_text

        try:
            text = page_text(argument)
        except NoPageError as error:
            self.report_failure(argument, str(error))
            return
        print(f"\n{text}" if self.shown else text, file=self.out)
        self.shown += 1

    def finish(self) -> int:
        """Print the list, where no code is named."""
        if not self.options.files:
            from gradcheck.report.pages.finding import list_of_codes

            print(list_of_codes(), file=self.out)
        return super().finish()
