"""Reports as one HTML file that needs nothing beside it: what is wrong first, then the picture, then the numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradcheck._common.wording import format_sizes
from gradcheck._version import __version__
from gradcheck.report.finding_html import finding_to_html
from gradcheck.report.finding_setting import setting_of
from gradcheck.report.html.frame import folded, whole_page
from gradcheck.report.html.heat import heat_maps
from gradcheck.report.html.picture import PROMISE, picture
from gradcheck.report.html.pictures import NO_PICTURES, Pictures
from gradcheck.report.html.sizes_tried import sizes_tried
from gradcheck.report.html.steps import step_plot
from gradcheck.report.html.traced import traced
from gradcheck.report.markup import (
    MISSING,
    NOTHING,
    Html,
    column_head,
    data_table,
    escape,
    heading,
    inline,
    join_html,
    paragraph,
    tag,
    verdict_mark,
)
from gradcheck.report.phrases import (
    SORT_ORDER,
    VERDICT_SIGNS,
    footer,
    format_small,
    format_worst_entry,
    headline,
    law_outcome,
    notes,
    reasons,
    worst_first,
)
from gradcheck.report.records import Block, Law, ReportRecord
from gradcheck.report.stylesheet import scoped


def to_html(reports: Sequence[ReportRecord], pictures: Sequence[Pictures] = ()) -> str:
    """The reports as one page; several get a table of contents. `pictures` are those of each report, if there are."""
    several = len(reports) != 1
    heading = 2 if several else 1
    beside = [*pictures, *[NO_PICTURES] * (len(reports) - len(pictures))]
    sections = [
        _report(report, f"r{number}", heading, more)
        for number, (report, more) in enumerate(zip(reports, beside, strict=True), 1)
    ]
    body = [*([_contents(reports)] if several else []), *sections]
    return whole_page(_title(reports), *body)


def to_fragment(report: ReportRecord) -> str:
    """The report as a part of somebody else's page, with no names that another part might have."""
    return scoped(_report(report, None, 2))


# -- the page ----------------------------------------------------------------------------------------------------------


def _title(reports: Sequence[ReportRecord]) -> str:
    if len(reports) == 1:
        return f"{VERDICT_SIGNS[reports[0].verdict]} {reports[0].name}: {reports[0].verdict} · gradcheck"
    return f"{_outcome(reports)} · gradcheck"


def _outcome(reports: Sequence[ReportRecord]) -> str:
    """How many targets came out how, the worst first."""
    counts = {verdict: sum(report.verdict == verdict for report in reports) for verdict in SORT_ORDER}
    parts = [f"{count} {verdict}" for verdict, count in counts.items() if count]
    return f"{len(reports)} targets: {', '.join(parts)}" if parts else "no targets were checked"


def _contents(reports: Sequence[ReportRecord]) -> Html:
    rows = [
        tag(
            "tr",
            tag("th", inline("a", escape(report.name), href=f"#r{number}"), scope="row"),
            tag("td", verdict_mark(report.verdict)),
            tag("td", escape(headline(report))),
        )
        for number, report in enumerate(reports, 1)
    ]
    columns = [column_head("target"), column_head("verdict"), column_head("outcome")]
    targets = data_table("Targets", columns, rows, "contents") if reports else NOTHING
    return tag("nav", heading(1, _outcome(reports)), targets, aria_label="Contents")


# -- one report --------------------------------------------------------------------------------------------------------


def _report(report: ReportRecord, anchor: str | None, level: int, more: Pictures = NO_PICTURES) -> Html:
    below = level + 1
    parts = [
        _banner(report, anchor, level),
        _what_is_wrong(report, below),
        _smallest(report, below),
        _gradients(report, below),
        *_pictures(more, below),
        _laws(report, below),
        sizes_tried(report, below),
        _footer(report),
    ]
    return tag("article", *parts, id=anchor, class_=report.verdict, aria_labelledby=anchor and f"{anchor}-name")


def _pictures(more: Pictures, level: int) -> list[Html]:
    """What a check does not need and a reader may want to see."""
    return [
        *([folded("What each line holds", level, traced(more.trace))] if more.trace and more.trace.functions else []),
        *(
            [folded("Which entries are wrong", level, heat_maps(more.trace.maps))]
            if more.trace and more.trace.maps
            else []
        ),
        *([folded("From long steps to short ones", level, step_plot(more.curves))] if more.curves else []),
    ]


def _footer(report: ReportRecord) -> Html:
    parts = [footer(report), *(["every entry"] if report.full else []), f"gradcheck {__version__}"]
    return tag("footer", paragraph(" · ".join(parts), "dim small"))


def _banner(report: ReportRecord, anchor: str | None, level: int) -> Html:
    name = inline("span", escape(report.name), class_="name")
    title = tag(f"h{level}", name, escape(" "), verdict_mark(report.verdict), id=anchor and f"{anchor}-name")
    doc = paragraph(report.doc, "dim") if report.doc else NOTHING
    return tag("header", title, paragraph(headline(report), "headline"), doc, class_="banner")


