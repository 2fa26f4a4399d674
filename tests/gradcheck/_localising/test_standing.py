"""What a value of the backward is known to be."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._localising.holes import holes_of
from gradcheck._localising.spoiling import spoiling
from gradcheck._localising.standing import Known, Standing, Standings, begun
from gradcheck._tape import tape_target
from tests.gradcheck._localising.nets import run_of
from tests.gradcheck._tape.programs import module


def _given(run, text):
    return next(one for one in holes_of(run) if one.statement.text.startswith(text)).given


def test_known_arrays_are_found_by_value_also_transposed():
    """If this failed, right values in column style would not be known to be right."""
    known, array = Known(), np.arange(6.0).reshape(2, 3)
    known.add(array, 7)
    assert known.find(array + 1e-12) == 7
    assert known.find(array.T) == 7
    assert known.find(array + 1e-3) is None
    unused = np.array([[True, False, False], [False, False, False]])
    assert known.find_in_part(array + 5.0 * ~unused, unused) == 7


def test_full_derivatives_are_locked_and_sums_that_lack_a_part_are_not(tmp_path):
    """If this failed, dh without what is carried would count as right, and the line that forgot it as innocent."""
    run, _, _ = run_of(tmp_path)
    standings = Standings(run)
    assert {standings.of(node) for node in _given(run, "dh =")} == {Standing.FULL}
    run, _, _ = run_of(tmp_path, ('dh = dout @ p["V"].T + carry', 'dh = dout @ p["V"].T'))
    standings = Standings(run)
    first, *later = [standings.of(node) for node in _given(run, "dh =")]
    assert first is Standing.FULL  # at the last step nothing is carried
    assert set(later) == {Standing.PARTIAL}


def test_the_source_of_a_derivative_tells_the_step(tmp_path):
    """If this failed, a needed value could not be said in words: dL/d(what), at which step."""
    run, _, _ = run_of(tmp_path)
    standings = Standings(run)
    sources = [standings.source(node) for node in _given(run, "dh =")]
    assert [source.execution for source in sources] == [2, 1, 0]
    assert {source.op for source in sources} == {"tanh"}


def test_values_of_the_forward_are_no_derivatives(tmp_path):
    """If this failed, cached values would be judged as if they had to be derivatives."""
    run, _, _ = run_of(tmp_path)
    standings = Standings(run)
    assert {standings.of(node) for node in _given(run, "h, before =")} == {Standing.PLAIN}
    assert {standings.of(node) for node in _given(run, "carry = np")} == {Standing.ZERO}


SHARED = """
import numpy as np

def forward(p, x):
    hs = []
    for t in range(len(x)):
        hs.append(np.tanh(p["W"] @ x[t]))
    M = np.stack(hs)
    kept = np.zeros((len(x), len(M[0])))
    for t in range(len(x)):
        kept[t] = np.sin(hs[t])
    return M, kept

def loss(p, x):
    M, kept = forward(p, x)
    return np.sum(M ** 2) + np.sum(np.cos(M) * np.arange(3.0)) + np.sum(kept ** 3) + np.sum(np.exp(kept))

def grads(p, x):
    M, kept = forward(p, x)
    through_squares, through_cos = 2 * M, -np.sin(M) * np.arange(3.0)
    through_cubes, through_exp = 3 * kept ** 2, np.exp(kept)
    dW = np.zeros_like(p["W"])
    for t in range(len(x)):
        squares, cos = through_squares[t] * 1.0, through_cos[t] * 1.0
        cubes, exp = through_cubes[t] * 1.0, through_exp[t] * 1.0
        dW += np.outer(squares + cos + cubes + exp, x[t])
    return {"W": dW}
"""


@pytest.mark.parametrize("name", ["squares", "cos", "cubes", "exp"])
def test_what_one_use_of_an_array_brings_back_to_its_items_is_known(tmp_path, name):
    """If this failed, of states that are stacked, or kept in one array, a use that is left out could not be told."""
    made, rng = module(tmp_path, SHARED), np.random.default_rng(0)
    p, x = {"W": rng.standard_normal((3, 2))}, rng.standard_normal((4, 2))
    target = gradcheck.Target(p, lambda: made.loss(p, x), lambda: made.grads(p, x))
    run = tape_target(target, target.values())
    standings = Standings(run)
    bound = [one.node for one in run.bindings if one.place.name == name and one.node is not None]
    parts = [standings.partial.find(np.asarray(node.value)) for node in bound]
    assert len(parts) == 4
    assert None not in parts


FUSED = """
import numpy as np

def forward(p, x):
    h, hs, gates = p["h"], [p["h"]], []
    for xt in x:
        a = xt @ p["W"] + h @ p["U"]
        a = 1 / (1 + np.exp(-a))  # both gates at once
        f, g = a[:, :3], a[:, 3:]
        h = f * h + (1 - f) * g
        hs.append(h)
        gates.append(a)
    return hs, gates

def loss(p, x):
    return 0.5 * np.sum(forward(p, x)[0][-1] ** 2)

