"""Larger edits of an expression: another expression of the function, a factor or a term more."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.details import Family, forms, more_forms
from gradcheck._mending.slots import Candidate, Workplace
from gradcheck._mending.syntax import binary, name


def other_expressions(place: Workplace) -> Iterator[Candidate]:
    """Another expression of the same function, of the same shape."""
    for slot in place.floats:
        for atom in place.around.of_shape(slot.shape):
            if atom.node is not slot.node and not (atom.plain and slot.is_plain):
                yield Candidate.of(slot.node, atom.node)


def helped(place: Workplace) -> Iterator[Candidate]:
    """A helper's value of something at hand."""
    for slot in place.floats:
        for helper in place.around.helpers:
            for atom in place.around.of_shape(slot.shape):
                if atom.plain or isinstance(atom.node, ast.Call):
                    yield Candidate.of(slot.node, ast.Call(name(helper), [atom.node], []))


def formed_others(place: Workplace) -> Iterator[Candidate]:
    """A form of another value in the place of a part."""
    for slot in place.floats:
        for atom in place.around.of_shape(slot.shape):
            if atom.plain:
                for new in (*forms(atom.node), *more_forms(atom.node)):
                    yield Candidate.of(slot.node, new)


def masks(place: Workplace) -> Iterator[Candidate]:
    """A condition more, or its opposite."""
    for slot in place.outermost(ast.Mult, ast.Div):
        for atom in place.around.conditions_fitting(slot.shape):
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), atom.node))
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), ast.UnaryOp(ast.Invert(), atom.node)))


def terms(place: Workplace) -> Iterator[Candidate]:
    """A term more."""
    for slot in place.outermost(ast.Add, ast.Sub):
        for atom in place.around.fitting(slot.shape):
            yield Candidate.of(slot.node, binary(slot.node, ast.Add(), atom.node))
            yield Candidate.of(slot.node, binary(slot.node, ast.Sub(), atom.node))


def factors(place: Workplace) -> Iterator[Candidate]:
    """A factor more."""
    for slot in place.outermost(ast.Mult, ast.Div):
        for atom in place.around.fitting(slot.shape):
            if not atom.plain:
                yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), atom.node))
                continue
            yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), atom.node))
            for new in forms(atom.node):
                yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), new))
            yield Candidate.of(slot.node, binary(slot.node, ast.Div(), atom.node))
        if slot.shape:
            for atom in place.around.widening(slot.shape):
                if atom.plain:
                    yield Candidate.of(slot.node, binary(atom.node, ast.Mult(), slot.node))


def other_scales(place: Workplace) -> Iterator[Candidate]:
    """Something else in the place of a number that scales: a length of its own for each example, or a mask."""
    numbers = {id(slot.node) for slot in place.slots if (slot.is_float or slot.is_integer) and slot.shape == ()}
    for slot in place.floats:
        match slot.node:
            case ast.BinOp(left=left, op=ast.Mult() | ast.Div() as op, right=right):
                for scale in (right, left) if isinstance(op, ast.Mult) else (right,):
                    if id(scale) in numbers:
                        yield from (
                            Candidate.of(scale, one.node) for one in place.around.fitting(slot.shape) if one.plain
                        )


SECOND: tuple[Family, ...] = (masks, other_scales, factors, terms, other_expressions, helped, formed_others)
