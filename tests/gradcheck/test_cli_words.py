"""The words of the command as people type them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gradcheck.cli import COMMANDS, main
from gradcheck.cli_parser import build_parser
from gradcheck.cli_words import with_command

NETS = """
import numpy as np
import gradcheck

@gradcheck.target
def lstm(rng, *, hidden=3):
    w = rng.standard_normal(hidden)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 3 * w})

@gradcheck.target
def gru(rng, *, hidden=3):
    w = rng.standard_normal(hidden)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a wrong and a right target."""
    (tmp_path / "nets.py").write_text(NETS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for variable in ("GITHUB_ACTIONS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["nets.py"], ["check", "nets.py"]),
        (["nets.py::lstm", "--full"], ["check", "nets.py::lstm", "--full"]),
        (["--full", "nets.py"], ["check", "--full", "nets.py"]),
        (["gone.py"], ["check", "gone.py"]),
        (["x.ipynb"], ["check", "x.ipynb"]),
        (["check", "nets.py"], ["check", "nets.py"]),
        (["trace", "nets.py"], ["trace", "nets.py"]),
        (["explain", "check"], ["explain", "check"]),
        (["--version"], ["--version"]),
        (["-h"], ["-h"]),
        (["--full"], ["--full"]),
        ([], []),
    ],
)
def test_a_file_alone_is_checked(given: list[str], meant: list[str]) -> None:
    """Whoever types the file alone would read the usage, or a command would be taken for a file."""
    assert with_command(given, [*COMMANDS], build_parser()) == meant


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["chek", "nets.py"], "'chek' is no command and no file: did you mean check?"),
        (
            ["zzzz"],
            "'zzzz' is no command and no file; commands: check, completion, derive, explain, init, mutate, trace",
        ),
        (["check", "nets.py", "--budgett", "3"], "unrecognized arguments: --budgett 3: did you mean --budget?"),
        (["check", "nets.py", "--zzzz"], "unrecognized arguments: --zzzz\n"),
    ],
)
def test_a_wrong_word_is_told(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the finger would end with a list of everything that there is."""
    with pytest.raises(SystemExit, match="2"):
        main(given)
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["nets.py::lstn"], "nets.py has no target 'lstn'; it has lstm, gru: did you mean lstm?"),
        (["net.py"], "net.py: no such file: did you mean nets?"),
        (["nets.py", "--size", "hiden=2"], "has no size 'hiden'; its sizes are hidden: did you mean hidden?"),
    ],
)
def test_a_wrong_name_is_told(given: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt name would have to be looked for in the file."""
    assert main(given) == 2
    assert said in capsys.readouterr().err.replace("\n", " ")


def test_quiet_is_a_line_for_what_is_not_right(capsys: pytest.CaptureFixture[str]) -> None:
    """A script over forty targets would print forty tables."""
    assert main(["nets.py", "--quiet", "--no-explain"]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("✗ lstm: wrong · ")
    assert main(["nets.py::gru", "-q"]) == 0
    assert capsys.readouterr().out == ""


def test_verbose_has_laws_and_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody could see what was asked for, and at which sizes."""
    assert main(["nets.py::gru", "--verbose"]) == 0
    printed = capsys.readouterr().out
    assert "    ✓ purity: parameters, inputs and cotangents are left as they were\n" in printed
    assert "    ✓ hidden=1\n" in printed
    assert main(["nets.py::gru"]) == 0
    assert "hidden=1\n" not in capsys.readouterr().out


def test_explain_prints_pages_and_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    """The command that a report names would not be there, or its status say the opposite."""
    assert main(["explain", "wrong-sign", "law-purity"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("wrong-sign: a mistake on a line\n")
    assert "\n\nlaw-purity: a law that is broken\n" in printed
    assert main(["explain"]) == 0
    assert "tanh-derivative" in capsys.readouterr().out
    assert main(["explain", "wrong-sgn"]) == 2
    assert "did you mean wrong-sign" in capsys.readouterr().err


def test_a_report_names_the_pages_on_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody would find the pages."""
    main(["nets.py::lstm"])
    code = capsys.readouterr().out.partition("gradcheck explain ")[2].split()[0]
    assert main(["explain", code]) == 0


@pytest.mark.parametrize(("encoding", "sign"), [("ascii", "x lstm: wrong - "), ("cp1252", "x lstm: wrong · ")])
def test_an_encoding_without_signs_keeps_verdicts_apart(encoding: str, sign: str) -> None:
    """On a Windows console wrong would be shown as '?', which is the sign of what is not decided."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "gradcheck", "nets.py", "-q", "--no-explain"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 1
    assert done.stdout.decode(encoding).startswith(sign)
