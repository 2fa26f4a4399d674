"""What a page shows beside a report, where somebody has measured it."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.report.trace_records import StepCurve, Trace


@dataclass(frozen=True)
class Pictures:
    """What each line holds and which entries are wrong (`trace`), and how differences go with the step (`curves`)."""

    trace: Trace | None = None
    curves: tuple[StepCurve, ...] = ()


NO_PICTURES = Pictures()
