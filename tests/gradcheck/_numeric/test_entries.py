"""Many entries at once: what comes out is what comes out one by one, and another loss is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gradcheck import Report, Target, TargetError, UserCodeError, check

RNG = np.random.default_rng(0)
X = RNG.normal(size=(6, 3))


class Model:
    """loss = sum of tanh(x W) v, some of it not smooth or out of a domain; one copy or many of one parameter."""

    def __init__(self, bug: float = 0.0, bent: Callable[[Any], Any] = lambda y: y) -> None:
        """Draw the parameters; `bug` is added to one entry of the gradient."""
        self.params = {"W": RNG.normal(size=(3, 4)), "v": RNG.normal(size=4)}
        self.bug, self.bent, self.calls = bug, bent, 0

    def loss(self) -> Any:
        """One number."""
        return self.bent(np.tanh(X @ self.params["W"]) @ self.params["v"]).sum()

    def grads(self) -> dict[str, Any]:
        """Its gradient where nothing bends."""
        h = np.tanh(X @ self.params["W"])
        grads = {"W": X.T @ ((1 - h * h) * self.params["v"]), "v": h.sum(axis=0)}
        grads["W"][1, 2] += self.bug
        return grads

    def batched(self, name: str, copies: Any) -> Any:
        """(K,) numbers."""
        self.calls += 1
        W, v = ({**self.params, name: copies}[one] for one in ("W", "v"))
        h = np.tanh(X @ W)
        return self.bent(np.einsum("...bh,...h->...b", h, v)).sum(axis=-1)

    def target(self, batched: Any = None, way: str = "mapping") -> Target:
        """By one of the ways in."""
        if way == "function":
            return Target.from_function(self._function, self.params, batched=batched)
        return Target(self.params if way == "mapping" else lambda: self.params, self.loss, self.grads, batched=batched)

    def _function(self, params: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        before, self.params = self.params, params
        try:
            return self.loss(), self.grads() if not np.iscomplexobj(self.loss()) else {}
        finally:
            self.params = before


def whole(target: Target) -> Report:
    """A full check."""
    return check(target, full=True, explain=False)


@pytest.mark.parametrize("way", ["mapping", "callable", "function"])
@pytest.mark.parametrize("bug", [0.0, 1e-4])
def test_together_is_as_one_by_one(way: str, bug: float) -> None:
    """A full check would find something else when its losses are asked for at once."""
    model = Model(bug)
    alone, together = whole(model.target(way=way)), whole(model.target(model.batched, way))
    assert model.calls > 0
    assert together.verdict == alone.verdict == ("wrong" if bug else "right")
    assert together.scheme == alone.scheme
    assert together.evaluations <= alone.evaluations + len(model.params)
    for name, block in alone.blocks.items():
        other = together.blocks[name]
        assert other.verdict == block.verdict
        assert other.error_bar == pytest.approx(block.error_bar, rel=0.5)
        if bug:
            assert other.worst is not None
            assert block.worst is not None
            assert other.worst.numerical == pytest.approx(block.worst.numerical, rel=1e-8)
    if bug:
        assert together.blocks["W"].worst is not None
        assert together.blocks["W"].worst.index == (1, 2)


def test_few_calls() -> None:
    """Copies would be handed over one at a time: no faster than without them."""
    model = Model()
    whole(model.target(model.batched))
    assert model.calls == 2
    model = Model()
    whole(model.target(model.batched, "callable"))
    assert model.calls < 20


def test_a_kink_is_told_apart() -> None:
    """Entries side by side would take each other's answers: those of a kink, and those that need more steps."""
    model = Model(bent=lambda y: np.maximum(y, 0.1))
    alone, together = whole(model.target(way="callable")), whole(model.target(model.batched, "callable"))
    assert [block.verdict for block in together.blocks.values()] == [block.verdict for block in alone.blocks.values()]


@pytest.mark.parametrize("way", ["mapping", "callable"])
@pytest.mark.parametrize(
    "off", [lambda losses: losses + 1e-6, lambda losses: losses.real * 1.0, lambda losses: 2 * losses]
)
def test_another_loss_is_refused(way: str, off: Callable[[Any], Any]) -> None:
    """A `batched` that computes something else would make right gradients wrong, or wrong ones right."""
    model = Model()
    target = model.target(lambda name, copies: off(model.batched(name, copies)), way)
    if off(np.array(1j)) == 0:  # it has no imaginary part: entries are taken one by one
        assert whole(target).verdict == "right"
        return
    with pytest.raises(TargetError, match=r"batched\('W', copies\) gives .* where loss\(\) gives .*: both must be"):
        whole(target)


def test_real_numbers_alone_will_do() -> None:
    """A `batched` that raises on complex copies would end the check, where the entries can be taken one by one."""
    model = Model()

    def real(name: str, copies: Any) -> Any:
        if np.iscomplexobj(copies):
            raise TypeError("real copies only")
        return model.batched(name, copies)

    together, alone = whole(model.target(real)), whole(model.target())
    assert replace(together, seconds=0.0, evaluations=0) == replace(alone, seconds=0.0, evaluations=0)


@pytest.mark.parametrize("answer", [1.0, np.ones(3), np.ones((5, 1)), [None] * 4, "losses"])
def test_anything_but_a_loss_for_each_copy_is_refused(answer: Any) -> None:
    """Losses of another shape would be broadcast, and judged."""
    with pytest.raises(TargetError, match=r"batched\('W', copies\) returned an array of .* expected a loss for each"):
        whole(Model().target(lambda *_: answer, "callable"))


def test_an_error_in_it_is_the_users() -> None:
    """An error of the user's would look like one of the checker's."""

    def broken(name: str, _: Any) -> Any:
        raise KeyError(name)

    with pytest.raises(UserCodeError, match=r"batched\('W', copies\) raised KeyError"):
        whole(Model().target(broken, "callable"))


def test_out_of_the_domain_one_by_one() -> None:
    """Code that refuses a step outside of its domain would refuse all the others of the same call."""

    def refuse(y: Any) -> Any:
        if np.any(np.abs(y) > limit):
            raise ValueError("out of the domain")
        return y

    limit = math.inf
    model = Model(bent=refuse)
    limit = 1.0001 * float(np.abs(np.tanh(X @ model.params["W"]) @ model.params["v"]).max())
    alone, together = whole(model.target(way="callable")), whole(model.target(model.batched, "callable"))
    assert [block.verdict for block in together.blocks.values()] == [block.verdict for block in alone.blocks.values()]


def test_it_must_be_a_function() -> None:
    """A mistake in the arguments would show only in a full check."""
    with pytest.raises(TargetError, match="batched must be a function batched"):
        Model().target(batched=True)
