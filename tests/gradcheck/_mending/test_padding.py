"""Arrays of several shapes side by side."""

from __future__ import annotations

import numpy as np

from gradcheck._mending.padding import filled_up, have_as_many_axes, side_by_side, widest


def test_products_of_filled_arrays_are_those_of_the_arrays() -> None:
    """A product that is right at layers of several widths would be judged by numbers that it has nothing to do with."""
    rng = np.random.default_rng(0)
    lefts = [rng.standard_normal((2, width)) for width in (3, 4)]
    rights = [rng.standard_normal((width, 5)) for width in (3, 4)]
    found = side_by_side(lefts) @ side_by_side(rights)
    assert found.shape == (2, 2, 5)
    for one, left, right in zip(found, lefts, rights, strict=True):
        np.testing.assert_allclose(one, left @ right)


def test_slopes_of_filled_arrays_move_as_much() -> None:
    """An edit would be taken for right at the widest layer alone."""
    rng = np.random.default_rng(1)
    shapes = ((2, 3), (1, 4))
    assert widest(shapes) == (2, 4)
    parts = [rng.standard_normal(shape) for shape in shapes]
    slopes = [rng.standard_normal((6, one.size)) for one in parts]
    expected = sum(slope @ one.ravel() for slope, one in zip(slopes, parts, strict=True))
    np.testing.assert_allclose(np.hstack(filled_up(slopes, shapes)) @ side_by_side(parts).ravel(), expected)


def test_arrays_of_one_shape_stay_as_they_are() -> None:
    """What is usual would become slower."""
    parts = [np.ones((2, 3)), np.zeros((2, 3))]
    np.testing.assert_array_equal(side_by_side(parts), np.array(parts))
    slopes = [np.ones((4, 6)), np.zeros((4, 6))]
    assert all(one is other for one, other in zip(filled_up(slopes, ((2, 3), (2, 3))), slopes, strict=True))


def test_other_numbers_of_axes_are_told() -> None:
    """A matrix and a vector would be laid side by side, with an error from the depths."""
    assert have_as_many_axes(((2, 3), (1, 4)))
    assert not have_as_many_axes(((2, 3), (4,)))
