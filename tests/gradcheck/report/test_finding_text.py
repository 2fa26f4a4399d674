"""A finding on a terminal, as compilers tell theirs: exact texts, and what holds at every width."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import EquivalentEdit, Fix, Label, LawBreach, Mistake, RightInput, SmallestSize
from gradcheck.report.finding_notes import ALONE, Setting
from gradcheck.report.finding_text import FindingText
from gradcheck.report.records import Finding
from gradcheck.report.text import as_text
from tests.gradcheck.report.findings_of import finding_at
from tests.gradcheck.report.sample_reports import hostile

BACKWARD = "def backward():\n    dc_bar = dc * i\n    dc_bar = (1 - c_bar) ** 2 * dc_bar\n"


def lines(finding: Finding, width: int = 80, setting: Setting = ALONE) -> list[str]:
    """The finding as text."""
    return as_text(FindingText(finding, setting), width).splitlines()


def test_a_finding_in_full() -> None:
    """A part of what a reader needs would be lost: what, where, why, or what to do."""
    evidence = Mistake(), RightInput("dc_bar", Label("c_bar")), SmallestSize({"T": 1, "B": 1})
    found = finding_at(
        BACKWARD, "(1 - c_bar) ** 2", "(1 - c_bar ** 2)", *evidence, EquivalentEdit(3, "dc_bar *= 1 - c_bar ** 2"),
        code="tanh-derivative", function="backward", expected=Label("a"),
    )  # fmt: skip
    assert lines(found, setting=Setting(errors={"W": 0.34})) == [
        "error[tanh-derivative]: the derivative of tanh is missing",
        " --> m.py:3:14, in backward",
        "1 | def backward():",
        "2 |     dc_bar = dc * i",
        "3 |     dc_bar = (1 - c_bar) ** 2 * dc_bar",
        "  |              ^^^^^^^^^^^^^^^^ expected (1 - c_bar ** 2)",
        "  = the line should give dL/d(a)",
        "  = what it reads is right: dc_bar is dL/d(c_bar)",
        "  = makes W wrong, by 34 %; smallest: --size T=1 --size B=1",
        "help (verified): dc_bar = (1 - c_bar ** 2) * dc_bar",
        "  or as well: dc_bar *= 1 - c_bar ** 2",
    ]


def test_a_law_is_told_in_plain_words() -> None:
    """A reader who does not know the laws by name would not know what is wrong."""
    found = Finding(FindingCode.LAW_SCALAR, (), (LawBreach("scalar", "loss() returned an array: return a float"),))
    assert lines(found) == [
        "error[law-scalar]: the loss is no single real number",
        "   = loss() returned an array: return a float",
    ]
    warned = lines(found, setting=Setting(breaches={"scalar": "inconclusive"}))
    assert warned[0].startswith("warning[law-scalar]: ")


def test_an_edit_of_several_lines_is_a_small_diff() -> None:
    """Only one of its lines would be shown, and the reader write the half of it."""
    found = finding_at("a = 1\n    b = 2\n    c = 3", "b = 2", "b = 4\n    n = 5")
    assert lines(found)[-4:] == ["help (verified):", "  2 - b = 2", "  2 + b = 4", "  3 + n = 5"]
    diff = "@@ -1,2 +1,3 @@\n+d = 0\n a = b\n c"
    inserted = replace(finding_at("a = b", "b"), fix=Fix(1, "a = b", "d = 0\na = b", diff, True))
    assert lines(inserted)[-2:] == ["help (verified):", "  1 + d = 0"]
    apart = "@@ -1 +1 @@\n-a = b\n+a = c\n@@ -9 +9 @@\n-x\n+y"
    assert lines(replace(inserted, fix=Fix(1, "a = b", "a = c", apart, True)))[-5:] == [
        "  1 - a = b", "  1 + a = c", "  ...", "  9 - x", "  9 + y",
    ]  # fmt: skip


def test_an_edit_that_is_not_verified_is_shown_as_such() -> None:
    """A guess would be written into the code as a fix."""
    found = lines(finding_at("a = b", "b", "c", verified=False))
    assert found[-1] == "possible edit (not verified): a = c"
    assert "help" not in "".join(found)
    assert found[3] == "  | ".ljust(8) + "^"


def test_what_has_no_room_beside_the_line_stands_below() -> None:
    """What was expected would be cut off, or wrapped into the source."""
    found = finding_at(
        "value = first * second", "second", "a", verified=False, expected=Label("a_long_name_of_a_value")
    )
    assert lines(found, 52)[2:5] == [
        "1 | value = first * second",
        "  |                 ^^^^^^",
        "  |            expected dL/d(a_long_name_of_a_value)",
    ]


@pytest.mark.parametrize("width", [100, 80, 60, 40, 20, 8])
def test_no_line_is_too_wide(width: int) -> None:
    """A terminal would wrap the source, and the underline stand below another line."""
    source = f"    重み = 入力 @ {' + '.join(f'αβ{at}' for at in range(60))}\n"
    found = finding_at(source, "入力", "出力", SmallestSize({"T": 1}), function="f" * 50, expected=Label("z"))
    assert max(map(cell_len, lines(found, width))) <= max(width, 8)


def test_a_place_is_not_torn_apart_while_there_is_room() -> None:
    """An editor or a terminal could not open it."""
    found = finding_at("a = b", "b", file=f"{'folder/' * 6}m.py", function="a_function")
    assert lines(found, 60)[1:3] == [f" --> {'folder/' * 6}m.py:1:5", "     in a_function"]


@pytest.mark.parametrize("text", ["\x1b[31m", "a\x1b]0;title\x07", "[red]x[/red]", "\u202eabc", "\ud800"])
def test_nothing_that_a_terminal_obeys_gets_through(text: str) -> None:
    """A name, or a string in the source, would change colours, the title, or the direction of writing."""
    for finding in hostile(text).findings:
        shown = "\n".join(lines(finding))
        assert not any(sign in shown for sign in "\x1b\x07\u202e\ud800")
    source = "\n".join(lines(finding_at(f"x = '{text}' - b", "-", "+")))
    assert not any(sign in source for sign in "\x1b\x07\u202e\ud800")


def test_colours_are_those_of_the_severity() -> None:
    """An error would look like a warning, or nothing be coloured at all."""
    console = Console(force_terminal=True, color_system="standard", width=80)
    with console.capture() as captured:
        console.print(FindingText(finding_at("a = b", "b", "c"), ALONE))
    assert "\x1b[1;31merror[wrong-line]" in captured.get()
    assert "\x1b[1;32mhelp (verified)" in captured.get()


def test_every_code_can_be_shown() -> None:
    """A code would be added whose findings end the report in an error."""
    for code in FindingCode:
        found: dict[str, Any] = dataclasses.asdict(finding_at("a = b", "b", "c")) | {"code": code, "evidence": ()}
        assert lines(Finding(**found | {"fix": None}))[0].startswith(f"error[{code}]: ")
