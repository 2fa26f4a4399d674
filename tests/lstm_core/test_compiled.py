"""The compiled steps: their functions in units in the last place, and everything else beside the readable cell.

These tests need numba and are skipped without it: ``pip install 'gradcheck[fast]'``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_core import CharLSTM, _path, cell_backward, cell_forward, lstm_backward, lstm_forward, sigmoid
from lstm_core import softmax_cross_entropy as cross_entropy
from lstm_core import softmax_cross_entropy_backward as cross_entropy_backward
from tests.lstm_core.lstm_strategies import Array, Problem, close, dtypes, magnitudes, normal, problem, problems, seeds

numba = pytest.importorskip("numba", reason="numba is not installed: pip install 'gradcheck[fast]'")

from lstm_core import _compiled  # noqa: E402 - it imports numba

ROOT = Path(__file__).parents[2]
BOTH = pytest.mark.parametrize("dtype", [np.float32, np.float64])
#: units in the last place: 4.0, 2.4 and 1.6 as measured, and about a half for processors that round a product first
ULPS = {"tanh": 4.5, "sigmoid": 3.0, "exp": 2.5}


@pytest.fixture(autouse=True)
def compiled() -> Iterator[None]:
    """Every call takes the compiled path, whatever the environment says."""
    before = _path.use(_path.COMPILED)
    yield
    _path.use(before)


def _mapped(function: Any) -> Callable[[Array, Array], None]:
    """The function of each entry of an array, compiled as the steps are."""

    @numba.njit(error_model="numpy")
    def mapped(given: Array, out: Array) -> None:
        for k in range(len(given)):
            out[k] = function(given[k])

    return mapped


MAPPED = {name: _mapped(getattr(_compiled, name)) for name in ULPS}


def values(name: str, given: Array) -> Array:
    """The function of each entry."""
    out = np.empty_like(given)
    MAPPED[name](given, out)
    return out


# -- exp, tanh and the logistic function -------------------------------------------------------------------------------


def exact(name: str, given: Array) -> Array:
    """The same by NumPy, in a precision that has bits to spare."""
    x = given.astype(np.longdouble if given.dtype == np.float64 else np.float64)
    return {"tanh": np.tanh, "sigmoid": lambda v: 1 / (1 + np.exp(-v)), "exp": np.exp}[name](x)


def points(name: str, dtype: Any) -> Array:
    """Some hundred thousand: dense where the function bends, at every magnitude, and where n changes."""
    rng, end = np.random.default_rng(0), {"tanh": 22.0, "sigmoid": 79.0, "exp": 86.0}[name]
    turns = np.log(2) * np.arange(-200, 200) / 4
    drawn = [
        np.linspace(-1, 1, 100_001),
        rng.uniform(-end, end, 200_000),
        rng.choice([-1, 1], 100_000) * 10.0 ** rng.uniform(-30, 1, 100_000),
        *(np.nextafter(turns.astype(dtype), dtype(to)) for to in (-np.inf, np.inf, 0)),
    ]
    found = np.concatenate([part.astype(dtype) for part in drawn])
    found = found[np.abs(found) <= end]
    return -np.abs(found) if name == "exp" else found


@BOTH
@pytest.mark.parametrize("name", ULPS)
def test_functions_to_the_last_bits(name: str, dtype: Any) -> None:
    """Gates or probabilities would be less precise than NumPy's, whose tanh is right to 4 units in the last place."""
    if dtype is np.float64 and np.finfo(np.longdouble).eps > 1e-18:
        pytest.skip("this platform has no number more precise than float64")
    given = points(name, dtype)
    expected = exact(name, given)
    unit = np.spacing(np.abs(expected).astype(dtype)).astype(expected.dtype)
    worst = float((np.abs(values(name, given) - expected) / unit).max())
    print(f"\n{name} {np.dtype(dtype).name}: {worst:.2f} units in the last place")
    assert worst <= ULPS[name]


