"""What all tests of this room share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest


@pytest.fixture(autouse=True, scope="module")
def kept_functions() -> Iterator[ExitStack]:
    """Functions are not remembered here: with them all objects are left aside, and rules are looked for among these."""
    with ExitStack() as stack:
        yield stack