def _what_is_wrong(report: ReportRecord, level: int) -> Html:
    """The findings; why some gradients are not judged; or, where all is well, what that is worth."""
    parts = []
    if report.findings:
        setting = setting_of(report)
        parts += [
            heading(level, "What is wrong"),
            tag("ol", *(tag("li", finding_to_html(one, setting)) for one in report.findings), class_="findings"),
        ]
    parts += [paragraph(note) for note in notes(report)]
    if undecided := _reasons(report):
        parts += [heading(level, "What could not be decided"), tag("ul", *undecided)]
    seen = [gradient.sensitivity for gradient in report.blocks.values() if gradient.sensitivity is not None]
    if report.ok and seen and all(map(math.isfinite, seen)):
        parts += [paragraph(f"An error of {format_small(max(seen))} of a gradient, or more, in any of them {PROMISE}.")]
    return join_html(*parts)


def _reasons(report: ReportRecord) -> list[Html]:
    """Why gradients are not judged."""
    return [tag("li", _names(gradients), escape(f": {reason}")) for reason, gradients in reasons(report).items()]


def _names(gradients: Sequence[Block]) -> Html:
    return Html(
        ", ".join(inline("b", escape(f"{VERDICT_SIGNS[gradient.verdict]} {gradient.name}")) for gradient in gradients)
    )


def _smallest(report: ReportRecord, level: int) -> Html:
    """The smallest size that fails, and how to go there."""
    if not report.smallest:
        return NOTHING
    options = "".join(f" --size {name}={value}" for name, value in report.smallest.items())
    subject = report.name if "::" in report.name else f"FILE::{report.name}"  # of several files each is named
    command = f"gradcheck check {subject}{options}" + (f" --seed {report.seed}" if report.seed else "")
    return join_html(
        heading(level, "Smallest size that fails"),
        tag("p", inline("strong", escape(format_sizes(report.smallest)))),
        tag("pre", inline("code", escape(command))),
    )


# -- gradients ---------------------------------------------------------------------------------------------------------


def _gradients(report: ReportRecord, level: int) -> Html:
    gradients = worst_first(report)
    if not gradients:
        return NOTHING
    columns = [column_head(text) for text in ("gradient", "shape", "verdict")]
    heads = ["error", "± bar", "would see"]
    has_entries = any(any(format_worst_entry(one)) for one in gradients)  # empty columns are left out, as in the text
    heads += ["worst entry", "analytic", "numerical"] if has_entries else []
    columns += [column_head(text, "number") for text in heads]
    rows = [_gradient(one, with_entry=has_entries) for one in gradients]
    divided = any(gradient.factor != 1.0 for gradient in gradients)
    return join_html(
        heading(level, "Gradients"),
        picture(gradients),
        data_table("Gradients", columns, rows, "gradients"),
        paragraph("÷: judged after this factor was divided out; see the law “reduction”.", "dim")
        if divided
        else NOTHING,
    )


def _gradient(gradient: Block, *, with_entry: bool) -> Html:
    shape = "×".join(map(str, gradient.shape)) or "scalar"
    told = gradient.message if gradient.verdict in ("right", "wrong") else ""  # of others it is said above
    message = tag("div", escape(told), class_="dim note") if told else NOTHING
    cells = [
        tag("th", escape(gradient.name), message, scope="row"),
        tag("td", escape(shape)),
        tag("td", verdict_mark(gradient.verdict, f" (÷ {gradient.factor:g})" if gradient.factor != 1.0 else "")),
    ]
    numbers = [
        format_small(gradient.error),
        format_small(gradient.error_bar),
        format_small(gradient.sensitivity),
        *(format_worst_entry(gradient) if with_entry else ()),
    ]
    cells += [tag("td", escape(number) if number else MISSING, class_="number") for number in numbers]
    return tag("tr", *cells)


# -- laws, sizes -------------------------------------------------------------------------------------------------------


def _laws(report: ReportRecord, level: int) -> Html:
    if not report.laws:
        return NOTHING
    broken_first = sorted(report.laws.values(), key=lambda law: (law.holds, law.tested))
    columns = [column_head("law"), column_head("outcome"), column_head("what was found")]
    is_broken = not all(law.holds for law in report.laws.values())
    return folded("Laws", level, data_table("Laws", columns, map(_law, broken_first), "laws"), is_open=is_broken)


def _law(law: Law) -> Html:
    known = law_outcome(law)
    sign = VERDICT_SIGNS[known if law.holds else "wrong"]
    word = "broken" if not law.holds else "holds" if law.tested else "not tested"
    outcome = inline("span", escape(f"{sign} {word}"), class_=f"verdict {known}")
    cells = [tag("th", escape(law.name), scope="row"), tag("td", outcome), tag("td", escape(law.message))]
    return tag("tr", *cells)
