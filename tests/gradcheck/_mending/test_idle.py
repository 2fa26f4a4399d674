"""Statements that change nothing: which stand where, so that one of them can become what is missing."""

from __future__ import annotations

import ast
import textwrap

from gradcheck._mending.gaps import Idle
from gradcheck._mending.idle import Held, Known, idle_statements


def function(text):
    """The function in a text, and the text."""
    text = textwrap.dedent(text).lstrip("\n")
    return next(node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)), text


def gaps(text, held=("dh", "dc", "da"), local=None, **names):
    """By line, the statements that change nothing there."""
    apart = {name: Held(number, True) for number, name in enumerate(held)}
    known = Known(apart | names, local or {})
    return {gap.line: [one.text for one in idle] for gap, idle in idle_statements(function(text)[0], known).items()}


LOOP = """
    def backward(dy, T):
        dc = zeros(3)
        for t in reversed(range(T)):
            dh = V.T @ dy[t]
            dc = dc + dh * o[t]
            da = dc * i[t]
            pass
        return dc
    """


def test_what_is_carried_stands_behind_its_last_use_or_in_the_place_of_pass():
    """If it fails, a derivative that is not handed on to the step before is put where it is still read."""
    assert "dc = dc" in gaps(LOOP)[7]
    assert "dc = dc" in gaps(LOOP.replace("            pass\n", ""))[7]


def test_an_edit_of_the_statement_before_says_as_much():
    """If it fails, a statement is said to be missing right behind one that could be edited."""
    assert "dh = dh" not in gaps(LOOP)[5]
    assert "dc = dc" in gaps(LOOP)[5]


def test_what_is_not_bound_yet_is_not_read():
    """If it fails, the statements stop the code, and nothing is found."""
    found = gaps("def f(x):\n    if x:\n        da = 1\n    dh = 2\n    g(x)\n    g(da, dh)\n    return da\n")
    assert found == {6: ["dh = dh"]}


def test_an_item_at_the_counter_is_a_value_of_its_own():
    """If it fails, what an array over time lacks at one step cannot be written."""
    text = "def f(T):\n    dc = 1\n    for t in range(T):\n        da[t] = dc[t + 1]\n        g(t)\n    return dc\n"
    found = gaps(text, local={"t": 3})
    assert "dc[t] = +dc[t]" in found[5]
    assert Idle("dc[t]").written("dc[t] = +dc[t] * f") == "dc[t] *= f"
    assert Idle("dc[t]").written("dc[t] = f * +dc[t]") == "dc[t] *= f"
    assert Idle("dc[t]").written("dc[t] = f - dc[t]") == "dc[t] = f - dc[t]"


def test_a_sum_beside_others_is_added_to():
    """If it fails, a gradient that nothing is added to stays zero."""
    text = "def f(x, g):\n    da = x\n    g['W'] += x\n    h = da * x\n    return h\n"
    local = {"g": {"W": 1, "b": 2, 3: 4}}
    assert "g['b'] += 0 * g['b']" in gaps(text, local=local)[4]
    known = Known({}, local, frozenset({"b"}), frozenset({"W"}))
    (found, _) = idle_statements(function(text)[0], known).values()
    assert [one.target for one in found] == ["g['b']"]
    assert Idle("g['b']", is_sum=True).written("g['b'] += 0 * g['b'] + da.sum(0)") == "g['b'] += da.sum(0)"
    assert Idle("g['b']", is_sum=True).written("g['b'] += 0 * g['b'] - da") == "g['b'] -= da"
    assert Idle("g['b']", is_sum=True).written("g['b'] += da") == "g['b'] += da"


def test_views_of_one_array_are_written_in_place():
    """If it fails, a view is bound anew, and the array keeps what it had."""
    text = "def f(x):\n    da, dz = x[:, 0], x[:, 1]\n    g(x)\n    h(da)\n"
    found = gaps(text, held=(), da=Held(7, True), dz=Held(7, True))
    assert found[4] == ["da[...] = da", "dz[...] = dz"]
    assert Idle("dz", in_place=True).written("dz[...] = dz * (1 - z * z)") == "dz *= 1 - z * z"


def test_a_sum_that_begins_beside_others_is_added_to_where_nothing_is_done():
    """If it fails, `da, db = zeros(3), zeros(3)` hides that nothing is added to one, or it is told elsewhere."""
    text = """
        def f(T, dh):
            da, db = np.zeros_like(dh), np.zeros_like(dh)
            for t in range(T):
                pass
                da += dh
                g(t)
            return da, db
        """
    found = gaps(text, held=("da", "db", "dh"))
    assert "db += 0 * db" in found[4]
    assert not any("da += 0" in one for of_one in found.values() for one in of_one)


def test_an_array_that_is_carried_is_added_to_at_the_parts_that_the_function_takes():
    """If it fails, what comes back to the top of a stack alone, or to some steps, cannot be what is missing."""
    text = """
        def f(T, dS, ups):
            for t in range(T):
                dS[0] += top(t)
                dP = keep(dS)
                dP[:-1] += ups[t] * dS[1:]
                g(t)
                dS = dP
            return dS
        """
    found = gaps(text, held=("dS", "dP"), local={"t": 3})
    at_end = found[max(found)]
    assert {"dP[0] += 0 * dP[0]", "dP[1:] += 0 * dP[1:]", "dP[:-1] += 0 * dP[:-1]"} <= {*at_end}
