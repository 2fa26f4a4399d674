"""One edit where a variable is bound, in the place of several where it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gradcheck._mending import Mend
from gradcheck._repair.forward import taped_at
from gradcheck._repair.found import EditedCode, Found, Mended, add_mend
from gradcheck._repair.where_bound import Instead, _fetches_value, _statement, mend_where_bound
from gradcheck._tape import TapedRun
from gradcheck._usercode.source import Edit, Source
from tests.gradcheck._repair.forecaster import FORECASTER, NOT_BY_SCORES, mended
from tests.gradcheck._repair.minimal import MINIMAL
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, looked_for, taped


@pytest.mark.lines
def test_a_derivative_that_is_forgotten_is_one_fault(tmp_path: Path) -> None:
    """Each statement that reads what was handed on as it is would be accused, and not the one that does so."""
    text, found = mended(tmp_path, *NOT_BY_SCORES, ("dz = dh * (1 - hs[t + 1] ** 2)", "dz = dh"))
    assert found.still_wrong == ()
    assert "        dz = dh * (1 - hs[t + 1]**2)\n" in text
    assert sorted(one.line for one in found.faults if one.line is not None) == [
        line_of("dhs = np.outer(alpha", FORECASTER),
        line_of("dz = dh * (1", FORECASTER),
    ]


@pytest.mark.lines
def test_what_is_wrong_where_it_is_read_is_mended_there(tmp_path: Path) -> None:
    """A right statement would be edited, because two that read what it gives are wrong in the same way."""
    reads_dh = ('g["W"] += np.outer(dz, x[t])', 'g["W"] += np.outer(dh, x[t])')
    text, found = mended(tmp_path, reads_dh, ('dh_next = p["U"].T @ dz', 'dh_next = p["U"].T @ da'))
    assert found.still_wrong == ()
    assert text == FORECASTER


#: the state before each step has a name that one expression reads
STATES = """\
import numpy as np
import gradcheck


def forward(p, x):
    cs, kept = [np.zeros(len(p["f"]))], []
    for xt in x:
        f, z = 1 / (1 + np.exp(-p["f"] * xt)), np.tanh(p["z"] * xt)
        cs.append(f * cs[-1] + z)
        kept.append((f, z))
    return cs, kept


def grads(p, x):
    (cs, kept), g, dc = forward(p, x), {name: np.zeros_like(one) for name, one in p.items()}, 0.0
    for t in reversed(range(len(x))):
        f, z = kept[t]
        c_prev = cs[t]
        dc = dc + cs[t + 1]
        df = dc * c_prev
        g["f"] += df * f * (1 - f) * x[t]
        g["z"] += dc * (1 - z ** 2) * x[t]
        dc = dc * f
    return g


@gradcheck.target
def cell(rng, *, T=4, H=3):
    p, x = {"f": rng.standard_normal(H), "z": rng.standard_normal(H)}, rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: 0.5 * sum(np.sum(c**2) for c in forward(p, x)[0]), lambda: grads(p, x))
"""
OTHER_STEP = ("c_prev = cs[t]", "c_prev = cs[t + 1]")


@pytest.mark.parametrize(
    ("bugs", "text", "edit"),
    [
        ((OTHER_STEP,), "c_prev = cs[t]", "cs[t]"),
        # it is read elsewhere, where it may be right
        ((OTHER_STEP, ("dc = dc * f\n", "dc = dc * f + 0 * c_prev\n")), "df = dc * c_prev", "cs[t]"),
        # it is a right derivative, which others should not read
        (
            (('df * f * (1 - f)', 'dc * c_prev * f * (1 - f)'), ('g["z"] += dc', 'g["z"] += df')),
            'g["z"] += dc * (1',
            "dc",
        ),
    ],
    ids=["read once", "read twice", "right"],
)  # fmt: skip
def test_a_wrong_read_is_told_where_it_is_bound(
    bugs: tuple[tuple[str, str], ...], text: str, edit: str, tmp_path: Path
) -> None:
    """The value of another step would be told where its name is right; or a right statement that binds a name."""
    factory = cell(tmp_path, *bugs, source=STATES)
    found = looked_for(factory)
    assert found.still_wrong == ()
    assert [(one.line, [one.text for one in one.edits]) for one in found.faults] == [(line_of(text, STATES), [edit])]


#: what comes back to a gate is a sum of two parts, which has a name
IN_PARTS = MINIMAL.replace(
    "        df = (dh * (c - h) + dfh * h) * f * (1 - f)",
    "        slope = f * (1 - f)\n        dgate = dh * (c - h) + dfh * h\n        df = dgate * slope",
)


def test_a_part_of_a_derivative_is_completed_where_it_is_bound(tmp_path: Path) -> None:
    """The right statement that reads what lacks a part would be edited, since a part is right as far as it goes."""
    right = "dgate = dh * (c - h) + dfh * h"
    factory = cell(tmp_path, (right, "dgate = dfh * h"), source=IN_PARTS)
    found = looked_for(factory)
    assert found.still_wrong == ()
    assert [one.line for one in found.faults] == [line_of(right, IN_PARTS)]


#: what comes of the error gets a name of its own, once the slope of the output is in it
OUTPUT = """\
import numpy as np
import gradcheck


