"""Gradients told in parts: the gates of one matrix, the parameters in one flat array."""

from __future__ import annotations

from typing import Any

import numpy as np

import gradcheck
from gradcheck._tape import TapedRun, tape_target
from gradcheck._tape.parts import in_parts, whole_name
from gradcheck._targets.opening import opened

T, B, D, H = 3, 2, 3, 2


def fused(spoiled: str = "") -> gradcheck.Target:
    """Two gates in one matrix each; `spoiled` is the gate whose rows are twice what they should be."""
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(2 * H, D)), "U": rng.normal(size=(2 * H, H)), "b": rng.normal(size=2 * H)}
    xs = rng.normal(size=(T, B, D))

    def forward() -> tuple[float, list[Any]]:
        h, kept = np.zeros((B, H)), []
        for x in xs:
            z = x @ params["W"].T + h @ params["U"].T + params["b"]
            u, v = np.tanh(z[:, :H]), np.tanh(z[:, H:])
            kept.append((x, h, u, v))
            h = u * v
        return float(np.sum(h**2)), [h, kept]

    def grads() -> dict[str, Any]:
        _, (h, kept) = forward()
        result = {name: np.zeros_like(value) for name, value in params.items()}
        dh = 2 * h
        for x, before, u, v in reversed(kept):
            du, dv = dh * v * (1 - u**2), dh * u * (1 - v**2)
            dz = np.hstack([2 * du if spoiled == "u" else du, 2 * dv if spoiled == "v" else dv])
            result["W"] += dz.T @ x
            result["U"] += dz.T @ before
            result["b"] += dz.sum(axis=0)
            dh = np.hstack([du, dv]) @ params["U"]
        return result

    return gradcheck.Target(params, loss=lambda: forward()[0], grads=grads)


def run_of(target: gradcheck.Target, *, apart: bool = True) -> TapedRun:
    """The target on the tape."""
    with opened(target, 0):
        return tape_target(target, target.values(), apart=apart)


def test_the_gates_of_a_matrix_are_its_parts() -> None:
    """Of two faults in two gates of one matrix neither would ever make a gradient right."""
    run = run_of(fused())
    assert {name: len(masks) for name, masks in run.parts.items() if name != "x"} == {"W": 2, "U": 2, "b": 2}
    for name, (first, second) in run.parts.items():
        assert not np.any(first & second), name
    assert np.all(run.parts["W"][0][:H])
    assert not np.any(run.parts["W"][0][H:])


def test_each_part_is_judged_by_itself() -> None:
    """All of a matrix would count as wrong where one gate is."""
    run = run_of(fused("v"))
    wrong = {name for name, true in run.true_gradients.items() if not np.allclose(run.gradients[name], true)}
    assert {whole_name(name) for name in wrong} == {"W", "U", "b"}
    assert len(wrong) == 3
    assert set(run.sinks) == set(run.gradients) == set(run.true_gradients)


def test_parts_move_with_what_they_are_calculated_from() -> None:
    """A sensitivity of a part that is another entry's would accuse the wrong gate."""
    run = run_of(fused())
    name = next(one for one in run.sinks if whole_name(one) == "b")
    sink = run.sinks[name]
    assert sink is not None
    moved = run.sensitivities({name: np.eye(H)}, kept={sink.inputs[0].index})[sink.inputs[0].index]
    assert np.array_equal(moved, np.eye(2 * H)[run.parts["b"][0]])


def test_parameters_in_one_flat_array_are_its_parts() -> None:
    """Code that keeps all parameters in one vector has one gradient, so that two faults would hide each other."""
    flat = np.random.default_rng(0).normal(size=7)

    def loss() -> float:
        a, b = flat[:3], flat[3:]
        return float(np.sum(np.tanh(a)) * np.sum(b**2))

    def grads() -> dict[str, Any]:
        a, b = flat[:3], flat[3:]
        return {"flat": np.concatenate([(1 - np.tanh(a) ** 2) * np.sum(b**2), 2 * b * np.sum(np.tanh(a))])}

    run = run_of(gradcheck.Target({"flat": flat}, loss=loss, grads=grads))
    assert [one.sum() for one in run.parts["flat"]] == [3, 4]


def test_whole_gradients_are_left_as_they_are() -> None:
    """Who asks for no parts, or has another shape in its edited code, would get names that nobody knows."""
    run = run_of(fused(), apart=False)
    assert set(run.gradients) == {"W", "U", "b"}
    masks = {"W": [np.array([True, False]), np.array([False, True])]}
    assert in_parts({"W": np.zeros(3), "b": 1.0}, masks).keys() == {"W", "b"}
    assert [whole_name(name) for name in in_parts({"W": np.zeros(2)}, masks)] == ["W", "W"]
