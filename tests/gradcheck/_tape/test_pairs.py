"""Complex numbers on the tape are pairs of real ones."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from gradcheck._tape import tape_target
from gradcheck._tape.pairs import (
    as_before,
    as_pairs,
    in_double,
    is_complex,
    off_pairs,
    on_pairs,
    shape_on_tape,
    slopes_as_before,
)
from tests.gradcheck._tape.programs import check, draw, module, target_of

Z = np.array([1 + 2j, 3 - 4j])


def test_pairs_and_back():
    """A value would be handed back in another form than the code has it, or a real one as a complex one."""
    assert as_pairs(Z).tolist() == [[1, 2], [3, -4]]
    assert as_before(as_pairs(Z), Z).tolist() == Z.tolist()
    assert as_pairs(1.5) == 1.5
    assert as_before(np.ones((2, 2)), np.ones((2, 2))).dtype == float
    assert as_before(Z, Z) is Z
    assert as_before(np.array([np.inf, 1.0]), 0j) == complex(np.inf, 1.0)
    assert (shape_on_tape(Z), shape_on_tape(1j), shape_on_tape(Z.real)) == ((2, 2), (2,), (2,))
    assert [is_complex(one) for one in (Z, Z[0], 1j, Z.real, 1.0, 1)] == [True, True, True, False, False, False]


def test_double_precision():
    """What is held in single precision would be differentiated in it; the imaginary part would be dropped."""
    assert in_double(Z.astype(np.complex64)).dtype == np.complex128
    assert in_double(Z.real.astype(np.float32)).dtype == np.float64


def test_a_rule_in_complex_numbers():
    """The derivative of z * w with respect to z would not be the conjugate of w."""
    pull = on_pairs(lambda g: g * (2 + 3j), 1j, 1j)
    assert pull(np.array([[1.0, 0.0]])).tolist() == [[2, -3]]
    assert on_pairs(lambda g: g * (2 + 3j), 1j, 1.0)(np.array([[1.0, 5.0]])).tolist() == [17]
    back = off_pairs(pull, 1j, 1j)
    assert back(np.array([1 - 1j])).tolist() == [(1 - 1j) * (2 + 3j)]


def test_rules_of_real_numbers_stay_what_they_are():
    """Programs without complex numbers would pay for them."""

    def pull(g):
        return g

    assert on_pairs(pull, 1.0, Z.real) is pull
    assert off_pairs(pull, 1.0, Z.real) is pull


def test_slopes_in_complex_numbers():
    """A change of a complex value would be said to move what it does not."""
    slopes = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert slopes_as_before(slopes, Z.real) is slopes
    moved = np.real(slopes_as_before(slopes, Z) @ Z)
    assert moved.tolist() == (slopes @ as_pairs(Z).ravel()).tolist()


PROGRAMS = {
    "a scan": "X = np.zeros((3, 2, 3), complex); X[0] = a\n"
    "for t in range(2): X[t + 1] = X[t] * np.exp(1j * b) + b\ny = (X * X).real",
    "parts written": "z = np.zeros((2, 3), complex); z.real = a; z.imag[0] = b[0]; z.imag[1] += b[1]; z.real *= b\n"
    "y = (z * z).real; z.real[:, 1] = b[:, 1]; y = y + (z ** 3).imag",
    "parts read later": "z = a + 1j * b; v = z.real; w = z.imag; z *= z; y = v * w * a",
    "seen as real numbers": "z = a + 1j * b; v = z.view(float); y = v[:, 1::2] * v[:, :3]",
    "seen as complex ones": "z = np.concatenate([a, b], 1).view(complex); y = (z * z).imag * a",
    "a fancy write": "z = a + 1j * b; z[[0, 1], [2, 0]] = b[0, :2]; z[..., [0]] *= 1j * a[:, :1]\n"
    "y = (z[[0, 0, 1]] ** 2).imag * z[1].real",
    "a row written twice": "z = np.zeros((2, 3), complex); z[[0, 0]] = 1j * a; z[[1, 1]] += b\n"
    "y = (z * z * (1 + a)).real",
    "np.add.at": "z = np.zeros((2, 3), complex); np.add.at(z, [0, 0, 1], np.vstack([a, b[:1]]) * 1j + 1)\n"
    "np.subtract.at(z, [0, 1], a); y = (z * z).real * z.imag",
    "sort, fill, flat": "z = a + 1j * b; z.sort(axis=1); z.flat[1] = b[0, 0]; y = z * z; z.fill(2j); y = (y * z).real",
    "out=": "z = a + 1j * b; np.multiply(z, z, out=z, where=b > 0); np.add(z, a, out=z); y = (z * z).imag",
    "one after another": "z = a + 1j * b; y = sum([z, z * z, a]).real\n"
    "for row in z:\n    for one in row: y = y * a + (one * one).imag",
    "numbers": "z = complex(a[0, 0], b[0, 0]); w = a[0, 1] + 1j * b[0, 1]; u = cmath.exp(z * w)\n"
    "y = (u.real + (z * w.conjugate()).imag + abs(w * z) + w.imag * z.real) * a",
    "in Fortran order": "z = np.asfortranarray(a + 1j * b); z[0] *= 2j; y = (z * z.ravel(order='K').sum()).real",
    "in single precision": "z = (a + 1j * b).astype(np.complex64).astype(complex); y = (z * z).imag",
    "modReLU": "z = a + 1j * b; r = np.sqrt(z.real ** 2 + z.imag ** 2); z = np.maximum(r + a[0], 0) * z / r\n"
    "y = z.imag * z.real",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_complex_programs(name, tmp_path):
    """Code with a complex state would be followed to another derivative."""
    body = textwrap.indent(textwrap.dedent(PROGRAMS[name]), "    ")
    text = f"import cmath\nimport numpy as np\ndef loss(p):\n    a, b = p['a'], p['b']\n{body}\n    return np.sum(y)\n"
    tolerance = 1e-3 if "single" in name else 1e-7
    run = check(target_of(module(tmp_path, text), a=draw(2, 3), b=draw(2, 3, seed=1)), tolerance=tolerance)
    assert not run.untraced
    assert not run.opaque


def test_values_given_to_a_complex_place(tmp_path):
    """Values that are solved for, as pairs, would not be handed to code that has complex numbers."""
    made = module(
        tmp_path,
        """
        import numpy as np

        def loss(p):
            return np.sum(p['a'])

        def grads(p):
            z = p['a'] * (1 + 1j)
            return {'a': z.imag}
        """,
    )
    target = target_of(made, a=draw(3))
    run = tape_target(target, target.values())
    node = next(one for one in run.nodes if one.op == "multiply")
    changed = run.overrides({(node.place, node.execution): as_pairs(np.array([1 + 2j, 3 + 4j, 5 + 6j]))})
    assert changed["a"].tolist() == [2, 4, 6]


def test_a_part_is_another_value_than_the_whole(tmp_path):
    """A gradient that is read out of a complex sum would be taken for that sum."""
    made = module(
        tmp_path,
        """
        import numpy as np

        def loss(p):
            z = p['a'] * (1 + 2j)
            return np.sum(z.real * z[:2].imag.sum())
        """,
    )
    run = check(target_of(made, a=draw(3)))
    assert [node.op for node in run.nodes if node.op in ("part", "view")] == ["part", "view", "part"]
    assert [node.is_complex for node in run.nodes if node.op in ("part", "view")] == [False, True, False]
