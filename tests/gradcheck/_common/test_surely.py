"""What is put back is put back, whenever Ctrl-C comes."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

import gradcheck
from gradcheck import Target
from gradcheck._common.surely import surely


@pytest.mark.parametrize("at", [0, 1, 2, None])
def test_an_interrupt_is_put_off_until_all_is_done(at: int | None) -> None:
    """Half of the functions would stay edited, or half of the parameters perturbed."""
    done: list[int] = []

    def action() -> None:
        for number in range(3):
            if number == at and len(done) == number:
                done.append(-1)
                raise KeyboardInterrupt
            done.append(number)

    if at is None:
        surely(action)
    else:
        with pytest.raises(KeyboardInterrupt):
            surely(action)
    assert done[-3:] == [0, 1, 2]


@contextmanager
def interrupted_in(files: set[str], event: int) -> Iterator[None]:
    """Ctrl-C at the line, of all that run in these files, that has this number."""
    left = [event]

    def watch(frame: FrameType, what: str, _: object) -> Any:
        if Path(frame.f_code.co_filename).name not in files:
            return None
        if what == "line":
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        yield
    finally:
        sys.settrace(before)


@pytest.mark.parametrize("event", [*range(1, 120, 3), 200, 1001, 2002, 4003])
def test_ctrl_c_inside_what_exchanges_and_puts_back(event: int) -> None:
    """Standard output would stay silent, or a filter of warnings stay set, after Ctrl-C at an unlucky moment."""
    w = np.arange(1.0, 4.0)
    kept, stream, filters, empty = w.copy(), sys.stdout, list(warnings.filters), np.empty
    target = Target({"w": w}, lambda: np.sum(w**2), lambda: {"w": 3 * w})
    with interrupted_in({"silence.py", "cleared_memory.py", "problems.py"}, event), suppress(KeyboardInterrupt):
        gradcheck.check(target)
    assert (sys.stdout, np.empty) == (stream, empty)
    assert list(warnings.filters) == filters
    assert np.array_equal(w, kept)
    assert gradcheck.check(target).verdict == "wrong"
