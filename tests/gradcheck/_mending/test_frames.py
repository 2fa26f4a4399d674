"""Values of expressions where they stand, for which nothing is changed."""

from __future__ import annotations

import ast
from contextlib import suppress

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


def doubled_(rows):
    """Writes into the arrays of a list."""
    for row in rows:
        row *= 2
    return rows[0]


def doubled_base(x):
    """Writes into what a view looks at."""
    whole = x if x.base is None else x.base
    whole *= 2
    return whole


SCRATCH = np.zeros(3)


def doubled_in_scratch(x):
    """Calculates into an array of the module."""
    return np.multiply(x, 2, out=SCRATCH)


@pytest.mark.parametrize("text", ["change(kept)", "change([a, a])", "change((a,))", "change(rows=kept)"])
def test_the_elements_of_lists_are_not_written_into(text):
    """If it fails, trying a candidate spoils the states that the run keeps in a list."""
    a = np.arange(3.0)
    frame = Frame({"a": a, "kept": [a, a], "change": doubled_}, {})
    with pytest.raises(UnknownError):
        frame.value(parsed(text))
    assert np.array_equal(a, [0, 1, 2])


@pytest.mark.parametrize("text", ["change(a)", "change(a[:2])", "change(x=a)"])
def test_what_an_array_is_a_view_of_is_not_written_into(text):
    """If it fails, trying a candidate spoils values through `x.base`."""
    a = np.arange(3.0)
    frame = Frame({"a": a, "change": doubled_base}, {})
    with suppress(UnknownError):
        frame.value(parsed(text))
    assert np.array_equal(a, [0, 1, 2])


def test_a_function_that_calculates_into_an_array_of_its_module_is_not_called():
    """If it fails, trying a candidate writes over what the user's module keeps in a buffer."""
    frame = Frame({"a": np.ones(3), "change": doubled_in_scratch, "squash": sigmoid}, {})
    with pytest.raises(UnknownError):
        frame.value(parsed("change(a)"))
    assert np.array_equal(SCRATCH, np.zeros(3))
    assert np.array_equal(frame.value(parsed("squash(a)")), sigmoid(np.ones(3)))


class Total:
    """Adds up what it is given."""

    def __init__(self):
        self.total = np.zeros(3)

    def add_all(self, x):
        """Of which the sum is updated where it stands."""
        total = self.total
        total += x
        return total

    def sum(self, x):
        """Of which it is not."""
        total = self.total
        return total + x


def test_a_method_that_updates_in_place_is_not_called():
    """If it fails, trying a candidate adds to a sum that the user's object keeps."""
    kept = Total()
    frame = Frame({"a": np.ones(3), "kept": kept}, {})
    with pytest.raises(UnknownError):
        frame.value(parsed("kept.add_all(a)"))
    assert np.array_equal(kept.total, np.zeros(3))
    assert np.array_equal(frame.value(parsed("kept.sum(a)")), np.ones(3))


COMPREHENDED = {
    "W": {"z": 2.0, "r": 3.0},
    "d": {"z": np.ones(2), "r": np.arange(2.0)},
    "pairs": [(1, 2), (3, 4)],
    "n": 3,
}


@pytest.mark.parametrize(
    "text",
    [
        "sum(d[k] * W[k] for k in 'zr')",
        "[d[k] * W[k] for k in ('z', 'r')]",
        "{k: v * W[k] for k, v in d.items()}",
        "[a * b for a, b in pairs]",
        "[i * j for i in range(n) if i for j in range(i)]",
        "np.stack([x + n for x in d.values()])",
        "[[i + j for j in range(2)] for i in range(2)]",
    ],
)
def test_what_is_given_in_rounds_is_evaluated(text):
    """If it fails, statements with a comprehension in them have no edits that are judged by their values."""
    found = Frame(COMPREHENDED, {"np": np}).value(parsed(text))
    assert str(found) == str(eval(text, {"np": np, **COMPREHENDED}))


@pytest.mark.parametrize(
    "text", ["[x for x in spent]", "[x for x in range(100000)]", "list(spent)", "[f(x) for x in rows]"]
)
def test_what_would_change_something_or_take_long_in_rounds_has_no_value(text):
    """If it fails, trying a candidate uses up an iterator of the user's, or is not done soon."""
    spent, rows = iter([1, 2]), [np.arange(3.0)]
    with pytest.raises(UnknownError):
        Frame({"spent": spent, "rows": rows, "f": sigmoid_}, {}).value(parsed(text))
    assert list(spent) == [1, 2]
    assert np.array_equal(rows[0], [0, 1, 2])


def test_in_rounds_others_stand_in_the_place_of_parts_as_well():
    """If it fails, an edit inside a comprehension is judged as if it were not there."""
    whole = parsed("sum(d[k] * W[k] for k in 'zr')")
    (part,) = [node for node in ast.walk(whole) if isinstance(node, ast.expr) and ast.unparse(node) == "W[k]"]
    touched = {id(node) for node in ast.walk(whole) if any(one is part for one in ast.walk(node))}
    found = Frame(COMPREHENDED, {}).value(whole, {id(part): parsed("10 * W[k]")}, touched)
    assert np.array_equal(found, [20, 50])


def test_the_first_round_has_its_variables():
    """If it fails, nothing is known of what stands in a comprehension, and nothing is put in its place."""
    comprehension = parsed("[k + x for k, x in zip('zr', pairs) if k == 'r']")
    frame = Frame(COMPREHENDED, {}).in_first_round(comprehension)
    assert (frame.local["k"], frame.local["x"]) == ("r", (3, 4))
    with pytest.raises(UnknownError):
        Frame({"nothing": []}, {}).in_first_round(parsed("[x for x in nothing]"))
