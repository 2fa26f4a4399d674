"""Going back from each term of a loss by itself."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._tape import tape_target
from gradcheck._tape.sweep import MOST_TERMS, seeds_of_terms
from tests.gradcheck._tape.programs import draw, module, target_of

LOSS = "import numpy as np\ndef loss(p):\n    a, b = p['a'], p['b']\n    return {loss}"


def run_of(folder, loss):
    """The taped run of a loss of two arrays, of four rows and of three entries."""
    target = target_of(module(folder, LOSS.format(loss=loss)), a=draw(4, 3), b=draw(3, seed=1))
    return tape_target(target, target.values())


@pytest.mark.parametrize(
    ("loss", "count"),
    [
        ("0.5 * sum(np.sum((row * b) @ b) ** 2 for row in a)", 4),
        ("-np.mean(np.tanh(a * b))", 4),
        ("np.sum(np.exp(a)) / 7 - 2 * np.sum(b ** 2)", 4 + 3),
        ("sum(np.log(row[k] ** 2) for k, row in enumerate(a[:3])) + np.sum(np.abs(b)).astype(float)", 3 + 3),
    ],
)
def test_the_terms_add_up_to_the_loss(loss, count, tmp_path):
    """If it fails, what a backward calculates for one step counts as wrong, or something else as right."""
    run = run_of(tmp_path, loss)
    seeds = seeds_of_terms(run.loss, 1.0)
    assert {len(seed) for seed in seeds.values()} == {count}
    assert all(any(np.any(seed[number]) for seed in seeds.values()) for number in range(count))
    of_terms, _ = run.of_terms
    for name, leaf in run.leaves.items():
        assert len(of_terms[leaf.index]) == count
        np.testing.assert_allclose(of_terms[leaf.index].sum(axis=0), run.true_gradients[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "loss",
    [
        "np.tanh(a[0, 0])",
        f"sum(np.tanh(a[0] @ b * k) for k in range({MOST_TERMS + 1}))",
        "np.sum(np.tanh(np.outer(a, b).reshape(-1)))",
    ],
    ids=["one", "many", "many at once"],
)
def test_one_term_is_the_loss_and_too_many_are_not_told_apart(loss, tmp_path):
    """If it fails, a long sequence takes long, or all is calculated twice where there is one term."""
    run = run_of(tmp_path, loss)
    assert seeds_of_terms(run.loss, 1.0) == {}
    of_terms, uses = run.of_terms
    assert of_terms == [None] * len(run.nodes)
    assert uses == {}
