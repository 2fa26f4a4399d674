"""All that this room takes from the others, in one place."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck._tape import TapedRun
from gradcheck._usercode.patching import EditedFunctions, RebindError
from gradcheck._usercode.source import Edit, Source, apply_edits, split_lines

__all__ = ["Edit", "RebindError", "apply_edits", "asked", "source_of", "split_lines", "workshop_of"]


def source_of(file: str) -> str:
    """The text of a file, as it was when its code was compiled."""
    found = Source.of_running(file)
    return found.text if found is not None else ""


def workshop_of(run: TapedRun) -> EditedFunctions:
    """The functions that ran, ready to be run with edits."""
    codes = list(run.program.codes)
    files = {code.co_filename for code in codes}
    return EditedFunctions(codes, {file: found for file in files if (found := Source.of_running(file)) is not None})


def asked(run: TapedRun) -> tuple[Any, dict[str, Any], frozenset[str]]:
    """The loss, the gradients, and the arrays handed over that were changed; the target's arrays are put back."""
    target = run.target
    with target.problem.preserved() if target.is_open else target.preserved():
        loss = target.loss_at(run.base)
        returned = target.grads_at(run.base)
        changed = frozenset(target.names_changed_by_last_call())
    gradients = dict(returned.items()) if hasattr(returned, "items") else {}
    return np.array(loss, float), run.in_parts({str(name): value for name, value in gradients.items()}), changed
