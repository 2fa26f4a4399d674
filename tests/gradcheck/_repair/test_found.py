"""What was found so far: mends on top of each other, stages, and the patch that leaves clips where they are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gradcheck._mending import Mend
from gradcheck._repair.found import Found, Mended, add_mend
from gradcheck._tape.places import Source as TapedSource
from gradcheck._tape.places import Statement
from gradcheck._usercode.source import Edit, Source
from gradcheck.report.codes import FindingCode

FILE = "net.py"
TEXT = "def f(a, b, c):\n    d = a * b\n    e = d * c\n    return clip(e)\n"


@pytest.fixture
def found() -> Found:
    """Nothing found yet, in a file of a few lines."""
    return Found(sources={FILE: Source(FILE, TEXT)})


def fault(edit: Edit, *gradients: str, code: FindingCode | None = None) -> Mended:
    """A fault that one edit mends, of the text with the edits so far."""
    statement = Statement(TapedSource(FILE, TEXT), edit.start[0], edit.start[0], "f", "Assign")
    return Mended(statement, gradients, mend=Mend(FILE, (edit,), statement, gradients, (), ""), code=code)


def added(found: Found, *faults: Mended) -> list[bool]:
    """Whether each could be added on top of those before."""
    return [add_mend(found, one, {file: list(edits) for file, edits in found.edits.items()}) for one in faults]


def edited(found: Found) -> str:
    """The text with all edits."""
    return found.sources[FILE].edited(found.edits[FILE])


B, C = Edit((2, 12), (2, 13), "a.T"), Edit((3, 12), (3, 13), "b")


def test_mends_are_told_of_the_text_as_it_is(found: Found) -> None:
    """The second edit would be written where the first one's text has moved others to."""
    longer, later = Edit((2, 8), (2, 9), "(a + c)"), Edit((2, 18), (2, 19), "a")
    assert added(found, fault(longer, "a"), fault(later, "b")) == [True, True]
    assert edited(found) == TEXT.replace("a * b", "(a + c) * a")
    assert [one.edits for one in found.faults] == [[longer], [Edit((2, 12), (2, 13), "a")]]
    assert found.mended == 2


def test_an_edit_that_covers_an_earlier_one_takes_its_place(found: Found) -> None:
    """Two edits of one text would be made, one in the other, and the file be spoiled."""
    whole = Edit((2, 8), (2, 15), "a / b")
    assert added(found, fault(C, "c"), fault(B, "b"), fault(whole, "b")) == [True, True, True]
    assert edited(found) == TEXT.replace("a * b", "a / b").replace("d * c", "d * b")
    assert [bool(one.edits) for one in found.faults] == [True, False, True]
    assert found.mended == 2


def test_what_takes_an_edit_back_is_refused(found: Found) -> None:
    """The search would go back and forth between two edits, and tell a fix that changes nothing."""
    assert added(found, fault(B, "b"), fault(Edit((2, 12), (2, 15), "b"), "b")) == [True, False]
    assert edited(found) == TEXT.replace("a * b", "a * a.T")
    assert [one.edits for one in found.faults] == [[B], []]


def test_an_edit_within_an_earlier_one_is_refused(found: Found) -> None:
    """It would be written over the text that stands there before the first edit, whatever that is."""
    assert added(found, fault(B, "b"), fault(Edit((2, 12), (2, 13), "c"), "b")) == [True, False]
    assert edited(found) == TEXT.replace("a * b", "a * a.T")


def test_a_stage_is_kept_for_each_mend(found: Found) -> None:
    """Where all edits together fail the whole check, there would be no earlier stage to go back to."""
    found.reach({"a", "b"}, 1.0)
    assert not found.stages
    added(found, fault(B, "b"))
    found.reach({"a"}, 2.0)
    found.reach({"a"}, 1.0)
    added(found, fault(C, "a"))
    found.reach(set(), 1.0)
    assert [(one.faults, one.still_wrong, one.factor) for one in found.stages] == [(1, ("a",), 2.0), (2, (), 1.0)]
    first = found.after(found.stages[0])
    assert (first.edits, first.still_wrong) == ({FILE: [B]}, ("a",))
    assert [one.mend is None for one in first.faults] == [False, True]
    assert found.edits == {FILE: [B, C]}


