"""A gradient is right as far as it can be seen: how far that is, is said, and beyond a tenth it is not called right."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from gradcheck import Block, GradientError, Target, assert_gradients, check
from gradcheck._checking.coarse_gradients import say_what_was_not_seen
from gradcheck._common.verdict import COARSE_SENSITIVITY, MAX_SENSITIVITY


def in_float32(offset: float) -> Target:
    """A right gradient of a loss that rounds the more off the larger the offset is."""
    w = np.linspace(0.2, 1.0, 6, dtype=np.float32)
    return Target({"w": w}, lambda: np.float32(offset) + np.sin(w).sum(dtype=np.float32), lambda: {"w": np.cos(w)})


def cancelling(offset: float) -> Target:
    """A right gradient of a loss that loses digits of its real part, and none of its imaginary one."""
    params = {"w": np.linspace(0.2, 1.0, 6)}
    return Target(params, lambda: offset + np.sin(params["w"]).sum() - offset, lambda: {"w": np.cos(params["w"])})


def test_beyond_a_tenth_it_is_not_called_right() -> None:
    """A gradient of which a quarter may be wrong would be called right, and a job go on with exit status 0."""
    report = check(in_float32(4140), explain=False)
    block = report.blocks["w"]
    assert (report.verdict, report.ok, report.exit_status) == ("inconclusive", False, 3)
    assert block.verdict == "inconclusive"
    assert (block.sensitivity or 0.0) > MAX_SENSITIVITY
    assert block.message.startswith("right as far as it can be seen: an error of 15% of the gradient might not")
    assert "? w: right as far as it can be seen" in str(report)
    data = json.loads(report.to_json())
    assert data["blocks"]["w"]["verdict"] == "inconclusive"
    assert data["verdict"] == "inconclusive"
    with pytest.raises(GradientError, match="right as far as it can be seen"):
        assert_gradients(in_float32(4140), explain=False)


def test_beyond_a_hundredth_it_is_said() -> None:
    """Right would sound as in float64, though an error of a thirtieth of the gradient would pass."""
    report = check(in_float32(1000), explain=False)
    assert report.verdict == "right"
    assert COARSE_SENSITIVITY < (report.blocks["w"].sensitivity or 0.0) < MAX_SENSITIVITY
    part = f"{report.blocks['w'].sensitivity:.0%}"
    assert any(note.startswith(f"coarse: of the gradient of w an error of up to {part} might") for note in report.notes)
    assert "coarse: of the gradient of w" in str(report)


@pytest.mark.parametrize("make", [in_float32, cancelling])
def test_below_it_nothing_is_said(make: Any) -> None:
    """Every report in single precision would carry a warning that says nothing."""
    report = check(make(10), explain=False)
    assert report.verdict == "right"
    assert not any(note.startswith("coarse") for note in report.notes)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("offset", [1e9, 1e10, 1e11, 1e12])
def test_no_more_is_promised_than_real_losses_confirm(offset: float, full: bool) -> None:
    """A complex step would promise 1e-10 of a loss whose real part tells a hundredth; of a part of it that does not
    follow complex numbers, all might be missed."""
    block = check(cancelling(offset), explain=False, full=full).blocks["w"]
    assert block.verdict == "right"
    assert offset * 1e-14 < (block.sensitivity or 0.0) < MAX_SENSITIVITY


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("offset", [3e11, 3e12, 6e12, 1e13])
def test_right_is_never_said_beyond_a_tenth(offset: float, full: bool) -> None:
    """One of the ways to a verdict would leave the limit out."""
    for target in (cancelling(offset), in_float32(offset / 1e9)):
        block = check(target, explain=False, full=full).blocks["w"]
        assert block.verdict in ("right", "inconclusive")
        if block.verdict == "right":
            assert (block.sensitivity or 0.0) <= MAX_SENSITIVITY


def test_the_scheme_of_what_no_complex_step_was_confirmed_for() -> None:
    """The last line would say "no differences", after forty of them."""
    assert check(cancelling(1e12), explain=False).scheme == "Richardson"


def test_of_what_is_not_right_nothing_is_said() -> None:
    """A wrong gradient would be told to be coarse, beside its error."""
    blocks = {
        name: Block(name, (2,), verdict, 0.1, 0.01, 0.09)  # type: ignore[arg-type]
        for name, verdict in (("a", "wrong"), ("b", "inconclusive"), ("c", "right"))
    }
    blocks["d"] = Block("d", (2,), "right", message="all its entries are clipped, as declared")
    (note,) = say_what_was_not_seen(blocks)
    assert note.startswith("coarse: of the gradient of c an error of up to 9% might")
