"""One mistake that several statements show: it is mended where it is made, and not where it shows."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from gradcheck._localising import localise
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.each_gradient import without_forward
from gradcheck._repair.found import Mended
from gradcheck._repair.likeliest_mend import LikeliestMend, _spoils_others
from gradcheck._repair.made_up_for import _takers_of_right
from gradcheck._repair.wrong_values import wrong_gradients
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, looked_for, taped

#: two outputs go through one activation, of which a helper has the derivative
TWO_OUTPUTS = """\
import numpy as np
import gradcheck


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def slope(a):
    s = sigmoid(a)
    return s + s * (1 - s) * a


def walk(p, x):
    h, steps = np.zeros(len(p["A"])), []
    for xt in x:
        h = np.tanh(h + xt)
        a, b = p["A"] @ h, p["B"] @ h
        steps.append((h, a, b, a * sigmoid(a), b * sigmoid(b)))
    return steps


def loss(p, x, y):
    return 0.5 * float(sum(np.sum((left - yt) ** 2 + right ** 4) for (*_, left, right), yt in zip(walk(p, x), y)))


def grads(p, x, y):
    steps, g = walk(p, x), {name: np.zeros_like(one) for name, one in p.items()}
    for t in reversed(range(len(x))):
        h, a, b, left, right = steps[t]
        dleft, dright = left - y[t], 2 * right ** 3
        da = dleft * slope(a)
        db = dright * slope(b)
        g["A"] += np.outer(da, h)
        g["B"] += np.outer(db, h)
    return g


@gradcheck.target
def cell(rng, *, T=3, H=2):
    p = {name: rng.standard_normal((H, H)) for name in "AB"}
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""

#: an average over time, with a numerator and a denominator that are carried
AVERAGE = """\
import numpy as np
import gradcheck


def squash(a):
    return 1 / (1 + np.exp(-a))


def walk(p, x):
    c, n, steps = np.zeros(len(p["f"])), np.ones(len(p["f"])), []
    for xt in x:
        f, i, o, z = squash(p["f"] * xt), np.exp(p["i"] * xt), squash(p["o"] * xt), np.tanh(p["z"] * xt)
        before = c, n
        c, n = f * c + i * z, f * n + i
        h = o * c / n
        steps.append((before, f, i, o, z, c, n, h))
    return steps


def loss(p, x, y):
    return 0.5 * float(sum(np.sum((step[-1] - yt) ** 2) for step, yt in zip(walk(p, x), y)))


def grads(p, x, y):
    steps, g = walk(p, x), {name: np.zeros_like(one) for name, one in p.items()}
    dc_next, dn_next = np.zeros(len(p["f"])), np.zeros(len(p["f"]))
    for t in range(len(x) - 1, -1, -1):
        (c_before, n_before), f, i, o, z, c, n, h = steps[t]
        dh = h - y[t]
        dc = dc_next + dh * o / n
        dn = dn_next - dh * (o * c) / n ** 2
        df = dc * c_before + dn * n_before
        di = dc * z + dn
        g["o"] += dh * c / n * o * (1 - o) * x[t]
        g["f"] += df * f * (1 - f) * x[t]
        g["i"] += di * i * x[t]
        g["z"] += dc * i * (1 - z ** 2) * x[t]
        dc_next, dn_next = dc * f, dn * f
    return g


@gradcheck.target
def cell(rng, *, T=3, H=2):
    p = {name: rng.standard_normal(H) for name in "fioz"}
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""


def test_a_helper_is_mended_and_not_its_callers(tmp_path: Path) -> None:
    """Whoever writes one wrong derivative of an activation would be told of a mistake at each place that calls it."""
    right = "s + s * (1 - s) * a"
    factory = cell(tmp_path, (right, "s + s * (1 - s)"), source=TWO_OUTPUTS)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"A", "B"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.statement.line for one in found.faults] == [line_of(f"return {right}", TWO_OUTPUTS)]
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    assert source.edited(found.edits[source.file]) == TWO_OUTPUTS


def test_what_three_statements_read_is_mended_with_one_edit(tmp_path: Path) -> None:
    """A forgotten way through a quotient would be told at each statement that reads what lacks it, and not mended."""
    right = "dn = dn_next - dh * (o * c) / n ** 2"
    factory = cell(tmp_path, (right, "dn = dn_next"), source=AVERAGE)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"f", "i"})
    assert found is not None
    assert found.still_wrong == ()
    (fault,) = found.faults
    assert fault.statement.text == "dn = dn_next"
    (edit,) = fault.edits
    assert "dn_next - dh * (o * c) / n ** 2" in edit.text


def test_all_edits_of_the_likeliest_come_before_what_is_found_elsewhere(tmp_path: Path) -> None:
    """Two right statements would be edited where one wrong one is to blame for both, but takes a longer edit."""
    old, new = "carry = self.W.T @ da", "carry = da"
    run, others = taped(cell(tmp_path, (old, new)))
    found = without_forward(run, localise(run, sorted(wrong_gradients(run)), second=others[-1].run()))
    elsewhere = [Mended(one.statement, ("W", "U"), one) for one in found.suspects[1:3]]
    (fault,) = LikeliestMend(run, found, [one.taped for one in others], set(), sooner=lambda: elsewhere).faults()
    assert fault.statement.line == line_of(old, HEAD)
    assert fault.mend is not None
    assert [edit.text for edit in fault.mend.edits] == ["self.W.T @ da"]


#: a layer in a class of its own, whose backward a recurrence calls
SCALED = """\
import numpy as np
import gradcheck


