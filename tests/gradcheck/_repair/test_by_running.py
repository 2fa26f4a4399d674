"""Edits judged by running the backward with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from gradcheck._repair.by_running import Search, rank_statements
from gradcheck._repair.edits import SLIP_TIERS
from tests.gradcheck._repair.traced_product import traced


@pytest.mark.parametrize("line", ["-(dy*x)", "dy / x"])
def test_running_finds_the_edit_too(line: str, tmp_path: Path) -> None:
    """What the trace cannot explain would stay without a fix."""
    with traced(tmp_path, line) as trace:
        places = rank_statements(trace, trace.judgement({}))
    search = Search(trace, places, None)  # the functions run as they are written again
    assert search.wrong([]) == ("w",)
    step = next(search.single(SLIP_TIERS))
    assert step.still_wrong == ()
    assert step.blocks == ("w",)
    assert all(place.text.startswith("dw =") for place, _ in step.alternatives)
    assert search.wrong([step.alternatives[0]]) == ()


def test_the_forward_is_held(tmp_path: Path) -> None:
    """An error would be explained by changing the loss."""
    with traced(tmp_path, "dy*w") as trace:
        trace.held = trace.forward_functions(trace.judgement({}))
        places = rank_statements(trace, trace.judgement({}))
    assert {place.statement.function for place in places} == {"backward"}


def test_a_search_ends(tmp_path: Path) -> None:
    """A search without an end would run for hours on a large model."""
    with traced(tmp_path, "dy*w*w") as trace:
        places = rank_statements(trace, trace.judgement({}))
    search = Search(trace, places, None)
    with search.limited_to_runs(5):
        list(search.single())
        assert search.exhausted
        assert search.runs <= 6
    assert not search.exhausted
