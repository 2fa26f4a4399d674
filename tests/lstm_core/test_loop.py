"""The arrays that are made once: reused, never shared, never larger than what is said of them."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from lstm_core import CharLSTM, lstm_backward, lstm_forward
from lstm_core._loop import SIZES, Pullback, Spare, Tape
from tests.lstm_core.lstm_strategies import close, normal


def text(seed: int, T: int = 7, B: int = 3, V: int = 5) -> tuple[Any, Any]:
    """Tokens and targets."""
    tokens, targets = np.random.default_rng(seed).integers(0, V, (2, T, B))
    return tokens, targets


def fresh(model: CharLSTM) -> CharLSTM:
    """The same parameters in a model that has no arrays yet."""
    other = CharLSTM(model.vocab, model.hidden, rng=0)
    other.params = {name: array.copy() for name, array in model.params.items()}
    return other


def same(one: Any, other: Any) -> None:
    """Loss, gradients and states are the same to the last bit."""
    assert one[0] == other[0]
    for name, gradient in other[1].items():
        np.testing.assert_array_equal(one[1][name], gradient, err_msg=name)
    for state, expected in zip(one[2], other[2], strict=True):
        np.testing.assert_array_equal(state, expected)


@pytest.mark.parametrize("B", [1, 3])
def test_two_models_in_turn(B: int) -> None:
    """What one model computes would depend on what another, or itself, has computed before."""
    models = [CharLSTM(5, 4, rng=seed) for seed in (0, 1)]
    for turn in range(6):
        model, given = models[turn % 2], text(turn, B=B)
        same(model.loss_and_grads(*given), fresh(model).loss_and_grads(*given))
        assert model.loss(*given) == fresh(model).loss(*given)


@pytest.mark.parametrize("B", [1, 3])
def test_results_stay(B: int) -> None:
    """A later call would write over the gradients or states of an earlier one, or read what became of them."""
    model = CharLSTM(5, 4, rng=0)
    _, grads, states = first = model.loss_and_grads(*text(0, B=B))
    before = copy.deepcopy(first)
    model.loss_and_grads(*text(1, B=B))
    same(first, before)
    for array in (*grads.values(), *states):
        array[...] = np.nan
    same(model.loss_and_grads(*text(0, B=B)), before)


def test_threads() -> None:
    """Threads with a model each, or with one model, would write into each other's arrays."""
    models = [CharLSTM(5, 16, rng=seed) for seed in (0, 1)]
    given = [text(seed, T=40) for seed in range(4)]
    expected = {(m, t): fresh(models[m]).loss_and_grads(*given[t]) for m in range(2) for t in range(4)}
    with ThreadPoolExecutor(4) as pool:
        jobs = [(m, t) for _ in range(20) for m in range(2) for t in range(4)]
        for job, found in zip(
            jobs, pool.map(lambda job: models[job[0]].loss_and_grads(*given[job[1]]), jobs), strict=True
        ):
            same(found, expected[job])


def sequence(seed: int) -> tuple[Any, ...]:
    """The arguments of `lstm_forward`."""
    rng, T, B, D, H = np.random.default_rng(seed), 6, 3, 2, 4
    shapes = (T, B, D), (B, H), (B, H), (D, 4 * H), (H, 4 * H), (4 * H,)
    return tuple(normal(rng, shape) for shape in shapes)


def gradients(cache: Any) -> Any:
    """Those of a cotangent of ones."""
    return lstm_backward(np.ones((6, 3, 4)), None, None, cache)


def test_a_cache_has_its_own_tape() -> None:
    """A sequence of the same sizes would write over what an earlier one keeps for its backward, or over its states."""
    first_h, _, first = lstm_forward(*sequence(0))
    expected_h, expected = first_h.copy(), gradients(first)
    copied = copy.copy(first)
    for seed in range(1, 4):
        _, _, another = lstm_forward(*sequence(seed))
        gradients(another)
        assert another.tape is not first.tape
    del first
    lstm_forward(*sequence(4))
    np.testing.assert_array_equal(first_h, expected_h)
    for name, gradient in gradients(copied).items():
        np.testing.assert_array_equal(gradient, expected[name], err_msg=name)


def test_a_tape_is_used_again_when_its_cache_is_gone() -> None:
    """Each sequence would make its arrays anew."""
    _, _, cache = lstm_forward(*sequence(0))
    tape = cache.tape
    del cache
    _, _, cache = lstm_forward(*sequence(1))
    assert cache.tape is tape


