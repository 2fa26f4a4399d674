"""A whole sequence: against the cell, against the complex step, and by the laws that any correct backward obeys."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstm_core import cell_backward, cell_forward, lstm_backward, lstm_forward
from tests.lstm_core.lstm_strategies import Array, Problem, close, doubles, dtypes, normal, problem, problems, seeds

NAMES = ("x", "h0", "c0", "W", "U", "b")
H_STEP = 1e-20


def size_of(drawn: Problem, *more: Array) -> float:
    """A bound on the numbers that gradients are made of, for judging rounding where gates are saturated."""
    return 1.0 + float(max(np.abs(a).max() for a in (*drawn, *more))) ** 2


def run(drawn: Problem, dh: Array | None, dhT: Array | None, dcT: Array | None) -> dict[str, Array]:
    """The gradients of a problem for the given cotangents."""
    return lstm_backward(dh, dhT, dcT, lstm_forward(*drawn)[2])


def read_only(*arrays: Array) -> list[Array]:
    """Copies that raise when written to."""
    copies = [array.copy() for array in arrays]
    for copy in copies:
        copy.flags.writeable = False
    return copies


@settings(deadline=None)
@given(problems(), seeds)
def test_the_sequence_is_the_cell_step_by_step(drawn: Problem, seed: int) -> None:
    """The fast path would compute something other than the readable reference, forward or backward."""
    x, h, c, W, U, b = drawn
    dh, dhT, dcT = drawn.cotangents(seed)
    caches, states = [], []
    for x_t in x:
        h, c, cache = cell_forward(x_t, h, c, W, U, b)
        caches.append(cache)
        states.append(h)
    expected = {"W": np.zeros_like(W), "U": np.zeros_like(U), "b": np.zeros_like(b), "x": np.zeros_like(x)}
    dh_t, dc_t = dhT, dcT
    for t in reversed(range(len(x))):
        step = cell_backward(dh_t + dh[t], dc_t, caches[t])
        dh_t, dc_t, expected["x"][t] = step["h"], step["c"], step["x"]
        for name in ("W", "U", "b"):
            expected[name] += step[name]
    expected |= {"h0": dh_t, "c0": dc_t}

    out, (hT, cT), sequence_cache = lstm_forward(*drawn)
    close(out, np.stack(states), scale=30.0)
    close(hT, h, scale=30.0)
    close(cT, c, scale=30.0)
    grads = lstm_backward(dh, dhT, dcT, sequence_cache)
    for name in NAMES:
        close(grads[name], expected[name], scale=size_of(drawn, *expected.values()))


def derivative(drawn: Problem, k: int, direction: Array, dh: Array, dhT: Array, dcT: Array) -> Any:
    """The derivative of <outputs, cotangents> when argument k moves: the complex step of the forward."""
    moved = [a + (1j * H_STEP * direction if j == k else 0) for j, a in enumerate(drawn)]
    h, (hT, cT), _ = lstm_forward(*moved)
    return (np.sum(dh * h.imag) + np.sum(dhT * hT.imag) + np.sum(dcT * cT.imag)) / H_STEP


@settings(deadline=None)
@given(doubles, seeds, st.sampled_from(range(6)))
def test_the_backward_is_the_adjoint_of_the_forward(drawn: Problem, seed: int, k: int) -> None:
    """The dot-product test <J u, v> = <u, Jᵀ v> would fail: some part of the backward is not the forward's adjoint."""
    cotangents = drawn.cotangents(seed)
    direction = normal(np.random.default_rng(seed + 1), drawn[k].shape)
    grads = run(drawn, *cotangents)
    expected = derivative(drawn, k, direction, *cotangents)
    close(np.sum(grads[NAMES[k]] * direction), expected, 1e4, size_of(drawn, *grads.values()))


@pytest.mark.parametrize("k", range(6), ids=NAMES)
def test_every_entry_of_the_gradient(k: int) -> None:
    """A single entry of one block would be wrong, which a random direction need not show."""
    drawn = problem(5, 3, 2, 4, seed=7, scale=0.5)
    cotangents = drawn.cotangents(8)
    expected = np.empty_like(drawn[k])
    for index in np.ndindex(expected.shape):
        direction = np.zeros_like(expected)
        direction[index] = 1
        expected[index] = derivative(drawn, k, direction, *cotangents)
    close(run(drawn, *cotangents)[NAMES[k]], expected, factor=100)


