"""Sensitivities of a small backward, ranges, and what they say of innocent lines."""

from __future__ import annotations

import numpy as np
import pytest

from gradcheck._localising.holes import holes_of, matrix
from gradcheck._localising.localise import Study
from gradcheck._localising.mismatch import Mismatch
from gradcheck._localising.solving import is_outside, range_of, solution
from tests.gradcheck._localising.nets import run_of


def _of_line(found, text):
    return next(one for one in found if one.statement.text.startswith(text))


def test_range_tells_what_is_inside_from_what_is_not():
    """If this failed, innocent statements would be accused, or guilty ones let go."""
    columns = np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 2.0]])
    assert range_of(columns).rank == 1
    assert range_of(columns).holds(np.array([3.0, 0.0, 3.0]))
    assert not range_of(columns).holds(np.array([3.0, 1e-3, 3.0]))
    wide = np.hstack([columns] * 4)
    assert range_of(wide).rank == 1
    assert range_of(wide).holds(np.array([3.0, 0.0, 3.0]))


def test_small_columns_count_and_almost_dependent_ones_and_rounding_does_not():
    """If this failed, statements whose values hardly move the gradients would be innocent, or noise would be guilty."""
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 6))
    sizes = np.array([1.0, 1e-9, 1e-7])
    for columns in (np.stack([a, b, a + b], 1), np.stack([a, b, a + b] * 4, 1)):
        found = range_of(columns * np.tile(sizes, columns.shape[1] // 3))
        assert found.rank == 2
        assert found.holds(a - b)
        assert not found.holds(a + 1e-3 * rng.standard_normal(6))
    near = range_of(np.stack([a, a + 1e-6 * b], 1))
    assert near.rank == 2
    assert near.holds(b)
    assert range_of(np.stack([a, a * (1 + 1e-16), a + 1e-14 * b, 1e-13 * b], 1)).rank == 1


def test_what_is_outside_for_certain_is_told_without_the_range():
    """If this failed, guilty statements would be passed over, or all would cost what the guilty ones do."""
    rng = np.random.default_rng(0)
    columns = rng.standard_normal((8, 3))
    inside, outside = columns @ [1.0, -2.0, 0.5], rng.standard_normal(8)
    for one in (columns, np.hstack([columns, columns[:, :1], 1e-9 * columns])):
        assert not is_outside(one, inside)
        assert is_outside(one, outside)
    assert not is_outside(rng.standard_normal((8, 9)), outside)  # what is as wide as that has to be looked at


def test_the_complement_is_what_a_range_cannot_move():
    """If this failed, what one fault explains would be held against another."""
    found = range_of(np.array([[1.0], [1.0], [0.0]]))
    assert found.complement.shape == (3, 2)
    assert np.allclose(found.complement.T @ found.basis, 0)


def test_a_solution_says_whether_it_is_the_only_one():
    """If this failed, values that are one guess of many would be called needed."""
    assert solution(np.eye(2), np.array([1.0, 2.0]))[1]
    assert not solution(np.ones((1, 2)), np.array([1.0]))[1]


def test_sensitivities_are_how_the_gradients_move(tmp_path):
    """If this failed, all ranges would be wrong: the change of dz at every step must give the change of U exactly."""
    run, _, _ = run_of(tmp_path)
    mismatch = Mismatch(run, ["U"])
    combinations = mismatch.combinations(1000, seed=0)
    sensitivities = mismatch.sensitivities(combinations)
    nodes = [node for node in _of_line(holes_of(run), "dz =").given if node.op == "multiply"]
    columns = matrix(nodes, sensitivities, len(combinations))
    change = np.random.default_rng(1).standard_normal(columns.shape[1])
    first = nodes[0]
    moved = run.overrides({(first.place, 0): first.value + change[: first.size].reshape(first.shape)})
    told = matrix(nodes[:1], sensitivities, len(combinations)) @ change[: first.size]
    true = np.concatenate([
        ((moved[name] - run.gradients[name]) / mismatch.scales[name]).ravel() for name in mismatch.names
    ])  # fmt: skip
    assert np.allclose(told, true, atol=1e-12)


def test_an_innocent_line_gets_no_certificate(tmp_path):
    """If this failed, any line near the results could be accused: dV cannot explain a wrong dU, nor dU a wrong dz."""
    run, wrong, _ = run_of(tmp_path, ("dz = dh * dtanh(h)", "dz = dh * dtanh(before)"))
    study = Study(run, wrong)
    for text in ("dV +=", "dU +=", "db +=", "carry ="):
        assert study.solver.solvable(_of_line(study.holes, text)) is None
    assert study.solver.solvable(_of_line(study.holes, "dz =")) is not None


def test_random_combinations_say_the_same(tmp_path):
    """If this failed, larger networks would be judged otherwise than small ones."""
    run, wrong, _ = run_of(tmp_path, ("dz = dh * dtanh(h)", "dz = dh"))
    mismatch = Mismatch(run, wrong)
    mixed = mismatch.combinations(40, seed=3)
    assert mixed.shape == (40, mismatch.entries)
    sensitivities = mismatch.sensitivities(mixed)
    holes = holes_of(run)
    holds = {
        text: range_of(matrix(_of_line(holes, text).given, sensitivities, 40)).holds(mixed @ mismatch.difference)
        for text in ("dz =", "dU +=", "dV +=")
    }
    assert holds == {"dz =": True, "dU +=": False, "dV +=": False}


def test_a_matrix_that_lapack_gives_up_on_is_turned(monkeypatch):
    """If this failed, one statement's values would end the whole search, with an error of linear algebra."""
    plain = np.linalg.svd

    def svd(matrix, **options):
        if matrix.shape == (4, 3):
            raise np.linalg.LinAlgError("SVD did not converge")
        return plain(matrix, **options)

    monkeypatch.setattr(np.linalg, "svd", svd)
    a, b = np.random.default_rng(0).standard_normal((2, 4))
    found = range_of(np.stack([a, a + 1e-6 * b, 1e-5 * b], 1))  # what the product of it with itself does not tell
    assert found.rank == 2
    assert found.holds(a - b)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_how_large_a_matrix_is_makes_no_difference(size):
    """If this failed, squares of sensitivities at weights that are large would end the search with an error."""
    a, b = np.random.default_rng(0).standard_normal((2, 4))
    found = range_of(size * np.stack([a, b, a + b], 1))
    assert found.rank == 2
    assert found.holds(a - b)


def test_where_lapack_gives_up_on_squares_the_matrix_itself_is_asked(monkeypatch):
    """If this failed, the search would end there with an error of linear algebra."""

    def eigh(_):
        raise np.linalg.LinAlgError("Eigenvalues did not converge")

    monkeypatch.setattr(np.linalg, "eigh", eigh)
    a, b = np.random.default_rng(0).standard_normal((2, 4))
    assert range_of(np.stack([a, b, a + b], 1)).rank == 2
