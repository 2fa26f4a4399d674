"""Patterns with a name: each found where it is, none where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradcheck
from gradcheck import Block, Target, Worst, check
from gradcheck._checking.audit import Audit
from gradcheck._checking.findings import common_factor, findings, with_lines, with_places
from gradcheck._common.wording import format_apart, format_sizes
from gradcheck._symptoms.common_factor import factor_for_sizes
from gradcheck._symptoms.patterns import factor
from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import IndexRange, LawBreach, SmallestSize, Symptom, WrongPlace, WrongRegion
from gradcheck.report.records import Finding, Trial
from tests.gradcheck.networks import Rnn

pytestmark = pytest.mark.lines


def array(shape: tuple[int, ...] = (3, 4), seed: int = 0) -> Any:
    """Normal numbers."""
    return np.random.default_rng(seed).normal(size=shape)


def audited(gradients: dict[str, Any], numerical: dict[str, Any], verdict: Any = "wrong") -> Audit:
    """What an audit found, all wrong unless told otherwise."""
    blocks = {name: Block(name, np.shape(grad), verdict, error=1.0) for name, grad in gradients.items()}
    return Audit(blocks=blocks, gradients=gradients, numerical=numerical)


# -- single blocks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analytic", "kind", "told"),
    [
        (-array(), "sign", "wrong sign"),
        (2.5 * array(), "factor", "2.5 times the true one"),
        (-3 * array(), "factor", "-3 times the true one"),
        (1e-9 * array(), "missing", "is zero, although the loss depends on it"),
        (0 * array(), "missing", "is zero, although the loss depends on it"),
        (array() + 1e-3 * array(seed=1), "gradient", "does not match the slope of the loss"),
        (array(seed=1), "gradient", "does not match the slope of the loss"),
    ],
)
def test_a_pattern_is_named(analytic: Any, kind: str, told: str) -> None:
    """A cause would be missed, or another one named."""
    (found,) = findings(audited({"W": analytic}, {"W": array()}), None, None)
    assert found.kind == kind
    assert found.blocks == ("W",)
    assert told in found.message
    assert found.message.startswith("the gradient of W ")


def test_a_transpose_is_named() -> None:
    """A transposed gradient would be an unexplained one."""
    square = array((4, 4))
    (found,) = findings(audited({"U": 0.5 * square.T}, {"U": square}), None, None)
    assert found.kind == "transposed"


def test_a_symmetric_matrix_is_no_transpose() -> None:
    """A symmetric gradient with another error would be called transposed."""
    symmetric = array((4, 4)) + array((4, 4)).T
    spoilt = symmetric + np.eye(4)
    assert findings(audited({"U": spoilt}, {"U": symmetric}), None, None)[0].kind == "gradient"


def test_a_phantom_is_named() -> None:
    """A gradient of something the loss ignores would be called wrong by an infinite factor."""
    (found,) = findings(audited({"W": array()}, {"W": 1e-12 * array(seed=1)}), None, None)
    assert found.kind == "phantom"
    assert "not zero, although the loss does not depend on it" in found.message


def test_a_block_that_was_not_differenced_gets_no_cause() -> None:
    """A cause would be guessed from a gradient alone."""
    assert findings(audited({"W": array()}, {}), None, None)[0].kind == "gradient"


def test_blocks_with_the_same_cause_are_told_together() -> None:
    """Five blocks with one cause would be five findings; the smallest size or the worst entry be left out."""
    audit = audited(
        {"W": 2 * array(), "U": 2 * array(seed=1), "b": -array((4,))},
        {"W": array(), "U": array(seed=1), "b": array((4,))},
    )
    audit.blocks["U"] = Block("U", (3, 4), "wrong", error=9.0, worst=Worst((1, 2), 2.0, 1.0))
    two, sign = findings(audit, {"T": 2, "B": 1}, None)
    assert two.blocks == ("W", "U")
    assert two.message == (
        "the gradients of W and U are each 2 times the true one; U[1, 2]: analytic 2, numerical 1; "
        "smallest failing size: T=2, B=1"
    )
    assert sign.blocks == ("b",)


@given(st.floats(1e-3, 1e3), st.sampled_from([-1.0, 1.0]), st.sampled_from([1e-150, 1.0, 1e150]))
def test_factor_finds_the_factor_at_any_scale(k: float, sign: float, scale: float) -> None:
    """A factor would be missed for gradients that are very small or large."""
    assert factor(sign * k * scale * array(), scale * array()) == pytest.approx(sign * k, rel=1e-12)


@pytest.mark.parametrize("spoil", [1e-5, 1e-2])
def test_factor_names_no_factor_that_does_not_fit(spoil: float) -> None:
    """A factor would be reported that is not one."""
    other = 2 * array()
    other[0, 0] *= 1 + spoil
    assert factor(other, array()) is None
    assert factor(0 * array(), array()) is None
    assert factor(array(), 0 * array()) is None


# -- lines among the findings ------------------------------------------------------------------------------------------

LAW = Finding(FindingCode.LAW_SCALAR, evidence=(LawBreach("scalar", "a list"),))
SCALE = Finding(FindingCode.LAW_SCALE, evidence=(LawBreach("scale", "wrong where W is large"),))
ON_W, ON_U = Finding(FindingCode.SIGN, ("W",)), Finding(FindingCode.FACTOR, ("U",))
BROKEN = Finding(FindingCode.NOT_COMPARABLE, ("b",))


def a_line(*names: str, **more: Any) -> Finding:
    """A finding with a line that spoils these gradients."""
    return Finding(FindingCode.WRONG_VARIABLE, names, file="a.py", line=3, **more)


def test_without_lines_findings_stay_as_they_are() -> None:
    """A check whose trace finds nothing would lose what it found before."""
    assert with_lines((LAW, ON_W, SCALE), ()) == (LAW, SCALE, ON_W)


def test_laws_stand_before_lines_and_lines_before_the_rest() -> None:
    """The reason of a failure would stand below its consequences."""
    found = with_lines((ON_U, LAW, ON_W), (a_line("W"),))
    assert [one.code for one in found] == [FindingCode.LAW_SCALAR, FindingCode.WRONG_VARIABLE, FindingCode.FACTOR]


def test_a_pattern_that_lines_explain_is_left_out() -> None:
    """One mistake would be told twice; or a gradient that no line spoils not at all."""
    both = Finding(FindingCode.NO_PATTERN, ("W", "U"))
    assert both in with_lines((both,), (a_line("W"),))
    assert both not in with_lines((both,), (a_line("W"), a_line("U")))
    assert BROKEN in with_lines((BROKEN,), (a_line("b"),))


def test_a_law_stays_beside_the_line_that_breaks_it() -> None:
    """A line that is said to make gradients wrong would stand alone where every gradient is right."""
    assert with_lines((SCALE, LAW), (a_line("W"),))[:2] == (SCALE, LAW)


@pytest.mark.parametrize(
    ("names", "symptom", "kind"),
    [(("W",), FindingCode.SIGN, "sign"), (("W", "U"), None, "gradient"), (("V",), None, "gradient")],
)
def test_a_line_takes_the_pattern_that_its_gradients_show(names: Any, symptom: Any, kind: str) -> None:
    """What the gradients look like would be lost, or be made up where they look different."""
    line = with_lines((ON_W, ON_U), (a_line(*names),))[0]
    assert (line.symptom, line.kind) == (symptom, kind)


def test_a_line_that_has_a_symptom_keeps_it() -> None:
    """The line that spoils all gradients by one factor would be called by another pattern."""
    line = with_lines((ON_W,), (a_line("W", symptom=FindingCode.COMMON_FACTOR),))[0]
    assert line.kind == "reduction"


def test_what_a_single_line_spoils_is_told_with_it() -> None:
    """Which gate is wrong would be lost once a line is known; or be told of two lines that share it."""
    region = WrongRegion((IndexRange(0, 2, 5, ((2, 2),)),))
    places = {"W": Symptom(FindingCode.WRONG_IN_PART, (region,))}
    (single,) = with_places([a_line("W", "U")], places, {"T": 1})
    assert single.evidence == (WrongPlace("W", region), SmallestSize({"T": 1}))
    first, second = with_places([a_line("W"), a_line("U")], places, {"T": 1})
    assert (first.evidence, second.evidence) == ((SmallestSize({"T": 1}),), ())
    assert with_places([], places, {"T": 1}) == ()


# -- a factor for all --------------------------------------------------------------------------------------------------

SIZES = {"T": 3, "B": 2, "D": 5, "H": 7}
TRUE = {"W": array(), "U": array((4, 4)), "b": array((4,))}


@pytest.mark.parametrize(
    ("k", "label"), [(3, "T"), (2, "B"), (6, "T*B"), (1 / 3, "1/T"), (1 / 6, "1/T*B"), (35, "D*H"), (1 / 14, "1/B*H")]
)
def test_a_factor_common_to_all_is_named_by_sizes(k: float, label: str) -> None:
    """A mean for a sum would not be told as such."""
    found = common_factor(audited({name: k * grad for name, grad in TRUE.items()}, TRUE), SIZES)
    assert found.label == label
    assert found.value == pytest.approx(k)
    assert found.blocks == ("W", "U", "b")
    assert factor_for_sizes(label, SIZES) == pytest.approx(k)


@pytest.mark.parametrize("k", [1.0, 1.001, -3.0, 2.5, 4.0])
def test_other_factors_are_not_common_ones(k: float) -> None:
    """A factor that no size explains would be blamed on the reduction."""
    assert common_factor(audited({name: k * grad for name, grad in TRUE.items()}, TRUE), SIZES) is None


def test_a_factor_of_one_block_among_several_is_its_own() -> None:
    """One block that is T times too large would be blamed on the reduction of the loss."""
    spoilt = {**TRUE, "W": 3 * TRUE["W"], "U": array((4, 4), seed=5)}
    assert common_factor(audited(spoilt, TRUE), SIZES) is None


def test_a_factor_is_not_common_where_a_block_is_right_without_it() -> None:
    """Right blocks would be divided by a factor that they do not have."""
    audit = audited({name: 3 * grad for name, grad in TRUE.items()}, TRUE)
    audit.blocks["b"] = Block("b", (4,), "right")
    assert common_factor(audit, SIZES) is None


# -- through a whole check ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bug", "kind", "blocks"),
    [
        ("sign", "sign", ["U"]),
        ("factor", "factor", ["W"]),
        ("transposed", "transposed", ["U"]),
        ("missing", "missing", ["b"]),
        ("scalar bias", "reduced", ["b"]),
        ("one entry", "entries", ["W"]),
        ("assigned", "share", ["W"]),
        ("applied twice", "gradient", ["h0", "W", "U", "b"]),
        ("not transposed", "gradient", ["h0", "W", "U", "b"]),
    ],
)
def test_each_bug_is_found_where_it_is(bug: str, kind: str, blocks: list[str]) -> None:
    """A planted bug would go unseen, be given another's name, or be seen in blocks that are right."""
    report = check(Rnn(np.random.default_rng(0), bug=bug).target())
    assert [(found.kind, found.blocks) for found in report.findings] == [(kind, tuple(blocks))]
    assert [name for name, block in report.blocks.items() if block.verdict == "wrong"] == blocks
    assert {block.verdict for name, block in report.blocks.items() if name not in blocks} == {"right"}