@BOTH
@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("tanh", [np.inf, -np.inf, 1e30, -1e30, 0.0, 20.0, -20.0], [1, -1, 1, -1, 0, 1, -1]),
        ("sigmoid", [np.inf, 1e30, 0.0, 80.0], [1, 1, 0.5, 1]),
        ("exp", [-np.inf, -1e30, 0.0], [0, 0, 1]),
    ],
)
def test_ends(name: str, given: list[float], expected: list[float], dtype: Any) -> None:
    """A saturated gate would be none, or overflow."""
    np.testing.assert_array_equal(values(name, np.array(given, dtype)), np.array(expected, dtype))


@BOTH
def test_a_closed_gate_lets_nothing_through(dtype: Any) -> None:
    """What a gate shuts out would come through where its pre-activation is far below zero."""
    found = values("sigmoid", np.array([-np.inf, -1e30, -1e3, -80], dtype))
    assert (found >= 0).all()
    assert (found < 2e-35).all()


@BOTH
@pytest.mark.parametrize("name", ULPS)
def test_nan_is_nan(name: str, dtype: Any) -> None:
    """A network that has diverged would look as if it had not: of any NaN, in each lane of a vector."""
    kind = np.dtype(f"u{np.dtype(dtype).itemsize}")
    bits = np.array([np.nan, -np.nan], dtype).view(kind)
    every = np.concatenate([bits, np.array([-1, np.iinfo(kind).max >> 1]).astype(kind)]).view(dtype)
    for k in range(40):
        given = np.full(40, -0.5, dtype)
        for one in every:
            given[k] = one
            found = values(name, given)
            assert np.isnan(found[k])
            assert np.isfinite(np.delete(found, k)).all()


#: B_2, B_4, ...: r coth(r/2) is the sum of 2 B_2k r^2k / (2k)!
BERNOULLI = [Fraction(*b) for b in ((1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510))]


@pytest.mark.parametrize(("word", "dtype", "within"), [("SINGLE", np.float32, 1e-8), ("DOUBLE", np.float64, 6e-18)])
def test_the_coefficients_are_the_fit(word: str, dtype: Any, within: float) -> None:
    """Nobody could tell where the coefficients come from, or how good they are."""
    names = sorted(name for name in vars(_compiled) if name.startswith(f"EVEN_{word}_"))
    coefficients = [getattr(_compiled, name) for name in names]
    assert coefficients == [dtype(float(one)) for one in fit(len(names))]
    for k in range(1, 201):
        r = k * Fraction(0.3466) / 200
        q, exact_q = 2 + r * r * at(coefficients, r * r), 2 + r * r * at(series(), r * r)
        for sign in (1, -1):  # exp(r) - 1 = 2r / (q - r)
            assert abs((exact_q - sign * r) / (q - sign * r) - 1) < within


def series() -> list[Fraction]:
    """(r coth(r/2) - 2) / r² in powers of r²."""
    return [2 * b / factorial(2 * k) for k, b in enumerate(BERNOULLI, 1)]


def at(coefficients: Sequence[Any], s: Fraction) -> Fraction:
    """The polynomial with these coefficients, exactly."""
    return sum((Fraction(float(c)) if isinstance(c, np.floating) else c) * s**k for k, c in enumerate(coefficients))


def fit(terms: int) -> list[Fraction]:
    """The polynomial that is the series at Chebyshev points of 0..(ln 2 / 2)², by Newton, exactly."""
    angles = [(2 * k + 1) * np.pi / (2 * terms) for k in range(terms)]
    points = [Fraction(round(1e6 * 0.1203 / 2 * (1 + np.cos(angle))), 10**6) for angle in angles]
    parts = [at(series(), s) for s in points]
    for k in range(1, terms):
        for j in reversed(range(k, terms)):
            parts[j] = (parts[j] - parts[j - 1]) / (points[j] - points[j - k])
    found = [Fraction(0)]
    for s, part in zip(reversed(points), reversed(parts), strict=True):  # found * (s - point) + part
        found = [up - s * here for up, here in zip([Fraction(0), *found], [*found, Fraction(0)], strict=True)]
        found[0] += part
    return found[:terms]


# -- beside the cell ---------------------------------------------------------------------------------------------------


