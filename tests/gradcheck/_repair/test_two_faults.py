"""Two faults in one program, each of which is told and mended at its own line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._localising.spoiling import spoiling
from gradcheck._repair import by_tape
from gradcheck._repair.derivative_edits import edits_to_derivatives
from gradcheck._repair.found import Found
from gradcheck._repair.points import points_of, points_of_one_step
from gradcheck._repair.tape_findings import tape_findings
from gradcheck._repair.wrong_values import wrong_gradients
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.minimal import LACKS_PRODUCT, MINIMAL
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for, taped
from tests.gradcheck._repair.two_layers import LOST_SHARE, TWO_LAYERS

#: gates that look at the state, so that the carry is a sum of three terms
PEEPHOLE = """\
import numpy as np
import gradcheck


def forward(p, x):
    c, kept = np.zeros(len(p["u"])), []
    for xt in x:
        i, f = (1 / (1 + np.exp(-(p[w] * xt + p[u] * c))) for w, u in ("iu", "fv"))
        before, g = c, np.tanh(p["g"] * xt)
        c = f * c + i * g
        kept.append((before, i, f, g, np.tanh(c)))
    return kept


def loss(p, x, y):
    return float(0.5 * sum(np.sum((h - yt) ** 2) for (*_, h), yt in zip(forward(p, x), y)))


def grads(p, x, y):
    kept, d = forward(p, x), {name: np.zeros_like(one) for name, one in p.items()}
    dc_next = np.zeros(len(p["u"]))
    for t in reversed(range(len(x))):
        before, i, f, g, h = kept[t]
        dh = h - y[t]
        dc = dh * (1 - h * h) + dc_next
        di = dc * g * i * (1 - i)
        df = dc * before * f * (1 - f)
        dg = dc * i * (1 - g * g)
        d["i"] += di * x[t]
        d["f"] += df * x[t]
        d["g"] += dg * x[t]
        d["u"] += di * before
        d["v"] += df * before
        dc_next = dc * f + di * p["u"] + df * p["v"]
    return d


@gradcheck.target
def cell(rng, *, T=4, H=2):
    p = {name: rng.standard_normal(H) for name in "ifguv"}
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
CARRY, ADDED = ("dc_next = dc * f + di", "dc_next = dc + di"), ('d["u"] += di * before', 'd["u"] = di * before')
#: a recurrence whose steps lie side by side, behind the batch
SIDE_BY_SIDE = """\
import numpy as np
import gradcheck


def states(p, x):
    hs = np.zeros((len(x), x.shape[1] + 1, len(p["b"])))
    hs[:, 0] = p["h0"]
    for t in range(x.shape[1]):
        hs[:, t + 1] = np.tanh(x[:, t] @ p["W"].T + hs[:, t] @ p["U"].T + p["b"])
    return hs


def loss(p, x, y):
    return 0.5 * np.sum((states(p, x)[:, 1:] - y) ** 2)


def grads(p, x, y):
    hs, da = states(p, x), np.zeros(y.shape)
    dx, dh = np.zeros(x.shape), np.zeros(y[:, 0].shape)
    for t in reversed(range(x.shape[1])):
        da[:, t] = (hs[:, t + 1] - y[:, t] + dh) * (1 - hs[:, t + 1] ** 2)
        dh = da[:, t] @ p["U"]
        dx[:, t] = da[:, t] @ p["W"]
    dW = np.einsum("btg,btd->gd", da, x)
    dU = np.einsum("btg,bth->gh", da, hs[:, :-1])
    return {"W": dW, "U": dU, "b": da.sum(axis=(0, 1)), "h0": dh, "x": dx}


@gradcheck.target
def cell(rng, *, T=4, B=2, H=3):
    p = {"W": rng.standard_normal((H, H)), "U": rng.standard_normal((H, H)), "b": rng.standard_normal(H)}
    x, y, p["h0"] = (rng.standard_normal(shape) for shape in ((B, T, H), (B, T, H), (B, H)))
    return gradcheck.Target(p | {"x": x}, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""
#: attention whose scores are an einsum of three arrays
ATTENDING = """\
import numpy as np
import gradcheck


def forward(p, enc, x):
    d, c, kept = enc[:, -1], np.zeros_like(enc[:, 0]), []
    for xt in x:
        before = d, c
        d = np.tanh(xt @ p["W"] + d @ p["U"] + c @ p["C"])
        w = np.exp(np.einsum("bh,hk,bsk->bs", d, p["M"], enc))
        w = w / w.sum(axis=1, keepdims=True)
        c = np.einsum("bs,bsh->bh", w, enc)
        kept.append((*before, d, w, c, d @ p["V"] + c @ p["R"]))
    return kept


def loss(p, enc, x, y):
    return float(0.5 * sum(np.sum((out - yt) ** 2) for (*_, out), yt in zip(forward(p, enc, x), y)))


def grads(p, enc, x, y):
    kept, g = forward(p, enc, x), {name: np.zeros_like(one) for name, one in p.items()}
    d_carry, c_carry = np.zeros_like(enc[:, 0]), np.zeros_like(enc[:, 0])
    for t in reversed(range(len(x))):
        d_prev, c_prev, d, w, c, out = kept[t]
        e = out - y[t]
        g["V"] += d.T @ e
        g["R"] += c.T @ e
        dd = e @ p["V"].T + d_carry
        dc = e @ p["R"].T + c_carry
        dw = np.einsum("bh,bsh->bs", dc, enc)
        dscore = w * (dw - (w * dw).sum(axis=1, keepdims=True))
        g["M"] += np.einsum("bs,bh,bsk->hk", dscore, d, enc)
        dd = dd + np.einsum("bs,hk,bsk->bh", dscore, p["M"], enc)
        da = dd * (1 - d ** 2)
        g["W"] += x[t].T @ da
        g["U"] += d_prev.T @ da
        g["C"] += c_prev.T @ da
        d_carry = da @ p["U"].T
        c_carry = da @ p["C"].T
    return g


