"""Derivatives that come about and are left aside are added to what is read after them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.gradcheck._repair.forecaster import mended

#: the decoder begins in the encoder's last state, and what comes back to it is left aside
FROM_LAST_STATE = (
    ("steps = decode(p, pool(p, encode(p, x))[1], y, shares)", "steps = decode(p, encode(p, x)[-1], y, shares)"),
    ("steps = decode(p, context, y, shares)", "steps = decode(p, hs[-1], y, shares)"),
    ("dhs = pool_backward(p, ds_next, alpha, hs, g)", "dhs = np.zeros((len(x), len(context)))"),
)


@pytest.mark.lines
@pytest.mark.parametrize("others", [(), (('g["R"] += np.outer(da, s)', 'g["R"] = np.outer(da, s)'),)])
def test_what_is_left_aside_is_added(tmp_path: Path, others: tuple[tuple[str, str], ...]) -> None:
    """An encoder that gets nothing back from its decoder would have wrong gradients, and no line."""
    text, found = mended(tmp_path, *FROM_LAST_STATE, *others)
    assert found.still_wrong == ()
    assert re.search(r"dh_next = (np\.zeros_like\(hs\[0\]\) \+ )?ds_next\n", text)
    assert "hs[0] +=" not in text


@pytest.mark.lines
def test_what_is_added_gives_the_whole_derivative(tmp_path: Path) -> None:
    """What is lost because it is overwritten would be added where it does not belong."""
    zeroed = ("        dh = dhs[t] + dh_next", "        dh_next = np.zeros_like(hs[0])\n        dh = dhs[t] + dh_next")
    text, found = mended(tmp_path, zeroed)
    assert found.still_wrong == ()
    assert not re.search(r"\+= dh_next", text)