def by_cells(drawn: Problem, dh: Array, dhT: Array, dcT: Array) -> dict[str, Array]:
    """Outputs and gradients of the readable cell, step by step."""
    x, h, c, W, U, b = drawn
    caches, states = [], []
    for x_t in x:
        h, c, cache = cell_forward(x_t, h, c, W, U, b)
        caches.append(cache)
        states.append(h)
    found = {"dW": np.zeros_like(W), "dU": np.zeros_like(U), "db": np.zeros_like(b), "dx": np.zeros_like(x)}
    dh_t, dc_t = dhT, dcT
    for t in reversed(range(len(x))):
        step = cell_backward(dh_t + dh[t], dc_t, caches[t])
        dh_t, dc_t, found["dx"][t] = step["h"], step["c"], step["x"]
        for name in "WUb":
            found[f"d{name}"] += step[name]
    return found | {"dh0": dh_t, "dc0": dc_t, "h": np.stack(states), "hT": h, "cT": c}


def by_sequence(drawn: Problem, x: Array, cotangents: tuple[Array, Array, Array]) -> dict[str, Array]:
    """The same of the sequence."""
    h, (hT, cT), cache = lstm_forward(x, *drawn[1:])
    assert type(cache.tape).__name__ == "Record"  # it was compiled
    grads = lstm_backward(*cotangents, cache)
    return {f"d{name}": gradient for name, gradient in grads.items()} | {"h": h, "hT": hT, "cT": cT}


def size_of(drawn: Problem, *more: Array) -> float:
    """A bound on the numbers that gradients are made of."""
    return 1.0 + float(max(np.abs(a).max() for a in (*drawn, *more))) ** 2


@settings(deadline=None)
@given(problems(), seeds)
def test_a_sequence_is_the_cell_step_by_step(drawn: Problem, seed: int) -> None:
    """The compiled steps would compute something other than the reference, forward or backward."""
    cotangents = drawn.cotangents(seed)
    expected = by_cells(drawn, *cotangents)
    found = by_sequence(drawn, drawn.x, cotangents)
    assert found.keys() == expected.keys()
    for name in found:
        close(found[name], expected[name], scale=size_of(drawn, *expected.values()))


@settings(deadline=None)
@given(problems(), seeds)
def test_tokens_are_one_hot_rows(drawn: Problem, seed: int) -> None:
    """Tokens would select other rows of W, or lose gradient where one occurs more than once."""
    T, B, D = drawn.x.shape
    tokens = np.random.default_rng(seed).integers(0, D, (T, B))
    drawn, cotangents = drawn._replace(x=np.eye(D, dtype=drawn.W.dtype)[tokens]), drawn.cotangents(seed)
    expected = by_cells(drawn, *cotangents)
    found = by_sequence(drawn, tokens, cotangents)
    assert found.keys() == expected.keys() - {"dx"}
    for name in found:
        close(found[name], expected[name], scale=size_of(drawn, *expected.values()))


@pytest.mark.parametrize("H", [1, 2, 3, 7, 8, 16, 33, 64, 67])
@pytest.mark.parametrize("B", [1, 2, 5])
@BOTH
def test_every_length_of_a_row(dtype: Any, B: int, H: int) -> None:
    """Units that fill no vector, or no group of rows of a product, would be left out or read from beyond the end."""
    drawn = problem(4, B, 3, H, seed=H, dtype=dtype, scale=0.3)
    cotangents = drawn.cotangents(1)
    expected = by_cells(drawn, *cotangents)
    found = by_sequence(drawn, drawn.x, cotangents)
    for name in found:
        close(found[name], expected[name], factor=100, scale=size_of(drawn, *expected.values()))