def test_sequences_in_threads() -> None:
    """Sequences in several threads would write into each other's arrays."""
    expected = [gradients(lstm_forward(*sequence(seed))[2]) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda k: gradients(lstm_forward(*sequence(k % 4))[2]), range(400))
        for k, grads in enumerate(found):
            for name, gradient in grads.items():
                np.testing.assert_array_equal(gradient, expected[k % 4][name], err_msg=name)


def test_arrays_are_used_again() -> None:
    """Each step would make its arrays anew, which at small sizes takes as long as the arithmetic."""
    spare = Spare()
    tape = spare.take(Tape, 3, 2, 4, 0, np.float64)
    another = spare.take(Tape, 3, 2, 4, 0, np.float64)
    assert another is not tape
    spare.give(tape)
    assert spare.take(Tape, 3, 2, 4, 0, np.float32) is not tape
    assert spare.take(Tape, 3, 2, 4, 0, np.float64) is tape


def test_what_is_given_back_while_another_is_taken() -> None:
    """A garbage collection in between would leave in the pool what was just handed out: two users of one array."""
    spare = Spare()
    first, second = (spare.take(Tape, 3, 2, 4, 0, np.float64) for _ in range(2))
    spare.give(first)

    class Collecting(dict[Any, Any]):
        """Gives the second back as soon as it has been asked."""

        def get(self, key: Any, default: Any = None) -> Any:
            found = super().get(key, default)
            spare._kept = dict(self)
            spare.give(second)
            return found

    spare._kept = Collecting(spare._kept)
    taken = [spare.take(Tape, 3, 2, 4, 0, np.float64) for _ in range(3)]
    assert len({id(tape) for tape in taken}) == 3


def test_what_takes_too_much_memory_is_not_kept() -> None:
    """A process would hold the arrays of its longest sequence for good."""
    tape = Tape(3, 2, 4, 0, np.float64)
    spare = Spare(most=1.5 * tape.nbytes)
    first, second = (spare.take(Tape, 3, 2, 4, 0, np.float64) for _ in range(2))
    spare.give(first)
    assert spare.take(Tape, 3, 2, 4, 0, np.float64) is first
    spare.give(first, second)
    assert spare._bytes() <= spare._most


def test_sizes_that_are_no_longer_used_are_forgotten() -> None:
    """A model that sees many lengths would hold arrays for each of them, for good."""
    spare, made = Spare(), []
    for T in range(1, SIZES + 3):
        made.append(spare.take(Pullback, T, 1, 2, np.float64))
        spare.give(made[-1])
    assert spare.take(Pullback, 1, 1, 2, np.float64) is not made[0]
    assert spare.take(Pullback, SIZES + 2, 1, 2, np.float64) is made[-1]


def test_a_copy_of_a_model_has_its_own() -> None:
    """A model could not be copied or pickled, or its copy would take the arrays that it holds."""
    model = CharLSTM(5, 4, rng=0)
    expected = model.loss_and_grads(*text(0))
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert not other._spare._kept
        same(other.loss_and_grads(*text(0)), expected)


@pytest.mark.parametrize("B", [1, 3])
def test_a_large_vocabulary(B: int) -> None:
    """Where one-hot rows would cost too much, what tokens add would be something else."""
    rng, V, H, T = np.random.default_rng(0), 300, 4, 6
    W, U, b = normal(rng, (V, 4 * H)), normal(rng, (H, 4 * H)), normal(rng, (4 * H,))
    h0, c0, dh = normal(rng, (B, H)), normal(rng, (B, H)), normal(rng, (T, B, H))
    tokens = rng.integers(0, V, (T, B))
    one_hot = np.eye(V)[tokens]
    h, _, cache = lstm_forward(tokens, h0, c0, W, U, b)
    dense_h, _, dense_cache = lstm_forward(one_hot, h0, c0, W, U, b)
    close(h, dense_h)
    grads, dense = lstm_backward(dh, None, None, cache), lstm_backward(dh, None, None, dense_cache)
    for name, gradient in grads.items():
        close(gradient, dense[name], factor=100, scale=10.0)


@pytest.mark.parametrize(("B", "H", "V"), [(1, 512, 10), (16, 64, 10), (16, 64, 1000)])
def test_memory(B: int, H: int, V: int) -> None:
    """A step would need more than the 12 T·B·H + 3 T·B·V numbers that the documentation states."""
    T = 100
    model = CharLSTM(V, H, rng=0)
    given = text(0, T, B, V)
    weights = sum(array.nbytes for array in model.params.values())
    tracemalloc.start()
    try:
        model.loss_and_grads(*given)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    stated = 8 * (12 * T * B * H + 3 * T * B * V)
    assert peak < stated + 5 * weights + 3e6  # and copies of the weights, a block of slopes, views
