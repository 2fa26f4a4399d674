"""The plugin's tests of factories: which options hold, what is left on a test. See also test_plugin.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck.plugin_items import OUTCOME_PROPERTY, check_item, is_factory, read_options


@gradcheck.target
def square(rng, *, N=3):
    """A right target."""
    w = rng.standard_normal(N)
    return gradcheck.Target({"w": w}, lambda: float(np.sum(w**2)), lambda: {"w": 2 * w}, name="square")


def config(given: dict[str, Any], ini: dict[str, Any]) -> Any:
    """A pytest config with these command-line options and ini keys."""
    return SimpleNamespace(getoption=given.get, getini=ini.__getitem__)


INI = {
    "gradcheck_full": False,
    "gradcheck_laws": "",
    "gradcheck_seed": "8",
    "gradcheck_explain": True,
    "gradcheck_budget": "30",
}
LINES = {"explain": True, "budget": 30.0, "laws": None}


def test_ini_file_then_command_line_then_marker() -> None:
    """A setting would lose to one that is less specific."""
    assert read_options(config({}, INI), None) == {"full": False, "seed": 8, **LINES}
    assert read_options(config({"gradcheck_seed": 0}, INI), None) == {"full": False, "seed": 0, **LINES}
    item: Any = SimpleNamespace(iter_markers=lambda _: [pytest.mark.gradcheck(full=True).mark])
    assert read_options(config({"gradcheck_seed": 0}, INI), item) == {"full": True, "seed": 0, **LINES}


def test_laws_of_the_ini_file_and_of_the_marker() -> None:
    """Laws would be asked that were left out, or none of those that were named."""
    ini = {**INI, "gradcheck_laws": "scale, sizes"}
    assert read_options(config({}, ini), None)["laws"] == {"scale", "sizes"}
    item: Any = SimpleNamespace(iter_markers=lambda _: [pytest.mark.gradcheck(laws="none").mark])
    assert read_options(config({}, ini), item)["laws"] == "none"
    with pytest.raises(pytest.UsageError, match="gradcheck_laws in the ini file: no law 'x'"):
        read_options(config({}, {**INI, "gradcheck_laws": "x"}), None)


def test_seed_of_the_ini_file_that_is_none() -> None:
    """A bad ini file would end in a traceback."""
    with pytest.raises(pytest.UsageError, match="gradcheck_seed in the ini file: 'x' is not a seed"):
        read_options(config({}, {**INI, "gradcheck_seed": "x"}), None)


def test_a_check_leaves_its_last_outcome_on_the_test() -> None:
    """The summary would count every example that Hypothesis tries, or none."""
    item: Any = SimpleNamespace(user_properties=[("other", "1")], stash={})
    for _ in range(2):
        check_item(item, square.build(0, {"N": 3}), {"seed": 0})
    (other, (name, value)) = item.user_properties
    assert other == ("other", "1")
    assert name == OUTCOME_PROPERTY
    assert value.startswith("right: square, 1 gradient, ")


def test_findings_of_an_earlier_check_go() -> None:
    """JUnit would have the findings of an example that Hypothesis tried on its way."""
    item: Any = SimpleNamespace(user_properties=[("gradcheck-finding", "square: zero: old")], stash={})
    check_item(item, square.build(0, {"N": 3}), {"seed": 0})
    assert [name for name, _ in item.user_properties] == [OUTCOME_PROPERTY]


def test_factories_are_told_from_other_functions() -> None:
    """pytest would call a factory as a test function, or the plugin audit a plain function."""
    assert is_factory(square)
    assert not is_factory(square.make)
