"""What is put back is put back, also if Ctrl-C comes while it is."""

from __future__ import annotations

from collections.abc import Callable


def surely(action: Callable[[], None]) -> None:
    """Do what may be done twice; once more if it is interrupted, and then let the interrupt go on."""
    try:
        action()
    except BaseException:
        action()
        raise
