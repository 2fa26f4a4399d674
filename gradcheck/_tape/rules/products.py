"""Matrix products, contractions, and what is linear in each of its operands."""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck._tape.nodes import Array, Cell, Pull
from gradcheck._tape.pairs import is_complex
from gradcheck._tape.rules.elementwise import elementwise
from gradcheck._tape.rules.operation import Operation, Pulls, Rule, summed_to


def matmul(operation: Operation) -> Pulls | None:
    """``a @ b`` with any number of axes in front."""
    a, b = operation.args[:2]
    shape, other = np.shape(a), np.shape(b)
    left, right = operation.hold(a), operation.hold(b)

    def to_left(g: Array) -> Array:
        B = np.asarray(right.value)
        g = _as_matrices(g, len(shape), len(other))
        B = B[:, None] if B.ndim == 1 else B
        return summed_to(g @ np.swapaxes(B, -1, -2), (1, *shape) if len(shape) == 1 else shape).reshape(-1, *shape)

    def to_right(g: Array) -> Array:
        A = np.asarray(left.value)
        g = _as_matrices(g, len(shape), len(other))
        A = A[None, :] if A.ndim == 1 else A
        return summed_to(np.swapaxes(A, -1, -2) @ g, (*other, 1) if len(other) == 1 else other).reshape(-1, *other)

    return [(a, to_left), (b, to_right)]


def _as_matrices(g: Array, left: int, right: int) -> Array:
    """The axes that a vector's product lacks put back."""
    if left == 1:
        g = np.expand_dims(g, -1 if right == 1 else -2)
    return np.expand_dims(g, -1) if right == 1 else g


def _dot(operation: Operation) -> Pulls | None:
    a, b = operation.args[:2]
    if not np.ndim(a) or not np.ndim(b):
        return elementwise(np.multiply, (a, b), operation)
    if np.ndim(b) <= 2:
        return matmul(operation)
    return _contraction([np.ndim(a) - 1], [np.ndim(b) - 2], operation)


def _inner(operation: Operation) -> Pulls | None:
    a, b = operation.args[:2]
    if not np.ndim(a) or not np.ndim(b):
        return elementwise(np.multiply, (a, b), operation)
    return _contraction([np.ndim(a) - 1], [np.ndim(b) - 1], operation)


def _tensordot(operation: Operation) -> Pulls | None:
    a, b = operation.args[:2]
    axes = operation.argument(2, "axes", default=2)
    if isinstance(axes, (int, np.integer)):
        mine = list(range(np.ndim(a) - int(axes), np.ndim(a)))
        theirs = list(range(int(axes)))
    else:
        mine, theirs = ([int(k) for k in np.atleast_1d(one)] for one in axes)
    return _contraction([k % np.ndim(a) for k in mine], [k % np.ndim(b) for k in theirs], operation)


def _contraction(mine: list[int], theirs: list[int], operation: Operation) -> Pulls | None:
    """The sum over pairs of axes, as an einsum."""
    a, b = operation.args[:2]
    letters = iter(string.ascii_letters)
    first = [next(letters) for _ in range(np.ndim(a))]
    second = [first[mine[theirs.index(k)]] if k in theirs else next(letters) for k in range(np.ndim(b))]
    result = [x for k, x in enumerate(first) if k not in mine] + [x for k, x in enumerate(second) if k not in theirs]
    return _summed(["".join(first), "".join(second)], "".join(result), [a, b], operation)


def _outer(operation: Operation) -> Pulls | None:
    a, b = operation.args[:2]
    left, right = operation.hold(a), operation.hold(b)
    return [
        (a, lambda g: (g @ np.ravel(right.value)).reshape(len(g), *np.shape(left.value))),
        (b, lambda g: (np.ravel(left.value) @ g).reshape(len(g), *np.shape(right.value))),
    ]


def _vdot(operation: Operation) -> Pulls | None:
    a, b = operation.args[:2]
    left, right = operation.hold(a), operation.hold(b)

    def to(other: Cell, mine: Cell) -> Pull:
        shape = np.shape(mine.value)
        return lambda g: g.reshape(-1, *(1,) * len(shape)) * np.reshape(other.value, shape)

    if not (is_complex(a) or is_complex(b)):
        return [(a, to(right, left)), (b, to(left, right))]
    to_left, to_right = to(right, left), to(left, right)  # the first is conjugated
    return [(a, lambda g: np.conj(to_left(g))), (b, lambda g: np.conj(to_right(np.conj(g))))]


