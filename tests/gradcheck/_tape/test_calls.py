"""Values that containers and iterators hand back."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._tape import tape_target
from tests.gradcheck._tape.programs import check, draw, module, target_of

PROGRAM = """
import collections
import numpy as np

def loss(p):
    kept = [row * 2 for row in p["a"]]
    queue, table, turn = collections.deque(kept), {"first": kept[0]}, iter(kept)
    total = 0.0
    for t in range(2):
        row = TAKEN
        total = total + np.sum(np.tanh(row) * (t + 1))
    return total
"""
TAKEN = {
    "the last of a list": "kept.pop()",
    "the first of a list": "kept.pop(0)",
    "the first of a deque": "queue.popleft()",
    "the last of a deque": "queue.pop()",
    "an item of a dictionary": 'table.get("first")',
    "an item or a default": 'table.setdefault("first", None)',
    "the next of an iterator": "next(turn)",
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_a_container_hands_back_is_told_apart(name, tmp_path):
    """If it fails, it cannot be seen that the wrong one was taken: only where it was put into the container."""
    run = check(target_of(module(tmp_path, PROGRAM.replace("TAKEN", TAKEN[name])), a=draw(2, 3)))
    taken = [node for node in run.nodes if node.place is not None and node.place.text == TAKEN[name]]
    taken = [node for node in taken if node.place.kind == "call"]
    assert [node.execution for node in taken] == [0, 1]
    same = "table" in TAKEN[name]
    assert np.array_equal(taken[0].value, taken[1].value) == same
    for t, node in enumerate(taken):
        expected = (t + 1) * (1 - np.tanh(node.value) ** 2)
        np.testing.assert_allclose(run.derivative(node), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["the last of a list", "the first of a deque", "the next of an iterator"])
def test_other_values_can_stand_in_their_place(name, tmp_path):
    """If it fails, what the right one would do to the gradients is not known."""
    program = PROGRAM.replace("def loss(p):", "def taken(p):").replace("TAKEN", TAKEN[name])
    program = program.replace("np.tanh(row) * (t + 1)", "row * (t + 1)").replace("total = 0.0", "total = np.zeros(3)")
    program = program.replace("np.sum(row", "(row")
    program += "\ndef loss(p):\n    return np.sum(p['a'] ** 2)\n"
    program += "\ndef grads(p):\n    return {'a': taken(p) * np.ones((2, 1))}\n"
    target = target_of(module(tmp_path, program), a=draw(2, 3))
    run = tape_target(target, target.values())
    first = next(node for node in run.nodes if node.place is not None and node.place.text == TAKEN[name])
    found = run.sensitivities({"a": np.ones((1, 2, 3))})[first.index]
    np.testing.assert_allclose(found, np.full((1, 3), 2.0))
    replaced = run.overrides({(first.place, 0): first.value + 1})
    np.testing.assert_allclose(replaced["a"] - run.gradients["a"], np.ones((2, 3)))


HANDED_BACK = """
import numpy as np

class Layer:
    mask = np.array([1.0, 0.0, 2.0])

    def forward(self, x):
        return x * self.mask

    def backward(self, d):
        return d

def loss(p):
    return 0.5 * np.sum(Layer().forward(np.tanh(p["a"])) ** 2)

def grads(p):
    h = np.tanh(p["a"])
    d = h * Layer.mask ** 2
    d = Layer().backward(d)
    return {"a": d * (1 - h ** 2)}
"""


def test_what_a_function_hands_back_as_it_is_comes_from_its_return(tmp_path):
    """If it fails, who forgets what to do with an argument is not to blame, but whoever calls it."""
    target = target_of(module(tmp_path, HANDED_BACK), a=draw(2, 3))
    run = tape_target(target, target.values())
    (given,) = (node for node in run.backward if node.op == "call" and node.place.text.startswith("Layer().backward"))
    (returned,) = given.inputs
    assert (returned.op, returned.place.statement.text, returned.place.function) == (
        "return",
        "return d",
        "Layer.backward",
    )
    assert returned.call.place is given.place
    found = run.sensitivities({"a": np.ones((1, 2, 3))})
    np.testing.assert_allclose(found[returned.index][0], (1 - np.tanh(target.values()["a"]) ** 2).ravel())
    replaced = run.overrides({(returned.place, 0): returned.value + 1})
    np.testing.assert_allclose(replaced["a"] - run.gradients["a"], 1 - np.tanh(target.values()["a"]) ** 2)


def test_what_a_dictionary_is_called_with_is_read_as_that(tmp_path):
    """If it fails, another value for what `dict(W=dW)` is handed is no value of what is read under its name."""
    text = "def loss(p):\n    v = p['a'] * 2\n    d = dict(b=v)\n    return (d['b'] ** 2).sum() + (d['b'] * 3).sum()\n"
    run = check(target_of(module(tmp_path, text), a=draw(2, 3)))
    handed = next(node for node in run.nodes if node.op == "argument" and node.place.text == "v")
    assert sum(any(one is handed for one in node.inputs) for node in run.nodes) == 2
