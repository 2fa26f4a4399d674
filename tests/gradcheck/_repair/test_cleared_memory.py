"""Arrays that are made without contents hold no leftovers, for the one thread that looks for lines."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gradcheck._repair.cleared_memory import nan_filled_np_empty


def test_empty_arrays_hold_no_leftovers() -> None:
    """A wrong edit would seem right, as memory held the right numbers from before."""
    before = np.empty, np.empty_like
    with nan_filled_np_empty():
        assert np.isnan(np.empty(3)).all()
        assert np.isnan(np.empty_like(np.ones(2))).all()
        assert np.empty(2, dtype=int).dtype.kind == "i"
    assert (np.empty, np.empty_like) == before


def test_it_is_put_back_after_an_error() -> None:
    """NumPy would be another one for the rest of the process after Ctrl-C."""
    before = np.empty
    with pytest.raises(KeyboardInterrupt), nan_filled_np_empty():
        raise KeyboardInterrupt
    assert np.empty is before


def test_other_threads_and_later_calls_get_what_numpy_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that goes on beside a check, or that kept the function, would find NaN in its arrays."""
    monkeypatch.setattr(np, "empty", np.ones)  # as if memory had held ones
    with ThreadPoolExecutor(1) as pool, nan_filled_np_empty():
        kept = np.empty
        assert pool.submit(lambda: np.empty(2).tolist()).result() == [1.0, 1.0]
        assert np.isnan(kept(2)).all()
    assert kept(2).tolist() == [1.0, 1.0]
