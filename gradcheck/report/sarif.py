"""Reports as SARIF 2.1.0, which code scanning and editors read."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from gradcheck._version import __version__
from gradcheck.report.evidence import Fix
from gradcheck.report.fix_lines import verified
from gradcheck.report.pages.finding import PAGES, first_sentence
from gradcheck.report.pages.page import page_to_markdown, page_to_text
from gradcheck.report.places import Remark, remarks, root
from gradcheck.report.records import ReportRecord
from gradcheck.report.source_lines import diff_lines

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
#: what is told of kinds that are no finding
_OTHERS = {
    "wrong": "a gradient is wrong",
    "inconclusive": "a gradient could not be judged",
    "vacuous": "a gradient was compared with nothing",
}


def to_sarif(reports: Iterable[tuple[ReportRecord, str]]) -> str:
    """One run with all findings; each report comes with the file of its target."""
    found = [(report, remark) for report, file in reports for remark in remarks(report, file)]
    codes = sorted({remark.code for _, remark in found})
    driver = {
        "name": "gradcheck",
        "semanticVersion": _semantic(__version__),
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {"SRCROOT": {"uri": f"{root().as_uri()}/"}},
        "results": [_result(report, remark, codes) for report, remark in found],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1) + "\n"


def _rule(code: str) -> dict[str, Any]:
    """What is told of a code: its page, if it has one."""
    if code not in PAGES:
        return {"id": code, "shortDescription": {"text": _OTHERS.get(code, code)}}
    page = PAGES[code]
    return {
        "id": code,
        "shortDescription": {"text": first_sentence(page.meaning)},
        "fullDescription": {"text": page.meaning},
        "help": {"text": page_to_text(page), "markdown": page_to_markdown(page)},
    }


def _result(report: ReportRecord, remark: Remark, codes: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": remark.code,
        "ruleIndex": codes.index(remark.code),
        "level": "error" if remark.is_error else "warning",
        "message": {"text": f"{report.name}: {remark.text}"},
        "partialFingerprints": {"gradcheck/v1": _fingerprint(report, remark)},
    }
    if remark.fix is not None and (replacements := list(_replacements(remark.fix))):
        change = {"artifactLocation": _artifact(remark.file), "replacements": replacements}
        result["fixes"] = [
            {"description": {"text": f"{verified(remark.fix)}, by a whole check"}, "artifactChanges": [change]}
        ]
    location = dict(_location(report, remark))
    return {**result, "locations": [location]}


def _replacements(fix: Fix) -> Iterator[dict[str, Any]]:
    """The lines that the edit takes away and those that it brings, as regions of the file as it was checked."""
    end = "\r\n" if "\r\n" in fix.diff else "\n"
    before = 0
    # lines that stay part two replacements
    for stays, group in itertools.groupby(diff_lines(fix.diff), key=lambda one: one.sign == " "):
        lines = list(group)
        gone = [one.number for one in lines if one.sign == "-"]
        new = [one.text for one in lines if one.sign == "+"]
        if gone and new:
            # up to the end of the last line, since the file may end there
            yield _replacement(end.join(new), startLine=gone[0], endLine=gone[-1])
        elif gone:
            yield _replacement("", startLine=gone[0], startColumn=1, endLine=gone[-1] + 1, endColumn=1)
        elif new:
            text = "".join(one + end for one in new)
            yield _replacement(text, startLine=before + 1, startColumn=1, endColumn=1)
        before = lines[-1].number if stays else max(gone, default=before)


def _replacement(text: str, **region: int) -> dict[str, Any]:
    return {"deletedRegion": region, "insertedContent": {"text": text}}


def _location(report: ReportRecord, remark: Remark) -> Iterator[tuple[str, Any]]:
    yield "logicalLocations", [{"name": report.name, "kind": "function"}]
    if remark.file:
        physical: dict[str, Any] = {"artifactLocation": _artifact(remark.file)}
        if remark.line:
            region = {"startLine": remark.line, "startColumn": remark.column, "endColumn": remark.end_column}
            physical["region"] = {name: value for name, value in region.items() if value}
        yield "physicalLocation", physical


def _artifact(file: str) -> dict[str, str]:
    path = Path(file)
    return {"uri": path.as_uri()} if path.is_absolute() else {"uri": quote(file), "uriBaseId": "SRCROOT"}


def _fingerprint(report: ReportRecord, remark: Remark) -> str:
    """The same while what is wrong is the same, wherever its line moves to."""
    told = "\n".join((report.name, remark.code, remark.file, remark.title))
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:32]


def _semantic(version: str) -> str:
    """The version as SARIF wants it: three numbers first."""
    numbers = version.split("+")[0].split(".")
    return ".".join([*numbers, "0", "0"][:3])