def test_broken_laws_come_first() -> None:
    """The reason of a failure would be below its consequences."""
    w = np.ones(2)
    report = check(Target({"w": w}, lambda: np.sin(w).sum(), lambda: {"w": 2 * np.cos(w), "v": 0}))
    assert [found.kind for found in report.findings] == ["law:names", "factor"]


# -- without source ----------------------------------------------------------------------------------------------------


def recurrence(nowhere: dict[str, Any], bug: str) -> Any:
    """A factory of a forward and a backward, with the inputs among what has a gradient."""

    @gradcheck.target
    def vjp(_: Any, *, T: int = 4, B: int = 2, D: int = 3, H: int = 5) -> Target:
        return nowhere["vjp_target"](bug, T, B, D, H)

    return vjp


def told(report: Any, kind: str) -> list[str]:
    """The messages of one kind."""
    return [found.message for found in report.findings if found.kind == kind]


def test_what_is_right_at_the_last_step_alone(nowhere: dict[str, Any]) -> None:
    """That nothing comes back from later steps would not be told from the gradient of the inputs."""
    (message,) = told(check(recurrence(nowhere, "no carry")), "carried")
    assert (
        "x is wrong everywhere except at [3] of 4 along axis 0, the last: what comes back from later steps of T is"
        in message
    )
    assert "; only from T=2: right wherever T=1, wrong wherever it is larger" in message
    assert "smallest failing size" not in message
    (single,) = told(check(nowhere["vjp_target"]("no carry")), "partly")
    assert "the last: if this is the last time step, what comes back from later steps" in single


