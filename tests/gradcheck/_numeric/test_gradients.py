"""What grads() returns, as arrays that can be compared; and what is said of the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gradcheck._numeric.gradients import parse_gradients
from gradcheck.report.records import Law

BASE = {"a": np.ones(2), "b": np.ones((2, 3))}


def judged(raw: Any) -> tuple[dict[str, Law], dict[str, Any], dict[str, str]]:
    """What becomes of gradients of this structure."""
    laws, usable, faults = parse_gradients(raw, BASE)
    return {law.name: law for law in laws}, usable, faults


def test_gradients_of_the_right_structure() -> None:
    """Gradients as they should be would be refused."""
    laws, usable, faults = judged({"a": [1, 2], "b": np.ones((2, 3), dtype=np.float32)})
    assert all(law.holds for law in laws.values())
    assert faults == {}
    assert usable["a"].dtype == float
    assert usable["b"].dtype == np.float32


@pytest.mark.parametrize(
    ("raw", "law", "told", "faulty"),
    [
        ({"a": BASE["a"]}, "names", "no entry for b", ["b"]),
        ({**BASE, "c": 0}, "names", "an entry for c, which is not among the parameters (a, b)", []),
        ({"a": BASE["a"], "B": BASE["b"]}, "names", "no entry for b and an entry for B", ["b"]),
        ([1, 2], "names", "grads() returned list", ["a", "b"]),
        (None, "names", "grads() returned NoneType", ["a", "b"]),
        ({**BASE, "b": BASE["b"].T}, "shapes", "b: its gradient has shape (3, 2), expected (2, 3)", ["b"]),
        ({**BASE, "a": 1.0}, "shapes", "a: its gradient has shape (), expected (2,)", ["a"]),
        ({**BASE, "a": None}, "shapes", "a: its gradient is NoneType, not an array of real numbers", ["a"]),
        ({**BASE, "a": [1.0, "x"]}, "shapes", "a: its gradient is list", ["a"]),
        ({**BASE, "a": np.ones(2) * 1j}, "shapes", "a: its gradient is ndarray", ["a"]),
        ({**BASE, "a": [[1], [1, 2]]}, "shapes", "a: its gradient is list", ["a"]),
        ({**BASE, "a": np.array([1, np.nan])}, "finite", "a: its gradient is not finite at 1 of 2 entries", ["a"]),
        ({**BASE, "b": np.full((2, 3), np.inf)}, "finite", "b: its gradient is not finite at 6 of 6 entries", ["b"]),
    ],
)
def test_gradients_of_another_structure(raw: Any, law: str, told: str, faulty: list[str]) -> None:
    """A missing, extra, misshapen or infinite gradient would end in a traceback, or spoil the others."""
    laws, usable, faults = judged(raw)
    assert [name for name in laws if not laws[name].holds] == [law]
    assert told in laws[law].message
    assert list(faults) == faulty
    assert set(usable) == set(BASE) - set(faulty)


def test_gradients_of_one_name_are_refused() -> None:
    """The wrong one of two would hide behind the right one."""
    laws, usable, faults = parse_gradients({1: np.ones(2), "1": np.zeros(2)}, {"1": np.ones(2)})
    assert not laws[0].holds
    assert "called 1" in laws[0].message
    assert not usable
    assert set(faults) == {"1"}
