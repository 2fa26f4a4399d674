"""Silence is for one thread alone, and nothing of it is left."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gradcheck._common.silence import muted


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
    stream, first_is_in, second_is_in, first_is_out = sys.stdout, *(threading.Event() for _ in range(3))

    def first() -> None:
        with muted():
            first_is_in.set()
            second_is_in.wait(10)
        first_is_out.set()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(first)
        first_is_in.wait(10)
        with muted():
            second_is_in.set()
            first_is_out.wait(10)
        done.result()
    assert sys.stdout is stream


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
