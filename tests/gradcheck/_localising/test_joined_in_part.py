"""Of past states that are stacked, and are keys and values at once, the backward gives what one way brings back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradcheck._localising.joined_in_part import joined_in_part
from gradcheck._localising.spoiling import Wanted
from gradcheck._localising.tape import Place, TapedRun
from gradcheck._repair.wrong_values import wrong_gradients
from tests.gradcheck._repair.spoiled import cell, taped

#: at each step, all states so far are listened to
LISTENER = """\
import numpy as np
import gradcheck


def listen(p, x):
    h, heard, steps = np.zeros(len(p["q"])), [], []
    for xt in x:
        h = np.tanh(p["A"] @ h + xt)
        heard.append(h)
        past = np.stack(heard)
        e = np.exp(past @ p["q"])
        w = e / e.sum()
        steps.append((past, w, w @ past))
    return heard, steps


def miss(p, x, y):
    return 0.5 * float(sum(np.sum((s[2] - yt) ** 2) for s, yt in zip(listen(p, x)[1], y)))


def back(p, x, y):
    heard, steps = listen(p, x)
    A, q = np.zeros_like(p["A"]), np.zeros_like(p["q"])
    own = [np.zeros_like(h) for h in heard]
    for t in reversed(range(len(x))):
        past, w, s = steps[t]
        ds = s - y[t]
        dw = past @ ds
        de = w * (dw - w @ dw)
        q += past.T @ de
        for j in range(t + 1):
            own[j] += w[j] * ds + de[j] * p["q"]
        dz = own[t] * (1 - heard[t] ** 2)
        if t:
            A += np.outer(dz, heard[t - 1])
            own[t - 1] += p["A"].T @ dz
    return {"A": A, "q": q}


@gradcheck.target
def cell(rng, *, T=3, H=2):
    p = {"A": rng.standard_normal((H, H)), "q": rng.standard_normal(H)}
    x, y = rng.standard_normal((T, H)), rng.standard_normal((T, H))
    return gradcheck.Target(p, lambda: miss(p, x, y), lambda: back(p, x, y))
"""
BOTH = 'w[j] * ds + de[j] * p["q"]'
#: another mistake, that spoils the same gradient
SLOPE = ("(1 - heard[t] ** 2)", "(1 - heard[t])")


def told(folder: Path, *bugs: tuple[str, str]) -> tuple[TapedRun, list[tuple[Place, dict[int, Wanted]]]]:
    """The run with these mistakes, and what it is said to give in part."""
    run, _ = taped(cell(folder, *bugs, source=LISTENER))
    return run, list(joined_in_part(run, wrong_gradients(run)))


@pytest.mark.parametrize("left", ["w[j] * ds", 'de[j] * p["q"]'])
@pytest.mark.parametrize("others", [(), (SLOPE,)])
def test_what_one_way_brings_is_told_with_what_belongs_there(
    tmp_path: Path, left: str, others: tuple[tuple[str, str], ...]
) -> None:
    """Whoever forgets that past states are keys as well as values, or the reverse, would get no line for it."""
    (tmp_path / "right").mkdir()
    right, _ = told(tmp_path / "right")
    whole = {one.execution: one.value for one in right.nodes if one.place is not None and one.place.text == BOTH}
    run, ((place, wanted),) = told(tmp_path, (BOTH, left), *others)
    assert (place.text, place.statement.text) == (left, f"own[j] += {left}")
    # all but the last: what is stacked alone is all there is
    assert sorted(wanted) == sorted(whole)[:-1]
    for execution, one in wanted.items():
        np.testing.assert_allclose(one.value, whole[execution])
        assert run.nodes[one.source].op == "stack"


def test_what_is_given_whole_lacks_nothing(tmp_path: Path) -> None:
    """Each term of a right sum would be taken for all that there is, beside any other mistake."""
    run, found = told(tmp_path, SLOPE)
    assert wrong_gradients(run) == {"A"}
    assert found == []


def test_what_leads_to_a_right_gradient_lacks_nothing(tmp_path: Path) -> None:
    """Right lines would be accused of what is wrong in a gradient that they have nothing to do with."""
    run, _ = taped(cell(tmp_path, (BOTH, "w[j] * ds"), source=LISTENER))
    assert list(joined_in_part(run, {"q"})) == []
    assert list(joined_in_part(run, {"A"})) != []
