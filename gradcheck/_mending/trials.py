"""Edited code is run, and all that it returns is compared with the truth."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from gradcheck._common.interruption import EndlessError, interrupted_after
from gradcheck._common.thread_filters import ignoring
from gradcheck._mending.outside import Edit, RebindError, asked, workshop_of
from gradcheck._mending.residual import agree, wrong_names
from gradcheck._tape import TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._usercode.functions import full_collections, keep_more

#: edited code is run twice; it may take so many times as long as the code as it is takes once, and ...
MOST_TIMES = 20.0
#: ... so many seconds more, however short that is
SHORTEST_LIMIT = 0.3


@dataclass
class Trial:
    """One target at one point, where edits are tried."""

    run: TapedRun
    truth: Mapping[str, Array] = field(default_factory=dict)
    runs: int = 0
    #: edits with which the code does not come to its end
    endless: int = 0

    def __post_init__(self) -> None:
        self.truth = self.truth or self.run.true_gradients
        self._workshop = self.run.once_while_open(workshop_of)
        self._seconds = 0.0

    @cached_property
    def wrong(self) -> frozenset[str]:
        """The gradients that are not the true ones in the code as it is."""
        return wrong_names(self.run.gradients, self.truth)

    @property
    def _longest(self) -> float:
        """Seconds that edited code may take on the wall; a loop that an edit has made endless takes longer."""
        return SHORTEST_LIMIT + MOST_TIMES * self._seconds

    @cached_property
    def before(self) -> tuple[Array, frozenset[str]]:
        """The loss of the code as it is, and what it changes of the arrays that it is handed."""
        begun, collections = time.monotonic(), full_collections()
        with ignoring(), np.errstate(all="ignore"):
            loss, _, changed = asked(self.run)
        self._seconds = time.monotonic() - begun
        if full_collections() > collections:
            keep_more()  # the code collects garbage itself, each time it is run
        return loss, changed

    def right_with(self, file: str, edits: Sequence[Edit]) -> frozenset[str] | None:
        """The gradients that equal the truth in the edited code.

        None if it does not run, has another loss, changes what it is handed, or returns something else the second time.
        """
        found = self._with(file, edits)
        return None if found is None or not found[1] <= self.before[1] else found[0]

    def spared_by(self, file: str, edits: Sequence[Edit]) -> frozenset[str]:
        """The arrays that the code changes as it is and does not any more, where all gradients are right."""
        found = self._with(file, edits)
        if found is None or found[0] != frozenset(self.truth):
            return frozenset()
        return self.before[1] - found[1] if found[1] <= self.before[1] else frozenset()

    def _with(self, file: str, edits: Sequence[Edit]) -> tuple[frozenset[str], frozenset[str]] | None:
        self.runs += 1
        before = self.before
        try:
            with (
                ignoring(), np.errstate(all="ignore"), self._workshop.edited({file: edits}),
                interrupted_after(self._longest),
            ):  # fmt: skip
                loss, first, changed = asked(self.run)
                first = _copies(first)  # the code may return what it keeps
                hopeful = any(_is(first.get(name), self.truth[name]) for name in self.wrong or self.truth)
                second = _copies(asked(self.run)[1]) if hopeful else first
        except EndlessError:
            self.endless += 1
            return None
        except (Exception, RebindError):
            return None
        finally:  # the data, or a buffer that is cleared elsewhere: the next edit is not to meet what this one has left
            self.run.target.restore_state(counts=True)
        if not _is_same(loss, before[0]):
            return None
        both = [(name, _is(first.get(name), true) and _is(second.get(name), true)) for name, true in self.truth.items()]
        return frozenset(name for name, is_right in both if is_right), changed

    @property
    def is_alive(self) -> bool:
        """Whether the target still is what it was."""
        try:
            with ignoring(), np.errstate(all="ignore"):
                return _is_same(asked(self.run)[0], self.before[0])
        except Exception:
            return False

    def kept_by(self, file: str, edits: Sequence[Edit]) -> frozenset[str]:
        """The gradients that are right; none if one that was right is so no more."""
        right = self.right_with(file, edits)
        return right if right is not None and set(self.truth) - self.wrong <= right else frozenset()

    def mended_by(self, file: str, edits: Sequence[Edit]) -> frozenset[str]:
        """The gradients that were wrong and are right; none if one that was right is so no more."""
        return self.kept_by(file, edits) & self.wrong


def _copies(gradients: Mapping[str, object]) -> dict[str, Array]:
    return {name: np.array(value) for name, value in gradients.items()}


def _is_same(loss: Array, before: Array) -> bool:
    """Whether two losses are the same up to rounding."""
    return loss.shape == before.shape and bool(np.allclose(loss, before, rtol=1e-10, atol=1e-14))


def _is(given: object, true: Array) -> bool:
    try:
        return agree(np.asarray(given, float), true)
    except (TypeError, ValueError):
        return False
