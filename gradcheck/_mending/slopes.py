"""A factor more: the slope of a function that the forward takes of something at hand, as of a logarithm's exponential.

Parameters that have to stay positive are kept as logarithms, and rates as what a softplus is taken of. The value of
the function need not be at hand where its slope belongs, but what it is taken of is.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

import numpy as np

from gradcheck._mending.atoms import broadcasts
from gradcheck._mending.details import numpys
from gradcheck._mending.slots import Candidate, Workplace, is_operand
from gradcheck._mending.syntax import binary, number, one_minus, squared
from gradcheck._tape import Node, TapedRun


def _called(function: str, x: ast.expr) -> ast.expr:
    return ast.Call(numpys(function), [x], [])


def _minus(x: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), x)


def _inverse(x: ast.expr) -> ast.expr:
    return binary(number(1), ast.Div(), x)


def _logistic(x: ast.expr) -> ast.expr:
    return _inverse(binary(number(1), ast.Add(), _called("exp", _minus(x))))


#: by function: its slope, of what it is taken of
_SLOPES: dict[str, Callable[[ast.expr], ast.expr]] = {
    "absolute": lambda x: _called("sign", x),
    "fabs": lambda x: _called("sign", x),
    "exp": lambda x: _called("exp", x),
    "exp of minus": lambda x: _minus(_called("exp", _minus(x))),
    "expm1": lambda x: _called("exp", x),
    "log": _inverse,
    "log1p": lambda x: _inverse(binary(number(1), ast.Add(), x)),
    "softplus": _logistic,
    "sqrt": lambda x: _inverse(binary(number(2), ast.Mult(), _called("sqrt", x))),
    "square": lambda x: binary(number(2), ast.Mult(), x),
    "tanh": lambda x: one_minus(squared(_called("tanh", x))),
    "sin": lambda x: _called("cos", x),
    "cos": lambda x: _minus(_called("sin", x)),
    "arctan": lambda x: _inverse(binary(number(1), ast.Add(), squared(x))),
}
#: those whose slope is meant as such as well, without what it multiplies
_ALONE = frozenset({"absolute", "fabs"})


def slopes(place: Workplace) -> Iterator[Candidate]:
    """Such a slope as a factor more; that of an absolute value alone as well."""
    taken_of = place.hole.suspect.run.once(_taken_of)
    # those that stand for themselves before their factors
    slots = sorted(place.floats, key=lambda slot: is_operand(slot.node, place.code, (ast.Mult, ast.Div)))
    for atom in place.around.floats if taken_of else ():
        for function in taken_of.get(np.asarray(atom.value, float).tobytes(), ()):
            slope = _SLOPES[function](atom.node)
            for slot in slots:
                if broadcasts(atom.shape, slot.shape):
                    yield Candidate.of(slot.node, binary(slot.node, ast.Mult(), slope))
                if function in _ALONE and atom.shape == slot.shape:
                    yield Candidate.of(slot.node, slope)


def _taken_of(run: TapedRun) -> dict[bytes, list[str]]:
    """By value, as bytes: the functions that the forward takes of it."""
    found: dict[bytes, dict[str, None]] = {}
    for node in run.nodes:
        told = _function(node) if run.is_forward(node) else None
        if told is not None and told[1].value is not None:
            found.setdefault(np.asarray(told[1].value, float).tobytes(), {})[told[0]] = None
    return {value: list(functions) for value, functions in found.items()}


def _function(node: Node) -> tuple[str, Node] | None:
    """The function of one value that a node is the value of, and what it is taken of."""
    if node.is_complex or any(one.is_complex for one in node.inputs):
        return None
    inner = _exponent(node)
    if inner is not None:
        return "softplus", inner
    if node.op not in _SLOPES or len(node.inputs) != 1:
        return None
    (source,) = node.inputs
    if node.op == "exp" and source.op == "negative":
        return "exp of minus", source.inputs[0]
    return node.op, source


def _exponent(node: Node) -> Node | None:
    """What a softplus is taken of: log(1 + exp(x)), in one of the ways to write it."""
    source = node.inputs[0] if node.inputs else None
    if node.op == "log" and source is not None and source.op == "add":
        source = next((one for one in source.inputs if one.op == "exp"), None)
        return source.inputs[0] if source is not None and source.inputs else None
    if node.op == "log1p" and source is not None and source.op == "exp":
        return source.inputs[0]
    if node.op == "logaddexp" and len(node.inputs) == 1:
        return source
    return None
