"""The table of gradients at every width: whole numbers, and no column for nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from gradcheck.report.gradient_table import GradientTable
from gradcheck.report.records import Block, Worst
from gradcheck.report.report import Report
from gradcheck.report.text import as_text
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, INCONCLUSIVE, RIGHT, VACUOUS, WRONG

WIDE = replace(
    WRONG,
    blocks={
        f"cell.{name}": Block(
            f"cell.{name}",
            (12, 34),
            "wrong",
            7.7e-1,
            1.2e-11,
            2.4e-11,
            Worst((11, 30), -0.0474901, -0.0164293),
            factor=4.0,
        )
        for name in ("weight_ih", "重み", "b")
    },
)


def test_the_table_in_full() -> None:
    """A column would be lost, or stand under another's head."""
    assert as_text(GradientTable(WRONG), 90).splitlines() == [
        "gradient  shape   verdict    error    ± bar  would see  worst entry  analytic  numerical",
        "b         scalar  ✗ wrong  7.0e-01  5.0e-14    2.0e-13           []         2         -2",
        "U         4×4     ✗ wrong  3.0e-03  4.0e-14    9.0e-14       [1, 0]       0.5      0.625",
        "W         3×4     ✓ right  2.0e-15  4.0e-14    9.0e-13       [0, 1]      0.25       0.25",
    ]


def test_columns_with_nothing_in_them_are_left_out() -> None:
    """Half of the terminal would be taken by empty columns."""
    head = "gradient  shape  verdict    error    ± bar  would see"
    assert as_text(GradientTable(RIGHT), 80).splitlines()[0] == head
    assert as_text(GradientTable(VACUOUS), 80).splitlines() == [
        "gradient  shape  verdict",
        "W         2      ∅ vacuous",
    ]


@pytest.mark.parametrize("report", [*EVERY_VERDICT, WIDE], ids=lambda report: report.name)
@pytest.mark.parametrize("width", [118, 100, 80, 78, 60, 40, 24])
def test_no_number_is_broken(report: Report, width: int) -> None:
    """7.7e-01 would go on in the next line, and be read as another number."""
    text = as_text(GradientTable(report), width)
    assert max(map(cell_len, text.splitlines())) <= width
    for block in report.blocks.values():
        if block.error is not None and block.error == block.error:
            assert f"{block.error:.1e}" in text.replace("\n", " ").split()


def test_a_table_of_long_numbers_fits_eighty_columns() -> None:
    """The table of an LSTM would not fit the terminal that most people have."""
    lines = as_text(GradientTable(WIDE), 78).splitlines()
    assert "÷ 4" in lines[2]
    assert [len(line.split()) for line in lines[2:5]] == [11, 11, 11]
    assert lines[-1] == "(shape, ± bar: where the terminal is wider)"


def test_below_each_other_where_there_is_no_room() -> None:
    """On a narrow terminal the columns would be cut, or a number stand without its name."""
    assert as_text(GradientTable(INCONCLUSIVE), 24).splitlines()[:6] == [
        "W ? inconclusive", "  shape 2", "  error 1.0e-02", "  ± bar inf", "  would see inf", "  worst entry [0]",
    ]  # fmt: skip


def test_long_names_go_on_in_the_next_line() -> None:
    """The numbers would be left out for the sake of a name."""
    blocks = {"n" * 60: replace(WRONG.blocks["U"], name="n" * 60)}
    text = as_text(GradientTable(replace(WRONG, blocks=blocks)), 80)
    assert text.count("n" * 10) >= 3
    assert "0.625" in text
