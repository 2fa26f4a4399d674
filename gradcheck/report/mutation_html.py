"""A mutation audit as HTML, for a notebook or a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gradcheck.report.finding_html import diff_to_html
from gradcheck.report.markup import NOTHING, Html, column_head, data_table, escape, inline, paragraph, tag


class Survivor(NamedTuple):
    """A bug that the check does not see."""

    operator: str
    place: str
    how: str
    before: str
    after: str


def mutations_to_html(
    summary: str, survivors: Sequence[Survivor], counts: Mapping[str, tuple[int, int]], verdict: str
) -> Html:
    """The outcome, the bugs that survived, and how many of each kind were killed and survived."""
    rows = [
        tag(
            "tr",
            tag("th", escape(operator), scope="row"),
            tag("td", escape(killed), class_="number"),
            tag("td", escape(survived), class_=f"number{' wrong' * bool(survived)}"),
        )
        for operator, (killed, survived) in counts.items()
    ]
    columns = [column_head("bug"), column_head("killed", "number"), column_head("survived", "number")]
    parts = [
        tag("header", paragraph(summary, "headline"), class_="banner"),
        tag("ol", *map(_survivor, survivors), class_="findings") if survivors else NOTHING,
        data_table("Bugs by kind", columns, rows, "laws") if rows else NOTHING,
    ]
    return tag("article", *parts, class_=verdict)


def _survivor(one: Survivor) -> Html:
    message = tag("p", inline("strong", escape(f"survived ({one.operator})")), escape(f": {one.how}"), class_="message")
    place = tag("p", escape("in "), inline("code", escape(one.place)))
    return tag("li", message, place, diff_to_html([f"-{one.before}", f"+{one.after}"]))
