"""Which complex number a backward carries for a derivative: dL/dRe + i dL/dIm, or its conjugate."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._tape import tape_target
from gradcheck._tape.convention import conjugated
from tests.gradcheck._tape.programs import draw, module

#: a state that turns and shrinks, and a gradient of the turn
PROGRAM = """
import numpy as np

def forward(p, x):
    lam = np.exp(-0.3 + 1j * p["w"])
    zs = [np.zeros(len(lam), complex)]
    for xt in x:
        zs.append(lam * zs[-1] + xt)
    return lam, zs

def loss(p, x):
    z = forward(p, x)[1][-1]
    return np.sum(z.real ** 3 + z.imag * z.real)

def grads(p, x):
    lam, zs = forward(p, x)
    z = zs[-1]
    d = 3 * z.real ** 2 + z.imag {sign} 1j * z.real
    dlam = np.zeros_like(lam)
    for t in reversed(range(len(x))):
        dlam += {factor}
        d = {carry}
    return {{"w": {out}}}
"""
AS_IT_IS = {
    "sign": "+",
    "factor": "d * np.conj(zs[t])",
    "carry": "d * np.conj(lam)",
    "out": "(dlam * np.conj(1j * lam)).real",
}
TURNED = {"sign": "-", "factor": "d * zs[t]", "carry": "d * lam", "out": "(dlam * 1j * lam).real"}


def run_of(folder, **parts):
    """The taped run of the program."""
    made = module(folder, PROGRAM.format(**parts))
    p, x = {"w": draw(3)}, draw(4, 3, seed=1) + 0.5j
    target = gradcheck.Target(p, lambda: made.loss(p, x), lambda: made.grads(p, x))
    return tape_target(target, target.values())


@pytest.mark.parametrize(("parts", "is_turned"), [(AS_IT_IS, False), (TURNED, True)])
def test_the_convention_is_told_by_the_values(parts, is_turned, tmp_path):
    """No value of a backward that carries conjugates would be known, or none of one that does not."""
    run = run_of(tmp_path, **parts)
    np.testing.assert_allclose(run.gradients["w"], run.true_gradients["w"])
    assert run.carries_conjugates is is_turned
    held = next(one for one in run.backward if one.place is not None and one.place.text == parts["carry"])
    assert any(
        value is not None and value.shape == held.shape and np.allclose(value, held.value) for value in run.derivatives
    )


@pytest.mark.parametrize(
    ("parts", "is_turned"),
    [
        (AS_IT_IS | {"carry": "d * lam"}, False),
        (TURNED | {"carry": "d * np.conj(lam)"}, True),
        (AS_IT_IS | {"sign": "-"}, False),
        (TURNED | {"sign": "+"}, True),
    ],
)
def test_one_mistake_does_not_change_the_convention(parts, is_turned, tmp_path):
    """All that is right would be said to be wrong, for one conjugate."""
    assert run_of(tmp_path, **parts).carries_conjugates is is_turned


def test_real_programs_carry_no_conjugates(tmp_path):
    """Derivatives of real values would be changed."""
    made = module(tmp_path, "import numpy as np\ndef loss(a):\n    return np.sum(np.sin(a))\n")
    a = draw(3)
    target = gradcheck.Target({"a": a}, lambda: made.loss(a), lambda: {"a": np.cos(a)})
    run = tape_target(target, target.values())
    assert run.carries_conjugates is False
    assert run.contributions is run._swept[1]


def test_what_is_brought_back_is_as_it_is_carried(tmp_path):
    """A term that comes back through a product would be another one than the backward has."""
    run = run_of(tmp_path, **TURNED)
    for (consumer, operand), part in run.contributions.items():
        node, g = run.nodes[consumer], run.derivatives[consumer]
        if g is not None and node.index < run.boundary:
            np.testing.assert_allclose(run.brought_back(node, operand, g), part, atol=1e-12)


def test_conjugates_of_pairs():
    """The real part would change its sign, or the memory of the derivative would be written."""
    before = np.array([[1.0, 2.0], [3.0, 4.0]])
    assert conjugated(before).tolist() == [[1, -2], [3, -4]]
    assert conjugated(before.ravel()).tolist() == [1, -2, 3, -4]
    assert before[0, 1] == 2
