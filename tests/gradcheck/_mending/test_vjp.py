"""What brings derivatives back through an einsum."""

from __future__ import annotations

import ast

import numpy as np
import pytest

from gradcheck._mending.syntax import parsed
from gradcheck._mending.vjp import Cotangent, Operand, added, einsum_back, elementary
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


#: arrays of products of batches, by name
BATCHES = {"K": draw(2, 3, 4), "q": draw(2, 4, seed=1), "r": draw(3, 2, 4, seed=2)}


@pytest.mark.parametrize(
    ("left", "right", "which", "back"),
    [
        ("K", "q[:, :, None]", 0, "d @ q[:, None, :]"),
        ("K", "q[:, :, None]", 1, "K.swapaxes(-1, -2) @ d"),
        ("q[:, None, :]", "K.swapaxes(1, 2)", 1, "q[:, :, None] @ d"),
        ("K", "r[0, :, :, None]", 0, "d @ r[0, :, :, None].swapaxes(-1, -2)"),
        ("K[:, :, 1:]", "q[:, 1:, None]", 0, "d @ q[:, 1:, None].swapaxes(-1, -2)"),
    ],
)
def test_a_batch_of_columns_comes_back_as_one_of_rows(left: str, right: str, which: int, back: str) -> None:
    """What comes back to the keys of an attention would be written with exchanged axes of what is a column."""
    values = [eval(one, dict(BATCHES)) for one in (left, right)]
    operands = [Operand(parsed(text), one.shape) for text, one in zip((left, right), values, strict=True)]
    out = values[0] @ values[1]
    found = elementary("matmul", which, Cotangent(parsed("d"), out.shape), operands, out.shape)
    assert found is not None
    assert ast.unparse(found.node) == back
    d, step = draw(*out.shape, seed=7), draw(*values[which].shape, seed=8)
    brought = eval(back, {**BATCHES, "d": d})
    moved = step @ values[1] if which == 0 else values[0] @ step
    assert brought.shape == step.shape
    assert np.isclose(np.sum(brought * step), np.sum(d * moved))
