"""``gradcheck init``: a target file is written, nothing is overwritten, and gaps are told with their lines."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck import cli
from tests.gradcheck._drafting import found


def written(folder: Path, text: str) -> Path:
    """A file with this text."""
    file = folder / "my-script.py"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_file_is_drafted_written_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody's first minute with the tool would end in an error."""
    file = written(tmp_path, found.SCRIPT)
    assert cli.main(["init", str(file)]) == 0
    output = tmp_path / "check_my_script.py"
    assert f"written to {output}; it runs: gradcheck check {output}" in capsys.readouterr().out
    assert file.read_text(encoding="utf-8") == found.SCRIPT
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "gradcheck", "check", str(output)], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lossFun: right" in done.stdout


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A target file that somebody has written by hand would be lost."""
    file = written(tmp_path, found.SCRIPT)
    output = tmp_path / "mine.py"
    output.write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit, match="2"):
        cli.main(["init", str(file), "--output", str(output)])
    assert output.read_text(encoding="utf-8") == "mine"
    assert "is not overwritten: give a path where there is no file yet" in capsys.readouterr().err.replace("\n", " ")


def test_gaps_are_told_with_their_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The user would look for what is left to do."""
    file, output = written(tmp_path, found.WITH_A_GAP), tmp_path / "check_gap.py"
    assert cli.main(["init", str(file), "--output", str(output)]) == 2
    said = capsys.readouterr().out
    lines = output.read_text(encoding="utf-8").splitlines()
    gaps = [number for number, line in enumerate(lines, 1) if "TODO" in line]
    assert gaps
    assert all(f"{output}:{number}" in said for number in gaps)


def test_code_that_ends_the_process_leaves_a_file_with_gaps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code that crashes would take the command with it."""
    crashing = "import os\nimport numpy as np\n\n\nclass Net:\n    def __init__(self):\n        os._exit(9)\n\n"
    crashing += "    def forward(self, x): return x\n\n    def backward(self, d): pass\n"
    file, output = written(tmp_path, crashing), tmp_path / "check_crash.py"
    assert cli.main(["init", str(file), "--output", str(output)]) == 2
    assert "left to fill in:" in capsys.readouterr().out
    assert "could not be run: its code did not end, or ended the process" in output.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.py"], "nothing.py: expected a Python file (.py)"),
        (["FILE", "--output", "check.txt"], "expected a name that ends in .py"),
    ],
)
def test_bad_arguments_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """A slip in a name would end in a traceback."""
    file = written(tmp_path, found.SCRIPT)
    assert cli.main(["init", *(str(file) if one == "FILE" else one for one in arguments)]) == 2
    assert message in capsys.readouterr().err.replace("\n", " ")


def test_what_was_not_tried_for_a_missing_package_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A class would be left out of the targets in silence, and its author take it for checked."""
    needy = found.ATTRIBUTES.replace("class ", "class Needy").replace("import numpy as np", "")
    needy = re.sub(r"(def __init__.*:\n)", r"\1        scale(1)\n", needy)
    file = written(tmp_path, f"from not_there_at_all import scale\n{found.ATTRIBUTES}\n{needy}")
    assert cli.main(["init", str(file)]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "was not tried: not_there_at_all.scale could not be imported: No module named 'not_there_at_all'" in said
