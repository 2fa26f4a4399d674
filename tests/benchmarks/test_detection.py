"""The benchmark of detection in its smallest form, and a peer beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PEERS = [("torch", "torch slow"), ("torch", "torch fast"), ("jax", "JAX"), ("autograd", "autograd")]


def run(path: Path, *arguments: str) -> tuple[str, dict]:
    """What the benchmark prints, and what it writes."""
    command = [sys.executable, "benchmarks/detection.py", *arguments, "--jobs", "1", "--json", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text())


def test_the_smallest_form(tmp_path):
    """The benchmark would no longer run, or print figures of a checker that passes what is wrong."""
    smallest = ("--kinds", "17", "--trials", "2", "--promises", "5", "--first", "2", "--correct", "12")
    printed, found = run(tmp_path / "found.json", *smallest, "--checkers", "gradcheck")
    ours = found["kinds"]["by"]["gradcheck"]
    assert ours["wrong gradients"]["times"] == ours["wrong gradients"]["of"] > 0
    assert ours["cells accused"]["times"] == 0
    for of_way in found["entries"].values():
        assert of_way["1e-02"]["seen"]["times"] == of_way["1e-02"]["seen"]["of"] > 0
        assert all(size["promised"]["times"] == size["promised"]["of"] for size in of_way.values())
    assert found["promise"]["missed"] == []
    assert sum(one["of"] for way, one in found["promise"].items() if way != "missed") > 20
    assert found["correct"]["gradcheck, smooth float64"]["accused"]["times"] == 0
    evaluations = [each[0] for each in found["cost"]["gradcheck, complex step"].values()]
    assert max(evaluations) < 2 * min(evaluations)
    assert "| gradcheck | 100% | 100% / 100% |" in printed


def test_a_part_that_does_not_exist_is_refused():
    """A part spelled wrongly would be left out in silence."""
    command = [sys.executable, "benchmarks/detection.py", "kind"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no part kind: expected some of kinds, entries" in done.stderr


@pytest.mark.oracle
@pytest.mark.parametrize(("library", "checker"), PEERS)
def test_a_peer_passes_what_is_right_and_not_what_is_wrong(library, checker, tmp_path):
    """A peer whose wrapping fails would be told to see everything, or nothing."""
    pytest.importorskip(library, reason=f"{library} is not installed: pip install 'gradcheck[peers]'")
    _, found = run(tmp_path / "found.json", "kinds", "--kinds", "17", "--checkers", checker)
    theirs = found["kinds"]["by"][checker]
    assert theirs["cells accused"]["times"] == 0
    assert theirs["wrong gradients"]["times"] > theirs["wrong gradients"]["of"] / 2
