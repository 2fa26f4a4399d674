"""A gradient that is made of one slice alone: said where it is, and not where it is not."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._symptoms.lost_shares import find_single_slice

RNG = np.random.default_rng(0)
X, DZ = RNG.normal(size=(4, 2, 5)), RNG.normal(size=(4, 2, 3))
TOKENS = np.array([[0, 1], [2, 1], [3, 4], [0, 2]])


def summed(part, x=X):
    """The gradient of a weight over a part of the steps and examples."""
    return np.einsum("tbd,tbh->dh", x[part], DZ[part])


@pytest.mark.parametrize(
    ("part", "label"),
    [
        (np.s_[:1], "x[0]"),
        (np.s_[3:], "x[3]"),
        (np.s_[1:2], "x[1]"),
        (np.s_[:, :1], "x[:, 0]"),
        (np.s_[:, 1:], "x[:, 1]"),
    ],
)
def test_a_share_is_named(part, label):
    """One time step, or one sequence of the batch, would not be told from noise."""
    for found in (
        find_single_slice(summed(part), summed(np.s_[:]), {"x": X}),
        find_single_slice(summed(part).T, summed(np.s_[:]).T, {"x": X}),
    ):
        assert found.code == "share-lost"
        assert found.evidence[0].slice == label


def test_a_share_of_tokens_is_named():
    """An embedding's gradient, whose inputs are indices, would be left out."""
    hot = np.eye(6)[TOKENS]
    found = find_single_slice(summed(np.s_[2:3], hot), summed(np.s_[:], hot), {"tokens": TOKENS})
    assert found.evidence[0].slice == "tokens[2]"


def test_no_share_is_named_where_there_is_none():
    """A name would be given to what is made of all, of something else, or of a slice that spans everything."""
    true = summed(np.s_[:])
    wide = RNG.normal(size=(4, 6, 5))
    assert not find_single_slice(2 * true + 1, true, {"x": X})
    assert not find_single_slice(RNG.normal(size=true.shape), true, {"x": X, "tokens": TOKENS})
    assert not find_single_slice(RNG.normal(size=true.shape), true, {"x": wide})
    assert not find_single_slice(summed(np.s_[:1]), summed(np.s_[:1]) * 2, {"x": X})
    assert not find_single_slice(np.zeros_like(true), true, {"x": X})
    assert not find_single_slice(RNG.normal(size=5), RNG.normal(size=5), {"x": X})
