"""What a value of the backward is known to be."""

from __future__ import annotations

import numpy as np

from gradcheck._localising.holes import holes_of
from gradcheck._localising.standing import Known, Standing, Standings
from tests.gradcheck._localising.nets import run_of


def _given(run, text):
    return next(one for one in holes_of(run) if one.statement.text.startswith(text)).given


def test_known_arrays_are_found_by_value_also_transposed():
    """If this failed, right values in column style would not be known to be right."""
    known, array = Known(), np.arange(6.0).reshape(2, 3)
    known.add(array, 7)
    assert known.find(array + 1e-12) == 7
    assert known.find(array.T) == 7
    assert known.find(array + 1e-3) is None
    unused = np.array([[True, False, False], [False, False, False]])
    assert known.find_in_part(array + 5.0 * ~unused, unused) == 7


def test_full_derivatives_are_locked_and_sums_that_lack_a_part_are_not(tmp_path):
    """If this failed, dh without what is carried would count as right, and the line that forgot it as innocent."""
    run, _, _ = run_of(tmp_path)
    standings = Standings(run)
    assert {standings.of(node) for node in _given(run, "dh =")} == {Standing.FULL}
    run, _, _ = run_of(tmp_path, ('dh = dout @ p["V"].T + carry', 'dh = dout @ p["V"].T'))
    standings = Standings(run)
    first, *later = [standings.of(node) for node in _given(run, "dh =")]
    assert first is Standing.FULL  # at the last step nothing is carried
    assert set(later) == {Standing.PARTIAL}


def test_the_source_of_a_derivative_tells_the_step(tmp_path):
    """If this failed, a needed value could not be said in words: dL/d(what), at which step."""
    run, _, _ = run_of(tmp_path)
    standings = Standings(run)
    sources = [standings.source(node) for node in _given(run, "dh =")]
    assert [source.execution for source in sources] == [2, 1, 0]
    assert {source.op for source in sources} == {"tanh"}


def test_values_of_the_forward_are_no_derivatives(tmp_path):
    """If this failed, cached values would be judged as if they had to be derivatives."""
    run, _, _ = run_of(tmp_path)
    standings = Standings(run)
    assert {standings.of(node) for node in _given(run, "h, before =")} == {Standing.PLAIN}
    assert {standings.of(node) for node in _given(run, "carry = np")} == {Standing.ZERO}
