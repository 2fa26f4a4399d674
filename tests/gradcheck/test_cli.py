"""The command, mostly within this process; in one of its own where signals, pipes or the terminal matter."""

from __future__ import annotations

import functools
import importlib.metadata
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from gradcheck import cli, cli_session
from gradcheck._checking import check as _check
from gradcheck._repair import explain as _explain

HEAD = """
import os
import time
import numpy as np
import gradcheck
"""
RIGHT = """
@gradcheck.target
def right(rng, *, N=3):
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})
"""
WRONG = """
@gradcheck.target
def wrong(rng, *, M=3):
    w = rng.standard_normal(M)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 3 * w})
"""
VACUOUS = """
@gradcheck.target
def vacuous(rng, *, K=2):
    v, w = rng.standard_normal((2, K))
    return gradcheck.Target({"v": v, "w": w}, lambda: float(np.sum(w**2)), lambda: {"v": 0 * v, "w": 2 * w})
"""
RAISING = """
@gradcheck.target
def raising(rng, *, N=3):
    def loss():
        raise ValueError("the sum is off [/red]")
    return gradcheck.Target({"w": rng.standard_normal(N)}, loss, dict)
"""
SLOW = """
@gradcheck.target
def slow(rng, *, N=300):
    w = rng.standard_normal(N)
    def loss():
        os.write(2, f"under way in {os.getpid()}\\n".encode())
        time.sleep(N / 6000)
        return float(np.sum(w**2))
    return gradcheck.Target({"w": w}, loss, lambda: {"w": 2 * w})
"""
ONE = """
w = np.ones(3)
net = gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})
"""
#: more entries than one worker takes at a time; a scheme that has to be agreed upon; names other than the functions'
SEVERAL = """
def make(factor):
    @gradcheck.target
    def wide(rng, *, N=70):
        w = rng.standard_normal(N)
        return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": factor * w})
    return wide

wrong_one = make(3)

def make_complex(rng, *, N=3):
    return gradcheck.Target.from_function(
        lambda p: (np.sum(np.sin(p["w"])), {"w": np.cos(p["w"])}), {"w": rng.standard_normal(N)}
    )

other = gradcheck.target(make_complex)
"""
FILES = {
    "right": RIGHT,
    "wrong": WRONG,
    "vacuous": VACUOUS,
    "raising": RAISING,
    "both": RIGHT + WRONG,
    "slow": SLOW,
    "one": ONE,
    "empty": "",
}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files above, for the test alone."""
    for name, text in FILES.items():
        (tmp_path / f"{name}.py").write_text(HEAD + text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for variable in ("FORCE_COLOR", "NO_COLOR", "PYTHONIOENCODING"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    return tmp_path


def objects(printed: str) -> list[dict[str, Any]]:
    """Each line as JSON."""
    return [json.loads(line) for line in printed.splitlines()]


def run(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "gradcheck", *arguments],
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "encoding": "utf-8", **options},
    )


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of argparse, which ends the program."""
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


# -- exit status -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (["right"], 0),
        (["wrong"], 1),
        (["raising"], 2),
        (["empty"], 2),
        (["vacuous"], 3),
        (["vacuous", "right"], 3),
        (["vacuous", "wrong", "right"], 1),
        (["wrong", "vacuous", "raising", "right"], 2),
        (["missing", "right"], 2),
    ],
)
def test_exit_status(files: list[str], status: int) -> None:
    """CI that looks at the exit status would take one outcome for another, or the last target for all."""
    assert cli.main(["check", *(f"{name}.py" for name in files)]) == status


