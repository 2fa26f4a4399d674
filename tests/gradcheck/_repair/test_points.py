"""Where a backward is taped: sizes, seeds, values of the parameters, and a factor taken out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gradcheck._common.errors import TargetError
from gradcheck._mending import mends
from gradcheck._repair import points as points_module
from gradcheck._repair.found import EditedCode, Found
from gradcheck._repair.points import LARGER, MOST_VALUES, Point, larger_points_of, points_of, points_of_one_step
from gradcheck._repair.wrong_values import wrong_gradients
from gradcheck._symptoms.common_factor import CommonFactor
from gradcheck._tape import TapedRun
from gradcheck._targets.factory import target
from gradcheck._targets.target import Target
from gradcheck._usercode.source import Edit, Source
from tests.gradcheck._repair.spoiled import SIZES, VJP, cell, line_of


def a_target(w: np.ndarray) -> Target:
    """A sum of squares."""
    return Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})


def sizes_of(point: Point) -> tuple[int, int, int]:
    """The time steps, inputs and units of the network at a point."""
    run = point.run()
    steps = max(node.execution for node in run.nodes if node.op == "tanh" and node.index < run.boundary) + 1
    return steps, *run.base["U"].shape[::-1]


def test_a_single_target_is_confirmed_at_other_values() -> None:
    """Edits that fit one point by chance would be offered."""
    w = np.array([0.3, -0.7])
    (points,) = points_of(a_target(w), 0, {}, CommonFactor(2.0, "2", ("w",)))
    runs = [point.run() for point in points]
    np.testing.assert_array_equal(runs[0].base["w"], w)
    assert len({run.base["w"].tobytes() for run in runs}) == 3
    np.testing.assert_array_equal(w, [0.3, -0.7])
    for run in runs:
        np.testing.assert_allclose(run.true_gradients["w"], 2 * run.gradients["w"])


def test_small_sizes_then_the_defaults_then_those_that_fail(tmp_path: Path) -> None:
    """Faults would be looked for at sizes where they cannot be seen, or edits be confirmed at the same sizes only."""
    found = list(points_of(cell(tmp_path), 3, {"T": 6, "D": 2, "H": 3}))
    assert [sizes_of(points[0]) for points in found] == [(4, 2, 3), (6, 2, 3)]
    assert [sizes_of(points[1]) for points in found] == [(5, 7, 6), (7, 6, 5)]
    for points in found:
        assert sizes_of(points[2]) == sizes_of(points[0])
        assert [point.seed for point in points] == [3, 4, 5]
    first, _, again = (point.run() for point in found[0])
    assert not np.allclose(first.base["W"], again.base["W"])


def test_pinned_sizes_stay(tmp_path: Path) -> None:
    """Code would be run at sizes that the user has ruled out."""
    points = next(points_of(cell(tmp_path).with_sizes(D=2), 0, SIZES))
    assert sizes_of(points[1])[1] == 2


def test_code_that_does_not_run_at_other_sizes_is_confirmed_at_its_own(tmp_path: Path) -> None:
    """Code that is made for one number of steps would get no edit."""
    factory = cell(tmp_path, ("net, x = Net(rng, D, H)", "net, x = [Net(rng, D, H)][T - 4]"))
    assert sizes_of(next(points_of(factory, 0, SIZES))[1]) == (4, 2, 3)


def test_a_factor_is_that_of_the_sizes_at_the_point(tmp_path: Path) -> None:
    """At another number of steps a mean over time would be taken for a mistake, or a mistake for the mean."""
    factory = cell(tmp_path)
    found = list(points_of(factory, 0, {"T": 6, "D": 2, "H": 3}, CommonFactor(0.25, "1/T", ("W",))))
    assert [[point.factor for point in points] for points in found] == [[1 / 4, 1 / 5, 1 / 4], [1 / 6, 1 / 7, 1 / 6]]
    run = found[1][0].run()
    np.testing.assert_allclose(run.true_gradients["W"], run.gradients["W"] / 6)


def test_one_step_of_time_is_found_by_what_the_backward_computes(tmp_path: Path) -> None:
    """Faults that meet in several steps would be looked at with one unit or one input in the place of one step."""
    points = points_of_one_step(cell(tmp_path), 0, SIZES, None)
    assert points is not None
    assert [sizes_of(point) for point in points] == [(1, 2, 3)] * 3
    assert len({point.seed for point in points}) == 3


def test_there_may_be_no_shorter_size(tmp_path: Path) -> None:
    """Sizes that the user has pinned would be changed, or the same sizes be looked at again."""
    factory = cell(tmp_path)
    assert points_of_one_step(factory.with_sizes(**SIZES), 0, SIZES, None) is None
    assert points_of_one_step(factory, 0, {"T": 1, "D": 1, "H": 1}, None) is None


def test_matrices_are_larger_in_turn(tmp_path: Path) -> None:
    """A clip that one large matrix brings out would stay hidden; or all would be large, and the network saturate."""
    first, *_ = all_points = list(points_of(cell(tmp_path), 0, SIZES))
    usual = [point.run().base for point in first]
    found = list(larger_points_of(cell(tmp_path), 0, SIZES))
    assert len(found) == len(all_points) * 2 * len(LARGER)
    found = found[: 2 * len(LARGER)]
    assert [(one[0].scale.name, one[0].scale.factor) for one in found if one[0].scale] == [
        (name, factor) for name in ("W", "U") for factor in LARGER
    ]
    for points in found:
        for point, base in zip(points, usual, strict=True):
            scale, run = point.scale, point.run()
            assert scale is not None
            for name, array in run.base.items():
                np.testing.assert_array_equal(array, base[name] * (scale.factor if name == scale.name else 1))


def test_cotangents_are_larger_where_the_checker_draws_them(tmp_path: Path) -> None:
    """A clip of what is handed down would stay hidden; or the check would go on with large cotangents."""
    factory = cell(tmp_path, source=VJP)
    usual = next(points_of(factory, 0, dict(factory.sizes)))[0]
    found = list(larger_points_of(factory, 0, dict(factory.sizes)))
    assert [one[0].scale.name for one in found if one[0].scale] == [None] * len(LARGER)
    for points, factor in zip(found, LARGER, strict=True):
        run, base = points[0].run(), usual.run()
        for name, array in base.true_gradients.items():
            np.testing.assert_array_equal(run.base[name], base.base[name])
            np.testing.assert_allclose(run.true_gradients[name], factor * array)


def test_cotangents_are_put_back(tmp_path: Path) -> None:
    """The check that goes on would compare gradients of other cotangents."""
    factory = cell(tmp_path, source=VJP)
    target = factory.build(0, dict(factory.sizes))
    point = next(larger_points_of(target, 0, {}))[0]
    with point.opened() as (opened, _):
        large = opened.problem.cotangents[0].copy()
    np.testing.assert_allclose(large, LARGER[0] * target.problem.cotangents[0])  # type: ignore[attr-defined]


def test_parameters_that_can_be_replaced_are_in_double_precision() -> None:
    """Rounding would hide which value is which derivative."""
    w = np.array([0.3, -0.7], np.float32)
    points = next(points_of(a_target(w), 0, {}))
    assert points[0].run().base["w"].dtype == np.float64
    fixed = Target(lambda: {"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w})
    assert next(points_of(fixed, 0, {}))[0].run().base["w"].dtype == np.float32
    assert w.dtype == np.float32


def test_code_that_cannot_be_run_has_no_run(tmp_path: Path) -> None:
    """A point at which the user's code raises would end the search with an error."""
    factory = cell(tmp_path, ("self.h[t - 1])", "self.h[t + 9])"))
    point = next(points_of(factory, 0, SIZES))[0]
    assert point.run_or_none() is None
    with pytest.raises(TargetError):
        point.run()


