"""The parts of the mending room on small values."""

from __future__ import annotations

import ast
import contextlib

import numpy as np
import pytest

from gradcheck._mending.building import holes_of
from gradcheck._mending.formula import formula
from gradcheck._mending.frames import Frame, UnknownError, is_pure
from gradcheck._mending.library import Equation, Rows, _by_entry
from gradcheck._mending.outside import apply_edits
from gradcheck._mending.paths import slopes_of
from gradcheck._mending.residual import Residual, agree
from gradcheck._mending.series import orders
from gradcheck._mending.slots import Workplace
from gradcheck._mending.suspects import Suspect
from gradcheck._mending.syntax import Code, binary, name, one_minus, parsed
from gradcheck._tape import Call
from tests.gradcheck._mending import cells

# -- writing -----------------------------------------------------------------------------------------------------------


def _replaced(source, old, new):
    """The source with one of its expressions, named by its text, replaced."""
    code = Code(source)
    node = next(one for one in ast.walk(code.tree) if isinstance(one, ast.expr) and code.segment(one) == old)
    return apply_edits(source, [code.replaced(node, new(node))])


@pytest.mark.parametrize(
    ("source", "old", "new", "expected"),
    [
        ("y = a * b\n", "b", lambda _: parsed("c + d"), "y = a * (c + d)\n"),
        ("y = a * (b + c)\n", "b + c", lambda _: name("d"), "y = a * d\n"),
        ("y = f(a)\n", "a", lambda n: one_minus(n), "y = f(1 - a)\n"),
        ("y = (a + b) * c\n", "a + b", lambda _: parsed("d * e"), "y = d * e * c\n"),
        ("y = a*b + c\n", "c", lambda n: binary(n, ast.Mult(), name("d")), "y = a*b + c*d\n"),
        ("y = a - b\n", "b", lambda n: binary(n, ast.Sub(), name("c")), "y = a - (b - c)\n"),
        ("y = h.T\n", "h", lambda n: binary(n, ast.Mult(), name("r")), "y = (h * r).T\n"),
        ("y = d['a'] + b\n", "b", lambda _: parsed('d["c"]'), "y = d['a'] + d['c']\n"),
        ("y = x[:, a:b]\n", "a:b", lambda _: ast.Slice(None, name("n")), "y = x[:, :n]\n"),
        ("é = a * b  # ü\n", "b", lambda _: name("ß"), "é = a * ß  # ü\n"),
    ],
)
def test_what_is_written_keeps_the_style(source, old, new, expected):
    """If it fails, edits change the meaning for lack of brackets, or the file's spacing, quotes or brackets."""
    assert _replaced(source, old, new) == expected


# -- values ------------------------------------------------------------------------------------------------------------


def test_values_are_those_that_python_gives():
    """If it fails, candidates are judged by other values than they would have."""
    local = {"a": np.arange(6.0).reshape(2, 3), "t": 1, "d": {"k": [1.0, 2.0]}}
    frame = Frame(local, {"np": np})
    for text in (
        "a[t] * 2",
        "a.T @ a",
        "np.tanh(a).sum(axis=0)",
        "d['k'][-t]",
        "-a ** 2",
        "a[:, t:]",
        "a > 2",
        "len(a)",
    ):
        assert np.array_equal(frame.value(parsed(text)), eval(text, {"np": np}, local))


def test_one_part_is_replaced_and_the_rest_is_remembered():
    """If it fails, a candidate is evaluated without its change, or with everything calculated anew."""
    frame = Frame({"a": 2.0, "b": 3.0}, {})
    whole = parsed("(a + 1) * b")
    assert isinstance(whole, ast.BinOp)
    frame.known[id(whole.left)] = 100.0
    assert frame.value(whole, {id(whole.right): parsed("b + 1")}, {id(whole)}) == 400.0
    assert frame.value(whole, {}, {id(whole)}) == 300.0


@pytest.mark.parametrize(
    "text", ["missing", "a.fill(0)", "np.copyto(a, 1)", "change(a)", "np.add(a, 1, out=a)", "a @ a"]
)
def test_nothing_is_changed_by_evaluating(text):
    """If it fails, trying a candidate changes the variables that the next one is tried with."""

    def change(x):
        x[0] = 7

    a = np.arange(3.0)
    frame = Frame({"a": a, "change": change}, {"np": np})
    with contextlib.suppress(UnknownError):
        frame.value(parsed(text))
    assert np.array_equal(a, [0, 1, 2])
    assert not is_pure(change)


# -- judging -----------------------------------------------------------------------------------------------------------


def _hole(folder, right, wrong):
    made, run, statement = cells.planted(folder, right, wrong)
    residual = Residual(run)
    return made, residual, holes_of(Suspect(run, statement, residual))


def test_the_right_expression_is_judged_right_and_others_are_not(tmp_path):
    """If it fails, J (new - old) = r fails for the right expression of a carried value, or holds for a wrong one."""
    _, residual, (hole,) = _hole(tmp_path, "dn = dnew * u", "dn = dnew * r")
    assert residual.wrong
    judged = {
        text: hole.judged([(hole.root, parsed(text))]) for text in ("dnew * u", "dnew * n", "dnew", "dnew * u * 2")
    }
    assert judged["dnew * u"] is not None
    assert judged["dnew * u"].right == residual.wrong
    assert [text for text, one in judged.items() if one is not None] == ["dnew * u"]


