"""The law "independence": differences of the loss are no backward, and no backward is taken for them."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from tests.gradcheck.networks import Rnn, rnn_backward, rnn_forward, vjp_target


def differences(params: Any, loss: Any, below: float) -> dict[str, Any]:
    """What a textbook calls a gradient check, handed in as the gradient."""
    grads = {}
    for name, array in params.items():
        grads[name] = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            before = array[index]
            array[index] = before + 1e-6
            above = loss()
            array[index] = before - below
            grads[name][index] = (above - loss()) / (1e-6 + below)
            array[index] = before
    return grads


@pytest.mark.parametrize("below", [0.0, 1e-6])
@pytest.mark.parametrize("weights", [lambda params: params, lambda params: lambda: params])
def test_the_loss_checked_against_itself(below: float, weights: Any) -> None:
    """Gradients that are differences of the loss would be called right, whatever the backward does."""
    rnn = Rnn(np.random.default_rng(0), bug="no carry")
    report = check(Target(weights(rnn.params), lambda: rnn.loss(), lambda: differences(rnn.params, rnn.loss, below)))
    assert not report.ok
    assert not report.laws["independence"].holds
    assert "grads() runs loss()" in report.laws["independence"].message
    if below:
        assert report.verdict == "vacuous"
        assert {block.verdict for block in report.blocks.values()} == {"right"}


def test_a_forward_checked_against_itself() -> None:
    """Differences of a forward would be called a right backward."""
    inputs = {"W": np.linspace(0.1, 1.0, 12).reshape(3, 4), "V": np.linspace(-1.0, 1.0, 12).reshape(4, 3)}

    def forward(W: Any, V: Any) -> Any:
        return np.tanh(W @ V), {"W": W, "V": V}

    def backward(dy: Any, cache: Any) -> Any:
        return differences(cache, lambda: np.sum(dy * forward(**cache)[0]), 1e-6)

    assert check(Target.from_vjp(forward, backward, inputs)).laws["independence"].breach == "vacuous"


def test_a_backward_is_independent() -> None:
    """A backward that runs its forward again would be taken for differences of it."""
    rng = np.random.default_rng(0)
    for target in (Rnn(rng).target(), Rnn(rng).real_target(), Rnn(rng).function_target(), vjp_target()):
        assert check(target).laws["independence"].holds


def test_a_backward_that_asks_a_helper_for_every_entry() -> None:
    """Loops over entries, in code whose loss is one expression, would be taken for differences of it."""
    x, params = np.linspace(-1.0, 1.0, 20), {"w": np.linspace(0.1, 1.0, 20)}

    def slope(z: Any) -> Any:
        return 1 - np.tanh(z) ** 2

    def loss() -> float:
        return float(np.sum(slope(params["w"] * x)))

    def grads() -> dict[str, Any]:
        pairs = zip(params["w"], x, strict=True)
        return {"w": np.array([-2 * np.tanh(w * at) * slope(w * at) * at for w, at in pairs])}

    report = check(Target(params, loss, grads))
    assert report.ok, str(report)


def test_a_constructor_that_every_operation_calls() -> None:
    """An autograd that makes each result with one helper, the loss among them, would be taken for differences of it."""
    params = {"w": np.linspace(0.1, 1.0, 20)}

    def as_array(value: Any) -> Any:
        return np.asarray(value)

    def forward() -> list[Any]:
        values = [as_array(params["w"])]
        for _ in range(12):
            values.append(as_array(np.tanh(values[-1])))
        return [*values, as_array(np.sum(values[-1]))]

    def grads() -> dict[str, Any]:
        *values, _ = forward()
        back = as_array(np.ones(20))
        for value in values[:0:-1]:
            back = as_array(as_array(back) * as_array(1 - as_array(value) ** 2))
        return {"w": back}

    report = check(Target(params, lambda: float(forward()[-1]), grads))
    assert report.laws["independence"].holds
    assert report.verdict == "right"


def test_a_forward_run_again_at_every_step() -> None:
    """A backward that saves memory by running the forward anew for each step would be taken for differences."""
    rng = np.random.default_rng(0)
    inputs = {name: rng.normal(size=shape) for name, shape in {"x": (9, 1, 1), "h0": (1, 1)}.items()}
    inputs |= {"W": rng.normal(size=(1, 1)), "U": rng.normal(size=(1, 1)), "b": rng.normal(size=1)}

    def backward(cotangents: Any, cache: Any) -> Any:
        x, hs, W, U = cache
        for t in range(len(x)):
            rnn_forward(x[:t], hs[0], W, U, np.zeros(1)) if t else None
        return rnn_backward(cotangents, cache)

    assert check(Target.from_vjp(rnn_forward, backward, inputs)).laws["independence"].holds


class Layer:
    """A layer with a squared error, its right backward, and ways to make its gradients without one."""

    def __init__(self, inputs: int = 3, outputs: int = 4) -> None:
        """Draw the parameters and the data."""
        rng = np.random.default_rng(0)
        self.params = {"W": rng.standard_normal((inputs, outputs)), "b": rng.standard_normal(outputs)}
        self.x, self.y = rng.standard_normal((5, inputs)), rng.standard_normal((5, outputs))

    def loss(self) -> float:
        """The forward."""
        return float(np.mean((np.tanh(self.x @ self.params["W"] + self.params["b"]) - self.y) ** 2))

    def grads(self) -> Any:
        """The backward."""
        h = np.tanh(self.x @ self.params["W"] + self.params["b"])
        dz = 2 * (h - self.y) / h.size * (1 - h * h)
        return {"W": self.x.T @ dz, "b": dz.sum(0)}

    def by_copies(self, step: float = 1e-6) -> Any:
        """Differences of deep copies: no function of this object runs more than once."""
        return self._of_each(lambda name, at: self._difference(name, at, step))

    def by_threads(self) -> Any:
        """The same, where the threads are the backward's own."""
        with ThreadPoolExecutor(2) as pool:
            jobs = self._of_each(lambda name, at: pool.submit(self._difference, name, at))
            return {name: np.vectorize(lambda job: job.result(), otypes=[float])(of) for name, of in jobs.items()}

    def by_one_thread(self) -> Any:
        """All of them in one other thread."""
        found: Any = {}
        thread = threading.Thread(target=lambda: found.update(self.by_copies()))
        thread.start()
        thread.join()
        return found

    def by_a_batch(self, step: float = 1e-6) -> Any:
        """All losses at once, in an expression of its own that no function returns."""
        found = {}
        for name, array in self.params.items():
            above, below = (self._losses(name, array + sign * self._moves(array, step)) for sign in (1, -1))
            found[name] = ((above - below) / (2 * step)).reshape(array.shape)
        return found

    def by_relative_steps(self) -> Any:
        """A batch whose steps are as long as the entries are large, to one side."""
        found = {}
        for name, array in self.params.items():
            steps = 1e-7 * np.maximum(1.0, np.abs(array)).ravel()
            above = self._losses(name, array + steps.reshape(-1, *[1] * array.ndim) * self._moves(array, 1.0))
            found[name] = ((above - self.loss()) / steps).reshape(array.shape)
        return found

    def by_another_loss(self, step: complex = 1e-6) -> Any:
        """Differences, or complex steps, of a function that the loss does not run."""

        def written_again(params: Any) -> Any:
            return np.mean((np.tanh(self.x @ params["W"] + params["b"]) - self.y) ** 2)

        def slope(name: str, at: tuple[int, ...]) -> float:
            moved = {other: array.astype(complex if step.imag else float) for other, array in self.params.items()}
            moved[name][at] += step
            found = written_again(moved)
            return float(found.imag / step.imag if step.imag else (found - self.loss()) / step.real)

        return self._of_each(slope)

    def _of_each(self, slope: Callable[[str, tuple[int, ...]], Any]) -> dict[str, Any]:
        found = {name: [slope(name, at) for at in np.ndindex(array.shape)] for name, array in self.params.items()}
        return {name: np.array(of).reshape(self.params[name].shape) for name, of in found.items()}

    def _difference(self, name: str, at: tuple[int, ...], step: float = 1e-6) -> float:
        above, below = copy.deepcopy(self), copy.deepcopy(self)
        above.params[name][at] += step
        below.params[name][at] -= step
        return (above.loss() - below.loss()) / (2 * step)

    def _moves(self, array: Any, step: float) -> Any:
        return step * np.eye(array.size).reshape(array.size, *array.shape)

    def _losses(self, name: str, many: Any) -> Any:
        W, b = ({**{key: one[None] for key, one in self.params.items()}, name: many}[key] for key in ("W", "b"))
        return ((np.tanh(self.x @ W + b[:, None, :]) - self.y) ** 2).mean((1, 2))


