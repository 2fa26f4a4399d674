"""A value that goes by another's name is told where it is bound or kept, and not where it is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.tape_findings import tape_findings
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for

#: a leaky unit; how a step is kept and taken up again is filled in
LEAKY = """\
import numpy as np
import gradcheck


class Step:
    pass


def forward(p, x):
    c, kept = p["c0"], []
    for t in range(len(x)):
        f, g = 1 / (1 + np.exp(-p["u"] * c)), np.tanh(p["v"] * x[t])
        before, c = c, f * c + (1 - f) * g
        step = Step()
        {keep}
        kept.append(step)
    return c, kept


def grads(p, x, y):
    c, kept = forward(p, x)
    G, dc = {{name: np.zeros_like(one) for name, one in p.items()}}, c - y
    for t in reversed(range(len(x))):
        step = kept[t]
        {take}
        df = dc * (before - g) * f * (1 - f)
        dg = dc * (1 - f) * (1 - g ** 2)
        G["u"] += df * before
        G["v"] += dg * x[t]
        dc = dc * f + df * p["u"]
    G["c0"] += dc
    return G


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p = {{name: rng.standard_normal(H) for name in ("u", "v", "c0")}}
    x, y = rng.standard_normal((T, H)), rng.standard_normal(H)
    return gradcheck.Target(p, lambda: float(0.5 * np.sum((forward(p, x)[0] - y) ** 2)), lambda: grads(p, x, y))
"""
#: ways to keep a step, and to take it up
TUPLE = "step = (before, f, g)", "before, f, g = step"
NESTED = "step = ((before, g), f)", "(before, g), f = step"
ATTRIBUTES = "step.b = before; step.f = f; step.g = g", "before, f, g = step.b, step.f, step.g"
DICT = 'step = {"b": before, "f": f, "g": g}', 'before, f, g = step["b"], step["f"], step["g"]'
KEYWORDS = "step = dict(b=before, f=f, g=g)", 'before, f, g = step["b"], step["f"], step["g"]'
SEEN = "step = (before, f, g)", 'before, f, g = step; seen = {"u": before, "v": x[t]}'
ITEMS = (
    'step = {}; step["b"] = before; step["f"] = f; step["g"] = g',
    'before, f, g = step["b"], step["f"], step["g"]',
)


@pytest.mark.parametrize(
    ("way", "old", "new"),
    [
        (TUPLE, "before, f, g = step", "before, g, f = step"),
        (TUPLE, "before, f, g = step", "f, before, g = step"),
        (TUPLE, "(before, f, g)", "(before, f, f)"),
        (TUPLE, "(before, f, g)", "(c, f, g)"),
        (NESTED, "(before, g), f = step", "(before, f), g = step"),
        (ATTRIBUTES, "= step.b, step.f, step.g", "= step.b, step.g, step.g"),
        (ATTRIBUTES, "step.f = f", "step.f = g"),
        (DICT, '"g": g', '"g": f'),
        (DICT, 'step["b"], step["f"], step["g"]', 'step["b"], step["f"], step["f"]'),
        (KEYWORDS, "f=f", "f=before"),
        (SEEN, '{"u": before, "v": x[t]}', '{"u": c, "v": x[t]}'),
        (ITEMS, 'step["b"] = before', 'step["b"] = c'),
    ],
)
def test_it_is_told_where_it_is_bound_or_kept(tmp_path: Path, way: tuple[str, str], old: str, new: str) -> None:
    """Each line that reads it would be accused, though it is right as it stands."""
    source = LEAKY.format(keep=way[0], take=way[1])
    if way is SEEN:
        source = source.replace("df * before\n", 'df * seen["u"]\n').replace("dg * x[t]", 'dg * seen["v"]')
    factory = cell(tmp_path, (old, new), source=source)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert finding.line == line_of(new, source.replace(old, new))
    assert finding.code in {FindingCode.WRONG_VARIABLE, FindingCode.WRONG_INDEX, FindingCode.VALUES_EXCHANGED}
    (text,) = [found.sources[file].edited(edits) for file, edits in found.edits.items()]
    assert text == source


#: the backward of a step is a function of its own, which is handed what the step had
HANDED = """\
import numpy as np
import gradcheck