class Scaled:
    def __init__(self, mask):
        self.mask = mask

    def forward(self, x):
        return x * self.mask

    def backward(self, d):
        return d * self.mask


def walk(p, x, layer):
    h, kept = np.zeros(len(p["U"])), []
    for xt in x:
        before, h = h, np.tanh(p["W"] @ xt + p["U"] @ h)
        kept.append((xt, before, h, layer.forward(h)))
    return kept


def grads(p, x, layer):
    g, carry = {name: np.zeros_like(one) for name, one in p.items()}, 0.0
    for xt, before, h, out in reversed(walk(p, x, layer)):
        dh = layer.backward(out) + carry
        da = dh * (1 - h**2)
        g["W"] += np.outer(da, xt)
        g["U"] += np.outer(da, before)
        carry = p["U"].T @ da
    return g


@gradcheck.target
def cell(rng, *, T=3, D=2, H=4):
    p = {"W": rng.standard_normal((H, D)), "U": rng.standard_normal((H, H))}
    x, layer = rng.standard_normal((T, D)), Scaled(rng.standard_normal(H))

    def loss():
        return 0.5 * sum(np.sum(out**2) for *_, out in walk(p, x, layer))

    return gradcheck.Target(p, loss, lambda: grads(p, x, layer))
"""

#: a gate and what it leaves, whose derivative goes through a helper for differences
LEFT = """\
import numpy as np
import gradcheck


def minus_back(d):
    return d, -d


def walk(p, x):
    h, kept = np.zeros(len(p["U"])), []
    for xt in x:
        z, n = 1 / (1 + np.exp(-(p["W"] @ xt + p["U"] @ h))), np.tanh(p["V"] @ xt)
        before, h = h, (1 - z) * h + z * n
        kept.append((xt, before, z, n, h))
    return kept


def grads(p, x):
    g, carry = {name: np.zeros_like(one) for name, one in p.items()}, 0.0
    for xt, before, z, n, h in reversed(walk(p, x)):
        dh = h + carry
        dv = dh * z * (1 - n**2)
        dleft = dh * before
        _, dz = minus_back(dleft)
        dz = dz + dh * n
        da = dz * z * (1 - z)
        g["W"] += np.outer(da, xt)
        g["U"] += np.outer(da, before)
        g["V"] += np.outer(dv, xt)
        carry = dh * (1 - z) + p["U"].T @ da
    return g


