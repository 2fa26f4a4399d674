"""Reports as one HTML file that needs nothing beside it: what is wrong first, then the picture, then the numbers.

Text and markup are different types here: only `_text` makes `Html` of what a user named, so nothing gets past it.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import NewType

from gradcheck._common.verdict import MISS_PROBABILITY, Verdict
from gradcheck._common.wording import format_sizes
from gradcheck._version import __version__
from gradcheck.report.phrases import (
    SORT_ORDER,
    VERDICT_SIGNS,
    footer,
    format_location,
    format_small,
    format_worst_entry,
    headline,
    reasons,
    worst_first,
)
from gradcheck.report.records import Block, Finding, Fix, Law, ReportRecord, Trial

#: markup, with everything in it escaped
Html = NewType("Html", str)

#: what HTML cannot hold and what UTF-8 cannot: control characters, lone surrogates
_UNWRITABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
#: what is wrong, up to where and why
_FIRST_CLAUSE = re.compile(r"((?:law \w+: )?.*?(?=[;:] |\Z))", re.DOTALL)
#: a browser that reads the file fetches nothing and runs nothing
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
#: elements that have no content
_VOID = frozenset({"meta"})
_NOTHING = Html("")
_MISSING = Html('<span class="dim">–</span>')

# The picture: decades of the axis, and lengths in its own units.
_FIRST, _LAST = -16, 1
_TICKS = (-16, -12, -8, -4, 0)
_LEFT, _RIGHT, _WIDTH = 150.0, 700.0, 780.0
_ROW, _TOP = 24.0, 8.0
_LABEL = 18


def to_html(reports: Sequence[ReportRecord]) -> str:
    """The reports as one page; several get a table of contents."""
    several = len(reports) != 1
    heading = 2 if several else 1
    sections = [_report(report, number, heading) for number, report in enumerate(reports, 1)]
    body = [*([_contents(reports)] if several else []), *sections]
    head = [
        _tag("meta", charset="utf-8"),
        _tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        _tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _tag("meta", name="color-scheme", content="light dark"),
        _tag("title", _text(_title(reports))),
        _tag("style", Html(_style())),
    ]
    page = _tag("html", _tag("head", *head), _tag("body", _tag("main", *body)), lang="en")
    return f"<!DOCTYPE html>\n{page}\n"


def _style() -> str:
    return files("gradcheck.report").joinpath("style.css").read_text(encoding="utf-8")


# -- markup ------------------------------------------------------------------------------------------------------------


def _text(value: object) -> Html:
    """Text as markup, whatever is in it."""
    return Html(html.escape(_UNWRITABLE.sub("\ufffd", str(value))))


def _tag(name: str, /, *parts: Html, **attributes: object) -> Html:
    """An element; attributes are escaped here: `class_` is class, `http_equiv` is http-equiv, None is left out."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_text(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{given}>" if name in _VOID else f"<{name}{given}>{''.join(parts)}</{name}>\n")


def _inline(name: str, /, *parts: Html, **attributes: object) -> Html:
    """An element within a sentence, with no line break after it."""
    return Html(_tag(name, *parts, **attributes).rstrip("\n"))


def _joined(*parts: Html) -> Html:
    return Html("".join(parts))


def _heading(level: int, text: str, **attributes: object) -> Html:
    return _tag(f"h{level}", _text(text), **attributes)


def _paragraph(text: str, class_: str | None = None) -> Html:
    return _tag("p", _text(text), class_=class_)


def _table(label: str, columns: Iterable[Html], rows: Iterable[Html], class_: str) -> Html:
    """A table with its head; too wide for the page, it scrolls by itself."""
    table = _tag("table", _tag("thead", _tag("tr", *columns)), _tag("tbody", *rows), class_=class_)
    return _scrolling(label, table)


def _scrolling(label: str, part: Html) -> Html:
    return _tag("div", part, class_="scroll", role="region", aria_label=label, tabindex=0)


def _column(text: str, class_: str | None = None) -> Html:
    return _tag("th", _text(text), scope="col", class_=class_)


def _verdict(verdict: Verdict, more: str = "") -> Html:
    """A sign and a word; the colour only repeats them."""
    return _inline("span", _text(f"{VERDICT_SIGNS[verdict]} {verdict}{more}"), class_=f"verdict {verdict}")


def _sign(verdict: Verdict) -> Html:
    """A sign alone, and the word for those who are read to."""
    sign = _inline("span", _text(VERDICT_SIGNS[verdict]), aria_hidden="true")
    return _joined(sign, _inline("span", _text(verdict), class_="unseen"))


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
        _tag(
            "tr",
            _tag("th", _inline("a", _text(report.name), href=f"#r{number}"), scope="row"),
            _tag("td", _verdict(report.verdict)),
            _tag("td", _text(headline(report))),
        )
        for number, report in enumerate(reports, 1)
    ]
    columns = [_column("target"), _column("verdict"), _column("outcome")]
    table = _table("Targets", columns, rows, "contents") if reports else _NOTHING
    return _tag("nav", _heading(1, _outcome(reports)), table, aria_label="Contents")


