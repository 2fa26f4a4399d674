"""Arrays that are written where they stand are written apart, so that what was kept of them stays as it was."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradcheck._mending.overwritten import bound_elsewhere, written_apart
from tests.gradcheck._mending.rewritten_texts import rewritten_texts


def apart(text: str) -> list[str]:
    """What the text becomes with each edit."""
    return rewritten_texts(written_apart, text)


def run(text: str) -> dict[str, Any]:
    """The variables after the text has run; `x` and `self.x` are one array, which is kept."""
    x = np.array([1.0, 2.0])
    names = {"np": np, "x": x, "self": SimpleNamespace(x=x), "kept": x, "y": np.array([3.0, 5.0]), "z": 7.0}
    exec(compile(text, "written", "exec"), names)
    return names


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("x *= y", "x = x * y"),
        ("x *= y + z", "x = x * (y + z)"),
        ("x -= y - z", "x = x - (y - z)"),
        ("x /= y * z", "x = x / (y * z)"),
        ("x -= y if len(y) else z", "x = x - (y if len(y) else z)"),
        ("x *= (1 - y)", "x = x * (1 - y)"),
        ("x *= z or y", "x = x * (z or y)"),
        ("x **= -y", "x = x ** (-y)"),
        ("x*=np.tanh(y)", "x = x * np.tanh(y)"),
        ("self.x += y * z", "self.x = self.x + (y * z)"),
        ("x[:] = y", "x = x.copy()\nx[:] = y"),
        ("x[...] = x * z", "x = x.copy()\nx[...] = x * z"),
        ("self.x[:] = 0.0", "self.x = self.x.copy()\nself.x[:] = 0.0"),
        ("np.add(y, z, out=x)", "x = x.copy()\nnp.add(y, z, out=x)"),
        ("x = np.multiply(x, z, out=x)", "x = x.copy()\nx = np.multiply(x, z, out=x)"),
        ("np.tanh(y, out=self.x)", "self.x = self.x.copy()\nnp.tanh(y, out=self.x)"),
    ],
)
def test_what_is_written_as_a_whole_is_written_apart(text: str, after: str) -> None:
    """A state that is cached and then updated in place would get no fix, or one that gives other numbers."""
    assert apart(text) == [after]
    before, now = run(text), run(after)
    for name, value in (("x", now["x"]), ("x", now["self"].x)):
        assert np.array_equal(value, [1.0, 2.0]) or np.array_equal(value, before[name])
    assert not np.array_equal(before["kept"], [1.0, 2.0])
    assert np.array_equal(now["kept"], [1.0, 2.0])


@pytest.mark.parametrize(
    "text",
    [
        "x[1:] = y", "x[:1] = y", "x[::2] = y", "x[0] = y", "x[:, 0] = y", "x[k] *= y", "self.x[k] += y",
        "np.add(y, z, out=x[1:])", "x[:] = y[:] = z", "n //= 2", "n |= 1",
    ],
)  # fmt: skip
def test_what_is_written_in_part_is_left_alone(text: str) -> None:
    """A buffer of all steps would be copied at each of them, and what was written into it be lost to its owner."""
    assert apart(text) == []


@pytest.mark.parametrize("update", ["c *= f", "c[:] = c * f", "np.multiply(c, f, out=c)"])
def test_inside_a_loop_the_text_keeps_its_shape(update: str) -> None:
    """The fix of an update inside a loop would break the lines around it."""
    text = f"kept, c = [], np.ones(2)\nfor f in (2.0, 3.0):\n    kept.append(c)\n    {update}\n    c = c + 1\n"
    (made,) = apart(text)
    assert [list(one) for one in run(made)["kept"]] == [[1.0, 1.0], [3.0, 3.0]]
    assert [list(one) for one in run(text)["kept"]] == [[2.0, 2.0], [9.0, 9.0]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s = np.tanh(x, out=x)", {"s = np.tanh(x, out=y)", "s = np.tanh(x, out=self.x)"}),
        ("s = np.multiply(x, y, out=y)", {"s = np.multiply(x, y, out=x)", "s = np.multiply(x, y, out=self.x)"}),
        # what is written over is bound anew, or not read by the call
        ("x = np.tanh(x, out=x)", set()),
        ("np.tanh(x, out=x)", set()),
        ("s = np.tanh(y, out=x)", set()),
    ],
)
def test_what_is_written_over_by_a_name_of_its_own_goes_to_another_array(text: str, expected: set[str]) -> None:
    """A value that is kept, and written over with the slope of it under another name, would get no fix."""
    around = f"def back(self, x, y):\n    {text}\n    np.exp(z, out=x), np.exp(z, out=y), np.exp(z, out=self.x)\n"
    made = {one.splitlines()[1].strip() for one in rewritten_texts(bound_elsewhere, around)}
    assert made == expected
