"""Findings in words: each sentence in full, from the records alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import (
    ActivationRatio,
    AxisPart,
    CarryDropped,
    EntriesClipped,
    EquivalentEdit,
    Evidence,
    Fix,
    GradientOf,
    IndexRange,
    JudgedWithout,
    Label,
    LawBreach,
    MadeOfSlice,
    Mistake,
    Multiple,
    NormClipped,
    NotComparable,
    OneNumber,
    OnlyElsewhere,
    PartsMoved,
    RightInput,
    RightWhereOne,
    SmallestSize,
    Symptom,
    WorstEntry,
    WrongPlace,
    WrongRegion,
)
from gradcheck.report.finding_phrases import describe_indices, describe_symptom, list_with_and
from gradcheck.report.records import Finding

ONE_NUMBER = "one number everywhere, although the true entries differ"


@pytest.mark.parametrize(
    ("code", "names", "evidence", "message"),
    [
        (
            "law-purity",
            (),
            [LawBreach("purity", "W was changed: copy it")],
            "law purity is broken: W was changed: copy it",
        ),
        ("no-pattern", ("x",), [], "the gradient of x does not match the slope of the loss"),
        ("no-pattern", ("x", "W"), [], "the gradients of x and W do not match the slope of the loss"),
        (
            "not-comparable",
            ("W",),
            [NotComparable("it is missing")],
            "the gradient of W cannot be compared: it is missing",
        ),
        ("sign", ("W",), [Multiple(-1.0)], "the gradient of W is the true one with the wrong sign"),
        ("factor", ("W", "U", "b"), [Multiple(2.5)], "the gradients of W, U and b are each 2.5 times the true one"),
        ("zero", ("W",), [], "the gradient of W is zero, although the loss depends on it"),
        ("phantom", ("W",), [], "the gradient of W is not zero, although the loss does not depend on it"),
        ("transposed", ("W",), [], "the gradient of W is the transpose of the true one"),
        ("exchanged", ("W",), [GradientOf("V", 1e-12)], "the gradient of W is the gradient of V (to within 1e-12)"),
        (
            "factor",
            ("W",),
            [Multiple(2.0), WorstEntry("W", (1, 2), 2.0, 1.0), SmallestSize({"T": 2}), RightWhereOne(("T",))],
            "the gradient of W is 2 times the true one; W[1, 2]: analytic 2, numerical 1; smallest failing size: T=2; "
            "only from T=2: right wherever T=1, wrong wherever it is larger",
        ),
        (
            "clipped",
            ("W",),
            [Multiple(0.5), NormClipped(5.0, 1e-7, 10.0)],
            "the gradient of W is right, then clipped to a norm of 5; their norm is 5 (to within 1e-07), and the true "
            "norm is 10: clip where the weights are updated, or declare it with Target(..., clipped_norm=5)",
        ),
        (
            "clipped",
            ("W", "b"),
            [EntriesClipped(0.5, 3, 8, 1e-16)],
            "the gradients of W and b are each right, then clipped at ±0.5; 3 of 8 entries reach that (to within "
            "1e-16): clip where the weights are updated, or declare it with Target(..., clipped=0.5)",
        ),
        (
            "no-pattern",
            ("b",),
            [OnlyElsewhere(zero=("b",))],
            "the gradient of b is right here, where b is zero, and wrong where it is not",
        ),
        (
            "no-pattern",
            ("b",),
            [OnlyElsewhere(zero=("b",), in_part=("W", "U"))],
            "the gradient of b is right here, where b and entries of W and U are zero, and wrong where they are not",
        ),
        (
            "repeated-index",
            ("E",),
            [OnlyElsewhere(repeated=("x", "y"))],
            "the gradient of E is right here, and wrong where x and y hold a number more than once: should = be +=, or "
            "+= np.add.at?",
        ),
        (
            "carry-dropped",
            ("x",),
            [WrongRegion((IndexRange(0, 3, 4, ((3, 3),), last_of=4),), is_right=True), CarryDropped("T")],
            "the gradient of x is wrong everywhere except at [3] of 4 along axis 0, the last: "
            "what comes back from later steps of T is dropped or wrong",
        ),
        (
            "activation",
            ("b",),
            [ActivationRatio("b", "1 / σ'(a)", "σ' was left out", None, 4, 5, 1e-9, {"T": 1})],
            "the gradient of b does not match the slope of the loss; at T=1 the gradient of b is 1 / σ'(a) times "
            "the true one (4 of its entries, 5 values of each, to within 1e-09), as if σ' was left out",
        ),
    ],
)
def test_a_gradient_is_told_in_full(code: str, names: tuple[str, ...], evidence: list[Evidence], message: str) -> None:
    """A sentence about a gradient would be wrong, or no English."""
    found = Finding(FindingCode(code), names, tuple(evidence))
    assert found.message == message
    assert message.startswith(found.headline)


@pytest.mark.parametrize(
    ("code", "evidence", "words"),
    [
        ("summed-too-far", OneNumber(3.0, 3.0), f"{ONE_NUMBER} and add up to 3: it is summed over too many axes"),
        ("summed-too-far", OneNumber(3.0, None), f"{ONE_NUMBER}: it is summed over too many axes"),
        (
            "clipped",
            EntriesClipped(0.5, 3, 8, 1e-16),
            "right, then clipped at ±0.5",
        ),
        (
            "gates-permuted",
            PartsMoved(1, (0, 2, 1), 0.0),
            "the true one with its 3 parts along axis 1 in the order 1, 3, 2: "
            "the gates are laid out in another order than in the forward (to within 0e+00)",
        ),
        (
            "share-lost",
            MadeOfSlice("x[0]", 1e-16),
            "made of x[0] alone (to within 1e-16), and the true one is not: "
            "is it assigned where it should be added to, or does a loop end early?",
        ),
        (
            "wrong-entries",
            WrongRegion(entries=((1, 2),), wrong=3, size=8),
            "right except at 3 of 8 entries: [1, 2] and 2 others",
        ),
        (
            "wrong-in-part",
            WrongRegion((IndexRange(0, 2, 5, ((0, 1), (3, 3))),), wrong=7, size=9, factor=-1.0),
            "right except at rows 0..1, 3 of 5, in 7 of 9 entries there; there it has the wrong sign",
        ),
        (
            "wrong-in-part",
            WrongRegion((IndexRange(1, 2, 5, ((2, 2),)),), factor=0.0),
            "right except at column 2 of 5; there it is zero",
        ),
        (
            "repeated-index",
            WrongRegion((IndexRange(0, 2, 5, ((2, 2),), repeated_in="x"),)),
            "right except at row 2 of 5, which x holds more than once (what it holds once is right: should = be +=?)",
        ),
    ],
)
def test_a_symptom_is_told_in_full(code: str, evidence: Evidence, words: str) -> None:
    """What a gradient looks like would be told in another way than it was found."""
    assert describe_symptom(Symptom(FindingCode(code), (evidence,))) == words


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (AxisPart((2,), 4, are_gates=True), "entries 4..7 of 16 (gate 2 of 4)"),
        (AxisPart((2,), 4, ("f",), are_gates=True), "entries 4..7 of 16 (gate f, 2 of 4)"),
        (AxisPart((2, 3), 4, ("f", "g"), are_gates=True), "entries 4..7 of 16 (gates f and g, 2 and 3 of 4)"),
        (AxisPart((2,), 4, ("f",)), "entries 4..7 of 16 (part 2 of 4: f, if these are gates)"),
        (AxisPart((2,), 4), "entries 4..7 of 16 (part 2 of 4)"),
    ],
)
def test_parts_are_called_gates_where_they_are(part: AxisPart, words: str) -> None:
    """A part would be called a gate that may be none."""
    assert describe_indices(IndexRange(0, 1, 16, ((4, 7),), part)) == words


def line(code: str, *evidence: Evidence, **more: Any) -> Finding:
    """A finding with a line."""
    return Finding(FindingCode(code), ("Wi", "Wf"), evidence, "a.py", 3, function="backward", **more)


def test_the_message_of_a_line_in_full() -> None:
    """A part of what is known of a line would be lost, or come in another order."""
    found = line(
        "sigmoid-derivative",
        Mistake("o", called="dsigmoid"),
        EquivalentEdit(9, "do = dh"),
        RightInput("dh", Label.at_execution("B", 1, 4)),
        WrongPlace("Wi", WrongRegion((IndexRange(0, 2, 5, ((2, 2),)),))),
        SmallestSize({"T": 1}),
        expected=Label("A"),
    )
    assert found.headline == "o is already activated, but dsigmoid() takes it for a pre-activation"
    assert found.message == (
        "o is already activated, but dsigmoid() takes it for a pre-activation (in backward); expected dL/d(A); "
        "the value is not the derivative of anything the forward computes, although its input dh is correct (dL/d(B)); "
        "this makes the gradients of Wi and Wf wrong; equivalent: line 9: do = dh; Wi is right except at row 2 of 5; "
        "smallest failing size: T=1"
    )


def test_what_an_edit_was_judged_without_is_told() -> None:
    """An edit would be called verified of code that the check has not seen as it stands."""
    found = line("wrong-sign", JudgedWithout("1e-09", "b.py", 7))
    assert found.message.endswith("judged without the 1e-09 that the loss adds (b.py:7) and the backward leaves out")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (Label("A", factor=-1.0), "the value has the wrong sign"),
        (Label("A", factor=1e-17), "the value is zero"),
        (Label("A", factor=2.5), "the value is 2.5 times that"),
        (Label("A", detail="through 2 of its uses"), "the value is dL/d(A), through 2 of its uses"),
        (Label.at_execution("B", 1, 2), "the value is dL/d(B)"),
    ],
)
def test_what_a_statement_gives(given: Label, words: str) -> None:
    """A wrong sign would be told as the derivative of nothing."""
    found = line("wrong-line", expected=Label("A"), given=given)
    assert found.headline == "the statement gives a wrong value"
    assert f"; expected dL/d(A); {words}; this makes" in found.message


def test_a_value_that_nobody_looked_at_is_not_told() -> None:
    """A value would be called the derivative of nothing where only what it should be is known."""
    found = line("wrong-line", expected=Label("A"))
    assert "; expected dL/d(A); this makes" in found.message


def test_an_edit_that_is_not_verified_says_so() -> None:
    """An edit that only gave right values where it was tried would pass for one that the whole check accepts."""
    fix = Fix(3, "a = b", "a = c", "", verified=False)
    assert "the edit is not verified" in line("wrong-line", fix=fix).message
    assert "not verified" not in line("wrong-line", fix=dataclasses.replace(fix, verified=True)).message


def test_several_right_inputs_are_listed() -> None:
    """A statement that reads five right values would make a sentence that nobody reads."""
    inputs = [RightInput(f"d{name}", Label(name)) for name in "abcde"]
    said = line("wrong-line", *inputs, expected=Label("A")).message
    assert "although its inputs da (dL/d(a)), db (dL/d(b)) and dc (dL/d(c)) are correct;" in said


@pytest.mark.parametrize(
    ("code", "mistake", "headline"),
    [
        ("tanh-derivative", Mistake(), "the derivative of tanh is missing"),
        ("tanh-derivative", Mistake("1 - y**2", "(1 - y)**2"), "the derivative of tanh is 1 - y**2, not (1 - y)**2"),
        ("tanh-derivative", Mistake("1 - h ** 2"), "the factor 1 - h ** 2, the derivative of tanh, is missing"),
        (
            "sigmoid-derivative",
            Mistake("s * (1 - s)", is_extra=True),
            "the factor s * (1 - s), the derivative of the logistic function, should not be here",
        ),
        ("arguments-exchanged", Mistake("dh", "dc"), "the arguments dh and dc are exchanged"),
        ("wrong-index", Mistake("h[t]", "h[t + 1]"), "h[t] stands where h[t + 1] should"),
        ("missing-sum", Mistake("axis 0"), "a sum over axis 0 is missing"),
        ("extra-clip", Mistake(called="np.clip"), "np.clip() cuts a gradient off inside the backward"),
        ("term-missing", Mistake("{x}"), "the term {x} is missing"),
    ],
)
def test_a_mistake_is_told_by_its_code(code: str, mistake: Mistake, headline: str) -> None:
    """A mistake would be told as another, or braces in the user's code end the report."""
    assert line(code, mistake).headline == headline


@pytest.mark.parametrize("code", [code for code in FindingCode if code.is_line])
def test_every_mistake_has_words(code: FindingCode) -> None:
    """A code would be added without a sentence."""
    said = line(code, Mistake("subject", "other", "called")).headline
    assert (said == "the statement gives a wrong value") is (code is FindingCode.WRONG_LINE)


def test_lists_read_as_sentences() -> None:
    """The last name of several would be strung to the others by a comma."""
    assert [list_with_and("abc"), list_with_and("ab"), list_with_and("a")] == ["a, b and c", "a and b", "a"]