@pytest.mark.parametrize("bug", ["assigned", "applied twice", "clip", ""])
def test_no_carry_is_missed_where_another_thing_is_wrong(nowhere: dict[str, Any], bug: str) -> None:
    """Somebody would look for a mistake between time steps where there is none."""
    report = check(recurrence(nowhere, bug))
    assert not told(report, "carried")
    assert not any("comes back" in found.message for found in report.findings)


def test_the_share_of_one_step_is_named(nowhere: dict[str, Any]) -> None:
    """A gradient that is assigned at every step would be no more than wrong."""
    for target in (recurrence(nowhere, "assigned"), nowhere["factory"](nowhere["Rnn"], "assigned")):
        (message,) = told(check(target), "share")
        assert "the gradient of W is made of x[0] alone" in message
    for bug in ("applied twice", "no carry"):
        assert not told(check(recurrence(nowhere, bug)), "share")


def test_a_clip_to_a_norm(nowhere: dict[str, Any]) -> None:
    """Gradients that are clipped before they are handed out would be too small by a factor that nobody knows."""
    (message,) = told(check(nowhere["factory"](nowhere["Rnn"], "norm clip")), "clipped")
    assert "right, then clipped to a norm of 0.5" in message
    assert "Target(..., clipped_norm=0.5)" in message
    report = check(nowhere["factory"](nowhere["Rnn"], "all too small"))
    assert not told(report, "clipped")
    assert told(report, "factor")


