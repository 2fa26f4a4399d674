"""A clip of the finished gradients, told exactly: which gradients, which bound, which line."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradcheck
from gradcheck._common.files import load

pytestmark = pytest.mark.lines

NETWORK = """
import numpy as np
import gradcheck

LIMIT = 0.3

@gradcheck.target
def subject(rng, *, T=5, D=3, H=4):
    limit, unused = [LIMIT], 0.3
    p = {"W": rng.standard_normal((D, H)), "U": rng.standard_normal((H, H)), "b": np.zeros(H)}
    x = rng.standard_normal((T, D))

    def states():
        h = [np.zeros(H)]
        for row in x:
            h.append(np.tanh(row @ p["W"] + h[-1] @ p["U"] + p["b"]))
        return h

    def grads():
        h, d = states(), np.ones(H)
        g = {name: np.zeros_like(array) for name, array in p.items()}
        for t in reversed(range(T)):
            da = d * (1 - h[t + 1] ** 2)
            g["W"] += np.outer(x[t], da)
            g["U"] += np.outer(h[t], da)
            g["b"] += da
            d = p["U"] @ da
        CLIP
        return g

    return gradcheck.Target(p, lambda: float(states()[-1].sum()), grads)
"""


def checked(folder: Path, clip: str) -> gradcheck.Report:
    """The report on the network with this clip."""
    file = folder / "network.py"
    file.write_text(NETWORK.replace("CLIP", clip))
    return gradcheck.check(load(file).subject)


@pytest.mark.parametrize("bound", ["0.3", "LIMIT", "limit[0]", "(1 - 0.7)"])
def test_entries_that_are_clipped(bound: str, tmp_path: Path) -> None:
    """An innocent line would be accused, or an edit be invented that skips the clip."""
    report = checked(tmp_path, f"for d in g.values(): np.clip(d, -{bound}, {bound}, out=d)")
    clips = [one for one in report.findings if one.code == "clipped"]
    assert clips
    assert [one.line for one in clips] == [28], str(report)
    assert all("right, then clipped at ±0.3 at line 28" in one.headline for one in clips)
    assert all(one.code in ("clipped", "law-scale") for one in report.findings)
    assert not report.patch


@pytest.mark.parametrize(
    "clip",
    [
        "for d in g.values(): d[d > 0.3] = 0.3; d[d < -0.3] = -0.3",
        """if not T: np.clip(g["b"], -0.3, 0.3)
        for d in g.values(): np.clip(d, -LIMIT, LIMIT, out=d)""",
    ],
)
def test_of_lines_with_the_bound_the_one_that_clips_is_told(clip: str, tmp_path: Path) -> None:
    """A line would be accused that has the same number in it, and does not clip with it, or does not run."""
    report = checked(tmp_path, clip)
    clips = [one for one in report.findings if one.code == "clipped"]
    assert [one.line for one in clips] == [28 + clip.count("\n")], str(report)


def test_of_two_that_clip_with_the_bound_none_is_guessed(tmp_path: Path) -> None:
    """A guard of the forward would be accused, where the tape cannot tell who clips."""
    guard = "seen = max(abs(x).max(), 0.3)"
    report = checked(tmp_path, f"{guard}\n        for d in g.values(): d[d > 0.3] = 0.3; d[d < -0.3] = -0.3")
    assert [one.line for one in report.findings if one.code == "clipped"] == [None], str(report)


def test_gradients_that_are_clipped_by_their_norm(tmp_path: Path) -> None:
    """The norm would be told without the line, or an innocent line with it."""
    clip = "n = np.sqrt(sum((d**2).sum() for d in g.values())); g = {k: d * min(1, 0.25 / n) for k, d in g.items()}"
    report = checked(tmp_path, clip)
    (finding,) = (one for one in report.findings if one.code == "clipped")
    assert "right, then clipped to a norm of 0.25 at line 28" in finding.headline
    assert set(finding.blocks) == {"W", "U", "b"}
    assert not report.patch
