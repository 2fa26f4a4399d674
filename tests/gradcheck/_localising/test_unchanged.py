"""Functions of a backward that hand on what they are given, though their forward calculates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising.unchanged import unchanged
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for, taped

#: a recurrence whose inputs go through a mask
MASKED = """\
import numpy as np
import gradcheck


class Mask:
    def __init__(self, rng, H):
        self.mask = rng.uniform(0.5, 2.0, H)

    def forward(self, x):
        return x * self.mask

    def backward(self, d):
        return d * self.mask


def back(layers, d):
    for layer in reversed(layers):
        d = layer.backward(d)
    return d


def forward(p, x, layers):
    h, kept = np.zeros(len(p["U"])), []
    for xt in x:
        n = np.tanh(p["W"] @ xt)
        before, h = h, np.tanh(layers[0].forward(n) + p["U"] @ h)
        kept.append((xt, n, before, h))
    return kept


def grads(p, x, y, layers):
    g, carry = {name: np.zeros_like(one) for name, one in p.items()}, 0.0
    for (xt, n, before, h), yt in zip(reversed(forward(p, x, layers)), y[::-1]):
        da = (h - yt + carry) * (1 - h ** 2)
        g["U"] += np.outer(da, before)
        dn = back(layers, da)
        dz = dn * (1 - n ** 2)
        g["W"] += np.outer(dz, xt)
        carry = p["U"].T @ da
    return g


@gradcheck.target
def cell(rng, *, T=3, D=2, H=4):
    p = {"W": rng.standard_normal((H, D)), "U": rng.standard_normal((H, H))}
    x, y, layers = rng.standard_normal((T, D)), rng.standard_normal((T, H)), [Mask(rng, H)]

    def loss():
        return 0.5 * sum(np.sum((h - yt) ** 2) for (*_, h), yt in zip(forward(p, x, layers), y))

    return gradcheck.Target(p, loss, lambda: grads(p, x, y, layers))
"""
HANDS_ON = ("return d * self.mask", "return d")
#: the same in functions
IN_FUNCTIONS = (
    MASKED.replace("    def forward(self, x):\n        return x * self.mask\n\n", "")
    .replace("\n    def backward(self, d):\n        return d * self.mask\n", "")
    .replace("def forward(p", "def masked(x, mask):\n    return x * mask\n\n\ndef masked_back(d, mask):\n    "
             "return d * mask\n\n\ndef forward(p")
    .replace("layers[0].forward(n)", "masked(n, layers[0].mask)")
    .replace("layer.backward(d)", "masked_back(d, layer.mask)")
)  # fmt: skip


def told(folder: Path, *bugs: tuple[str, str], source: str = MASKED) -> list[int]:
    """The lines."""
    return [one.statement.line for one in unchanged(taped(cell(folder, *bugs, source=source))[0])]


def test_what_belongs_there_is_told(tmp_path: Path) -> None:
    """A mask that a backward forgets would have no line: what it hands on is a right derivative, of another value."""
    run, _ = taped(cell(tmp_path, HANDS_ON, source=MASKED))
    (one,) = unchanged(run)
    assert one.statement.line == line_of(HANDS_ON[0], MASKED)
    masked = [
        node for node in run.nodes[: run.boundary] if node.op == "multiply" and node.place.text == "x * self.mask"
    ]
    for wanted, node in zip(one.wanted, reversed(masked), strict=True):
        np.testing.assert_allclose(wanted.value, run.derivative(node) * node.inputs[1].value)


@pytest.mark.parametrize(
    ("source", "bugs"),
    [
        (MASKED, ()),
        (MASKED, (("return x * self.mask", "return x * 1.0"), HANDS_ON)),
        (MASKED, (("return x * self.mask", "return x"), HANDS_ON)),
        (IN_FUNCTIONS, ()),
    ],
    ids=["right", "by one", "identity", "right functions"],
)
def test_what_is_right_to_hand_on_is_not_told(source: str, bugs: tuple[tuple[str, str], ...], tmp_path: Path) -> None:
    """A layer that leaves its values as they are would be accused of leaving derivatives as they are."""
    assert told(tmp_path, *bugs, source=source) == []


@pytest.mark.parametrize(("name", "is_told"), [("masked_back", True), ("d_masked", False), ("handed", False)])
def test_functions_belong_together_by_their_names(name: str, is_told: bool, tmp_path: Path) -> None:
    """A helper that hands on what it is given would be accused of what another function forgot to do."""
    source = IN_FUNCTIONS.replace("masked_back", name)
    bug = ("return d * mask", "return d")
    assert told(tmp_path, bug, source=source) == ([line_of(bug[0], source)] if is_told else [])


def test_classes_do_not_belong_together(tmp_path: Path) -> None:
    """A layer would be accused of what the backward of another one forgot to do."""
    after = ("    def backward(self, d)", "\nclass Other(Mask):\n    def backward(self, d)")
    made = ("[Mask(rng, H)]", "[Other(rng, H)]")
    assert told(tmp_path, HANDS_ON, after, made) == []


@pytest.mark.lines
def test_it_is_mended_beside_another_fault(tmp_path: Path) -> None:
    """No gradient is right with an edit of it alone, and nothing is wrong where it stands: no line would be named."""
    bugs = HANDS_ON, ('g["W"] += np.outer(dz, xt)', 'g["W"] += np.outer(dn, xt)')
    factory = cell(tmp_path, *bugs, source=MASKED)
    found = looked_for(factory)
    assert found.still_wrong == ()
    assert {one.line for one in found.faults} == {line_of(old, MASKED) for old, _ in bugs}
