"""Writes into memory: several rows of a sweep at once, and indices that repeat."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._tape import tape_target
from gradcheck._tape.tape import NOWHERE, Tape
from gradcheck._tape.writes import store_item
from tests.gradcheck._tape.programs import draw, module, target_of

#: what is read at each step of both directions goes into one buffer, of which a half is turned round
BOTH_WAYS = """
import numpy as np

def loss(p):
    return np.sum(p["a"] ** 2) + np.sum(p["b"] ** 2)

def grads(p):
    a, b = p["a"], p["b"]
    T, H = a.shape
    hs = np.zeros((T, 2 * H))
    h = b
    for t in range(T):
        h = np.tanh(a[t] + h)
        hs[t, :H] = h
    back = hs[::-1, H:]
    h = b * 2
    for t in range(T):
        h = np.tanh(a[T - 1 - t] * h)
        back[t] = h
    hs = np.ascontiguousarray(hs.T)[::-1].T
    hs[1] = hs[0] * b.sum()
    turned = np.asfortranarray(hs)
    turned[0, :2] = 3.0
    return {"a": turned[:, :H] * 2 + turned[:, H:], "b": hs.sum(axis=0)[:H]}
"""


@pytest.fixture
def both_ways(tmp_path):
    """The run of two directions in one buffer."""
    target = target_of(module(tmp_path, BOTH_WAYS), a=draw(4, 3), b=draw(3, seed=1))
    return tape_target(target, target.values())


def _projections(run, count):
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal((count, *value.shape)) for name, value in run.gradients.items()}


def test_rows_at_once_are_those_one_by_one(both_ways):
    """If it fails, rows of a sweep mix where memory lies in another order, and innocent lines are accused."""
    projections = _projections(both_ways, 3)
    together = both_ways.sensitivities(projections)
    for row in range(3):
        alone = both_ways.sensitivities({name: value[row : row + 1] for name, value in projections.items()})
        assert set(alone) == set(together)
        for index, found in alone.items():
            np.testing.assert_allclose(together[index][row : row + 1], found, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("index", [np.s_[1:, ::-1], np.s_[0], np.s_[:, 1]])
def test_what_is_left_of_the_memory_in_any_order_of_the_rows(index):
    """If it fails, rows that come back transposed are emptied in each other's places."""
    tape = Tape(10**6)
    target, value = draw(2, 3), draw(*np.zeros((2, 3))[index].shape, seed=1)
    tape.leaf(target, None)
    tape.leaf(value, None)
    store_item(tape, NOWHERE, target, index, value)
    node = tape.stores[-1][0]
    g = np.random.default_rng(0).standard_normal((3, 2, 3))
    assert len(node.pulls) == 2
    for pull in node.pulls:
        np.testing.assert_array_equal(pull(np.asfortranarray(g.reshape(3, 6))), pull(g.copy()))
    left = g.copy()
    left[(slice(None), *(index if isinstance(index, tuple) else (index,)))] = 0
    np.testing.assert_array_equal(node.pulls[0](np.asfortranarray(g.reshape(3, 6))).reshape(3, 2, 3), left)


def test_they_are_what_an_override_does(both_ways):
    """If it fails, all rows are wrong alike."""
    projections = _projections(both_ways, 3)
    together = both_ways.sensitivities(projections)
    places = {}
    for node in both_ways.nodes:
        if node.place is not None and node.cell is not None and isinstance(node.value, np.ndarray):
            places[node.place, node.execution] = node
    moved = [node for node in places.values() if node.op == "tanh"]
    assert len(moved) == 8
    for node in moved:
        step = 1e-6 * np.random.default_rng(node.index).standard_normal(node.shape)
        ends = [both_ways.overrides({(node.place, node.execution): node.value + sign * step}) for sign in (1, -1)]
        expected = sum(
            np.tensordot(value, ends[0][name] - ends[1][name], ends[0][name].ndim) / 2
            for name, value in projections.items()
        )
        np.testing.assert_allclose(together[node.index] @ step.ravel(), expected, rtol=1e-6, atol=1e-12)


def test_no_rows_at_all(both_ways):
    """If it fails, the search for faults ends with an error where they leave nothing of the gradients to explain."""
    projections = _projections(both_ways, 0)
    assert both_ways.sensitivities(projections) == {}
    assert both_ways.uses(projections) == {}


INDICES = {
    "y[[1, 0, 1]] += b": True,
    "y[[1, 0, 1]] = b": True,
    "y[[1, 0, 2]] += b": False,
    "y[np.array([True, False, True, False])] += b[:2]": False,
    "y[:3] += b": False,
    "np.add.at(y, [1, 0, 1], b)": False,
    "y[[0, 0], [0, 1]] += b[0, :2]": False,
    "y[[0, 0], [1, 1]] += b[0, :2]": True,
}


@pytest.mark.parametrize("write", INDICES)
def test_writes_through_indices_that_repeat_are_marked(write, tmp_path):
    """If it fails, the classic mistake with embeddings is not seen, or a right sum is told to be it."""
    made = module(
        tmp_path,
        f"""
        import numpy as np

        def loss(p):
            y, b = np.zeros((4, 3)), p["b"]
            {write}
            return np.sum(y ** 2)
        """,
    )
    target = target_of(made, b=draw(3, 3))
    run = tape_target(target, target.values())
    assert [one.repeats for one in run.writes if one.place.statement.text == write][-1:] == [INDICES[write]]
