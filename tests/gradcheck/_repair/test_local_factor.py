"""A factor of some gradients that is theirs alone, beside other faults."""

from __future__ import annotations

from pathlib import Path

import gradcheck
from gradcheck._repair.local_factor import is_factor_of_some
from tests.gradcheck._repair.spoiled import cell

#: an output layer behind a recurrent one
STACKED = """\
import numpy as np
import gradcheck


def forward(p, x):
    hs = [np.zeros((x.shape[1], len(p["W"])))]
    for xt in x:
        hs.append(np.tanh(xt @ p["U"] + hs[-1] @ p["W"]))
    return hs, np.array(hs[1:]) @ p["V"]


def backward(p, x, hs, d):
    T, B, _ = x.shape
    g = {name: np.zeros_like(one) for name, one in p.items()}
    d = d / (T * B)
    for t in range(T):
        g["V"] += hs[t + 1].T @ d[t]
    carry = np.zeros_like(hs[0])
    for t in reversed(range(T)):
        da = (d[t] @ p["V"].T + carry) * (1 - hs[t + 1] ** 2)
        g["U"] += x[t].T @ da
        g["W"] += hs[t].T @ da
        carry = da @ p["W"].T
    return g


@gradcheck.target
def cell(rng, *, T=3, B=2, D=2, H=3):
    p = {"U": rng.standard_normal((D, H)), "W": rng.standard_normal((H, H)), "V": rng.standard_normal((H, 2))}
    x, y = rng.standard_normal((T, B, D)), rng.standard_normal((T, B, 2))

    def loss():
        return 0.5 * np.sum((forward(p, x)[1] - y) ** 2) / (T * B)

    def grads():
        hs, out = forward(p, x)
        return backward(p, x, hs, out - y)

    return gradcheck.Target(p, loss, grads)
"""
#: the output layer is averaged once more; or the mean is forgotten
ONE_LAYER = ('g["V"] += hs[t + 1].T @ d[t]', 'g["V"] += hs[t + 1].T @ d[t] / (T * B)')
EVERYWHERE = ("    d = d / (T * B)\n", "")
CARRY = ('carry = da @ p["W"].T', 'carry = da @ p["W"]')
SIZES = {"T": 3, "B": 2, "D": 2, "H": 3}


def test_a_factor_of_one_layer_is_told_from_that_of_all(tmp_path: Path) -> None:
    """All that is wrong otherwise would be divided by a factor that it has not, and none of it be found."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert is_factor_of_some(cell(tmp_path / "a", ONE_LAYER, CARRY, source=STACKED), 0, SIZES)
    assert not is_factor_of_some(cell(tmp_path / "b", EVERYWHERE, CARRY, source=STACKED), 0, SIZES)


def test_the_check_says_that_of_one_layer_is_wrong(tmp_path: Path) -> None:
    """The table would call the gradient right but for a factor of all, which there is not."""
    report = gradcheck.check(cell(tmp_path, ONE_LAYER, CARRY, source=STACKED), explain=False)
    assert report.blocks["V"].verdict == "wrong"
    assert report.blocks["V"].factor in (None, 1.0)
    assert report.laws["reduction"].holds
