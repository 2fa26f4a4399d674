"""The source of a backward with the derivatives that it holds beside each line, told by the tape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._annotating.annotate import annotate_backward
from gradcheck._common.errors import TargetError
from gradcheck._common.files import load
from gradcheck._repair import points
from gradcheck._tape import TapeTooLargeError
from gradcheck.cli import main
from gradcheck.report.trace_records import COLUMN

pytestmark = pytest.mark.lines

SOURCE = """\
import numpy as np

import gradcheck


def forward(x, h0, W, U, b):
    h, hs = h0, []
    for row in x:
        h_bar = row @ W + h @ U + b
        h = np.tanh(h_bar)
        hs.append(h)
    return np.array(hs), (x, h0, W, U, hs)


def backward(dout, cache):
    x, h0, W, U, hs = cache
    dx, dW, dU, db = np.zeros_like(x), np.zeros_like(W), np.zeros_like(U), 0
    dcarried = np.zeros_like(h0)
    for t in reversed(range(len(x))):
        dh = dout[t] + dcarried
        dh_bar = dh * (1 - hs[t] ** 2)
        dx[t] = dh_bar @ W.T
        dW += x[t].T @ dh_bar
        dU += (hs[t - 1] if t else h0).T @ dh_bar
        db = db + dh_bar.sum(axis=0)
        dcarried = dh_bar @ U.T
    return dx, dcarried, dW, dU, db


@gradcheck.target
def rnn(rng, *, T=3, B=2, D=4, H=5):
    shapes = {"x": (T, B, D), "h0": (B, H), "W": (D, H), "U": (H, H), "b": (H,)}
    return gradcheck.Target.from_vjp(forward, backward, {k: rng.standard_normal(v) for k, v in shapes.items()})
"""

BESIDE = {
    "dh = dout[t] + dcarried": "dL/d(h)",
    "dh_bar = dh * (1 - hs[t] ** 2)": "dL/d(h_bar)",
    "dx[t] = dh_bar @ W.T": "dL/d(row)",
    "dW += x[t].T @ dh_bar": "dL/d(W) in the end; adds the term through row @ W at each step",
    "dU += (hs[t - 1] if t else h0).T @ dh_bar": "dL/d(U) in the end; adds the term through h @ U at each step",
    "dcarried = dh_bar @ U.T": "a part of dL/d(h): the term through h @ U at executions 1, 2 of 3"
    " | dL/d(h0) at execution 3 of 3",
    "return dx, dcarried, dW, dU, db": "dL/d(x) | dL/d(h0) | dL/d(W)",
}


def beside(path: Path, *edit: str) -> tuple[dict[str, str], str]:
    """What stands beside each line; and the whole text."""
    path.write_text(SOURCE.replace(*edit) if edit else SOURCE)
    text = annotate_backward(load(path).rnn, 0)
    lines = [line for line in text.splitlines() if line[:5].strip().isdigit()]
    return {line[6:COLUMN].strip(): line[COLUMN + 6 :].strip() for line in lines}, text


def test_each_line_shows_what_it_holds_in_the_users_names(tmp_path: Path) -> None:
    """Who learns how a backward works would read of expressions, or of parts as if they were the whole."""
    found, text = beside(tmp_path / "rnn.py")
    assert {line: found[line] for line in BESIDE} == BESIDE
    assert found["db = db + dh_bar.sum(axis=0)"].endswith("dL/d(b) at execution 3 of 3")
    assert "✗" not in text
    assert "wrong" not in text


def test_a_wrong_line_says_what_it_should_hold_and_why(tmp_path: Path) -> None:
    """A wrong line would stand there with nothing beside it, and those that follow from it as well."""
    found, text = beside(tmp_path / "rnn.py", "(1 - hs[t] ** 2)", "(1 - hs[t])")
    said = found["dh_bar = dh * (1 - hs[t])"]
    assert said.startswith("✗ should hold dL/d(h_bar): ")
    assert "right with dh_bar = dh * (1 - hs[t] ** 2)" in said
    assert found["dW += x[t].T @ dh_bar"] == "(no derivative, because of line 21)"
    assert text.splitlines()[-1] == "wrong: x, h0, W, U, b; marked ✗: line 21"


def test_that_a_line_is_a_derivative_is_said_only_where_it_is(tmp_path: Path) -> None:
    """A sum that lacks what the later steps carry back would be told to be right."""
    found, _ = beside(tmp_path / "rnn.py", "dcarried = dh_bar @ U.T", "dcarried = dh_bar @ U.T * (t == 0)")
    assert found["dh = dout[t] + dcarried"].startswith("dL/d(h) at execution 1 of 3 | a part of dL/d(h)")
    assert found["dcarried = dh_bar @ U.T * (t == 0)"].startswith("✗ ")


OBJECTS = ("np.tanh(h_bar)", "np.tanh(h_bar.astype(object).astype(h_bar.dtype))")


def test_where_the_tape_cannot_follow_the_loss_that_is_said(tmp_path: Path) -> None:
    """Lines would be told to hold derivatives that they do not hold, or to hold none."""
    with pytest.raises(TargetError, match="no derivatives can be shown: the tape cannot follow astype"):
        beside(tmp_path / "rnn.py", *OBJECTS)


def test_the_command_ends_where_the_tape_cannot_follow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A user would take an empty page for an answer."""
    path = tmp_path / "left.py"
    path.write_text(SOURCE.replace(*OBJECTS))
    assert main(["trace", str(path)]) == 2
    assert "no derivatives can be shown" in " ".join(capsys.readouterr().err.split())


