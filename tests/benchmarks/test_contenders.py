"""What is timed side by side computes the same thing; and a loss of speed is told from noise."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import contenders  # noqa: E402 - found in the folder of the benchmarks
import peers  # noqa: E402
import regression  # noqa: E402

LIBRARIES = {"naive": "numpy", **contenders.LIBRARIES}


@pytest.mark.parametrize("dense", [False, True], ids=["tokens", "dense"])
@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("name", LIBRARIES)
def test_all_compute_the_same(name: str, B: int, dense: bool) -> None:
    """A ratio would compare two different things."""
    if importlib.util.find_spec(LIBRARIES[name]) is None:
        pytest.skip(f"{LIBRARIES[name]} is not installed: pip install 'gradcheck[peers,fast]'")
    given = contenders.problem(5, B, 4, 7, np.float64, dense)
    mine, theirs = contenders.ours(given)(), contenders.CONTENDERS[name](given)()
    assert set(mine[1]) == {*given.params, *(["x"] if dense else [])}
    assert peers._apart(mine, theirs) < 1e-12


def test_another_gradient_is_told() -> None:
    """Contenders that give other gradients would be timed all the same."""
    given = contenders.problem(3, 2, 4, 5, np.float64, dense=False)
    loss, grads = contenders.ours(given)()
    assert peers._apart((loss, grads), (loss, grads | {"U": 1.001 * grads["U"]})) > 1e-4
    assert peers._apart((loss, grads), (1.001 * loss, grads)) > 1e-4


def test_a_ratio_is_that_of_one_round() -> None:
    """A machine that is slow for a while would look like a contender that is."""
    seconds = {"a": [2.0, 20.0, 2.0, 2.0, 2.0], "b": [1.0, 10.0, 1.0, 1.0, 1.0]}
    assert peers.ratio(seconds, "a", "b") == (2.0, 2.0, 2.0)


def test_the_smallest_form(tmp_path: Path) -> None:
    """The benchmark would no longer run."""
    sizes = ("--widths", "4", "--batches", "1", "--dtypes", "float64", "--threads", "1", "--only", "floor", "naive")
    command = [sys.executable, "benchmarks/peers.py", *sizes, "--seconds", "0.01", "--json", str(tmp_path / "out.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "| tokens | 4 | 1 | float64 |" in done.stdout
    (tokens, dense) = json.loads((tmp_path / "out.json").read_text())["threads"]["1"]
    assert (tokens["inputs"], dense["inputs"]) == ("tokens", "dense")
    assert set(tokens["seconds"]) == {"lstm_core", "floor", "naive"}


# -- regression --------------------------------------------------------------------------------------------------------


class Ratios:
    """Stands in for what is measured: these, one after the other."""

    def __init__(self, *found: float) -> None:
        """Nothing was asked for yet."""
        self.found, self.asked = list(found), 0

    def __call__(self, *_: Any) -> float:
        """The next one; the last for good."""
        self.asked += 1
        return self.found[min(self.asked, len(self.found)) - 1]


@pytest.mark.parametrize(
    ("found", "asked", "status"),
    [
        ((1.0,), 1, 0),
        ((1.24,), 1, 0),
        ((1.3, 1.3, 1.2), 3, 0),  # it was noise
        ((1.3, 1.0), 2, 0),
        ((1.3,), 3, 1),
        ((9.0, 1.26, 9.0), 3, 1),
    ],
)
def test_a_loss_that_persists_fails(
    monkeypatch: pytest.MonkeyPatch, found: tuple[float, ...], asked: int, status: int
) -> None:
    """A loss of speed would pass, or noise end a build."""
    ratios = Ratios(*found)
    monkeypatch.setattr(regression, "ratio", ratios)
    pair = (lambda: None, lambda: None)
    assert regression.compared({"one": pair}, {"one": 1.0}, 0.0) == status
    assert ratios.asked == asked


def test_what_has_no_baseline_is_not_judged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another machine would fail, whose matrix products are faster."""
    monkeypatch.setattr(regression, "ratio", Ratios(9.0))
    assert regression.compared({"one": (lambda: None, lambda: None)}, {}, 0.0) == 0
    assert "no baseline for" in capsys.readouterr().out


def test_code_of_your_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Somebody's own kernels could not be tracked in the same way, or a planted loss of speed pass."""
    (tmp_path / "mine.py").write_text("def pairs():\n    return {'mine': (lambda: None, lambda: None)}\n")
    arguments = ["regression.py", "--pairs", str(tmp_path / "mine.py"), "--baseline", str(tmp_path / "mine.json")]
    monkeypatch.setattr(regression, "ratio", Ratios(1.0))
    monkeypatch.setattr(sys, "argv", [*arguments, "--update"])
    assert regression.main() == 0
    monkeypatch.setattr(sys, "argv", arguments)
    assert regression.main() == 0
    monkeypatch.setattr(regression, "ratio", Ratios(1.5))
    assert regression.main() == 1
    assert "slower than 1.25 times the baseline, 3 times in a row: mine" in capsys.readouterr().err


@pytest.mark.parametrize("with_numba", [False, True])
def test_the_baseline_that_is_committed(with_numba: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing would be compared: the names of the pairs are others than those of the baseline."""
    monkeypatch.setattr(regression, "with_numba", lambda: with_numba)
    names, quick = set(regression.pairs()), set(regression.pairs(quick=True))
    assert quick <= names
    baselines = [set(ratios) for ratios in json.loads(regression.BASELINE.read_text()).values()]
    assert any(names <= known for known in baselines)  # others may be from before a pair was known
    assert all(known <= names for known in baselines) or not with_numba
