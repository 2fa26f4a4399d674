"""Arrays that are far longer than what is used of them end, on the tape, behind the last row that is."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from gradcheck._tape import buffers, unused_rows
from tests.gradcheck._tape.programs import check, draw, module, target_of
from tests.gradcheck._tape.test_buffers import PROGRAMS

LONG = """
import numpy as np
{kept} = np.nan * np.ones((5000, 3))
def loss(p):
    a, b, kept = p['a'], p['b'], {kept}
{body}
    return np.sum(y)
"""

#: what is done with the rows, and how many of them are used
USES = {
    "filled step by step": (
        "kept[:, :] = np.nan\nfor t in range(2): kept[t] = np.tanh(a[t])\ny = kept[1] * kept[0]",
        2,
    ),
    "the rest filled with zeros": ("kept[1:] = 0; kept[0] = a[0] * a[1]; y = kept[:4] * kept[0]", 4),
    "rows named by numbers": ("kept[[2, 0]] = a; kept[[7, 8]] = 0.0; y = kept[0:3:2] * a", 3),
    "added at": ("kept.fill(0.0); np.add.at(kept, [0, 0, 4], b); y = kept[:2] * a", 5),
    "written by out=": ("np.multiply(a[0], a[1], out=kept[1]); np.dot(a, b, out=kept[2:4]); y = kept[1:4] * b", 4),
    "views of views": ("kept[:2] = a; v = kept[:9]; w = v[:3].T; y = w[:, :2] @ a * v[1]", 9),
}


@pytest.fixture
def every_array(monkeypatch):
    """All arrays count as long."""
    monkeypatch.setattr(buffers, "LONG", 1)
    monkeypatch.setattr(unused_rows, "_TIMES", 1)


def _long(folder, body):
    text = LONG.format(kept="ROWS", body=textwrap.indent(body, "    "))
    return target_of(module(folder, text), a=draw(2, 3), b=draw(3, 3, seed=1))


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.usefixtures("every_array")
def test_derivatives_are_as_without(name, tmp_path):
    """Rows would be left out that something reads, or were given a value."""
    body = textwrap.indent(textwrap.dedent(PROGRAMS[name]), "    ")
    text = f"import numpy as np\ndef loss(p):\n    a, b = p['a'], p['b']\n{body}\n    return np.sum(y)\n"
    check(target_of(module(tmp_path, text), a=draw(2, 3), b=draw(3, 3, seed=1)), tolerance=1e-7)


@pytest.mark.parametrize("name", USES)
def test_what_is_used_is_kept_and_no_more(name, tmp_path):
    """Going back over each write would take as much memory as the longest sequence needs."""
    body, used = USES[name]
    run = check(_long(tmp_path, body), tolerance=1e-7)
    stores = [write.node for write in run.writes if write.node.shape[1:] == (3,)]
    assert stores
    assert {node.shape for node in stores} == {(used, 3)}
    whole = [node for node in run.nodes if node.shape == (used, 3) and node.cell is not None]
    assert all(np.shape(node.value) == node.shape for node in whole)


@pytest.mark.parametrize(
    "body", ["kept[:] = 1; y = kept.sum(axis=0) * a", "kept[:] = 0; kept[-1] = a[0]; y = kept[4999] * a"]
)
def test_an_array_that_is_read_to_its_end_stays_as_it_is(body, tmp_path):
    """The last rows would be lost."""
    run = check(_long(tmp_path, body), tolerance=1e-7)
    assert (5000, 3) in {write.node.shape for write in run.writes}


def test_a_result_stays_as_it_is(tmp_path):
    """A gradient would have fewer rows than its parameter."""
    text = """
        import numpy as np
        def loss(p):
            return np.sum(p["a"][:2] ** 2)
        def grads(p):
            d = np.zeros_like(p["a"])
            d[:2] = 2 * p["a"][:2]
            return {"a": d}
        """
    run = check(target_of(module(tmp_path, text), a=draw(2000, 3)), tolerance=1e-7)
    assert run.sinks["a"].shape == (2000, 3)
