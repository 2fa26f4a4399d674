"""What a step later or earlier holds, where all steps lie side by side in an array."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_tape import find_by_tape
from tests.gradcheck._repair.spoiled import cell

#: a linear recurrence, its steps along the first axis or behind the batch; words in capitals are indices
SCAN = """
import numpy as np
import gradcheck


def scan(a, b, h):
    out = []
    for t in range(a.shape[AXIS]):
        h = a[STEP] * h + b[STEP]
        out.append(h)
    return np.stack(out, AXIS)


def back(a, d_all):
    later, d, out = np.concatenate([a[FROM_SECOND], 0 * a[FIRST]], axis=AXIS), 0.0, []
    for t in reversed(range(a.shape[AXIS])):
        d = d_all[STEP] + later[STEP] * d
        out.append(d)
    return np.stack(out[::-1], AXIS)


def grads(p, weight):
    h = scan(p["a"], p["b"], p["h0"])
    d = back(p["a"], 2 * weight * h)
    before = np.concatenate([p["h0"][NEW], h[TO_LAST]], axis=AXIS)
    return {"a": d * before, "b": d, "h0": (p["a"] * d)[BEGINNING]}


@gradcheck.target
def cell(rng, *, T=4, B=2, D=3):
    shape = (B, T, D) if AXIS else (T, B, D)
    p = {"a": rng.uniform(0.3, 0.9, shape), "b": rng.normal(size=shape), "h0": rng.normal(size=(B, D))}
    weight = rng.normal(size=shape)
    loss = lambda: np.sum(weight * scan(p["a"], p["b"], p["h0"]) ** 2)
    return gradcheck.Target(p, loss, lambda: grads(p, weight))
"""
PLACES = {"STEP": "t", "FROM_SECOND": "1:", "FIRST": ":1", "TO_LAST": ":-1", "NEW": "None", "BEGINNING": "0"}


def along(text: str, axis: int) -> str:
    """Code with the steps along this axis."""
    text = text.replace("AXIS", str(axis))
    for word, index in PLACES.items():
        text = text.replace(f"[{word}]", f"[:, {index}]" if axis else f"[{index}]")
    return text


@pytest.mark.lines
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("later, d, out = np.concatenate([a[FROM_SECOND], 0 * a[FIRST]], axis=AXIS), 0.0", "later, d, out = a, 0.0"),
        ('np.concatenate([p["h0"][NEW], h[TO_LAST]], axis=AXIS)', "h"),
    ],
)
def test_a_sequence_that_lies_one_step_beside_is_moved(tmp_path: Path, axis: int, right: str, wrong: str) -> None:
    """A state or a factor of the wrong step, in code that has all steps side by side, would get no edit."""
    text = along(SCAN, axis)
    bug = along(right, axis), wrong
    found = find_by_tape(cell(tmp_path, bug, source=text), 0, {"T": 4, "B": 2, "D": 3}, {"a", "b", "h0"})
    assert found is not None
    assert found.still_wrong == ()
    assert [len(one.edits) for one in found.faults] == [1]
