"""What was found along several directions, and what it promises: how large an error would have shown."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcheck._common.arrays import Values, norm
from gradcheck._common.verdict import Verdict, judge, sensitivity
from gradcheck._numeric.difference import Derivative

#: gradients that are apart from the slope by this part of it are far apart ...
FAR = 1e-3
#: ... if bars are below this part of what they are apart by
CLEAR_BAR = 2e-2


@dataclass(frozen=True)
class Comparison:
    """Analytic minus numerical along one direction, and the bar that tells whether it means anything."""

    draw: Callable[[], Values]
    discrepancy: float
    bar: float
    derivative: Derivative

    @property
    def direction(self) -> Values:
        """What was moved along; drawn anew where it is large."""
        return self.draw()


class Comparisons(tuple[Comparison, ...]):
    """Several comparisons of the same gradients, taken together."""

    @cached_property
    def bar(self) -> float:
        """The largest of the bars."""
        return max(one.bar for one in self)

    @property
    def error(self) -> float:
        """The size of the discrepancies: along Gaussian directions, about the norm of the error."""
        return root_mean_square([one.discrepancy for one in self])

    @property
    def slope(self) -> float:
        """The size of the numerical slopes: about the norm of the true gradient."""
        return root_mean_square([one.derivative.value for one in self])

    @cached_property
    def sensitivity(self) -> float:
        """The norm of an error that they would have missed once in a million times."""
        return max(self.sensitivity_of_steps, self.sensitivity_of_confirmation)

    @cached_property
    def sensitivity_of_confirmation(self) -> float:
        """The same of what does not follow complex numbers: it shows along the confirmed directions alone."""
        of_complex = [one.derivative.confirmed for one in self if one.derivative.is_complex_step]
        of_real = [one.bar for one in self if not one.derivative.is_complex_step]
        if not of_complex or not (any(of_complex) or of_real):
            return 0.0  # there is nothing to confirm, or nobody asked
        told = [*of_real, *(one for one in of_complex if 0 < one < math.inf)]
        return sensitivity(max(told), len(told)) if told else math.inf

    @property
    def sensitivity_of_real_losses(self) -> float:
        """The same of what real losses tell, whatever the derivatives come from."""
        is_mixed = any(one.derivative.is_complex_step for one in self)
        return self.sensitivity_of_confirmation if is_mixed else self.sensitivity_of_steps

    @cached_property
    def sensitivity_of_steps(self) -> float:
        """The same, as far as the derivatives are what they seem."""
        return sensitivity(self.bar, len(self))

    @property
    def verdict(self) -> Verdict:
        """One verdict from all of them."""
        return judge([one.discrepancy for one in self], [one.bar for one in self])

    @property
    def are_far_apart(self) -> bool:
        """Whether each of them tells that the gradients are wrong, by far more than the slopes are uncertain."""
        apart = [abs(one.discrepancy) for one in self]
        is_flat = not any(one.derivative.value for one in self)  # then it may not be the loss that was meant
        is_clear = self.bar < CLEAR_BAR * min(apart) and not self.has_kink and not is_flat
        return is_clear and all(part > FAR * abs(one.derivative.value) for one, part in zip(self, apart, strict=True))

    @property
    def has_kink(self) -> bool:
        """Whether the loss has a kink at the point, along one of the directions."""
        return any(one.derivative.kink for one in self)


def root_mean_square(values: list[float]) -> float:
    """The root of the mean square; safe at the ends of the range, as the norm is."""
    return norm(np.array(values)) / math.sqrt(len(values))
