"""The source of a backward with the derivative that each line holds beside it, or below it where there is no room."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck._common.cells import shown_file
from gradcheck._common.wording import format_sizes
from gradcheck.report.html.frame import whole_page
from gradcheck.report.html.heat import heat_maps
from gradcheck.report.markup import NOTHING, Html, escape, heading, inline, join_html, paragraph, scrolling, tag
from gradcheck.report.syntax import coloured
from gradcheck.report.trace_records import Trace, TracedFunction, TracedLine


def traces_to_html(traces: Sequence[tuple[str, Trace]]) -> str:
    """A page of traces, each with the name of its target; several get a table of contents."""
    contents = [tag("li", inline("a", escape(name), href=f"#t{at}")) for at, (name, _) in enumerate(traces, 1)]
    nav = tag("nav", heading(1, f"{len(traces)} targets"), tag("ul", *contents), aria_label="Contents")
    level = 1 if len(traces) == 1 else 2
    sections = [_section(name, one, at, level) for at, (name, one) in enumerate(traces, 1)]
    title = f"{traces[0][0]} · what each line holds" if len(traces) == 1 else "what each line holds"
    return whole_page(f"{title} · gradcheck", *([nav] if level == 2 else []), *sections)


def _section(name: str, trace: Trace, number: int, level: int) -> Html:
    title = tag(f"h{level}", inline("span", escape(name), class_="name"), id=f"t{number}-name")
    maps = join_html(heading(level + 1, "Which entries are wrong"), heat_maps(trace.maps)) if trace.maps else NOTHING
    return tag("article", title, traced(trace), maps, id=f"t{number}", aria_labelledby=f"t{number}-name")


def traced(trace: Trace) -> Html:
    """All functions, and what else is to be said."""
    at = [paragraph(f"At {format_sizes(trace.sizes)}.", "dim small")] if trace.sizes else []
    return join_html(*at, *map(_function, trace.functions), *(paragraph(note.strip()) for note in trace.notes))


def _function(function: TracedFunction) -> Html:
    place = tag("p", inline("code", escape(shown_file(function.file))), escape(f", {function.name}"))
    shown = [len(line.code) - len(line.code.lstrip()) for line in function.lines if line.code.strip()]
    indent = min(shown, default=0)
    rows = [_line(line, indent) for line in function.lines]
    return join_html(place, scrolling(f"Source of {function.name}", tag("table", tag("tbody", *rows), class_="source")))


def _line(line: TracedLine, indent: int) -> Html:
    words = inline("span", escape(line.words), class_="said") if line.is_wrong else escape(line.words)
    cells = [
        tag("th", escape(line.number), scope="row"),
        tag("td", inline("code", coloured(line.code[indent:]))),
        tag("td", words),
    ]
    return tag("tr", *cells, class_="wrong" if line.is_wrong else None)