def grads(p, x):
    hs, gates = forward(p, x)
    dW, dU, dh = np.zeros_like(p["W"]), np.zeros_like(p["U"]), hs[-1]
    for t in range(len(x) - 1, -1, -1):
        f, g, da = gates[t][:, :3], gates[t][:, 3:], np.empty_like(gates[t])
        da[:, :3] = dh * (hs[t] - g)
        da[:, :3] *= f * (1 - f)
        da[:, 3:] = dh * (1 - f) * g * (1 - g)
        dW += x[t].T @ da
        dU += hs[t].T @ da
        dh = da @ p["U"].T + dh * f
    return {"W": dW, "U": dU, "h": dh}
"""


def fused_run(folder, *bug):
    """A taped run of a cell with both gates in one array."""
    made, rng = module(folder, FUSED.replace(*bug) if bug else FUSED), np.random.default_rng(0)
    p = {"W": rng.standard_normal((2, 6)), "U": rng.standard_normal((3, 6)), "h": rng.standard_normal((2, 3))}
    x = rng.standard_normal((3, 2, 2))
    target = gradcheck.Target(p, lambda: made.loss(p, x), lambda: made.grads(p, x))
    return tape_target(target, target.values())


def test_the_gates_of_one_array_are_told_apart(tmp_path):
    """Of gates that are activated together, the derivative of one alone would be that of nothing."""
    standings = Standings(fused_run(tmp_path))
    given = _given(standings.run, "da[:, :3] *=")
    assert {standings.of(node) for node in given} == {Standing.FULL}
    parts = {standings.source(node).label for node in given}
    assert parts == {"part 0"}
    assert {standings.source(node).label for node in _given(standings.run, "da[:, 3:] =")} == {"part 1"}


def test_what_spoils_a_part_of_an_array_is_told(tmp_path):
    """A wrong factor of one gate, in place, would be looked for where the whole array is read."""
    run = fused_run(tmp_path, "*= f * (1 - f)", "*= g * (1 - g)")
    assert [one.statement.text for one in spoiling(run)] == ["da[:, :3] *= g * (1 - g)"]


def test_a_gradient_that_is_given_the_wrong_way_is_not_right_on_the_way(tmp_path):
    """If this failed, the line that makes a square gradient transposed would be called right, and its caller wrong."""
    source = """
import numpy as np

def loss(p):
    return 0.5 * np.sum((np.arange(6.0).reshape(2, 3) @ p["W"]) ** 2)

def grads(p):
    x = np.arange(6.0).reshape(2, 3)
    dy = x @ p["W"]
    made = {made}
    return {{"W": made{turned}}}
"""
    w = {"W": np.arange(9.0).reshape(3, 3) % 4}
    found = {}
    for made, turned in (("x.T @ dy", ""), ("dy.T @ x", ".T"), ("dy.T @ x", "")):
        code = module(tmp_path, source.format(made=made, turned=turned))
        target = gradcheck.Target(w, lambda code=code: code.loss(w), lambda code=code: code.grads(w))
        run = tape_target(target, target.values())
        found[made, turned] = {Standings(run).of(node) for node in _given(run, "made =")}
    assert found == {
        ("x.T @ dy", ""): {Standing.FULL},
        ("dy.T @ x", ".T"): {Standing.FULL},
        ("dy.T @ x", ""): {Standing.UNKNOWN},
    }


def test_the_parts_through_any_few_uses_are_known():
    """If this failed, a sum that begins with the first use and goes on with the last would be nobody's derivative."""
    parts = [np.array([1.0, 10.0**k]) for k in range(4)]
    sums = {float(one[1]) for one in begun(parts)}
    assert {1 + 1000.0, 1 + 10.0 + 1000.0, 10.0 + 1000.0} <= sums
    assert sum(10.0**k for k in range(4)) not in sums  # that is the whole
    many = [np.array([1.0, 10.0**k]) for k in range(8)]
    assert 1 + 10.0**5 not in {float(one[1]) for one in begun(many)}


@pytest.mark.parametrize(
    ("forward", "standing"),
    [
        ("A = -np.exp(p['w'])\n    return np.sum(np.sin(A * 2)), A", Standing.FULL),
        ("e = np.exp(p['w'])\n    A = -e\n    return np.sum(np.sin(A * 2)), A", Standing.UNKNOWN),
    ],
)
def test_of_a_value_and_its_negative_that_with_a_name_is_meant(tmp_path, forward, standing):
    """If this failed, dL/dA where A = -exp(w) would look wrong, or a wrong sign of what has a name look right."""
    made = module(
        tmp_path,
        f"""
import numpy as np

def forward(p):
    {forward}

def loss(p):
    return forward(p)[0]

def grads(p):
    A = forward(p)[1]
    dA = 2 * np.cos(A * 2)
    return {{"w": dA * A}}
""",
    )
    w = {"w": np.array([0.3, -0.2, 0.5])}
    target = gradcheck.Target(w, lambda: made.loss(w), lambda: made.grads(w))
    run = tape_target(target, target.values())
    assert {Standings(run).of(node) for node in _given(run, "dA =")} == {standing}
