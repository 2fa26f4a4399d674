"""Matrices, of which a star is the product, and masked arrays are followed as what they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._tape.belief import why_not_believed
from tests.gradcheck._tape.programs import check, draw, module, target_of

KINDS = {
    "matrices": "np.sum(np.tanh(np.asmatrix(x) * np.asmatrix(w)))",
    "a matrix with a number and with an array": "np.sum(np.sin(2.0 * (np.asmatrix(x) * 3.0) * w))",
    "entries of matrices": "np.sum(np.multiply(np.asmatrix(x), np.asmatrix(x)) * np.asmatrix(w))",
    "a power of a matrix": "np.sum(np.asmatrix(x @ x.T) ** 2) + w[0, 0]",
    "the product of an array and a matrix": "np.sum(np.tanh(x * np.asmatrix(w)).T[0])",
    "a masked logarithm": "np.sum(w[0] * np.ma.log(x**2).filled(0.0).sum())",
    "a masked array": "np.sum(np.ma.array(x @ w, mask=np.arange(8).reshape(2, 4) % 3 == 0).filled(1.0) ** 2)",
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")  # as old code has it
@pytest.mark.parametrize("expression", KINDS.values(), ids=KINDS)
def test_the_tape_goes_back_through_it(expression: str, tmp_path: Path) -> None:
    """Lines in code of such arrays would not be found, or other derivatives be taken for true ones."""
    made = module(tmp_path, f"import numpy as np\n\ndef loss(p):\n    x, w = p['x'], p['w']\n    return {expression}\n")
    target = target_of(made, x=draw(2, 3), w=draw(3, 4, seed=1))
    assert why_not_believed(check(target, tolerance=1e-6)) == ""