def sums_of_tanh(rng: np.random.Generator, *, T: int = 6, B: int = 5, D: int = 3, H: int = 2) -> Target:
    """A network of T steps of B samples that keeps nothing."""
    W, x = rng.standard_normal((H, D)), rng.standard_normal((T, B, D))

    def loss() -> float:
        return float(sum(np.tanh(x[t] @ W.T).sum() for t in range(T)))

    return Target({"W": W}, loss, lambda: {"W": sum((1 - np.tanh(x[t] @ W.T) ** 2).T @ x[t] for t in range(T))})


def number_by_number(rng: np.random.Generator, *, T: int = 9, H: int = 8) -> Target:
    """A sum of squares of products, in loops over all numbers."""
    w = rng.standard_normal(H * H)

    def loss() -> float:
        total = 0.0
        for _ in range(T):
            for i in range(H):
                for j in range(H):
                    total += (w[i * H + j] * w[j * H + i]) ** 2
        return total

    def grads() -> dict[str, np.ndarray]:
        found = np.zeros(H * H)
        for _ in range(T):
            for i in range(H):
                for j in range(H):
                    found[i * H + j] += 4 * w[i * H + j] * w[j * H + i] ** 2
        return {"w": found}

    return Target({"w": w}, loss, grads)


def test_the_data_is_small_beside_the_parameters() -> None:
    """A statement would give more numbers than the gradients have entries: all could be at fault, in any way."""
    points = next(points_of(target(sums_of_tanh), 0, {"T": 1, "B": 1, "D": 1, "H": 1}))
    run = points[0].run()
    x = next(node.shape for node in run.nodes if len(node.shape) == 3)
    assert x[:2] == (4, 3)
    assert sorted((*x[:2], *run.base["W"].shape)) == [2, 3, 4, 5]


