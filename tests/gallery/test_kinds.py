"""Every kind of gradient bug is caught, and the cells that they are planted in are right.

``pytest -s tests/gallery/test_kinds.py -k table`` prints the kinds, what a check says of each, and the smallest size at
which it is caught.
"""

from __future__ import annotations

from functools import cache

import pytest

import gradcheck
from gradcheck._checking import lines
from tests.gallery.kinds import CORRECT, KINDS, outcome
from tests.gallery.plant import plant

IDS = [f"{kind.cell}: {kind.name}" for kind in KINDS]
#: one kind of each cell, which is checked at all sizes
FIRST = {kind.cell: number for number, kind in reversed(list(enumerate(KINDS)))}


@pytest.fixture(autouse=True)
def without_lines(monkeypatch):
    """Verdicts and sizes are what is tested here; the search for lines cannot change them, and takes seconds."""
    monkeypatch.setattr(lines, "with_line_findings", lambda _, report: report)


@cache
def checked(number):
    """The whole check of a kind, down to the smallest size; once for the tests and the table."""
    return gradcheck.check(KINDS[number].target)


def _at_one_size(kind):
    """What a check says where sizes are given, which mostly settles it."""
    return gradcheck.check(kind.target.with_sizes(**kind.target.sizes))


@pytest.mark.parametrize("number", range(len(KINDS)), ids=IDS)
def test_a_planted_bug_is_caught(number):
    """A bug of this kind in a user's backward would pass."""
    kind = KINDS[number]
    report = checked(number) if FIRST[kind.cell] == number else _at_one_size(kind)
    if outcome(report) not in kind.verdicts:
        report = checked(number)
    assert outcome(report) in kind.verdicts, str(report)


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("kind", KINDS, ids=IDS)
def test_a_planted_bug_is_caught_at_a_larger_size(kind, seed):
    """A bug of this kind would be seen by luck, or in toys alone."""
    larger = {name: value + 1 for name, value in kind.target.sizes.items()}
    report = gradcheck.check(kind.target.with_sizes(**larger), explain=False, seed=seed)
    assert outcome(report) in kind.verdicts, str(report)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("cell", CORRECT)
def test_the_cell_without_a_bug_is_right(cell, seed):
    """What is caught would be the cell, not the bug planted in it."""
    report = gradcheck.check(CORRECT[cell], explain=False, seed=seed)
    assert report.ok, str(report)


def test_each_kind_has_a_name_of_its_own():
    """Two kinds of one name would be told as one."""
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_the_table(capsys, request):
    """One that is caught would have no cause and no law to show."""
    if request.config.getoption("capture") != "no":
        pytest.skip("printed with pytest -s, which takes a minute: down to the smallest size of each kind")
    rows = [(kind, checked(number)) for number, kind in enumerate(KINDS)]
    with capsys.disabled():
        print()
        for kind, report in rows:
            print(f"{kind.cell:14}{kind.name:58}{kind.shows:40}{_said(report):44}{_size(report)}")
    assert all(report.findings for kind, report in rows if kind.verdicts in (("wrong",), ("law",)))


def test_a_bug_that_would_not_be_planted_is_refused():
    """A cell that was rewritten would be checked without its bug, or with two of them."""
    with pytest.raises(ValueError, match="0 times, expected once"):
        plant("lstm", "nothing", ("no such text", ""))


def _said(report):
    causes = dict.fromkeys(finding.kind for finding in report.findings)
    return f"{report.verdict}: {', '.join(causes)}" if causes else report.verdict


def _size(report):
    return ", ".join(f"{name}={value}" for name, value in (report.smallest or {}).items())
