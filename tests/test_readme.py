"""The README says what the tool says, and what it points to exists."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

import gradcheck
from tests.examples.asker import asker_with_all_defects

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def words(text):
    """The text without what differs between machines: numbers, signs, line breaks and column widths."""
    return re.sub(r"[-+]?\d[\d.e+-]*", "#", text).split()


def test_the_report_shown_is_the_report_printed(monkeypatch):
    """The README would show a report that the tool no longer prints."""
    monkeypatch.chdir(ROOT)  # files are named from here
    shown = re.search(r"```text\n\$ [^\n]*\n(.*?)```", README, re.S)[1]
    # The order of rows follows errors, and those of the right ones are rounding.
    assert sorted(words(shown)) == sorted(words(str(asker_with_all_defects())))


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(target):
    """A reader would follow a link to nothing."""
    assert (ROOT / target).exists()


def test_every_law_is_in_the_table():
    """A law would be broken in a report and explained nowhere, or explained and never asked."""
    source = "".join(path.read_text(encoding="utf-8") for path in Path(gradcheck.__file__).parent.rglob("*.py"))
    named = set(re.findall(r'\bLaw\(\s*"(\w+)"', source))
    rows = re.search(r"\| law \|.*?\n\n", README, re.S)[0].strip().splitlines()[2:]
    assert named == {name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def test_the_version_is_told_once():
    """The version in the package's metadata, in the changelog and in the code would differ."""
    assert importlib.metadata.version("gradcheck") == gradcheck.__version__
    assert f"## {gradcheck.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {gradcheck.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
