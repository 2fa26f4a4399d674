"""The choice of laws: which names it takes, and that a check asks those alone and says which it has not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target, TargetError, check
from gradcheck._laws.choice import COSTS, EVERY, chosen_laws, left_out
from gradcheck.cli_parser import build_parser


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        (None, EVERY),
        ("none", frozenset()),
        ((), frozenset()),
        ("scale, sizes", frozenset({"scale", "sizes"})),
        (["linearity"], frozenset({"linearity"})),
    ],
)
def test_what_names_laws(given: Any, asked: frozenset[str]) -> None:
    """A law that was asked for would not be asked, or one that was not would be."""
    assert chosen_laws(given) == asked


@pytest.mark.parametrize("given", ["scales", "scale,none", "scale,,sizes"])
def test_a_name_of_no_law_is_refused(given: str) -> None:
    """With a typing error in its name, a law would silently be left out."""
    with pytest.raises(ValueError, match=r"expected some of independence, .*, or none"):
        chosen_laws(given)
    with pytest.raises(TargetError, match=r"^laws: no law"):
        check(clipped(), laws=given)


def clipped() -> Target:
    """Right at this scale; a clip inside the backward shows where a matrix is much larger."""
    rng = np.random.default_rng(0)
    params = {"W": rng.normal(size=(2, 4)), "V": rng.normal(size=(4, 2))}
    x = rng.normal(size=(3, 2))

    def loss() -> Any:
        return ((np.tanh(x @ params["W"]) @ params["V"]) ** 2).sum() / 2

    def grads() -> dict[str, Any]:
        a = np.tanh(x @ params["W"])
        y = a @ params["V"]
        return {"W": x.T @ (np.clip(y @ params["V"].T, -100, 100) * (1 - a**2)), "V": a.T @ y}

    return Target(params, loss, grads)


def test_a_law_that_is_not_asked_costs_nothing_and_is_named() -> None:
    """A user who leaves a law out would pay for it, or would believe that it holds."""
    whole, without = check(clipped()), check(clipped(), laws=EVERY - {"scale"})
    assert not whole.laws["scale"].holds
    assert whole.laws_not_asked == ()
    assert without.ok
    assert "scale" not in without.laws
    assert without.laws_not_asked == ("scale",)
    assert without.evaluations < whole.evaluations
    assert "not asked, as was wanted: scale\n" in str(without)
    assert without.to_dict()["laws_not_asked"] == ["scale"]


def test_what_costs_nothing_is_asked_of_the_least_check() -> None:
    """Without laws a backward that returns the gradients of the call before would pass."""
    params, seen = {"w": np.ones(3)}, []

    def grads() -> dict[str, Any]:
        seen.append(2 * params["w"])
        return {"w": sum(seen)}

    report = check(Target(params, lambda: float(np.sum(params["w"] ** 2)), grads), laws="none")
    assert not report.laws["statelessness"].holds
    assert report.laws_not_asked == tuple(COSTS)


def test_sizes_and_points_are_left_out_by_name() -> None:
    """A check at one point would go on to others: the time that the user wanted to save."""

    @gradcheck.target
    def wrong_at_three(rng: np.random.Generator, *, T: int = 2) -> Target:
        w = rng.normal(size=2)
        return Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w * (1 + (T == 3))})

    assert check(wrong_at_three, explain=False).verdict == "wrong"
    alone = check(wrong_at_three, laws=EVERY - {"sizes"})
    assert alone.ok
    assert alone.sizes == {"T": 2}
    zero = {"b": np.zeros(3)}
    special = Target(zero, lambda: float(np.sum(zero["b"] + zero["b"] ** 2)), lambda: {"b": np.ones(3)})
    assert check(special, explain=False).verdict == "wrong"
    assert check(special, laws=EVERY - {"elsewhere"}).ok


def test_left_out_laws_are_told_in_their_order() -> None:
    """The same choice would be told in another way each time."""
    assert left_out(frozenset({"scale"})) == tuple(name for name in COSTS if name != "scale")


def test_the_command_takes_laws(capsys: pytest.CaptureFixture[str]) -> None:
    """The option would be missing, or take any word."""
    parser = build_parser()
    assert parser.parse_args(["check", "a.py", "--laws", "scale,sizes"]).laws == {"scale", "sizes"}
    assert parser.parse_args(["check", "a.py"]).laws is None
    with pytest.raises(SystemExit):
        parser.parse_args(["check", "a.py", "--laws", "scales"])
    assert "no law 'scales': expected some of" in capsys.readouterr().err
