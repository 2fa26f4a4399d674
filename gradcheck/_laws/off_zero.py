"""Parameters that are zero, or entries of them, and other values to ask for in their place.

What a zero multiplies is hidden at the point itself. Two laws move parameters away from it, so where one larger matrix
answers both, one run of the gradients is enough.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck._common.arrays import Array, Values
from gradcheck._comparing.comparer import Comparer

#: what parameters that are zero are set to: normal numbers times this, and times the size of their other entries
OFF_ZERO = 0.1


@dataclass
class OffZero:
    """Other values of the parameters that are zero here, by name; each entry that is not zero stays as it is.

    `zero` are those that are zero whole, `in_part` those of which entries are. `is_known_right` says that the gradients
    were found right with these values already, so that nobody needs to ask again.
    """

    values: Values
    zero: tuple[str, ...]
    in_part: tuple[str, ...]
    is_known_right: bool = False

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to ask."""
        return bool(self.values) and not self.is_known_right


def nothing_off_zero() -> OffZero:
    """Where that is not to be asked."""
    return OffZero({}, (), ())


def off_zero(comparer: Comparer) -> OffZero:
    """Values for what is zero at the point of the comparer."""
    base, rng = comparer.evaluator.base, comparer.given.rng("elsewhere")
    zero = tuple(name for name, array in base.items() if array.size and not np.any(array))
    in_part = tuple(name for name, array in base.items() if name not in zero and not np.all(array))
    values = {name: _moved_off_zero(array, rng) for name, array in base.items() if name in (*zero, *in_part)}
    return OffZero(values, zero, in_part)


def _moved_off_zero(array: Array, rng: np.random.Generator) -> Array:
    """The array with other numbers where it is zero."""
    others = np.abs(array[array != 0])
    size = float(np.median(others)) if others.size else 1.0
    return np.where(array, array, OFF_ZERO * size * rng.standard_normal(array.shape)).astype(array.dtype)