@gradcheck.target
def cell(rng, *, T=3, B=2, S=4, H=3):
    p = {name: rng.standard_normal((H, H)) for name in "WUCMVR"}
    enc, x, y = rng.standard_normal((B, S, H)), rng.standard_normal((T, B, H)), rng.standard_normal((T, B, H))
    return gradcheck.Target(p, lambda: loss(p, enc, x, y), lambda: grads(p, enc, x, y))
"""
THROUGH_SCORES = '        dd = dd + np.einsum("bs,hk,bsk->bh", dscore, p["M"], enc)\n'


def mended(folder: Path, *bugs: tuple[str, str], source: str) -> tuple[str, Found]:
    """The text with the edits that are found, and what was found; all gradients are right with them."""
    factory = cell(folder, *bugs, source=source)
    found = looked_for(factory)
    assert found.still_wrong == ()
    (changed,) = [one for file, one in found.sources.items() if file in found.edits]
    return changed.edited(found.edits[changed.file]), found


@pytest.mark.parametrize(
    "other_form",
    [
        [],
        [("-(p[w] * xt + p[u] * c)", "-p[w] * xt - p[u] * c")],  # the pre-activation is no value of the forward
        [("f, g, np.tanh(c)", "f, g, c"), ("dc = dh * (1 - h * h) + dc_next", "dc = dh + dc_next")],
    ],
)
def test_a_carry_that_is_one_sum_is_mended_beside_another_fault(
    tmp_path: Path, other_form: list[tuple[str, str]]
) -> None:
    """A term would be sought as a whole derivative only, and right lines that read the carry be accused."""
    right = PEEPHOLE
    for old, new in other_form:
        assert old in right
        right = right.replace(old, new)
    text, found = mended(tmp_path, CARRY, ADDED, source=right)
    assert text == right
    lines = [line_of(one, right) for one, _ in (ADDED, CARRY)]
    assert sorted(one.line or 0 for one in found.faults) == lines


def test_a_term_of_it_counts_where_others_give_the_rest(tmp_path: Path) -> None:
    """A sum would be cut down to any of its terms, each of which is a part of a derivative."""
    run, others = taped(cell(tmp_path, CARRY, ADDED, source=PEEPHOLE))
    found = [one for one in spoiling(run) if one.executions]
    assert [one.statement.line for one in found] == [line_of(CARRY[0], PEEPHOLE)]
    (edits,) = edits_to_derivatives(run, found, [one.taped for one in others], set())
    assert [[edit.text for edit in each] for each in edits] == [["dc * f"]]


def test_a_path_through_an_einsum_is_written_with_the_sum_at_hand(tmp_path: Path) -> None:
    """The path through the scores would not be written, or the terms of `dd` be written out a second time."""
    text, found = mended(tmp_path, (THROUGH_SCORES, ""), source=ATTENDING)
    path = THROUGH_SCORES.strip().removeprefix("dd = ")
    assert text == ATTENDING.replace(THROUGH_SCORES, "").replace("da = dd *", f"da = ({path}) *")
    assert [one.statement.text for one in found.faults] == ["da = dd * (1 - d ** 2)"]


def test_a_carry_gets_the_product_that_it_lacks(tmp_path: Path) -> None:
    """What the output brings, which is added at the next step, would be written into the carry as well, or nothing."""
    right, wrong = 'g["W"] += np.outer(dc, x[t])', 'g["W"] += np.outer(df, x[t])'
    text, found = mended(tmp_path, LACKS_PRODUCT, (right, wrong), source=MINIMAL)
    assert text == MINIMAL.replace('dfh * f + p["Uf"].T @ df', 'p["Uf"].T @ df + dfh * f')
    assert sorted(one.line for one in found.faults) == [line_of(one, MINIMAL) for one in (right, LACKS_PRODUCT[0])]


def test_what_was_bound_in_vain_is_kept_beside_another_fault(tmp_path: Path) -> None:
    """A carry would be invented that brings what an assignment has thrown away."""
    right, wrong = "ge += np.sum(d2, axis=1", "ge += np.sum(e, axis=1"
    text, found = mended(tmp_path, LOST_SHARE, (right, wrong), source=TWO_LAYERS)
    assert text == TWO_LAYERS
    told = {one.line: one.code for one in tape_findings(found, verified=True)}
    assert set(told) == {line_of(LOST_SHARE[0], TWO_LAYERS), line_of(right, TWO_LAYERS)}
    assert told[line_of(LOST_SHARE[0], TWO_LAYERS)] == FindingCode.TERM_MISSING


@pytest.mark.lines
def test_what_is_right_where_there_is_one_step_is_right_with_all(tmp_path: Path) -> None:
    """The first step would be taken for all but the last, which is the same of two."""
    bugs = ("da, hs[:, :-1]", "da, hs[:, 1:]"), ('"b": da.sum(axis=(0, 1))', '"b": dx.sum(axis=(0, 1))')
    subject = cell(tmp_path, *bugs, source=SIDE_BY_SIDE)
    sizes, found = {"T": 4, "B": 2, "H": 3}, Found()
    search = by_tape._Search(subject, {"U", "b"}, (), is_impure=False, keeps_state=False)
    search.one_step = lambda: points_of_one_step(subject, 0, sizes, None)
    points = next(iter(points_of(subject, 0, sizes, None)))
    with search._runs.taped(points[0], found) as run:
        by_tape._add_sources(found, run, points[0])
    assert search._one_step(points, found)
    with search._runs.taped(points[0], found) as run:
        assert not wrong_gradients(run)