# -- words -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("analytic", "numerical", "pair"),
    [
        (2.0, 1.0, ("2", "1")),
        (0.1234561, 0.1234562, ("0.1234561", "0.1234562")),
        (1.0, 1.0 + 2**-52, ("1", "1.0000000000000002")),
        (1.5, 1.5, ("1.5", "1.5")),
    ],
)
def test_two_values_are_told_apart(analytic: float, numerical: float, pair: tuple[str, str]) -> None:
    """A report would show the same number twice and call one of them wrong."""
    assert format_apart(analytic, numerical) == pair


def test_sizes_as_a_reader_writes_them() -> None:
    """Sizes would be shown as a Python dict."""
    assert format_sizes({"T": 2, "B": 1}) == "T=2, B=1"


def outcome(wrong: tuple[str, ...] = (), **sizes: int) -> Trial:
    """A trial at these sizes."""
    return Trial(sizes, "wrong" if wrong else "right", wrong)


@pytest.mark.parametrize(
    ("trials", "told"),
    [
        ([outcome(T=1, B=2), outcome(T=1, B=1), outcome(("W",), T=2, B=2), outcome(("W",), T=3, B=1)], "T=1"),
        ([outcome(("W",), T=1, B=2), outcome(T=1, B=1), outcome(("W",), T=2, B=2), outcome(T=3, B=1)], "B=1"),
        ([outcome(T=1, B=1), outcome(T=2, B=2), outcome(("W",), T=3, B=2)], None),
        ([outcome(("W",), T=1, B=1), outcome(("W",), T=2, B=2)], None),
        ([outcome(("U",), T=2, B=2), outcome(T=1, B=1)], None),
    ],
)
def test_an_axis_that_makes_it_wrong_is_named(trials: list[Trial], told: str | None) -> None:
    """That all is right for a single time step, which says where to look, would be kept silent; or be made up."""
    wrong = audited({"W": array(seed=1)}, {"W": array(seed=2)})
    (found,) = findings(wrong, None, None, trials)
    assert (f"right wherever {told}, wrong wherever it is larger" in found.message) is (told is not None)
    assert ("wherever" in found.message) is (told is not None)
