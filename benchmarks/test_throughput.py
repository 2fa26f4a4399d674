"""Throughput of lstm_core: time steps per second, and the ratio to the matrix products alone.

Run with ``pytest benchmarks --benchmark-only``. See README.md in this folder for how to read the figures.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from contenders import floor, ours, problem

from lstm_core import Adam, lstm_backward, lstm_forward

Array = npt.NDArray[Any]
Kernel = Callable[[], object]

T = 32
"""Time steps in a sequence: a usual window of truncated backpropagation through time."""

VOCAB = 64
"""Tokens of the character model: about the printable characters of an English text."""

SECONDS = 1.0
"""Time spent on each benchmark, the reference kernel included."""

MIN_ROUNDS, MAX_ROUNDS = 5, 200


def forward(B: int, H: int, dtype: npt.DTypeLike) -> tuple[Kernel, Kernel]:
    """The forward over dense inputs of width H, and its products."""
    x, h0, W, U, b = _arrays(dtype, (T, B, H), (B, H), (H, 4 * H), (H, 4 * H), (4 * H,))
    rows, z = x.reshape(T * B, H), np.empty((B, 4 * H), dtype)

    def products() -> None:
        np.dot(rows, W)
        for x_t in x:
            np.dot(x_t, U, out=z)

    return lambda: lstm_forward(x, h0, h0, W, U, b), products


def backward(B: int, H: int, dtype: npt.DTypeLike) -> tuple[Kernel, Kernel]:
    """The backward of the same, and its products: back through each step, three gradients in one go each."""
    x, h0, W, U, b, dh, dz = _arrays(
        dtype, (T, B, H), (B, H), (H, 4 * H), (H, 4 * H), (4 * H,), (T, B, H), (T, B, 4 * H)
    )
    h, _, cache = lstm_forward(x, h0, h0, W, U, b)
    back, rows = np.empty((B, H), dtype), dz.reshape(T * B, 4 * H)

    def products() -> None:
        for dz_t in dz:
            np.dot(dz_t, U.T, out=back)
        np.dot(x.reshape(T * B, H).T, rows)
        np.dot(h.reshape(T * B, H).T, rows)
        np.dot(rows, W.T)

    return lambda: lstm_backward(dh, None, None, cache), products


def training_step(B: int, H: int, dtype: npt.DTypeLike) -> tuple[Kernel, Kernel]:
    """Loss, gradients and an Adam update of the character model, and its products (tokens need none for W)."""
    given = problem(T, B, H, VOCAB, dtype, dense=False)
    step, adam = ours(given), Adam(given.params, lr=1e-3, clip=5.0)
    return lambda: adam.step(step()[1]), floor(given)


def _arrays(dtype: npt.DTypeLike, *shapes: tuple[int, ...]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.normal(size=shape)).astype(dtype) for shape in shapes]


def _seconds(kernel: Kernel) -> float:
    begin = perf_counter()
    kernel()
    return perf_counter() - begin


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["f32", "f64"])
@pytest.mark.parametrize("B", [1, 32], ids="B{}".format)
@pytest.mark.parametrize("H", [32, 128, 512], ids="H{}".format)
@pytest.mark.parametrize("case", [forward, backward, training_step], ids=lambda case: case.__name__)
def test_throughput(
    benchmark: Any,
    case: Callable[[int, int, npt.DTypeLike], tuple[Kernel, Kernel]],
    H: int,
    B: int,
    dtype: npt.DTypeLike,
) -> None:
    """Measure one case, each round right after a round of its reference kernel."""
    kernel, products = case(B, H, dtype)
    reference: list[float] = []
    kernel(), products()
    expected = _seconds(kernel) + _seconds(products)
    rounds = int(np.clip(SECONDS / expected, MIN_ROUNDS, MAX_ROUNDS))

    def measure_reference() -> None:
        reference.append(_seconds(products))

    benchmark.group = f"{case.__name__} H={H} B={B}"
    benchmark.pedantic(kernel, setup=measure_reference, rounds=rounds, iterations=1)
    if benchmark.stats is None:  # --benchmark-disable: run once, nothing measured
        return
    seconds = benchmark.stats.stats.median
    benchmark.extra_info.update(
        timesteps_per_second=round(T / seconds),
        tokens_per_second=round(T * B / seconds),
        reference_microseconds=round(1e6 * median(reference), 1),
        ratio_to_products=round(seconds / median(reference), 2),
    )
