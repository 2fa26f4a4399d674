"""What the point itself hides: asked once more where parameters are not zero, and where numbers repeat."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target, check


def decayed(decay_of_bias: float, bias: float = 0.0) -> Target:
    """A layer whose loss decays all weights, and whose backward decays the bias by so much."""
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(3, 4)), "b": np.full(4, bias)}
    x, r = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))

    def loss() -> Any:
        return np.sum(r * np.tanh(x @ params["W"] + params["b"])) + 0.05 * sum((p * p).sum() for p in params.values())

    def grads() -> dict[str, Any]:
        da = r * (1 - np.tanh(x @ params["W"] + params["b"]) ** 2)
        return {"W": x.T @ da + 0.1 * params["W"], "b": da.sum(0) + decay_of_bias * params["b"]}

    return Target(params, loss, grads)


def test_a_term_of_a_parameter_that_is_zero_here() -> None:
    """The weight decay of a bias that starts at zero would be forgotten unseen."""
    report = check(decayed(0.0))
    assert report.verdict == "wrong"
    (finding,) = report.findings
    assert finding.headline == "the gradient of b is right here, where b is zero, and wrong where it is not"
    assert check(decayed(0.1)).ok


def test_a_term_that_is_hidden_among_many_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients that are not kept at another point would not be asked for again where they do not fit."""
    monkeypatch.setattr("gradcheck._comparing.comparer.LARGE", 0)
    (finding,) = check(decayed(0.0)).findings
    assert finding.headline == "the gradient of b is right here, where b is zero, and wrong where it is not"
    assert check(decayed(0.1)).ok


def test_a_term_of_entries_that_are_zero_here() -> None:
    """A mistake would hide behind a bias that is one for the forget gate, and zero for the others."""
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(3, 4)), "b": np.array([0.0, 1.0, 0.0, 0.0])}
    x, r, is_forget = rng.normal(size=(5, 3)), rng.normal(size=(5, 4)), np.array([0.0, 1.0, 0.0, 0.0])

    def loss() -> Any:
        decay = 0.05 * sum((p * p).sum() for p in params.values())
        return np.sum(r * np.tanh(x @ params["W"] + params["b"])) + decay

    def grads() -> dict[str, Any]:
        da = r * (1 - np.tanh(x @ params["W"] + params["b"]) ** 2)
        return {"W": x.T @ da + 0.1 * params["W"], "b": da.sum(0) + 0.1 * params["b"] * decayed_part}

    decayed_part = is_forget
    report = check(Target(params, loss, grads))
    assert report.verdict == "wrong"
    (finding,) = report.findings
    assert finding.headline == (
        "the gradient of b is right here, where entries of b are zero, and wrong where they are not"
    )
    decayed_part = np.ones(4)
    assert check(Target(params, loss, grads)).ok


def test_a_block_of_zeros_in_a_matrix() -> None:
    """A path from one half of a state to the other would be forgotten unseen where it starts at zero."""
    rng = np.random.default_rng(1)
    U, x, r = rng.normal(size=(4, 4)), rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    U[:2, 2:] = 0.0
    params = {"x": x, "U": U}

    def grads() -> dict[str, Any]:
        back = params["U"].T.copy()
        back[2:, :2] *= whole
        return {"x": r @ back, "U": params["x"].T @ r}

    whole = 0.0
    report = check(Target(params, lambda: np.sum(r * (params["x"] @ params["U"])), grads))
    assert {name: block.verdict for name, block in report.blocks.items()} == {"x": "wrong", "U": "right"}
    whole = 1.0
    assert check(Target(params, lambda: np.sum(r * (params["x"] @ params["U"])), grads)).ok


@pytest.mark.parametrize("size", [1e-6, 1e6])
def test_zeros_are_moved_as_far_as_other_entries_are_large(size: float) -> None:
    """A parameter in other units would be moved out of its range, or not at all."""
    params = {"w": size * np.array([0.0, 1.0, -2.0, 0.5])}

    def loss() -> Any:
        if np.abs(params["w"]).max() > 3 * size:
            raise ValueError("out of range")
        return np.sum(np.sin(params["w"] / size))

    def grads() -> dict[str, Any]:
        return {"w": np.cos(params["w"] / size) / size}

    report = check(Target(params, loss, grads), explain=False)
    assert report.ok
    assert "elsewhere" not in report.laws


