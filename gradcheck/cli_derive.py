"""``gradcheck derive FILE::NAME``: a backward for a forward."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gradcheck.cli_session import Session, find_subjects

if TYPE_CHECKING:
    from gradcheck._targets.factory import TargetFactory
    from gradcheck._targets.target import Target


@dataclass
class DeriveCommand(Session):
    """``gradcheck derive``."""

    written: list[str] = field(default_factory=list)

    def find(self, path: str, name: str) -> dict[str, Target | TargetFactory]:
        """Also the target whose loss runs the function of this name."""
        from gradcheck._deriving.finding import find_derivable

        return find_derivable(find_subjects(path, ""), path, name, self.options.seed)

    def run_subject(self, subject: Target | TargetFactory) -> None:
        """Write the backward of one target."""
        from gradcheck._deriving.derivation import derive

        with self._progress("deriving", "evaluations"):
            found = derive(subject, self.options.seed)
        self.written.append(found.source)
        if self.options.output is None:
            print(found.source, end="", file=self.out, flush=True)

    def finish(self) -> int:
        """Write what was found to the file that is asked for."""
        path = self.options.output
        if path is not None and self.written and not self.failed:
            try:
                with open(path, "x", encoding="utf-8") as stream:
                    stream.write("\n\n".join(self.written))
            except OSError as error:
                why = "there is such a file already" if isinstance(error, FileExistsError) else error.strerror
                self.print_line(f"cannot write {path}: {why}", "red")
                return 2
        return super().finish()
