"""Truncated backpropagation through time on a text.

The text is cut into B streams of equal length that are read side by side, one window of T steps after
another. The state at the end of a window is where the next one begins; gradients stop at the window's edge
(Williams and Peng 1990). The last window of a pass is as short as what is left. Each pass begins again at
zero states.

As a command, ``python -m lstm_core.train FILE`` trains on a text file and prints the loss and a sample.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lstm_core._checks import Array
from lstm_core.model import CharLSTM
from lstm_core.optim import SGD, Adam, Optimizer

OPTIMIZERS: dict[str, tuple[Callable[..., Optimizer], float]] = {
    "adam": (Adam, 0.01),
    "sgd": (SGD, 1.0),
}
"""Each optimiser by its name on the command line, with its default learning rate."""

CLIP = 5.0
"""Default limit of the gradient's global norm: rarely reached, there for the odd steep window."""


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters of a text in the order of their code points, so that ids never depend on a hash."""

    characters: str

    @classmethod
    def of(cls, text: str) -> Vocabulary:
        """The vocabulary of a text."""
        return cls("".join(sorted(set(text))))

    def __len__(self) -> int:
        """The number of characters."""
        return len(self.characters)

    def encode(self, text: str) -> npt.NDArray[np.intp]:
        """The tokens of a text, int (length,).

        Raises:
            ValueError: a character that is not in the vocabulary.
        """
        ids = {character: k for k, character in enumerate(self.characters)}
        unknown = sorted(set(text) - ids.keys())
        if unknown:
            raise ValueError(f"the text has {unknown[0]!r}, expected only characters of {self.characters!r}")
        return np.array([ids[character] for character in text], np.intp)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of the tokens."""
        return "".join(self.characters[token] for token in tokens)


@dataclass
class Training:
    """A model in training; iterate over it to train, one window and one update for each loss that comes out.

    A loop that is left early, by ``break`` or Ctrl-C, leaves the model as far as it came.

    Attributes:
        model: the model, updated in place.
        optimizer: what updates it.
        streams: tokens, int (L + 1, B): B streams side by side, each with the token that follows its last
            step.
        window: T, steps per window.
        steps: number of updates in all.
        losses: the loss of each window before its update, nats per token.
        vocabulary: of the text, or None when trained on tokens.
    """

    model: CharLSTM
    optimizer: Optimizer
    streams: npt.NDArray[np.integer[Any]]
    window: int
    steps: int
    vocabulary: Vocabulary | None = None
    losses: list[float] = field(default_factory=list)

    def __iter__(self) -> Iterator[float]:
        """Train for the remaining steps, pass after pass over the streams."""
        while len(self.losses) < self.steps:
            yield from islice(self._one_pass(), self.steps - len(self.losses))

    def _one_pass(self) -> Iterator[float]:
        state = None
        for tokens, targets in windows(self.streams, self.window):
            loss, grads, state = self.model.loss_and_grads(tokens, targets, state)
            self.optimizer.step(grads)
            self.losses.append(loss)
            yield loss

    @property
    def start(self) -> float:
        """The loss before the first update; nan before the first step."""
        return self.losses[0] if self.losses else math.nan

    @property
    def end(self) -> float:
        """The mean loss of the last ten windows (of one pass, if that is shorter); nan before the first step."""
        if not self.losses:
            return math.nan
        in_a_pass = math.ceil((len(self.streams) - 1) / self.window)
        return float(np.mean(self.losses[-min(10, in_a_pass) :]))


def split_streams(tokens: Array, batch: int) -> Array:
    """Cut a text into ``batch`` streams of equal length that are read side by side.

    Args:
        tokens: int (N,).
        batch: B, the number of streams.

    Returns:
        int (L + 1, B) with L = (N - 1) // B: row t + 1 follows row t in each stream, and the last row of a
        stream is the first of the next. Up to B - 1 tokens at the end are left out.

    Raises:
        ValueError: the text is too short to give every stream one step.
    """
    length = (len(tokens) - 1) // batch
    if length < 1:
        raise ValueError(
            f"the text has {len(tokens)} tokens, expected at least {batch + 1} for {batch} streams: "
            f"give a longer text or a smaller batch"
        )
    steps, starts = np.arange(length + 1), np.arange(batch) * length
    streams: Array = tokens[steps[:, np.newaxis] + starts]
    return streams


def windows(streams: Array, window: int) -> Iterator[tuple[Array, Array]]:
    """The windows of one pass: tokens and targets, (T, B) each; the last may be shorter than ``window``."""
    steps = len(streams) - 1
    for begin in range(0, steps, window):
        end = min(begin + window, steps)
        yield streams[begin:end], streams[begin + 1 : end + 1]


def prepare(
    text: str | Array,
    *,
    hidden: int = 64,
    steps: int | None = None,
    epochs: int | None = None,
    window: int = 32,
    batch: int = 16,
    optimizer: str = "adam",
    lr: float | None = None,
    clip: float | None = CLIP,
    dtype: npt.DTypeLike = np.float32,
    seed: int = 0,
) -> Training:
    """Set up a training without running it; iterate over the result to train.

    Arguments and errors as for :func:`train`.
    """
    counts = {"hidden": hidden, "steps": steps, "epochs": epochs, "window": window, "batch": batch}
    for name, count in counts.items():
        if count is not None and count < 1:
            raise ValueError(f"{name} is {count}, expected at least 1")
    if steps is not None and epochs is not None:
        raise ValueError(f"steps is {steps} and epochs is {epochs}, expected only one of the two")
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer is {optimizer!r}, expected one of {', '.join(OPTIMIZERS)}")
    vocabulary = Vocabulary.of(text) if isinstance(text, str) else None
    tokens, size = _tokens(text, vocabulary)
    streams = split_streams(tokens, batch)
    model = CharLSTM(size, hidden, dtype, seed)
    make, default_lr = OPTIMIZERS[optimizer]
    updates = make(model.params, lr=default_lr if lr is None else lr, clip=clip)
    in_a_pass = math.ceil((len(streams) - 1) / window)
    total = steps if steps is not None else in_a_pass * (10 if epochs is None else epochs)
    return Training(model, updates, streams, window, total, vocabulary)


