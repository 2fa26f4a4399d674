"""The source of a backward with the derivatives that it holds beside each line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck import Target
from gradcheck._common.errors import TargetError
from gradcheck._common.files import load
from gradcheck._tracing.annotated_source import COLUMN, annotate_backward

SOURCE = """\
import numpy as np

import gradcheck


def forward(x, W):
    h = np.zeros((len(x), 2))
    for t in range(len(x)):
        h[t] = np.tanh(x[t] @ W)
    return h, (x, h, W)


def backward(dout, cache):
    x, h, W = cache
    dW = np.zeros_like(W)
    for t in reversed(range(len(x))):
        dz = dout[t] * (1 - h[t] ** 2)
        dW += np.outer(x[t], dz)
    return -2 * dW / -2, dW


@gradcheck.target
def layer(rng, *, T=3, D=4):
    inputs = {"W": rng.standard_normal((D, 2))}
    x = rng.standard_normal((T, D))
    return gradcheck.Target.from_vjp(
        lambda W: forward(x, W), lambda dout, cache: backward(dout, cache)[:1], inputs
    )
"""


def test_each_line_shows_its_derivatives(tmp_path: Path) -> None:
    """Who learns how a backward works would see no derivative, one with its time step, or beside another line."""
    path = tmp_path / "layer.py"
    path.write_text(SOURCE)
    lines = annotate_backward(load(path).layer, 0).splitlines()
    beside = {line[6:COLUMN].strip(): line[COLUMN:].strip() for line in lines if "dL/d" in line}
    assert beside["dz = dout[t] * (1 - h[t] ** 2)"].startswith("dL/d(x[t] @ W)")
    assert "dL/d(W)" in beside["return -2 * dW / -2, dW"]
    assert not any("at execution" in words for words in beside.values())


def test_source_that_is_not_at_hand_is_an_error() -> None:
    """A user of a REPL would get an empty page."""
    space = {"w": np.ones(3)}
    exec("def loss(): return float((w**2).sum())\ndef grads(): return {'w': 2 * w}", space)
    with pytest.raises(TargetError, match="source"):
        annotate_backward(Target({"w": space["w"]}, space["loss"], space["grads"]), 0)
