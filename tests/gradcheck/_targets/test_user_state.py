"""Everything that the user's functions can change is put back; what only counts is left."""

from __future__ import annotations

import dis
import inspect
from typing import Any

import numpy as np

from gradcheck import TargetFactory, check
from gradcheck._targets import user_state
from gradcheck._targets.user_state import UserState

WEIGHTS: Any = None
SIZE = 0


class Net:
    """A model that keeps its state in attributes, a list and a slot."""

    __slots__ = ("__dict__", "slot")

    def __init__(self) -> None:
        self.h = np.zeros(2)
        self.states = [self.h]
        self.slot = self.h
        self.calls = 0
        self.losses: list[float] = []

    def loss(self) -> float:
        """Changes all of them."""
        self.calls += 1
        self.losses.append(1.0)
        self.h[0] = 7.0
        self.h = self.h * 1j
        self.states.append(self.h)
        self.slot = self.h
        return 0.0


def test_attributes_lists_slots_and_contents_are_put_back() -> None:
    """A model checked by complex steps would be left with complex states, and its next training step would raise."""
    net = Net()
    h = net.h
    state = UserState([net.loss])
    net.loss()
    state.restore_values()
    assert net.h is h
    assert net.slot is h
    assert list(h) == [0.0, 0.0]
    assert len(net.states) == 1


def test_counts_are_left() -> None:
    """A user who counts the calls of a loss during a check would read zero."""
    net = Net()
    state = UserState([net.loss])
    net.loss()
    state.restore_values()
    assert net.calls == 1
    assert net.losses == [1.0]
    state.restore()
    assert net.calls == 0
    assert net.losses == []


def test_variables_of_closures() -> None:
    """A pullback closure that binds its variable anew would hand the next check another array."""
    kept = np.ones(2)
    first = kept

    def loss() -> float:
        nonlocal kept
        kept = kept * 2
        return float(kept.sum())

    state = UserState([loss])
    loss()
    assert kept is not first
    state.restore_values()
    assert kept is first


def test_random_generators_go_back() -> None:
    """A check would change the random numbers that a program draws after it."""
    rng = np.random.default_rng(0)
    state = UserState([lambda: rng.random()])
    first = rng.random()
    state.restore_values()
    assert rng.random() == first


def test_complex_arrays_are_seen() -> None:
    """State that became complex would make every later real loss a complex number."""
    net = Net()
    assert not UserState([net.loss]).complex_arrays
    net.loss()
    assert UserState([net.loss]).complex_arrays


def globals_of(rng: np.random.Generator, *, T: int = 4, H: int = 3) -> Any:
    """A factory that binds the weights, and their size, in variables of the module."""
    global WEIGHTS, SIZE
    from gradcheck import Target

    WEIGHTS, SIZE = rng.standard_normal((H, H)), H
    x = rng.standard_normal((T, H))

    def loss() -> float:
        return 0.5 * float(np.sum((x @ WEIGHTS)[:, :SIZE] ** 2))

    return Target(lambda: {"W": WEIGHTS}, loss, lambda: {"W": x.T @ (x @ WEIGHTS)})


def test_a_target_brings_the_module_variables_of_its_size() -> None:
    """Of two targets of a factory, the first would run with the weights of the second: shapes that do not fit."""
    global WEIGHTS, SIZE
    WEIGHTS, SIZE = mine = np.eye(2), 2
    factory = TargetFactory(globals_of)
    small, large = factory.build(0, {"T": 2, "H": 2}), factory.build(0, {"T": 2, "H": 5})
    assert WEIGHTS is mine[0]
    with small.preserved():
        assert small.values()["W"].shape == (2, 2)
        with large.preserved():
            assert large.values()["W"].shape == (5, 5)
        assert SIZE == 2
        assert np.isfinite(small.loss_at(small.values()))
    assert check(factory).ok
    assert WEIGHTS is mine[0]
    assert SIZE == 2


def test_namespaces_that_are_handed_on_are_left() -> None:
    """Code that runs in a namespace of its own would lose its builtins."""
    space: dict[str, Any] = {}
    exec("def loss():\n    return len([])", space)
    kept = {"space": space, "loss": space["loss"]}
    state = UserState([lambda: kept["loss"]()])
    kept["more"] = np.ones(2)
    state.restore()
    assert space["loss"]() == 0
    assert len(space["__builtins__"]) > 100
    assert list(kept) == ["space", "loss"]


def test_the_variables_that_code_names_are_those_that_dis_tells() -> None:
    """State in a module variable would be overlooked, or an attribute of the same name taken for it."""
    modules = [user_state, inspect, np.ma.core]
    codes = [compile(inspect.getsource(one), "code", "exec") for one in modules]
    while codes:
        code = codes.pop()
        codes += [one for one in code.co_consts if isinstance(one, type(code))]
        told = [one.argval for one in dis.get_instructions(code) if "GLOBAL" in one.opname or one.opname == "LOAD_NAME"]
        assert [code.co_names[index] for index in user_state._indices_of_globals(code.co_code)] == told


def test_what_became_complex_is_seen_where_it_was_bound_since() -> None:
    """A loss that keeps a complex cache would go on from it with real parameters."""
    kept = {"w": np.zeros(2)}
    state = UserState([lambda: kept])
    kept["cache"] = [np.ones(2)]
    assert not state.holds_new_complex()
    kept["cache"] = [np.ones(2, complex)]
    assert state.holds_new_complex()