def _einsum(operation: Operation) -> Pulls | None:
    if not operation.args or not isinstance(operation.args[0], str) or operation.has("out"):
        return None
    operands = list(operation.args[1:])
    terms, result = _letters(operation.args[0].replace(" ", ""), [np.ndim(x) for x in operands])
    if any(len(set(term)) < len(term) for term in terms):
        return None
    return _summed(terms, result, operands, operation)


def _letters(text: str, ndims: list[int]) -> tuple[list[str], str]:
    """The terms and the result, with letters in the place of dots."""
    left, arrow, result = text.partition("->")
    terms = left.split(",")
    spare = [letter for letter in string.ascii_letters if letter not in text]
    most = max((ndim - len(term) + 3 for term, ndim in zip(terms, ndims, strict=True) if "..." in term), default=0)
    dots = spare[:most]
    for k, (term, ndim) in enumerate(zip(terms, ndims, strict=True)):
        if "..." in term:
            own = ndim - len(term) + 3
            terms[k] = term.replace("...", "".join(dots[most - own :]))
    if not arrow:
        once = sorted(letter for letter in set(left) - set(",.") if left.count(letter) == 1)
        return terms, "".join([*dots, *once])
    return terms, result.replace("...", "".join(dots))


def _summed(terms: list[str], result: str, operands: list[Any], operation: Operation) -> Pulls:
    """The way back through an einsum whose terms have each letter once."""
    cells = [operation.hold(x) for x in operands]
    batch = next(letter for letter in string.ascii_letters if letter not in "".join(terms))

    def to(k: int) -> Pull:
        others = [term for j, term in enumerate(terms) if j != k]
        wanted = "".join(x for x in terms[k] if x in result or any(x in term for term in others))
        text = ",".join([batch + result, *others]) + "->" + batch + wanted
        shape = np.shape(operands[k])

        def pull(g: Array) -> Array:
            values = [cell.value for j, cell in enumerate(cells) if j != k]
            found = np.einsum(text, g, *values, optimize=len(values) > 1)
            # an axis of length 1 may have been broadcast against a longer one, here or in the others
            lengths = dict(zip(wanted, found.shape[1:], strict=True))
            return summed_to(found.reshape(len(g), *(lengths.get(x, 1) for x in terms[k])), shape)

        return pull

    return [(x, to(k)) for k, x in enumerate(operands)]


def linear(call: Callable[..., Any], operands: list[Any], hold: Callable[[Any], Cell]) -> Pulls:
    """The way back through a function that is linear in each operand: it is called with each unit vector."""
    cells = [hold(x) for x in operands]

    def to(k: int) -> Pull:
        shape = np.shape(operands[k])

        def pull(g: Array) -> Array:
            values = [cell.value for cell in cells]
            columns = []
            for position in range(int(np.prod(shape, dtype=int))):
                unit = np.zeros(shape)
                unit.reshape(-1)[position] = 1
                columns.append(np.ravel(call(*values[:k], unit, *values[k + 1 :])))
            jacobian = np.stack(columns, 1)
            found: Array = g.reshape(len(g), -1) @ jacobian
            return found.reshape(len(g), *shape)

        return pull

    return [(x, to(k)) for k, x in enumerate(operands)]


def _linear(count: int) -> Rule:
    def rule(operation: Operation) -> Pulls | None:
        rest, keywords, function = operation.args[count:], operation.keywords, operation.function
        operands = list(operation.args[:count])
        if function is np.correlate and any(map(is_complex, operands)):  # which conjugates one of them
            return None
        if len(operands) < count or not all(isinstance(x, (np.ndarray, float, np.floating)) for x in operands):
            return None
        return linear(lambda *values: function(*values, *rest, **keywords), operands, operation.hold)

    return rule


TABLE: dict[Any, Rule] = {
    np.dot: _dot,
    np.inner: _inner,
    np.outer: _outer,
    np.vdot: _vdot,
    np.tensordot: _tensordot,
    np.einsum: _einsum,
    np.matmul: matmul,
    np.kron: _linear(2),
    np.convolve: _linear(2),
    np.correlate: _linear(2),
    np.cross: _linear(2),
    np.trace: _linear(1),
    np.diff: _linear(1),
}