def said_of(layer: Layer, grads: Callable[[], Any]) -> Any:
    """The report on a layer with these gradients."""
    return check(Target(layer.params, layer.loss, grads), explain=False)


WAYS: dict[str, Callable[[Layer], Callable[[], Any]]] = {
    "deep copies": lambda layer: layer.by_copies,
    "threads": lambda layer: layer.by_threads,
    "one other thread": lambda layer: layer.by_one_thread,
    "a batch": lambda layer: layer.by_a_batch,
    "a batch over short steps": lambda layer: lambda: layer.by_a_batch(2.0**-20),
    "a batch over relative steps": lambda layer: layer.by_relative_steps,
    "another loss": lambda layer: layer.by_another_loss,
    "complex steps of another loss": lambda layer: lambda: layer.by_another_loss(1e-30j),
}


@pytest.mark.parametrize("way", WAYS)
def test_however_the_loss_is_differenced(way: str) -> None:
    """A backward that nobody wrote would be called right, since its losses are not counted."""
    layer = Layer()
    report = said_of(layer, WAYS[way](layer))
    law = report.laws["independence"]
    assert (law.holds, law.breach, report.ok) == (False, "vacuous", False)
    assert "differences would be compared with differences" in law.message


@pytest.mark.parametrize("way", WAYS)
def test_differences_of_a_few_parameters(way: str) -> None:
    """Four entries may be whole numbers by chance; but nobody is to be told that they are no differences."""
    layer = Layer(1, 2)
    assert not said_of(layer, WAYS[way](layer)).laws["independence"].is_shown


