"""Of a difference of neighbours the derivative at the other end is written beside the one that there is."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._mending.mirrored import other_end
from tests.gradcheck._mending.rewritten_texts import rewritten_texts


def ends(text: str) -> list[str]:
    """The line that each edit adds."""
    made = rewritten_texts(other_end, f"{text}\n")
    assert all(one.startswith(f"{text}\n") for one in made)
    return [one.removeprefix(f"{text}\n").removesuffix("\n") for one in made]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("dx[1:] += d", "dx[:-1] -= d"),
        ("dx[:-1] += d", "dx[1:] -= d"),
        ("dx[1:] -= 2 * d", "dx[:-1] += 2 * d"),
        ("dx[2:] += d", "dx[:-2] -= d"),
        ("dx[:-3] -= d", "dx[3:] += d"),
        ("self.dx[1:] += np.sign(d)", "self.dx[:-1] -= np.sign(d)"),
        ("g['x'][1:] += d", "g['x'][:-1] -= d"),
        ("dx[:, 1:] += d", "dx[:, :-1] -= d"),
        ("dx[t, :, :-1] -= d", "dx[t, :, 1:] += d"),
        ("dx[..., 1:] += d", "dx[..., :-1] -= d"),
    ],
)
def test_the_other_end_gets_the_opposite(one: str, other: str) -> None:
    """A penalty on differences whose derivative is taken at one end only would get no fix, or the wrong sign."""
    assert ends(one) == [other]


def test_of_several_slices_one_at_a_time_is_turned() -> None:
    """Of an image, neighbours beside each other could not be told from those above each other."""
    assert ends("dx[1:, :-1] += d") == ["dx[:-1, :-1] -= d", "dx[1:, 1:] -= d"]


def test_both_ends_make_the_derivative_of_a_difference() -> None:
    """The line that is written would not bring what is lacking."""
    x, d = np.array([[1.0, 4.0, 9.0, 16.0]]), np.array([[1.0, 10.0, 100.0]])
    (text,) = rewritten_texts(other_end, "for _ in range(2):\n    dx[:, 1:] += d\n")
    names = {"dx": np.zeros_like(x), "d": d}
    exec(compile(text, "ends", "exec"), names)
    assert names["dx"].tolist() == [[-2.0, -18.0, -180.0, 200.0]]


@pytest.mark.parametrize(
    "text",
    [
        "dx[1] += d", "dx[k] += d", "dx[-1] -= d", "dx[:] += d", "dx[0:] += d", "dx[-1:] += d", "dx[:2] += d",
        "dx[1:3] += d", "dx[1::2] += d", "dx[k:] += d", "dx[rows, 0] += d", "dx[1:] *= d",
    ],
)  # fmt: skip
def test_what_is_no_end_of_a_difference_is_left_alone(text: str) -> None:
    """Whatever is added to an entry, or to all of them, would be taken from others, and runs be spent on it."""
    assert ends(text) == []
