"""The lines of an edit as they are shown."""

from __future__ import annotations

from gradcheck.report.evidence import Fix
from gradcheck.report.fix_lines import fix_lines, verified
from tests.gradcheck.report.findings_of import finding_at


def shown(fix: Fix | None) -> list[str]:
    """Each line with its sign and number."""
    assert fix is not None
    return [f"{one.number} {one.sign} {one.text}" for one in fix_lines(fix)]


def test_only_what_changes_is_shown() -> None:
    """The edit would be lost among the lines around it, or in their indentation."""
    assert shown(finding_at("if a:\n\tb = c\n\td = e\n", "c", "f").fix) == ["2 - b = c", "2 + b = f"]


def test_inserted_lines_have_their_own_numbers() -> None:
    """A new line would take the number of an old one."""
    fix = finding_at("a = 1\n    b = 2\n    c = 3", "b = 2", "b = 4\n    n = 5").fix
    assert shown(fix) == ["2 - b = 2", "2 + b = 4", "3 + n = 5"]


def test_what_stays_between_two_changes_is_shown() -> None:
    """Two lines that are apart would look as if they followed each other."""
    diff = "@@ -1,3 +1,4 @@\n+  d = 0\n   for t in x:\n-    f(t)\n+    f(t + d)\n   end"
    fix = Fix(1, "for t in x:", "d = 0\nfor t in x:", diff, True)
    assert shown(fix) == ["1 + d = 0", "1   for t in x:", "2 -   f(t)", "3 +   f(t + d)"]


def test_an_edit_without_a_diff_is_shown_as_it_is_known() -> None:
    """It would not be shown at all."""
    assert shown(Fix(7, "a = b", "a = c\nd", "", True)) == ["7 - a = b", "7 + a = c", "8 + d"]


def test_how_widely_an_edit_was_verified_is_told_as_far_as_it_is_known() -> None:
    """A reader would not know whether an edit was tried at one size or at many."""
    assert verified(Fix(1, "a", "b", "", True, sizes=12, seeds=2)) == "verified at 12 sizes, 2 seeds"
    assert verified(Fix(1, "a", "b", "", True, sizes=1, seeds=1)) == "verified at 1 size, 1 seed"
    assert verified(Fix(1, "a", "b", "", True)) == "verified"