@settings(deadline=None)
@given(st.tuples(*(st.integers(1, n) for n in (5, 4, 9, 6))), dtypes, magnitudes, seeds, st.booleans())
def test_the_model_is_sequence_and_loss(
    sizes: tuple[int, int, int, int], dtype: np.dtype[Any], magnitude: float, seed: int, stateful: bool
) -> None:
    """The loss of the model, a gradient of it or the state that it hands on would be another."""
    T, B, V, H = sizes
    rng = np.random.default_rng(seed)
    model = CharLSTM(V, H, dtype, rng)
    for param in model.params.values():
        param[...] = normal(rng, param.shape, dtype) * dtype.type(magnitude)
    tokens, targets = rng.integers(0, V, (2, T, B))
    state = (normal(rng, (B, H), dtype), normal(rng, (B, H), dtype)) if stateful else None
    _path.use(_path.NUMPY)
    expected_loss, expected, expected_states = model.loss_and_grads(tokens, targets, state)
    _path.use(_path.COMPILED)
    loss, grads, states = model.loss_and_grads(tokens, targets, state)
    scale = 1.0 + magnitude**2 + magnitude * H
    assert type(loss) is float
    close(np.array(loss, dtype), np.array(expected_loss, dtype), scale=scale)
    assert list(grads) == list(expected)
    for name, gradient in grads.items():
        close(gradient, expected[name], scale=scale)
    for found, state in zip(states, expected_states, strict=True):
        close(found, state, scale=30.0)


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(1, 70), dtypes, magnitudes, seeds)
def test_the_loss_beside_its_reference(N: int, V: int, dtype: np.dtype[Any], magnitude: float, seed: int) -> None:
    """A read-out of some width would have another loss, or other cotangents."""
    rng = np.random.default_rng(seed)
    logits, by = normal(rng, (N, V), dtype) * dtype.type(magnitude), normal(rng, (V,), dtype)
    targets = rng.integers(0, V, N)
    expected, cache = cross_entropy(logits + by, targets)
    rows, d_by = cross_entropy_backward(cache), np.zeros(V, dtype)
    loss = _compiled.softmax(logits, by, targets, dtype.type(1 / N), d_by)
    scale = 1.0 + 4 * magnitude
    close(np.array(loss, dtype), np.array(expected, dtype), scale=scale)
    close(logits, rows, scale=scale)
    close(d_by, rows.sum(axis=0), scale=scale)


def test_many_logits_are_added_up_precisely() -> None:
    """The softmax of a large vocabulary would not add up to one, and every gradient be off by as much."""
    V = 20_000
    logits, d_by = normal(np.random.default_rng(0), (5, V), np.float32), np.zeros(V, np.float32)
    _compiled.softmax(logits, np.zeros(V, np.float32), np.zeros(5, np.int64), np.float32(0.2), d_by)
    np.testing.assert_allclose(logits.sum(axis=1, dtype=np.float64), 0, atol=2e-7)


@pytest.mark.parametrize("large", [1e4, -1e4])
def test_large_logits_do_not_overflow(large: float) -> None:
    """The loss of a confident model would be infinite or not a number."""
    logits, d_by = np.array([[large, 0.0]]), np.zeros(2)
    assert _compiled.softmax(logits, np.zeros(2), np.zeros(1, np.int64), 1.0, d_by) == max(-large, 0.0)
    np.testing.assert_array_equal(logits, [[0.0, 0.0]] if large > 0 else [[-1.0, 1.0]])


# -- what is not finite ------------------------------------------------------------------------------------------------


