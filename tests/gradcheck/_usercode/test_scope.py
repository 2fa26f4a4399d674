"""What a statement could name."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradcheck._usercode.scope import Scope, items_read
from gradcheck._usercode.source import Source

SOURCE = Source(
    "x.py", "NOTE = '\x0c'\ndef f(h, xs):\n    for t in range(3):\n        y = h[t] + xs[0][t]\n    return y\n"
)


def scope(**local: Any) -> Scope:
    """A frame with these variables."""
    return Scope(local, {"np": np}, items=["h[t]"])


def test_arrays_are_found_in_variables_attributes_and_items() -> None:
    """What a fix needs could not be named."""
    net = SimpleNamespace(W=np.ones(2), layer=SimpleNamespace(b=np.ones(2)), label="x")
    found = scope(a=np.ones(2), net=net, g={"dW": np.ones(3)}, n=3, h=[np.ones(2)], t=0).arrays
    assert list(found) == ["a", "g['dW']", "net.W", "net.layer.b", "h[t]"]


def test_one_array_has_one_name() -> None:
    """The same edit would be tried under every name of an array."""
    a = np.ones(2)
    assert list(scope(a=a, g={"a": a}).arrays) == ["a"]


def test_shapes_decide_what_may_stand_for_what() -> None:
    """Edits that cannot run would be tried, and those that could would not."""
    one = scope(a=np.ones((2, 3)), b=np.ones((2, 3)), row=np.ones(3))
    assert one.same_shape(np.ones((2, 3))) == ["a", "b"]
    assert one.other_shape(np.ones((2, 3))) == ["row"]
    assert one.broadcastable(np.ones((2, 3))) == ["a", "b", "row"]
    assert one.broadcastable(np.ones(3)) == ["row"]
    assert one.same_shape(3) == one.other_shape("x") == []


def test_reading_a_value_calls_nothing() -> None:
    """Looking for names would run the user's code."""
    called = []
    one = Scope({"a": np.ones(2)}, {"f": lambda x: called.append(x)})
    assert one.value(ast.parse("f(a)", mode="eval").body) is None
    assert called == []
    assert one.value(ast.parse("missing", mode="eval").body) is None
    assert np.array_equal(one.value(ast.parse("a", mode="eval").body), np.ones(2))


def test_items_are_those_around_a_line() -> None:
    """Time steps could not be named, or those of another function would be."""
    assert set(items_read(SOURCE, 4)) == {"h[t]", "xs[0][t]", "xs[0]"}
    assert items_read(SOURCE, 1) == ()
