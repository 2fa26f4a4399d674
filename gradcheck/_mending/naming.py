"""How values are written with what is at hand at a statement: by name, turned, by a form, by a function of the user's.

All that is at hand is laid side by side once, so that one comparison of rows asks for a value.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gradcheck._mending.atoms import broadcasts
from gradcheck._mending.details import FORMS, forms
from gradcheck._mending.library import values_at
from gradcheck._mending.padding import Shapes
from gradcheck._mending.slots import Workplace
from gradcheck._mending.syntax import conjugate, name, transposed
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import as_pairs, is_complex

#: calls of the user's own functions of one argument that are looked at
MOST_CALLS = 120
#: equal values differ by no more, relative to the largest entry of each array, and at all
EQUAL, NOTHING = 1e-8, 1e-13

#: an expression, and its values at the executions
Named = tuple[ast.expr, list[Array]]


@dataclass(frozen=True)
class _Table:
    """Expressions in the order in which they are preferred, and their values, each in a row."""

    nodes: list[ast.expr]
    rows: Array

    def find(self, wanted: list[Array]) -> ast.expr | None:
        """The first that has these values wherever they are numbers."""
        if not self.nodes:
            return None
        flat = np.concatenate([one.ravel() for one in wanted])
        known = np.isfinite(flat)
        sizes = (float(np.max(np.abs(one[np.isfinite(one)]), initial=0.0)) for one in wanted)
        least = np.concatenate(
            [np.full(one.size, EQUAL * size + NOTHING) for one, size in zip(wanted, sizes, strict=True)]
        )
        near = np.all(np.abs(self.rows[:, known] - flat[known]) <= least[known], axis=1)
        return self.nodes[int(np.argmax(near))] if near.any() else None


class Names:
    """What is at hand at a place, by value.

    Args:
        place: The place.
    """

    def __init__(self, place: Workplace) -> None:
        self.place = place
        self._names: dict[Shapes, _Table] = {}
        self._slopes: dict[Shapes, _Table] = {}

    def named(self, wanted: list[Array]) -> ast.expr | None:
        """What has these values at the executions; also transposed, or a form of it."""
        return self._found(wanted, self._names, self._exact)

    def slope_named(self, wanted: list[Array]) -> ast.expr | None:
        """What has these values, or broadcasts to them, as a mask with one entry for each example; or a form of it."""
        found = self.named(wanted)
        return self._found(wanted, self._slopes, self._broadcast) if found is None else found

    def _found(
        self, wanted: list[Array], tables: dict[Shapes, _Table], made: Callable[[Shapes], Iterator[Named]]
    ) -> ast.expr | None:
        shapes = tuple(one.shape for one in wanted)
        if shapes not in tables:
            fitting = [(node, values) for node, values in made(shapes) if tuple(v.shape for v in values) == shapes]
            rows = [np.concatenate([one.ravel() for one in values]) for _, values in fitting]
            tables[shapes] = _Table([node for node, _ in fitting], np.array(rows))
        with np.errstate(all="ignore"):
            return tables[shapes].find(wanted)

    @cached_property
    def _atoms(self) -> list[Named]:
        atoms = ((atom.node, values_at(self.place, atom.node)) for atom in self.place.around.floats)
        known = [(node, values) for node, values in atoms if values is not None]
        return sorted(known, key=lambda one: not isinstance(one[0], ast.Name))  # `o` is read before `memo["o"]`

    @cached_property
    def _calls(self) -> list[Named]:
        """Functions of the user's own, of one argument, of what is at hand."""
        around = self.place.around
        plain = [one.node for one in around.floats if one.plain and one.shape]
        calls = [ast.Call(name(helper), [node], []) for node in plain for helper in around.helpers]
        valued = ((one, values_at(self.place, one)) for one in calls[:MOST_CALLS])
        return [(node, values) for node, values in valued if values is not None]

    @cached_property
    def _complex(self) -> list[Named]:
        """Complex values and their conjugates, as pairs, and their real and imaginary parts."""
        result: list[Named] = []
        for atom in self.place.around.complexes:
            values = values_at(self.place, atom.node)
            if values is None or not all(map(is_complex, values)):
                continue
            result.append((atom.node, [as_pairs(one) for one in values]))
            result.append((conjugate(self.place.code, atom.node), [as_pairs(np.conj(one)) for one in values]))
            result.append((ast.Attribute(atom.node, "real", ast.Load()), [np.real(one) for one in values]))
            result.append((ast.Attribute(atom.node, "imag", ast.Load()), [np.imag(one) for one in values]))
        return result

    def _exact(self, shapes: Shapes) -> Iterator[Named]:
        yield from self._atoms
        if 1 in shapes[0]:
            yield from _with_axes(self._atoms, shapes[0])
        yield from self._complex
        yield from ((transposed(node), [one.T for one in values]) for node, values in self._atoms if values[0].ndim > 1)
        yield from _formed(self._atoms)
        yield from self._calls
        yield from _formed(self._calls)

    def _broadcast(self, shapes: Shapes) -> Iterator[Named]:
        fitting = (one for one in self.place.around.fitting(shapes[0]) if not one.is_complex)
        atoms = ((one.node, values_at(self.place, one.node)) for one in fitting)
        known = [(node, values) for node, values in atoms if values is not None]
        for node, values in (*known, *_formed(known)):
            pairs = zip(values, shapes, strict=True)
            yield node, [np.broadcast_to(one, to) if broadcasts(one.shape, to) else one for one, to in pairs]


def _with_axes(atoms: list[Named], shape: tuple[int, ...]) -> Iterator[Named]:
    """What has such a shape once it has axes of length one, as a batch of columns: ds[:, :, None]."""
    for node, values in atoms:
        index = _index_to(values[0].shape, shape)
        if index is not None:
            parts: list[ast.expr] = [ast.Constant(None) if one is None else ast.Slice() for one in index]
            turned = ast.Subscript(node, ast.Tuple(parts, ast.Load()), ast.Load())
            yield turned, [one[index] if one.ndim == values[0].ndim else one for one in values]


def _index_to(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[slice | None, ...] | None:
    """The index that adds axes of length one to a shape; None if that does not give the other."""
    left, index = list(shape), list[slice | None]()
    for size in wanted:
        if left and left[0] == size:
            left.pop(0)
            index.append(slice(None))
        elif size == 1:
            index.append(None)
        else:
            return None
    return tuple(index) if shape and not left and None in index else None


def _formed(atoms: list[Named]) -> Iterator[Named]:
    for node, values in atoms:
        for form, of in zip(forms(node), FORMS, strict=True):
            yield form, [of(value) for value in values]
