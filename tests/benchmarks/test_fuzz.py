"""The fuzz run in its quick form: one fault of each kind, and nothing is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> tuple[int, str]:
    """The status, and what is printed."""
    command = [sys.executable, "benchmarks/fuzz.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and limits")
def test_nothing_is_lost():
    """A fault would lose something of the user's, or the run that looks for such faults would no longer run."""
    status, printed = run("--quick", "--seed", "3")
    assert status == 0, printed
    assert "8 faults were tried; nothing was lost" in printed


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals and limits")
def test_what_is_lost_is_seen(tmp_path):
    """The run would say that nothing was lost whatever happens."""
    script = tmp_path / "spoilt.py"
    script.write_text(
        "import sys; sys.path.insert(0, 'benchmarks')\n"
        "import fuzz\n"
        "plain = fuzz.gradcheck.check\n"
        "def spoiling(*arguments, **options):\n"
        "    sys.path.append('left behind')\n"
        "    return plain(*arguments, **options)\n"
        "fuzz.gradcheck.check = spoiling\n"
        "sys.argv = ['fuzz.py', 'errors', '--quick']\n"
        "raise SystemExit(fuzz.main())\n"
    )
    done = subprocess.run([sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "errors 0: import path changed" in done.stdout