# -- one report --------------------------------------------------------------------------------------------------------


def _report(report: ReportRecord, number: int, level: int) -> Html:
    below = level + 1
    parts = [
        _banner(report, number, level),
        _what_is_wrong(report, below),
        _smallest(report, below),
        _gradients(report, below),
        _laws(report, below),
        _trials(report, below),
        _footer(report),
    ]
    return _tag("article", *parts, id=f"r{number}", class_=report.verdict, aria_labelledby=f"r{number}-name")


def _footer(report: ReportRecord) -> Html:
    parts = [footer(report), *(["every entry"] if report.full else []), f"gradcheck {__version__}"]
    return _tag("footer", _paragraph(" · ".join(parts), "dim small"))


def _banner(report: ReportRecord, number: int, level: int) -> Html:
    name = _inline("span", _text(report.name), class_="name")
    title = _tag(f"h{level}", name, _text(" "), _verdict(report.verdict), id=f"r{number}-name")
    doc = _paragraph(report.doc, "dim") if report.doc else _NOTHING
    return _tag("header", title, _paragraph(headline(report), "headline"), doc, class_="banner")


def _what_is_wrong(report: ReportRecord, level: int) -> Html:
    """The findings; why some gradients are not judged; or, where all is well, what that is worth."""
    parts = []
    if report.findings:
        parts += [_heading(level, "What is wrong"), _tag("ol", *map(_finding, report.findings), class_="findings")]
    parts += [_paragraph(note) for note in report.notes]
    if undecided := _reasons(report):
        parts += [_heading(level, "What could not be decided"), _tag("ul", *undecided)]
    seen = [block.sensitivity for block in report.blocks.values() if block.sensitivity is not None]
    if report.ok and seen and all(map(math.isfinite, seen)):
        parts += [
            _paragraph(f"An error of {format_small(max(seen))} of a gradient, or more, in any of them {_PROMISE}.")
        ]
    return _joined(*parts)


#: of an error as large as the sensitivity
_PROMISE = f"would have been missed with a probability of at most 1e{round(math.log10(MISS_PROBABILITY))}"


def _finding(finding: Finding) -> Html:
    _, first, rest = _FIRST_CLAUSE.split(finding.message, maxsplit=1)
    message = _tag("p", _inline("strong", _text(first)), _text(rest), class_="message")
    return _tag("li", message, _where(finding), _fix(finding.fix) if finding.fix else _NOTHING)


def _where(finding: Finding) -> Html:
    """The line at fault; the statement on it, unless the fix shows it anyway."""
    parts = []
    if format_location(finding):
        parts.append(_tag("p", _text("in "), _inline("code", _text(format_location(finding)))))
    if finding.statement is not None and finding.fix is None:
        parts.append(_tag("pre", _inline("code", _text(finding.statement))))
    return _joined(*parts)


def _fix(fix: Fix) -> Html:
    said = "This edit makes it right (verified):" if fix.verified else "This edit may make it right (not verified):"
    lines = [_diff_line(line) for line in fix.diff.splitlines()] or [
        _diff_line(f"-{fix.before}"),
        _diff_line(f"+{fix.after}"),
    ]
    return _joined(_paragraph(said), _tag("pre", _inline("code", Html("\n".join(lines)))))


def _diff_line(line: str) -> Html:
    header = line.startswith(("---", "+++", "@@"))
    kind = "dim" if header else {"-": "removed", "+": "added"}.get(line[:1])
    return _inline("span", _text(line), class_=kind)


def _reasons(report: ReportRecord) -> list[Html]:
    """Why gradients are not judged."""
    return [_tag("li", _names(blocks), _text(f": {reason}")) for reason, blocks in reasons(report).items()]


def _names(blocks: Sequence[Block]) -> Html:
    return Html(", ".join(_inline("b", _text(f"{VERDICT_SIGNS[block.verdict]} {block.name}")) for block in blocks))


def _smallest(report: ReportRecord, level: int) -> Html:
    """The smallest size that fails, and how to go there."""
    if not report.smallest:
        return _NOTHING
    options = "".join(f" --size {name}={value}" for name, value in report.smallest.items())
    command = f"gradcheck check FILE::{report.name}{options}" + (f" --seed {report.seed}" if report.seed else "")
    return _joined(
        _heading(level, "Smallest size that fails"),
        _tag("p", _inline("strong", _text(format_sizes(report.smallest)))),
        _tag("pre", _inline("code", _text(command))),
    )


# -- gradients ---------------------------------------------------------------------------------------------------------