@settings(deadline=None)
@given(problems(min_T=2), seeds, st.data())
def test_two_windows_make_the_whole(drawn: Problem, seed: int, data: st.DataObject) -> None:
    """State carried forward, or cotangents carried back, from one part to the next would not fit together."""
    cut = data.draw(st.integers(1, len(drawn.x) - 1), label="cut")
    dh, dhT, dcT = drawn.cotangents(seed)
    whole, last, cache = lstm_forward(*drawn)
    expected = lstm_backward(dh, dhT, dcT, cache)

    weights = drawn[3:]
    h1, middle, cache1 = lstm_forward(drawn.x[:cut], drawn.h0, drawn.c0, *weights)
    h2, end, cache2 = lstm_forward(drawn.x[cut:], *middle, *weights)
    late = lstm_backward(dh[cut:], dhT, dcT, cache2)
    early = lstm_backward(dh[:cut], late["h0"], late["c0"], cache1)
    close(np.concatenate([h1, h2]), whole, scale=30.0)
    for part, expected_part in zip(end, last, strict=True):
        close(part, expected_part, scale=30.0)
    joined = {name: late[name] + early[name] for name in ("W", "U", "b")}
    joined |= {"x": np.concatenate([early["x"], late["x"]]), "h0": early["h0"], "c0": early["c0"]}
    for name in NAMES:
        close(joined[name], expected[name], scale=size_of(drawn, *expected.values()))


@settings(deadline=None)
@given(problems(min_B=2), seeds)
def test_the_batch_is_a_set_of_sequences(drawn: Problem, seed: int) -> None:
    """Sequences of one batch would influence each other, or be told apart by their position."""
    order = np.random.default_rng(seed).permutation(drawn.h0.shape[0])
    x, h0, c0, *weights = drawn
    dh, dhT, dcT = drawn.cotangents(seed)
    h, _, cache = lstm_forward(*drawn)
    permuted_h, _, permuted_cache = lstm_forward(x[:, order], h0[order], c0[order], *weights)
    grads = lstm_backward(dh, dhT, dcT, cache)
    permuted = lstm_backward(dh[:, order], dhT[order], dcT[order], permuted_cache)
    scale = size_of(drawn, *grads.values())
    close(permuted_h, h[:, order], scale=30.0)
    close(permuted["x"], grads["x"][:, order], scale=scale)
    for name in ("h0", "c0"):
        close(permuted[name], grads[name][order], scale=scale)
    for name in ("W", "U", "b"):
        close(permuted[name], grads[name], scale=scale)


@settings(deadline=None)
@given(problems(), st.data())
def test_no_step_sees_the_future(drawn: Problem, data: st.DataObject) -> None:
    """A hidden state would depend on inputs that come after it."""
    t = data.draw(st.integers(0, len(drawn.x) - 1), label="t")
    changed = drawn.x.copy()
    changed[t:] += 1
    h, changed_h = lstm_forward(*drawn)[0], lstm_forward(changed, *drawn[1:])[0]
    close(changed_h[:t], h[:t], scale=30.0)


def test_every_step_is_seen_by_all_that_follow() -> None:
    """An input would be left out, or its influence lost before the end of the sequence."""
    drawn = problem(5, 1, 2, 3, scale=0.5)
    for t in range(5):
        changed = drawn.x.copy()
        changed[t] += 1
        difference = np.abs(lstm_forward(changed, *drawn[1:])[0] - lstm_forward(*drawn)[0])
        assert (difference[t:].max(axis=(1, 2)) > 1e-6).all()


@settings(deadline=None)
@given(problems(), seeds, st.sampled_from([-1e3, -1.0, 1e-3, 0.5, 1e3]))
def test_the_backward_is_linear(drawn: Problem, seed: int, factor: float) -> None:
    """Something in the backward would depend on the size of the cotangents, as clipping does."""
    cache = lstm_forward(*drawn)[2]
    v, w = drawn.cotangents(seed), drawn.cotangents(seed + 1)
    scaled = [(factor * a + b).astype(a.dtype) for a, b in zip(v, w, strict=True)]
    actual, of_v, of_w = (lstm_backward(*cotangents, cache) for cotangents in (scaled, v, w))
    for name in NAMES:
        expected = (factor * of_v[name] + of_w[name]).astype(drawn.h0.dtype)
        scale = size_of(drawn, *of_v.values(), *of_w.values()) * max(1, abs(factor))
        close(actual[name], expected, scale=scale)


@given(problems(), seeds, st.tuples(st.booleans(), st.booleans(), st.booleans()))
def test_none_is_a_zero_cotangent(drawn: Problem, seed: int, given_ones: tuple[bool, bool, bool]) -> None:
    """Leaving a cotangent out would not mean that the loss ignores that output."""
    cache = lstm_forward(*drawn)[2]
    pairs = list(zip(drawn.cotangents(seed), given_ones, strict=True))
    left_out = lstm_backward(*(a if keep else None for a, keep in pairs), cache)
    with_zeros = lstm_backward(*(a if keep else np.zeros_like(a) for a, keep in pairs), cache)
    for name in NAMES:
        np.testing.assert_array_equal(left_out[name], with_zeros[name])


