"""What comes back through one use of a value, where the rest is given."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from gradcheck._localising.in_part import InPart
from gradcheck._repair.lacking_part import lacking_part, summed_up
from tests.gradcheck._repair.forecaster import FORECASTER, NOT_BY_SCORES, mended
from tests.gradcheck._repair.spoiled import cell, found_alone, taped

#: what the search alone says
asked = partial(found_alone, lacking_part, source=FORECASTER)


@pytest.mark.lines
def test_the_way_through_the_scores_is_written_beside_another_fault(tmp_path: Path) -> None:
    """Whoever forgets that states are keys as well as values would be told nothing once there is another mistake."""
    text, found = mended(
        tmp_path, *NOT_BY_SCORES, ("dz = dh * (1 - hs[t + 1] ** 2)", "dz = 2 * dh * (1 - hs[t + 1] ** 2)")
    )
    assert found.still_wrong == ()
    assert 'np.outer(alpha, dcontext) + np.outer(dscores, p["a"])' in text


def test_right_code_lacks_nothing(tmp_path: Path) -> None:
    """Terms that are added up later, and shares that are taken on by themselves, would be written a second time."""
    assert asked(tmp_path) is None


def test_what_another_fault_spoils_lacks_nothing(tmp_path: Path) -> None:
    """A term would be added where none is missing."""
    assert asked(tmp_path, ('dh_next = p["U"].T @ dz', 'dh_next = p["U"] @ dz')) is None


@pytest.mark.parametrize(
    ("text", "around"),
    [
        ("self.h[t]**2", "1 - self.h[t]**2"),  # a sum, inside a product: what it is multiplied by stays
        ("1 - self.h[t]**2", "1 - self.h[t]**2"),
        ("dh * (1 - self.h[t]**2)", None),
        ("self.h[t] + carry", None),
    ],
)
def test_the_sum_around_a_part_is_asked(tmp_path: Path, text: str, around: str | None) -> None:
    """What a part lacks would be put in the place of the whole product, or beside what is added already."""
    run, _ = taped(cell(tmp_path))
    place = next(one for one in run.places if one.text == text)
    span = summed_up(InPart(place, {}))
    source = place.statement.source
    assert around == (None if span is None else source.segment(*span[0], *span[1]))
    assert summed_up(InPart(place, {}, of_stack=True)) == place.span
