"""A mutation audit as one HTML file: the outcome, the bugs that survived, and a table of all of them."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck._common.cells import format_place
from gradcheck.report.finding_html import diff_to_html
from gradcheck.report.html.frame import folded, whole_page
from gradcheck.report.markup import Html, column_head, data_table, escape, inline, tag
from gradcheck.report.mutation_records import Mutation, MutationReport

#: what became of a bug, as verdicts are shown
_SIGNS = {"killed": "✓", "survived": "✗", "equivalent": "–", "forward": "–", "untried": "?"}
_CLASSES = {"killed": "right", "survived": "wrong", "untried": "inconclusive"}
#: the worst first
_ORDER = ("survived", "untried", "killed", "equivalent", "forward")


def audits_to_html(audits: Sequence[MutationReport]) -> str:
    """A page of audits."""
    sections = [tag("section", one.as_part(), _all(one)) for one in audits]
    title = audits[0].name if len(audits) == 1 else f"{len(audits)} targets"
    return whole_page(f"{title}: planted bugs · gradcheck", *sections)


def _all(audit: MutationReport) -> Html:
    """Every bug that was planted; the edit folds out."""
    columns = [column_head(word) for word in ("outcome", "bug", "place and edit", "how")]
    rows = [_row(one) for one in sorted(audit.mutations, key=lambda one: _ORDER.index(one.outcome))]
    table = data_table("All planted bugs", columns, rows, "laws")
    return folded(f"All {len(rows)} planted bugs", 2, table, is_open=False)


def _row(one: Mutation) -> Html:
    outcome = inline("span", escape(f"{_SIGNS[one.outcome]} {one.outcome}"), class_=_class(one))
    place = inline("code", escape(format_place(one.file, one.line)))
    edit = tag("details", tag("summary", place), diff_to_html([f"-{one.before}", f"+{one.after}"]))
    return tag("tr", tag("td", outcome), tag("td", escape(one.operator)), tag("td", edit), tag("td", escape(one.how)))


def _class(one: Mutation) -> str:
    return f"verdict {_CLASSES.get(one.outcome, '')}".strip()
