"""What is never proposed in the place of an expression: something taken from itself, or written where it is lost."""

from __future__ import annotations

import ast

import pytest

from gradcheck._mending.slots import Candidate, is_in_vain
from gradcheck._mending.syntax import Code


def candidate(statement, old, new):
    """The candidate that has `new` in the place of the last expression of the text `old`, and the code."""
    code = Code.of(statement)
    node = [one for one in ast.walk(code.tree) if isinstance(one, ast.expr) and ast.unparse(one) == old][-1]
    return Candidate.of(node, ast.parse(new, mode="eval").body), code


@pytest.mark.parametrize(
    ("statement", "old", "new"),
    [
        ("dU += np.outer(da, x)", "da", "da - da"),
        ("dz = dh * (1 - h)", "1", "h"),
        ("dz = dh / f", "dh", "f"),
        ("dz = dh * s", "s", "s * (f % f)"),
        ("dW = x.T @ d / (N * T)", "x.T", "N * T * x.T"),
        ("dW = x.T @ d / (N * T)", "x.T @ d / (N * T)", "T * (x.T @ d / (N * T))"),
        ("dz = m / (dh / s)", "s", "s / m"),
        ("np.clip(dW, -1, 1, out=dW)", "dW", "-dW"),
        ("dW = -x.T @ d", "d", "-d"),
        ("dh = dh * (1 - z)", "1 - z", "1 * z"),
    ],
)
def test_what_is_taken_from_itself_or_divided_by_itself_is_left_out(statement, old, new):
    """A report would propose `da - da`, an edit that nobody means."""
    assert is_in_vain(*candidate(statement, old, new))


@pytest.mark.parametrize(
    ("statement", "old", "new"),
    [
        ("dz = np.clip(dz, -1, limit)", "limit", "5"),
        ("dz = np.clip(dz, -1, 1) * s", "-1", "-u"),
        ("dz = dz.clip(max=2)", "2", "u"),
        ("dz = (dz * s).clip(-2, 2)", "-2", "u"),
    ],
)
def test_bounds_of_a_clip_are_left_as_they_are(statement, old, new):
    """Bounds that nothing reaches at the sizes tried would be told, where the clip is what has to go."""
    assert is_in_vain(*candidate(statement, old, new))


@pytest.mark.parametrize(
    ("statement", "old", "new"),
    [
        ("dh = sum(d[k] @ W[k] for k in gates)", "d[k] @ W[k]", "d[k] @ W[k] + dc"),
        ("rows = [x[t] * s for t in range(n)]", "x[t] * s", "y * s - x[t]"),
    ],
)
def test_the_same_term_is_not_added_in_each_round(statement, old, new):
    """What a sum lacks once would be written into each of its terms, where the number of these makes it right."""
    assert is_in_vain(*candidate(statement, old, new))


@pytest.mark.parametrize(
    ("statement", "old", "new"),
    [("dz = s[t] * u", "s", "s * u"), ("dz = s[t - 1] * u", "s", "-s"), ("dz = s[0] * u", "s", "s * (1 - s)")],
)
def test_no_step_is_taken_of_what_is_calculated_for_all(statement, old, new):
    """A report would propose `(s * u)[t]`, where people write `s[t] * u[t]`."""
    assert is_in_vain(*candidate(statement, old, new))


@pytest.mark.parametrize(
    ("statement", "old", "new"),
    [
        ("dz = s[t] * u", "s", "c"),
        ("dz = s[:, 1:] * u", "s", "s * u"),
        ("dz = (s * u)[t]", "s * u", "s * c"),
        ("dh = sum(d[k] @ W[k] for k in gates)", "d[k] @ W[k]", "d[k] @ W[k].T + c[k]"),
        ("dh = sum(d[k] @ W[k] for k in gates)", "W[k]", "(W[k] + V)"),
        ("dh = sum(d for k in gates)", "d", "d + c"),
        ("dz = np.clip(dz * s, -1, 1)", "s", "u"),
        ("dz = (dz * s).clip(-1, 1)", "s", "u"),
        ("dz = np.where(c < 1, dz, 0)", "1", "2"),
        ("dU += np.outer(da, x)", "da", "da - db"),
        ("dz = dh * (1 - h)", "h", "h**2"),
        ("dz = dh + s", "s", "dh"),
        ("dW = x.T @ d / N", "d", "T * d"),
        ("dW = x.T @ d", "d", "-d"),
        ("dh = dh * (1 - z)", "1 - z", "1 + z"),
    ],
)
def test_other_edits_are_kept(statement, old, new):
    """Right edits would not be found."""
    assert not is_in_vain(*candidate(statement, old, new))
