"""Edits after which a statement that spoils derivatives gives one, at more than one point."""

from __future__ import annotations

from pathlib import Path

from gradcheck._localising.spoiling import spoiling, spoiling_further_on
from gradcheck._repair.by_tape import find_by_tape
from gradcheck._repair.derivative_edits import edits_to_derivatives
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.spoiled import HEAD, SIZES, cell, line_of, taped


def test_each_statement_gets_the_edits_of_its_own(tmp_path: Path) -> None:
    """What one statement should give would be written into another."""
    bugs = [("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), ("dg *= 1 - g ** 2", "dg *= 1 - i ** 2")]
    run, others = taped(cell(tmp_path, *bugs, source=LISTS))
    found = [one for one in spoiling(run) if one.executions]
    edits = edits_to_derivatives(run, found, [one.taped for one in others], set())
    told = {one.statement.line: [edit.text for edit in each[0]] for one, each in zip(found, edits, strict=True) if each}
    assert told == {line_of(bugs[0][0], LISTS): ["t + 1"], line_of(bugs[1][0], LISTS): ["g"]}


def test_without_another_point_nothing_is_confirmed(tmp_path: Path) -> None:
    """What fits at one point by chance would be offered."""
    run, _ = taped(cell(tmp_path, ("do = dh * np.tanh(cs[t + 1])", "do = dh * np.tanh(cs[t])"), source=LISTS))
    found = [one for one in spoiling(run) if one.executions]
    assert edits_to_derivatives(run, found, [], set()) == [[] for _ in found]


#: the slope is multiplied in place: an edit of it at one step changes what all earlier steps get
IN_PLACE = HEAD.replace(
    "            da = dh * (1 - self.h[t]**2)\n", "            da = dh.copy()\n            da *= 1 - self.h[t]**2\n"
)


def test_a_factor_in_a_recurrence_is_mended(tmp_path: Path) -> None:
    """Where executions multiply each other, no candidate's product supplies what is missing."""
    old, new = "da *= 1 - self.h[t]**2", "da *= 1 - self.h[t - 1]**2"
    found = find_by_tape(cell(tmp_path, (old, new), source=IN_PLACE), 0, SIZES, {"W", "U"})
    assert found is not None
    assert found.still_wrong == ()
    assert [one.statement.line for one in found.faults] == [line_of(old, IN_PLACE)]


def test_what_comes_from_some_uses_counts(tmp_path: Path) -> None:
    """The part of a sum that is written by itself could not be told from its values."""
    old, new = 'dh = p["V"].T @ dv', 'dh = p["V"].T @ dv * hs[t + 1]'
    run, others = taped(cell(tmp_path, (old, new), source=LISTS))
    found = [one for one in spoiling(run) if one.executions]
    edits = edits_to_derivatives(run, found, [one.taped for one in others], set())
    told = {one.statement.line: each[0] for one, each in zip(found, edits, strict=True) if each}
    assert [edit.text for edit in told[line_of(old, LISTS)]] == ['p["V"].T @ dv']


def test_what_another_statement_calculates_is_no_edit(tmp_path: Path) -> None:
    """The derivative of another parameter would be written where none of this one is found."""
    old, new = 'd["Wi"] += di @ z.T', 'd["Wi"] += np.sort(di, axis=0) @ z.T'
    run, others = taped(cell(tmp_path, (old, new), source=LISTS))
    found = [one for one in spoiling(run) if one.executions]
    edits = edits_to_derivatives(run, found, [one.taped for one in others], set())
    assert not any("dg" in edit.text or "do" in edit.text for each in edits for one in each for edit in one)


def test_fruitless_statements_are_looked_at_once(tmp_path: Path) -> None:
    """Every round of a search with several faults would try the same edits again."""
    bug = ("di = i * (1 - i) * di", "di = np.sort(i, axis=0) * di")
    run, others = taped(cell(tmp_path, bug, source=LISTS))
    found = [one for one in spoiling(run) if one.executions]
    assert found
    fruitless = {(one.statement.file, one.statement.line, one.statement.text, one.executions) for one in found}
    assert edits_to_derivatives(run, found, [one.taped for one in others], fruitless) == [[] for _ in found]


#: an activation before the softmax, whose slope the backward forgets
FORGETS_A_SLOPE = (
    LISTS.replace('dh = p["V"].T @ dv', 'dh = np.dot(p["V"].T, dv)')
    .replace("v = p", "q = p")
    .replace("e = np.exp(v - v.max())", "v = np.tanh(q)\n        e = np.exp(v - v.max())")
    .replace("gates.append((z, i, o, g))", "gates.append((z, i, o, g, v))")
    .replace("z, i, o, g = g", "z, i, o, g, v = g")
)


def test_a_factor_that_is_missing_keeps_the_rest(tmp_path: Path) -> None:
    """A slope that is forgotten inside np.dot() would throw the product with the weights away, or write it anew."""
    run, others = taped(cell(tmp_path, source=FORGETS_A_SLOPE))
    found = [one for one in spoiling(run) if one.statement.line == line_of("dh = np.dot", FORGETS_A_SLOPE)]
    (edits,) = edits_to_derivatives(run, found, [one.taped for one in others], set())
    assert [edit.text for edit in edits[0]] == ["dv * (1 - v ** 2)"]


#: two sums are normalised by one helper, and so is what comes back to them
NORMALISED = """\
import numpy as np
import gradcheck


def normalise(x, gain):
    xc = x - x.mean(axis=1, keepdims=True)
    inv_std = 1 / np.sqrt((xc ** 2).mean(axis=1, keepdims=True) + 1e-3)
    xhat = xc * inv_std
    return gain * xhat, (xhat, inv_std, gain)


def normalise_backward(dout, kept):
    xhat, inv_std, gain = kept
    dxhat = dout * gain
    mean_d = dxhat.mean(axis=1, keepdims=True)
    mean_dx = (dxhat * xhat).mean(axis=1, keepdims=True)
    dx = inv_std * (dxhat - mean_d - xhat * mean_dx)
    return dx, (dout * xhat).sum(axis=0)


def forward(p, xs):
    h, kept = np.zeros((xs.shape[1], len(p["U"]))), []
    for x in xs:
        a, seen_a = normalise(x @ p["W"], p["a"])
        b, seen_b = normalise(h @ p["U"], p["b"])
        u, c = 1 / (1 + np.exp(-(a + b))), np.tanh(a - b)
        kept.append((x, h, u, c, seen_a, seen_b))
        h = (1 - u) * h + u * c
    return h, kept


def loss(p, xs, y):
    return float(0.5 * np.sum((forward(p, xs)[0] - y) ** 2))


def grads(p, xs, y):
    h, kept = forward(p, xs)
    g, dh_next = {name: np.zeros_like(one) for name, one in p.items()}, h - y
    for x, h, u, c, seen_a, seen_b in reversed(kept):
        du = dh_next * (c - h) * u * (1 - u)
        dc = dh_next * u * (1 - c ** 2)
        dh = dh_next * (1 - u)
        da, dga = normalise_backward(du + dc, seen_a)
        db, dgb = normalise_backward(du - dc, seen_b)
        g["W"] += x.T @ da
        g["U"] += h.T @ db
        g["a"] += dga
        g["b"] += dgb
        dh_next = dh + db @ p["U"].T
    return g


@gradcheck.target
def cell(rng, *, T=3, B=2, D=2, H=3):
    p = {"W": rng.standard_normal((D, H)), "U": rng.standard_normal((H, H))}
    p |= {name: rng.uniform(0.6, 1.5, H) for name in "ab"}
    xs, y = rng.standard_normal((T, B, D)), rng.standard_normal((B, H))
    return gradcheck.Target(p, lambda: loss(p, xs, y), lambda: grads(p, xs, y))
"""


def test_a_helper_that_is_called_from_several_places_is_mended(tmp_path: Path) -> None:
    """What it gives would have to be the derivative of one value for all who call it."""
    factor = "dx = inv_std * (dxhat", "dx = (dxhat"
    bugs = factor, ("dh = dh_next * (1 - u)", "dh = dh_next * u")
    run, others = taped(cell(tmp_path, *bugs, source=NORMALISED))
    found = run.once(spoiling_further_on)
    edits = edits_to_derivatives(run, found, [one.taped for one in others], set(), spoiling_further_on)
    told = {one.statement.line: each[0] for one, each in zip(found, edits, strict=True) if each}
    assert [edit.text for edit in told[line_of(factor[0], NORMALISED)]] == [
        "(dxhat - mean_d - xhat * mean_dx) * inv_std"
    ]


#: inputs of a recurrence go through a mask that is given from outside
MASKED = """\
import numpy as np
import gradcheck


def forward(p, x, mask):
    h, kept = np.zeros(len(p["U"])), []
    for t, xt in enumerate(x):
        n = np.tanh(p["W"] @ xt)
        before, h = h, np.tanh(n * mask + p["U"] @ h)
        kept.append((n, before, h))
    return kept


def grads(p, x, y, mask):
    g, carry = {name: np.zeros_like(one) for name, one in p.items()}, 0.0
    kept = forward(p, x, mask)
    for t in reversed(range(len(x))):
        n, before, h = kept[t]
        da = (h - y[t] + carry) * (1 - h ** 2)
        dn = da * mask
        g["W"] += np.outer(dn * (1 - n ** 2), x[t])
        g["U"] += np.outer(da, before)
        carry = p["U"].T @ da
    return g


@gradcheck.target
def cell(rng, *, T=3, D=2, H=4):
    p = {"W": rng.standard_normal((H, D)), "U": rng.standard_normal((H, H))}
    x, y, mask = (rng.standard_normal(shape) for shape in ((T, D), (T, H), (H,)))

    def loss():
        return 0.5 * sum(np.sum((h - yt) ** 2) for (*_, h), yt in zip(forward(p, x, mask), y))

    return gradcheck.Target(p, loss, lambda: grads(p, x, y, mask))
"""


def test_the_derivative_of_a_mask_is_no_edit(tmp_path: Path) -> None:
    """What multiplies the mask would be written in the place of the mask: a derivative, for which nobody asks."""
    bug = ("dn = da * mask", "dn = da * before")
    run, others = taped(cell(tmp_path, bug, source=MASKED))
    (one,) = [one for one in spoiling(run) if one.executions]
    (edits,) = edits_to_derivatives(run, [one], [each.taped for each in others], set())
    texts = [[edit.text for edit in each] for each in edits]
    assert texts[0] == ["mask"]
    assert ["n"] not in texts
