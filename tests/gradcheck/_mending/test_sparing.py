"""A kind of edits that fails, and the others."""

from __future__ import annotations

import pytest

from gradcheck._common import errors
from gradcheck._mending.sparing import sparing_others


def failing():
    """Two candidates, and an error in the place of a third."""
    yield from "ab"
    raise ValueError("inhomogeneous")


def test_what_was_found_before_an_error_stands(monkeypatch):
    """If it fails, one array of an unforeseen kind ends the whole search, and no line of the file is named."""
    monkeypatch.setattr(errors, "SEARCH_ERRORS_RAISE", False)
    assert list(sparing_others(failing())) == ["a", "b"]


def test_the_tests_see_the_error():
    """If it fails, mistakes in the search go unseen for ever: they only make it find less."""
    with pytest.raises(ValueError, match="inhomogeneous"):
        list(sparing_others(failing()))
