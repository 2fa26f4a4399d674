"""Writes the expression that a value is: a product of what the scope offers, found by its numbers."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from itertools import combinations, islice, permutations, product

import numpy as np

from gradcheck._common.arrays import Array
from gradcheck._usercode.patching import replace_expression
from gradcheck._usercode.scope import Scope
from gradcheck._usercode.source import Edit

#: how well the numbers agree; what is found is judged again, by the derivatives at every execution
RELATIVE = 1e-5
#: expressions of one value
MOST_TEXTS = 3
#: arrays that are combined
MOST_ARRAYS = 24
#: pairs of arrays whose matrix product is computed
MOST_PRODUCTS = 4096

_FORMS = ("{a}", "(1 - {a})", "(1 - {a} ** 2)", "{a} * (1 - {a})")


def synthesise(node: ast.expr, needed: Array, scope: Scope) -> Iterator[Edit]:
    """Edits after which the expression has the needed value: a term, a factor or the whole of it written anew.

    Args:
        node: The expression, as it stands in the source.
        needed: The value that it should have, of the shape it should have.
        scope: The variables, attributes and items that may be named.
    """
    found = _synthesised(node, needed, scope)
    while True:
        with np.errstate(all="ignore"), warnings.catch_warnings():  # not while somebody else goes on
            warnings.simplefilter("ignore")
            edit = next(found, None)
        if edit is None:
            return
        yield edit


def _synthesised(node: ast.expr, needed: Array, scope: Scope) -> Iterator[Edit]:
    for part, value in [(node, needed), *_parts(node, needed, scope)]:
        for text in islice(expressions_with_value(value, scope), MOST_TEXTS):
            yield replace_expression(part, text if part is node else f"({text})")
        given = scope.value_with_calls(part)
        if given is None or np.shape(given) != value.shape:
            continue
        for sign, rest in (("+", value - given), ("-", given - value)):
            for text in islice(expressions_with_value(rest, scope), MOST_TEXTS):
                yield replace_expression(part, f"({ast.unparse(part)} {sign} {text})")


def _parts(node: ast.expr, needed: Array, scope: Scope) -> Iterator[tuple[ast.expr, Array]]:
    """The terms and factors of an expression, each with the value that it would have to have."""
    if not isinstance(node, ast.BinOp):
        return
    left, right = scope.value_with_calls(node.left), scope.value_with_calls(node.right)
    if left is None or right is None:
        return
    match node.op:
        case ast.Add():
            wanted = needed - right, needed - left
        case ast.Sub():
            wanted = needed + right, left - needed
        case ast.Mult():
            wanted = needed / right, needed / left
        case _:
            return
    for part, value in zip((node.left, node.right), wanted, strict=True):
        if np.all(np.isfinite(value)):
            yield part, np.asarray(value, dtype=float)
            yield from _parts(part, np.asarray(value, dtype=float), scope)


def expressions_with_value(value: Array, scope: Scope) -> Iterator[str]:
    """Expressions with this value: matrix products of two arrays, then products of up to three by entry."""
    if value.size > 1 and np.max(np.abs(value)) > 0:
        yield from _matrix_products(value, scope)
        yield from _by_entry(value, scope)


def _matrix_products(value: Array, scope: Scope) -> Iterator[str]:
    arrays = [(name, np.asarray(array)) for name, array in scope.arrays.items()]
    sides = [(name, array) for name, array in arrays if array.ndim in (1, 2)]
    sides += [(f"{name}.T", array.T) for name, array in sides if array.ndim == 2]
    rows, columns = value.shape[:1], value.shape[-1:]
    lefts = [one for one in sides if one[1].shape[:1] == rows or one[1].shape == value.shape[-2:-1]]
    rights = [one for one in sides if one[1].shape[-1:] == columns or one[1].ndim == 1]
    for (a, left), (b, right) in islice(product(lefts, rights), MOST_PRODUCTS):
        fits = left.shape[-1] == right.shape[0] and left.shape[:-1] + right.shape[1:] == value.shape
        if fits and _equal(left @ right, value):
            yield f"{a} @ {b}"
        fits = left.ndim == right.ndim == 1 and value.shape == (left.size, right.size)
        if fits and _equal(np.outer(left, right), value):
            yield f"np.outer({a}, {b})"


def _equal(a: Array, b: Array) -> bool:
    return bool(np.max(np.abs(a - b), initial=0.0) <= RELATIVE * np.max(np.abs(b), initial=0.0))


def _by_entry(value: Array, scope: Scope) -> Iterator[str]:
    names = [name for name in scope.broadcastable(value) if np.any(scope.arrays[name])][:MOST_ARRAYS]
    if not names:
        return
    arrays = [_spread(scope.arrays[name], value) for name in names]
    texts = [form.format(a=name) for form in _FORMS for name in names]
    rows = [*arrays, *(1 - a for a in arrays), *(1 - a**2 for a in arrays), *(a * (1 - a) for a in arrays)]
    for text, made in _through_helpers(names, scope, value):
        texts.append(text)
        rows.append(made)
    several = list(combinations(range(len(rows)), 2))
    for a, b in permutations(range(len(names)), 2):
        texts.append(f"({names[a]} - {names[b]})")
        rows.append(arrays[a] - arrays[b])
    for a, b in combinations(range(len(names)), 2):
        texts.append(f"({names[a]} + {names[b]})")
        rows.append(arrays[a] + arrays[b])
    factors, wanted = np.array(rows), value.ravel()
    yield from (texts[j] for _, j in _matching_pairs(factors, wanted[None]))
    for i, j in _matching_pairs(factors, wanted / factors):
        if i <= j:
            yield f"{texts[i]} * {texts[j]}"
    first, second = np.array(several).T
    for i, j in _matching_pairs(factors, wanted / (factors[first] * factors[second])):
        if second[i] <= j:
            yield f"{texts[first[i]]} * {texts[second[i]]} * {texts[j]}"


def _spread(array: Array, over: Array) -> Array:
    return np.broadcast_to(np.asarray(array, dtype=float), over.shape).ravel()


def _through_helpers(names: list[str], scope: Scope, value: Array) -> Iterator[tuple[str, Array]]:
    """tanh of arrays, and what the helpers of the file make of them."""
    for name in names:
        for form in ("np.tanh({a})", "(1 - np.tanh({a}) ** 2)", *(f"{helper}({{a}})" for helper in scope.functions)):
            text = form.format(a=name)
            made = scope.value_with_calls(ast.parse(text, mode="eval").body)
            if isinstance(made, np.ndarray) and made.dtype.kind == "f" and np.shape(made) == value.shape:
                yield text, made.ravel()


def _matching_pairs(factors: Array, wanted: Array) -> Iterator[tuple[int, int]]:
    """The pairs (i, j) for which row i of `wanted` is row j of `factors`; found along one direction, then compared."""
    direction = np.random.default_rng(0).uniform(0.5, 1.5, factors.shape[1])
    places = factors @ direction
    order = np.argsort(places)
    sought, width = wanted @ direction, 2 * RELATIVE * np.abs(wanted) @ direction
    first = np.searchsorted(places[order], sought - width)
    last = np.searchsorted(places[order], sought + width)
    for i in np.flatnonzero((last > first) & np.isfinite(sought)):
        for j in order[first[i] : last[i]]:
            if _equal(factors[j], wanted[i]):
                yield int(i), int(j)
