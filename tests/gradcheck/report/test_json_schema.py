"""The published schema is what reports as JSON are."""

from __future__ import annotations

import copy
import importlib.resources
import json
from typing import Any

import pytest

from gradcheck import Report, check
from gradcheck.report.json_schema import report_schema
from tests.gradcheck.networks import Rnn, factory
from tests.gradcheck.report.sample_reports import EVERY_VERDICT, hostile
from tests.gradcheck.report.test_report_format import with_everything

jsonschema = pytest.importorskip("jsonschema", reason="pip install -e '.[test]' has it")
PUBLISHED = json.loads(importlib.resources.files("gradcheck.report").joinpath("report.schema.json").read_text("utf-8"))


def complaints(data: Any) -> list[str]:
    """What a reader who goes by the schema would say of this."""
    return [one.json_path for one in jsonschema.Draft202012Validator(PUBLISHED).iter_errors(data)]


def test_the_file_is_what_the_records_say() -> None:
    """The file would be that of an older version: python docs/write_schema.py writes it anew."""
    assert report_schema() == PUBLISHED
    jsonschema.Draft202012Validator.check_schema(PUBLISHED)


@pytest.mark.parametrize("report", [*EVERY_VERDICT, hostile("text"), with_everything()], ids=lambda one: one.name)
def test_a_report_is_valid(report: Report) -> None:
    """Readers who go by the schema would refuse a report."""
    assert complaints(json.loads(report.to_json())) == []


@pytest.mark.parametrize("bug", ["one entry", "mean over T, and sign"])
def test_the_report_of_a_check_is_valid(bug: str) -> None:
    """The samples would be valid, and what a check gives would not."""
    assert complaints(json.loads(check(factory(Rnn, bug), explain=False).to_json())) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda data: data.update(version=2), "$.version"),
        (lambda data: data["blocks"]["W"].pop("error"), "$.blocks.W"),
        (lambda data: data["findings"][0]["evidence"][0].pop("kind"), "$.findings[0].evidence[0]"),
        (lambda data: data["findings"][0]["evidence"][0]["label"]["also"].append({}), "$.findings[0].evidence[0]"),
        (lambda data: data["cuts"][0].update(stage="none"), "$.cuts[0].stage"),
        (lambda data: data["patch"]["a.py"][0].append(1), "$.patch['a.py'][0]"),
    ],
)
def test_what_is_no_report_is_refused(change: Any, path: str) -> None:
    """The schema would be true of anything."""
    data = json.loads(with_everything().to_json())
    broken = copy.deepcopy(data)
    change(broken)
    assert complaints(data) == []
    assert any(one.startswith(path) for one in complaints(broken)), complaints(broken)


def test_a_later_report_of_the_same_version_is_taken() -> None:
    """A reader would break at a field or a code that a version may add."""
    data = json.loads(with_everything().to_json())
    data["new"] = 1
    data["findings"][0]["code"] = "new-code"
    data["findings"][0]["evidence"].append({"kind": "new-kind"})
    assert complaints(data) == []
