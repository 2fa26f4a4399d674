"""Whether the tape can be believed: its gradients against slopes of the loss that were measured."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from gradcheck._common.arrays import Values, as_complex
from gradcheck._common.wording import shown_path
from gradcheck._tape.taping import TapedRun

#: directions along which the tape has to agree with the measured slope
DIRECTIONS = 2
#: the step of those differences
STEP = 1e-6
#: how far tape and slope may be apart, relative to the gradient: differences of one step are no better
CLOSE = 1e-5
#: names of functions that are told
MOST_NAMES = 3


def is_believed(run: TapedRun, undecided: Collection[str] = ()) -> bool:
    """Whether the tape's gradients are the slope of the loss, along a few directions through all decided parameters."""
    rng = np.random.default_rng(5)
    size = float(np.sqrt(sum(np.sum(array**2) for array in run.true_gradients.values())))
    with run.target.problem.preserved():
        for _ in range(DIRECTIONS):
            direction = {
                name: rng.standard_normal(array.shape) * (name not in undecided) for name, array in run.base.items()
            }
            ends = [_loss_at(run, direction, step) for step in (STEP, -STEP)]
            slope = run.multiple * (ends[0] - ends[1]) / (2 * STEP)
            taped = sum(float(np.sum(run.true_gradients[name] * direction[name])) for name in run.base)
            rounding = 1e-15 * abs(run.multiple * ends[0]) / STEP
            if not abs(slope - taped) <= CLOSE * max(size, abs(taped)) + 10 * rounding:
                return False
    return True


def _loss_at(run: TapedRun, direction: Values, step: float) -> float:
    return as_complex(
        run.target.loss_at({name: array + step * direction[name] for name, array in run.base.items()})
    ).real


def why_not_believed(run: TapedRun, undecided: Collection[str] = ()) -> str:
    """Why its gradients are not to be believed; empty if they are."""
    if run.loss is not None and is_believed(run, undecided):
        return ""
    return why_not_followed(run) or "what the tape says of the loss is not its measured slope"


def why_not_followed(run: TapedRun) -> str:
    """Which functions are left out of the tape, and why; empty if it has all."""
    program = run.program
    if program.changed:
        verb = "has" if len(program.changed) == 1 else "have"
        files = ", ".join(map(shown_path, program.changed))
        return f"{files} {verb} changed since it was imported: run the check again"
    if program.hidden:
        functions = _in_words(program.hidden) if program.codes else "the functions that ran"
        return f"the source of {functions} is not at hand"
    return f"the tape cannot follow {_in_words(run.untraced)}" if run.untraced else ""


def _in_words(names: Collection[str]) -> str:
    return ", ".join(sorted(set(names))[:MOST_NAMES])
