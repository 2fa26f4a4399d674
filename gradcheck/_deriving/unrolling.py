"""Loops over names, objects and literals are written out: what they go over."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np

from gradcheck._deriving.expressions import ExpressionReader
from gradcheck._deriving.statements import clone, is_active, value_of

#: elements that are written out one by one
MOST_WRITTEN_OUT = 24


class UnrollingReader(ExpressionReader):
    """Tells which loops are written out, and the elements."""

    def written_out(self, node: ast.expr) -> list[ast.expr] | None:
        """The elements, if they are few and each is another thing; None if a loop over them stays a loop."""
        if isinstance(node, (ast.Tuple, ast.List)):
            return list(node.elts)
        value = value_of(node)
        match node:
            case ast.Call(func=ast.Name(id="zip"), args=parts):
                each = [self.written_out(one) for one in parts]
                if any(one is None for one in each):
                    return None
                rows = zip(*(one for one in each if one is not None), strict=False)
                return [self.noted(ast.Tuple([clone(one) for one in row], ast.Load())) for row in rows]
            case ast.Call(func=ast.Name(id="enumerate"), args=[one]):
                found = self.written_out(one)
                if found is None:
                    return None
                numbered = [(self.noted(ast.Constant(k), k), part) for k, part in enumerate(found)]
                return [self.noted(ast.Tuple(list(pair), ast.Load())) for pair in numbered]
            case ast.Call(func=ast.Attribute(value=owner, attr="items"), args=[]) if isinstance(value_of(owner), dict):
                return [
                    self.noted(ast.Tuple([key, self.item(clone(owner), clone(key))], ast.Load()))
                    for key in self._keys(value_of(owner))
                ]
            case ast.Call(func=ast.Attribute(value=owner, attr="values"), args=[]) if isinstance(value_of(owner), dict):
                return [self.item(clone(owner), key) for key in self._keys(value_of(owner))]
        if isinstance(value, dict):
            return self._keys(value)
        if isinstance(value, str) or (
            isinstance(value, (tuple, list, set, frozenset))
            and all(isinstance(one, (str, bool, type(None))) for one in value)
        ):
            return [self.noted(ast.Constant(one), one) for one in value]
        if isinstance(value, (tuple, list)) and not is_active(node) and len(value) <= MOST_WRITTEN_OUT:
            if all(isinstance(one, (np.ndarray, float, int, np.generic)) for one in value) and len(value) > 0:
                return None
            return self.parts_of(node, len(value))
        return None

    def parts_of(self, node: ast.expr, count: int) -> list[ast.expr]:
        """Each element by its index."""
        node = self.simple(node, "items")
        return [self.item(clone(node), self.noted(ast.Constant(k), k)) for k in range(count)]

    def _keys(self, value: dict[Any, Any]) -> list[ast.expr]:
        return [self.noted(ast.Constant(key), key) for key in value]
