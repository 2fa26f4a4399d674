"""SARIF, read as code scanning reads it: by the rules of version 2.1.0 for what is used of it."""

from __future__ import annotations

import difflib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from gradcheck._usercode.source import Edit, Source, split_lines
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import Fix
from gradcheck.report.records import Finding
from gradcheck.report.report import Report
from gradcheck.report.sarif import to_sarif
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, INCONCLUSIVE, WRONG, hostile

MESSAGE = {"text": str}
ARTIFACT = {"uri": str, "uriBaseId?": str}
REGION = {"startLine": int, "startColumn?": int, "endLine?": int, "endColumn?": int}
REPLACEMENT = {"deletedRegion": REGION, "insertedContent?": {"text": str}}
CHANGE = {"artifactLocation": ARTIFACT, "replacements": [REPLACEMENT]}
LOCATION = {
    "physicalLocation?": {"artifactLocation": ARTIFACT, "region?": REGION},
    "logicalLocations?": [{"name": str, "kind": str}],
}
RESULT = {
    "ruleId": str,
    "ruleIndex": int,
    "level": str,
    "message": MESSAGE,
    "locations": [LOCATION],
    "partialFingerprints": {"gradcheck/v1": str},
    "fixes?": [{"description": MESSAGE, "artifactChanges": [CHANGE]}],
}
RULE = {"id": str, "shortDescription": MESSAGE, "fullDescription?": MESSAGE, "help?": {"text": str, "markdown?": str}}
RUN = {
    "tool": {"driver": {"name": str, "semanticVersion": str, "rules": [RULE]}},
    "columnKind": str,
    "originalUriBaseIds": {"SRCROOT": {"uri": str}},
    "results": [RESULT],
}
LOG = {"$schema": str, "version": str, "runs": [RUN]}


def conforms(value: Any, shape: Any, at: str = "log") -> None:
    """Fail unless the value has the fields of the shape, and no other."""
    if isinstance(shape, list):
        assert isinstance(value, list), at
        for number, one in enumerate(value):
            conforms(one, shape[0], f"{at}[{number}]")
    elif isinstance(shape, dict):
        assert isinstance(value, dict), at
        assert {name for name in shape if not name.endswith("?")} <= set(value), at
        assert set(value) <= {name.rstrip("?") for name in shape}, at
        for name, one in value.items():
            conforms(one, shape.get(name, shape.get(f"{name}?")), f"{at}.{name}")
    else:
        assert type(value) is shape, at


