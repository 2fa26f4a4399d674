"""Small constants of the loss that the backward leaves out: told, left where they are, and in nobody's way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gradcheck
from gradcheck._common.files import load
from gradcheck._repair.points import points_of
from gradcheck._repair.small_constants import small_constants
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import JudgedWithout

pytestmark = pytest.mark.lines

SOURCE = """
import numpy as np
import gradcheck

TINY = 1e-7


def forward(W, V, x, y):
    h = np.tanh(x @ W)
    e = np.exp(h @ V)
    p = e / e.sum(axis=1, keepdims=True)
    return -np.sum(y * np.log(p + TINY)), h, p


def backward(W, V, x, y):
    _, h, p = forward(W, V, x, y)
    ds = p - y
    dh = ds @ V.T
    da = dh * (1 - h**2)
    return {"W": x.T @ da, "V": h.T @ ds}


@gradcheck.target
def subject(rng, *, B=4, D=3, H=3, K=5):
    W, V = rng.standard_normal((D, H)), rng.standard_normal((H, K))
    x, y = rng.standard_normal((B, D)), np.eye(K)[rng.integers(0, K, B)]
    return gradcheck.Target(
        {"W": W, "V": V}, lambda: float(forward(W, V, x, y)[0]), lambda: backward(W, V, x, y)
    )
"""


def subject(folder: Path, *changes: tuple[str, str]) -> Any:
    """The target, from a file of its own."""
    text = SOURCE
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / f"softmax_{len(changes)}.py"
    file.write_text(text)
    return load(file).subject


def line_of(text: str) -> int:
    """The line that a text stands on."""
    return SOURCE[: SOURCE.index(text)].count("\n") + 1


def test_a_constant_that_the_backward_leaves_out_is_told(tmp_path: Path) -> None:
    """A right line of the backward would be accused, or none told, after a long search."""
    report = gradcheck.check(subject(tmp_path))
    (finding,) = report.findings
    assert (finding.code, finding.line, finding.fix) == (FindingCode.CONSTANT_LEFT_OUT, line_of("return -np"), None)
    assert finding.blocks == ("W", "V")
    assert "TINY = 1e-07" in finding.headline
    assert not report.patch


def test_a_mistake_beside_it_is_mended_and_the_constant_stays(tmp_path: Path) -> None:
    """Where everything is off by a little, no edit of the mistake would make anything right."""
    report = gradcheck.check(subject(tmp_path, ("dh * (1 - h**2)", "dh * (1 - h)")))
    mistake, constant = report.findings
    assert (mistake.line, mistake.fix.verified) == (line_of("da = dh"), True)
    assert constant.code is FindingCode.CONSTANT_LEFT_OUT
    assert [line for _, line, _ in report.patch_lines] == [mistake.line]


@pytest.mark.parametrize(
    "exact",
    [
        [("p + TINY", "p")],
        [("p - y", "p * np.sum(y * p / (p + TINY), axis=1, keepdims=True) - y * p / (p + TINY)")],
    ],
)
def test_where_the_backward_has_it_too_nothing_is_told(tmp_path: Path, exact: list[tuple[str, str]]) -> None:
    """A backward that is exact would be accused, beside a mistake or alone."""
    assert gradcheck.check(subject(tmp_path, *exact)).verdict == "right"
    report = gradcheck.check(subject(tmp_path, *exact, ("1 - h**2", "1 - h")))
    assert [one.line for one in report.findings] == [line_of("da = dh")]


@pytest.mark.parametrize(("added", "is_small"), [("1e-7", True), ("0.01", False), ("0.0", False)])
def test_what_counts_as_small(tmp_path: Path, added: str, is_small: bool) -> None:
    """A constant that is meant to change the loss would be left out where lines are looked for, or a small one kept."""
    factory = subject(tmp_path, ("TINY = 1e-7", f"TINY = {added}"))
    points = next(iter(points_of(factory, 0, dict(factory.sizes))))
    with points[0].taped() as run:
        assert bool(small_constants(run)) is is_small


@pytest.mark.parametrize("old", ["dh * (1 - h**2)", "ds = p - y"])
def test_a_constant_too_small_for_the_tape_keeps_no_edit_from_being_verified(old: str, tmp_path: Path) -> None:
    """After a right edit the check sees the constant, and the edit would be told as one that is not verified."""
    new = {"dh * (1 - h**2)": "dh * (1 - h)", "ds = p - y": "ds = p + y"}[old]
    report = gradcheck.check(subject(tmp_path, ("TINY = 1e-7", "TINY = 1e-9"), (old, new)))
    (mistake,) = report.findings
    assert mistake.line == line_of(old)
    assert mistake.fix.verified
    (apart,) = [one for one in mistake.evidence if isinstance(one, JudgedWithout)]
    assert (apart.constant, apart.line) == ("TINY = 1e-09", line_of("return -np"))
    assert "TINY" not in str(report.patch)


NORMALISED = """
import numpy as np
import gradcheck

EPS = 1e-5


def forward(W, v, x):
    h = np.tanh(x @ W)
    d = h - h.mean(axis=1, keepdims=True)
    r = 1 / np.sqrt((d**2).mean(axis=1, keepdims=True) + EPS)
    return h, d * r, r, np.sum(v * np.sin(d * r))


def backward(W, v, x):
    h, n, r, _ = forward(W, v, x)
    dn = v * np.cos(n)
    dh = r * (dn - dn.mean(axis=1, keepdims=True) - n * (dn * n).mean(axis=1, keepdims=True))
    return {"W": x.T @ (dh * (1 - h**2)), "v": np.sin(n).sum(axis=0)}


@gradcheck.target
def subject(rng):
    W, v, x = rng.standard_normal((3, 2)), rng.standard_normal(2), rng.standard_normal((4, 3))
    return gradcheck.Target({"W": W, "v": v}, lambda: float(forward(W, v, x)[3]), lambda: backward(W, v, x))
"""


def test_without_the_constant_a_gradient_that_is_gone_is_not_right(tmp_path: Path) -> None:
    """What is normalised over two units moves with the constant alone: that would be told, and the mistake never."""
    file = tmp_path / "normalised.py"
    file.write_text(NORMALISED.replace("(1 - h**2)", "(1 + h**2)"))
    report = gradcheck.check(load(file).subject)
    assert report.verdict == "wrong"
    assert FindingCode.CONSTANT_LEFT_OUT not in [one.code for one in report.findings]