def test_an_input_of_a_function_that_is_zero_here() -> None:
    """What a first state of zeros hides in the backward of a function would pass."""

    def forward(x: Any, h: Any) -> Any:
        return (x * h + np.sin(h) + x,), (x, h)

    def backward(cotangents: Any, cache: Any) -> Any:
        ((d,), (x, h)) = cotangents, cache
        return {"x": d * (1 + h), "h": d * (x + slope(h))}

    slope = np.ones_like
    inputs = {"x": np.random.default_rng(0).normal(size=4), "h": np.zeros(4)}
    report = check(Target.from_vjp(forward, backward, inputs))
    assert {name: block.verdict for name, block in report.blocks.items()} == {"x": "right", "h": "wrong"}
    slope = np.cos
    assert check(Target.from_vjp(forward, backward, inputs)).ok


def read_out(missing: str = "", hidden: str = "") -> Target:
    """A layer with a bias of zeros, and a read-out that is the last matrix; the backward may err about the bias."""
    rng = np.random.default_rng(3)
    params = {"W": rng.normal(size=(3, 4)), "b": np.zeros(4), "V": rng.normal(size=(4, 2))}
    x, r = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))

    def loss() -> Any:
        a = np.tanh(x @ params["W"] + params["b"])
        return np.sum(r * (a @ params["V"])) + 0.05 * np.sum(params["b"] ** 2)

    def grads() -> dict[str, Any]:
        a = np.tanh(x @ params["W"] + params["b"])
        da = r @ params["V"].T * (1 - a**2)
        decay = 0.0 if missing == "decay" else 0.1
        dW = x.T @ (da * (1 + params["b"] * (hidden == "factor")))
        return {"W": dW, "b": da.sum(0) + decay * params["b"], "V": a.T @ r}

    return Target(params, loss, grads)


def test_one_point_answers_scale_and_elsewhere() -> None:
    """Two losses and a run of the gradients would be asked for in vain, where a larger read-out shows it as well."""
    both, one, other = (check(read_out(), laws=laws).evaluations for laws in ("scale,elsewhere", "scale", "none"))
    assert other < one == both
    assert check(read_out()).laws["scale"].holds


@pytest.mark.parametrize("mistake", [{"missing": "decay"}, {"hidden": "factor"}])
def test_what_zeros_hide_beside_a_larger_read_out(mistake: dict[str, str]) -> None:
    """A mistake that zeros hide would pass where a larger matrix is asked about at the same point."""
    assert check(read_out(**mistake), laws="scale,elsewhere", explain=False).verdict == "wrong"
    assert check(read_out(**mistake), laws="scale", explain=False).ok


def test_what_a_larger_matrix_hides_is_asked_for_without_it() -> None:
    """Where a larger matrix saturates a layer, a mistake about its bias would pass with the gradients that vanish."""
    rng = np.random.default_rng(0)
    params = {"b": np.zeros(4), "W": rng.normal(size=(3, 4))}
    x, r = rng.normal(size=(5, 3)), rng.normal(size=(5, 4))

    def grads() -> dict[str, Any]:
        da = r * (1 - np.tanh(x @ params["W"] + params["b"]) ** 2) * (1 + params["b"] * is_wrong)
        return {"W": x.T @ da + params["W"], "b": da.sum(0)}

    def loss() -> Any:
        return np.sum(r * np.tanh(x @ params["W"] + params["b"])) + np.sum(params["W"] ** 2) / 2

    is_wrong = True
    assert check(Target(params, loss, grads), explain=False).verdict == "wrong"
    is_wrong = False
    assert check(Target(params, loss, grads)).ok


