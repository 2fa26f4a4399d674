"""Hypothesis strategies for the tests of lstm_core: sizes, dtypes, parameters and sequences.

Hypothesis draws the sizes, the magnitudes and a seed, and NumPy the numbers: examples stay cheap and still shrink to
the smallest sizes. The magnitudes include 0 (nothing flows) and 30 (every gate saturated).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

Array = npt.NDArray[Any]

seeds = st.integers(0, 2**32 - 1)
magnitudes = st.sampled_from([0.0, 0.1, 1.0, 30.0])
dtypes = st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)])


class Problem(NamedTuple):
    """The arguments of ``lstm_forward``, in its order."""

    x: Array
    h0: Array
    c0: Array
    W: Array
    U: Array
    b: Array

    def cotangents(self, seed: int) -> tuple[Array, Array, Array]:
        """Random cotangents of h, hT and cT."""
        rng = np.random.default_rng(seed)
        T, (B, H), dtype = len(self.x), self.h0.shape, self.h0.dtype
        return normal(rng, (T, B, H), dtype), normal(rng, (B, H), dtype), normal(rng, (B, H), dtype)


def normal(rng: np.random.Generator, shape: tuple[int, ...], dtype: npt.DTypeLike = np.float64) -> Array:
    """Normal numbers of the dtype."""
    return rng.normal(size=shape).astype(dtype)


def problem(
    T: int, B: int, D: int, H: int, *, seed: int = 0, dtype: npt.DTypeLike = np.float64, scale: float = 1.0
) -> Problem:
    """A problem of the given sizes."""
    rng = np.random.default_rng(seed)
    shapes = (T, B, D), (B, H), (B, H), (D, 4 * H), (H, 4 * H), (4 * H,)
    x, h0, c0, *weights = (normal(rng, shape, dtype) for shape in shapes)
    W, U, b = (weight * np.asarray(scale, dtype) for weight in weights)
    return Problem(x, h0, c0, W, U, b)


@st.composite
def problems(
    draw: st.DrawFn, dtype: st.SearchStrategy[np.dtype[Any]] = dtypes, min_T: int = 1, min_B: int = 1
) -> Problem:
    """Problems with dense inputs."""
    T, B = draw(st.integers(min_T, 6)), draw(st.integers(min_B, 4))
    D, H = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    return problem(T, B, D, H, seed=draw(seeds), dtype=draw(dtype), scale=draw(magnitudes))


doubles = problems(st.just(np.dtype(np.float64)))


def close(actual: Array, expected: Array, factor: float = 1e3, scale: float = 1.0) -> None:
    """Equal to rounding: within ``factor`` machine epsilons of the block's scale, and never of less than one."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    size = max(scale, float(np.abs(expected).max(initial=0.0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=factor * np.finfo(expected.dtype).eps * size)
