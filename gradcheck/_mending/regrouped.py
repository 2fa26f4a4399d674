"""Sums and products with their terms and factors in other brackets: (a + c) * f for a * f + c, and the reverse."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from gradcheck._mending.slots import Candidate, Workplace
from gradcheck._mending.syntax import binary


def regrouped(place: Workplace) -> Iterator[Candidate]:
    """A factor that goes with one term alone for all of them, or with all of them for one alone."""
    for slot in place.floats:
        match slot.node:
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() as op, right=right):
                for taken, *rest in _taken_apart(left):
                    yield Candidate.of(slot.node, _times(binary(taken, op, right), rest))
                for taken, *rest in _taken_apart(right):
                    yield Candidate.of(slot.node, _times(binary(left, op, taken), rest))
            case ast.BinOp(
                left=ast.BinOp(left=a, op=ast.Add() | ast.Sub() as op, right=b), op=ast.Mult(), right=factor
            ):
                yield Candidate.of(slot.node, binary(binary(a, ast.Mult(), factor), op, b))
                yield Candidate.of(slot.node, binary(a, op, binary(b, ast.Mult(), factor)))
            case ast.BinOp(
                left=factor, op=ast.Mult(), right=ast.BinOp(left=a, op=ast.Add() | ast.Sub() as op, right=b)
            ):
                yield Candidate.of(slot.node, binary(binary(factor, ast.Mult(), a), op, b))
                yield Candidate.of(slot.node, binary(a, op, binary(factor, ast.Mult(), b)))


def _taken_apart(product: ast.expr) -> Iterator[list[ast.expr]]:
    """The first factors of a product as one, and those that are left: all but the last, all but the last two, ..."""
    rest: list[ast.expr] = []
    while isinstance(product, ast.BinOp) and isinstance(product.op, ast.Mult):
        rest.insert(0, product.right)
        product = product.left
        yield [product, *rest]
        if len(rest) == 1:
            yield [rest[0], product]  # the factor may stand before what it goes with


def _times(first: ast.expr, factors: list[ast.expr]) -> ast.expr:
    for factor in factors:
        first = binary(first, ast.Mult(), factor)
    return first
