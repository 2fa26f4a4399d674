"""The answer that was accepted, "use Adam": the optimiser is right, and the diagnosis is not.

Asked why the loss of the LSTM in `asker_lstm.py` rises, the answer replaced plain gradient descent by Adam.
The update is exactly that of the paper. But nothing in the network was repaired, so Adam is fed the same
wrong gradients; and the new loop has three mistakes of its own, each behind a switch of `AnswerDefects`::

    gradcheck check examples/adam_answer.py                                        # as answered
    ASKER_DEFECTS=none ADAM_DEFECTS=none gradcheck check examples/adam_answer.py   # everything repaired
    ASKER_DEFECTS=none ADAM_DEFECTS=gradients_survive_wrap gradcheck check examples/adam_answer.py
    python examples/adam_answer.py                                                 # the update, and training

The target is the window where the loop begins the text again. That a state survives from the end of the
text to its beginning, and that the loop never ends, no gradient can show: the first is a different model,
not a wrong derivative.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
from asker_lstm import RNN, Defects
from numpy.typing import NDArray

import gradcheck
import lstm_core

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True)
class AnswerDefects:
    """The mistakes of the answer's loop, each on unless it is switched off."""

    #: the state at the end of the text enters its beginning
    state_survives_wrap: bool = True
    #: the cotangents that left the last window are injected at the end of the first one
    gradients_survive_wrap: bool = True
    #: nothing ever sets `converged`
    never_ends: bool = True

    @classmethod
    def only(cls, *names: str) -> AnswerDefects:
        """These and no others."""
        known = [field.name for field in fields(cls)]
        for name in names:
            if name not in known:
                expected = f"all, none, or some of {', '.join(known)}"
                raise ValueError(f"no defect is called {name!r}: expected {expected}")
        return cls(**{name: name in names for name in known})

    @classmethod
    def none(cls) -> AnswerDefects:
        """Everything repaired."""
        return cls.only()

    @classmethod
    def chosen(cls) -> AnswerDefects:
        """What ADAM_DEFECTS names: ``all`` (the default), ``none``, or names between commas."""
        names = os.environ.get("ADAM_DEFECTS", "all").strip()
        if names == "all":
            return cls()
        return cls.none() if names == "none" else cls.only(*(name.strip() for name in names.split(",")))


class Adam:
    """The answer's update, with its constants."""

    def __init__(self, rnn: RNN, rate: float = 0.001) -> None:
        """Both running means begin at zero."""
        self.rnn, self.rate, self.t = rnn, rate, 0
        self.m = {name: np.zeros_like(weight) for name, weight in rnn.weights().items()}
        self.v = {name: np.zeros_like(weight) for name, weight in rnn.weights().items()}

    def update(self, gradients: dict[str, Array]) -> None:
        """Bind every weight anew."""
        self.t += 1
        for name, weight in self.rnn.weights().items():
            gradient = gradients[name]
            self.m[name] = 0.9 * self.m[name] + (1 - 0.9) * gradient
            self.v[name] = 0.999 * self.v[name] + (1 - 0.999) * gradient**2
            mean = self.m[name] / (1 - 0.9**self.t)
            square = self.v[name] / (1 - 0.999**self.t)
            setattr(self.rnn, name, weight - self.rate * mean / (np.sqrt(square) + 1e-8))


class SGD:
    """What the question had instead."""

    def __init__(self, rnn: RNN, rate: float = 0.1) -> None:
        """Keep the network."""
        self.rnn, self.rate = rnn, rate

    def update(self, gradients: dict[str, Array]) -> None:
        """Bind every weight anew."""
        for name, weight in self.rnn.weights().items():
            setattr(self.rnn, name, weight - self.rate * gradients[name])


class Loop:
    """The answer's loop over a text, window by window, and from its end back to its beginning."""

    def __init__(self, rnn: RNN, inputs: Array, outputs: Array, answer: AnswerDefects) -> None:
        """Begin at the beginning."""
        self.rnn, self.inputs, self.outputs, self.answer = rnn, inputs, outputs, answer
        self.restart()

    def restart(self) -> None:
        """Go to the beginning of the first pass."""
        self.index, self.passes = 0, 0
        self.h, self.c, self.dh, self.dc = (np.zeros((self.rnn.d, 1)) for _ in range(4))

    def window(self) -> Any:
        """Forward and backward over the next window: the loss; the gradients are left in the network."""
        rnn = self.rnn
        here = slice(self.index, min(self.index + rnn.rl, len(self.outputs)))
        rnn.clear()
        self.h, self.c = rnn.feedforward(self.inputs[here], self.h, self.c)
        loss = rnn.loss(self.outputs[here])
        self.dh, self.dc = rnn.bptt(self.outputs[here], self.dh, self.dc)
        self._advance()
        return loss

    def _advance(self) -> None:
        zeros = np.zeros((self.rnn.d, 1))
        self.index += self.rnn.rl
        if self.index < len(self.outputs):
            if not self.rnn.defects.carried_over_windows:
                self.dh, self.dc = zeros, zeros
            return
        self.index = 0
        self.passes += 1
        if not self.answer.state_survives_wrap:
            self.h, self.c = zeros, zeros
        if not self.answer.gradients_survive_wrap:
            self.dh, self.dc = zeros, zeros

    def train(self, update: Callable[[dict[str, Array]], None], passes: int) -> Iterator[float]:
        """The loss of each window, for so many passes over the text; or without end."""
        while self.answer.never_ends or self.passes < passes:
            loss = self.window()
            update(self.rnn.gradients())
            yield float(np.sum(loss))


