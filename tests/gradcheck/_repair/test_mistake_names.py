"""Mistakes named from the edit that mends them: one example of each code."""

from __future__ import annotations

import pytest

from gradcheck._repair.mistake_names import name_mistake
from gradcheck._usercode.patching import Edit
from gradcheck._usercode.source import Source
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Mistake, Symptom


def named(old: str, new: str) -> Symptom:
    """The mistake of a statement whose value is replaced."""
    return name_mistake(Source("cell.py", f"y = {old}\n"), Edit((1, 4), (1, 4 + len(old.encode())), new))


@pytest.mark.parametrize(
    ("old", "new", "code", "mistake"),
    [
        ("dsigmoid(o)", "o * (1 - o)", "sigmoid-derivative", Mistake("o", called="dsigmoid")),
        ("dh * c * dsigmoid(o)", "dh * c * o * (1 - o)", "sigmoid-derivative", Mistake("o", called="dsigmoid")),
        ("dtanh(c)", "1 - c ** 2", "tanh-derivative", Mistake("c", called="dtanh")),
        ("np.tanh(c)", "1 - c ** 2", "tanh-derivative", Mistake()),
        ("(1 - g) ** 2", "1 - g ** 2", "tanh-derivative", Mistake("1 - g ** 2", "(1 - g) ** 2")),
        ("ds * i * (1 - g) ** 2", "ds * i * (1 - g ** 2)", "tanh-derivative", Mistake("1 - g ** 2", "(1 - g) ** 2")),
        ("1 - y[t]", "1 - y[t] ** 2", "tanh-derivative", Mistake("1 - y[t] ** 2", "1 - y[t]")),
        ("dh", "dh * (1 - h ** 2)", "tanh-derivative", Mistake("1 - h ** 2")),
        ("dh * (s * (1 - s))", "dh", "sigmoid-derivative", Mistake("s * (1 - s)", is_extra=True)),
        ("dh * s * (1 - s)", "dh", "sigmoid-derivative", Mistake("s * (1 - s)", is_extra=True)),
        ("dh * s * (1 - s) / B", "dh / B", "sigmoid-derivative", Mistake("s * (1 - s)", is_extra=True)),
        ("d * (1 - h ** 2)", "(d + e) * (1 - h ** 2)", "term-missing", Mistake("e")),
        ("f(a, b[t])", "f(a, b[t - 1])", "wrong-index", Mistake("b[t]", "b[t - 1]")),
        ("a", "-a", "wrong-sign", Mistake()),
        ("-a", "a", "wrong-sign", Mistake()),
        ("a + b", "a - b", "wrong-term-sign", Mistake()),
        ("dc", "dct", "wrong-variable", Mistake("dc", "dct")),
        ("dh * z", "dh * (1 - z)", "wrong-variable", Mistake("z", "1 - z")),
        ("(1 - m[t]) * dh", "m[t] * dh", "wrong-variable", Mistake("1 - m[t]", "m[t]")),
        ("np.where(m, dh, 0)", "np.where(~m, dh, 0)", "wrong-variable", Mistake("m", "~m")),
        ("h[t]", "h[t + 1]", "wrong-index", Mistake("h[t]", "h[t + 1]")),
        ("h[t]", "c[t]", "wrong-variable", Mistake("h[t]", "c[t]")),
        (":, k", "rows, k", "wrong-index", Mistake(":, k", "rows, k")),
        ("1:", ":-1", "wrong-index", Mistake("1:", ":-1")),
        (
            "a",
            "np.concatenate([a[1:], np.zeros_like(a[:1])])",
            "wrong-index",
            Mistake("a", "np.concatenate([a[1:], np.zeros_like(a[:1])])"),
        ),
        ("a * b", "a @ b", "wrong-operator", Mistake("*", "@")),
        ("a", "a + b", "term-missing", Mistake("b")),
        ("a - b", "a", "term-extra", Mistake("b", is_extra=True)),
        ("a", "a * b", "factor-missing", Mistake("b")),
        ("2 * a", "a", "factor-extra", Mistake("2", is_extra=True)),
        ("a", "a / T", "division-missing", Mistake("T")),
        ("a / T", "a", "division-extra", Mistake("T", is_extra=True)),
        ("a", "a ** 2", "power-missing", Mistake("2")),
        ("a ** 2", "a", "power-extra", Mistake("2", is_extra=True)),
        ("f(dh, dc)", "f(dc, dh)", "arguments-exchanged", Mistake("dh", "dc")),
        ("f(a, b, c)", "f(b, c, a)", "arguments-exchanged", Mistake("a, b", "c")),
        ("a @ b", "b @ a", "factors-exchanged", Mistake("a", "b")),
        ("(a, b)", "(b, a)", "values-exchanged", Mistake("a", "b")),
        ("a", "a.sum(axis=0)", "missing-sum", Mistake("axis 0")),
        ("a.sum(1)", "a", "extra-sum", Mistake("axis 1", is_extra=True)),
        ("a.sum()", "a", "extra-sum", Mistake("all axes", is_extra=True)),
        ("a", "a.T", "missing-transpose", Mistake()),
        ("a", "a.swapaxes(-1, -2)", "missing-transpose", Mistake()),
        ("a.transpose(0, 2, 1)", "a", "extra-transpose", Mistake(is_extra=True)),
        ("a.T", "a", "extra-transpose", Mistake(is_extra=True)),
        ("a", "a[t]", "missing-index", Mistake("t")),
        ("a[t]", "a", "extra-index", Mistake("t", is_extra=True)),
        ("a", "f(a)", "missing-call", Mistake(called="f")),
        ("f(a)", "a", "extra-call", Mistake(called="f", is_extra=True)),
        ("a", "a.copy()", "missing-copy", Mistake()),
        ("a", "np.clip(a, -1, 1)", "missing-clip", Mistake(called="np.clip")),
        ("np.clip(a, -1, 1)", "a", "extra-clip", Mistake(called="np.clip", is_extra=True)),
    ],
)
def test_each_mistake_has_its_name(old: str, new: str, code: str, mistake: Mistake) -> None:
    """A mistake would go by the name of another."""
    assert named(old, new) == Symptom(FindingCode(code), (mistake,))


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("=", "+=", "assigned-not-added"),
        ("+=", "=", "added-not-assigned"),
        ("+=", "-=", "wrong-sign"),
        ("-=", "+=", "wrong-sign"),
    ],
)
def test_assignments_have_names(old: str, new: str, code: str) -> None:
    """The commonest mistake in a sum over time would have no name."""
    found = name_mistake(Source("cell.py", f"dW {old} a\n"), Edit((1, 3), (1, 3 + len(old)), new))
    assert found == Symptom(FindingCode(code))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("f(a) + g(b)", "h(a, b)"),
        ("a", "for"),
        ("a if b else c", "d @ e @ f"),
        ("dh * c * dsigmoid(o)", "dh * d * o * (1 - o)"),
    ],
)
def test_what_has_no_name_gets_none(old: str, new: str) -> None:
    """A name would be made up."""
    assert named(old, new) == Symptom(FindingCode.WRONG_LINE)


