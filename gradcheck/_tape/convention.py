"""Which of two complex numbers a backward carries for the derivatives with respect to a complex value.

Code carries dL/dRe + i dL/dIm, which goes back through a product with the conjugate of the other factor, or the
conjugate of that, which goes back with the factor as it is. The values of the backward tell, and what they are
multiplied with: of a backward with a mistake in it, the values may tell of what is before the mistake alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from gradcheck._tape.nodes import MOVES, Array, Node

#: values of the backward that are looked at
MOST_VALUES = 1000
#: largest difference of equal values, relative to the largest entry
EQUAL = 1e-7
_PRODUCTS = frozenset({"multiply", "matmul", "dot", "einsum", "outer", "inner", "tensordot"})


def carries_conjugates(backward: Iterable[Node], nodes: Sequence[Node], derivatives: Sequence[Array | None]) -> bool:
    """Whether the backward carries conjugates of dL/dRe + i dL/dIm.

    Args:
        backward: The values of the backward, in order.
        nodes: All values.
        derivatives: dL/dRe and dL/dIm with respect to each.
    """
    known = _Known(nodes, derivatives)
    if not known.has_complex:
        return False
    carrying = set[int]()
    turned = 0
    for number, node in enumerate(backward):
        as_it_is, conjugate = known.holds(node) if number < MOST_VALUES else (False, False)
        if node.is_complex:
            turned += conjugate - as_it_is
            turned += _is_multiplied_as_it_is(node, carrying)
        if as_it_is or conjugate or any(one.index in carrying for one in node.inputs):
            carrying.add(node.index)
    return turned > 0


def _is_multiplied_as_it_is(node: Node, carrying: set[int]) -> int:
    """Whether a derivative is multiplied with factors as they are (1), or with their conjugates (-1); 0 if neither."""
    factors = [one for one in node.inputs if one.is_complex] if node.op in _PRODUCTS else []
    others = [one for one in factors if one.index not in carrying]
    if not others or len(others) == len(factors):
        return 0
    return -1 if all(_is_conjugate(one) for one in others) else 1


def _is_conjugate(node: Node) -> bool:
    while node.op in MOVES and len(node.inputs) == 1:
        node = node.inputs[0]
    return node.op in ("conjugate", "conj")


class _Known:
    """The derivatives of a run, by shape."""

    def __init__(self, nodes: Sequence[Node], derivatives: Sequence[Array | None]) -> None:
        found: dict[tuple[int, ...], list[Array]] = defaultdict(list)
        self.has_complex = False
        for node, value in zip(nodes, derivatives, strict=True):
            if value is None or not value.size or not np.any(value):
                continue
            if not node.is_complex and np.any(value != value.flat[0]):
                found[value.shape].append(value)
            elif node.is_complex and np.any(value.reshape(-1)[1::2]):
                self.has_complex = True
                found[value.shape].append(value)
        self._stacked = {shape: np.array(values) for shape, values in found.items()}

    def holds(self, node: Node) -> tuple[bool, bool]:
        """Whether a value is a derivative, and whether the conjugate of one; a real one is said to be the one alone."""
        value = node.value
        if value is None or node.shape not in self._stacked or not np.any(value):
            return False, False
        if not node.is_complex:
            return self._is_among(value), False
        return (self._is_among(value), self._is_among(conjugated(value))) if np.any(value[..., 1]) else (False, False)

    def _is_among(self, value: Array) -> bool:
        known = self._stacked[np.shape(value)]
        apart = np.abs(known - value).reshape(len(known), -1).max(axis=1)
        return bool(apart.min() <= EQUAL * np.abs(value).max())


def conjugated(derivative: Array) -> Array:
    """A derivative with respect to a complex value, or to the memory behind one, with the sign of dL/dIm turned."""
    result = np.array(derivative)
    result.reshape(-1)[1::2] *= -1
    return result
