"""Faults that show by their form: late binding, arrays kept and overwritten, resets, one end of a difference."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.found import Found
from gradcheck._repair.tape_findings import tape_findings
from gradcheck.report.codes import FindingCode
from tests.gradcheck._repair.spoiled import cell, line_of, looked_for

#: has all of these forms where they are right: pullbacks from a loop, updates in place, resets, differences
TANK = """\
import numpy as np
import gradcheck


def fill(p, x, begins):
    level, before, parts, pulls = np.zeros(len(p["w"])), [], [], []
    for t in range(len(x)):
        if begins[t]:
            level = np.zeros(len(level))
        keep, flow = 1 / (1 + np.exp(-p["w"] * x[t])), np.tanh(p["v"] * x[t])
        before.append(level)
        level = level * keep
        level += flow
        parts.append((keep, flow, np.sin(level), np.cos(level)))
        pulls.append(lambda d, later, t=t: drain(d, later, x[t], before[t], *parts[t]))
    return np.array([seen for _, _, seen, _ in parts]), pulls


def drain(d, later, xt, before, keep, flow, _, slope):
    d = d * slope
    d += later
    dkeep, dflow = d * before, d * 1.0
    dkeep *= keep * (1 - keep)
    dflow *= 1 - flow ** 2
    return d * keep, dkeep * xt, dflow * xt


def loss(p, x, y, begins):
    seen, _ = fill(p, x, begins)
    return float(0.5 * np.sum((seen - y) ** 2) + 0.3 * np.sum((seen[1:] - seen[:-1]) ** 2))


def grads(p, x, y, begins):
    seen, pulls = fill(p, x, begins)
    dseen, rise = seen - y, 0.6 * (seen[1:] - seen[:-1])
    dseen[1:] += rise
    dseen[:-1] -= rise
    g, later = {name: np.zeros_like(one) for name, one in p.items()}, np.zeros(len(p["w"]))
    for t in reversed(range(len(x))):
        later, dw, dv = pulls[t](dseen[t], later)
        g["w"] += dw
        g["v"] += dv
        if begins[t]:
            later = np.zeros(len(later))
    return g


@gradcheck.target
def cell(rng, *, T=4, H=2):
    p, begins = {"w": rng.standard_normal(H), "v": rng.standard_normal(H)}, np.arange(T) % 3 == 0
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y, begins), lambda: grads(p, x, y, begins))
"""
LATE = ("later, t=t: drain", "later: drain")
OVERWRITTEN = ("level = level * keep", "level *= keep")
CLEARED = ('        g["v"] += dv\n', '        g["v"] += dv\n        later = np.zeros_like(later)\n')
SHARED = ("{name: np.zeros_like(one) for name, one in p.items()}", 'dict.fromkeys(p, np.zeros_like(p["w"]))')
UPPER_END = ("    dseen[:-1] -= rise\n", "")
LOWER_END = ("    dseen[1:] += rise\n", "")


def found_in(folder: Path, *bugs: tuple[str, str]) -> tuple[str, Found]:
    """The text with the edits that are found, and what was found."""
    factory = cell(folder, *bugs, source=TANK)
    found = looked_for(factory)
    (source,) = [one for file, one in found.sources.items() if file in found.edits]
    return source.edited(found.edits[source.file]), found


@pytest.mark.parametrize(
    ("bug", "code"),
    [
        (LATE, FindingCode.BINDS_LATE),
        (OVERWRITTEN, FindingCode.MISSING_COPY),
        (CLEARED, FindingCode.EXTRA_STATEMENT),
        (SHARED, FindingCode.SHARED_ARRAY),
        (UPPER_END, FindingCode.MISSING_STATEMENT),
        (LOWER_END, FindingCode.MISSING_STATEMENT),
    ],
)
def test_what_has_the_form_is_named_and_mended(tmp_path: Path, bug: tuple[str, str], code: FindingCode) -> None:
    """Lines that only read what is spoiled would be accused: nothing that the wrong one calculates is wrong."""
    text, found = found_in(tmp_path, bug)
    assert found.still_wrong == ()
    ((finding, fault),) = zip(tape_findings(found, verified=True), found.faults, strict=True)
    assert finding.code == code
    assert finding.fix is not None
    if bug is CLEARED:
        assert fault.statement.text == "later = np.zeros_like(later)"
        assert text == TANK.replace(bug[0], bug[1].replace("later = np.zeros_like(later)", "pass"))
    elif bug is LOWER_END:
        assert text == TANK.replace(LOWER_END[0], "").replace(UPPER_END[0], UPPER_END[0] + LOWER_END[0])
    elif bug is SHARED:
        assert text == TANK.replace(SHARED[0], '{key: np.zeros_like(p["w"]) for key in p}')
    else:
        assert text == TANK
        assert finding.line == line_of(bug[0] if bug[1] else "dseen[1:] += rise", TANK)


def test_a_reset_beside_another_mistake_is_left_out(tmp_path: Path) -> None:
    """What hands nothing on hides what else is wrong, so that right lines would be edited to make up for it."""
    right, wrong = "dflow *= 1 - flow ** 2", "dflow *= 1 - flow"
    text, found = found_in(tmp_path, CLEARED, (right, wrong))
    assert found.still_wrong == ()
    assert {one.statement.text for one in found.faults} == {"later = np.zeros_like(later)", wrong}
    assert right in text


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dflow *= 1 - flow ** 2", "dflow *= 1 - flow"),
        ("d = d * slope", "d = d * keep"),
        ('g["w"] += dw', 'g["w"] = dw'),
        ("dkeep, dflow = d * before, d * 1.0", "dkeep, dflow = d * slope, d * 1.0"),
    ],
)
def test_right_code_of_such_forms_is_left_as_it_is(tmp_path: Path, old: str, new: str) -> None:
    """Beside a plain mistake, right pullbacks, updates in place and resets would be edited as well, or instead."""
    text, found = found_in(tmp_path, (old, new))
    assert found.still_wrong == ()
    assert [one.statement.line for one in found.faults] == [line_of(old, TANK)]
    assert text == TANK


#: a slope that goes through two paths, of which the second replaces the first
TWO_PATHS = """\
import numpy as np
import gradcheck


def loss(p, x):
    return np.sum(np.sin(p["w"] * x)) + 0.5 * np.sum(p["w"] ** 2 * x)


def grads(p, x):
    b = np.cos(p["w"] * x) * x
    b += p["w"] * x
    return {"w": b}


@gradcheck.target
def cell(rng, *, H=3):
    p, x = {"w": rng.standard_normal(H)}, rng.standard_normal(H)
    return gradcheck.Target(p, lambda: loss(p, x), lambda: grads(p, x))
"""


@pytest.mark.parametrize(
    ("source", "bug", "term"),
    [(TWO_PATHS, ('b += p["w"] * x', 'b = p["w"] * x'), "b"), (TANK, ("d += later", "d = later"), "d")],
    ids=["paths", "tank"],
)
def test_what_is_bound_anew_is_told_as_the_term_that_is_missing(
    source: str, bug: tuple[str, str], term: str, tmp_path: Path
) -> None:
    """The message would say that a term is missing, and not which."""
    factory = cell(tmp_path, bug, source=source)
    found = looked_for(factory)
    (finding,) = tape_findings(found, verified=True)
    assert (finding.code, finding.line) == (FindingCode.TERM_MISSING, line_of(bug[0], source))
    assert finding.message.startswith(f"the term {term} is missing")
