"""Small user programs, taped and compared with slopes."""

from __future__ import annotations

import importlib.util
import itertools
import sys
import textwrap

import numpy as np

import gradcheck
from gradcheck._tape import tape_target

_NUMBERS = itertools.count()


def module(folder, source):
    """The source as a module of its own."""
    name = f"taped_{next(_NUMBERS)}"
    file = folder / f"{name}.py"
    file.write_text(textwrap.dedent(source))
    spec = importlib.util.spec_from_file_location(name, file)
    made = importlib.util.module_from_spec(spec)
    sys.modules[name] = made
    spec.loader.exec_module(made)
    return made


def target_of(made, dtype=float, **params):
    """A target from a module with loss(p), and grads(p) if it has one."""
    arrays = {name: np.array(value, dtype) for name, value in params.items()}
    grads = getattr(made, "grads", lambda p: {name: np.zeros_like(value) for name, value in p.items()})
    return gradcheck.Target(arrays, lambda: made.loss(arrays), lambda: grads(arrays))


def draw(*shape, seed=0, scale=1.0):
    """Numbers away from zero and from each other."""
    rng = np.random.default_rng(seed)
    return scale * (rng.uniform(0.3, 1.5, shape) * rng.choice([-1, 1], shape))


def slopes(target, base, step=1e-3):
    """The gradient by differences of fourth order."""
    result = {}
    with target.preserved():
        for name, value in base.items():
            found = np.zeros(value.shape)
            for index in np.ndindex(value.shape):

                def at(distance, name=name, value=value, index=index):
                    moved = value.copy()
                    moved[index] += distance
                    return float(np.sum(np.asarray(target.loss_at({**base, name: moved}))))

                near, far = at(step) - at(-step), at(2 * step) - at(-2 * step)
                found[index] = (8 * near - far) / (12 * step)
            result[name] = found
    return result


def check(target, tolerance=1e-8):
    """The tape's gradients are the slopes, and nothing else has changed."""
    base = target.values()
    loss = target.loss_at(base)
    run = tape_target(target, base)
    assert run.loss is not None
    np.testing.assert_array_equal(run.loss.value, loss)
    expected = slopes(target, base)
    for name, value in expected.items():
        scale = max(np.max(np.abs(value)), 1e-3)
        np.testing.assert_allclose(run.true_gradients[name] / scale, value / scale, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(target.loss_at(base), loss)
    return run