def log(*reports: Report, file: str = "targets.py") -> dict[str, Any]:
    """The log of these reports, after what holds for every log."""
    data: dict[str, Any] = json.loads(to_sarif([(report, file) for report in reports]))
    conforms(data, LOG)
    (run,) = data["runs"]
    assert data["version"] == "2.1.0"
    assert re.fullmatch(r"\d+\.\d+\.\d+", run["tool"]["driver"]["semanticVersion"])
    assert run["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    assert run["originalUriBaseIds"]["SRCROOT"]["uri"].endswith("/")
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(rules) == len(set(rules))
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("none", "note", "warning", "error")
    return data


def results(*reports: Report, file: str = "targets.py") -> list[dict[str, Any]]:
    """The results of these reports."""
    found: list[dict[str, Any]] = log(*reports, file=file)["runs"][0]["results"]
    return found


@pytest.mark.parametrize("report", [*EVERY_VERDICT, hostile("<a> b%:\n")], ids=lambda one: one.name[:4])
def test_every_log_is_valid(report: Report) -> None:
    """Code scanning would refuse the file, or show nothing of it."""
    log(report)
    log(report, WRONG)


def test_nothing_wrong_is_a_log_without_results() -> None:
    """An upload would fail where all is right, and old alerts would stay open."""
    assert results(EVERY_VERDICT[1]) == []
    log()


def test_a_result_is_at_its_line() -> None:
    """An alert would stand at another line, or in another file."""
    result = results(WRONG)[1]
    where = result["locations"][0]["physicalLocation"]
    assert where["region"] == {"startLine": 7, "startColumn": 12, "endColumn": 14}
    assert where["artifactLocation"] == {"uri": "model.py", "uriBaseId": "SRCROOT"}
    assert (result["ruleId"], result["level"]) == ("wrong-sign", "error")
    assert result["message"]["text"].startswith("lstm: the sign is wrong")


def test_a_result_without_a_line_is_in_the_file_of_its_target() -> None:
    """Code scanning shows no alert that has no file."""
    where = results(WRONG, file=str(Path.cwd() / "a dir" / "ü.py"))[0]["locations"][0]["physicalLocation"]
    assert unquote(where["artifactLocation"]["uri"]) == "a dir/ü.py"
    assert " " not in where["artifactLocation"]["uri"]
    assert "region" not in where


def test_a_file_elsewhere_has_its_whole_address(tmp_path: Path) -> None:
    """A path beside the repository would be taken for one within it."""
    where = results(WRONG, file=str(tmp_path / "x.py"))[0]["locations"][0]["physicalLocation"]
    assert where["artifactLocation"] == {"uri": (tmp_path / "x.py").as_uri()}


def test_what_is_not_decided_is_a_warning() -> None:
    """A kink would block a pull request as an error."""
    assert [one["level"] for one in results(INCONCLUSIVE)] == ["warning"]


def test_an_alert_is_the_same_after_its_line_has_moved() -> None:
    """Each commit would close an alert and open it again."""
    from dataclasses import replace

    moved = replace(WRONG, findings=tuple(replace(one, line=one.line and one.line + 5) for one in WRONG.findings))
    before, after = (
        [one["partialFingerprints"]["gradcheck/v1"] for one in results(report)] for report in (WRONG, moved)
    )
    assert before == after
    assert len(set(before)) == len(before)


def with_fix(before: str, after: str, *, is_verified: bool = True, file: str = "model.py") -> Report:
    """A report with an edit that makes one text of another."""
    edits = []
    matcher = difflib.SequenceMatcher(None, split_lines(before), split_lines(after), autojunk=False)
    for kind, i, j, k, m in matcher.get_opcodes():
        if kind != "equal":
            edits.append(Edit((i + 1, 0), (j + 1, 0), "".join(split_lines(after)[k:m]).replace("\r\n", "\n")))
    fix = Fix(1, "", "", Source(file, f"{before}end").diff(edits), is_verified)
    finding = Finding(FindingCode.WRONG_LINE, ("W",), file=file, line=1, statement="a", fix=fix)
    return Report("x", "wrong", {}, {}, (finding,))


def applied(text: str, result: dict[str, Any]) -> str:
    """The text after the fixes of a result, as an editor reads them."""
    lines = text.splitlines(keepends=True)
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["artifactLocation"]["uri"] == "model.py"
    for one in reversed(change["replacements"]):
        region = one["deletedRegion"]
        first, last = region["startLine"], region.get("endLine", region["startLine"])
        begin = sum(map(len, lines[: first - 1])) + region.get("startColumn", 1) - 1
        column = region.get("endColumn", len(lines[last - 1].rstrip("\r\n")) + 1 if last <= len(lines) else 1)
        end = sum(map(len, lines[: last - 1])) + column - 1
        joined = "".join(lines)
        lines = (joined[:begin] + one["insertedContent"]["text"] + joined[end:]).splitlines(keepends=True)
    return "".join(lines)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "after",
    ["a = 2|b = 2|c = 3|", "a = 1|b = 2|x = 0|c = 3|", "b = 2|c = 3|", "z = 0|a = 1|b = 2|c = 4|", "a = 1|b = 2|"],
)
def test_a_verified_fix_can_be_applied(after: str, end: str) -> None:
    """An editor that offers the fix would write other code than what was verified."""
    before, after = "a = 1|b = 2|c = 3|".replace("|", end), after.replace("|", end)
    (result,) = results(with_fix(before, after))
    assert applied(before + "end", result) == after + "end"


def test_what_is_not_verified_is_no_fix() -> None:
    """An editor would offer with one click what may be wrong."""
    (result,) = results(with_fix("a = 1\n", "a = 2\n", is_verified=False))
    assert "fixes" not in result


def test_a_cell_of_a_notebook_has_no_fix() -> None:
    """The lines of a cell would be replaced in the JSON of the notebook."""
    (result,) = results(with_fix("a = 1\n", "a = 2\n", file="x.ipynb, cell [1]"))
    assert "fixes" not in result


def test_a_rule_has_the_page_of_its_code() -> None:
    """Code scanning would show a name that explains nothing, and no help."""
    rules = {rule["id"]: rule for rule in log(WRONG)["runs"][0]["tool"]["driver"]["rules"]}
    assert "How to mend it" in rules["wrong-sign"]["help"]["markdown"]
    assert rules["wrong-sign"]["shortDescription"]["text"] != "wrong sign"