def test_code_that_computes_too_much_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory of the machine would be used up, or the reason not be told."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise TapeTooLargeError("more than allowed")

    monkeypatch.setattr(points, "tape_target", refuse)
    with pytest.raises(TargetError, match="computes too much to be followed"):
        beside(tmp_path / "rnn.py")


def test_what_is_left_out_beside_a_loss_that_is_followed_is_said(tmp_path: Path) -> None:
    """The page would seem to be whole."""
    space: dict[str, Any] = {}
    exec("def doubled(x): return 2 * x", space)
    path = tmp_path / "halves.py"
    path.write_text(
        "import numpy as np, gradcheck\n\n\ndef loss(w):\n    return float((w**2).sum())\n\n\n"
        "def grads(w, doubled):\n    dw = doubled(w)\n    return {'w': dw}\n"
    )
    module, w = load(path), np.ones(3)
    text = annotate_backward(Target({"w": w}, lambda: module.loss(w), lambda: module.grads(w, space["doubled"])), 0)
    assert "dw = doubled(w)" in text
    assert "dL/d(w)" in text
    assert text.splitlines()[-1] == "not all is shown: the source of doubled is not at hand"


def test_source_that_is_not_at_hand_is_an_error() -> None:
    """A user of a REPL would get an empty page."""
    space = {"w": np.ones(3)}
    exec("def loss(): return float((w**2).sum())\ndef grads(): return {'w': 2 * w}", space)
    with pytest.raises(TargetError, match="source"):
        annotate_backward(Target({"w": space["w"]}, space["loss"], space["grads"]), 0)


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`gradcheck trace` would go on measuring."""
    path = tmp_path / "rnn.py"
    path.write_text(SOURCE)
    assert main(["trace", str(path)]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{path}::rnn\n")
    assert "dL/d(h_bar)" in shown


def test_code_in_c_is_refused_with_what_to_do(tmp_path: Path) -> None:
    """The author of a kernel would be told that a slope is not measured, and not why."""
    text = SOURCE.replace("import numpy as np\n", "import ctypes\nimport numpy as np\n", 1).replace(
        "        h = np.tanh(h_bar)",
        "        h = np.empty_like(h_bar)\n        ctypes.memmove(h.ctypes.data, np.tanh(h_bar).ctypes.data, h.nbytes)",
    )
    (tmp_path / "in_c.py").write_text(text)
    with pytest.raises(TargetError, match=r"follows NumPy, and this code calls ctypes.memmove; trace the same"):
        annotate_backward(load(tmp_path / "in_c.py").rnn, 0)


@pytest.mark.oracle
def test_code_in_torch_is_refused_with_what_to_do() -> None:
    """A torch author would be told that a slope is not measured, and not that the check names lines."""
    torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'gradcheck[torch]'")
    net = torch.nn.Linear(3, 2).double()
    x = torch.ones(4, 3, dtype=torch.float64)
    target = Target.from_module(net, lambda: net(x).pow(2).sum())
    with pytest.raises(TargetError, match=r"calculates in torch; gradcheck check names the wrong line"):
        annotate_backward(target, 0)
