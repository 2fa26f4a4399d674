"""The source distribution is whole, and what is installed from the wheel works. It takes a minute, and needs an index.

``pip install build && pytest -m packaging`` runs it.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.small_targets import ONE

ROOT = Path(__file__).parent.parent

pytestmark = [
    pytest.mark.packaging,
    pytest.mark.skipif(
        not (ROOT / ".git").exists(), reason="what belongs to the distribution is asked of git, and this is no clone"
    ),
]


def run(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """What a command prints; it has to end with this status."""
    done = subprocess.run([*map(str, command)], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    """The files of the repository."""
    return set(run("git", "ls-files", cwd=ROOT).split())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, tracked: set[str]) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is built from it."""
    pytest.importorskip("build", reason="build is not installed: pip install build")
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in tracked:
        if (ROOT / name).exists():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--outdir", out, source, cwd=source)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, built: tuple[Path, Path]) -> Path:
    """The interpreter of a fresh environment with the wheel."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", built[1], cwd=folder)
    return python


def test_the_source_distribution_is_whole(built: tuple[Path, Path], tracked: set[str]) -> None:
    """A distributor could not run the tests, or a reader not build the docs."""
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sorted(tracked - names) == []


def test_the_wheel_has_the_packages_and_nothing_else(built: tuple[Path, Path], tracked: set[str]) -> None:
    """A room, a style or the schema would be missing, or tests be installed."""
    with zipfile.ZipFile(built[1]) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == {name for name in tracked if name.startswith(("gradcheck/", "lstm_core/"))}


@pytest.mark.parametrize(("factor", "status"), [("2", 0), ("3", 1)])
def test_what_is_installed_checks(python: Path, tmp_path: Path, factor: str, status: int) -> None:
    """The command would work in a clone alone."""
    (tmp_path / "check_one.py").write_text(ONE.replace("FACTOR", factor), encoding="utf-8")
    command = python.with_name("gradcheck")
    printed = run(command, "check", "check_one.py", "--html", "report.html", cwd=tmp_path, status=status)
    assert ("right" if status == 0 else "wrong") in printed
    assert "<style>" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_schema_and_the_plugin_are_installed(python: Path, tmp_path: Path) -> None:
    """Readers of reports would not find their schema, or pytest not know its option."""
    where = "importlib.resources.files('gradcheck.report') / 'report.schema.json'"
    run(python, "-c", f"import importlib.resources, json; json.loads(({where}).read_text())", cwd=tmp_path)
    assert "--gradcheck" in run(python, "-m", "pytest", "--help", cwd=tmp_path)


def test_the_unpacked_source_is_one_that_can_be_tested(python: Path, built: tuple[Path, Path], tmp_path: Path) -> None:
    """Whoever builds a package from it could not see whether it works."""
    with tarfile.open(built[0]) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    tests = ("tests/test_readme.py", "tests/lstm_core/test_cell.py", "examples")
    run(python, "-m", "pytest", "-q", "--gradcheck", "-p", "no:cacheprovider", *tests, cwd=folder)
