"""Sums that outlive a call: which statement sets them to zero, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

import gradcheck
from tests.gradcheck._repair.spoiled import cell

NET = '''\
import numpy as np
import gradcheck


class Net:
    def __init__(self, rng, D, H):
        self.W, self.b = rng.standard_normal((H, D)), rng.standard_normal(H)
        self.clear()

    def clear(self):
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def loss(self, x):
        self.x, self.h = x, [np.tanh(self.W @ one + self.b) for one in x]
        return 0.5 * float(sum(np.sum(one**2) for one in self.h))

    def backward(self):
        """From the last step to the first."""
        self.clear()
        for one, h in zip(self.x[::-1], self.h[::-1]):
            da = h * (1 - h**2)
            self.dW += np.outer(da, one)
            self.db += da
        return {"W": self.dW, "b": self.db}


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    net, x = Net(rng, D, H), rng.standard_normal((T, D))

    def grads():
        net.loss(x)
        return net.backward()

    return gradcheck.Target({"W": net.W, "b": net.b}, lambda: net.loss(x), grads)
'''
CALL = "        self.clear()\n        for"


@pytest.mark.lines
@pytest.mark.parametrize(
    ("bugs", "added"),
    [
        ([(CALL, "        for")], ["self.clear()"]),
        ([(CALL, "        pass\n        for")], ["self.clear()"]),
        (
            [
                (CALL, "        for"),
                ("        self.clear()\n\n    def clear(self):\n        self.dW", "        self.dW"),
            ],
            ["self.dW[...] = 0.0", "self.db[...] = 0.0"],
        ),
    ],
)
def test_what_clears_them_is_added_where_the_backward_begins(
    bugs: list[tuple[str, str]], added: list[str], tmp_path: Path
) -> None:
    """If it fails, gradients that grow from call to call get neither a line nor a fix."""
    report = gradcheck.check(cell(tmp_path, *bugs, source=NET))
    assert [one.code for one in report.findings] == ["law-statelessness", "not-cleared"]
    finding = report.findings[1]
    assert finding.fix is not None
    assert finding.fix.verified
    assert [line.strip() for line in finding.fix.after.splitlines()][: len(added)] == added
    assert finding.function == "Net.backward"


def test_right_code_is_left_alone(tmp_path: Path) -> None:
    """If it fails, code that clears its sums is told to clear them."""
    assert gradcheck.check(cell(tmp_path, source=NET)).ok
