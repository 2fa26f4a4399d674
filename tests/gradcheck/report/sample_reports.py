"""Reports as a check may make them, of every verdict, and one that is hostile to whatever prints it."""

from __future__ import annotations

import math
from dataclasses import replace

from gradcheck.report.codes import FindingCode
from gradcheck.report.evidence import (
    EquivalentEdit,
    Fix,
    GradientOf,
    Label,
    LawBreach,
    Mistake,
    RightInput,
    WorstEntry,
)
from gradcheck.report.records import Block, Finding, Law, Trial, Worst
from gradcheck.report.report import Report

WRONG = Report(
    name="lstm",
    verdict="wrong",
    blocks={
        "W": Block("W", (3, 4), "right", 2e-15, 4e-14, 9e-13, Worst((0, 1), 0.25, 0.25)),
        "U": Block("U", (4, 4), "wrong", 3e-3, 4e-14, 9e-14, Worst((1, 0), 0.5, 0.625)),
        "b": Block("b", (), "wrong", 0.7, 5e-14, 2e-13, Worst((), 2.0, -2.0)),
    },
    laws={
        "names": Law("names", True, "grads() has one entry for each parameter"),
        "purity": Law("purity", False, "the parameter W was changed: work on a copy"),
    },
    findings=(
        Finding(FindingCode.LAW_PURITY, evidence=(LawBreach("purity", "the parameter W was changed: work on a copy"),)),
        Finding(
            FindingCode.WRONG_SIGN,
            ("b",),
            (Mistake(), RightInput("dz", Label("z", 2, 4, 1))),
            file="model.py",
            line=7,
            column=12,
            end_column=14,
            function="backward",
            statement="grads['b'] -= dz",
            expected=Label("b"),
            given=Label("b", factor=-1.0),
            symptom=FindingCode.SIGN,
            fix=Fix(7, "grads['b'] -= dz", "grads['b'] += dz", "-grads['b'] -= dz\n+grads['b'] += dz", True),
        ),
        Finding(FindingCode.NO_PATTERN, ("U",), (WorstEntry("U", (1, 0), 0.5, 0.625),)),
    ),
    sizes={"T": 4, "H": 3},
    smallest={"T": 2, "H": 1},
    trials=(
        Trial({"T": 4, "H": 3}, "wrong", ("U", "b")),
        Trial({"T": 1, "H": 3}, "right"),
        Trial({"T": 2, "H": 3}, "wrong", ("U", "b")),
        Trial({"T": 4, "H": 1}, "wrong", (), "lstm raised IndexError: list index out of range"),
        Trial({"T": 5, "H": 6}, "wrong", ("U", "b")),
    ),
    scheme="complex step",
    seed=3,
    evaluations=321,
    seconds=0.25,
    doc="An LSTM.",
)

RIGHT = Report(
    name="gru",
    verdict="right",
    blocks={
        "W": Block("W", (2,), "right", 0.0, 1e-14, 5e-13),
        "V": Block("V", (2,), "right", 1e-15, 1e-14, 8e-12, message="both gradients are zero here; judged at T=7"),
    },
    laws={"names": Law("names", True, "grads() has one entry for each parameter")},
    scheme="Richardson",
    full=True,
)

INCONCLUSIVE = Report(
    name="relu",
    verdict="inconclusive",
    blocks={
        "W": Block(
            "W", (2,), "inconclusive", 1e-2, math.inf, math.inf, Worst((0,), math.nan, 3.0), "the loss has a kink"
        ),
        "b": Block("b", (2,), "inconclusive", math.nan, None, None, None, "the loss has a kink"),
        "V": Block("V", (2,), "right", 2e-15, 1e-14, 5e-13, factor=8.0),
    },
    laws={"repeatability": Law("repeatability", False, "the loss was 1 and, asked again, 2", "inconclusive")},
)

VACUOUS = Report(
    name="nothing",
    verdict="vacuous",
    blocks={"W": Block("W", (2,), "vacuous", message="both gradients are zero")},
    laws={},
)

EVERY_VERDICT = (WRONG, RIGHT, INCONCLUSIVE, VACUOUS)


def hostile(text: str) -> Report:
    """A report in which every string is this one."""
    fix = Fix(1, text, text, text, False)
    return Report(
        name=text,
        verdict="wrong",
        blocks={
            text: Block(text, (1,), "wrong", 0.5, 1e-14, 1e-13, Worst((0,), 1.0, 2.0), text),
            f"{text}2": Block(f"{text}2", (1,), "inconclusive", message=text),
        },
        laws={text: Law(text, False, text)},
        findings=(
            Finding(FindingCode.LAW_NAMES, (text,), (LawBreach(text, text),), text, 1, statement=text),
            Finding(
                FindingCode.WRONG_VARIABLE,
                (text,),
                (Mistake(text, text, text), RightInput(text, Label(text, detail=text)), EquivalentEdit(1, text)),
                file=text,
                function=text,
                expected=Label(text),
                given=Label(text, detail=text),
                fix=fix,
            ),
            Finding(FindingCode.EXCHANGED, (text,), (GradientOf(text, 0.0),), fix=replace(fix, diff="")),
        ),
        sizes={text: 2},
        smallest={text: 1},
        trials=(Trial({text: 2}, "wrong", (text,), text), Trial({text: 1}, "wrong", (text,), text)),
        scheme=text,
        doc=text,
    )
