"""Small edits inside an expression: slices, words, the names of gradients."""

from __future__ import annotations

import pytest

from gradcheck._mending import mends
from gradcheck._mending.details import indices, indices_inside, numbers, words
from gradcheck._mending.search import spelled_otherwise
from tests.gradcheck._mending.pieces import became, candidates, suspect_of

ZEROS = "da, db = np.zeros_like(a), np.ones_like(b)\n"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a[:, :n]", {"a[:, -n:]", "a[:, :-n]", "a[:, n:]", "a[:, :]", "a[:, : 2 * n]"}),
        ("a[:, -n:]", {"a[:, n:]", "a[:, :n]", "a[:, :-n]"}),
        ("a[:, -(n + 1):]", {"a[:, n + 1:]", "a[:, :n + 1]"}),
        ("a[:, :len(b)]", {"a[:, -len(b):]", "a[:, :-len(b)]"}),
        ("a[:, :n + 1]", {"a[:, -(n + 1):]", "a[:, n + 1:]"}),
    ],
)
def test_slices_end_at_the_same_distance_from_the_other_end(tmp_path, given, expected):
    """If it fails, a slice of the first entries in the place of the last, or of all but those, gets no fix."""
    suspect = suspect_of(tmp_path, f"{ZEROS}n = 1\nrows = {given}\nda[:, :] += np.sum(rows)", "rows =")
    found = {text.replace(" ", "") for text in candidates(suspect, indices)}
    assert {f"rows={text}".replace(" ", "") for text in expected} <= found


#: a slice and a size that another function of the file has
ELSEWHERE = """
def parts(x, n):
    return x[:, 1:3], x[:, n + 1 : 7], x[:, m:]
"""


def test_slices_of_the_file_are_tried_as_they_are(tmp_path):
    """If it fails, the slice that another function takes of the same array is not written where it is missing."""
    suspect = suspect_of(tmp_path, f"{ZEROS}n = 1\nda[:, :2] = a[:, :2]", "da[:", head=ELSEWHERE)
    found = candidates(suspect, indices)
    assert {"da[:, :2] = a[:, 1:3]", "da[:, :2] = a[:, n + 1 : 7]"} <= set(found)
    assert not any("m:" in text for text in found)  # that is no name here
    assert suspect.code.slices
    assert not any(one.lower is None and one.upper is None for one in suspect.code.slices)


def test_steps_come_before_slices(tmp_path):
    """If it fails, slices of what all steps have use up the runs that there are, and a step too late gets no fix."""
    body = f"{ZEROS}t = 1\nrows = a[:, t] + a[:, t + 1]\nda[:, 0] += rows"
    found = candidates(suspect_of(tmp_path, body, "rows ="), indices)
    assert {"rows = a[:, t - 1] + a[:, t + 1]", "rows = a[:, t] + a[:, t]"} <= set(found[:4])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("rows[t * n + k]", {"rows[(t + 1) * n + k]", "rows[(t - 1) * n + k]", "rows[t * n + (k + 1)]"}),
        ("rows[at(t, k)]", {"rows[at(t + 1, k)]", "rows[at(t, k - 1)]", "rows[at(t, n + k)]"}),
        ("rows[at(t - 1, k)]", {"rows[at(t, k)]", "rows[at(t + 1, k)]"}),
    ],
)
def test_a_step_inside_a_calculated_index_is_another(tmp_path, given, expected):
    """If it fails, the wrong step in an array of one axis for steps and units gets no fix."""
    body = f"{ZEROS}t, n, k, rows = 1, 1, 0, [a * j for j in range(9)]\nat = lambda i, j: i + j\nda = {given} * 1"
    found = candidates(suspect_of(tmp_path, body, "da = rows"), indices_inside)
    assert {f"da = {text} * 1" for text in expected} <= set(found)


def test_a_plain_index_is_none_that_is_calculated(tmp_path):
    """If it fails, all edits of plain indices are tried a second time."""
    body = f"{ZEROS}t, n, rows = 1, 1, [a, a, a]\nda = rows[t] * 1"
    assert candidates(suspect_of(tmp_path, body, "da = rows"), indices_inside) == []


#: a function that begins behind a number of entries
OFFSET = """
def behind(x, i):
    return x[skip + i]
"""


def test_what_the_file_begins_an_index_behind_comes_first(tmp_path):
    """If it fails, sizes that begin no index are tried first, and the right one may not be reached."""
    body = f"{ZEROS}n, k, skip, rows = 1, 0, 2, [a * j for j in range(9)]\nat = lambda i: i\nda = rows[at(k)] * 1"
    found = candidates(suspect_of(tmp_path, body, "da = rows", head=OFFSET), indices_inside)
    assert next(text for text in found if "+ k" in text) == "da = rows[at(skip + k)] * 1"


def test_one_becomes_one_less_a_number_at_hand(tmp_path):
    """If it fails, a smoothed label, or a state that leaks, without what it is less by gets no fix."""
    found = candidates(suspect_of(tmp_path, f"{ZEROS}EPS = 0.1\nda = 1 * a + 2 * a", "da = 1"), numbers)
    assert "da = (1 - EPS) * a + 2 * a" in found
    assert "da = 1 * a + (1 - EPS) * a" not in found
    assert not any("1 - a" in text for text in found)


def test_another_word_is_compared_with(tmp_path):
    """If it fails, a branch that is taken for the wrong gate gets no fix."""
    body = f'{ZEROS}for k in ("a", "c", "o", "q"):\n    part = a if k == "g" else 0 * a\n    da = da + part'
    suspect = suspect_of(tmp_path, body, "part =")
    assert {f'part = a if k == "{word}" else 0 * a' for word in "acoq"} == set(candidates(suspect, words))
    turned = suspect_of(tmp_path, body.replace('a if k == "g" else 0 * a', '0 * a if k != "g" else a'), "part =")
    assert 'part = 0 * a if k != "c" else a' in candidates(turned, words)
    (first, *_) = mends(suspect.run, suspect.statement)
    assert (first.gradients, [edit.text for edit in first.edits]) == (("a",), ['"a"'])


def test_what_is_no_word_is_not_compared_with_one(tmp_path):
    """If it fails, runs are spent on comparing numbers with words, and words with numbers."""
    body = f'{ZEROS}for k in (1, "c"):\n    part = a if k == 1 else a if k == "c" else b\n    da = da + part'
    assert candidates(suspect_of(tmp_path, body, "part ="), words) == []


def test_the_name_of_another_wrong_gradient_is_spelled(tmp_path):
    """If it fails, what is added to the gradient of another weight gets no fix: what is added is right."""
    head = 'G = {"a": 0 * a, "b": 0 * b, "c": 0}\ndef add(k, v): G[k] = G[k] + v\n'
    body = f"{head}for k in 'x':\n    add(KEY, a)\nda, db = G['a'] + 1, G['b']"
    plain = suspect_of(tmp_path, body.replace("KEY", '"a"'), "add(")
    assert became(plain, spelled_otherwise(plain)) == ['add("b", a)']
    joined = suspect_of(tmp_path, body.replace("KEY", 'f"{k[:0]}a"'), "add(")
    assert became(joined, spelled_otherwise(joined)) == ['add(f"{k[:0]}b", a)']
    inside = suspect_of(tmp_path, body.replace("add(KEY, a)", "[add(f'{k[:0]}a', a) for n in range(1)]"), "[add(")
    assert became(inside, spelled_otherwise(inside)) == ['[add(f"{k[:0]}b", a) for n in range(1)]']
    other = suspect_of(tmp_path, body.replace("KEY", '"c"'), "add(")
    assert not list(spelled_otherwise(other))
