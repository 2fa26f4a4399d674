"""One array in several places: in all of a list or a dict, under two names, or handed on before it is written into."""

from __future__ import annotations

import pytest

from gradcheck._mending.one_array import copied, made_for_each, written_into
from tests.gradcheck._mending.pieces import rewritten, suspect_of

REST = "da, db = np.zeros_like(a), np.ones_like(b)"


def offers(suspect):
    """The edits of a statement."""
    return [*made_for_each(suspect.code, suspect.tree), *copied(suspect.code, suspect.tree)]


@pytest.mark.parametrize(
    ("statement", "became"),
    [
        ("d = [np.zeros(3)] * (len(a) + 1)", "d = [np.zeros(3) for _ in range(len(a) + 1)]"),
        ("d = 2 * [b]", "d = [b.copy() for _ in range(2)]"),
        ("d = [[np.zeros(3)] * 2, 1]", "d = [[np.zeros(3) for _ in range(2)], 1]"),
        ("d = dict.fromkeys(p, np.zeros(3))", "d = {key: np.zeros(3) for key in p}"),
        ("d = e = np.zeros(3)", "d = np.zeros(3)\n    e = np.zeros(3)"),
        ("d = p['k'] = b", "d = b.copy()\n    p['k'] = b.copy()"),
        ("d = b; d += 1", "d = b.copy(); d += 1"),
        ("d = b\nb[0] = 1", "d = b.copy()"),
        ("d = b\nnp.exp(a[0], out=d)", "d = b.copy()"),
    ],
)
def test_each_place_gets_an_array_of_its_own(tmp_path, statement, became):
    """If it fails, what is added to one derivative shows in others, and no line that calculates one is wrong."""
    suspect = suspect_of(tmp_path, f"p = dict(p)\n{statement}\n{REST}", statement.split("\n")[0].split(";")[0])
    lines = rewritten(suspect, offers(suspect))
    wanted = [f"    {became}".split("\n")]
    assert [one[: len(wanted[0])] for one in lines] == wanted


@pytest.mark.parametrize("statement", ["d = [0] * 3", "d = e = 0", "d = b", "d = b\nd = d + 1", "d = len(a) * 2"])
def test_what_nobody_writes_into_is_left_as_it_is(tmp_path, statement):
    """If it fails, runs are spent on copies that change nothing."""
    suspect = suspect_of(tmp_path, f"{statement}\n{REST}", statement.split("\n")[0])
    assert not offers(suspect)


def test_what_is_a_part_of_another_array_is_added_to(tmp_path):
    """If it fails, a gradient that gets an array of its own leaves zeros in the vector that it is a part of."""
    body = f"g = {{'a': a}}\ng['a'] = g['a'] + b * 2\n{REST}"
    suspect = suspect_of(tmp_path, body, "g['a'] =")
    assert rewritten(suspect, written_into(suspect.code, suspect.tree)) == [["    g['a'] += b * 2"]]
    other = suspect_of(tmp_path, body.replace("= g['a'] +", "= b +"), "g['a'] =")
    assert not list(written_into(other.code, other.tree))