def test_the_kept_patch_leaves_clips_where_they_are(found: Found) -> None:
    """A clip that the user wants would be taken out with the mistakes."""
    clip = Edit((4, 11), (4, 18), "e")
    added(found, fault(clip, "a", code=FindingCode.CLIPS_FINISHED), fault(C, "c"))
    assert found.patch.edits() == {FILE: [clip, C]}
    assert found.kept_patch.edits() == {FILE: [C]}
    assert [(one.line, one.text) for one, _ in found.kept_patch.chosen] == [(3, "e = d * c")]


def test_edits_without_a_right_gradient_are_told_and_left_out(found: Found) -> None:
    """An edit on trust would be written into the user's file, or called verified."""
    sure, doubtful, chance = fault(B, "a"), fault(C, "b"), fault(Edit((2, 8), (2, 9), "c"), "c")
    doubtful.is_by_value = True
    added(found, sure, doubtful, chance)
    found.reach({"b", "c"}, 1.0)
    found.leave_out_trusted()
    assert edited(found) == TEXT.replace("a * b", "a * a.T")
    assert all(edits == [B] for stage in found.stages for edits in stage.edits.values())
    assert [one.is_trusted for one in found.faults] == [False, True]  # the third is of the line of the first
    assert found.faults[1].edits == [C]


def test_edits_after_which_all_is_right_stay(found: Found) -> None:
    """Mends of several faults that only work together would be left out of the patch."""
    doubtful = fault(C, "b")
    doubtful.is_by_value = True
    added(found, fault(B, "a"), doubtful)
    found.reach(set(), 1.0)
    found.leave_out_trusted()
    assert edited(found) == TEXT.replace("a * b", "a * a.T").replace("d * c", "d * b")
    assert not any(one.is_trusted for one in found.faults)


def test_a_line_is_told_once(found: Found) -> None:
    """The same statement would be accused several times, each time for other gradients."""
    added(found, fault(B, "a"))
    found.reach({"b"}, 1.0)
    found.add_unmended([fault(C, "b"), fault(C, "b")])
    found.leave_out_trusted()
    assert [one.statement.line for one in found.faults] == [2, 3]


def test_each_equivalent_edit_takes_the_place_of_the_first(found: Found) -> None:
    """Of two sizes that are equal where edits are tried, the wrong one would be all that the check is asked about."""
    one = fault(B, "b")
    assert one.mend is not None
    one.others = tuple(replace(one.mend, edits=(B._replace(text=text),)) for text in ("c", "a"))
    assert added(found, one) == [True]
    texts = [edited(other) for other in found.with_other_edits()]
    assert texts == [TEXT.replace("a * b", "a * c"), TEXT.replace("a * b", "a * a")]
    (first, _) = found.with_other_edits()
    assert [edit.text for mend in first.faults[0].others for edit in mend.edits] == ["a"]
    assert edited(found) == TEXT.replace("a * b", "a * a.T")


def test_of_several_faults_one_edit_is_exchanged_at_a_time(found: Found) -> None:
    """Where two edits do the same at the sizes looked at, all of them would be dropped for the wrong one."""
    one = fault(B, "b")
    assert one.mend is not None
    one.others = (replace(one.mend, edits=(B._replace(text="c"),)),)
    assert added(found, one, fault(C, "c")) == [True, True]
    (other,) = found.with_other_edits()
    assert [one.edits[0].text for one in other.faults] == ["c", C.text]
    assert [one.edits[0].text for one in found.faults] == [B.text, C.text]