@pytest.mark.parametrize("command", [["--help"], ["check", "--help"]])
def test_help_explains_the_exit_status(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    """Nobody could look up what a status means, or which of several targets decides it."""
    with pytest.raises(SystemExit) as caught:
        cli.main(command)
    assert caught.value.code == 0
    printed = capsys.readouterr().out
    assert "  3    nothing wrong, but not all verified" in printed
    assert "the worst counts: 2 before 1, 1 before 3, 3 before 0" in printed


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """A bug report could not say which version it is about."""
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"gradcheck {importlib.metadata.version('gradcheck')}\n"


def test_command_and_module_are_the_same() -> None:
    """`gradcheck` or `python -m gradcheck` would not start, or not hand on the exit status."""
    (script,) = importlib.metadata.entry_points(group="console_scripts", name="gradcheck")
    assert script.load() is cli.main
    process = run("check", "wrong.py", "--no-explain")
    out, _ = process.communicate()
    assert process.returncode == 1
    assert out.startswith("✗ wrong: wrong")


# -- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--seed", "-1"], "argument --seed: '-1' is not a seed: expected an integer of at least 0"),
        (["--seed", "1.5"], "argument --seed: '1.5' is not a seed: expected an integer of at least 0"),
        (["--jobs", "0"], "argument --jobs: '0' is not a number of processes: expected an integer of at least 1"),
        (["--jobs", "x"], "argument --jobs: 'x' is not a number of processes: expected an integer of at least 1"),
        (["--size", "T"], "argument --size: 'T' is not a size: expected NAME=N, as in T=7"),
        (["--size", "T=x"], "argument --size: 'T=x' is not a size: expected NAME=N, as in T=7"),
        (["--size", "=7"], "argument --size: '=7' is not a size: expected NAME=N, as in T=7"),
        (["--size", "T=0"], "argument --size: 'T=0': a size is at least 1"),
        (["--size", "T=-2"], "argument --size: 'T=-2': a size is at least 1"),
        (["--html", "nowhere/out.html"], "argument --html: 'nowhere/out.html': there is no folder 'nowhere'"),
        (["--html", "."], "argument --html: '.' is a folder: expected a file to write"),
    ],
)
def test_bad_options_are_refused_at_once(
    capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    """A typing error would be found after the check, or end in a traceback, or be ignored."""
    assert refused(capsys, "check", "right.py", *arguments) == f"gradcheck check: error: {message}"


def test_command_without_files_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A script whose list of files came out empty would be told that all is right."""
    assert refused(capsys, "check").endswith("the following arguments are required: FILE[::NAME]")
    assert "gradcheck init FILE writes one" in refused(capsys)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("missing.py", "missing.py: no such file"),
        ("notes.txt", "notes.txt: expected a Python file (.py) or a notebook (.ipynb)"),
        (
            "empty.py",
            "empty.py holds no target: gradcheck init empty.py writes one; or mark a factory with @gradcheck.target, "
            "or define a gradcheck.Target",
        ),
        ("both.py::nope", "both.py has no target 'nope'; it has right, wrong"),
    ],
)
def test_bad_files_are_one_line(capsys: pytest.CaptureFixture[str], folder: Path, argument: str, message: str) -> None:
    """A wrong path or name would end in a traceback, or not say what there is instead."""
    (folder / "notes.txt").write_text("")
    assert cli.main(["check", argument]) == 2
    assert capsys.readouterr() == ("", f"gradcheck: {message}\n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (
            "def helper():\n    raise RuntimeError('no weights')\nhelper()\n",
            "RuntimeError: no weights (*.py:2, in helper)",
        ),
        ("import sys\nsys.exit(3)\n", "SystemExit: 3 (*.py:2, in <module>)"),
        ("def broken(:\n", "SyntaxError: *(broken.py, line 1)"),
        ("import nonsense_of_no_package\n", "ModuleNotFoundError: *(*.py:1, in <module>)"),
    ],
)
def test_file_that_does_not_import(capsys: pytest.CaptureFixture[str], folder: Path, text: str, error: str) -> None:
    """The user would see a traceback through gradcheck and importlib instead of their own, or none, or end silently."""
    (folder / "broken.py").write_text(text)
    assert cli.main(["check", "broken.py"]) == 2
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{folder / "broken.py"}", line ')
    pytest.LineMatcher(lines[-1:]).fnmatch_lines([f"gradcheck: importing broken.py raised {error}"])
    assert "importlib" not in err
    assert str(Path(cli.__file__).parent) not in err


def test_target_that_raises(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The user would not see where their loss raises, or which target of the file it is."""
    assert cli.main(["check", "raising.py"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert f'  File "{folder / "raising.py"}"' in err
    assert err.splitlines()[-1].startswith(
        "gradcheck: raising.py::raising: loss() raised ValueError: the sum is off [/red] ("
    )
    assert str(Path(cli.__file__).parent) not in err


def test_failure_of_the_check_itself(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug of ours would end with the status 1, which says that the gradient is wrong, and skip the other targets."""
    check = _check.check

    def failing(subject: Any, **options: Any) -> Any:
        if subject.name == "right":
            raise IndexError("ours")
        return check(subject, **options)

    monkeypatch.setattr(_check, "check", failing)
    assert cli.main(["check", "both.py"]) == 2
    out, err = capsys.readouterr()
    assert "✗ wrong: wrong" in out
    assert "IndexError: ours" in err
    assert err.splitlines()[-1].startswith("gradcheck: both.py::right: the check itself failed: please report this")


# -- what is checked ---------------------------------------------------------------------------------------------------


def test_one_target_of_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """FILE::NAME would check the other targets of the file too."""
    assert cli.main(["check", "both.py::right"]) == 0
    out, _ = capsys.readouterr()
    assert out.startswith("✓ right: right")
    assert "wrong" not in out
    assert "in all" not in out


def test_several_targets_end_with_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    """After pages of reports nobody could tell whether all is right."""
    cli.main(["check", "both.py", "vacuous.py", "missing.py"])
    assert capsys.readouterr().out.endswith("\n\nin all: 1 right, 1 vacuous, 1 wrong, 1 could not be run\n")


def test_target_without_a_factory(capsys: pytest.CaptureFixture[str]) -> None:
    """A Target that stands in the file would not be found, or be called `target` in its report."""
    assert cli.main(["check", "one.py"]) == 0
    assert capsys.readouterr().out.startswith("✓ net: right")


def test_imported_factories_are_not_checked(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A factory would be checked in every file that imports it."""
    (folder / "user.py").write_text("from both import right\n" + HEAD + VACUOUS)
    cli.main(["check", "user.py", "--json"])
    assert [one["name"] for one in objects(capsys.readouterr().out)] == ["vacuous"]


def test_file_of_a_package(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The cells of a package, which import relatively, could not be checked where they stand."""
    package = folder / "nets" / "cells"
    package.mkdir(parents=True)
    for name, text in {"../__init__": "", "../constants": "TWO = 2", "__init__": ""}.items():
        (package / f"{name}.py").write_text(text)
    (package / "rnn.py").write_text("from ..constants import TWO\n" + HEAD + RIGHT.replace("2 * w", "TWO * w"))
    assert cli.main(["check", "nets/cells/rnn.py"]) == 0
    assert capsys.readouterr().out.startswith("✓ right: right")


def test_file_of_a_package_whose_name_is_taken(folder: Path) -> None:
    """A file in a folder called like an installed package would be another file, or none."""
    for name in ("json", "json/__init__.py"):
        (folder / name).touch() if name.endswith(".py") else (folder / name).mkdir()
    (folder / "json" / "decoder.py").write_text(HEAD + WRONG)
    assert cli.main(["check", "json/decoder.py"]) == 1


# -- options -----------------------------------------------------------------------------------------------------------


def test_seed_full_and_size_reach_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    """An option would be parsed and then forgotten."""
    cli.main(["check", "both.py", "--json", "--seed", "7", "--full", "--size", "N=5"])
    right, wrong = objects(capsys.readouterr().out)
    assert (right["seed"], right["full"], right["sizes"]) == (7, True, {"N": 5})
    assert {one["sizes"]["N"] for one in right["trials"]} == {5}
    assert wrong["sizes"] == {"M": 3}
    assert len(wrong["trials"]) > 1


def test_defaults_are_those_of_check(capsys: pytest.CaptureFixture[str]) -> None:
    """The command would say something else than gradcheck.check of the same target."""
    cli.main(["check", "right.py", "--json"])
    (report,) = objects(capsys.readouterr().out)
    assert (report["seed"], report["full"], report["sizes"]) == (0, False, {"N": 3})


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("both.py", "both.py has no size 'T'; its sizes are M, N"),
        ("both.py::right", "both.py::right has no size 'T'; its sizes are N"),
        ("one.py", "one.py::net has no size 'T'; its sizes are none at all"),
    ],
)
def test_unknown_size(capsys: pytest.CaptureFixture[str], argument: str, message: str) -> None:
    """A misspelt size would be ignored, and the check be made at other sizes than asked for."""
    assert cli.main(["check", argument, "--size", "T=7"]) == 2
    assert capsys.readouterr() == ("", f"gradcheck: {message}\n")


def test_json_is_one_object_a_line_whatever_happens(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A program that reads the output would trip over a line that is no JSON, or miss a target that did not run."""
    (folder / "loud.py").write_text("print('import')\n" + HEAD + RIGHT.replace("    w =", "    print('make'); w ="))
    assert cli.main(["check", "loud.py", "raising.py", "missing.py", "vacuous.py", "--json"]) == 2
    out, err = capsys.readouterr()
    assert [(one["name"], one["ok"]) for one in objects(out)] == [
        ("right", True),
        ("raising.py::raising", False),
        ("missing.py", False),
        ("vacuous", False),
    ]
    assert objects(out)[2]["error"] == "missing.py: no such file"
    assert {"import", "make"} <= set(err.splitlines())


def test_jobs_change_nothing_but_the_time(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """With --jobs the verdict, an error or a count would be another than without."""
    (folder / "several.py").write_text(HEAD + SEVERAL)
    found = []
    for jobs in ("1", "2"):
        cli.main(["check", "several.py", "one.py", "--full", "--json", "--jobs", jobs])
        found.append([{**one, "seconds": 0} for one in objects(capsys.readouterr().out)])
    assert found[0] == found[1]
    assert [(one["name"], one["scheme"]) for one in found[0]] == [
        ("wide", "Richardson"),
        ("make_complex", "complex step"),
        ("net", "Richardson"),
    ]


def test_workers_print_to_standard_error(folder: Path) -> None:
    """What the user's code prints in a worker would stand among the JSON."""
    (folder / "loud.py").write_text("print('hello')\n" + HEAD + RIGHT)
    process = run("check", "loud.py", "--full", "--size", "N=30", "--json", "--jobs", "2")
    out, err = process.communicate()
    assert [one["verdict"] for one in objects(out)] == ["right"]
    assert err.count("hello") >= 2


def test_jobs_without_full_are_pointed_out(capsys: pytest.CaptureFixture[str]) -> None:
    """A user would wait for processes that have nothing to do."""
    assert cli.main(["check", "right.py", "--jobs", "2"]) == 0
    assert capsys.readouterr().err == (
        "gradcheck: --jobs divides the entries of --full; without --full it has no effect\n"
    )


GUARDED = """
import multiprocessing
import os
if multiprocessing.parent_process() is not None:
    {act}
"""


def test_workers_that_fail(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A file that runs in the main process only would end in a traceback through concurrent.futures."""
    (folder / "guarded.py").write_text(GUARDED.format(act="raise RuntimeError('only here')") + HEAD + RIGHT)
    assert cli.main(["check", "guarded.py", "--full", "--size", "N=30", "--jobs", "2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "concurrent" not in err
    message = "importing *guarded.py raised RuntimeError: only here (*guarded.py:5, in *)"
    pytest.LineMatcher(err.splitlines()[-1:]).fnmatch_lines([f"gradcheck: guarded.py::right: {message}"])


def test_workers_that_die(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A worker that is killed would end the check, or its entries be left out in silence."""
    (folder / "guarded.py").write_text(GUARDED.format(act="os._exit(3)") + HEAD + RIGHT)
    assert cli.main(["check", "guarded.py", "--full", "--size", "N=30", "--jobs", "2"]) == 0
    assert "the executor lost 1 of 1 tasks; this process ran them instead" in capsys.readouterr().out


# -- html --------------------------------------------------------------------------------------------------------------


def test_html_has_every_report(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """The file would be missing, or hold only one of the reports, or stand in for what is printed."""
    (folder / "nets.py").write_text(
        HEAD + RIGHT.replace("def right", "def elman") + WRONG.replace("def wrong", "def gru")
    )
    assert cli.main(["check", "nets.py", "--html", "out.html"]) == 1
    text = (folder / "out.html").read_text(encoding="utf-8")
    assert "elman" in text
    assert "gru" in text
    assert "✗ gru: wrong" in capsys.readouterr().out


def test_html_that_cannot_be_written(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk would end in a traceback, be passed over in silence, or take the report of last time with it."""

    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    (folder / "out.html").write_text("the last report")
    monkeypatch.setattr(os, "fsync", fsync)
    assert cli.main(["check", "right.py", "--html", "out.html"]) == 2
    assert (folder / "out.html").read_text() == "the last report"
    assert not list(folder.glob(".gradcheck*"))
    assert capsys.readouterr().err == "gradcheck: cannot write out.html: No space left on device\n"


# -- the terminal ------------------------------------------------------------------------------------------------------


def test_plain_text_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log file would be full of escape sequences, of columns cut off at 80 characters, or of progress lines."""
    monkeypatch.setenv("COLUMNS", "40")
    cli.main(["check", "both.py"])
    out, err = capsys.readouterr()
    assert "\x1b" not in out
    assert "…" not in out
    assert [line for line in out.splitlines() if line != line.rstrip()] == []
    assert err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_on_a_terminal_unless_unwanted(variables: dict[str, str], coloured: bool) -> None:
    """A terminal would show no colours, or show them to somebody who has set NO_COLOR."""
    reader, writer = os.openpty()
    process = run("check", "right.py", stdout=writer, env={**os.environ, **variables})
    process.communicate()
    os.close(writer)
    printed = os.read(reader, 4096).decode()
    os.close(reader)
    assert "right: right" in printed
    assert ("\x1b[32m" in printed) == coloured


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.mark.parametrize(("patience", "shown"), [(0.05, True), (60.0, False)])
def test_progress_on_a_terminal_after_a_while(monkeypatch: pytest.MonkeyPatch, patience: float, shown: bool) -> None:
    """A long check would look as if it hung, or a short one flicker."""
    monkeypatch.setattr(cli_session, "PROGRESS_DELAY", patience)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert cli.main(["check", "slow.py", "--size", "N=60"]) == 0
    assert ("checking · " in terminal.getvalue()) == shown


def test_sign_that_the_encoding_lacks() -> None:
    """On a terminal without ✓ the check would end in a UnicodeEncodeError."""
    process = run("check", "right.py", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, err = process.communicate()
    assert process.returncode == 0
    assert out.startswith("+ right: right")
    assert "Error" not in err


# -- interrupted -------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize(("arguments", "busy"), [([], 1), (["--full", "--jobs", "2"], 3)])
def test_interrupt_is_one_line(arguments: list[str], busy: int) -> None:
    """Ctrl-C would print a traceback, leave workers behind, wait for them to finish, or end with another status."""
    # a shell lets what it runs in the background ignore Ctrl-C
    heeding = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = run("check", "slow.py", *arguments, start_new_session=True, preexec_fn=heeding)
    assert process.stderr is not None
    seen = set()
    while len(seen) < busy:  # the process, and with --jobs both workers too, are in the user's code
        seen.add(process.stderr.readline())
    started = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)  # to the end of standard error: no worker holds it open any more
    assert process.returncode == 130
    assert out == ""
    last = [line for line in err.splitlines() if not line.startswith("under way in ")]
    assert last == ["gradcheck: interrupted; every array was put back"]
    assert time.monotonic() - started < 20  # a worker's share alone takes longer


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX pipes")
@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_reader_that_has_gone(arguments: list[str]) -> None:
    """`gradcheck check FILE | head -1` would end in a traceback, or claim to know how the check went."""
    process = run("check", "both.py", *arguments)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait() == 141


# -- the verdict first -------------------------------------------------------------------------------------------------


@pytest.mark.lines
def test_the_verdict_is_printed_before_lines_are_looked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for a line, or ends the wait, would not see what is known; or the table would be printed twice."""
    seen: list[str] = []
    found = _explain.explain
    monkeypatch.setattr(_explain, "explain", lambda one: seen.append(capsys.readouterr().out) or found(one))
    assert cli.main(["check", "wrong.py"]) == 1
    assert seen[0].startswith("✗ wrong: wrong · 1 of 1 gradients wrong")
    assert "± bar" in seen[0]
    rest = capsys.readouterr().out
    assert "± bar" not in rest
    assert "\nerror[wrong-variable]: 3 stands where 2 should\n" in rest
    assert "evaluations of the loss" in rest


@pytest.mark.lines
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_ctrl_c_while_lines_are_looked_for_keeps_the_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    """What is known would be lost, the status be that of no verdict, or the next target be begun."""

    def interrupted(_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_explain, "explain", interrupted)
    assert cli.main(["check", "wrong.py", "right.py", *options]) == 1
    out, err = capsys.readouterr()
    assert out.count("wrong") >= 1
    assert "right.py" not in out
    assert "right.py was not begun: interrupted" in err
    if options:
        assert [cut["is_interrupt"] for cut in objects(out)[0]["cuts"]] == [True]
    else:
        assert "not finished, interrupted" in out


@pytest.mark.lines
def test_budget_and_no_explain_reach_the_check(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An option would be taken and have no effect."""
    given: list[tuple[bool, float]] = []
    plain = _check.check

    def noting(subject: Any, **options: Any) -> Any:
        given.append((options["explain"], options["budget"]))
        return plain(subject, **options)

    monkeypatch.setattr(_check, "check", noting)
    assert cli.main(["check", "wrong.py", "--no-explain"]) == 1
    assert "  1. " not in capsys.readouterr().out
    assert cli.main(["check", "right.py", "--budget", "2.5"]) == 0
    assert given == [(False, 30.0), (True, 2.5)]


def test_progress_beside_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log of a long check would be empty until its end."""
    monkeypatch.setattr(cli_session, "PROGRESS_DELAY", 0.01)
    monkeypatch.setattr(cli_session, "PROGRESS_INTERVAL", 0.01)
    monkeypatch.setattr(cli_session, "LINE_EVERY", 0.05)
    assert cli.main(["check", "slow.py", "--size", "N=60"]) == 0
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gradcheck: slow.py::slow: ")]
    assert any("checking · " in line and "evaluations" in line for line in lines)


@pytest.mark.parametrize("arguments", [["--html", "out.html"], ["--full", "--jobs", "2"]])
def test_files_beside_it_that_are_named_like_pythons_own(arguments: list[str], folder: Path) -> None:
    """A statistics.py or an html.py in the folder would end the command, or every worker, in a traceback."""
    for name in ("statistics", "html", "cProfile", "profile", "colorsys", "queue", "random", "secrets"):
        (folder / f"{name}.py").write_text("raise ImportError('not what was asked for')")
    process = run("check", "right.py", *arguments)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Error" not in err
    assert "right: right" in out
    assert "lost" not in out


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is full")
@pytest.mark.parametrize(
    "command", ["check both.py", "check right.py --json", "check raising.py --json", "trace one.py"]
)
def test_a_report_that_cannot_be_written_has_a_status_of_its_own(command: str) -> None:
    """A full disk would look like a wrong gradient, or like a right one whose report nobody has seen."""
    with open("/dev/full", "w") as full:
        process = run(*command.split(), stdout=full)
        err = process.communicate(timeout=60)[1]
    assert process.returncode == 74
    assert err.splitlines()[-1] == "gradcheck: cannot write the report to standard output: No space left on device"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
@pytest.mark.parametrize(
    ("closed", "file", "status"), [(">&-", "right.py", 74), ("2>&-", "wrong.py", 1), ("2>/dev/full", "raising.py", 2)]
)
def test_streams_that_are_closed_or_full(closed: str, file: str, status: int) -> None:
    """Without standard output nobody would see the report; without standard error a verdict would be a traceback."""
    command = f"exec {shlex.quote(sys.executable)} -m gradcheck check {file} {closed}"
    process = subprocess.Popen(command, shell=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    err = process.communicate(timeout=60)[1]
    assert process.returncode == status
    assert "Traceback" not in err