@settings(deadline=None)
@given(problems(), seeds, st.sampled_from([np.int8, np.uint8, np.int64]))
def test_tokens_are_one_hot_rows(drawn: Problem, seed: int, dtype: npt.DTypeLike) -> None:
    """Tokens would select other rows of W, or lose gradient where one occurs more than once."""
    T, B, D = drawn.x.shape
    tokens = np.random.default_rng(seed).integers(0, D, (T, B)).astype(dtype)
    one_hot = np.eye(D, dtype=drawn.W.dtype)[tokens]
    cotangents = drawn.cotangents(seed)
    h, last, cache = lstm_forward(tokens, *drawn[1:])
    dense_h, dense_last, dense_cache = lstm_forward(one_hot, *drawn[1:])
    for actual, expected in zip((h, *last), (dense_h, *dense_last), strict=True):
        close(actual, expected, scale=30.0)
    grads, dense = lstm_backward(*cotangents, cache), lstm_backward(*cotangents, dense_cache)
    assert "x" not in grads
    for name in grads:
        close(grads[name], dense[name], scale=size_of(drawn, *dense.values()))


def test_a_repeated_token_adds_up() -> None:
    """The gradient of a row of W would be that of the token's last occurrence alone."""
    drawn = problem(6, 2, 3, 4)
    grads = lstm_backward(*drawn.cotangents(1), lstm_forward(np.full((6, 2), 1), *drawn[1:])[2])
    close(grads["W"], np.stack([0 * grads["b"], grads["b"], 0 * grads["b"]]))


@given(problems(), seeds)
def test_no_argument_is_written_to(drawn: Problem, seed: int) -> None:
    """The caller's parameters, inputs or cotangents would change under its hands."""
    cache = lstm_forward(*read_only(*drawn))[2]
    lstm_backward(*read_only(*drawn.cotangents(seed)), cache)


def test_results_are_the_callers_own() -> None:
    """A later call would overwrite earlier results, or a change to a result would corrupt the backward."""
    drawn, other = problem(4, 2, 3, 5, seed=1), problem(4, 2, 3, 5, seed=2)
    h, (hT, cT), cache = lstm_forward(*drawn)
    grads = lstm_backward(*drawn.cotangents(1), cache)
    before = {name: a.copy() for name, a in {**grads, "h": h, "hT": hT, "cT": cT}.items()}
    lstm_backward(*other.cotangents(2), lstm_forward(*other)[2])
    for name, array in {**grads, "h": h, "hT": hT, "cT": cT}.items():
        np.testing.assert_array_equal(array, before[name], err_msg=name)
    for array in (h, hT, cT, *grads.values()):
        array[...] = np.nan
    again = lstm_backward(*drawn.cotangents(1), cache)
    for name in NAMES:
        np.testing.assert_array_equal(again[name], before[name], err_msg=name)


@pytest.mark.parametrize("tokens", [False, True], ids=["dense", "tokens"])
def test_the_cache_is_a_snapshot(tokens: bool) -> None:
    """An update of the parameters, in place, between forward and backward would change the gradient."""
    drawn = problem(4, 2, 3, 5)
    x = np.array([[0, 1], [2, 1], [0, 0], [1, 2]]) if tokens else drawn.x
    cotangents = drawn.cotangents(1)
    expected = lstm_backward(*cotangents, lstm_forward(x, *drawn[1:])[2])
    changed = [x.copy(), *(a.copy() for a in drawn[1:])]
    cache = lstm_forward(*changed)[2]
    for array in changed:
        array[...] = 0
    actual = lstm_backward(*cotangents, cache)
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


@given(problems(), seeds)
def test_memory_layout_does_not_matter(drawn: Problem, seed: int) -> None:
    """Transposed or strided arrays would give other numbers than contiguous ones."""
    cotangents = drawn.cotangents(seed)
    fortran = Problem(*(np.asfortranarray(a) for a in drawn))
    expected, actual = run(drawn, *cotangents), run(fortran, *(np.asfortranarray(a) for a in cotangents))
    for name in NAMES:
        close(actual[name], expected[name], scale=size_of(drawn, *expected.values()))
    tokens = np.zeros(drawn.x.shape[:2], int)
    close(
        lstm_forward(np.asfortranarray(tokens), *fortran[1:])[0],
        lstm_forward(tokens, *drawn[1:])[0],
        scale=30.0,
    )