@gradcheck.target
def cell(rng, *, T=3, D=2, H=4):
    p = {"W": rng.standard_normal((H, D)), "U": rng.standard_normal((H, H)), "V": rng.standard_normal((H, D))}
    x = rng.standard_normal((T, D))
    return gradcheck.Target(p, lambda: 0.5 * sum(np.sum(h**2) for *_, h in walk(p, x)), lambda: grads(p, x))
"""


@pytest.mark.parametrize(
    ("source", "right", "wrong"),
    [(SCALED, "return d * self.mask", "return d"), (LEFT, "return d, -d", "return d, d")],
    ids=["returned as it is", "returned with the wrong sign"],
)
def test_what_a_function_returns_is_mended_there(source: str, right: str, wrong: str, tmp_path: Path) -> None:
    """Its caller would be told to do without it, or to turn a right derivative, which only makes up for it."""
    factory = cell(tmp_path, (right, wrong), source=source)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (mended,) = [one for file, one in found.sources.items() if file in found.edits]
    assert mended.edited(found.edits[mended.file]) == source


#: one layer whose slope a helper multiplies, which is handed the same twice
SQUARES = """\
import numpy as np
import gradcheck


def tanh_back(d, y):
    return d * (1 - y ** 2)


def forward(p, x):
    h = np.exp(x @ p["W"])
    return h, np.tanh(h @ p["V"])


def grads(p, x):
    h, y = forward(p, x)
    dz = tanh_back(y, y)
    return {"W": x.T @ (dz @ p["V"].T * h), "V": h.T @ dz}


@gradcheck.target
def cell(rng, *, B=3, D=2, H=4, K=2):
    p = {"W": rng.standard_normal((D, H)), "V": rng.standard_normal((H, K))}
    x = rng.standard_normal((B, D))
    return gradcheck.Target(p, lambda: 0.5 * np.sum(forward(p, x)[1] ** 2), lambda: grads(p, x))
"""


def test_an_edit_that_does_without_a_call_gives_way_to_one_of_what_is_called(tmp_path: Path) -> None:
    """A helper that forgets its slope would stay as it is, and its only caller would do without it."""
    factory = cell(tmp_path, ("return d * (1 - y ** 2)", "return d"), source=SQUARES)
    found = find_by_tape(factory, 0, dict(factory.sizes), {"W", "V"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.line for one in found.faults] == [line_of("return d * (1", SQUARES)]


#: the same, where the helper is handed the product where it is calculated
HANDED = LEFT.replace(
    "        dleft = dh * before\n        _, dz = minus_back(dleft)\n", "        _, dz = minus_back(dh * before)\n"
)


def test_a_choice_of_what_is_called_stays_there(tmp_path: Path) -> None:
    """What is handed to a helper would be turned, a right derivative, where the helper turns no sign."""
    factory = cell(tmp_path, ("return d, -d", "return d, d"), source=HANDED)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (mended,) = [one for file, one in found.sources.items() if file in found.edits]
    assert mended.edited(found.edits[mended.file]) == HANDED


#: two ways in which a parameter has part in the loss, of which one is added up over time
TWICE = """\
import numpy as np
import gradcheck


def loss(p, x):
    return float(np.sum(np.exp(p["w"]) * p["v"]) + sum(np.sum(np.tanh(xt * p["w"])) for xt in x))


def grads(p, x):
    scale = np.exp(p["w"])
    dv, first = scale * 1.0, scale * p["v"]
    dw = np.zeros_like(p["w"])
    for xt in x:
        dw += xt * (1 - np.tanh(xt * p["w"]) ** 2)
    total = dw + first
    return {"w": total, "v": dv}


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p, x = {"w": rng.standard_normal(H), "v": rng.standard_normal(H)}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""


def test_a_term_is_added_where_a_sum_is_read_and_not_where_it_begins_at_zero(tmp_path: Path) -> None:
    """`np.zeros_like(x) + term` would be written, which nobody would, where the sum is read without the term."""
    factory = cell(tmp_path, ("total = dw + first", "total = dw"), source=TWICE)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (mended,) = [one for file, one in found.sources.items() if file in found.edits]
    assert mended.edited(found.edits[mended.file]) == TWICE


