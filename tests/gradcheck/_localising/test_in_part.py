"""Places that give a part of a derivative that nothing gives the whole of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising.in_part import in_part
from gradcheck._repair.wrong_values import wrong_gradients
from tests.gradcheck._repair.forecaster import FORECASTER, NOT_BY_SCORES
from tests.gradcheck._repair.lists import LISTS
from tests.gradcheck._repair.minimal import LACKS_PRODUCT, MINIMAL
from tests.gradcheck._repair.spoiled import HEAD, cell, line_of, taped


def lines(folder: Path, *bugs: tuple[str, str], source: str = FORECASTER) -> list[int]:
    """Where only a part is given."""
    run, _ = taped(cell(folder, *bugs, source=source))
    return [one.statement.line for one in in_part(run, wrong_gradients(run))]


@pytest.mark.parametrize("others", [(), (("dz = dh * (1 - hs[t + 1] ** 2)", "dz = dh"),)])
def test_a_use_that_is_left_out_is_told(tmp_path: Path, others: tuple[tuple[str, str], ...]) -> None:
    """A forgotten path, as that through the scores of an attention, would have no line, or none beside other faults."""
    assert lines(tmp_path, *NOT_BY_SCORES, *others)[0] == line_of("dhs = np.outer(alpha", FORECASTER)


@pytest.mark.parametrize("source", [FORECASTER, LISTS, HEAD])
def test_right_code_gives_the_whole_or_needs_it_nowhere(tmp_path: Path, source: str) -> None:
    """What is added up later, or taken on share by share, would be accused."""
    assert lines(tmp_path, source=source) == []


def test_what_leads_to_a_right_gradient_lacks_nothing(tmp_path: Path) -> None:
    """Shares that are taken on by themselves would be accused of what another statement spoils."""
    assert lines(tmp_path, ('g["V"] += np.outer(dout, new)', 'g["V"] += np.outer(dout, s)')) == []


def test_what_another_statement_adds_later_lacks_nowhere(tmp_path: Path) -> None:
    """A carry, to which each step adds what its own output brings, would get that a second time."""
    bugs = ("da = dh * (1 - self.h[t]**2)", "da = dh * (1 - self.h[t])")
    assert lines(tmp_path, bugs, source=HEAD) == []


@pytest.mark.parametrize("others", [(), (('g["W"] += np.outer(dc, x[t])', 'g["W"] += np.outer(df, x[t])'),)])
def test_what_is_added_later_is_not_asked_of_the_sum(tmp_path: Path, others: tuple[tuple[str, str], ...]) -> None:
    """What the output brings would be written into a carry to which the next step adds it, or nothing be found."""
    run, _ = taped(cell(tmp_path, LACKS_PRODUCT, *others, source=MINIMAL))
    (one,) = [each for each in in_part(run, wrong_gradients(run)) if each.place.text == "dh * (1 - f)"]
    places = ((node.place.text, node.execution, node.value) for node in run.backward if node.place is not None)
    values = {(text, execution): np.asarray(value) for text, execution, value in places}
    assert set(one.without_added) == set(one.wanted)
    for k, wanted in one.without_added.items():
        given, through = values['dh * (1 - f) + p["Uf"].T @ df', k], values['p["U"].T @ dc', k]
        assert np.allclose(wanted.value, given + through * (1 - values["1 - f", k]))


#: a backward that goes through the units number by number, where the forward has them in one array
NUMBERS = """\
import numpy as np
import gradcheck


def walk(p, x):
    hs = [np.zeros(len(p["w"]))]
    for xt in x:
        h, n = hs[-1], len(p["w"])
        hs.append(np.tanh([p["w"][i] * xt + sum(p["U"][i, j] * h[j] for j in range(n)) for i in range(n)]))
    return hs


def loss(p, x, y):
    hs, n = walk(p, x), len(p["w"])
    return sum(np.sin(hs[t + 1][j]) + hs[t + 1][j] * y[t, j] for t in range(len(x)) for j in range(n))


def grads(p, x, y):
    hs, n = walk(p, x), len(p["w"])
    dU, dw, dz = np.zeros((n, n)), np.zeros(n), [0.0] * n
    for t in reversed(range(len(x))):
        if t == len(x) - 1:
            dh = [np.cos(hs[t + 1][j]) + y[t, j] for j in range(n)]
        else:
            dh = [np.cos(hs[t + 1][j]) + y[t, j] + sum(p["U"][i, j] * dz[i] for i in range(n)) for j in range(n)]
        dz = [dh[j] * (1 - hs[t + 1][j] ** 2) for j in range(n)]
        for i in range(n):
            dw[i] += dz[i] * x[t]
            for j in range(n):
                dU[i, j] += dz[i] * hs[t][j]
    return {"U": dU, "w": dw}


@gradcheck.target
def cell(rng, *, T=3, H=3):
    p = {"U": rng.standard_normal((H, H)), "w": rng.standard_normal(H)}
    x, y = rng.standard_normal(T), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: loss(p, x, y), lambda: grads(p, x, y))
"""


def test_a_number_is_no_part_of_a_whole_array(tmp_path: Path) -> None:
    """Code without arrays would end the search with an error, or be told to give as much as all units need."""
    (right,) = [one.strip() for one in NUMBERS.splitlines() if "for i in range(n)) for j" in one]
    run, _ = taped(cell(tmp_path, (right, right.replace("np.cos(hs[t + 1][j]) + ", "")), source=NUMBERS))
    found = in_part(run, wrong_gradients(run))
    assert found
    assert not any(one.place.text.startswith("sum(") for one in found)
    shapes = {node.place: node.shape for node in run.backward if node.place is not None}
    assert all(wanted.value.shape == shapes[one.place] for one in found for wanted in one.wanted.values())


def test_right_code_without_arrays_gives_the_whole(tmp_path: Path) -> None:
    """Sums that are taken on number by number would be accused."""
    assert lines(tmp_path, source=NUMBERS) == []