def _gradients(report: ReportRecord, level: int) -> Html:
    blocks = worst_first(report)
    if not blocks:
        return _NOTHING
    columns = [_column(text) for text in ("gradient", "shape", "verdict")]
    columns += [_column(text, "number") for text in ("error", "± bar", "would see", "worst entry")]
    columns += [_column(text, "number") for text in ("analytic", "numerical")]
    divided = any(block.factor != 1.0 for block in blocks)
    return _joined(
        _heading(level, "Gradients"),
        _picture(blocks),
        _table("Gradients", columns, map(_block, blocks), "gradients"),
        _paragraph("÷: judged after this factor was divided out; see the law “reduction”.", "dim")
        if divided
        else _NOTHING,
    )


def _block(block: Block) -> Html:
    shape = "×".join(map(str, block.shape)) or "scalar"
    told = block.message if block.verdict in ("right", "wrong") else ""  # of others it is said above
    message = _tag("div", _text(told), class_="dim note") if told else _NOTHING
    cells = [
        _tag("th", _text(block.name), message, scope="row"),
        _tag("td", _text(shape)),
        _tag("td", _verdict(block.verdict, f" (÷ {block.factor:g})" if block.factor != 1.0 else "")),
    ]
    numbers = [
        format_small(block.error),
        format_small(block.error_bar),
        format_small(block.sensitivity),
        *format_worst_entry(block),
    ]
    cells += [_tag("td", _text(number) if number else _MISSING, class_="number") for number in numbers]
    return _tag("tr", *cells)


def _picture(blocks: Sequence[Block]) -> Html:
    """Each error on a logarithmic axis, beside the error bar it has to stay within."""
    bottom = _TOP + _ROW * len(blocks)
    rows = [_bar(block, _TOP + _ROW * (number + 0.5)) for number, block in enumerate(blocks)]
    title = _tag("title", _text("The error of each gradient beside its error bar, on a logarithmic axis"))
    drawing = _tag(
        "svg", title, _axis(bottom), *rows, viewBox=f"0 0 {_WIDTH:g} {bottom + 24:g}", role="img", class_="picture"
    )
    return _tag("figure", _scrolling("Picture of the errors", drawing), _legend())


def _axis(bottom: float) -> Html:
    parts = []
    for exponent in _TICKS:
        x = _x(10.0**exponent)
        parts.append(_line(x, _TOP, x, bottom, "grid"))
        parts.append(_label(x, bottom + 16, "1" if exponent == 0 else f"1e{exponent}", "tick", "middle"))
    return _tag("g", *parts)


def _bar(block: Block, y: float) -> Html:
    """A row: the name, the error bar, what would be seen, the error."""
    name = block.name if len(block.name) <= _LABEL else block.name[: _LABEL - 1] + "…"
    parts = [_tag("title", _text(f"{block.name}: {block.verdict}")), _label(0, y + 4, name, "label", "start")]
    bar, error = _drawable(block.error_bar), _drawable(block.error)
    if bar is not None:
        parts.append(_box(_LEFT, y - 6, _x(bar) - _LEFT, 12, "band"))
    if (seen := _drawable(block.sensitivity)) is not None:
        parts.append(_line(_x(seen), y - 9, _x(seen), y + 9, "seen"))
    if error is None:
        parts.append(
            _label(_LEFT + 8, y + 4, f"{VERDICT_SIGNS[block.verdict]} no number", f"value {block.verdict}", "start")
        )
        return _tag("g", *parts)
    if bar is None or error > bar:
        start = _LEFT if bar is None else _x(bar)
        parts.append(_box(start, y - 3, _x(error) - start, 6, f"beyond {block.verdict}"))
    parts.append(_tag("circle", cx=f"{_x(error):.1f}", cy=f"{y:.1f}", r=8, class_=f"mark {block.verdict}"))
    parts.append(_label(_x(error), y + 4, VERDICT_SIGNS[block.verdict], f"sign {block.verdict}", "middle"))
    parts.append(_label(_WIDTH - 4, y + 4, format_small(block.error), f"value {block.verdict}", "end"))
    return _tag("g", *parts)


