"""The tape is right on all the code at hand: the examples, and the cells of the gallery."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._common.files import load
from gradcheck._tape import tape_target
from gradcheck._targets.factory import TargetFactory

ROOT = Path(__file__).parents[3]
#: examples that compute in C, torch or JAX, where the tape does not follow
FOREIGN = ("c_kernel", "jax_custom_vjp", "torch_function")
FILES = [
    file
    for folder in ("examples", "tests/gallery")
    for file in sorted((ROOT / folder).glob("*.py"))
    if not file.name.startswith(("test_", "_", "plant", "kinds", *FOREIGN))
]
#: answers to be corrected: their gradients are wrong, so the tape is held against slopes
WRONG = {"adam_answer", "asker_lstm", "guide_lstm"}


def targets(file):
    """The targets of a file, by name."""
    module = load(file)
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, TargetFactory) and value.make.__module__ == module.__name__
    }


def slopes_along(target, base, directions):
    """The slope of the loss along a direction of each parameter."""
    result = {}
    for name, direction in directions.items():

        def at(distance, name=name, direction=direction):
            return float(np.sum(np.asarray(target.loss_at({**base, name: base[name] + distance * direction}))))

        h = 1e-4
        result[name] = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
    return result


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_tape_agrees(file, monkeypatch):
    """Right code would be accused, or wrong code measured against wrong derivatives."""
    monkeypatch.setenv("LSTM_CORE", "numpy")  # what numba compiles is no code that the tape could follow
    for make in targets(file).values():
        target = make.make(np.random.default_rng(1))
        target.draw_cotangents(np.random.default_rng(0))
        base = target.values()
        with target.preserved():
            plain = {name: np.array(value) for name, value in target.grads_at(base).items()}
            again = {name: np.array(value) for name, value in target.grads_at(base).items()}
        run = tape_target(target, base)
        assert run.loss is not None
        assert not run.opaque
        assert not run.untraced
        assert all(node is not None for node in run.sinks.values())
        for name, value in plain.items():
            if np.array_equal(value, again[name], equal_nan=True):  # else it depends on what ran before
                np.testing.assert_array_equal(run.gradients[name], value)
        if file.stem not in WRONG:
            for name, value in plain.items():
                scale = np.max(np.abs(run.true_gradients[name])) + 1e-12
                np.testing.assert_allclose(value / scale, run.true_gradients[name] / scale, rtol=0, atol=1e-10)
            continue
        rng = np.random.default_rng(2)
        directions = {name: rng.standard_normal(value.shape) for name, value in base.items()}
        with target.preserved():
            expected = slopes_along(target, base, directions)
        if np.isfinite(list(expected.values())).all():
            for name, slope in expected.items():
                found = float(np.sum(run.true_gradients[name] * directions[name]))
                assert abs(found - slope) <= 1e-7 * max(1.0, abs(slope)), (name, found, slope)
