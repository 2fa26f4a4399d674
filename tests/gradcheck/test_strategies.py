"""Hypothesis strategies: what is drawn is what was asked for, and shrinks to what is simple."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import find, given, settings

from gradcheck import Target, strategies
from tests.gradcheck import networks


@given(strategies.sizes(T=3, B=2))
def test_sizes_are_within_their_limits(sizes: dict[str, int]) -> None:
    """A network would be drawn at a size of zero, or at one that takes too long."""
    assert sorted(sizes) == ["B", "T"]
    assert 1 <= sizes["T"] <= 3
    assert 1 <= sizes["B"] <= 2


@given(strategies.parameters({"W": (2, 3), "b": (3,)}, dtype=np.float32))
def test_parameters_have_their_shapes_and_precision(drawn: dict[str, Any]) -> None:
    """A model would be handed arrays of another shape, or be checked in another precision."""
    assert {name: (array.shape, array.dtype) for name, array in drawn.items()} == {
        "W": ((2, 3), np.dtype(np.float32)),
        "b": ((3,), np.dtype(np.float32)),
    }
    assert all(np.isfinite(array).all() for array in drawn.values())


@pytest.mark.parametrize("wanted", [lambda w: not w.any(), lambda w: np.abs(w).max() > 20])
def test_zeros_and_saturating_weights_are_drawn(wanted: Any) -> None:
    """Gates would never be shut, and a step relative to zero never be tried."""
    assert wanted(find(strategies.parameters({"w": (4,)}), lambda drawn: wanted(drawn["w"]))["w"])


@given(strategies.tokens(3, 2, 5))
def test_tokens_are_below_the_vocabulary(tokens: Any) -> None:
    """An embedding would be read outside of its rows."""
    assert tokens.shape == (3, 2)
    assert tokens.dtype.kind == "i"
    assert 0 <= tokens.min() <= tokens.max() < 5


def test_tokens_that_are_all_the_same_are_drawn() -> None:
    """Gradients of a repeated token that are assigned, and not added up, would not be seen."""
    assert len(np.unique(find(strategies.tokens(3, 2, 5), lambda tokens: len(np.unique(tokens)) == 1))) == 1


@settings(max_examples=10)
@given(strategies.targets(networks.right_rnn, T=3))
def test_targets_are_up_to_the_given_sizes(target: Target) -> None:
    """A property test would not vary the sizes it names, or exceed the defaults of the others."""
    assert target.name == "right_rnn"
    shapes = {name: array.shape for name, array in target.values().items()}
    assert 1 <= shapes["U"][0] <= 9


def test_what_is_drawn_shrinks_to_what_is_simple() -> None:
    """A failing example would be of a seed and a precision that nobody wants to read."""
    assert find(strategies.seeds(), lambda _: True) == 0
    assert find(strategies.dtypes(), lambda _: True) is np.float64
    assert find(strategies.sizes(T=6), lambda _: True) == {"T": 1}
    first, second = (find(strategies.generators(), lambda _: True).normal() for _ in range(2))
    assert first == second
