"""Says of right gradients how large an error may be in them that was not seen."""

from __future__ import annotations

from collections.abc import Mapping

from gradcheck._common.verdict import COARSE_SENSITIVITY
from gradcheck._common.wording import comma_separated
from gradcheck.report.records import Block


def say_what_was_not_seen(blocks: Mapping[str, Block]) -> tuple[str, ...]:
    """One note, if there are right gradients of which a hundredth or more might be wrong unseen; else none."""
    promised = {name: block.sensitivity or 0.0 for name, block in blocks.items() if block.verdict == "right"}
    coarse = [name for name, seen in promised.items() if seen > COARSE_SENSITIVITY]
    if not coarse:
        return ()
    return (
        f"coarse: of the gradient of {comma_separated(coarse)} an error of up to {max(promised.values()):.0%} might "
        "not have shown; more is seen in float64, with full=True, or where the loss is smoother",
    )
