"""Codes of findings: every law has one, and each code belongs to one family."""

from __future__ import annotations

import pytest

from gradcheck.report.codes import FindingCode


@pytest.mark.parametrize("code", FindingCode)
def test_a_code_belongs_to_one_family(code: FindingCode) -> None:
    """A finding would be sorted among the laws and the lines at once, or among none."""
    assert [code.is_law, code.is_pattern, code.is_line].count(True) == 1
    assert code.value == code.name.lower().replace("_", "-")


@pytest.mark.parametrize("code", [code for code in FindingCode if code.is_law])
def test_a_law_is_found_by_its_name(code: FindingCode) -> None:
    """A broken law would have no code."""
    assert FindingCode.of_law(code.law) is code
    assert code.kind == f"law:{code.law}"


def test_what_is_no_law_has_no_law() -> None:
    """A pattern would be taken for a law of its name."""
    assert FindingCode.SIGN.law == ""
    with pytest.raises(KeyError):
        FindingCode.of_law("sign")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (FindingCode.ZERO, "missing"),
        (FindingCode.CARRY_DROPPED, "carried"),
        (FindingCode.GATES_PERMUTED, "permuted"),
        (FindingCode.NOT_COMPARABLE, "structure"),
        (FindingCode.COMMON_FACTOR, "reduction"),
        (FindingCode.TANH_DERIVATIVE, "gradient"),
    ],
)
def test_the_kind_of_earlier_reports_is_kept(code: FindingCode, kind: str) -> None:
    """Code that reads `kind` would no longer find what it looks for."""
    assert code.kind == kind


def test_properties_take_the_place_of_lists_of_names() -> None:
    """A line would hide a finding that it does not explain, or leave one that it does."""
    assert {code.value for code in FindingCode if code.is_unnamed} == {"no-pattern", "wrong-in-part", "wrong-entries"}
    unexplained = {code.value for code in FindingCode if code.is_pattern and not code.is_explained_by_a_line}
    assert unexplained == {"not-comparable", "activation"}
    assert {code.law for code in FindingCode if code.is_about_state} == {"statelessness", "repeatability", "purity"}
    assert {code.law for code in FindingCode if code.is_broken_by_a_clip} == {"scale", "linearity"}
