"""The README says what the tool says, is short, and what it points to exists."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path

import pytest

import gradcheck

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("target", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_lead_somewhere(target):
    """A reader would follow a link to nothing."""
    assert (ROOT / target).exists()


def test_its_first_two_commands_are_the_audit_and_the_tests():
    """What runs before a change lands takes them from here, by number."""
    audit, tests, *others = re.findall(r"```sh\n(.*?)```", README, re.S)
    assert audit.strip().endswith("gradcheck check examples/asker_lstm.py")
    assert "pytest --gradcheck" in tests
    assert not others


def test_it_is_about_one_screen():
    """A reader would have to look for what this is."""
    assert len(README.splitlines()) <= 70


def test_the_version_is_told_once():
    """The version in the package's metadata, in the changelog and in the code would differ."""
    assert importlib.metadata.version("gradcheck") == gradcheck.__version__
    assert f"## {gradcheck.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"version: {gradcheck.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
