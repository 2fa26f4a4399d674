"""The arrows between the rooms go one way: the contract holds, and a forbidden import breaks it."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("importlinter") is None,
    reason="import-linter is not installed: pip install import-linter",
)


def linted(folder: Path) -> subprocess.CompletedProcess[str]:
    """What import-linter says of the packages in a folder."""
    # the folder first: import-linter imports the package to find its files
    code = "import sys; sys.path.insert(0, sys.argv[1]); from importlinter.cli import lint_imports; "
    code += "sys.exit(lint_imports(no_cache=True))"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package and its contract."""
    shutil.copytree(ROOT / "gradcheck", tmp_path / "gradcheck", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "setup.cfg", tmp_path)
    return tmp_path


def test_the_contract_holds(copy: Path) -> None:
    """Rooms would come to know each other in circles, and none of them be understood alone."""
    done = linted(copy)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("_common/arrays.py", "from gradcheck._checking.check import check", "The rooms of gradcheck"),
        ("_targets/target.py", "def later(): import gradcheck._numeric.evaluator", "The rooms of gradcheck"),
        (
            "_numeric/difference.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING: from gradcheck._comparing.comparer import Comparer",
            "The rooms of gradcheck",
        ),
        ("_numeric/noise.py", "import gradcheck._numeric.evaluator", "No circle of files within a room"),
    ],
)
def test_a_forbidden_import_breaks_it(copy: Path, file: str, line: str, contract: str) -> None:
    """The contract would hold whatever is imported: lazily, or for types alone, as well."""
    path = copy / "gradcheck" / file
    path.write_text(path.read_text(encoding="utf-8") + f"\n\n{line}\n", encoding="utf-8")
    done = linted(copy)
    assert done.returncode != 0
    assert any(contract in text and "BROKEN" in text for text in done.stdout.splitlines()), done.stdout