def _drawable(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value


def _x(value: float) -> float:
    """Where a size stands on the axis; what is beyond an end stands at that end."""
    exponent = math.log10(value) if 0 < value < math.inf else (_LAST if value > 0 else _FIRST)
    part = (min(max(exponent, _FIRST), _LAST) - _FIRST) / (_LAST - _FIRST)
    return _LEFT + part * (_RIGHT - _LEFT)


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Html:
    return _tag("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=class_)


def _box(x: float, y: float, width: float, height: float, class_: str) -> Html:
    return _tag("rect", x=f"{x:.1f}", y=f"{y:.1f}", width=f"{width:.1f}", height=f"{height:g}", class_=class_)


def _label(x: float, y: float, text: str, class_: str, anchor: str) -> Html:
    return _tag("text", _text(text), x=f"{x:.1f}", y=f"{y:.1f}", class_=class_, text_anchor=anchor)


def _legend() -> Html:
    band = _swatch(_box(1, 4, 26, 12, "band"))
    seen = _swatch(_line(14, 1, 14, 19, "seen"))
    beyond = _swatch(_box(1, 7, 26, 6, "beyond wrong"))
    return _tag(
        "figcaption",
        _inline("span", band, _text(" the error bar: below it nothing can be told")),
        _inline("span", seen, _text(f" an error this large {_PROMISE}")),
        _inline("span", beyond, _text(" how far an error is outside its bar; relative to the gradient's norm")),
    )


def _swatch(shape: Html) -> Html:
    return _inline("svg", shape, viewBox="0 0 28 20", width=28, height=20, aria_hidden="true")


# -- laws, sizes -------------------------------------------------------------------------------------------------------


def _laws(report: ReportRecord, level: int) -> Html:
    if not report.laws:
        return _NOTHING
    broken_first = sorted(report.laws.values(), key=lambda law: law.holds)
    columns = [_column("law"), _column("outcome"), _column("what was found")]
    return _joined(_heading(level, "Laws"), _table("Laws", columns, map(_law, broken_first), "laws"))


def _law(law: Law) -> Html:
    sign, word = (VERDICT_SIGNS["right"], "holds") if law.holds else (VERDICT_SIGNS["wrong"], "broken")
    outcome = _inline("span", _text(f"{sign} {word}"), class_=f"verdict {'right' if law.holds else law.breach}")
    cells = [_tag("th", _text(law.name), scope="row"), _tag("td", outcome), _tag("td", _text(law.message))]
    return _tag("tr", *cells)


def _trials(report: ReportRecord, level: int) -> Html:
    """A grid of the sizes that were changed one at a time; what is said of these and of all others below it."""
    if not report.trials:
        return _NOTHING
    singly: dict[tuple[str, int], Verdict] = {}
    for trial in report.trials:
        changed = _changed(report, trial)
        for name in changed or report.sizes:
            if len(changed) <= 1:
                singly[name, trial.sizes[name]] = trial.verdict
    values = sorted({value for _, value in singly})
    rows = [_size(name, values, singly, report.sizes) for name in report.sizes]
    columns = [_column("size"), *(_column(str(value), "sign") for value in values)]
    grid = _table("Sizes", columns, rows, "sizes")
    told = _paragraph("Each row changes one size; outlined are the sizes as given.", "dim small")
    notes = _tag("ul", *_trial_notes(report))
    varied = len(singly) > len(report.sizes)
    return _joined(_heading(level, "Sizes tried"), *((grid, told) if varied else ()), notes)


def _size(name: str, values: Sequence[int], singly: dict[tuple[str, int], Verdict], sizes: dict[str, int]) -> Html:
    cells = []
    for value in values:
        verdict = singly.get((name, value))
        told = _sign(verdict) if verdict else _NOTHING
        own = " own" if sizes[name] == value else ""
        cells.append(_tag("td", told, class_=f"sign {verdict or ''}{own}".rstrip()))
    return _tag("tr", _tag("th", _text(name), scope="row"), *cells)


def _trial_notes(report: ReportRecord) -> list[Html]:
    """What came out where: outcomes that are alike together, the worst first."""
    alike: dict[tuple[Verdict, tuple[str, ...], str], list[Trial]] = {}
    for trial in report.trials:
        alike.setdefault((trial.verdict, trial.wrong, trial.message), []).append(trial)
    notes = []
    for (verdict, wrong, message), trials in sorted(alike.items(), key=lambda item: SORT_ORDER[item[0][0]]):
        where = "at all of them" if len(alike) == 1 else _places(report, trials)
        said = [*([", ".join(wrong)] if wrong else []), where, *([message] if message else [])]
        notes.append(_tag("li", _verdict(verdict), _text(f" {': '.join(said)}")))
    return notes


def _places(report: ReportRecord, trials: Sequence[Trial]) -> str:
    """Sizes in short: as given; T=1, 2, 3; B=1; all that differ in several written out."""
    singly: dict[str, list[str]] = {}
    others = []
    for trial in trials:
        changed = _changed(report, trial)
        if len(changed) == 1:
            name, value = next(iter(changed.items()))
            singly.setdefault(name, []).append(str(value))
        else:
            others.append(format_sizes(changed) or "as given")
    return " · ".join([*sorted(others, key=len), *(f"{name}={', '.join(values)}" for name, values in singly.items())])


def _changed(report: ReportRecord, trial: Trial) -> dict[str, int]:
    """The sizes of a trial that are not the report's."""
    return {name: value for name, value in trial.sizes.items() if report.sizes.get(name) != value}
