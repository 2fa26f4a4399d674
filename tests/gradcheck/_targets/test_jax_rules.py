"""Rules of JAX as targets: called as JAX calls them, refused in one line where they cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target, TargetError

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'gradcheck[jax]'")
pytestmark = pytest.mark.oracle


@jax.custom_vjp
def product(a: Any, b: Any) -> Any:
    """a * b; the gradient of b may be left out."""
    return a * b


def product_fwd(a: Any, b: Any) -> Any:
    """The product, and what the backward needs."""
    return a * b, (a, b)


def product_bwd(residuals: Any, dy: Any) -> Any:
    """The gradients of a and b."""
    a, b = residuals
    return dy * b, dy * a


product.defvjp(product_fwd, product_bwd)


def values() -> dict[str, Any]:
    """Inputs of single precision, as JAX has them if nobody says otherwise."""
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(3).astype(np.float32) for name in "ab"}


@pytest.mark.parametrize("as_functions", [False, True], ids=["rule", "functions"])
def test_a_rule_is_called_with_its_residuals_first(as_functions: bool) -> None:
    """The cotangents would be taken for the residuals."""
    rule = (product_fwd, product_bwd) if as_functions else (product, None)
    report = gradcheck.check(Target.from_vjp(*rule, values()))
    assert {one.verdict for one in report.blocks.values()} == {"right"}, report
    assert 'jax.config.update("jax_enable_x64", True)' in str(report.notes)


def test_other_functions_are_called_with_their_cotangents_first() -> None:
    """The convention of all other code would be lost where JAX is imported."""
    report = gradcheck.check(Target.from_vjp(product_fwd, lambda dy, kept: product_bwd(kept, dy), values()))
    assert {one.verdict for one in report.blocks.values()} == {"right"}, report


def test_none_is_a_gradient_of_zeros() -> None:
    """A rule that says that there is no gradient would break the law of names, and not be told as wrong."""
    rule = jax.custom_vjp(lambda a, b: a * b)
    rule.defvjp(product_fwd, lambda kept, dy: (dy * kept[1], None))
    report = gradcheck.check(Target.from_vjp(rule, inputs=values()))
    assert report.laws["names"].holds
    assert (report.blocks["a"].verdict, report.blocks["b"].verdict) == ("right", "wrong")


def test_refusals_say_what_to_write() -> None:
    """The error would come from the middle of JAX."""
    bare = jax.custom_vjp(lambda a: a)
    with pytest.raises(TargetError, match=r"a jax\.custom_vjp without a rule: call .*\.defvjp\(fwd, bwd\) first"):
        Target.from_vjp(bare, inputs=values())
    static = jax.custom_vjp(lambda n, a: n * a, nondiff_argnums=(0,))
    static.defvjp(lambda n, a: (n * a, None), lambda n, _, dy: (n * dy,))
    with pytest.raises(TargetError, match=r"has nondiff_argnums.*write Target\.from_vjp\(forward, backward, inputs\)"):
        Target.from_vjp(static, inputs=values())
    with pytest.raises(TargetError, match=r'a jax\.custom_vjp as the first.*from_vjp\(f, inputs=\{"x": x\}\)'):
        Target.from_vjp(lambda a: (a, a), inputs=values())