def test_where_the_tape_is_long_smaller_sizes_come_first() -> None:
    """Code that calculates number by number would be taped for half a minute, at sizes at which little is learned."""
    found = list(points_of(target(number_by_number), 0, {"T": 1, "H": 2}))
    lengths = [[len(point.run().nodes) for point in points] for points in found]
    assert max(lengths[0]) <= MOST_VALUES < max(lengths[-1])
    assert not found[-1][0].is_within(MOST_VALUES)
    assert found[0][0].is_within(MOST_VALUES)


@pytest.mark.lines
def test_an_earlier_run_of_edited_code_goes_on(tmp_path: Path) -> None:
    """Edits would be tried in code that does not run: none would mend anything."""
    bugs = ("self.h[t - 1])", "self.h[t])"), ("np.outer(da, self.x", "np.outer(dh, self.x")
    factory = cell(tmp_path, *bugs)
    points = next(points_of(factory, 0, SIZES))
    found = Found()
    with points[0].taped() as run:
        found.codes = list(run.program.codes)
        found.sources = {file: Source.of_running(file) for file in {code.co_filename for code in found.codes}}
    line = line_of("dW +=")
    column = bugs[0][1].index("t]") + "            dW += np.outer(da, ".index("dW") + len("dW += np.outer(da, ")
    found.edits = {str(tmp_path / "cell.py"): [Edit((line, column), (line, column + 1), "t - 1")]}
    code = EditedCode(found, is_factory=True)
    with code.in_place(), points[0].taped() as run:
        assert wrong_gradients(run) == {"U"}
        first = mends_of(run, points)
    with points[1].taped():
        pass  # the target is made at other sizes in between
    with code.in_place(), points[0].taped(run) as again:
        assert again is run
        assert mends_of(run, points) == first != []


def mends_of(run: TapedRun, points: Sequence[Point]) -> list[str]:
    """The edits of the line of U."""
    statement = next(one for one in run.statements if one.line == line_of("dU +="))
    return [edit.text for one in mends(run, statement, [one.taped for one in points[1:]]) for edit in one.edits]


def sample_by_sample(rng: np.random.Generator, *, T: int = 9, B: int = 8, H: int = 3) -> Target:
    """A sum of squares of products, one sample after the other, each of them several times."""
    w, x = rng.standard_normal(H), rng.standard_normal((T, B, H))
    each = [(t, b) for t in range(T) for b in range(B) for _ in range(6)]

    def loss() -> float:
        total = 0.0
        for t, b in each:
            total += np.sum((w * x[t, b]) ** 2)
        return float(total)

    def grads() -> dict[str, np.ndarray]:
        found = np.zeros(H)
        for t, b in each:
            found += 2 * w * x[t, b] ** 2
        return {"w": found}

    return Target({"w": w}, loss, grads)


def test_where_the_tape_is_long_the_numbers_of_steps_and_samples_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    """Edits would be tried and confirmed where there are as many steps as samples: each passes for the other."""
    monkeypatch.setattr(points_module, "MOST_VALUES", 500)
    points = [one[:2] for one in points_of(target(sample_by_sample), 0, {"T": 1, "B": 1, "H": 1})][:2]
    shapes = [[next(node.shape for node in one.run().nodes if len(node.shape) == 3) for one in both] for both in points]
    assert shapes == [[(3, 2, 3), (2, 3, 3)], [(2, 3, 3), (3, 2, 3)]]


def test_three_units_are_tried_before_two() -> None:
    """Where the tape is long, a normalisation over two units would be looked at: the same whatever they are."""
    widths = [sizes["H"] for sizes in points_module._few_steps(target(sample_by_sample))]
    assert widths == [3, 3, 2, 2]