def forward(p, x):
    h, kept = p["h"], []
    for xt in x:
        before, h = h, np.tanh(p["W"] @ h + xt)
        kept.append((before, h, 1 / (1 + np.exp(-p["V"] @ h - p["b"]))))
    return kept


def loss(p, x, y):
    return float(0.5 * sum(np.sum((o - yt) ** 2) for (_, _, o), yt in zip(forward(p, x), y)))


def grads(p, x, y):
    kept, g, dnext = forward(p, x), {name: np.zeros_like(one) for name, one in p.items()}, 0.0
    for (before, h, out), yt in zip(reversed(kept), reversed(y)):
        error = out - yt
        dout = error * out * (1 - out)
        g["V"] += np.outer(dout, h)
        g["b"] += dout
        dh = p["V"].T @ dout + dnext
        da = dh * (1 - h ** 2)
        g["W"] += np.outer(da, before)
        dbefore = p["W"].T @ da
        dnext = dbefore
    g["h"] += dnext
    return g


@gradcheck.target
def cell(rng, *, T=3, H=3):
    shapes = {"W": (H, H), "V": (2, H), "b": 2, "h": H}
    p = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, 2))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""


def told_at(folder: Path, bug: tuple[str, str], value: str, edited: str) -> int | None:
    """The line at which the mistake is told, where it was mended in the statement with this value."""
    factory, file = cell(folder, bug, source=OUTPUT), str(folder / "cell.py")
    run, points = taped(factory)
    running = Source.of_running(file)
    assert running is not None
    line = line_of(value, running.text)
    start = running.lines[line - 1].index(value)
    statement = taped_at(run, file, line)
    assert statement is not None
    mend = Mend(file, (Edit((line, start), (line, start + len(value)), edited),), statement, (), (), "")
    found = Found(sources={file: running}, codes=list(run.program.codes))
    assert add_mend(found, Mended(statement, ("W",), None, mend), {})

    @contextmanager
    def with_edits(of: Found) -> Iterator[TapedRun]:
        with EditedCode(of, is_factory=True).in_place(), points[0].taped() as edited_run:
            yield edited_run

    mend_where_bound(found, with_edits)
    return found.faults[0].line


def test_what_only_gets_another_name_lacks_what_is_missing(tmp_path: Path) -> None:
    """The statement before would be accused, which is right."""
    bug = ("dout = error * out * (1 - out)", "dout = error")
    assert told_at(tmp_path, bug, "out - yt", "(out - yt) * out * (1 - out)") == line_of("dout =", OUTPUT)


def test_what_is_handed_from_round_to_round_is_mended_before(tmp_path: Path) -> None:
    """The statement that hands a derivative on would be accused, whatever is wrong with it."""
    bug = ('dbefore = p["W"].T @ da', "dbefore = da")
    assert told_at(tmp_path, bug, "dbefore = da", 'dbefore = p["W"].T @ da') == line_of("dbefore =", OUTPUT)


#: the state is fetched under a name that one expression reads
FETCHED = HEAD.replace(
    "            da = dh * (1 - self.h[t]**2)\n", "            h = kept.pop()\n            da = dh * (1 - h**2)\n"
).replace(
    "        for t in range(len(self.x), 0, -1):",
    "        kept = list(self.h)\n        for t in range(len(self.x), 0, -1):",
)


def test_who_only_fetches_what_the_forward_has_kept_is_told_from_others(tmp_path: Path) -> None:
    """`h = kept.pop() ** 2` would be proposed where `1 - h` should be `1 - h**2`: that is on the other line."""
    run, _ = taped(cell(tmp_path, source=FETCHED))
    texts = "h = kept.pop()", "dh = self.h[t] + carry", "da = dh", "carry = self.W.T @ da"
    statements = [next(one for one in run.statements if one.text.startswith(text)) for text in texts]
    assert [_fetches_value(run, one) for one in statements] == [True, False, False, False]


def test_of_statements_alike_the_nearest_is_told() -> None:
    """A line would be told with the name of another function."""
    alike = [SimpleNamespace(text="y = f()", kind="Assign", file="a.py", line=line) for line in (30, 49)]
    instead = Instead("a.py", 48, "Assign", "y = f()", Edit((48, 4), (48, 7), "g()"))
    assert _statement(cast(Any, alike), instead) is alike[1]
