"""Hypothesis strategies for property tests of networks: sizes, parameters, sequences, whole targets.

@given(target=strategies.targets(my_lstm))
def test_gradients(gradcheck, target):
    gradcheck(target)
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from gradcheck._common.arrays import Array, Values
from gradcheck._targets.factory import TargetFactory
from gradcheck._targets.target import Target

#: zeros; small; usual; so large that every gate is saturated
SCALES = (0.0, 1e-3, 0.3, 1.0, 30.0)


def seeds() -> SearchStrategy[int]:
    """Seeds of a `numpy.random.Generator`; they shrink to 0."""
    return st.integers(0, 2**32 - 1)


def generators() -> SearchStrategy[np.random.Generator]:
    """Generators, so that a failing example is replayed exactly."""
    return seeds().map(np.random.default_rng)


def dtypes() -> SearchStrategy[type[np.floating]]:
    """float64 first, since failures shrink to it; float32."""
    return st.sampled_from((np.float64, np.float32))


def sizes(**largest: int) -> SearchStrategy[dict[str, int]]:
    """``sizes(T=6, B=3)``: a size from 1 to the given largest for each name; they shrink to 1."""
    return st.fixed_dictionaries({name: st.integers(1, value) for name, value in largest.items()})


@st.composite
def parameters(
    draw: st.DrawFn,
    /,
    shapes: Mapping[str, tuple[int, ...]],
    *,
    dtype: type[np.floating] = np.float64,
    scales: tuple[float, ...] = SCALES,
) -> Values:
    """Normal arrays of these shapes, each at a scale of its own: all zeros and saturating weights included."""
    rng = draw(generators())
    drawn = {name: draw(st.sampled_from(scales)) for name in shapes}
    return {name: np.asarray(drawn[name] * rng.standard_normal(shape), dtype) for name, shape in shapes.items()}


@st.composite
def tokens(draw: st.DrawFn, /, T: int, B: int, vocabulary: int) -> Array:
    """Integer tokens (T, B) below `vocabulary`: random, all the same, or cycling (gradients of repeats must add up)."""
    rng = draw(generators())
    kind = draw(st.sampled_from(("random", "constant", "cycling")))
    if kind == "random":
        return rng.integers(0, vocabulary, (T, B))
    if kind == "constant":
        return np.full((T, B), int(rng.integers(vocabulary)))
    return np.arange(T * B).reshape(T, B) % vocabulary


@st.composite
def targets(draw: st.DrawFn, /, factory: TargetFactory, **largest: int) -> Target:
    """Targets of a factory at drawn sizes (up to `largest`, or up to the factory's defaults) and seeds."""
    limits = {**factory.sizes, **largest}
    return factory.build(draw(seeds()), draw(sizes(**limits)))
