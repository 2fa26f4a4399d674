"""Clips of the finished gradients that a target declares: checked as declared, and no more is let through."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Report, Target, TargetError, check
from gradcheck._targets.clipping import Clip


def layer(seed: int, after: Any, factor: float = 1.0, inside: Any = lambda dh: dh, **declared: float) -> Report:
    """The report on a layer of tanh whose gradients go through `after`, what is carried back through `inside`."""
    rng = np.random.default_rng(seed)
    params = {"W": rng.normal(size=(3, 5)), "b": rng.normal(size=5), "V": rng.normal(size=(5, 2))}
    x, r = rng.normal(size=(6, 3)), rng.normal(size=(6, 2))

    def grads() -> dict[str, Any]:
        h = np.tanh(x @ params["W"] + params["b"])
        da = inside(r @ params["V"].T) * (1 - h**2)
        return after({"W": factor * x.T @ da, "b": da.sum(0), "V": h.T @ r})

    def loss() -> float:
        return float(np.sum(r * (np.tanh(x @ params["W"] + params["b"]) @ params["V"])))

    return check(Target(params, loss, grads, **declared), seed=seed, explain=False)


def entries(bound: float) -> Any:
    """Each entry cut off."""
    return lambda grads: {name: np.clip(one, -bound, bound) for name, one in grads.items()}


def to_norm(bound: float) -> Any:
    """All scaled down together, as libraries do it."""

    def clipped(grads: dict[str, Any]) -> dict[str, Any]:
        size = np.sqrt(sum(float((one**2).sum()) for one in grads.values()))
        return {name: one * min(1.0, bound / (size + 1e-6)) for name, one in grads.items()}

    return clipped


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("bound", [1e-3, 0.5, 2.0, 1e3])
def test_right_gradients_that_are_clipped_as_declared(bound: float, seed: int) -> None:
    """Training code that clips on purpose would fail its check."""
    assert layer(seed, entries(bound), clipped=bound).ok
    assert layer(seed, to_norm(bound), clipped_norm=bound).ok


@pytest.mark.parametrize("seed", range(3))
def test_what_is_wrong_behind_a_declared_clip(seed: int) -> None:
    """A declaration would excuse a wrong factor, or a clip of what is carried back."""
    assert layer(seed, entries(0.5), factor=1.01, clipped=0.5).blocks["W"].verdict == "wrong"
    assert layer(seed, to_norm(0.5), factor=1.01, clipped_norm=0.5).verdict == "wrong"
    assert layer(seed, entries(0.5), inside=lambda dh: np.clip(dh, -0.3, 0.3), clipped=0.5).verdict == "wrong"


def test_an_entry_at_the_bound_that_belongs_below_it() -> None:
    """Entries that a clip left at its bound would not be looked at."""
    report = layer(0, lambda grads: {**entries(9.0)(grads), "b": np.full(5, 9.0)}, clipped=9.0)
    assert report.blocks["b"].verdict == "wrong"
    assert "the declared bound ±9" in report.blocks["b"].message


def test_a_gradient_beyond_the_declared_bound() -> None:
    """A clip that is declared and never made would pass."""
    report = layer(0, lambda grads: grads, clipped=0.5)
    assert report.verdict == "wrong"
    assert "beyond the declared clip 0.5" in report.blocks["W"].message
    assert "beyond the declared clip 0.5" in layer(0, lambda grads: grads, clipped_norm=0.5).blocks["W"].message


@pytest.mark.parametrize("declared", [{"clipped": 0.0}, {"clipped": "5"}, {"clipped_norm": -1.0}, {"clipped": np.inf}])
def test_a_bound_that_is_none_is_refused(declared: dict[str, Any]) -> None:
    """A typing error would switch the check off."""
    with pytest.raises(TargetError, match="expected a positive number"):
        layer(0, entries(1.0), **declared)


def test_two_clips_at_once_are_refused() -> None:
    """Only one of them would be checked."""
    with pytest.raises(TargetError, match="the one clip"):
        Clip.declared(1.0, 1.0)
