"""docs/report-format.md says what a report as data holds: every field, no other, every code."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gradcheck import Block, Report, Worst, check
from gradcheck.report import evidence
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import (
    ActivationRatio,
    AxisPart,
    Evidence,
    Fix,
    IndexRange,
    JudgedWithout,
    Label,
    RightInput,
    WrongPlace,
    WrongRegion,
)
from gradcheck.report.records import Cut, Finding
from tests.gradcheck.networks import Rnn, factory
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, hostile

DOCUMENT = (Path(__file__).parents[3] / "docs" / "report-format.md").read_text(encoding="utf-8")
#: the fields that each section documents
FIELDS = {
    section: re.findall(r"^\| `(\w+)` \|", body, re.M)
    for section, body in re.findall(r"^##+ ([\w-]+)\n(.*?)(?=^##|\Z)", DOCUMENT, re.M | re.S)
}
#: the section of what stands in a field, where it is an object or a list of them; "*" is an object by names
INSIDE = {
    ("report", "blocks"): "*gradient",
    ("report", "laws"): "*law",
    ("report", "trials"): "trial",
    ("report", "cuts"): "cut",
    ("report", "findings"): "finding",
    ("gradient", "worst"): "worst",
    ("finding", "expected"): "label",
    ("finding", "given"): "label",
    ("finding", "evidence"): "evidence",
    ("finding", "fix"): "fix",
    ("label", "also"): "label",
    ("right-input", "label"): "label",
    ("wrong-place", "region"): "evidence",
    ("wrong-region", "slices"): "index-range",
    ("activation-ratio", "where"): "index-range",
    ("index-range", "part"): "axis-part",
}
#: objects whose keys are names of the user's
FREE = {"sizes", "smallest", "patch"}


def undocumented(value: Any, section: str) -> Iterator[str]:
    """The fields in data that the document does not know, or knows and that are not there."""
    if isinstance(value, list):
        for part in value:
            yield from undocumented(part, section)
    elif section.startswith("*"):
        for part in value.values():
            yield from undocumented(part, section[1:])
    elif isinstance(value, dict):
        named = value["kind"] if section == "evidence" else section
        fields = {*FIELDS[named], *(["kind"] if section == "evidence" else [])}
        yield from (f"{named}.{key}" for key in fields ^ set(value))
        for key, part in value.items():
            inner = INSIDE.get((named, key))
            if inner is not None:
                yield from undocumented(part, inner)
            elif isinstance(part, dict) and key not in FREE:
                yield f"{named}.{key}: an object that no section describes"


def with_everything() -> Report:
    """A report in which every record of `gradcheck.report.evidence` stands somewhere, one inside the other."""
    part = IndexRange(0, 2, 4, ((0, 1),), AxisPart((1,), 2, ("i",), are_gates=True))
    label = Label("h", 1, 2, 0, also=(Label("c"),))
    found = [
        RightInput("dh", label),
        JudgedWithout("1e-09", "a.py", 3),
        WrongPlace("W", WrongRegion((part,))),
        ActivationRatio("b", "σ'(a)", "σ' was applied twice", part, 3, 5, 1e-9, {"T": 1}),
    ]
    finding = Finding(
        FindingCode.WRONG_LINE, ("W",), tuple(found), expected=label, given=label, fix=Fix(1, "a", "b", "", True)
    )
    block = Block("W", (1,), "wrong", worst=Worst((0,), 1.0, 2.0))
    return Report("x", "wrong", {"W": block}, {}, (finding,), cuts=(Cut("lines"),), patch={"a.py": [(1, 0, 1, 2, "b")]})


@pytest.mark.parametrize("report", [*EVERY_VERDICT, hostile("text"), with_everything()], ids=lambda one: one.name)
def test_every_field_is_documented(report: Report) -> None:
    """A reader of the data would meet a field that nobody explains, or look for one that is not there."""
    assert list(undocumented(report.to_dict(), "report")) == []


@pytest.mark.parametrize("bug", ["no carry", "one entry", "applied twice", "mean over T, and sign"])
def test_every_field_of_a_real_check_is_documented(bug: str) -> None:
    """The samples would be documented, and what a check gives would not."""
    assert list(undocumented(check(factory(Rnn, bug)).to_dict(), "report")) == []


def test_a_field_without_documentation_is_seen() -> None:
    """The test would walk past what it should find."""
    data = replace(EVERY_VERDICT[0], seconds=1.0).to_dict()
    data["new"] = 1
    data["findings"][1]["expected"]["more"] = ""
    del data["trials"][0]["wrong"]
    assert set(undocumented(data, "report")) == {"report.new", "label.more", "trial.wrong"}


def test_every_kind_of_evidence_is_documented() -> None:
    """A kind of evidence that no sample holds would be left out, or one be documented that is gone."""
    records = [one for one in vars(evidence).values() if isinstance(one, type) and issubclass(one, Evidence)]
    for record in records:
        if record is not Evidence:
            assert FIELDS[record.kind] == [field.name for field in dataclasses.fields(record)]


def test_every_code_is_documented() -> None:
    """A code would be in a report and explained nowhere, or explained and in none."""
    codes = re.findall(r"^\| `([\w-]+)` \|", DOCUMENT[DOCUMENT.index("## codes") : DOCUMENT.index("## evidence")], re.M)
    assert codes == [code.value for code in FindingCode]


@pytest.mark.parametrize("anchor", re.findall(r"\]\(#([\w-]+)\)", DOCUMENT))
def test_links_within_the_document_lead_somewhere(anchor: str) -> None:
    """A reader would click on a section that is not there."""
    assert anchor in FIELDS
