"""What a value of the forward is used for, where arrays keep it in between; and derivatives written from that."""

from __future__ import annotations

import numpy as np
import pytest

import gradcheck
from gradcheck._mending import mends
from gradcheck._mending.uses import AllUses
from gradcheck._tape import tape_target
from tests.gradcheck._tape.programs import module

#: every step writes into arrays over time, and reads from them
KEPT = """
import numpy as np

def sig(a):
    return 1 / (1 + np.exp(-a))

def forward(p, x):
    T, n = len(x), len(p["h"])
    a, z, f, h = np.zeros((T, n)), np.zeros((T, n)), np.zeros((T, n)), np.zeros((T + 1, n))
    h[0] = p["h"]
    for t in range(T):
        a[t] = p["W"] @ x[t] + p["U"] @ h[t]
        z[t] = np.tanh(a[t])
        f[t] = sig(p["V"] @ x[t])
        h[t + 1] = f[t] * z[t] + (1 - f[t]) * h[t]
    return a, z, f, h

def loss(p, x):
    return 0.5 * np.sum(forward(p, x)[-1][-1] ** 2)

def grads(p, x):
    a, z, f, h = forward(p, x)
    dW, dU, dV, dh = np.zeros_like(p["W"]), np.zeros_like(p["U"]), np.zeros_like(p["V"]), h[-1]
    for t in range(len(x) - 1, -1, -1):
        da = f[t] * (1 - z[t] ** 2) * dh
        df = dh * (z[t] - h[t]) * f[t] * (1 - f[t])
        dW += np.outer(da, x[t])
        dU += np.outer(da, h[t])
        dV += np.outer(df, x[t])
        dh = p["U"].T @ da + (1 - f[t]) * dh
    return {"W": dW, "U": dU, "V": dV, "h": dh}
"""


def kept_run(folder, *bug):
    """A taped run of it."""
    made, rng = module(folder, KEPT.replace(*bug) if bug else KEPT), np.random.default_rng(0)
    p = {name: rng.standard_normal(shape) for name, shape in {"W": (3, 2), "U": (3, 3), "V": (3, 2), "h": 3}.items()}
    x = rng.standard_normal((4, 2))
    target = gradcheck.Target(p, lambda: made.loss(p, x), lambda: made.grads(p, x))
    return tape_target(target, target.values())


def _uses(run, text):
    """Of the first value of an expression of the forward: the texts of what calculates with it."""
    nodes = [node for node in run.nodes[: run.boundary] if node.place is not None and node.place.text == text]
    value = next(node for node in nodes if node.execution == 0)
    return sorted(one.place.text for one, _ in run.once(AllUses).of(value))


def test_what_reads_a_value_back_from_an_array_uses_it(tmp_path):
    """If it fails, no derivative is written out where the forward keeps its values in arrays, as most do."""
    run = kept_run(tmp_path)
    assert _uses(run, "np.tanh(a[t])") == ["f[t] * z[t]"]
    assert _uses(run, 'p["W"] @ x[t] + p["U"] @ h[t]') == ["np.tanh(a[t])"]
    assert _uses(run, "f[t] * z[t] + (1 - f[t]) * h[t]") == ["(1 - f[t]) * h[t]", 'p["U"] @ h[t]']


def test_what_reads_more_than_the_value_counts_as_it_is(tmp_path):
    """If it fails, a use of several steps at once is left out of a sum, or taken for one of the step alone."""
    bug = ("forward(p, x)[-1][-1] ** 2", "forward(p, x)[-1][-2:] ** 2")
    run = kept_run(tmp_path, *bug)
    last = [n for n in run.nodes[: run.boundary] if n.place and n.place.text == "f[t] * z[t] + (1 - f[t]) * h[t]"][-1]
    assert [(use.op, use.shape) for use, _ in run.once(AllUses).of(last)] == [("power", (2, 3))]


def test_views_of_the_same_entries_share_their_uses(tmp_path):
    """If it fails, what comes back through `h[1:]` is unknown to whoever takes `h[1:]` again, as keys and as values."""
    bug = (
        "return 0.5 * np.sum(forward(p, x)[-1][-1] ** 2)",
        "h = forward(p, x)[-1]; return np.sum(h[1:] * 2 + h[1:] ** 2)",
    )
    run = kept_run(tmp_path, *bug)
    views = [node for node in run.nodes[: run.boundary] if node.op == "view" and node.shape == (4, 3)]
    uses = run.once(AllUses)
    found = [sorted(use.op for use, _ in uses.of_entries(view)) for view in views[-2:]]
    assert found == [["multiply", "power"]] * 2
    assert [[use.op for use, _ in uses.of(view)] for view in views[-2:]] == [["multiply"], ["power"]]


@pytest.mark.parametrize(
    ("bug", "factors"),
    [
        (("df = dh * (z[t] - h[t]) * f[t] * (1 - f[t])", "df = dh * z[t]"), {"h[t]", "f[t]"}),
        (("da = f[t] * (1 - z[t] ** 2) * dh", "da = np.sort(dh)"), {"f[t]", "z[t]", "dh"}),
    ],
)
def test_a_derivative_is_written_out_where_arrays_keep_the_values(tmp_path, bug, factors):
    """If it fails, a line that needs more than a small edit gets no fix in a forward that fills arrays."""
    run = kept_run(tmp_path, *bug)
    statement = next(one for one in run.statements if one.text == bug[1])
    found = mends(run, statement)
    assert found
    assert not found[0].remaining
    assert all(one in found[0].edits[0].text for one in factors)


def test_what_reads_a_value_twice_counts_as_it_is(tmp_path):
    """If it fails, the search ends with an error: entries that a read repeats are looked for where none are."""
    bug = ("forward(p, x)[-1][-1] ** 2", "np.broadcast_to(forward(p, x)[-1][-1:], (4, 3))[1:] ** 2")
    run = kept_run(tmp_path, *bug)
    last = [n for n in run.nodes[: run.boundary] if n.place and n.place.text == "f[t] * z[t] + (1 - f[t]) * h[t]"][-1]
    assert [(use.op, use.shape) for use, _ in run.once(AllUses).of(last)] == [("view", (4, 3))]
