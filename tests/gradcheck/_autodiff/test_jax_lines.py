"""Lines in rules of JAX, alone and inside a loss that is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck._common.files import load
from gradcheck.report.evidence import RuleGradients

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'gradcheck[jax]'")
pytestmark = [pytest.mark.oracle, pytest.mark.lines]

EXAMPLE = (Path(__file__).parents[3] / "examples" / "jax_custom_vjp.py").read_text(encoding="utf-8")
BUGS = {
    "dct = dc + dh": "dct = dh",
    "do = dh * tc": "do = dh * o",
    "dg * (1 - g**2)": "dg * (1 - g)",
    "return dz, dct * f": "return dz, dct * i",
    "(i, f, g, o, tc, c)\n\n\ndef": "(i, f, g, o, tc, c_new)\n\n\ndef",
}


@pytest.fixture(autouse=True)
def double_precision() -> Any:
    """The example switches it on for all; put it back."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def example_with(folder: Path, name: str, bug: str) -> Any:
    """The example as a module of its own, with a bug."""
    text = EXAMPLE
    if bug:
        assert text.count(bug) == 1
        text = text.replace(bug, BUGS[bug])
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    return load(path)


def line_of(text: str) -> int:
    """The line of the example that holds this."""
    return EXAMPLE[: EXAMPLE.index(text)].count("\n") + 1


@pytest.mark.parametrize("number", range(len(BUGS)))
def test_the_line_of_a_rule_is_named_and_mended(tmp_path: Path, number: int) -> None:
    """The author of a rule would read a note on lambdas of JAX's, and no line."""
    bug = list(BUGS)[number]
    module = example_with(tmp_path, f"rule_{number}", bug)
    report = gradcheck.check(module.jax_gates.with_sizes(B=2, H=3))
    found = [one for one in report.findings if one.code.is_line]
    assert [one.line for one in found] == [line_of(bug)], report
    assert found[0].fix is not None
    assert found[0].fix.verified, report
    assert any(isinstance(one, RuleGradients) and one.rule == "gates" for one in found[0].evidence)
    assert "create_fn" not in str(report)


def test_a_rule_inside_a_compiled_loss_is_found_and_its_edit_verified(tmp_path: Path) -> None:
    """What JAX has compiled of the code as it was would be taken for the edited code."""
    module = example_with(tmp_path, "rule_compiled", "return dz, dct * f")

    def loss(p: Any) -> Any:
        h, c = module.gates(p["z"], p["c"])
        return (h**2 + 0.3 * c).sum()

    both = jax.jit(jax.value_and_grad(loss))
    rng = np.random.default_rng(0)
    params = {"z": rng.standard_normal((2, 12)), "c": rng.standard_normal((2, 3))}
    report = gradcheck.check(gradcheck.Target.from_function(both, params))
    assert report.blocks["z"].verdict == "right"
    (found,) = [one for one in report.findings if one.code.is_line]
    assert found.line == line_of("return dz, dct * f")
    assert found.fix is not None
    assert found.fix.verified, report


def test_right_rules_are_right(tmp_path: Path) -> None:
    """A right rule would be accused."""
    module = example_with(tmp_path, "rule_right", "")
    report = gradcheck.check(module.jax_gates.with_sizes(B=2, H=3))
    assert report.ok, report
