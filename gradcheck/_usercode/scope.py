"""What a statement could name: the variables, attributes and items of the frame that it runs in."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from gradcheck._common.arrays import is_float
from gradcheck._usercode.source import Source

#: other names that are tried in the place of one: more make a search long, and a function has seldom more
MOST_NAMES = 40
#: objects whose attributes or items are named: those bound last, which are the nearest
MOST_OWNERS = 6
#: attributes or items of one object: a model has a dozen parameters, and a gradient of each
MOST_MEMBERS = 24


class Scope:
    """The frame's variables, as they are while the statement runs."""

    def __init__(
        self,
        local: Mapping[str, Any],
        globals_: Mapping[str, Any],
        items: Collection[str] = (),
    ) -> None:
        self.local, self.glob, self.items = local, globals_, items
        self.numbers = [name for name, value in local.items() if type(value) is int and value > 1]

    @cached_property
    def arrays(self) -> dict[str, Any]:
        """By the text that reads them: float arrays in variables, then those in attributes and items."""
        found = {name: value for name, value in self.local.items() if name.isidentifier() and _is_array(value)}
        known = {id(value) for value in found.values()}
        owners = [list(_members(name, value)) for name, value in self.local.items() if name.isidentifier()]
        for members in [one for one in reversed(owners) if one][:MOST_OWNERS]:
            found |= {name: value for name, value in members[:MOST_MEMBERS] if id(value) not in known}
        for text in [*self.items, *self._at_counters(found)]:
            value = self.value(ast.parse(text, mode="eval").body)
            if text not in found and _is_array(value):
                found[text] = value
        return found

    def _at_counters(self, found: Mapping[str, Any]) -> Iterator[str]:
        """One step of the arrays that hold all steps, where the function counts them."""
        counters = {text.rpartition("[")[2].rstrip("]") for text in self.items}
        for name, value in list(found.items()):
            if np.ndim(value) > 1 and name.isidentifier():
                yield from (f"{name}[{one}]" for one in sorted(counters) if type(self.local.get(one)) is int)

    def value(self, node: ast.expr) -> Any:
        """The value of a name, an attribute or an item; None if it has none, or if it would take a call."""
        if any(isinstance(part, ast.Call) for part in ast.walk(node)):
            return None
        return self.value_with_calls(node)

    def value_with_calls(self, node: ast.expr) -> Any:
        """The value of an expression, which is calculated for it."""
        if any(isinstance(part, (ast.NamedExpr, ast.Await, ast.Yield)) for part in ast.walk(node)):
            return None
        try:
            return eval(compile(ast.Expression(node), "<edit>", "eval"), dict(self.glob), dict(self.local))
        except Exception:  # the statement may come before what it names exists
            return None

    def same_shape(self, value: Any) -> list[str]:
        """What reads arrays of the same shape."""
        if not is_float(value):
            return []
        return [name for name, other in self.arrays.items() if np.shape(other) == np.shape(value)][:MOST_NAMES]

    def other_shape(self, value: Any) -> list[str]:
        """What reads arrays of other shapes."""
        if not is_float(value):
            return []
        return [name for name, other in self.arrays.items() if np.shape(other) != np.shape(value)][:MOST_NAMES]

    def broadcastable(self, value: Any) -> list[str]:
        """What reads arrays that broadcast to its shape; any array, if there is no telling its shape."""
        if not is_float(value):
            return list(self.arrays)[:MOST_NAMES]
        found = [name for name, other in self.arrays.items() if _broadcasts(np.shape(other), np.shape(value))]
        return found[:MOST_NAMES]


@lru_cache(maxsize=256)
def items_read(source: Source, line: int) -> tuple[str, ...]:
    """The items, such as ``h[t]``, that the function around a line reads."""
    around = [
        node
        for node in ast.walk(source.tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.lineno <= line <= (node.end_lineno or 0)
    ]
    if not around:
        return ()
    inner = max(around, key=lambda node: node.lineno)
    read = [node for node in ast.walk(inner) if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load)]
    return tuple(dict.fromkeys(ast.unparse(node) for node in read))[:MOST_MEMBERS]


def _is_array(value: Any) -> bool:
    return is_float(value) and np.ndim(value) > 0


def _members(name: str, owner: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(owner, Mapping):
        yield from ((f"{name}[{key!r}]", value) for key, value in list(owner.items()) if _is_array(value))
    elif _is_object(owner):
        for key, value in list(vars(owner).items()):
            if _is_array(value):
                yield f"{name}.{key}", value
            elif _is_object(value):  # a parameter that holds its value and its gradient
                yield from ((f"{name}.{key}.{one}", array) for one, array in vars(value).items() if _is_array(array))


def _is_object(value: Any) -> bool:
    return not isinstance(value, (np.ndarray, type)) and hasattr(value, "__dict__") and not callable(value)


def _broadcasts(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, to) == to
    except ValueError:
        return False