@pytest.mark.parametrize(
    ("source", "bug", "suspect", "expected"),
    [
        (HANDED, ("return d, -d", "return d, d"), "return d, d", []),
        (HEAD, ("outer(da, self.h", "outer(dh, self.h"), "dh =", ["da =", "dW +="]),
        (HEAD, ("outer(da, self.h", "outer(dh, self.h"), "dW +=", []),
    ],
    ids=["its own choice", "right", "wrong"],
)
def test_who_reads_what_is_right_is_asked_and_not_who_calls(
    source: str, bug: tuple[str, str], suspect: str, expected: list[str], tmp_path: Path
) -> None:
    """A right derivative would be edited for who takes it for another's, or a caller for what a function returns."""
    run, _ = taped(cell(tmp_path, bug, source=source))
    nodes = [node for node in run.backward if node.place and node.place.statement.text.startswith(suspect)]
    takers = _takers_of_right(run, SimpleNamespace(nodes=nodes))  # type: ignore[arg-type]
    others = dict.fromkeys(one.text for one in takers if not one.text.startswith(suspect))
    assert len(others) == len(expected)
    assert all(text.startswith(one) for text, one in zip(others, expected, strict=True))


#: products that forward and backward share, of keys of which some units are masked
KEYS = """\
import numpy as np
import gradcheck


def mv(M, v):
    return M @ v


def outer(a, b):
    return np.outer(a, b)


def walk(p, x, keep):
    H = len(p["K"])
    F, steps = np.zeros((H, H)), []
    for xt, kept in zip(x, keep):
        new, v = np.tanh(mv(p["K"], xt)), mv(p["V"], xt)
        k = kept * new
        steps.append((F, new, v, mv(F, k)))
        F = F + outer(v, k)
    return steps


def loss(p, x, y, keep):
    return 0.5 * sum(np.sum((out - yt) ** 2) for (*_, out), yt in zip(walk(p, x, keep), y))


def grads(p, x, y, keep):
    steps, g = walk(p, x, keep), {name: np.zeros_like(one) for name, one in p.items()}
    dF = np.zeros((len(p["K"]), len(p["K"])))
    for t in reversed(range(len(x))):
        F, new, v, out = steps[t]
        dout = out - y[t]
        k = keep[t] * new
        dv = mv(dF, k)
        dk = mv(dF.T, v) + mv(F.T, dout)
        dnew = keep[t] * dk * (1 - new ** 2)
        g["V"] += outer(dv, x[t])
        g["K"] += outer(dnew, x[t])
        dF = dF + outer(dout, k)
    return g


@gradcheck.target
def cell(rng, *, T=4, D=2, H=3):
    p = {name: rng.standard_normal((H, D)) for name in "KV"}
    x, y = rng.standard_normal((T, D)), rng.standard_normal((T, H))
    keep = (np.arange(T)[:, None] % 3 != np.arange(H) % 3).astype(float)
    keep[-1] = 1.0
    return gradcheck.Target(p, lambda: loss(p, x, y, keep), lambda: grads(p, x, y, keep))
"""


def test_what_products_of_both_are_handed_is_not_to_blame_for_them(tmp_path: Path) -> None:
    """The line of the forward that keeps the keys would be tried first, where the backward lacks their mask."""
    right, wrong = "        k = keep[t] * new\n", "        k = new\n"
    run, others = taped(cell(tmp_path, (right, wrong), source=KEYS))
    found = without_forward(run, localise(run, sorted(wrong_gradients(run)), second=others[-1].run()))
    kept = next(one for one in found.alone if one.line == line_of("steps.append", KEYS))
    assert not _spoils_others(run, found, kept)
    search = LikeliestMend(run, found, [one.taped for one in others], set())
    assert search._suspects[0] is found.alone[0]
    (fault,) = search.faults()
    assert fault.statement.line == line_of(right, KEYS)
    assert fault.mend is not None
    assert [edit.text for edit in fault.mend.edits] == ["new * keep[t]"]
