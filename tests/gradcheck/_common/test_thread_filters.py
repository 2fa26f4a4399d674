"""Filters of warnings are for one thread alone, and nothing of them is left."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

import gradcheck
from gradcheck._common.thread_filters import end_filters, ignoring, listening, raising
from tests.gradcheck._common.two_threads import leave_in_turns

#: each of the filters, as a block
BLOCKS: list[Callable[[], AbstractContextManager[object]]] = [ignoring, listening, lambda: raising(ImportWarning)]


@pytest.fixture(autouse=True)
def every_warning_an_error() -> Iterator[None]:
    """Filters of the test's own, since those of pytest come and go."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_warnings_are_errors_in_one_thread_alone() -> None:
    """A warning in another thread would end it; and one that is none here would hide a derivative of zero."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = list(warnings.filters)
        with ThreadPoolExecutor(1) as pool, raising(ImportWarning), raising(ImportWarning):
            pool.submit(warnings.warn, "no error", ImportWarning).result()
            warnings.warn("no error", UserWarning, stacklevel=1)
            with pytest.raises(ImportWarning):
                warnings.warn("an error", ImportWarning, stacklevel=1)
        warnings.warn("no error", ImportWarning, stacklevel=1)
        assert warnings.filters == before


def test_filters_of_somebody_else_are_left_alone() -> None:
    """A filter that a program sets beside a check would be gone after it."""
    with warnings.catch_warnings():
        with raising(ImportWarning):
            warnings.filterwarnings("ignore", "of the program's own")
        assert any(one[1] is not None and one[1].pattern == "of the program's own" for one in warnings.filters)


def test_warnings_are_ignored_in_one_thread_alone() -> None:
    """A program's own strictness would be off while a check runs beside it, or the code under check would end in it."""
    before = list(warnings.filters)
    with ThreadPoolExecutor(1) as pool, ignoring(), ignoring(UserWarning):
        warnings.warn("ignored", UserWarning, stacklevel=1)
        warnings.warn("ignored", DeprecationWarning, stacklevel=1)
        with pytest.raises(UserWarning):
            pool.submit(warnings.warn, "an error", UserWarning).result()
    with pytest.raises(UserWarning):
        warnings.warn("an error again", UserWarning, stacklevel=1)
    assert warnings.filters == before


def test_some_warnings_are_errors_where_others_are_ignored() -> None:
    """A loss that loses its imaginary part would be believed where an edit is tried."""
    with ignoring(), raising(ImportWarning):
        warnings.warn("ignored", UserWarning, stacklevel=1)
        with pytest.raises(ImportWarning):
            warnings.warn("an error", ImportWarning, stacklevel=1)
    with raising(ImportWarning), ignoring(), raising(ImportWarning), pytest.raises(ImportWarning):
        warnings.warn("an error", ImportWarning, stacklevel=1)


def test_warnings_are_heard_of_one_thread_alone() -> None:
    """An edit would be blamed for what another thread warns of; or a warning given twice be missed the second time."""
    showing = warnings.showwarning
    with ThreadPoolExecutor(1) as pool, listening() as heard:
        for _ in range(2):
            warnings.warn("of this thread", UserWarning, stacklevel=1)
        warnings.warn_explicit("told", RuntimeWarning, "file.py", 3)
        with pytest.raises(UserWarning):
            pool.submit(warnings.warn, "of another", UserWarning).result()
        assert warnings.showwarning is showing
    assert heard == [(UserWarning, "of this thread")] * 2 + [(RuntimeWarning, "told")]


@contextmanager
def of_a_program() -> Iterator[None]:
    """Filters of somebody else, for a while."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


@pytest.mark.parametrize("block", BLOCKS)
def test_a_thread_that_exchanges_all_filters_meanwhile(block: Callable[[], AbstractContextManager[object]]) -> None:
    """Each of the two would put back what it had found of the other's, and it would stay."""
    before, itself = list(warnings.filters), warnings.filters
    leave_in_turns(block, of_a_program)
    assert warnings.filters is itself
    assert warnings.filters == before


@pytest.mark.parametrize("block", BLOCKS)
def test_the_other_way_round(block: Callable[[], AbstractContextManager[object]]) -> None:
    """What the program had set for a while would be put back after it, and stay."""
    before, itself = list(warnings.filters), warnings.filters
    leave_in_turns(of_a_program, block)
    assert warnings.filters is itself
    assert warnings.filters == before


def test_what_ctrl_c_left_is_taken_back() -> None:
    """A block that is never left would ignore the warnings of this thread for good."""
    before = list(warnings.filters)
    left = [block() for block in BLOCKS]
    for block in left:
        block.__enter__()
    end_filters()
    assert warnings.filters == before
    with pytest.raises(UserWarning):
        warnings.warn("an error", UserWarning, stacklevel=1)


def test_nothing_exchanges_the_filters_of_the_process() -> None:
    """A program's filters would be lost, or those of a check stay, where two threads leave such blocks in turns."""
    package = Path(gradcheck.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "warnings.catch_warnings(" in path.read_text(encoding="utf-8")
    }
    assert found == set()
