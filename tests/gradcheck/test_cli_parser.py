"""The arguments of the command."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from gradcheck.cli_parser import build_parser, parse_seed


@pytest.mark.parametrize("command", ["check", "mutate", "trace"])
def test_every_command_takes_files_a_seed_and_sizes(command: str) -> None:
    """An option that all commands share would be missing from one, or mean something else there."""
    options = build_parser().parse_args([command, "a.py", "b.py::net", "--seed", "7", "--size", "T=2", "--size", "B=1"])
    assert options.command == command
    assert options.files == ["a.py", "b.py::net"]
    assert options.seed == 7
    assert options.size == [("T", 2), ("B", 1)]
    assert options.json is False


def test_sizes_of_one_run_do_not_leak_into_the_next() -> None:
    """The shared default list would collect the sizes of every run in one process."""
    build_parser().parse_args(["check", "a.py", "--size", "T=2"])
    assert build_parser().parse_args(["check", "a.py"]).size == []


def test_options_of_check_and_mutate(tmp_path: Path) -> None:
    """An option would be parsed as another type than the command expects."""
    html = tmp_path / "out.html"
    check = build_parser().parse_args(["check", "a.py", "--full", "--html", str(html), "--fix", "--jobs", "3"])
    assert (check.full, check.html, check.fix, check.patch, check.jobs) == (True, html, True, None, 3)
    mutate = build_parser().parse_args(["mutate", "a.py", "--budget", "1.5"])
    assert (mutate.full, mutate.budget, mutate.jobs) == (False, 1.5, 1)


@pytest.mark.parametrize("budget", ["0", "-1", "soon", "nan"])
def test_budget_that_is_no_time_is_refused(capsys: pytest.CaptureFixture[str], budget: str) -> None:
    """A budget of nothing would try no bug at all, and the exit status would say that there were none."""
    with pytest.raises(SystemExit):
        build_parser().parse_args(["mutate", "a.py", f"--budget={budget}"])
    assert f"{budget!r} is not a time: expected a number of seconds above 0" in capsys.readouterr().err


def test_seeds() -> None:
    """pytest's option and the command would take different seeds."""
    assert parse_seed("0") == 0
    with pytest.raises(argparse.ArgumentTypeError, match="'-3' is not a seed: expected an integer of at least 0"):
        parse_seed("-3")
