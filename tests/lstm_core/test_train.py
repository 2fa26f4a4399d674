"""Truncated backpropagation through time on text: windows, state, learning, and the command line."""

from __future__ import annotations

import math
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstm_core import CharLSTM
from lstm_core.train import Training, Vocabulary, main, prepare, split_streams, train, windows


def grammar(sentences: int, seed: int = 0) -> str:
    """A text of the kind "the quiet gate keeps the signal": enough structure to be worth learning."""
    rng = random.Random(seed)
    nouns, adjectives, verbs = (
        words.split()
        for words in (
            "cell gate state input output memory signal",
            "slow quick quiet bright hidden open",
            "opens closes keeps drops carries reads",
        )
    )

    def phrase() -> str:
        adjective = f"{rng.choice(adjectives)} " if rng.random() < 0.6 else ""
        return f"the {adjective}{rng.choice(nouns)}"

    return "".join(f"{phrase()} {rng.choice(verbs)} {phrase()}.\n" for _ in range(sentences))


@pytest.fixture
def text_file(tmp_path: Path) -> str:
    """A small text on disk."""
    path = tmp_path / "text.txt"
    path.write_text(grammar(40), encoding="utf-8")
    return str(path)


def test_it_learns() -> None:
    """Training would not find the grammar of a text that anyone sees at a glance."""
    text = grammar(400)
    assert len(text) > 10_000
    training = train(text, steps=250, hidden=48)
    assert training.start == pytest.approx(math.log(len(set(text))), abs=0.15)
    assert training.end < 0.8
    drawn = training.vocabulary.decode(
        training.model.sample(300, prompt=training.vocabulary.encode("\n"), temperature=0.3, rng=0)
    )
    known = set(text.split())
    words = drawn.split()[:-1]
    assert sum(word in known for word in words) > 0.8 * len(words), drawn


def test_gradient_descent_learns_too() -> None:
    """Plain gradient descent at its default rate would stand still or diverge."""
    assert train(grammar(100), optimizer="sgd", epochs=40, hidden=32).end < 1.5


@given(st.integers(1, 6), st.integers(1, 9), st.integers(0, 60))
def test_the_windows_of_a_pass_are_the_text(batch: int, window: int, extra: int) -> None:
    """A window would skip, repeat or shift tokens, or the last and shorter one be lost."""
    tokens = np.arange(batch + 1 + extra)
    streams = split_streams(tokens, batch)
    pieces = list(windows(streams, window))
    length = (len(tokens) - 1) // batch
    assert [len(piece) for piece, _ in pieces[:-1]] == [window] * (len(pieces) - 1)
    assert 1 <= len(pieces[-1][0]) <= window
    read = np.concatenate([piece for piece, _ in pieces])
    expected = np.concatenate([target for _, target in pieces])
    np.testing.assert_array_equal(read.T.ravel(), tokens[: batch * length])
    np.testing.assert_array_equal(expected, read + 1)