def forward(p, x):
    h = [p["h0"]]
    for t in range(len(x)):
        h.append(np.tanh(p["W"] @ h[t] + p["U"] @ x[t]))
    return h


def step_backward(p, G, dh, h, before, x):
    da = dh * (1 - h ** 2)
    G["W"] += np.outer(da, before)
    G["U"] += np.outer(da, x)
    return p["W"].T @ da


def grads(p, x):
    h, G = forward(p, x), {name: np.zeros_like(one) for name, one in p.items()}
    dh = h[-1] * 1.0
    for t in range(len(x), 0, -1):
        dh = step_backward(p, G, dh, h[t], h[t - 1], x[t - 1])
    G["h0"] += dh
    return G


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    p = {"W": rng.standard_normal((H, H)), "U": rng.standard_normal((H, D)), "h0": rng.standard_normal(H)}
    x = rng.standard_normal((T, D))
    return gradcheck.Target(p, lambda: float(0.5 * np.sum(forward(p, x)[-1] ** 2)), lambda: grads(p, x))
"""


@pytest.mark.parametrize(
    ("old", "new"), [("h[t], h[t - 1], x", "h[t - 1], h[t - 1], x"), ("h[t], h[t - 1], x", "h[t], h[t], x")]
)
def test_it_is_told_where_it_is_handed_over(tmp_path: Path, old: str, new: str) -> None:
    """The line that uses it in a helper would be accused, which is right, and is used by others."""
    factory = cell(tmp_path, (old, new), source=HANDED)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (finding,) = tape_findings(found, verified=True)
    assert finding.line == line_of("dh = step_backward", HANDED)
    (text,) = [found.sources[file].edited(edits) for file, edits in found.edits.items()]
    assert text == HANDED


#: gradients go into a store by names that are spelled where it is called
STORED = """\
import numpy as np
import gradcheck


class Store:
    def __init__(self, p):
        self.sums = {name: np.zeros_like(one) for name, one in p.items()}

    def add(self, name, part):
        self.sums[name] += part


def forward(p, x):
    h, kept = np.zeros(len(p["l0.b"])), []
    for t in range(len(x)):
        kept.append(h)
        h = np.tanh(p["l0.W"] @ x[t] + p["l0.U"] @ h + p["l0.b"])
    return h, kept


def grads(p, x, y, layer=0):
    store, (h, kept) = Store(p), forward(p, x)
    dh = h - y
    for t in reversed(range(len(x))):
        da = dh * (1 - h ** 2)
        store.add(f"l{layer}.W", np.outer(da, x[t]))
        store.add(f"l{layer}.U", np.outer(da, kept[t]))
        store.add(f"l{layer}.b", da)
        dh, h = p["l0.U"].T @ da, kept[t]
    return store.sums


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p = {"l0.W": rng.standard_normal((H, H)), "l0.U": rng.standard_normal((H, H)), "l0.b": rng.standard_normal(H)}
    x, y = rng.standard_normal((T, H)), rng.standard_normal(H)
    return gradcheck.Target(p, lambda: float(0.5 * np.sum((forward(p, x)[0] - y) ** 2)), lambda: grads(p, x, y))
"""


def test_the_name_of_another_gradient_is_told_where_it_is_spelled(tmp_path: Path) -> None:
    """The store would be accused, which adds what it is given to what it is told."""
    right = 'store.add(f"l{layer}.U", '
    factory = cell(tmp_path, (right, right.replace("U", "W")), source=STORED)
    found = looked_for(factory)
    (finding,) = tape_findings(found, verified=True)
    assert (finding.code, finding.line) == (FindingCode.WRONG_VARIABLE, line_of(right, STORED))
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == STORED
