"""Complex or real: by which scheme a loss is differentiated, and whether the two schemes agree."""

from __future__ import annotations

from enum import Enum, auto

from gradcheck._numeric.difference import Derivative

#: how precise a real difference must be, relative to its value, before it can confirm a complex step
FLOAT64_PRECISION = 1e-3
#: how precise one in single precision must be, which has few digits to give
FLOAT32_PRECISION = 0.1


class Scheme(Enum):
    """How the derivatives of a loss are taken. The value is what a report says."""

    COMPLEX = "complex step"
    REAL = "Richardson"
    UNKNOWN = ""


class Agreement(Enum):
    """What a real difference says of a complex step."""

    AGREES = auto()
    DIFFERS = auto()
    CANNOT_TELL = auto()


def compare_schemes(exact: Derivative, real: Derivative, precision: float) -> Agreement:
    """Whether a derivative by complex step and one by real differences are the same.

    The real one cannot tell if it has a kink, or an error bar above this part of its value.
    """
    if abs(exact.value - real.value) > 2 * real.error + exact.error:
        return Agreement.DIFFERS
    if real.kink or not real.error <= precision * abs(real.value):
        return Agreement.CANNOT_TELL
    return Agreement.AGREES