def plain_loss(model: CharLSTM, tokens: Array, targets: Array) -> float:
    """The loss by the equations, where tokens select rows, so that nothing infinite is multiplied by zero."""
    W, U, b, Wy, by = (model.params[name] for name in ("W", "U", "b", "Wy", "by"))
    h, c = model.zero_state(tokens.shape[1])
    logits = []
    for row in tokens:
        i, f, g, o = np.split(W[row] + h @ U + b, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        logits.append(h @ Wy + by)
    return cross_entropy(np.stack(logits), targets)[0]


def diverged(name: str, value: float, dtype: Any, B: int) -> tuple[CharLSTM, Array, Array]:
    """A model with one entry that is not finite, tokens and targets."""
    rng, V, H = np.random.default_rng(0), 9, 19
    model = CharLSTM(V, H, dtype, rng)
    model.params[name].flat[7] = value
    return model, np.arange(6 * B).reshape(6, B) % V, rng.integers(0, V, (6, B))


PARAMS = pytest.mark.parametrize("name", ["W", "U", "b", "Wy", "by"])


@PARAMS
@pytest.mark.parametrize("B", [1, 3])
@BOTH
def test_nan_reaches_the_loss_and_every_gradient(dtype: Any, B: int, name: str) -> None:
    """A network that has diverged would be trained on, with numbers that mean nothing."""
    with np.errstate(all="ignore"):  # the products are NumPy's
        loss, grads, _ = (model := diverged(name, np.nan, dtype, B))[0].loss_and_grads(*model[1:])
    assert np.isnan(loss)
    assert all(np.isnan(gradient).any() for gradient in grads.values())


@PARAMS
@pytest.mark.parametrize("value", [np.inf, -np.inf])
@pytest.mark.parametrize("B", [1, 3])
@BOTH
def test_what_is_infinite_is_so_in_the_loss(dtype: Any, B: int, value: float, name: str) -> None:
    """An infinite weight would be taken for a large one, or a gate that it saturates for one that is not a number."""
    model, tokens, targets = diverged(name, value, dtype, B)
    with np.errstate(all="ignore"):
        expected, found = plain_loss(model, tokens, targets), model.loss(tokens, targets)
    np.testing.assert_allclose(found, expected, rtol=100 * np.finfo(dtype).eps)


@pytest.mark.parametrize("B", [1, 3])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_a_cotangent_that_is_no_number_is_handed_on(which: int, B: int) -> None:
    """A loss that has diverged would give gradients that look sound."""
    drawn = problem(4, B, 3, 9)
    cotangents = drawn.cotangents(1)
    cotangents[which].flat[-1] = np.nan
    grads = lstm_backward(*cotangents, lstm_forward(*drawn)[2])
    assert all(np.isnan(gradient).any() for gradient in grads.values())


# -- which path --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", range(6), ids=Problem._fields)
def test_complex_arguments_take_the_numpy_path(k: int) -> None:
    """Complex steps, by which gradients are checked, would be refused or lose their imaginary part."""
    drawn = problem(3, 2, 3, 4)
    moved = [a + 1e-20j if j == k else a for j, a in enumerate(drawn)]
    h, _, cache = lstm_forward(*moved)
    assert h.dtype == np.complex128
    assert h.imag.any()
    assert type(cache.tape).__name__ == "Tape"


@pytest.mark.parametrize("tokens", [False, True], ids=["dense", "tokens"])
@pytest.mark.parametrize("kind", [np.complex64, np.float64, np.complex128, np.longdouble])
def test_cotangents_of_another_dtype(kind: Any, tokens: bool) -> None:
    """A cotangent that is complex, or wider than the states, would be cut down to their dtype."""
    drawn = problem(4, 2, 3, 5, dtype=np.float32)
    x = np.array([[0, 1], [2, 1], [0, 0], [1, 2]]) if tokens else drawn.x
    dh, dhT, dcT = (a.astype(kind) * kind(2.5) for a in drawn.cotangents(1))
    if np.dtype(kind).kind == "c":
        dh += kind(1j)
    cache = lstm_forward(x, *drawn[1:])[2]
    _path.use(_path.NUMPY)
    expected = lstm_backward(dh, dhT, dcT, lstm_forward(x, *drawn[1:])[2])
    _path.use(_path.COMPILED)
    found = lstm_backward(dh, dhT, dcT, cache)
    assert found.keys() == expected.keys()
    for name, gradient in found.items():
        assert gradient.dtype == expected[name].dtype
        np.testing.assert_allclose(gradient, expected[name], atol=3e-5)


@pytest.mark.parametrize("dtype", [np.float16, np.longdouble])
def test_other_precisions_take_the_numpy_path(dtype: Any) -> None:
    """Half and extended precision would fail where numba is installed."""
    drawn = problem(3, 2, 3, 4, dtype=dtype)
    h, _, cache = lstm_forward(*drawn)
    assert h.dtype == dtype
    assert type(cache.tape).__name__ == "Tape"


def test_one_wide_parameter_makes_all_wide() -> None:
    """Mixed precisions would be refused, or give another dtype than in NumPy."""
    rng = np.random.default_rng(0)
    model = CharLSTM(5, 4, np.float32, rng)
    tokens = rng.integers(0, 5, (6, 2))
    for name in ("U", "Wy"):
        model.params[name] = model.params[name].astype(np.float64)
        _path.use(_path.NUMPY)
        expected = model.loss_and_grads(tokens, tokens)
        _path.use(_path.COMPILED)
        loss, grads, states = model.loss_and_grads(tokens, tokens)
        assert loss == pytest.approx(expected[0], rel=1e-6)
        assert [a.dtype for a in (*grads.values(), *states)] == [a.dtype for a in (*expected[1].values(), *expected[2])]


# -- the caller's arrays -----------------------------------------------------------------------------------------------


def _strange(array: Array, kind: str) -> Array:
    """The same numbers in an array that compiled code would need another version for, or read wrongly."""
    if kind == "columns first":
        return np.asfortranarray(array)
    if kind == "every other":
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if kind == "bytes swapped":
        return array.astype(array.dtype.newbyteorder())
    if kind == "not aligned":
        memory = np.zeros(array.nbytes + 1, np.uint8)
        found = memory[1:].view(array.dtype).reshape(array.shape)
        found[...] = array
        return found
    found = array.copy()
    found.flags.writeable = False
    return found


@pytest.mark.parametrize("kind", ["columns first", "every other", "bytes swapped", "not aligned", "read-only"])
@pytest.mark.parametrize("B", [1, 3])
def test_arrays_of_every_layout(kind: str, B: int) -> None:
    """An array would be read in another order than it has, be written to, or cost a compilation of its own."""
    rng = np.random.default_rng(0)
    model, tokens, targets = CharLSTM(5, 4, rng=rng), *rng.integers(0, 5, (2, 6, B))
    state = (normal(rng, (B, 4)), normal(rng, (B, 4)))
    loss, expected, _ = model.loss_and_grads(tokens, targets, state)
    drawn = problem(4, B, 3, 5)
    cotangents = drawn.cotangents(1)
    of_sequence = lstm_backward(*cotangents, lstm_forward(*drawn)[2])
    versions = [len(f.signatures) for f in vars(_compiled).values() if hasattr(f, "signatures")]

    model.params = {name: _strange(param, kind) for name, param in model.params.items()}
    given = (_strange(tokens, kind), _strange(targets, kind), tuple(_strange(part, kind) for part in state))
    before = [a.copy() for a in (*model.params.values(), *given[:2], *given[2])]
    found = model.loss_and_grads(*given)
    for array, old in zip((*model.params.values(), *given[:2], *given[2]), before, strict=True):
        np.testing.assert_array_equal(array, old)
    assert found[0] == loss
    for name, gradient in found[1].items():
        np.testing.assert_array_equal(gradient, expected[name], err_msg=name)

    cache = lstm_forward(*(_strange(a, kind) for a in drawn))[2]
    for name, gradient in lstm_backward(*(_strange(a, kind) for a in cotangents), cache).items():
        np.testing.assert_array_equal(gradient, of_sequence[name], err_msg=name)
    assert [len(f.signatures) for f in vars(_compiled).values() if hasattr(f, "signatures")] == versions


def test_a_parameter_that_does_not_fit_is_named() -> None:
    """Compiled code, which looks at no length, would read beyond the end of an array."""
    model = CharLSTM(5, 4, rng=0)
    for name, shape in (("by", (4,)), ("by", (5, 1)), ("Wy", (4, 5, 1)), ("b", (15,)), ("W", (5, 15))):
        before, model.params[name] = model.params[name], np.zeros(shape)
        with pytest.raises(ValueError, match=f"{name} has shape"):
            model.loss(np.zeros((2, 1), int), np.zeros((2, 1), int))
        model.params[name] = before


@pytest.mark.parametrize("B", [1, 3])
def test_results_own_their_memory(B: int) -> None:
    """A later call would overwrite a result, or writing to a result would change a later one."""
    rng = np.random.default_rng(0)
    model, tokens, targets = CharLSTM(5, 4, rng=rng), *rng.integers(0, 5, (2, 6, B))
    loss, grads, states = model.loss_and_grads(tokens, targets)
    kept = [a.copy() for a in (*grads.values(), *states)]
    model.loss_and_grads(targets, tokens)
    for array, expected in zip((*grads.values(), *states), kept, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.flags.owndata or array.base.flags.owndata
        array[...] = np.nan
    again = model.loss_and_grads(tokens, targets)
    assert again[0] == loss
    for array, expected in zip((*again[1].values(), *again[2]), kept, strict=True):
        np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("B", [1, 3])
def test_threads(B: int) -> None:
    """Threads that compute side by side, with one model or with several, would write into each other's arrays."""
    models = [CharLSTM(5, 16, dtype, seed) for seed, dtype in enumerate((np.float32, np.float64))]
    windows = [np.random.default_rng(seed).integers(0, 5, (2, 40, B)) for seed in range(4)]
    jobs = [(m, w) for _ in range(25) for m in range(2) for w in range(4)]
    expected = {job: models[job[0]].loss_and_grads(*windows[job[1]]) for job in jobs[:8]}
    drawn = [problem(9, B, 3, 8, seed=seed) for seed in range(4)]
    cotangents = drawn[0].cotangents(1)
    of_sequence = [lstm_backward(*cotangents, lstm_forward(*one)[2]) for one in drawn]

    def work(job: tuple[int, int]) -> tuple[Any, Any]:
        return (
            models[job[0]].loss_and_grads(*windows[job[1]]),
            lstm_backward(*cotangents, lstm_forward(*drawn[job[1]])[2]),
        )

    with ThreadPoolExecutor(4) as pool:
        for job, (found, grads) in zip(jobs, pool.map(work, jobs), strict=True):
            assert found[0] == expected[job][0]
            for name, gradient in found[1].items():
                np.testing.assert_array_equal(gradient, expected[job][1][name], err_msg=name)
            for name, gradient in grads.items():
                np.testing.assert_array_equal(gradient, of_sequence[job[1]][name], err_msg=name)


# -- the cache of compiled code ----------------------------------------------------------------------------------------

#: sizes so small that the first calls, side by side in four threads, are all compilation; prints the loss, and how many
#: functions came from the cache
ONCE = """
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from lstm_core import CharLSTM, _compiled
models = [CharLSTM(3, 2, rng=0) for _ in range(4)]
with ThreadPoolExecutor(4) as pool:
    losses = set(pool.map(lambda model: model.loss(np.array([[0], [1]]), np.array([[1], [2]])), models))
print(*losses, sum(sum(f.stats.cache_hits.values()) for f in vars(_compiled).values() if hasattr(f, "stats")))
"""


def once(folder: Path, **environment: str) -> tuple[str, int]:
    """The loss, and the functions that came from the cache, in a process that has its package in this folder."""
    done = subprocess.run(
        [sys.executable, "-c", ONCE],
        cwd=folder,
        env=os.environ | {"LSTM_CORE": "compiled", "PYTHONPATH": str(folder)} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loss, hits = done.stdout.split()
    return loss, int(hits)


def test_what_was_compiled_is_kept(tmp_path: Path) -> None:
    """Every process would compile anew, which takes some seconds; or threads that begin at once would fail."""
    cache = {"NUMBA_CACHE_DIR": str(tmp_path)}
    loss, hits = once(ROOT, **cache)
    assert hits == 0
    again, hits = once(ROOT, **cache)
    assert again == loss
    assert hits > 0


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    """A package in a folder of somebody else's would not run, for want of a place for compiled code."""
    shutil.copytree(ROOT / "lstm_core", tmp_path / "lstm_core", ignore=shutil.ignore_patterns("__pycache__"))
    blocked = tmp_path / "a file"  # no folder can be made in it, not even by root
    blocked.write_text("")
    (tmp_path / "lstm_core" / "__pycache__").write_text("")
    places = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "USERPROFILE", "LOCALAPPDATA"), str(blocked / "home"))
    _, hits = once(tmp_path, NUMBA_CACHE_DIR="", PYTHONDONTWRITEBYTECODE="1", **places)
    assert hits == 0