def _tokens(text: str | Array, vocabulary: Vocabulary | None) -> tuple[Array, int]:
    """The tokens of the text, (N,), and the size of their vocabulary."""
    if isinstance(text, str) and vocabulary is not None:
        return vocabulary.encode(text), max(1, len(vocabulary))
    tokens = np.asarray(text)
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer):
        raise ValueError(
            f"tokens have shape {tokens.shape} and dtype {tokens.dtype}, expected integers (N,): "
            f"pass a text, or its tokens in one row"
        )
    return tokens, int(tokens.max(initial=0)) + 1


def train(text: str | Array, **options: Any) -> Training:
    """Train a character model on a text.

    Args:
        text: a text, or its tokens, int (N,), from 0.
        hidden: H, hidden units.
        steps: number of updates; or
        epochs: number of passes over the text (10 when neither is given).
        window: T, steps per window; the reach of the gradient.
        batch: B, streams read side by side.
        optimizer: ``"adam"`` or ``"sgd"``.
        lr: learning rate; None for 0.01 with Adam and 1 with SGD.
        clip: limit of the gradient's global norm, or None for no clipping.
        dtype: float32 or float64.
        seed: of the initial weights; the same seed gives the same training.

    Returns:
        The finished :class:`Training`, with the model and the losses.

    Raises:
        TypeError: ``dtype`` is not floating.
        ValueError: a count below 1, a text too short for the streams, an unknown optimiser, negative tokens,
            or gradients that ceased to be finite.
    """
    training = prepare(text, **options)
    for _ in training:
        pass
    return training


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, and return its exit status: 0, 2 for a mistake in the call, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        text = _read(options.file)
        chosen = ("hidden", "steps", "epochs", "window", "batch", "optimizer", "lr", "dtype", "seed")
        training = prepare(text, **{name: getattr(options, name) for name in chosen})
    except (ValueError, MemoryError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return _run(training, options)


def _run(training: Training, options: argparse.Namespace) -> int:
    """Train, then print what became of it; after Ctrl-C too, with what there is by then."""
    status = 0
    try:
        _train_with_progress(training)
    except KeyboardInterrupt:
        print(f"interrupted after {len(training.losses)} of {training.steps} steps", file=sys.stderr)
        status = 130
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"loss {training.start:.3f} -> {training.end:.3f} nats per character, {len(training.losses)} steps")
    try:
        _print_sample(training, options)
    except KeyboardInterrupt:
        status = 130
    print()
    return status


def _train_with_progress(training: Training) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (
        TextColumn("loss {task.fields[loss]:.3f}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    # Nothing is printed meanwhile; and a Ctrl-C in the wrong moment would leave a redirected stdout behind.
    bar = Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with bar as progress:
        task = progress.add_task("training", total=training.steps, loss=math.nan)
        for loss in training:
            progress.update(task, advance=1, loss=loss)


def _print_sample(training: Training, options: argparse.Namespace) -> None:
    """Print the sample character by character, so that Ctrl-C leaves what was drawn so far."""
    vocabulary = training.vocabulary
    if vocabulary is None:
        return
    prompt = vocabulary.encode("\n") if "\n" in vocabulary.characters else training.streams[0, :1]
    draws = training.model.stream(prompt, temperature=options.temperature, rng=options.seed)
    for token in islice(draws, options.sample):
        print(vocabulary.decode([token]), end="", flush=True)


def _read(path: str) -> str:
    """The text of a file; whatever goes wrong is a ValueError of one line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {error.start}): convert it first") from error
    except OSError as error:
        raise ValueError(f"cannot read {path}: {error.strerror}") from error
    if not text:
        raise ValueError(f"{path} is empty: give a text of some thousand characters")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lstm_core.train", description="Train a character LSTM on a text and print a sample."
    )
    parser.add_argument("file", metavar="FILE", help="a UTF-8 text file")
    parser.add_argument("--hidden", type=_count, default=64, help="hidden units (default: %(default)s)")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=_count, help="number of updates")
    length.add_argument("--epochs", type=_count, help="passes over the text (default: 10)")
    parser.add_argument("--window", type=_count, default=32, help="steps per window (default: %(default)s)")
    parser.add_argument("--batch", type=_count, default=16, help="streams side by side (default: %(default)s)")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, default="adam", help="(default: %(default)s)")
    parser.add_argument("--lr", type=_positive, help="learning rate (default: 0.01 for adam, 1 for sgd)")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and sample (default: %(default)s)")
    parser.add_argument("--sample", type=_count, default=200, help="characters to print (default: %(default)s)")
    parser.add_argument("--temperature", type=_positive, default=0.7, help="of the sample (default: %(default)s)")
    return parser


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return number


if __name__ == "__main__":
    sys.exit(main())
