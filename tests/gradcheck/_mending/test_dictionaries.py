"""What was under a key of a dictionary is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import gradcheck
from gradcheck._common.files import load
from gradcheck._mending import mends
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.wrong_values import wrong_gradients
from gradcheck._tape import tape_target
from gradcheck._targets.opening import opened

CELL = """
import numpy as np
import gradcheck


def merged(left, right):
    {merge}


def cell(rng, T=3, H=2):
    p = {{"W": rng.normal(size=(H, H)), "b": rng.normal(size=H)}}
    xs = rng.normal(size=(T, H))

    def loss():
        return float(sum(np.sum(np.tanh(x @ p["W"] + p["b"]) ** 2) for x in xs))

    def grads():
        out = {{}}
        for x in xs:
            h = np.tanh(x @ p["W"] + p["b"])
            dz = 2 * h * (1 - h**2)
            out = merged(out, {{"W": np.outer(x, dz), "b": dz}})
        return out

    return gradcheck.Target(p, loss=loss, grads=grads)
"""


@pytest.mark.parametrize(
    ("merge", "line"),
    [
        ("out = dict(left)\n    for name in right:\n        out[name] = right[name]\n    return out", 9),
        (
            "out = dict(left)\n    for name, value in right.items():\n"
            "        out[name] = value if len(out) < 9 else value\n    return out",
            9,
        ),
        ("return {**left, **right}", 7),
        ("return left | right", 7),
        ("left.update(right)\n    return left", 7),
        ("return (lambda a, b: {**a, **b})(left, right)", 7),
    ],
)
def test_what_was_there_is_added_to(tmp_path: Path, merge: str, line: int) -> None:
    """A helper that merges gradients and forgets the earlier ones would be worked around where it is called."""
    file = tmp_path / "cell.py"
    file.write_text(CELL.format(merge=merge))
    target = load(file).cell(np.random.default_rng(0))
    with opened(target, 0):
        run = tape_target(target, target.values())
        assert wrong_gradients(run) == {"W", "b"}
        statement = next(one for one in run.statements if one.line == line)
        found = mends(run, statement)
    assert found
    assert not found[0].remaining


def test_a_merge_is_told_where_nobody_suspects_it(tmp_path: Path) -> None:
    """What is put together in a function that calculates nothing would be said to be missing where it is made."""
    file = tmp_path / "cell.py"
    merge = "return functools.reduce(lambda a, b: {**a, **b}, (left, right))"
    file.write_text("import functools\n" + CELL.format(merge=merge))
    factory = gradcheck.target(load(file).cell)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"W", "b"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.statement.line for one in found.faults] == [8]