@given(problems(), dtypes, st.sampled_from(range(6)), st.booleans())
def test_the_widest_dtype_decides(drawn: Problem, dtype: np.dtype[Any], k: int, imaginary: bool) -> None:
    """A result would be narrower than the arguments (precision lost) or wider (time and memory lost)."""
    wide = np.result_type(dtype, np.complex64) if imaginary else dtype
    mixed = Problem(*(a.astype(wide) if j == k else a for j, a in enumerate(drawn)))
    expected = np.result_type(wide, drawn.W.dtype)
    h, last, cache = lstm_forward(*mixed)
    grads = lstm_backward(np.ones_like(h), None, None, cache)
    assert {a.dtype for a in (h, *last, *grads.values())} == {expected}


def test_float32_is_float64_to_its_precision() -> None:
    """Single precision would lose more than it has to."""
    drawn = problem(20, 3, 4, 8, scale=0.5)
    single = Problem(*(a.astype(np.float32) for a in drawn))
    cotangents = drawn.cotangents(1)
    expected, actual = run(drawn, *cotangents), run(single, *(a.astype(np.float32) for a in cotangents))
    for name in NAMES:
        error = np.linalg.norm(actual[name] - expected[name]) / np.linalg.norm(expected[name])
        assert error < 1e-5, name


GOOD = problem(4, 3, 2, 5)


@pytest.mark.parametrize(
    ("position", "value", "error", "message"),
    [
        (0, np.zeros((4, 3)), ValueError, r"x has shape \(4, 3\), expected 3 axes \(T, B, D\)"),
        (0, np.zeros((0, 3, 2)), ValueError, r"x has shape \(0, 3, 2\), expected no empty axis in \(T, B, D\)"),
        (0, np.zeros((4, 0), int), ValueError, r"x has shape \(4, 0\), expected no empty axis in \(T, B\)"),
        (0, np.zeros((4, 3, 7)), ValueError, r"x has shape \(4, 3, 7\), expected \(4, 3, 2\), which is \(T, B, D\)"),
        (0, np.zeros((4, 3, 2), int), ValueError, r"x has shape \(4, 3, 2\), expected 2 axes \(T, B\)"),
        (0, np.zeros((4, 3, 2), bool), TypeError, "x has dtype bool, expected floating"),
        (0, np.full((4, 3), 2), ValueError, "x holds 2, expected 0 to 1"),
        (0, np.full((4, 3), -1), ValueError, "x holds -1, expected 0 to 1"),
        (0, [[0, 1]], TypeError, "x is a list, expected a NumPy array: pass np.asarray of it"),
        (2, None, TypeError, "c0 is a NoneType, expected a NumPy array"),
        (1, np.zeros((2, 5)), ValueError, r"h0 has shape \(2, 5\), expected \(3, 5\), which is \(B, H\)"),
        (2, np.zeros((3, 1)), ValueError, r"c0 has shape \(3, 1\), expected \(3, 5\), which is \(B, H\)"),
        (2, np.zeros((3, 5), object), TypeError, "c0 has dtype object"),
        (3, np.zeros((2, 5)), ValueError, r"W has shape \(2, 5\), expected \(2, 20\), which is \(D, 4H\)"),
        (3, np.zeros(20), ValueError, r"W has shape \(20,\), expected 2 axes"),
        (4, np.zeros((20, 5)), ValueError, r"U has shape \(20, 5\), expected \(20, 80\), which is \(H, 4H\)"),
        (5, np.zeros((20, 1)), ValueError, r"b has shape \(20, 1\), expected \(20,\), which is \(4H,\)"),
        (5, np.zeros(20, int), TypeError, "b has dtype int64, expected floating or complex numbers: convert"),
    ],
)
def test_what_does_not_fit_is_named(position: int, value: Array, error: type[Exception], message: str) -> None:
    """A wrong argument would broadcast in silence, or fail with a message that names no argument."""
    arguments: list[Array] = list(GOOD)
    arguments[position] = value
    with pytest.raises(error, match=message) as caught:
        lstm_forward(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("dh", np.zeros((3, 5)), ValueError, r"dh has shape \(3, 5\), expected \(4, 3, 5\), which is \(T, B, H\)"),
        ("dhT", np.zeros(5), ValueError, r"dhT has shape \(5,\), expected \(3, 5\)"),
        ("dcT", np.zeros((1, 5)), ValueError, r"dcT has shape \(1, 5\), expected \(3, 5\)"),
        ("dcT", np.zeros((3, 5), int), TypeError, "dcT has dtype int64"),
    ],
)
def test_a_cotangent_that_does_not_fit_is_named(name: str, value: Array, error: type[Exception], message: str) -> None:
    """A cotangent of another shape would be broadcast and give a wrong gradient."""
    cache = lstm_forward(*GOOD)[2]
    cotangents: dict[str, Array | None] = {"dh": None, "dhT": None, "dcT": None, name: value}
    with pytest.raises(error, match=message):
        lstm_backward(**cotangents, cache=cache)
