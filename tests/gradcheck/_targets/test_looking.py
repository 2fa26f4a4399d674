"""Whether a file holds targets is told without running it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gradcheck._targets.looking import find_target_files


@pytest.mark.parametrize(
    "text",
    [
        "import gradcheck\n@gradcheck.target\ndef f(rng): ...",
        "import gradcheck as g\n@other\n@g.target\ndef f(rng): ...",
        "from gradcheck import target as t\n@t\ndef f(rng): ...",
        "from gradcheck import *\n@target\ndef f(rng): ...",
        "import gradcheck\none = gradcheck.Target({}, f, g)",
        "from gradcheck import Target\none: Target = Target.from_vjp(f, g, {})",
        "import gradcheck\nf = gradcheck.target(g)",
        "if True:\n import gradcheck\n try:\n  one = gradcheck.Target.from_call(f, {})\n except OSError: ...",
    ],
)
def test_a_target_is_seen(tmp_path: Path, text: str) -> None:
    """A file with a target would never be checked."""
    (tmp_path / "f.py").write_text(text)
    assert find_target_files(str(tmp_path)).files == [str(tmp_path / "f.py")]


@pytest.mark.parametrize(
    "text",
    [
        "@target\ndef f(): ...  # not of gradcheck",
        "import gradcheck\ndef f():\n    one = gradcheck.Target({}, f, g)",
        "import gradcheck\ngradcheck.check(f)",
        "text = '@gradcheck.target'",
        "import numpy",
        "",
    ],
)
def test_what_defines_none_is_not_run(tmp_path: Path, text: str) -> None:
    """A script that trains for an hour would be run because it mentions gradcheck."""
    (tmp_path / "f.py").write_text(text)
    found = find_target_files(str(tmp_path))
    assert (found.files, found.others, found.skipped) == ([], 1, {})


def test_a_notebook_is_read_as_well(tmp_path: Path) -> None:
    """Targets in notebooks would be left out."""
    cell = {"cell_type": "code", "source": "%%gradcheck\n@gradcheck.target\ndef f(rng): ..."}
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": [cell]}))
    (tmp_path / "y.ipynb").write_text("{}")
    found = find_target_files(str(tmp_path))
    assert found.files == [str(tmp_path / "x.ipynb")]
    assert "is no notebook" in found.skipped[str(tmp_path / "y.ipynb")]


def test_files_come_in_order_and_links_are_not_followed(tmp_path: Path) -> None:
    """Two runs would report in two orders, or a link to the folder above never end."""
    for name in ("b/z.py", "b/a.py", "a.py", "c.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("import gradcheck\none = gradcheck.Target({}, f, g)")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    found = [Path(one).relative_to(tmp_path).as_posix() for one in find_target_files(str(tmp_path)).files]
    assert found == ["a.py", "c.py", "b/a.py", "b/z.py"]


def test_a_file_that_cannot_be_decoded_is_skipped(tmp_path: Path) -> None:
    """One old file would end the check of a folder."""
    (tmp_path / "old.py").write_bytes(b"import gradcheck\nx = '\xff'\n")
    (tmp_path / "null.py").write_bytes(b"import gradcheck\0")
    assert set(find_target_files(str(tmp_path)).skipped) == {str(tmp_path / "old.py"), str(tmp_path / "null.py")}