def test_one_point_answers_for_zeros_and_for_tokens() -> None:
    """Where parameters are zero and no token occurs twice, right code would be asked at two points."""
    rng = np.random.default_rng(0)
    params = {"E": rng.normal(size=(9, 3)), "b": np.zeros(3)}
    tokens, r = np.array([3, 1, 7, 4]), rng.normal(size=(4, 3))

    def loss() -> Any:
        return np.sum(r * np.tanh(params["E"][tokens] + params["b"]))

    def grads() -> dict[str, Any]:
        d = r * (1 - np.tanh(params["E"][tokens] + params["b"]) ** 2) * (1 + params["b"] * is_wrong)
        found = np.zeros_like(params["E"])
        np.add.at(found, tokens, d)
        return {"E": found, "b": d.sum(0)}

    target, is_wrong = Target(params, loss, grads, inputs={"tokens": tokens}), False
    report, without = check(target, laws="elsewhere", explain=False), check(target, laws="none")
    assert report.ok
    assert report.evaluations == without.evaluations + 2  # with its gradients, and along one direction
    is_wrong = True
    (finding,) = check(target, laws="elsewhere").findings
    assert "where b is zero" in finding.headline


def embedding(repeats: bool) -> Any:
    """A factory of an embedding of many symbols; with repeats, rows are added up."""

    @gradcheck.target
    def make(rng: Any, *, V: int = 600, N: int = 4) -> Target:
        params = {"E": rng.normal(size=(V, 3))}
        tokens, r = rng.permutation(V)[:N], rng.normal(size=(N, 3))

        def grads() -> dict[str, Any]:
            found = np.zeros_like(params["E"])
            d = r * (1 - np.tanh(params["E"][tokens]) ** 2)
            if repeats:
                np.add.at(found, tokens, d)
            else:
                found[tokens] += d
            return {"E": found}

        return Target(params, lambda: np.sum(r * np.tanh(params["E"][tokens])), grads, inputs={"tokens": tokens})

    return make.with_sizes(V=600)


def test_tokens_of_which_none_occurs_twice() -> None:
    """A sum over repeated tokens would be forgotten unseen, wherever the vocabulary is large."""
    report = check(embedding(repeats=False))
    assert report.verdict == "wrong"
    (finding,) = report.findings
    assert finding.code == "repeated-index"
    assert "where tokens holds a number more than once" in finding.message
    assert check(embedding(repeats=True)).ok


def test_an_order_is_no_list_of_tokens() -> None:
    """Right code that brings a sorted batch back would be accused, of an order that no batch has."""
    rng = np.random.default_rng(0)
    x, r, order = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)), rng.permutation(5)

    def grads() -> dict[str, Any]:
        found = np.empty_like(x)
        found[order] = r * np.cos(x[order])
        return {"x": found}

    assert check(Target({"x": x}, lambda: np.sum(r * np.sin(x[order])), grads, inputs={"order": order})).ok


def test_inputs_and_parameters_are_as_they_were() -> None:
    """What is changed to look elsewhere would stay changed."""
    target = embedding(repeats=False).build(0, {"V": 600, "N": 4})
    tokens, params = target.inputs()["tokens"].copy(), target.values()
    check(target)
    assert np.array_equal(target.inputs()["tokens"], tokens)
    assert np.array_equal(target.values()["E"], params["E"])


@pytest.mark.parametrize("error", [KeyError, ValueError])
def test_code_that_does_not_run_elsewhere_is_not_accused(error: type[Exception]) -> None:
    """A model that refuses a bias that is not zero would end the check."""
    params = {"w": np.array([0.3, 0.5]), "b": np.zeros(2)}

    def loss() -> Any:
        if np.max(np.abs(params["b"])) > 0.01:
            raise error("no bias, please")
        return np.sum(np.sin(params["w"] + params["b"]))

    def grads() -> dict[str, Any]:
        return {name: np.cos(params["w"] + params["b"]) for name in params}

    try:
        report = check(Target(params, loss, grads), explain=False)
    except gradcheck.TargetError:
        assert error is KeyError  # differences go as far
    else:
        assert report.blocks["w"].verdict == "right"
        law = report.laws["elsewhere"]
        assert law.holds
        assert not law.tested
        assert law.message.startswith("the code does not run where b is not zero")
