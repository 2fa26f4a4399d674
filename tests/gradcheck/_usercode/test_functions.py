"""Functions are found by their code, also those that were there before the search and those made meanwhile."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial

import pytest

from gradcheck._usercode.functions import full_collections, functions_kept, functions_with, keep_more


@pytest.fixture(autouse=True)
def none_are_kept(kept_functions: ExitStack) -> Iterator[None]:
    """What is remembered all along would be found by each of these tests, whatever it remembers itself."""
    kept_functions.close()
    before = gc.get_freeze_count()
    yield
    assert gc.get_freeze_count() <= before, "the next test would remember nothing"


def made() -> Callable[[], int]:
    """A function of its own each time, all with one code."""

    def inner() -> int:
        return 1

    return inner


def of_inner() -> int:
    """How many of these are found."""
    (code,) = {one for one in made.__code__.co_consts if hasattr(one, "co_name")}
    return len(functions_with([code]))


def test_those_that_were_there_and_those_made_meanwhile_are_found() -> None:
    """A function that is not found runs unrecorded, and is not edited."""
    before = made()
    with functions_kept():
        assert of_inner() == 1
        since = partial(made())
        assert of_inner() == 2
        with functions_kept():  # a search within a search
            assert of_inner() == 2
        del before
        assert of_inner() == 1
    assert of_inner() == 1
    del since
    assert of_inner() == 0


def test_a_function_that_has_another_code_by_now_is_another() -> None:
    """Functions run edited while the search lasts, and would be taken for what they were."""
    one, other = made(), made()
    with functions_kept():
        one.__code__ = one.__code__.replace(co_name="edited")  # type: ignore[attr-defined]
        assert functions_with([one.__code__]) == [one]  # type: ignore[attr-defined]
        assert functions_with([other.__code__]) == [other]  # type: ignore[attr-defined]


def test_a_search_within_a_search_leaves_aside_what_was_made_since() -> None:
    """What a long search has made would be looked through each time that code runs edited in the next part of it."""
    if gc.get_freeze_count():
        pytest.skip("nothing is remembered where Python itself has put objects aside")
    with functions_kept():
        assert of_inner() == 0
        since, others = made(), [[] for _ in range(5000)]  # type: ignore[var-annotated]
        left = gc.get_freeze_count()
        with functions_kept():
            assert gc.get_freeze_count() >= left + len(others)
            assert of_inner() == 1
        assert of_inner() == 1
        del since
        assert of_inner() == 0


def test_what_was_made_since_is_left_aside_where_that_is_asked() -> None:
    """Code that collects garbage in each step would look through all that a search has made, each time."""
    if gc.get_freeze_count():
        pytest.skip("nothing is remembered where Python itself has put objects aside")
    keep_more()
    assert not gc.get_freeze_count()  # nothing is remembered yet
    with functions_kept():
        assert of_inner() == 0
        others = [[] for _ in range(5000)]  # type: ignore[var-annotated]
        left = gc.get_freeze_count()
        keep_more()
        assert gc.get_freeze_count() >= left + len(others)
    assert not gc.get_freeze_count()


def test_full_collections_are_counted() -> None:
    """Code that collects garbage would not be told from other code."""
    before, aside = full_collections(), gc.get_freeze_count()
    gc.collect(0)
    assert full_collections() == before
    gc.collect()
    assert full_collections() == before + 1
    if not aside:
        gc.unfreeze()  # Python 3.12 puts some of its own objects aside then


def test_of_no_code_there_are_none() -> None:
    """It would look through all objects that there are."""
    assert functions_with([]) == []


def leave_aside_and_fail() -> None:
    """A search that ends with an error."""
    before = gc.get_freeze_count()
    with functions_kept():
        of_inner()
        assert before or gc.get_freeze_count()
        raise IndexError


def test_the_collector_is_as_it_was_afterwards() -> None:
    """Objects would never be collected again, or those that somebody else has put aside would be."""
    before = gc.get_freeze_count()  # Python 3.12 puts some of its own objects aside
    with pytest.raises(IndexError):
        leave_aside_and_fail()
    assert gc.get_freeze_count() == before
    gc.freeze()
    try:
        with functions_kept():
            of_inner()
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
