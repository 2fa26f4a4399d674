"""``gradcheck init FILE``: a target file for code as it is found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gradcheck.cli_session import Session


@dataclass
class InitCommand(Session):
    """``gradcheck init``."""

    def run_file(self, argument: str) -> None:
        """Draft a target file for one file, and write it beside it."""
        from gradcheck._common.errors import TargetError

        file = Path(argument)
        try:
            self._draft(file, self.options.output)
        except TargetError as error:
            self.report_failure(argument, str(error), error)
        except OSError as error:
            self.report_failure(argument, f"cannot write {error.filename}: {error.strerror}")

    def _draft(self, file: Path, output: Path | None) -> None:
        from gradcheck._common.errors import TargetError
        from gradcheck._common.writing import write_new
        from gradcheck._drafting.process import drafted_apart
        from gradcheck._drafting.reading import Reading
        from gradcheck._drafting.writing import TODO, import_root

        if not file.is_file() or file.suffix != ".py":
            raise TargetError(f"{file}: expected a Python file (.py)")
        reading = Reading.of(file.resolve())
        output = output or _as_given(import_root(reading), file) / target_file(file)
        if output.suffix != ".py":
            raise TargetError(f"--output {output}: expected a name that ends in .py")
        if output.exists():
            raise TargetError(f"{output} exists, and is not overwritten: pass --output")
        found = drafted_apart(file.resolve(), output.resolve())
        write_new(output, found.text.encode())
        for subject in found.subjects:
            print(f"{subject}", file=self.out)
        for reason in found.missing:
            self.print_line(f"some of {file} was not tried: {reason}; install it, and draft once more", "yellow")
        if found.runs:
            print(f"written to {output}; it runs: gradcheck check {output}", file=self.out)
            return
        left = [(number, line) for number, line in enumerate(found.text.split("\n"), 1) if TODO in line]
        print(
            f"written to {output}; {len(left)} {'gap is' if len(left) == 1 else 'gaps are'} left to fill in:",
            file=self.out,
        )
        for number, line in left:
            print(f"  {output}:{number}: {line.partition(TODO)[2].lstrip(': ')}", file=self.out)
        print(f"then: gradcheck check {output}", file=self.out)
        self.failures.append(f"{output}: {len(left)} gaps are left to fill in")


def _as_given(folder: Path, file: Path) -> Path:
    """The folder as the user named it, where it is the one of the file."""
    return file.parent if folder == file.resolve().parent else folder


def target_file(file: Path) -> Path:
    """The name of the target file for a file; the hook of pre-commit takes those names."""
    return Path(f"check_{_as_name(file.stem)}.py")


def _as_name(stem: str) -> str:
    return "".join(one if one.isalnum() else "_" for one in stem)
