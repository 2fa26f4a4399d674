"""Reports where the encoding has no signs: what is right, wrong and not decided stays apart."""

from __future__ import annotations

import io

import pytest

from gradcheck._common.signs import HANDLER
from gradcheck.report.phrases import VERDICT_SIGNS
from gradcheck.report.text import to_text
from tests.gradcheck.report.sample_reports import EVERY_VERDICT


def encoded(text: str, encoding: str) -> str:
    """The text as a stream of this encoding writes it."""
    return text.encode(encoding, HANDLER).decode(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437"])
def test_verdicts_stay_apart(encoding: str) -> None:
    """On a Windows console or in a C locale each verdict would be a question mark."""
    signs = [encoded(sign, encoding) for sign in VERDICT_SIGNS.values()]
    assert len(set(signs)) == len(signs)
    assert {name for name, sign in VERDICT_SIGNS.items() if encoded(sign, encoding) == "?"} == {"inconclusive"}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_tables_stay_tables(encoding: str) -> None:
    """A sign of two letters would move the columns behind it."""
    for report in EVERY_VERDICT:
        text = to_text(report)
        assert [len(line) for line in encoded(text, encoding).splitlines()] == [len(line) for line in text.splitlines()]


def test_what_has_a_sign_keeps_it() -> None:
    """Letters that an encoding has would be replaced with those that it lacks."""
    assert encoded("✗ ä ± ·", "cp1252") == "x ä ± ·"


def test_a_letter_keeps_its_width() -> None:
    """What is underlined in a line with East Asian letters or accents would not stand above its underline."""
    assert encoded("字 e\u0301 α", "ascii") == "?? e ?"


def test_a_stream_takes_the_handler() -> None:
    """The command would end with a LookupError before it prints anything."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    stream.reconfigure(errors=HANDLER)
    print("✓", file=stream, flush=True)
    assert stream.buffer.getvalue().strip() == b"+"  # type: ignore[attr-defined]
