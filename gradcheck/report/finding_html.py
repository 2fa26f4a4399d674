"""A finding as HTML: what is wrong, where, the source, what follows, and the edit that mends it."""

from __future__ import annotations

from gradcheck.report.evidence import FindingRecord
from gradcheck.report.excerpt import ShownLine, excerpt
from gradcheck.report.finding_notes import ALONE, Setting, advice, equivalent, notes_on, place, plain_headline, severity
from gradcheck.report.fix_lines import fix_lines, verified
from gradcheck.report.markup import NOTHING, Html, escape, inline, join_html, paragraph, tag
from gradcheck.report.syntax import coloured

#: a page scrolls where it has no room
_WIDTH = 400


def finding_to_html(finding: FindingRecord, setting: Setting = ALONE) -> Html:
    """As in the text; of a finding without its report, all but how wrong the gradients are."""
    lines = excerpt(finding, _WIDTH)
    told = next((line.said for line in lines if line.said), "")
    notes = [tag("li", escape(note)) for note in notes_on(finding, setting, told)]
    return join_html(
        _title(finding, setting),
        _place(finding),
        _source(lines) if lines else NOTHING,
        tag("ul", *notes, class_="notes") if notes else NOTHING,
        _help(finding, setting),
    )


def diff_to_html(lines: list[str]) -> Html:
    """The lines of a diff."""
    return tag("pre", inline("code", Html("\n".join(map(_diff_line, lines)))))


def _title(finding: FindingRecord, setting: Setting) -> Html:
    """What is wrong, and the code that there is a page on."""
    code = inline("code", escape(finding.code.value), class_=f"kind {severity(finding, setting)}")
    return tag("p", inline("strong", escape(plain_headline(finding))), escape(" "), code, class_="message")


def _place(finding: FindingRecord) -> Html:
    at, function = place(finding)
    more = escape(f", {function}" if function else "")
    return tag("p", escape("at "), inline("code", escape(at)), more) if at else NOTHING


def _source(lines: list[ShownLine]) -> Html:
    """The lines with their numbers, the wrong part marked; below it what is said of that."""
    wide = len(str(lines[-1].number))
    shown = [part for line in lines for part in _source_line(line, wide)]
    return tag("pre", inline("code", Html("\n".join(shown))))


def _source_line(line: ShownLine, wide: int) -> list[Html]:
    number = inline("span", escape(f"{line.number:>{wide}} "), class_="dim")
    wrong = inline("mark", escape(line.wrong)) if line.wrong else NOTHING
    holds = inline("span", escape(line.holds), class_="dim") if line.holds else NOTHING
    shown = [join_html(number, coloured(line.before), wrong, coloured(line.after), holds)]
    if line.wrong and line.said:
        lead = " " * (wide + 1 + len(line.before))
        shown.append(join_html(escape(lead), inline("span", escape(f"^ {line.said}"), class_="said")))
    return shown


def _help(finding: FindingRecord, setting: Setting) -> Html:
    """The edit, and another one; without an edit, advice."""
    fix = finding.fix
    if fix is None:
        words = advice(finding, setting)
        return paragraph(f"What to do: {words}.") if words else NOTHING
    makes = f"makes it right ({verified(fix)})" if fix.verified else "may make it right (not verified)"
    lines = diff_to_html([f"{one.sign} {one.text}" for one in fix_lines(fix)])
    title, code = equivalent(finding)
    other = tag("p", escape(f"{title}: "), inline("code", escape(code))) if code else NOTHING
    return join_html(paragraph(f"This edit {makes}:"), lines, other)


def _diff_line(line: str) -> Html:
    header = line.startswith(("---", "+++", "@@"))
    kind = "dim" if header else {"-": "removed", "+": "added"}.get(line[:1])
    return inline("span", escape(line), class_=kind)
