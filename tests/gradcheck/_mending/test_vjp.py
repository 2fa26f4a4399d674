"""What brings derivatives back through an einsum."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from gradcheck._mending.vjp import added, einsum_back
from tests.gradcheck._tape.programs import draw

SIZES = dict(zip("bshk", (2, 3, 4, 5), strict=True))


@pytest.mark.parametrize(
    "text",
    ["bs,hk,bsk->bh", "bh,hk->bk", "bh, hk -> bk", "bk,hk->bh", "bh,bh->", "bh->hb", "b,h->bh", "bsh,bsh->bs"],
)
def test_it_is_the_adjoint_of_each_operand(text: str) -> None:
    """A path through an einsum would be written with letters that bring back something else."""
    operands, result = text.replace(" ", "").split("->")
    arrays = [draw(*(SIZES[one] for one in axes), seed=k) for k, axes in enumerate(operands.split(","))]
    g = np.asarray(draw(*(SIZES[one] for one in result), seed=7))
    for which, array in enumerate(arrays):
        back = einsum_back(text, which)
        assert back is not None
        brought = np.einsum(back, g, *(one for k, one in enumerate(arrays) if k != which))
        assert brought.shape == array.shape
        step = draw(*array.shape, seed=8)
        moved = np.einsum(text, *(step if k == which else one for k, one in enumerate(arrays)))
        assert np.isclose(np.sum(brought * step), np.sum(g * moved))


@pytest.mark.parametrize(
    ("text", "which"),
    [
        ("bh,hk", 0),  # the result is in the order of the alphabet
        ("...h,hk->...k", 0),
        ("bh->b", 0),
        ("bs,hk->bh", 0),
        ("bs,hk->bh", 1),
        ("bb->b", 0),
        ("bsh,b->h", 0),
    ],
)
def test_where_the_letters_do_not_tell_it_is_none(text: str, which: int) -> None:
    """An einsum would be written that does not run, or that lacks an axis."""
    assert einsum_back(text, which) is None


def test_an_operand_beside_one_whose_axis_is_nowhere_else_is_told() -> None:
    """What can be brought back would be given up for what cannot."""
    assert einsum_back("bsh,b->h", 1) == "h,bsh->b"


@pytest.mark.parametrize(
    ("terms", "total"),
    [
        (["a", "b"], "a + b"),
        (["a * x", "b", "a * x"], "2 * (a * x) + b"),
        (["b", "a / (2 * y) * x", "a / (2 * y) * x"], "a / y * x + b"),
        (["-a", "-a", "b"], "b - 2 * a"),
        (["a", "a", "a"], "a + a + a"),
    ],
)
def test_a_term_that_stands_there_twice_is_doubled(terms: list[str], total: str) -> None:
    """What comes back to both factors of a square would be written out once for each."""
    found = added([ast.parse(one, mode="eval").body for one in terms])
    assert found is not None
    assert ast.unparse(found) == total
