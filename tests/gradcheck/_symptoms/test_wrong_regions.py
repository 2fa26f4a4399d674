"""Where a gradient is wrong, in words; and in no words where there is no place to name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck import Target, check
from gradcheck._symptoms.wrong_regions import GradientContext, find_region, index_range
from gradcheck.report.evidence import AxisPart, IndexRange
from gradcheck.report.finding_phrases import describe_symptom
from tests.gradcheck.networks import Lstm, factory

#: an LSTM of width 4, and what else it is made of
LSTM = {"W": (3, 16), "U": (4, 16), "b": (16,), "V": (4, 5), "x": (6, 2, 3)}
GRU = {"W": (5, 12), "U": (4, 12), "b": (12,)}


def said(
    shape: tuple[int, ...],
    part: Any,
    setting: GradientContext | None = None,
    factor: float = 2.0,
    zero: Any = np.s_[:0],
) -> Any:
    """The words where this part of a gradient is multiplied, and another part of it is zero and right."""
    true = np.random.default_rng(0).normal(size=shape)
    true[zero] = 0
    analytic = true.copy()
    analytic[part] *= factor
    found = find_region(analytic != true, analytic, None, setting or GradientContext({"w": shape}))
    return found and (found.code.kind, describe_symptom(found))


@pytest.mark.parametrize(
    ("shape", "part", "kind", "words"),
    [
        ((80, 85), ([2, 7, 70], [5, 3, 0]), "entries", "3 of 6800 entries: [2, 5], [7, 3], [70, 0]"),
        ((6,), 3, "entries", "1 of 6 entries: [3]"),
        ((40,), np.s_[::4], "entries", "10 of 40 entries: [0], [4], [8], [12], [16], [20], [24], [28] and 2 others"),
        ((5, 6), 3, "partly", "row 3 of 5"),
        ((6, 5), np.s_[:, [1, 2]], "partly", "columns 1..2 of 5"),
        ((9, 8), [0, 1, 5], "partly", "rows 0..1, 5 of 9"),
        ((5, 16), np.s_[:, 8:12], "partly", "columns 8..11 of 16 (part 3 of 4)"),
        ((16, 5), np.s_[8:], "partly", "rows 8..15 of 16 (part 2 of 2)"),
        ((12,), np.s_[4:8], "partly", "entries 4..7 of 12 (part 2 of 3)"),
        ((12,), np.s_[5:8], "partly", "entries 5..7 of 12"),
        ((4, 3, 2), 1, "partly", "[1] of 4 along axis 0"),
        ((4, 3, 6), np.s_[:, :, 2:4], "partly", "[2..3] of 6 along axis 2 (part 2 of 3)"),
        ((9, 16), np.s_[2:4, 4:8], "partly", "rows 2..3 of 9, columns 4..7 of 16 (part 2 of 4)"),
    ],
)
def test_places_have_names(shape: tuple[int, ...], part: Any, kind: str, words: str) -> None:
    """Somebody would have to find the pattern in a list of indices."""
    assert said(shape, part) == (kind, f"right except at {words}")


def test_what_is_right_is_named_where_that_is_less() -> None:
    """Three gates would be named instead of the one that is right."""
    assert said((5, 16), np.s_[:, :12]) == ("partly", "wrong everywhere except at columns 12..15 of 16 (part 4 of 4)")


def test_what_is_zero_and_right_tells_nothing() -> None:
    """Rows of tokens that do not occur, which are zero whatever the formula, would be called right."""
    assert said((6, 4), np.s_[:], zero=np.s_[[1, 4]]) is None
    assert said((6, 4), [0, 2], zero=np.s_[[1, 4]])[1] == "right except at rows 0, 2 of 6"


@pytest.mark.parametrize("seed", range(20))
def test_no_place_is_seen_in_scattered_entries(seed: int) -> None:
    """A row or a gate would be named though what is wrong is everywhere."""
    mask = np.random.default_rng(seed).random((12, 16)) < 0.6
    assert said((12, 16), mask) is None
    assert said((12, 16), np.s_[:]) is None
    assert said((12, 16), np.zeros((12, 16), dtype=bool)) is None


def test_where_most_of_a_part_is_wrong_the_count_is_said() -> None:
    """Thirty of forty entries of a gate would be called all of it."""
    mask = np.zeros((10, 16), dtype=bool)
    mask[:, 4:8] = np.arange(40).reshape(10, 4) % 3 > 0
    assert said((10, 16), mask)[1].endswith("(part 2 of 4), in 26 of 40 entries there")


@pytest.mark.parametrize(
    ("name", "shapes", "gates", "part", "told"),
    [
        ("W", LSTM, "", np.s_[:, 4:8], "columns 4..7 of 16 (gate 2 of 4)"),
        ("W", LSTM, "ifgo", np.s_[:, 4:8], "columns 4..7 of 16 (gate f, 2 of 4)"),
        ("b", LSTM, "ifgo", np.s_[12:], "entries 12..15 of 16 (gate o, 4 of 4)"),
        (
            "U",
            LSTM,
            "ifgo",
            np.s_[:, [0, 1, 2, 3, 12, 13, 14, 15]],
            "columns 0..3, 12..15 of 16 (gates i and o, 1 and 4 of 4)",
        ),
        ("W", GRU, "", np.s_[:, 8:], "columns 8..11 of 12 (gate 3 of 3)"),
        ("W", GRU, ["update", "reset", "candidate"], np.s_[:, 8:], "(gate candidate, 3 of 3)"),
        ("W", {"W": (16, 3), "U": (16, 4)}, "ifgo", np.s_[4:8], "rows 4..7 of 16 (gate f, 2 of 4)"),
        ("W", {"W": (3, 16)}, "ifgo", np.s_[:, 4:8], "columns 4..7 of 16 (part 2 of 4)"),
        ("V", {**LSTM, "V": (4, 16)}, "ifgo", np.s_[:, 4:8], "(part 2 of 4: f, if these are gates)"),
        ("b", {"W": (5, 4), "U": (1, 4), "b": (4,)}, "ifgo", np.s_[1], "1 of 4 entries: [1]"),
        ("W", {"W": (5, 4), "U": (1, 4), "b": (4,)}, "ifgo", np.s_[:, 1], "column 1 of 4 (gate f, 2 of 4)"),
        ("V", LSTM, "ifgo", np.s_[:2], "rows 0..1 of 4 (part 1 of 2)"),
    ],
)
def test_gates_are_known_by_the_shapes(name: str, shapes: Any, gates: Any, part: Any, told: str) -> None:
    """A gate would not be named; or something would be called a gate that is none."""
    setting = GradientContext(shapes, gates)
    assert said(shapes[name], part, setting)[1].endswith(told)


@pytest.mark.parametrize(
    ("tokens", "rows", "named"),
    [
        ([3, 1, 3, 0, 2, 0], [0, 3], True),
        ([3, 1, 3, 0, 2, 0], [0], False),
        ([3, 1, 3, 0, 2, 0], [0, 1], False),
        ([3, 3, 0, 0], [0, 3], False),
        ([3, 1, 3, 0, 2, 9], [3], False),
        ([3, 1, 3, 0, 2, -1], [3], False),
    ],
)
def test_tokens_that_occur_twice(tokens: list[int], rows: list[int], named: bool) -> None:
    """A gradient that is assigned where tokens repeat would not be told as such; or another one would."""
    setting = GradientContext({"w": (8, 5)}, (), {"x": np.array(tokens), "y": np.ones(3)})
    unused = np.setdiff1d(np.arange(8), tokens[:6])
    found = said((8, 5), rows, setting, zero=np.s_[unused])
    assert (found is not None and "which x holds more than once" in found[1]) is named


@pytest.mark.parametrize(
    ("tokens", "rows", "steps"),
    [
        ([3, 1, 0, 4], [0, 1, 3], 4),
        ([[3, 1], [0, 1], [4, 5]], [0, 1, 3], 3),
        ([[3, 1], [0, 1], [4, 1]], [0, 1, 3], 3),
        ([[3, 1], [0, 1], [4, 1]], [0, 3], 0),
        ([3, 4, 0, 4], [0, 3], 0),
    ],
)
def test_tokens_of_the_last_step(tokens: list[Any], rows: list[int], steps: int) -> None:
    """That only the last step is right would not be seen in the gradient of an embedding; or be made up."""
    true = np.zeros((8, 5))
    true[np.unique(tokens)] = 1.0
    analytic = true.copy()
    analytic[rows] *= 2
    found = find_region(analytic != true, analytic, None, GradientContext({"w": (8, 5)}, (), {"x": np.array(tokens)}))
    assert found.evidence[0].slices[0].last_of == steps
    assert ("which x holds at its last index alone" in describe_symptom(found)) is bool(steps)


@pytest.mark.parametrize(("factor", "told"), [(0.0, "there it is zero"), (-1.0, "wrong sign"), (2.5, "2.5 times the")])
def test_what_the_wrong_part_is_of_the_true_one(factor: float, told: str) -> None:
    """That a gate has the wrong sign would be left to the reader."""
    true = np.random.default_rng(0).normal(size=(4, 6))
    analytic = true.copy()
    analytic[1] *= factor
    found = find_region(analytic != true, analytic, true, GradientContext({"w": (4, 6)}))
    assert told in describe_symptom(found).partition("; ")[2]
    analytic[1, 1] += 1
    found = find_region(analytic != true, analytic, true, GradientContext({"w": (4, 6)}))
    assert found.evidence[0].factor is None


def test_indices_of_a_vector_are_a_range() -> None:
    """The units that show a mistake in an activation would have no place, or that of another gate."""
    setting = GradientContext({"U": (4, 16)}, "ifgo")
    assert index_range([4, 5, 6, 7], 16, setting) == IndexRange(
        0, 1, 16, ((4, 7),), AxisPart((2,), 4, ("f",), are_gates=True)
    )


# -- through a whole check ---------------------------------------------------------------------------------------------


def embedding(assigned: bool) -> Target:
    """Rows of a table picked by tokens; the loss is the sum of sines of their products with a vector."""
    params = {"E": np.random.default_rng(0).normal(size=(7, 3)), "v": np.ones(3)}
    tokens = np.array([4, 1, 4, 0, 6, 1, 4])

    def grads() -> Any:
        dE, dz = np.zeros((7, 3)), np.cos(params["E"][tokens] @ params["v"])
        each = dz[:, None] * params["v"]
        if assigned:
            dE[tokens] = each
        else:
            np.add.at(dE, tokens, each)
        return {"E": dE, "v": params["E"][tokens].T @ dz}

    return Target(params, lambda: np.sin(params["E"][tokens] @ params["v"]).sum(), grads, inputs={"tokens": tokens})


def test_a_table_whose_rows_are_assigned() -> None:
    """The commonest mistake in an embedding would be a list of wrong entries."""
    where = "rows 1, 4 of 7, which tokens holds more than once"
    assert where in check(embedding(True)).blocks["E"].where
    assert check(embedding(False)).ok


@pytest.mark.parametrize("full", [False, True])
def test_a_gate_of_a_network_is_named_at_one_time_step(full: bool) -> None:
    """Which gate is wrong would have to be counted out by hand."""
    network = factory(Lstm, "forget gate").with_sizes(T=1)
    report = check(network, full=full)
    assert report.blocks["W"].where == "right except at columns 4..7 of 16 (gate 2 of 4)"
    assert report.blocks["b"].where == "right except at entries 4..7 of 16 (gate 2 of 4)"
    kinds = {name: finding.kind for finding in report.findings for name in finding.blocks}
    assert kinds == {"h0": "gradient", "W": "partly", "U": "partly", "b": "activation"}
