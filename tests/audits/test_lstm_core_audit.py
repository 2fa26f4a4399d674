"""lstm_core under its own auditor, exactly as a stranger's code would be. Runs with --gradcheck."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gradcheck as auditor
import lstm_core
from gradcheck import Target, strategies
from lstm_core import _path
from tests.audits.halved import halved

pytestmark = pytest.mark.gradcheck

#: each example is a whole check
few = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def char_lstm(model, tokens, labels, state=None, **options):
    """The model's loss on one window, as a target."""
    return Target(
        model.params,
        lambda: model.loss(tokens, labels, state),
        lambda: model.loss_and_grads(tokens, labels, state)[1],
        **options,
    )


def sequence(arrays):
    """lstm_forward and lstm_backward, all outputs and all cotangents."""

    def forward(x, h0, c0, W, U, b):
        h, (hT, cT), cache = lstm_core.lstm_forward(x, h0, c0, W, U, b)
        return (h, hT, cT), cache

    return Target.from_vjp(forward, lambda cotangents, cache: lstm_core.lstm_backward(*cotangents, cache), arrays)


def cell(arrays):
    """One time step."""

    def forward(x, h, c, W, U, b):
        h_next, c_next, cache = lstm_core.cell_forward(x, h, c, W, U, b)
        return (h_next, c_next), cache

    return Target.from_vjp(forward, lambda cotangents, cache: lstm_core.cell_backward(*cotangents, cache), arrays)


def shapes(T, B, D, H):
    """The shapes of lstm_forward's arguments, in its order."""
    return {"x": (T, B, D), "h0": (B, H), "c0": (B, H), "W": (D, 4 * H), "U": (H, 4 * H), "b": (4 * H,)}


@few
@given(sizes=strategies.sizes(T=6, B=3, V=8, H=6), seed=strategies.seeds(), data=st.data())
def test_char_lstm(gradcheck, sizes, seed, data):
    """A wrong gradient of CharLSTM, at any size, with repeated tokens or a last window of one step, would be shown."""
    T, B, V, H = (sizes[name] for name in "TBVH")
    rng = np.random.default_rng(seed)
    model = lstm_core.CharLSTM(V + 1, H, rng=rng)
    state = (rng.standard_normal((B, H)), rng.standard_normal((B, H)))  # zeros would leave U vacuous at T=1
    tokens = data.draw(strategies.tokens(T, B, V + 1))
    labels = rng.integers(0, V + 1, (T, B))
    gradcheck(char_lstm(model, tokens, labels, state))


@few
@given(sizes=strategies.sizes(T=5, B=3, D=4, H=5), data=st.data())
def test_sequence(gradcheck, sizes, data):
    """A wrong gradient of lstm_backward, for any output and any input, would be shown."""
    arrays = data.draw(strategies.parameters(shapes(**sizes), scales=(0.3, 1.0)))
    gradcheck(sequence(arrays))


@few
@given(sizes=strategies.sizes(B=3, D=4, H=5), data=st.data())
def test_cell(gradcheck, sizes, data):
    """A wrong gradient of the readable reference cell would be shown."""
    x, h, c, *rest = data.draw(strategies.parameters(shapes(T=1, **sizes), scales=(0.3, 1.0))).values()
    gradcheck(cell(dict(zip(("x", "h", "c", "W", "U", "b"), (x[0], h, c, *rest), strict=True))))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_every_entry(gradcheck, dtype):
    """A single wrong entry, too small for directions to see in float32, would be shown."""
    rng = np.random.default_rng(7)
    model = lstm_core.CharLSTM(9, 6, dtype=dtype, rng=rng)
    tokens, labels = rng.integers(0, 9, (5, 3)), rng.integers(0, 9, (5, 3))
    report = gradcheck(char_lstm(model, tokens, labels, inputs={"tokens": tokens, "labels": labels}), full=True)
    assert all(block.worst is not None for block in report.blocks.values())


def test_saturated_gates_are_not_called_wrong():
    """Correct code whose gates are saturated would be accused: there a gradient is mostly rounding error."""
    import gradcheck

    for seed in range(20):
        rng = np.random.default_rng(seed)
        arrays = {name: 30 * rng.standard_normal(shape) for name, shape in shapes(4, 2, 3, 4).items()}
        report = gradcheck.check(sequence(arrays), seed=seed)
        assert report.verdict != "wrong", str(report)


def test_lines_are_named_through_the_numpy_path():
    """A fault beside lstm_core would have no line and no fix, where numba is installed and the NumPy path is chosen."""
    before = _path.use(_path.NUMPY)
    try:
        report = auditor.check(halved())
    finally:
        _path.use(before)
    assert report.verdict == "wrong"
    assert [finding.fix.after for finding in report.findings] == ['return {**found, "U": found["U"]}']
    assert report.findings[0].fix.verified


def test_compiled_steps_are_checked_but_not_edited():
    """A fault beside compiled steps would be missed; or code be edited that hands compiled code its arrays."""
    pytest.importorskip("numba", reason="numba is not installed: pip install 'gradcheck[fast]'")
    before = _path.use(_path.COMPILED)
    try:
        report = auditor.check(halved())
    finally:
        _path.use(before)
    assert {name for name, block in report.blocks.items() if block.verdict == "wrong"} == {"U"}
    assert "no line is looked for" in str(report)
