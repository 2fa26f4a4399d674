"""Small edits of complex numbers: a conjugate more or less, the other part, the two parts exchanged."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import numpy as np

from gradcheck._mending.library import values_at
from gradcheck._mending.residual import TOLERANCE
from gradcheck._mending.slots import Candidate, Slot, Workplace
from gradcheck._mending.syntax import conjugate, conjugated
from gradcheck._tape import TapedRun
from gradcheck._tape.nodes import Array
from gradcheck._tape.pairs import as_pairs, is_complex

_OTHER = {"real": "imag", "imag": "real"}


def conjugates(place: Workplace) -> Iterator[Candidate]:
    """A conjugate left out, or put where there is none."""
    for slot in sorted(place.floats, key=lambda slot: not slot.is_plain):  # a value rather than what is made of it
        if not is_complex(slot.value) or isinstance(slot.node, ast.Constant):
            continue
        inner = conjugated(slot.node)
        if inner is not None:
            yield Candidate.of(slot.node, inner)
        elif _is_derivative(place, slot):
            continue
        elif not (_is_conjugated(place, slot) or _is_indexed(place, slot)):
            yield Candidate.of(slot.node, conjugate(place.code, slot.node))


def _is_derivative(place: Workplace, slot: Slot) -> bool:
    """Whether it is a derivative at all executions, so that its conjugate is none."""
    known = place.hole.suspect.run.once(_Derivatives)
    values = values_at(place, slot.node)
    return bool(values) and all(known.holds(as_pairs(one)) for one in values or ())


class _Derivatives:
    """The derivatives with respect to complex values, through all uses and through each."""

    def __init__(self, run: TapedRun) -> None:
        found: dict[tuple[int, ...], list[Array]] = {}
        whole = ((node, run.derivatives[node.index]) for node in run.nodes)
        uses = ((run.nodes[consumer].inputs[k], part) for (consumer, k), part in run.contributions.items())
        for node, value in (*whole, *uses):
            if node.is_complex and value is not None and np.any(value):
                found.setdefault(value.shape, []).append(value)
        self._stacked = {shape: np.array(values) for shape, values in found.items()}

    def holds(self, value: Array) -> bool:
        """Whether a value is one of them."""
        known = self._stacked.get(np.shape(value))
        if known is None or not np.any(value):
            return False
        apart = np.abs(known - value).reshape(len(known), -1).max(axis=1)
        return bool(apart.min() <= TOLERANCE * np.abs(value).max())


def _is_conjugated(place: Workplace, slot: Slot) -> bool:
    """Whether a conjugate is taken of it: to leave that out says the same."""
    around = place.code.parent(slot.node)
    if isinstance(around, ast.Attribute):
        around = place.code.parent(around)
    return conjugated(around) is slot.node


def _is_indexed(place: Workplace, slot: Slot) -> bool:
    """Whether entries are taken of it: what is conjugated are these."""
    around = place.code.parent(slot.node)
    return isinstance(around, ast.Subscript) and around.value is slot.node


def only_turns(slot: Slot) -> bool:
    """Whether it is complex, and of length one: a factor that turns what it is multiplied with."""
    return is_complex(slot.value) and bool(np.size(slot.value) and np.allclose(np.abs(slot.value), 1))


def other_parts(place: Workplace) -> Iterator[Candidate]:
    """The imaginary part for the real one, or the other way round, with either sign."""
    for slot in place.floats:
        other = _other_part(slot.node)
        if other is not None:
            yield Candidate.of(slot.node, other)
            yield Candidate.of(slot.node, ast.UnaryOp(ast.USub(), other))


def _other_part(node: ast.expr) -> ast.expr | None:
    match node:
        case ast.Attribute(value=value, attr="real" | "imag" as attr):
            return ast.Attribute(value, _OTHER[attr], ast.Load())
        case ast.Call(func=ast.Attribute(value=ast.Name() as module, attr="real" | "imag" as attr), args=[x]):
            return ast.Call(ast.Attribute(module, _OTHER[attr], ast.Load()), [x], [])
    return None


def parts_taken(place: Workplace) -> Iterator[Candidate]:
    """A part of what is complex where the whole stands: numpy may drop the other one without an error."""
    for slot in place.floats:
        if is_complex(slot.value) and not isinstance(place.code.parent(slot.node), ast.Attribute):
            for part in _OTHER:
                yield Candidate.of(slot.node, ast.Attribute(slot.node, part, ast.Load()))
