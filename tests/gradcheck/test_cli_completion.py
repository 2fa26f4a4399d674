"""The scripts for shells, run by the shells."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from gradcheck.cli import COMMANDS, main


@pytest.fixture
def script(tmp_path: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest) -> Path:
    """The script of a shell, in a folder with a target file, another file and a folder."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    assert main(["completion", shell]) == 0
    path = tmp_path / f"script.{shell}"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    for name in ("net.py", "nets.ipynb", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "network").mkdir()
    return path


def completed(script: Path, *words: str) -> set[str]:
    """What the shell offers for the last word."""
    shell = script.suffix[1:]
    if shell == "fish":
        code = f"source {script.name}; complete -C 'gradcheck {' '.join(words)}'"
    elif shell == "bash":
        given = " ".join(f"'{word}'" for word in ("gradcheck", *words))
        # what the shell sets where somebody types; compopt works there alone
        code = f"""compopt() {{ :; }}; source {script.name}; COMP_WORDS=({given}); COMP_CWORD={len(words)}
            _gradcheck; printf '%s\\n' "${{COMPREPLY[@]}}" """
    else:
        given = " ".join(f"'{word}'" for word in ("gradcheck", *words))
        # what completion offers is printed, of what it describes the words
        code = f"""compdef() {{ :; }}; source ./{script.name}
            compadd() {{ shift; print -l -- "$@" | grep -- "^$PREFIX"; }}
            _describe() {{ local name="${{@[-1]}}"; print -l -- "${{(@P)name}}" | sed 's/:.*//' | grep -- "^$PREFIX"; }}
            _files() {{ print -l -- ${{~2}}(N) *(/N) | grep -- "^$PREFIX"; }}
            words=({given}); CURRENT={len(words) + 1}; PREFIX='{words[-1]}'; _gradcheck"""
    done = subprocess.run([shell, "-c", code], cwd=script.parent, capture_output=True, text=True)
    assert done.stderr == ""
    return {line.partition("\t")[0].rstrip("/") for line in done.stdout.splitlines() if line}


SHELLS = pytest.mark.parametrize("script", ["bash", "zsh", "fish"], indirect=True)


@SHELLS
def test_commands_are_offered(script: Path) -> None:
    """Somebody who presses the tab key would be offered files alone."""
    assert set(COMMANDS) <= completed(script, "")
    assert {"check", "completion"} <= completed(script, "c")
    assert "mutate" not in completed(script, "c")


@SHELLS
def test_options_are_those_of_the_command(script: Path) -> None:
    """An option would be offered that the command refuses, or one be missing."""
    assert {"--full", "--fix", "--html"} <= completed(script, "check", "--")
    offered = completed(script, "trace", "--")
    assert "--size" in offered
    assert "--fix" not in offered


@SHELLS
def test_values_are_offered(script: Path) -> None:
    """Somebody would have to look up what --color takes, or the code of a finding."""
    assert completed(script, "check", "--color", "a") == {"auto", "always"}
    assert completed(script, "explain", "tanh") == {"tanh-derivative"}
    assert completed(script, "completion", "z") == {"zsh"}


@SHELLS
def test_files_are_those_that_can_hold_targets(script: Path) -> None:
    """Every file of a folder would be offered, or a folder not."""
    offered = completed(script, "check", "net")
    assert {"net.py", "nets.ipynb", "network"} <= offered
    assert "notes.txt" not in completed(script, "check", "n")


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty script would be installed."""
    with pytest.raises(SystemExit) as ended:
        main(["completion", "csh"])
    assert ended.value.code == 2
    assert "bash" in capsys.readouterr().err
