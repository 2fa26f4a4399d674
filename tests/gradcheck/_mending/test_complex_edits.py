"""Edits of complex expressions: conjugates, parts, products, and derivatives written out."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._mending import mends
from gradcheck._mending.complex_edits import conjugates, other_parts, parts_taken
from gradcheck._mending.formula import formula
from gradcheck._mending.products import products
from gradcheck._mending.residual import Residual
from gradcheck._mending.small_edits import operators
from gradcheck._mending.suspects import Suspect
from gradcheck._tape import tape_target
from tests.gradcheck._mending.pieces import became, candidates, suspect_of
from tests.gradcheck._tape.programs import draw, module

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


def test_a_conjugate_is_put_and_left_out(tmp_path):
    """If it fails, the conjugate that is forgotten most often gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}z, w = a * 1j + 2, b * (1 + 1j)\nda = (z * np.conj(w)).real", "da = ")
    found = candidates(suspect, conjugates)
    assert {"da = (np.conj(z) * np.conj(w)).real", "da = (z * w).real"} <= set(found)
    assert not [text for text in found if "np.conj(np.conj" in text]


def test_a_conjugate_is_written_as_in_the_file(tmp_path):
    """If it fails, an edit is in another style than the code."""
    suspect = suspect_of(tmp_path, f"{ZEROS}z, w = a * 1j + 2, b.conj() * 1j\nda = (z * w).real", "da = ")
    assert "da = (z.conj() * w).real" in candidates(suspect, conjugates)


def test_what_is_indexed_is_conjugated_behind_the_index(tmp_path):
    """If it fails, all steps are conjugated for one of them."""
    suspect = suspect_of(tmp_path, f"{ZEROS}z = a * 1j + 2\nda[0] = (z[0] * 1j).real", "da[0]")
    found = candidates(suspect, conjugates)
    assert "da[0] = (np.conj(z[0]) * 1j).real" in found
    assert not [text for text in found if "np.conj(z)[0]" in text]


def test_the_other_part(tmp_path):
    """If it fails, a gradient of an imaginary part that is taken from the real one gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}z = a * 1j + 2\nda = z.real + np.imag(z)", "da = ")
    found = candidates(suspect, other_parts)
    assert {"da = z.imag + np.imag(z)", "da = -z.imag + np.imag(z)", "da = z.real + np.real(z)"} <= set(found)


def test_a_part_of_what_is_complex(tmp_path):
    """If it fails, a magnitude that stands for a real part gets no fix where `.real` alone is missing."""
    suspect = suspect_of(tmp_path, f"{ZEROS}z = a * 1j + 2\nda = np.abs(z * 2)", "da = ")
    found = candidates(suspect, parts_taken)
    assert {"da = np.abs((z * 2).real)", "da = np.abs(z.imag * 2)"} <= set(found)


def test_a_turn_is_not_divided_by(tmp_path):
    """If it fails, a division stands for a conjugate that is forgotten: of numbers of length one both are the same."""
    body = f"{ZEROS}u, z = np.exp(1j * a), a * 1j + 2\nda = (z * u).real + (z * z).imag"
    found = candidates(suspect_of(tmp_path, body, "da = "), operators)
    assert "da = (z / u).real + (z * z).imag" not in found
    assert "da = (z * u).real + (z / z).imag" in found


@pytest.mark.parametrize(("factor", "part"), [("1", "real"), ("1j", "imag")])
def test_a_part_of_a_product_of_complex_values_is_solved_for(factor, part, tmp_path):
    """If it fails, a real gradient is looked for among products of real values alone."""
    body = f"{ZEROS}u = np.exp(1j * a)\nz = {factor} * a * u\nda = a * 3 + b"
    found = set(candidates(suspect_of(tmp_path, body, "da = "), products))
    assert {f"da = (z * np.conj(u)).{part}", f"da = (np.conj(u) * z).{part}"} & found


def test_real_expressions_have_no_such_edits(tmp_path):
    """If it fails, programs without complex numbers pay for them."""
    suspect = suspect_of(tmp_path, f"{ZEROS}da = a * 2", "da = ")
    assert candidates(suspect, conjugates, other_parts, parts_taken) == []


#: modes that turn, read by a real part; what is given of the backward is one statement
MODES = """
import numpy as np

