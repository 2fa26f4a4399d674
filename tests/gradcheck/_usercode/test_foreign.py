"""Which callees take what they get."""

from __future__ import annotations

import ctypes
import functools
import math
import operator
import random
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradcheck._common.files import load
from gradcheck._usercode.foreign import ForeignCall, foreign_calls, is_foreign

ARRAY, GENERATOR = np.ones(3), np.random.default_rng(0)
BY_ADDRESS = ctypes.CDLL(None).labs


class Layer:
    """What people write."""

    def __call__(self) -> None:
        """Do nothing."""

    def forward(self) -> None:
        """Do nothing."""


class Tape(list[Any]):
    """A list of the user's, with methods of its own."""


class Compiled:
    """As a compiled function looks: an instance of a class whose call is machine code."""

    __call__ = operator.methodcaller("upper")


Compiled.__module__ = "fastmath.core"


@pytest.mark.parametrize(
    "callee",
    [
        *(
            np.exp,
            np.sum,
            np.dot,
            np.einsum,
            np.zeros,
            np.add.at,
            np.linalg.inv,
            np.float64,
            np.ndarray,
            np.random.randn,
        ),
        *(ARRAY.sum, ARRAY.copy, np.float64(1).item, GENERATOR.normal, np.ndarray.sum, np.vectorize(abs)),
        *(Tape().append, Tape().pop, OrderedDict().pop),
        *(len, range, zip, int, [].append, {}.items, "".join, math.exp, random.random, operator.itemgetter(0)),
        *(OrderedDict, namedtuple("Pair", "a b"), ValueError, functools.lru_cache(len), functools.partial(np.sum)),
        *(Layer, Layer(), Layer().forward, is_foreign),
    ],
)
def test_what_looks_at_its_arguments_is_edited(callee: object) -> None:
    """No line would be named in ordinary code."""
    assert not is_foreign(callee)


@pytest.mark.parametrize("callee", [BY_ADDRESS, functools.partial(BY_ADDRESS, 1), ctypes.memmove, Compiled()])
def test_what_takes_what_it_gets_is_not(callee: object) -> None:
    """An edit would end the process."""
    assert is_foreign(callee)


CALLS = """
import ctypes
import numpy as np

lib = ctypes.CDLL(None)


def plain(x):
    return np.exp(x) + helper(x).sum()


def helper(x):
    return x.copy()


def by_name(x):
    return lib.labs(len(x))


def by_a_name_that_is_made(x):
    return getattr(lib, "la" + "bs")(len(x))


def inside(x):
    return by_name(helper(x))


def handed_on(x):
    return list(map(lib.labs, [len(x)])), sorted([2, 1], key=abs)
"""


@pytest.mark.parametrize(
    ("name", "calls"),
    [
        ("plain", []),
        ("by_name", [("lib.labs", 17)]),
        ("by_a_name_that_is_made", [("getattr(lib, 'la' + 'bs')", 21)]),
        ("inside", [("lib.labs", 17)]),
        ("handed_on", [("lib.labs", 29)]),
    ],
)
def test_calls_are_found_where_they_run(tmp_path: Path, name: str, calls: list[tuple[str, int]]) -> None:
    """Code that calls C would be edited, or a file that only loads a library would not be."""
    file = tmp_path / "kernel.py"
    file.write_text(CALLS)
    function: Callable[[Any], object] = getattr(load(file), name)
    assert foreign_calls(lambda: function(ARRAY)) == [ForeignCall(text, str(file), line) for text, line in calls]
