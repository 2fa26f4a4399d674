"""Which path is taken, and what is said where it cannot be. Nothing here needs numba."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from lstm_core import CharLSTM, _path

ROOT = Path(__file__).parents[2]
#: a loss, and whether numba was imported for it
LOSS = """
import sys
import numpy as np
{before}
import lstm_core
model = lstm_core.CharLSTM(3, 2, dtype={dtype}, rng=0)
model.params["U"] = model.params["U"] * {factor}
print(model.loss(np.array([[0], [1]]), np.array([[1], [2]])), sys.modules.get("numba") is not None)
"""
WITHOUT = "sys.modules['numba'] = None  # as if it were not installed"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test sets in the environment is what counts."""
    monkeypatch.delenv(_path.VARIABLE, raising=False)
    before = _path.use(None)
    yield
    _path.use(before)


def loss(
    word: str | None, before: str = "", dtype: str = "float", factor: str = "1", **variables: str
) -> subprocess.CompletedProcess[str]:
    """The loss of a process of its own."""
    variables |= {} if word is None else {"LSTM_CORE": word}
    environment = {name: value for name, value in os.environ.items() if name != "LSTM_CORE"} | variables
    source = LOSS.format(before=before, dtype=dtype, factor=factor)
    command = [sys.executable, "-c", source]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_without_numba_it_is_numpy() -> None:
    """A user without numba would get an error, or another loss."""
    done = loss(None, WITHOUT)
    assert done.stderr == ""
    assert done.stdout == loss("numpy").stdout
    assert done.stdout.endswith(" False\n")


def test_compiled_without_numba_is_refused() -> None:
    """Who asks for compiled code would wait for NumPy and not know why."""
    done = loss("compiled", WITHOUT)
    assert done.returncode != 0
    message = done.stderr.splitlines()[-1]
    assert message.startswith("ImportError: LSTM_CORE is 'compiled', but numba cannot be imported")
    assert message.endswith("pip install 'gradcheck[fast]', or set LSTM_CORE=numpy")


@pytest.mark.parametrize("word", ["Compiled", "numba", " numpy"])
def test_an_unknown_word_is_refused(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip of the pen would take some path in silence."""
    monkeypatch.setenv(_path.VARIABLE, word)
    tokens = np.zeros((2, 1), int)
    with pytest.raises(ValueError, match=f"LSTM_CORE is '{word}', expected 'numpy' or 'compiled'"):
        CharLSTM(3, 2, rng=0).loss(tokens, tokens)


def test_a_numba_that_is_broken_is_told(tmp_path: Path) -> None:
    """An unfit numba would break code that never asked for it, or slow it down with no word."""
    (tmp_path / "numba.py").write_text("raise ImportError('Numba needs NumPy 1.0 or less')\n")
    done = loss(None, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.returncode == 0, done.stderr
    assert done.stdout == loss("numpy").stdout
    assert "RuntimeWarning: numba is installed but cannot be imported, so lstm_core runs in NumPy" in done.stderr
    assert "Numba needs NumPy 1.0 or less" in done.stderr


@pytest.mark.parametrize(
    ("word", "dtype", "factor"),
    [("numpy", "float", "1"), (None, "np.longdouble", "1"), (None, "float", "(1 + 1e-20j)")],
)
def test_numba_is_imported_for_its_own_path_alone(word: str | None, dtype: str, factor: str) -> None:
    """Importing lstm_core, or a complex step, would take a second longer where numba is installed."""
    done = loss(word, dtype=dtype, factor=factor)
    assert done.stdout.endswith(" False\n"), done.stderr
