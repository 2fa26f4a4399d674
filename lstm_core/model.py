"""A character model: tokens in, an LSTM, a linear read-out, and a distribution over the next token out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_core._checks import Array, require_numbers, require_rank, require_shape, require_tokens
from lstm_core._copies import losses, moved
from lstm_core._loop import Pullback, Spare, Tape
from lstm_core._path import kernels
from lstm_core._readout import Readout
from lstm_core._record import Step
from lstm_core.cell import cell_forward
from lstm_core.sequence import SequenceCache, backward, check_sequence, forward, tape_sizes

State = tuple[Array, Array]
Dtypes = tuple[np.dtype[Any], np.dtype[Any]]


class CharLSTM:
    """An LSTM language model over a small vocabulary, with its gradients written by hand.

    Args:
        vocab: V, the number of tokens; also D, since a token enters as its one-hot row.
        hidden: H, the number of hidden units.
        dtype: of the parameters, a floating dtype.
        rng: source of the initial weights, a Generator or a seed; None draws fresh ones.

    Attributes:
        params: the parameters by name, read afresh at every call, so entries may be changed or replaced:
            ``W`` (V, 4H), ``U`` (H, 4H), ``b`` (4H,), gates in the order i, f, g, o; ``Wy`` (H, V), ``by``
            (V,). Weights start uniform in ±1/√fan-in, H for each matrix (the one-hot input has a single
            entry that is not zero); biases at 0, those of the forget gate at 1 (Gers 2000; Jozefowicz 2015).

    Raises:
        ValueError: ``vocab`` or ``hidden`` is less than 1.
        TypeError: ``dtype`` is not floating.
    """

    def __init__(
        self,
        vocab: int,
        hidden: int,
        dtype: npt.DTypeLike = np.float64,
        rng: np.random.Generator | int | None = None,
    ) -> None:
        """Draw the initial parameters."""
        if vocab < 1 or hidden < 1:
            raise ValueError(f"vocab is {vocab} and hidden {hidden}, expected at least 1 of each")
        if not np.issubdtype(np.dtype(dtype), np.floating):
            raise TypeError(f"dtype is {np.dtype(dtype)}, expected a floating one: float32 or float64")
        rng, bound = np.random.default_rng(rng), hidden**-0.5
        b = np.zeros(4 * hidden)
        b[hidden : 2 * hidden] = 1.0
        drawn = {
            "W": rng.uniform(-bound, bound, (vocab, 4 * hidden)),
            "U": rng.uniform(-bound, bound, (hidden, 4 * hidden)),
            "b": b,
            "Wy": rng.uniform(-bound, bound, (hidden, vocab)),
            "by": np.zeros(vocab),
        }
        self.params: dict[str, Array] = {name: array.astype(dtype) for name, array in drawn.items()}
        self._spare = Spare()

    @property
    def vocab(self) -> int:
        """V, the number of tokens."""
        return int(self.params["Wy"].shape[1])

    @property
    def hidden(self) -> int:
        """H, the number of hidden units."""
        return int(self.params["Wy"].shape[0])

    def zero_state(self, batch: int) -> State:
        """The state at the beginning of a text: zeros, (batch, H) each for h and c."""
        shape, dtype = (batch, self.hidden), self.params["U"].dtype
        return np.zeros(shape, dtype), np.zeros(shape, dtype)

    def loss(self, tokens: Array, targets: Array, state: State | None = None) -> float:
        """The mean loss over a batch of sequences, forward only.

        Arguments, units and errors as for :meth:`loss_and_grads`. A float; a complex number when a parameter
        or the state is complex, with which ``imag(loss)/h`` is the derivative along an imaginary perturbation
        h.
        """
        tokens, targets = np.asarray(tokens), np.asarray(targets)
        state, dtypes = self._prepared(tokens, targets, state)
        if compiled := kernels(*dtypes):
            step = Step(compiled, self._spare, self.params, tokens, targets, state, dtypes[0])
            loss = step.loss()
            step.end()
            return loss
        loss, readout, tape, _ = self._forward(tokens, targets, state, dtypes)
        self._spare.give(tape, readout)
        return loss

    def losses(self, name: str, copies: Array, tokens: Array, targets: Array, state: State | None = None) -> Array:
        """The loss for each of many copies of one parameter, the others as they are.

        What a finite-difference check of every entry asks for: several times as fast as :meth:`loss` for copies that
        differ from the parameter in one entry each.

        Args:
            name: of the parameter.
            copies: float or complex, (K, *shape).
            tokens: int (T, B).
            targets: int (T, B).
            state: ``(h0, c0)``, (B, H) each; None for zeros.

        Returns:
            The losses in nats per token, (K,); complex where anything is.

        Raises:
            KeyError: there is no parameter of that name.
            TypeError: as by :meth:`loss_and_grads`.
            ValueError: the same; or copies of another shape.
        """
        require_numbers(copies=copies)
        base = self.params[name]
        require_shape(f"copies of {name}", copies, (len(copies), *base.shape), f"(K, *shape of {name})")
        tokens, targets = np.asarray(tokens), np.asarray(targets)
        h0, c0 = self._checked(tokens, targets, state)
        check_sequence(tokens, h0, c0, *(self.params[one] for one in ("W", "U", "b")))
        change = moved(base, copies)
        if change is None:  # several entries at once: one copy after the other
            alone = (self._with(name, one).loss(tokens, targets, (h0, c0)) for one in copies)
            return np.array(list(alone))
        return losses(self.params, name, change, tokens, targets, (h0, c0))

    def _with(self, name: str, array: Array) -> CharLSTM:
        """A model that shares all parameters but one."""
        other = copy(self)
        other.params = {**self.params, name: array}
        return other

    def loss_and_grads(
        self, tokens: Array, targets: Array, state: State | None = None
    ) -> tuple[float, dict[str, Array], State]:
        """The mean loss, its gradient, and the state to carry into the next window.

        Args:
            tokens: int (T, B), time-major.
            targets: int (T, B), the token that should follow each.
            state: ``(h0, c0)``, (B, H) each; None for zeros.

        Returns:
            The loss in nats per token, the mean over T·B; the gradients by the names of ``params``; and
            ``(hT, cT)``, (B, H) each.

        Raises:
            TypeError: tokens that are not integers, or a parameter or state that is not floating.
            ValueError: shapes that do not fit, an empty axis, or a token outside the vocabulary.
        """
        tokens, targets = np.asarray(tokens), np.asarray(targets)
        state, dtypes = self._prepared(tokens, targets, state)
        if compiled := kernels(*dtypes):
            step = Step(compiled, self._spare, self.params, tokens, targets, state, dtypes[0])
            loss, last, grads = step.loss(), step.last(), step.gradients()
            step.end()
            return loss, {name: grads[name] for name in self.params}, last
        loss, readout, tape, sequence = self._forward(tokens, targets, state, dtypes)
        del state  # the tape has it: what follows is where memory is short
        T, B, H = tape.sizes
        dh, dWy, dby = readout.back(tape.outputs, self.params["Wy"], targets.ravel())
        pullback = self._spare.take(Pullback, T, B, H, readout.dtype)
        grads = backward(pullback, dh.reshape(H, T, B), None, None, sequence)
        grads |= {"Wy": dWy * readout.dtype.type(0.5), "by": dby}  # the tape holds 2h
        last = tape.states[T].T * tape.dtype.type(0.5), tape.gates[T, 4].T.copy()
        self._spare.give(tape, pullback, readout)
        return loss, {name: grads[name] for name in self.params}, last

    def _prepared(self, tokens: Array, targets: Array, state: State | None) -> tuple[State, Dtypes]:
        """The state to begin from, and the dtypes of the states and of the loss; everything is checked."""
        h0, c0 = self._checked(tokens, targets, state)
        W, U, b, Wy, by = (self.params[name] for name in ("W", "U", "b", "Wy", "by"))
        dtype = check_sequence(tokens, h0, c0, W, U, b)
        of_loss = np.result_type(dtype, require_numbers(Wy=Wy, by=by))
        require_shape("Wy", Wy, (len(U), self.vocab), "(H, V)")
        require_shape("by", by, (self.vocab,), "(V,)")
        return (h0, c0), (dtype, of_loss)

    def _forward(
        self, tokens: Array, targets: Array, state: State, dtypes: Dtypes
    ) -> tuple[float, Readout, Tape, SequenceCache]:
        """The loss, and what a backward needs: the read-out and the tape are to be given back."""
        (dtype, of_loss), (W, U, b, Wy, by) = dtypes, (self.params[name] for name in ("W", "U", "b", "Wy", "by"))
        tape = self._spare.take(Tape, *tape_sizes(tokens, W, U), dtype)
        sequence = forward(tape, tokens, *state, W, U, b)
        readout = self._spare.take(Readout, tokens.size, *Wy.shape, of_loss)
        halved = np.multiply(Wy, 0.5, dtype=of_loss)  # the tape holds 2h
        loss = readout.run(tape.outputs, halved, by, targets.ravel())
        return loss, readout, tape, sequence

    def _checked(self, tokens: Array, targets: Array, state: State | None) -> State:
        """The state to begin from, once tokens and targets are what they must be."""
        require_rank("tokens", tokens, "(T, B)")
        require_tokens("tokens", tokens, self.vocab)
        require_shape("targets", targets, tokens.shape, "(T, B)")
        require_tokens("targets", targets, self.vocab)
        return self.zero_state(tokens.shape[1]) if state is None else state

    def stream(
        self,
        prompt: Iterable[int],
        *,
        temperature: float = 1.0,
        state: State | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> Iterator[int]:
        """Draw tokens without end, one at a time; arguments and errors as for :meth:`sample`."""
        given = np.asarray(list(prompt))
        require_rank("prompt", given, "(tokens,)")
        require_tokens("prompt", given, self.vocab)
        if not temperature > 0:
            raise ValueError(f"temperature is {temperature}, expected a positive number, 1 for the model's own")
        states = self.zero_state(1) if state is None else state
        return self._draw(given, temperature, states, np.random.default_rng(rng))

    def _draw(self, prompt: Array, temperature: float, state: State, rng: np.random.Generator) -> Iterator[int]:
        (h, c), pending = state, [int(token) for token in prompt]
        one_hot = np.eye(self.vocab, dtype=self.params["W"].dtype)
        W, U, b, Wy, by = (self.params[name] for name in ("W", "U", "b", "Wy", "by"))
        while True:
            for token in pending:
                h, c, _ = cell_forward(one_hot[token : token + 1], h, c, W, U, b)
            # The largest of logits with Gumbel noise is a draw from their softmax, and nothing can overflow.
            noisy = (h @ Wy + by)[0] / temperature + rng.gumbel(size=self.vocab)
            pending = [int(np.argmax(noisy))]
            yield pending[0]

    def sample(
        self,
        length: int,
        *,
        prompt: Iterable[int] = (0,),
        temperature: float = 1.0,
        state: State | None = None,
        rng: np.random.Generator | int | None = None,
    ) -> npt.NDArray[np.intp]:
        """Draw a text from the model.

        Args:
            length: number of tokens to draw.
            prompt: tokens read before the first draw, at least one; not part of the result.
            temperature: divides the logits; below 1 more cautious, above 1 wilder.
            state: ``(h, c)`` to begin from, (1, H) each; None for zeros.
            rng: a Generator or a seed; the same seed draws the same text.

        Returns:
            The tokens, int (length,).

        Raises:
            TypeError: a prompt that is not of integers.
            ValueError: an empty prompt, a token outside the vocabulary, or a temperature that is not
                positive.
        """
        draws = self.stream(prompt, temperature=temperature, state=state, rng=rng)
        return np.fromiter(islice(draws, length), np.intp)
