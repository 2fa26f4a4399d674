"""A folder on the command line: its files with targets are checked, and what is skipped is told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from gradcheck.cli import main

RIGHT = """
import numpy as np
import gradcheck

@gradcheck.target
def one(rng, *, N=2):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})
"""
TRAINS = "import gradcheck\nraise SystemExit('an hour of training')\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a target in a folder of its own, a file without, one that is no Python, and an environment."""
    files = {
        "nets/check_one.py": RIGHT,
        "train.py": TRAINS,
        "old.py": "import gradcheck\nprint 'hello'\n",
        "env/pyvenv.cfg": "",
        "env/lib.py": RIGHT,
        ".hidden/x.py": RIGHT,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


@pytest.mark.parametrize(
    "arguments", [["check", "."], ["."], ["check", "nets", "."], ["check", ".", "nets/check_one.py"]]
)
def test_the_files_with_targets_are_checked_once(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A file without targets would be run, one with targets be left out or checked twice, or nothing be said."""
    assert main([*arguments, "--json"]) == 0
    printed = capsys.readouterr()
    assert [json.loads(line)["name"] for line in printed.out.splitlines()] == ["one"]
    assert "./old.py: line 2 is no Python" in printed.err.replace("skipped old", "skipped ./old")
    assert "env: a virtual environment" in printed.err
    assert "1 holds no target" in printed.err


def test_a_folder_without_targets_cannot_be_checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run that checks nothing would pass."""
    (folder / "nets" / "check_one.py").unlink()
    assert main(["check", "."]) == 2
    assert "holds no file with a target: looked at 1 Python files" in capsys.readouterr().err


@pytest.mark.parametrize("option", [[], ["--quiet"], ["--markdown"]])
def test_targets_of_one_name_are_told_apart(
    folder: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    """Of two folders with a target of the same name nobody would know which is wrong."""
    (folder / "old.py").unlink()
    (folder / "wrong").mkdir()
    (folder / "wrong" / "check_one.py").write_text(RIGHT.replace('"w": 2 * w', '"w": 3 * w'))
    assert main(["check", ".", "--no-explain", *option]) == 1
    printed = capsys.readouterr().out.replace("`", "").replace("\\", "")
    assert "wrong/check_one.py::one: wrong" in printed
    assert ("nets/check_one.py::one: right" in printed) is (option != ["--quiet"])


def test_many_that_are_skipped_are_counted(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder of old code would fill the screen."""
    for number in range(20):
        (folder / f"old{number}.py").write_text("import gradcheck\nprint 1\n")
    assert main(["check", ".", "--quiet"]) == 0
    printed = capsys.readouterr().err
    assert printed.count("skipped") == 11
    assert "skipped 12 others" in printed


def test_a_command_that_writes_takes_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """A backward would be derived for every target of a project."""
    assert main(["derive", "nets"]) == 2
    assert "expected a Python file" in capsys.readouterr().err