def spy(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """Record every call of loss_and_grads: its arguments, its state and its results."""
    calls: list[dict] = []
    original = CharLSTM.loss_and_grads

    def recorded(self: CharLSTM, tokens: np.ndarray, targets: np.ndarray, state: tuple | None = None) -> tuple:
        weights = {name: param.copy() for name, param in self.params.items()}
        result = original(self, tokens, targets, state)
        calls.append({"tokens": tokens, "targets": targets, "state": state, "weights": weights, "result": result})
        return result

    monkeypatch.setattr(CharLSTM, "loss_and_grads", recorded)
    return calls


def test_state_is_carried_and_gradients_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window would begin from a wrong state, or a gradient would flow in from another window."""
    with monkeypatch.context() as patched:
        calls = spy(patched)
        training = train(np.arange(24) % 5, epochs=2, window=4, batch=2, hidden=3, dtype=np.float64)
    assert [len(call["tokens"]) for call in calls] == [4, 4, 3] * 2
    for before, call in pairwise(calls):
        same = call["state"] is before["result"][2]
        assert same == (call is not calls[3])
    assert calls[0]["state"] is None
    assert calls[3]["state"] is None
    for call in calls:
        alone = CharLSTM(5, 3)
        alone.params.update(call["weights"])
        loss, grads, _ = alone.loss_and_grads(call["tokens"], call["targets"], call["state"])
        assert loss == call["result"][0]
        for name, grad in grads.items():
            np.testing.assert_array_equal(call["result"][1][name], grad)
    assert training.losses == [call["result"][0] for call in calls]


def test_the_same_seed_gives_the_same_training() -> None:
    """A run could not be repeated."""
    text = grammar(20)
    first, again, other = (train(text, steps=8, seed=seed) for seed in (1, 1, 2))
    assert again.losses == first.losses
    assert other.losses != first.losses


def test_steps_and_epochs_count_windows_and_passes() -> None:
    """The training would end early or late."""
    tokens = np.arange(50) % 7
    assert len(train(tokens, epochs=3, window=10, batch=2).losses) == 9
    assert len(train(tokens, steps=4, window=10, batch=2).losses) == 4
    assert len(train(tokens, window=30, batch=2).losses) == 10


def test_a_training_can_be_left_and_gone_on_with() -> None:
    """Leaving the loop would lose what was learnt, or going on would start from nothing."""
    training = prepare(grammar(20), steps=12)
    assert math.isnan(training.start)
    assert math.isnan(training.end)
    first = list(islice(training, 5))
    assert training.losses == first
    rest = list(training)
    assert training.losses == first + rest
    assert len(training.losses) == 12
    assert rest[-1] < first[0]


def test_end_is_the_mean_of_the_last_windows() -> None:
    """The reported loss would be that of one lucky window."""
    training = prepare(np.arange(101) % 3, window=5, batch=1, steps=30)
    training.losses.extend(float(k) for k in range(30))
    assert training.start == 0
    assert training.end == pytest.approx(24.5)
    short = prepare(np.arange(101) % 3, window=50, batch=1, steps=30)
    short.losses.extend([9.0, 1.0, 2.0])
    assert short.end == 1.5


@given(st.text())
def test_a_vocabulary_round_trip(text: str) -> None:
    """Decoding the tokens of a text would not give the text back."""
    vocabulary = Vocabulary.of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text
    assert len(vocabulary) == len(set(text))
    assert list(vocabulary.characters) == sorted(set(text))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "the text has 0 tokens, expected at least 17 for 16 streams"),
        ("short", {"batch": 5}, "the text has 5 tokens, expected at least 6 for 5 streams: give a longer text"),
        ("abc", {"window": 0}, "window is 0, expected at least 1"),
        ("abc", {"hidden": -2}, "hidden is -2"),
        ("abc", {"steps": 1, "epochs": 1}, "steps is 1 and epochs is 1, expected only one"),
        ("abc", {"optimizer": "magic"}, "optimizer is 'magic', expected one of adam, sgd"),
        (np.zeros((2, 2), int), {}, r"tokens have shape \(2, 2\) and dtype int64, expected integers"),
        (np.zeros(9), {}, r"tokens have shape \(9,\) and dtype float64"),
        (np.array([0, -1, 2]), {"batch": 1}, "tokens holds -1, expected 0 to 2"),
    ],
)
def test_trainings_that_cannot_be_are_refused(text: str, options: dict, message: str) -> None:
    """A mistake in the call would fail later, with a message about something else."""
    with pytest.raises(ValueError, match=message):
        train(text, **options)


def test_an_unknown_character_is_named() -> None:
    """Encoding with the vocabulary of another text would fail with a bare KeyError."""
    with pytest.raises(ValueError, match="the text has 'z', expected only characters of 'abc'"):
        Vocabulary("abc").encode("az")


def test_command_line(text_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command would not report the loss at start and end, or print no sample."""
    assert main([text_file, "--steps", "30", "--hidden", "16", "--sample", "50", "--optimizer", "sgd"]) == 0
    out, err = capsys.readouterr()
    line, _, sample = out.partition("\n")
    words = line.split()
    assert words[0] == "loss"
    assert float(words[3]) < float(words[1])
    assert line.endswith("nats per character, 30 steps")
    assert len(sample) == 50 + 1
    assert err == ""


def test_command_line_without_a_line_break_in_the_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A text of a single line could not be sampled from."""
    path = tmp_path / "line.txt"
    path.write_text("ab" * 50, encoding="utf-8")
    assert main([str(path), "--epochs", "1", "--dtype", "float64", "--sample", "3"]) == 0
    assert set(capsys.readouterr().out.splitlines()[1]) <= {"a", "b"}


def test_the_progress_bar_shows_on_a_terminal(
    text_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long training would show nothing until its end."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    assert main([text_file, "--steps", "3"]) == 0
    out, err = capsys.readouterr()
    assert "3/3" in err
    assert "loss" in err
    assert out.startswith("loss ")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing", None, "cannot read {path}: No such file or directory"),
        ("", None, "cannot read {path}: Is a directory"),
        ("empty", b"", "{path} is empty: give a text of some thousand characters"),
        ("binary", b"ab\xff\xfe", "{path} is not UTF-8 text (byte 2): convert it first"),
        ("short", b"abc", "the text has 3 tokens, expected at least 17 for 16 streams"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes | None, message: str
) -> None:
    """A mistyped file name would end in a traceback."""
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    assert main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: " + message.format(path=path))
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "options",
    [
        ["--hidden", "0"],
        ["--window", "1.5"],
        ["--lr", "-1"],
        ["--lr", "fast"],
        ["--temperature", "inf"],
        ["--steps", "3", "--epochs", "3"],
        ["--dtype", "int"],
    ],
)
def test_an_option_that_makes_no_sense_is_a_usage_error(text_file: str, options: list[str]) -> None:
    """A mistyped option would be taken for something else."""
    with pytest.raises(SystemExit) as caught:
        main([text_file, *options])
    assert caught.value.code == 2


def test_a_training_that_diverges_says_so(
    text_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learning rate far too high would end in a traceback, or in a sample of nonsense."""

    def diverge(self: CharLSTM, *_: object) -> tuple:
        return math.nan, {name: np.full_like(p, np.nan) for name, p in self.params.items()}, None

    monkeypatch.setattr(CharLSTM, "loss_and_grads", diverge)
    assert main([text_file]) == 2
    assert capsys.readouterr().err == (
        "error: the gradient of W, U, b, Wy, by is not finite: lower the learning rate\n"
    )


def test_ctrl_c_in_training_prints_a_sample(
    text_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C would throw away what was learnt, or end with status 0 as if all had been done."""
    original = Training.__iter__

    def interrupted(self: Training) -> Iterator[float]:
        yield from islice(original(self), 5)
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "__iter__", interrupted)
    assert main([text_file, "--sample", "20"]) == 130
    out, err = capsys.readouterr()
    assert out.splitlines()[0].endswith("5 steps")
    assert len(out.partition("\n")[2]) == 20 + 1
    assert err.startswith("interrupted after 5 of ")


def test_ctrl_c_in_the_sample_keeps_what_was_drawn(
    text_file: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C during the sample would end in a traceback."""

    def interrupted(*_: object, **__: object) -> Iterator[int]:
        yield from [1, 2, 3]
        raise KeyboardInterrupt

    monkeypatch.setattr(CharLSTM, "stream", interrupted)
    assert main([text_file, "--steps", "2"]) == 130
    assert len(capsys.readouterr().out.partition("\n")[2]) == 3 + 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for a child process")
def test_the_module_runs_as_a_command(text_file: str) -> None:
    """``python -m lstm_core.train`` would warn at its start, or not stop at a real Ctrl-C with status 130."""
    # as python -m does it, but a shell's background job inherits SIGINT ignored
    program = (
        "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "runpy.run_module('lstm_core.train', run_name='__main__', alter_sys=True)"
    )
    command = [sys.executable, "-W", "error", "-c", program, text_file, "--epochs", "10000000"]
    # a progress bar, forced on: its first character says that the training has begun
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "FORCE_COLOR": "1", "TERM": "xterm"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )
    with process:
        try:
            assert process.stderr is not None
            begun = process.stderr.read(1)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == 130, begun + err
    assert "nats per character" in out
    assert "interrupted after " in err
    assert "Traceback" not in err
