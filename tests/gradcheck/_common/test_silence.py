"""Silence is for one thread alone, and nothing of it is left."""

from __future__ import annotations

import contextlib
import gc
import io
import sys
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from gradcheck._common.silence import muted
from tests.gradcheck._common.two_threads import leave_in_turns


def test_what_a_silenced_thread_prints_is_not_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """A loss that prints would be heard a thousand times."""
    stream = sys.stdout
    with muted(), muted():
        print("not heard")
        sys.stdout.writelines(["nor", "this"])
    assert sys.stdout is stream
    print("heard")
    assert capsys.readouterr().out == "heard\n"


def test_another_thread_is_heard(capsys: pytest.CaptureFixture[str]) -> None:
    """What a program prints beside a check would be lost."""
    with ThreadPoolExecutor(1) as pool, muted():
        pool.submit(print, "heard", flush=True).result()
        print("not heard")
    assert capsys.readouterr().out == "heard\n"


def test_two_threads_leave_standard_output_as_it_was() -> None:
    """The second to end would put back what the first had put there, and nothing would ever be printed again."""
    stream = sys.stdout
    leave_in_turns(muted, muted)
    assert sys.stdout is stream


def test_what_stands_for_standard_output_outlives_the_silence() -> None:
    """Another thread that prints in this moment may hold it without counting that: the process would crash."""
    seen = []
    for _ in range(2):
        with muted():
            seen.append(weakref.ref(sys.stdout))
        gc.collect()
    assert seen[0]() is not None
    assert seen[0]() is seen[1]()


def test_who_redirects_meanwhile_gets_back_what_works() -> None:
    """A program that redirects its own output beside a check would end with none."""
    stream, own = sys.stdout, io.StringIO()
    redirected = contextlib.redirect_stdout(own)
    with redirected:
        silence = muted()
        silence.__enter__()
    silence.__exit__(None, None, None)
    assert sys.stdout is stream
    assert not own.getvalue()
