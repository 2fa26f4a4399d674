"""How the projections move with a part of an expression, where the tape and the code agree on what that is."""

from __future__ import annotations

import ast
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradcheck._mending.products import slopes_at
from gradcheck._mending.syntax import Code


@pytest.mark.parametrize(("on_the_tape", "is_told"), [(6, True), (15, False)])
def test_a_part_of_another_size_than_on_the_tape_is_not_told(on_the_tape: int, is_told: bool) -> None:
    """The search ended with an error where a helper was called with arrays of several sizes."""
    code = Code("y = f(x)")
    (call,) = (node for node in ast.walk(code.tree) if isinstance(node, ast.Call))
    frame = SimpleNamespace(value=lambda _: np.zeros((2, 3)))
    hole: Any = SimpleNamespace(
        root=call,
        code=code,
        executions=[SimpleNamespace(frame=frame)],
        inner_slopes=lambda _, __: np.zeros((4, on_the_tape)),
    )
    assert (slopes_at(SimpleNamespace(hole=hole), call.args[0]) is not None) is is_told  # type: ignore[arg-type]
