"""Backwards of whole cells, what their text is like, and what the command does."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._common.errors import TargetError
from gradcheck._common.files import load
from gradcheck._deriving.derivation import derive
from gradcheck.cli import main
from tests.gallery.plant import CELLS, ROOT, correct

#: quick to check in full
CHOSEN = (
    "vanilla_rnn", "gated_unit", "lstm", "fused_lstm", "peephole", "coupled", "projected", "leaky", "hard",
    "bidirectional", "stacked", "masked", "attention", "char_model",
)  # fmt: skip

RNN = """
import numpy as np
import gradcheck


class Net:
    def __init__(self, rng, D, H):
        self.W, self.U, self.b = rng.standard_normal((D, H)), rng.standard_normal((H, H)), rng.standard_normal(H)
        self.kept = []

    def step(self, x):
        h_bar = x @ self.W + self.h @ self.U + self.b
        self.h = np.tanh(h_bar)

    def run(self, x, goal):
        self.h = np.zeros((x.shape[1], len(self.b)))
        for row in x:
            self.step(row)
            self.kept.append(self.h)
        return 0.5 * np.sum((self.h - goal) ** 2)


def grads():
    raise NotImplementedError


@gradcheck.target
def rnn(rng, *, T=3, B=2, D=4, H=5):
    net = Net(rng, D, H)
    x, goal = rng.standard_normal((T, B, D)), rng.standard_normal((B, H))
    return gradcheck.Target({"W": net.W, "U": net.U, "b": net.b}, lambda: net.run(x, goal), grads)
"""

WRITTEN = """\
def rnn_backward(net, x, goal):
    # forward, keeping what the backward needs
    h = np.zeros((x.shape[1], len(net.b)))
    steps = []
    for t in range(len(x)):
        h_prev = h
        h_bar = x[t] @ net.W + h_prev @ net.U + net.b
        h = np.tanh(h_bar)
        steps.append((h_prev, h))
    # backward
    dW = np.zeros_like(net.W)
    dU = np.zeros_like(net.U)
    db = np.zeros_like(net.b)
    dh = h - goal
    for t in reversed(range(len(x))):
        h_prev, h = steps[t]
        dh_bar = dh * (1 - h ** 2)
        dW += x[t].T @ dh_bar
        dU += h_prev.T @ dh_bar
        db += dh_bar.sum(axis=0)
        dh = dh_bar @ net.U.T
    return {'W': dW, 'U': dU, 'b': db}
"""


@pytest.mark.parametrize("cell", CHOSEN)
def test_the_backward_of_a_cell_passes_the_full_check(cell: str) -> None:
    """Who has a forward in this style would get no backward of it."""
    found = derive(correct(cell))
    assert found.report.full
    assert found.report.ok
    ast.parse(found.source)


def test_objects_of_one_step_each_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of cells that keep what they calculate would have no backward."""
    monkeypatch.setenv("ASKER_DEFECTS", "none")
    found = derive(load(ROOT / "examples" / "asker_lstm.py").asker_lstm.with_sizes(n=5, d=3))
    assert found.report.ok
    assert "dWc += v @ dz_ct.T" in found.source


def test_the_names_are_the_users(tmp_path: Path) -> None:
    """The backward would be right and nobody could read it."""
    path = tmp_path / "rnn.py"
    path.write_text(RNN)
    lines = derive(load(path).rnn).source.splitlines()
    assert [line.replace('"', "'") for line in lines if not line.startswith("# ")] == [
        line.replace('"', "'") for line in WRITTEN.splitlines()
    ]
    assert "all 3 gradients are right at T=3, B=2, D=4, H=5 and " in lines[1]


def test_the_users_objects_are_as_they_were(tmp_path: Path) -> None:
    """Deriving would leave states and caches behind in the user's network."""
    path = tmp_path / "rnn.py"
    path.write_text(RNN)
    module = load(path)
    net = module.Net(np.random.default_rng(0), 2, 3)
    x, goal = np.ones((2, 1, 2)), np.ones((1, 3))
    net.run(x, goal)
    before = {name: np.array(value) for name, value in vars(net).items()}
    names = set(vars(module))
    derive(Target({"W": net.W, "U": net.U}, lambda: net.run(x, goal), module.grads))
    after = {name: np.array(value) for name, value in vars(net).items()}
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert set(vars(module)) == names


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("while self.W is not None: break", "a while statement"),
        ("self.h = np.fft.ifft(np.fft.fft(self.h)).real", "ifft"),
        ("self.h = np.sort(self.h)", "rnn.py:19: .*sort has no rule"),
        ("self.h = self.h if len(x) > 2 else 2 * self.h", "not verified"),
    ],
)
def test_what_cannot_be_derived_is_told(tmp_path: Path, line: str, why: str) -> None:
    """A wrong backward would be shown, or an error that says nothing."""
    path = tmp_path / "rnn.py"
    path.write_text(RNN.replace("            self.kept.append(self.h)\n", f"            {line}\n"))
    with pytest.raises(TargetError, match=why):
        derive(load(path).rnn)


def test_the_command_writes_a_new_file_and_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of the user's would be overwritten, or nothing written."""
    path, output = tmp_path / "rnn.py", tmp_path / "written.py"
    path.write_text(RNN)
    assert main(["derive", f"{path}::Net.run"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("# The backward of rnn, written by gradcheck derive")
    assert main(["derive", f"{path}::rnn", "--output", str(output)]) == 0
    assert output.read_text() == shown
    with pytest.raises(SystemExit) as error:
        main(["derive", str(path), "--output", str(output)])
    assert error.value.code == 2
    assert output.read_text() == shown


def test_the_command_fails_where_there_is_no_backward(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A script would take an empty file for a backward."""
    path = tmp_path / "rnn.py"
    path.write_text(
        RNN.replace("self.h = np.tanh(h_bar)", "self.h = np.tanh(h_bar)\n        while self.W is not None: break")
    )
    assert main(["derive", str(path)]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert "rnn.py:14: no backward can be written" in " ".join(shown.err.split())
    assert main(["derive", f"{path}::nothing"]) == 2


def test_every_chosen_cell_is_in_the_gallery() -> None:
    """A cell that was renamed would be tested no longer."""
    assert set(CHOSEN) <= set(CELLS)
    assert all((ROOT / file).exists() for file in CELLS.values())
