"""The action and the hook of this repository, read and run as their consumers do."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gradcheck.cli import main
from tests.small_targets import ONE

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parent.parent


def action() -> dict[str, Any]:
    """The action, with what GitHub asks of a composite one."""
    data = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
    assert {"name", "description", "runs"} <= set(data)
    assert data["runs"]["using"] == "composite"
    for step in data["runs"]["steps"]:
        assert ("run" in step) != ("uses" in step)
        assert "run" not in step or "shell" in step
    return dict(data)


def run_step(step: dict[str, Any], inputs: dict[str, str], folder: Path) -> tuple[int, str, dict[str, str]]:
    """Exit status, output and outputs of a step, run as the runner runs bash."""
    inputs = {name: str(one.get("default", "")) for name, one in action()["inputs"].items()} | inputs
    given = {
        name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: inputs[found[1]], value)
        for name, value in step.get("env", {}).items()
    }
    (folder / "outputs").touch()
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    files = {"GITHUB_OUTPUT": str(folder / "outputs"), "GITHUB_STEP_SUMMARY": str(folder / "summary.md")}
    environment = {**os.environ, **given, **files, "PATH": path, "PYTHONPATH": str(ROOT), "GITHUB_ACTIONS": "true"}
    environment.pop("GITHUB_WORKSPACE", None)
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=folder, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    outputs = dict(line.split("=", 1) for line in (folder / "outputs").read_text().splitlines())
    return done.returncode, done.stdout + done.stderr, outputs


def test_every_input_is_used_and_every_output_is_there() -> None:
    """An input would do nothing, or an output be empty for ever."""
    data = action()
    text = (ROOT / "action.yml").read_text(encoding="utf-8")
    assert set(data["inputs"]) == set(re.findall(r"inputs\.([\w-]+)", text))
    ids = {step.get("id"): step for step in data["runs"]["steps"]}
    for name, one in data["outputs"].items():
        step, output = re.fullmatch(r"\$\{\{ steps\.(\w+)\.outputs\.(\w+) \}\}", one["value"]).groups()  # type: ignore[union-attr]
        assert f"{output}=" in ids[step]["run"], name


def test_no_input_is_pasted_into_a_script() -> None:
    """Whoever names a file of a pull request could run commands in the workflow."""
    assert not any("${{" in step["run"] for step in action()["runs"]["steps"] if "run" in step)


@pytest.mark.parametrize(("factor", "status"), [("2", 0), ("3", 1)])
def test_the_action_checks(tmp_path: Path, factor: str, status: int) -> None:
    """The step would be green for wrong gradients, or the page of the job empty."""
    (tmp_path / "check_one.py").write_text(ONE.replace("FACTOR", factor))
    step = next(one for one in action()["runs"]["steps"] if one.get("id") == "check")
    inputs = {"files": "check_one.py", "arguments": "--no-explain --size N=2", "sarif": "out.sarif"}
    returned, printed, outputs = run_step(step, inputs, tmp_path)
    assert returned == status, printed
    assert outputs == {"status": str(status)}
    assert ("::error file=check_one.py" in printed) == bool(status)
    assert (tmp_path / "out.sarif").exists()
    assert (tmp_path / "summary.md").read_text(encoding="utf-8").startswith("## gradcheck: 1 ")


def hook() -> dict[str, Any]:
    """The hook, with what pre-commit asks of one."""
    (data,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert {"id", "name", "entry", "language"} <= set(data)
    known = {"id", "name", "entry", "language", "files", "exclude", "types", "types_or", "require_serial", "args"}
    assert set(data) <= known | {"description", "minimum_pre_commit_version", "pass_filenames", "always_run"}
    return dict(data)


@pytest.mark.parametrize(
    ("path", "taken"),
    [("check_lstm.py", True), ("a/b/check_x.ipynb", True), ("lstm.py", False), ("a/recheck_x.py", False)],
)
def test_the_hook_takes_target_files(path: str, taken: bool) -> None:
    """Every commit would fail because some file holds no target, or nothing would be checked."""
    assert bool(re.search(hook()["files"], path)) == taken


def test_the_hook_takes_what_init_writes() -> None:
    """The files that `gradcheck init` writes would not be checked."""
    from gradcheck.cli_init import target_file

    assert re.search(hook()["files"], target_file(Path("my-lstm.py")).as_posix())


def test_the_hook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit with a wrong gradient would go through, or one with a right gradient would not."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    program, *arguments = shlex.split(hook()["entry"])
    assert program == "gradcheck"
    for factor, status in (("2", 0), ("3", 1)):
        file = tmp_path / f"check_{factor}.py"
        file.write_text(ONE.replace("FACTOR", factor))
        assert main([*arguments, *hook().get("args", []), "--no-explain", str(file)]) == status


@pytest.mark.parametrize("key", ["id: gradcheck", "uses: "])
def test_the_docs_show_both(key: str) -> None:
    """A reader would not know how to ask for them."""
    assert key in (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