def test_what_the_variables_are_once_it_is_right(tmp_path):
    """If it fails, later executions are judged with what the wrong statement handed to them."""
    _, residual, (hole,) = _hole(tmp_path, "du = dnew * (n - hp)", "du = dnew * n")
    assert hole.needed is not None
    assert hole.needed.known is not None
    wanted = [frame.frame.value(parsed("dnew * (n - hp)")) for frame in hole.executions]
    needed = [hole.needed.values[one.nodes[0].index] for one in hole.executions]
    assert all(np.allclose(a, b) for a, b in zip(wanted, needed, strict=True))
    assert residual.wrong


def test_a_change_of_one_gradient_is_told_from_one_of_others(tmp_path):
    """If it fails, an edit that makes one gradient right and another wrong is accepted."""
    _, residual, _ = _hole(tmp_path, 'g["W"] += x.T @ dz', 'g["W"] += x.T @ dz * 2')
    change = residual.needed.copy()
    assert residual.judged(change).right == {"W"}
    change[residual.rows["b"]] += 1
    assert residual.judged(change).broken == {"b"}


def test_only_numbers_agree():
    """If it fails, a gradient of nan, of zeros or of another shape passes for the truth."""
    true = np.array([1.0, 2.0])
    assert agree(true * (1 + 1e-12), true)
    assert not agree(np.array([np.nan, 2.0]), true)
    assert not agree(np.zeros(2), true)
    assert not agree(true[None], true)


def test_slopes_behind_an_expression_are_those_of_differences(tmp_path):
    """If it fails, terms are solved for with a wrong slope, and the right one is missed."""
    _, residual, holes = _hole(tmp_path, 'da * p["k"] * r + dz @', 'da * p["k"] + dz @')
    hole = holes[0]
    one = hole.executions[0]
    part = next(node for node in ast.walk(hole.root) if isinstance(node, ast.Name) and node.id == "dnew")
    slopes = slopes_of(hole, one, part)
    moved = hole.change([(part, parsed("dnew + 0.5"))])
    plain = hole.change([])
    total = sum(slopes_of(hole, each, part).sum(axis=1) for each in hole.executions)
    assert slopes is not None
    assert np.allclose(moved - plain, 0.5 * total)
    assert residual.size == len(total)


def test_products_solve_their_equation():
    """If it fails, the solver misses a product of two or three of its rows, or offers others."""
    rng = np.random.default_rng(0)
    names = [name(one) for one in "abcdef"]
    values = rng.normal(size=(6, 20))
    slopes = rng.normal(size=20)
    for degree, chosen in ((1, [2]), (2, [1, 4]), (3, [0, 3, 5])):
        lacking = float(slopes @ np.prod(values[chosen], axis=0))
        found = list(_by_entry(Rows(names, values), Equation(slopes, lacking, 1.0), degree))
        assert [sorted(one.id for one in ast.walk(node) if isinstance(one, ast.Name)) for node in found] == [
            sorted("abcdef"[k] for k in chosen)
        ]


def test_orders_follow_calls():
    """If it fails, layers and directions that run one after the other are matched with each other's steps."""
    first, second = Call(0, None, 0, None), Call(1, None, 0, None)
    back, front = Call(2, None, 0, None), Call(3, None, 0, None)
    found = orders([first, first, second, second], [back, back, front, front])
    assert found == [[3, 2, 1, 0], [0, 1, 2, 3], [2, 3, 0, 1], [1, 0, 3, 2]]


# -- writing derivatives -----------------------------------------------------------------------------------------------

DERIVATIVES = {
    "a product": ("dn = dnew * u", "dn = dnew * 0", "dnew * u"),
    "a difference": ("du = dnew * (n - hp)", "du = 0 * dnew", "dnew * n - dnew * hp"),
    "several factors": ('dr = da * p["k"] * hp', "dr = 0 * da", 'da * p["k"] * hp'),
    "a sum over the batch": ('g["b"] += dz.sum(axis=0)', 'g["b"] += 0 * dz.sum(axis=0)', "dz.sum(axis=0)"),
    "a product of matrices": ('dx = dz @ p["W"].T', "dx = 0 * x", 'dz @ p["W"].T'),
    "a weight": ('g["U"] += hp.T @ dz', 'g["U"] += hp.T @ dz * 0', "hp.T @ dz"),
    "a mean": (
        "dhs = dxhat - dxhat.mean(axis=2, keepdims=True)",
        "dhs = 0 * dxhat",
        "dxhat - dxhat.mean(axis=2, keepdims=True)",
    ),
    "a carry": (
        'dh = dnew * (1 - u) + (1 - m) * dh + da * p["k"] * r + dz @ p["U"].T',
        "dh = dh * 0",
        'dz @ p["U"].T + da * p["k"] * r + dnew * (1 - u) + dh * (1 - m)',
    ),
    "an activation": (
        "du, dr = du * slope(u), dr * slope(r)",
        "du, dr = du * 0, dr * slope(r)",
        "du * (u * (1 - u))",
    ),
}


@pytest.mark.parametrize("kind", DERIVATIVES)
def test_a_derivative_is_written_in_the_users_names(kind, tmp_path):
    """If it fails, where no small edit serves the derivative cannot be written out."""
    right, wrong, expected = DERIVATIVES[kind]
    _, _, holes = _hole(tmp_path, right, wrong)
    with np.errstate(all="ignore"):
        found = [
            hole.code.write(candidate.swaps[0][1])
            for hole in holes
            for candidate in formula(Workplace(hole))
            if hole.judged(list(candidate.swaps)) is not None
        ]
    assert expected in found
