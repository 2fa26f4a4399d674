"""All that this room takes from the older files, in one place."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import numpy as np

from gradcheck._patch import Edit, Patch, RebindError, Workshop, applied
from gradcheck._tape import TapedRun
from gradcheck._tape.driving import preserved

__all__ = ["Edit", "RebindError", "applied", "asked", "edited", "source_of", "workshop_of"]


def source_of(file: str) -> str:
    """The text of a file, as it was when its code was compiled."""
    return "".join(linecache.getlines(file))


def workshop_of(run: TapedRun) -> Workshop:
    """The functions that ran, ready to be run with edits."""
    codes = list(run.program.codes)
    return Workshop(codes, {code.co_filename: source_of(code.co_filename) for code in codes})


class _Edits:
    """As much of a patch as a workshop asks for."""

    def __init__(self, edits: dict[str, list[Edit]]) -> None:
        self._edits = edits

    def edits(self) -> dict[str, list[Edit]]:
        return self._edits


@contextmanager
def edited(workshop: Workshop, file: str, edits: Sequence[Edit]) -> Iterator[None]:
    """Run functions as if the file had been edited."""
    with workshop.edited(cast(Patch, _Edits({file: list(edits)}))):
        yield


def asked(run: TapedRun) -> tuple[Any, dict[str, Any], frozenset[str]]:
    """The loss, the gradients, and the arrays handed over that were changed; the target's arrays are put back."""
    with preserved(run.target):
        loss = run.target.loss_at(run.base)
        returned = run.target.grads_at(run.base)
        changed = frozenset(run.target.changed())
    gradients = dict(returned.items()) if hasattr(returned, "items") else {}
    return np.array(loss, float), {str(name): value for name, value in gradients.items()}, changed
