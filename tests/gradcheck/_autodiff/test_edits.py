"""Edits of a statement, and what is written to files."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gradcheck._autodiff.edits import candidate_edits
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import Edit, apply_edits
from gradcheck.cli import main

pytestmark = pytest.mark.lines

CELL = '''\
"""A dense layer."""

import numpy as np

import gradcheck


def forward(x, W, b):
    z = x @ W + b
    return np.tanh(z), (x, W, z)


def backward(dh, cache):
    x, W, z = cache
    dz = dh * (1 - z**2)   # a comment – with an umlaut: ä
    return dz @ W.T, x.T @ dz, dz.sum(axis=0)


@gradcheck.target
def layer(rng, *, B=2, D=3, H=4):
    inputs = {"x": rng.standard_normal((B, D)), "W": rng.standard_normal((D, H)), "b": rng.standard_normal(H)}
    return gradcheck.Target.from_vjp(forward, backward, inputs)
'''


def outcomes(statement: str, scope: Scope) -> set[str]:
    """What the statement can become."""
    node = ast.parse(statement).body[0]
    return {apply_edits(statement, [edit]) for edit in candidate_edits(node, scope)}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("y = f(a, b)", "y = f(b, a)"),
        ("y = a * b", "y = a"),
        ("y = a + b", "y = (a - b)"),
        ("y = a @ b", "y = a @ b.T"),
        ("y += a", "y = a"),
        ("y = a", "y += a"),
        ("y = a[t]", "y = a[t - 1]"),
        ("y = np.clip(a, -1, 1)", "y = a"),
        ("y = df(a) * b", "y = (a * (1 - a)) * b"),
        ("y = df(a) * b", "y = (1 - a ** 2) * b"),
        ("y, z = f(a)", "z, y = f(a)"),
        ("y = g(a)", "y = g(b)"),
        ("y = a", "y = (-a)"),
    ],
)
def test_an_edit_is_tried(before: str, after: str) -> None:
    """A mistake of this kind would go without a fix."""
    assert after in outcomes(before, Scope({"a": np.ones(3), "b": np.ones(3)}, {}))


def test_edits_count_bytes() -> None:
    """A letter that is not ASCII would shift every edit after it."""
    source = "s = 'ä'; y = a\n"
    begin = source.encode().index(b"a\n")
    assert apply_edits(source, [Edit((1, begin), (1, begin + 1), "b")]) == "s = 'ä'; y = b\n"


def test_fix_writes_the_file_and_keeps_the_old_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--fix would not fix, or would lose the user's comments or file."""
    path = tmp_path / "layer.py"
    path.write_text(CELL, encoding="utf-8")
    assert main(["check", str(path), "--fix"]) == 0
    assert "layer.py.orig" in capsys.readouterr().err
    assert (tmp_path / "layer.py.orig").read_text(encoding="utf-8") == CELL
    fixed = path.read_text(encoding="utf-8").splitlines()
    changed = [i for i, (a, b) in enumerate(zip(CELL.splitlines(), fixed, strict=True)) if a != b]
    assert changed == [14]
    assert fixed[14].endswith("# a comment – with an umlaut: ä")
    again = tmp_path / "again.py"  # a module is loaded once by its path
    again.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    assert main(["check", str(again), "--full"]) == 0


def test_patch_applies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--patch would write what no tool can read."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "patched.py"
    path.write_text(CELL, encoding="utf-8")
    assert main(["check", str(path), "--patch", "out.diff"]) == 1
    assert path.read_text(encoding="utf-8") == CELL
    subprocess.run(["git", "apply", "out.diff"], check=True, cwd=tmp_path)
    assert path.read_text(encoding="utf-8") != CELL


def test_trace_shows_derivatives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The page for those who learn would be empty."""
    path = tmp_path / "shown.py"
    path.write_text(CELL.replace("z**2", "np.tanh(z) ** 2"), encoding="utf-8")
    assert main(["trace", str(path)]) == 0
    out = capsys.readouterr().out
    assert any("dz = dh" in line and "dL/d(z)" in line for line in out.splitlines())
    assert "dL/d(W)" in out


@pytest.mark.parametrize("number", ["1e999", "-1e999", "10**400", str(10**400)])
def test_numbers_beyond_all_floats_have_no_neighbours(number: str) -> None:
    """A statement with an infinity in it would end the search for lines in an overflow."""
    found = outcomes(f"y = x * {number}", Scope({"x": np.ones(2)}, {}))
    assert "y = x" in found
    assert not any("inf" in one or "nan" in one for one in found)
