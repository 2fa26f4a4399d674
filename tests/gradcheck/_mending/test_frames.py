"""Values of expressions where they stand, for which nothing is changed."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._mending.frames import Frame, UnknownError
from gradcheck._mending.syntax import parsed


def sigmoid_(x):
    """Writes into what it is handed, through a parameter for that."""
    np.negative(x, out=x)
    np.exp(x, out=x)
    x += 1
    return np.reciprocal(x, out=x)


def sigmoid(x):
    """Leaves what it is handed as it is."""
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("text", ["squash_(a)", "squash_(x=a)", "squash_(a[1:])", "2 * squash_(a)"])
def test_a_function_that_writes_into_what_it_is_handed_gives_no_value(text):
    """If it fails, trying a candidate spoils the values of the run that the next is tried with, or the user's data."""
    a = np.arange(3.0)
    frame = Frame({"a": a, "squash_": sigmoid_}, {"np": np})
    with pytest.raises(UnknownError):
        frame.value(parsed(text))
    assert np.array_equal(a, [0, 1, 2])


def test_what_a_function_was_handed_can_be_written_to_afterwards():
    """If it fails, the user's code cannot write into its own arrays once a candidate was tried."""
    a = np.arange(3.0)
    frame = Frame({"a": a, "squash": sigmoid}, {"np": np})
    assert np.array_equal(frame.value(parsed("squash(a)")), sigmoid(a))
    a += 1
    assert np.array_equal(a, [1, 2, 3])


class Buffered:
    """A layer that calculates into an array of its own."""

    def __init__(self):
        self.buffer = np.zeros(3)

    def twice(self, x):
        """Of which a call says where the value goes."""
        return np.multiply(x, 2, out=self.buffer)

    def plain(self, x):
        """Of which none does."""
        return np.multiply(x, 2)


def test_a_method_that_says_where_its_values_go_is_not_called():
    """If it fails, trying a candidate writes into an array that the user's object keeps."""
    layer = Buffered()
    frame = Frame({"a": np.ones(3), "layer": layer}, {})
    with pytest.raises(UnknownError):
        frame.value(parsed("layer.twice(a)"))
    assert np.array_equal(layer.buffer, np.zeros(3))
    assert np.array_equal(frame.value(parsed("layer.plain(a)")), [2, 2, 2])