def test_what_is_replaced_is_read_in_bytes() -> None:
    """A letter that is not ASCII before the edit would shift what is taken for the old text."""
    source = "s = 'ä'; y = dc\n"
    begin = source.encode().index(b"dc")
    assert name_mistake(Source("cell.py", source), Edit((1, begin), (1, begin + 2), "dct")).evidence == (
        Mistake("dc", "dct"),
    )


@pytest.mark.parametrize(("was", "code"), [("dE[i] = dx", "assigned-not-added"), ("dE[i] += dx", "index-repeats")])
def test_what_is_added_up_where_an_index_repeats_is_named_by_what_stood_there(was: str, code: str) -> None:
    """Who overwrites the rows of each step would read of an index that names one twice, or only of a wrong line."""
    edit = Edit((1, 0), (1, len(was)), "np.add.at(dE, i, dx)")
    assert name_mistake(Source("cell.py", f"{was}\n"), edit) == Symptom(FindingCode(code))


def test_statements_that_are_missing_are_named_by_what_they_bind() -> None:
    """Two statements at the end of a loop would go by no name, and be told as a wrong value of the last one there."""
    source = Source("cell.py", "for t in steps:\n    x += a\n")
    added = name_mistake(source, Edit((2, 10), (2, 10), "\n    dh = step['dh']\n    dc = step['dc']"))
    assert added == Symptom(FindingCode.MISSING_STATEMENT, (Mistake("dh, dc"),))
    assert name_mistake(source, Edit((2, 10), (2, 10), "\n    if t:\n        x += 1")).code is FindingCode.WRONG_LINE
