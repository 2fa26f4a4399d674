"""The pictures of a page: what each line holds, which entries are wrong, how differences go with the step."""

from __future__ import annotations

from dataclasses import replace

from gradcheck.report.html import to_html
from gradcheck.report.html.heat import heat_maps
from gradcheck.report.html.mutations import audits_to_html
from gradcheck.report.html.pictures import Pictures
from gradcheck.report.html.steps import step_plot
from gradcheck.report.html.traced import traced, traces_to_html
from gradcheck.report.mutation_records import Mutation, MutationReport
from gradcheck.report.trace_records import ErrorMap, StepCurve, Trace, TracedFunction, TracedLine
from tests.gradcheck.report.html.html_tree import parse
from tests.gradcheck.report.sample_reports import WRONG

LINES = (
    TracedLine(7, "    for t in steps:"),
    TracedLine(8, "        da = dh * <b>", "dL/d(a)"),
    TracedLine(9, "        db = 2 * da", "✗ should hold dL/d(b)", is_wrong=True),
)
MAP = ErrorMap("W", (2, 4), ((0.0, 1e-12, 1e-6, 1.0), (0.0, 0.0, 0.0, 0.5)), "rows (2)", "H (4)", ("i", "f"))
TRACE = Trace((TracedFunction("net.py", "Net.backward", LINES),), ("wrong: W",), (MAP,), {"T": 3})
RIGHT = StepCurve("b", ((1.0, 1e-2), (1e-3, 1e-8), (1e-6, 1e-9), (1e-12, 0.0)))
CURVES = (StepCurve("W", ((1.0, 0.6), (1e-6, 0.5), (1e-12, 0.5))), RIGHT)


def test_each_line_has_its_number_its_derivative_and_its_mark() -> None:
    """A reader would look for the wrong line by counting, or could not tell it from the others."""
    rows = parse(traced(TRACE)).all("tr")
    assert [row.one("th").text for row in rows] == ["7", "8", "9"]
    assert [row.all("td")[1].text for row in rows] == ["", "dL/d(a)", "✗ should hold dL/d(b)"]
    assert [row.classes for row in rows] == [[], [], ["wrong"]]
    assert rows[1].one("code").text == "    da = dh * <b>"


def test_a_map_has_a_cell_for_each_entry_the_darker_the_more_wrong() -> None:
    """Entries would be left out, or the largest error look like the smallest."""
    tree = parse(heat_maps([MAP]))
    (drawing,) = tree.all("svg", "cells")
    cells = drawing.all("rect", "cell")
    assert len(cells) == 8
    assert [float(str(one.attributes["fill-opacity"])) for one in cells[:4]] == [0.0, 0.0, 0.5, 1.0]
    assert [one.text for one in drawing.all("text")][-2:] == ["i", "f"]
    assert "H (4)" in tree.text


def test_gates_along_the_rows_are_named_beside_them() -> None:
    """The names of gates would stand above columns that are none."""
    high = replace(MAP, rows=tuple(zip(*MAP.rows, strict=True)), shape=(4, 2), are_rows=True)
    gates = parse(heat_maps([high])).all("line", "gate")
    assert [one.attributes["y1"] == one.attributes["y2"] for one in gates] == [True, True]


def test_the_plot_says_which_curve_comes_near() -> None:
    """A reader would have to know what the two slopes mean."""
    told = [one.text for one in parse(step_plot(CURVES)).all("li")]
    assert told[0].endswith("the gradient is not the slope")
    assert told[1].endswith("the gradient is the slope")
    curves = parse(step_plot(CURVES)).all("polyline")
    assert [one.classes for one in curves] == [["curve", "wrong"], ["curve", "right"]]


def test_a_page_of_a_check_has_them_behind_headings_that_fold() -> None:
    """They would be missing, or push the findings off the screen with no way to fold them."""
    titles = [one.text.strip() for one in parse(to_html([WRONG], [Pictures(TRACE, CURVES)])).all("summary")]
    pictures = ["What each line holds", "Which entries are wrong", "From long steps to short ones"]
    assert [one for one in titles if one in pictures] == pictures
    assert not {one.text.strip() for one in parse(to_html([WRONG])).all("summary")} & {*pictures}


def test_traces_of_several_targets_have_contents() -> None:
    """Among twenty backwards nobody would find the one that is looked for."""
    links = parse(traces_to_html([("a.py::net", TRACE), ("b.py::net", TRACE)])).all("a")
    assert [(one.text, one.attributes["href"]) for one in links] == [("a.py::net", "#t1"), ("b.py::net", "#t2")]
    assert parse(traces_to_html([("a.py::net", TRACE)])).all("nav") == []


def test_the_table_of_bugs_begins_with_those_that_survive() -> None:
    """What the check misses would stand after six hundred bugs that it sees."""
    killed = Mutation("sign", "m.py", 3, "a = b", "a = -b", "killed", "wrong", "")
    survived = replace(killed, outcome="survived", operator="clip", how="larger sizes would show it")
    tree = parse(audits_to_html([MutationReport("net", (killed, survived))]))
    rows = [
        [cell.text.strip() for cell in row.all("td")][:2] for row in tree.all("details")[0].all("tbody")[0].all("tr")
    ]
    assert rows == [["✗ survived", "clip"], ["✓ killed", "sign"]]