def forward(p, x):
    lam = np.exp(-np.exp(p["a"]) + 1j * p["w"])
    C = p["C"] + 0.5j
    z, zs = np.zeros((2, len(lam)), complex), []
    for xt in x:
        zs.append(z)
        z = lam * z + xt
    return lam, C, zs, z, (z @ C).real

def loss(p, x):
    return 0.5 * np.sum(forward(p, x)[-1] ** 2)

def grads(p, x):
    lam, C, zs, z, y = forward(p, x)
    dC = (np.conj(z).T @ y).real
    dz = np.outer(y, np.conj(C))
    dlam = np.zeros_like(lam)
    for t in reversed(range(len(x))):
        dlam += (dz * np.conj(zs[t])).sum(0)
        dz = dz * np.conj(lam)
    dlog = dlam * np.conj(lam)
    return {{"a": {a}, "w": {w}, "C": dC}}
"""
RIGHT = {"a": "-np.exp(p['a']) * dlog.real", "w": "dlog.imag"}


def modes(folder, text):
    """The taped run of this text."""
    made = module(folder, text)
    p = {"a": draw(4, scale=0.3), "w": draw(4, seed=1), "C": draw(4, seed=3)}
    x = draw(5, 2, 1, seed=2)
    target = gradcheck.Target(p, lambda: made.loss(p, x), lambda: made.grads(p, x))
    return tape_target(target, target.values())


#: what stands there, what is planted, and what the statement has to become
BUGS = {
    "a conjugate at the start": ("np.outer(y, np.conj(C))", "np.outer(y, C)", "dz = np.outer(y, np.conj(C))"),
    "a conjugate in the carry": ("dz = dz * np.conj(lam)", "dz = dz * lam", "dz = dz * np.conj(lam)"),
    "another factor": ("(dz * np.conj(zs[t]))", "(dz * np.conj(z))", "dlam += (dz * np.conj(zs[t])).sum(0)"),
    "a factor that is left out": ("dlog = dlam * np.conj(lam)", "dlog = dlam", "dlog = dlam * np.conj(lam)"),
    "another part": ("(np.conj(z).T @ y).real", "(np.conj(z).T @ y).imag", "dC = (np.conj(z).T @ y).real"),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_complex_statements_are_mended(name, tmp_path):
    """If it fails, a line of a backward with complex numbers in it is named without a fix, or with another one."""
    before, after, expected = BUGS[name]
    text = MODES.format(**RIGHT)
    assert before in text
    run = modes(tmp_path, text.replace(before, after))
    statement = next(one for one in run.statements if one.function == "grads" and after in one.text)
    best = mends(run, statement)[0]
    assert not best.remaining
    assert became(Suspect(run, statement, Residual(run)), [best.edits]) == [expected]


@pytest.mark.parametrize(("name", "wrong", "expected"), [("a", "dlog.real", "np.exp"), ("w", "dlog.real", "dlog.imag")])
def test_a_derivative_through_complex_values_is_written_out(name, wrong, expected, tmp_path):
    """If it fails, what belongs to a parameter within a complex number is not found by the chain rule."""
    run = modes(
        tmp_path, MODES.format(**RIGHT | {name: wrong}).replace('return {"a"', 'out = {"a"') + "    return out\n"
    )
    statement = next(one for one in run.statements if one.text.startswith("out"))
    written = candidates(Suspect(run, statement, Residual(run)), formula)
    assert any(expected in text.split(f'"{name}": ')[1] for text in written)


def test_right_code_needs_no_edit(tmp_path):
    """If it fails, right complex gradients are said to be wrong."""
    run = modes(tmp_path, MODES.format(**RIGHT))
    for name, value in run.true_gradients.items():
        np.testing.assert_allclose(run.gradients[name], value, rtol=1e-9)
    assert not run.once(Residual).wrong
