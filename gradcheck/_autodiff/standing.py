"""Which derivative a value is: the same numbers, transposed, in another form, a part, or a sum over the first axis."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck._autodiff.recording import Step
from gradcheck._common.arrays import Array, norm
from gradcheck._usercode.rewriting import Site
from gradcheck.report.evidence import Label

#: values that have more entries than this are not looked for as parts of others
MOST_PARTS = 64


@dataclass(frozen=True)
class Known:
    """A derivative of the loss, and what it is taken with respect to."""

    expression: str
    array: Array


def known_derivatives(
    adjoints: Mapping[Step, Array], sites: Sequence[Site], names: Sequence[str], true: Sequence[Array]
) -> list[Known]:
    """The derivatives of a run, those of its inputs first; then by name, before those of expressions."""
    inputs = [Known(name, array) for name, array in zip(names, true, strict=True) if norm(array)]
    named = [(_name(sites[step.site]), sites[step.site].text, array) for step, array in adjoints.items()]
    named.sort(key=lambda one: not one[0])
    return [*inputs, *(Known(name or text, array) for name, text, array in named)]


def _name(site: Site) -> str:
    """The name that a value gets; empty if it gets none."""
    if site.kind in ("bind", "after"):
        return site.text
    node = site.statement.node
    targets = node.targets if site.is_statement_value and isinstance(node, ast.Assign) else []
    return targets[0].id if len(targets) == 1 and isinstance(targets[0], ast.Name) else ""


def label_of(values: Sequence[Array], known: Sequence[Known], tolerance: float) -> Label | None:
    """The derivative that each of these values is, where that is of one expression; None else."""
    texts: set[str] | None = None
    for value in values:
        here = {one.expression for one in known if _is_it(value, one.array, tolerance)}
        texts = here if texts is None else texts & here
        if not texts:
            return None
    ordered = [one.expression for one in known if texts and one.expression in texts]
    return Label(ordered[0]) if ordered else None


def are_derivatives(values: Sequence[Array], known: Sequence[Known], tolerance: float) -> bool:
    """Whether each of these values is some derivative."""
    return bool(values) and all(any(_is_it(value, one.array, tolerance) for one in known) for value in values)


def _is_it(value: Array, derivative: Array, tolerance: float) -> bool:
    size = norm(value)
    return bool(size) and any(
        form.shape == value.shape and norm(form - value) <= tolerance * size for form in _forms(derivative, value.shape)
    )


def _forms(derivative: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    if derivative.size == int(np.prod(shape)):
        yield derivative.reshape(shape)
        if derivative.ndim > 1:
            yield derivative.T.reshape(shape)
        return
    if derivative.ndim > len(shape):
        yield derivative.sum(axis=tuple(range(derivative.ndim - len(shape))))
        if derivative.ndim == len(shape) + 1 and len(derivative) <= MOST_PARTS:
            yield from derivative
    elif derivative.ndim == len(shape) and derivative.ndim:
        for axis in range(derivative.ndim):
            yield derivative.sum(axis=axis, keepdims=True)
        yield from _chunks(derivative, shape)


def _chunks(derivative: Array, shape: tuple[int, ...]) -> Iterator[Array]:
    """Parts along the last axis, as gates stand beside each other."""
    width = shape[-1]
    if derivative.shape[:-1] == shape[:-1] and width < derivative.shape[-1] <= width * MOST_PARTS:
        for start in range(0, derivative.shape[-1] - width + 1, width):
            yield derivative[..., start : start + width]
