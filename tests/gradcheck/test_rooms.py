"""The rooms of the package: each has a page for newcomers that is true, and imports run one way."""

from __future__ import annotations

import configparser
import importlib
import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gradcheck

ROOT = Path(__file__).parents[2]
PACKAGE = Path(gradcheck.__file__).parent
ROOMS = [module.name for module in pkgutil.iter_modules([str(PACKAGE)]) if module.ispkg]


@pytest.mark.parametrize("room", ROOMS)
def test_the_page_of_a_room_says_what_enters_what_leaves_and_where_to_start(room: str) -> None:
    """A newcomer who opens a folder would not learn what it is for."""
    page = importlib.import_module(f"gradcheck.{room}").__doc__ or ""
    assert "What enters" in page
    assert "What leaves" in page
    assert re.search(r"(Read|Start with) `\w+\.py`", page)


@pytest.mark.parametrize("room", ROOMS)
def test_the_files_that_a_page_names_exist(room: str) -> None:
    """The reading order would send a newcomer to a file that was renamed."""
    page = importlib.import_module(f"gradcheck.{room}").__doc__ or ""
    for name in re.findall(r"`([\w/]+\.py)`", page):
        assert (PACKAGE / name if "/" in name else PACKAGE / room / name).exists(), name


def test_every_room_has_its_layer() -> None:
    """A new room could import from anywhere, and nobody would notice."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    layers = set(re.findall(r"[\w.]+", config["importlinter:contract:rooms"]["layers"]))
    files = {f"gradcheck.{module.name}" for module in pkgutil.iter_modules([str(PACKAGE)])}
    assert layers == files


def test_imports_run_one_way() -> None:
    """A room would depend on one above it, or files of one room on each other in a circle."""
    pytest.importorskip("importlinter")
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
