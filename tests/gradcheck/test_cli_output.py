"""Where reports are shown: in colour or not, and how wide."""

from __future__ import annotations

import io

import pytest
from rich.text import Text

from gradcheck.cli_output import Screen
from gradcheck.report.text import WIDTH


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        """Yes."""
        return True


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wish of whoever runs the tests."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def shown(stream: io.StringIO, color: str, text: str = "wrong") -> str:
    """What is written of a red text."""
    Screen.on(stream, color).show(Text(text, style="red"))
    return stream.getvalue()


@pytest.mark.parametrize(
    ("stream", "color", "coloured"),
    [
        (Terminal, "auto", True),
        (io.StringIO, "auto", False),
        (io.StringIO, "always", True),
        (Terminal, "never", False),
    ],
)
def test_colour_as_it_is_asked_for(stream: type[io.StringIO], color: str, coloured: bool) -> None:
    """A pager would show no colours to somebody who wants them, or a log be full of escapes."""
    assert ("\x1b[31m" in shown(stream(), color)) == coloured


def test_no_color_counts_where_nothing_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Colours would be shown to somebody who has set NO_COLOR, or kept from who asks for them now."""
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in shown(Terminal(), "auto")
    assert "\x1b[31m" in shown(Terminal(), "always")


def test_always_needs_no_known_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a CI job, where TERM is dumb or not set, --color=always would do nothing."""
    for term in ("dumb", ""):
        monkeypatch.setenv("TERM", term)
        assert "\x1b[31m" in shown(io.StringIO(), "always")


@pytest.mark.parametrize(("columns", "width"), [("40", 40), ("", WIDTH), ("wide", WIDTH)])
def test_a_pipe_is_as_wide_as_it_is_said(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    """Whoever asks for 80 columns would get more, or a log be as narrow as the terminal it was begun in."""
    monkeypatch.setenv("COLUMNS", columns)
    lines = shown(io.StringIO(), "auto", "a " * 200).splitlines()
    assert width - 2 <= max(map(len, lines)) <= width
