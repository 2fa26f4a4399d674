"""Names and messages with escape sequences and lone surrogates: shown everywhere, obeyed nowhere."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import gradcheck
from gradcheck import Target, cli
from gradcheck.report.text import to_rich

NAME = "W\x1b]0;\udc80\u202e\r\x9b"
SHOWN = r"W\x1b]0;\udc80\u202e\r\x9b"
FILE = f"""
import numpy as np
import gradcheck

@gradcheck.target
def net(rng, *, N=3):
    "A doc\\x1b[2J"
    w = rng.standard_normal(N)
    return gradcheck.Target({{{NAME!a}: w}}, lambda: float((w**2).sum()), lambda: {{{NAME!a}: 3 * w}})

@gradcheck.target
def raising(rng, *, N=3):
    raise ValueError("an error\\x1b[2J \\udcff")
"""


def hostile() -> Target:
    """A target with a name that a terminal would obey."""
    w = np.arange(1.0, 4.0)
    return Target({NAME: w}, lambda: float((w**2).sum()), lambda: {NAME: 3 * w}, name="net\x1b[1m")


def obeyed(text: str) -> list[str]:
    """What a terminal would obey beside colours, which rich writes; and what no encoding has."""
    return re.findall("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202e]", re.sub("\x1b\\[[0-9;]*m", "", text))


def test_every_form_of_a_report_shows_the_name(tmp_path: Path) -> None:
    """A report would end in an error of its encoding, or be another one on a terminal than in a file."""
    report = gradcheck.check(hostile())
    assert report.verdict == "wrong"
    assert list(report.blocks) == [NAME]
    assert json.loads(report.to_json())["findings"][0]["blocks"] == [NAME]
    terminal = io.StringIO()
    Console(file=terminal, force_terminal=True, width=200).print(to_rich(report))
    report.to_html(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_bytes().decode()
    for text in (str(report), report.to_markdown(), terminal.getvalue()):
        assert obeyed(text) == []
        assert SHOWN in text
        text.encode()
    assert obeyed(page) == []


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--html", "page.html", "--patch", "out.diff"]])
def test_the_command_obeys_no_name(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The title of the terminal would be changed by a file that is checked, its screen be cleared by a message."""
    monkeypatch.chdir(tmp_path)
    Path("names.py").write_text(FILE)
    assert cli.main(["check", "names.py", *arguments]) == 2
    out, err = capsys.readouterr()
    assert obeyed(out) == obeyed(err) == []
    assert r"ValueError: an error\x1b[2J \udcff" in err


def test_an_error_of_a_target_obeys_no_name() -> None:
    """The traceback of a script would do to the terminal what a name says."""
    with pytest.raises(gradcheck.TargetError) as caught:
        Target({NAME: [1.0]}, float, dict)  # type: ignore[dict-item]
    assert obeyed(str(caught.value)) == []