# -- what is checked ---------------------------------------------------------------------------------------


def after_the_wrap(rng: np.random.Generator, rnn: RNN, N: int, answer: AnswerDefects) -> gradcheck.Target:
    """Loss and gradients of the first window of the second pass; the state that enters it is a constant."""
    loop = Loop(rnn, rng.integers(rnn.n, size=N), rng.integers(rnn.n, size=N), answer)
    zeros = np.zeros((rnn.d, 1))
    entering = [(zeros, zeros)]
    for start in range(0, N, rnn.rl):
        entering.append(rnn.feedforward(loop.inputs[start : start + rnn.rl], *entering[-1]))
    if not loop.answer.state_survives_wrap:
        entering[-1] = zeros, zeros
    first = slice(0, min(rnn.rl, N))

    def loss() -> Any:
        rnn.feedforward(loop.inputs[first], *entering[-1])
        return rnn.loss(loop.outputs[first])

    def grads() -> dict[str, Array]:
        loop.restart()
        for loop.h, loop.c in entering:
            loop.window()
        return rnn.gradients()

    return gradcheck.Target(rnn.weights, loss, grads)


@gradcheck.target
def adam_answer(rng: np.random.Generator, *, N: int = 6, T: int = 3, n: int = 5, d: int = 4) -> gradcheck.Target:
    """What Adam is fed in the first window of the second pass over a text of N symbols, in windows of T."""
    return after_the_wrap(rng, RNN(n, d, T, Defects.chosen(), rng), N, AnswerDefects.chosen())


# -- the update, and training ------------------------------------------------------------------------------

TEXT = np.array([ord(letter) - ord("a") for letter in "abcdefghhgfedcbaacegbdfh" * 2 + "a"])


def difference_from_reference(updates: int = 200) -> float:
    """The largest difference between the answer's weights and `lstm_core.Adam`'s, fed the same gradients."""
    rng = np.random.default_rng(0)
    rnn = RNN(5, 4, 3, Defects.none(), rng)
    adam, weights = Adam(rnn), {name: weight.copy() for name, weight in rnn.weights().items()}
    reference = lstm_core.Adam(weights)
    for _ in range(updates):
        gradients = {name: rng.standard_normal(weight.shape) for name, weight in weights.items()}
        adam.update(gradients)
        reference.step(gradients)
    return max(float(np.max(np.abs(rnn.weights()[name] - weights[name]))) for name in weights)


def trained(
    defects: Defects, answer: AnswerDefects, optimiser: type[Adam] | type[SGD], rate: float, passes: int
) -> tuple[float, float]:
    """The mean loss of a symbol in the first pass over the toy text and in the last one."""
    rnn = RNN(8, 12, 8, defects, np.random.default_rng(0))
    loop = Loop(rnn, TEXT[:-1], TEXT[1:], answer)
    windows = len(TEXT[1:]) // rnn.rl
    with np.errstate(all="ignore"):
        losses = list(islice(loop.train(optimiser(rnn, rate).update, passes), passes * windows))
    symbols = windows if defects.mean_loss else windows * rnn.rl  # a window's loss is a mean, or a sum
    return sum(losses[:windows]) / symbols, sum(losses[-windows:]) / symbols


def wrong_gradients(defects: Defects, answer: AnswerDefects) -> int:
    """How many of the ten gradients that the optimiser is fed are wrong."""
    rng = np.random.default_rng(0)
    report = gradcheck.check(after_the_wrap(rng, RNN(5, 4, 3, defects, rng), 6, answer), explain=False)
    return sum(block.verdict == "wrong" for block in report.blocks.values())


def main(passes: int = 200) -> None:
    """The update beside a reference; then the network, broken and repaired, with both optimisers."""
    print(f"200 updates: the answer's Adam is within {difference_from_reference():.0e} of lstm_core.Adam")
    print(f"loss of a symbol in nats, in the first of {passes} passes over a toy text and in the last")
    print(f"  {'network':14}{'optimiser':12}{'wrong gradients':>16}{'first':>8}{'last':>8}")
    networks = {
        "as asked": (Defects(), AnswerDefects()),
        "only dWc": (Defects.only("dWc_uses_dc"), AnswerDefects.none()),
        "repaired": (Defects.none(), AnswerDefects.none()),
    }
    optimisers: list[tuple[type[Adam] | type[SGD], float]] = [(SGD, 0.05), (Adam, 0.01)]
    for network, (defects, answer) in networks.items():
        wrong = f"{wrong_gradients(defects, answer)} of 10"
        for optimiser, rate in optimisers:
            first, last = trained(defects, answer, optimiser, rate, passes)
            print(f"  {network:14}{optimiser.__name__:12}{wrong:>16}{first:>8.3f}{last:>8.3f}", flush=True)


if __name__ == "__main__":
    main()
