"""What sets a carried variable to nothing inside the loop is left out."""

from __future__ import annotations

import pytest

from gradcheck._mending.resets import reset_left_out
from tests.gradcheck._mending.rewritten_texts import rewritten_texts

#: a function that binds something before a loop
AROUND = (
    "def back(steps):\n    {before}\n    for step in steps:\n        {inside}\n        carry = step(carry)\n"
    "    return carry\n"
)


def without(before: str, inside: str, around: str = AROUND) -> list[str]:
    """What the function becomes with each edit."""
    return rewritten_texts(reset_left_out, around.format(before=before, inside=inside))


@pytest.mark.parametrize(
    "reset",
    [
        "carry = 0", "carry = 0.0", "carry = np.zeros(3)", "carry = numpy.zeros_like(step)", "carry = zeros((2, 3))",
        "if step: carry = 0.0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", ["carry = first(steps)", "total, carry = 0.0, np.ones(3)", "a = carry = 1"])
def test_a_carry_that_is_set_to_nothing_inside_its_loop_is_kept(before: str, reset: str) -> None:
    """A line that clears what the later step has handed on would get no fix."""
    left = reset[: reset.index("carry")] + "pass"
    assert without(before, reset) == [AROUND.format(before=before, inside=left)]


def test_a_carry_of_an_inner_loop_is_one_too() -> None:
    """Of a loop over layers inside one over time, the carry would be lost as before."""
    around = (
        "def back(steps):\n    for step in steps:\n        {before}\n        while step:\n            {inside}\n"
        "            carry = step(carry)\n    return carry\n"
    )
    made = around.format(before="carry = first(step)", inside="pass")
    assert without("carry = first(step)", "carry = 0.0", around) == [made]


@pytest.mark.parametrize(
    ("before", "inside"),
    [
        ("total = 0.0", "carry = 0.0"),
        ("carry = first(steps)", "carry = 1.0"),
        ("carry = first(steps)", "carry = np.ones(3)"),
        ("carry = first(steps)", "carry = carry * 0"),
        ("carry = first(steps)", "carry = False"),
        ("carry = first(steps)", "carry[:] = 0.0"),
        ("carry = first(steps)", "carry, total = 0.0, 0.0"),
        ("carry = first(steps)\n    carry = 0.0", "total = step"),
    ],
)
def test_what_is_no_reset_of_a_carry_is_left_alone(before: str, inside: str) -> None:
    """Sums that each round begins anew, and what is bound before the loop, would be left out."""
    assert without(before, inside) == []


def test_outside_functions_and_loops_nothing_is_left_out() -> None:
    """What a script binds first would be left out, and nothing be there to read."""
    assert rewritten_texts(reset_left_out, "carry = 1\nfor step in steps:\n    carry = 0.0\n") == []
    assert rewritten_texts(reset_left_out, "def back(step):\n    carry = 1\n    carry = 0.0\n    return carry\n") == []
