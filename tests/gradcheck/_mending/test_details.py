"""Small edits inside an expression: slices, words, the names of gradients."""

from __future__ import annotations

import pytest

from gradcheck._mending import mends
from gradcheck._mending.details import indices, words
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