def test_differences_of_a_waiting_pool() -> None:
    """Threads that were there before are seen by no profiler."""
    layer = Layer()
    with ThreadPoolExecutor(1) as pool:
        pool.submit(int).result()
        report = said_of(layer, lambda: pool.submit(layer.by_copies).result())
    assert not report.laws["independence"].holds


def test_differences_that_no_step_explains_are_not_tested() -> None:
    """Differences over an unusual step would be said to be independent of the loss."""
    layer = Layer()
    report = said_of(layer, lambda: layer.by_a_batch(1.2345678e-6))
    law = report.laws["independence"]
    assert (law.holds, law.tested) == (True, False)
    assert "change at random by" in law.message
    assert report.to_dict()["laws"]["independence"]["tested"] is False
    told = str(report)
    assert "law independence was not tested: gradients change at random" in told
    assert "independence" not in next(line for line in told.splitlines() if "laws that hold" in line)


def test_a_right_backward_in_threads_is_not_accused() -> None:
    """Threads would be called differences; or it would be said that what they run was counted."""
    layer = Layer()
    with ThreadPoolExecutor(1) as pool:
        report = said_of(layer, lambda: pool.submit(layer.grads).result())
    assert report.verdict == "right"
    assert not report.laws["independence"].tested
    assert "ThreadPoolExecutor.submit" in report.laws["independence"].message


def right_ones() -> Iterator[Any]:
    """Right gradients with round numbers in them, and with few digits."""
    x = np.linspace(-1.0, 1.0, 21)
    yield {"w": np.linspace(0.1, 2.1, 21)}, lambda w: float(x @ w), lambda w: x.copy()  # noqa: ARG005
    yield {"w": np.arange(1.0, 13.0) / 10}, lambda w: float(w @ w / 2), lambda w: w.copy()
    yield {"w": x + 3}, lambda w: float(np.sum(w**4)), lambda w: (4 * (w.astype(np.float32) ** 3)).astype(float)


@pytest.mark.parametrize("right", list(right_ones()))
def test_round_numbers_are_no_differences(right: Any) -> None:
    """Gradients that are whole numbers of something would be taken for what is left of two losses."""
    params, loss, grads = right
    report = check(Target(params, lambda: loss(params["w"]), lambda: {"w": grads(params["w"])}), explain=False)
    assert report.laws["independence"].holds
    assert report.verdict == "right"


def test_a_right_backward_asks_for_no_more_than_is_counted() -> None:
    """Every check would pay for what only suspicious gradients need."""
    layer = Layer()
    with_law, without = (
        check(Target(layer.params, layer.loss, layer.grads), laws=laws) for laws in ("independence", "none")
    )
    assert with_law.evaluations == without.evaluations
