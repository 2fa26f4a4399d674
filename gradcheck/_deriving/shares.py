"""The shares of a derivative, gathered until the value that they belong to is reached, and then written as one sum."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck._deriving.naming import Names
from gradcheck._deriving.statements import Block, Branch, blocks_of, clone, known, shape_of, shape_of_value, value_of
from gradcheck._mending.syntax import is_minus
from gradcheck._mending.vjp import Cotangent, added, call, full, negated, parsed_with

#: methods and functions whose result is an array of its own
_VIEWS = frozenset({
    "reshape", "transpose", "swapaxes", "expand_dims", "broadcast_to", "moveaxis", "flip", "squeeze", "asarray",
})  # fmt: skip


@dataclass(eq=False)
class Share:
    """A part of the derivative of a variable; `index` where it is that of an entry or a slice."""

    index: list[ast.expr]
    cotangent: Cotangent


@dataclass(eq=False)
class Context:
    """One block of the backward: the statements so far, and the shares of what its block of the forward bound."""

    owned: set[str]
    around: Context | None
    out: list[ast.stmt] = field(default_factory=list)
    shares: dict[str, list[Share]] = field(default_factory=dict)
    #: variables whose derivative is an array already, to be added to
    ready: set[str] = field(default_factory=set)

    @staticmethod
    def of(block: Block, around: Context | None) -> Context:
        """For a block of the forward."""
        own = {name for one in block for name in getattr(one, "names", [])}
        for branch in block:
            if isinstance(branch, Branch):
                sides = [{name for one in side for name in getattr(one, "names", [])} for side in blocks_of(branch)]
                own |= sides[0] & sides[1]
        own |= {pair[0] for one in block for pair in getattr(one, "carried", [])}
        return Context(own, around)


class Shares:
    """Writes derivatives of variables; `value` gives a variable's value, `parameter` the expression of a parameter."""

    def __init__(self, names: Names, value: Callable[[str], Any], parameters: dict[str, ast.expr]) -> None:
        self.names, self.value, self.parameters = names, value, parameters
        self.cotangents: dict[str, str] = {}
        #: where the derivatives of parameters begin
        self.beginning: list[ast.stmt] = []

    def name_of(self, key: str) -> str:
        """What the derivative of a variable is called."""
        if key not in self.cotangents:
            label = key.partition(":")[2] or key
            self.cotangents[key] = self.names.fresh(f"d{label}")
        return self.cotangents[key]

    def home(self, context: Context, key: str) -> Context:
        """The block that bound the variable."""
        one = context
        while key not in one.owned and one.around is not None:
            one = one.around
        return one

    def shape(self, key: str) -> tuple[int, ...]:
        """The shape of a variable."""
        if key.startswith("parameter:"):
            return shape_of(self.parameters[key.partition(":")[2]])
        return shape_of_value(self.value(key))

    def like(self, key: str) -> ast.expr:
        """The variable."""
        if key.startswith("parameter:"):
            return clone(self.parameters[key.partition(":")[2]])
        return ast.Name(key, ast.Load())

    # -- adding ----------------------------------------------------------------------------------------------------

    def add(self, context: Context, target: ast.expr, g: Cotangent) -> bool:
        """Add to the derivative of a variable, a parameter, or an element of them; False if it is none of these."""
        indices: list[ast.expr] = []
        node = target
        while True:
            info = known(node)
            if info is not None and info.parameter is not None:
                key = f"parameter:{info.parameter}"
                break
            if isinstance(node, ast.Name):
                key = node.id
                break
            if not isinstance(node, ast.Subscript):
                return False
            if indices and any(_repeats(one) for one in _parts(node.slice)):
                return False  # entries that were picked are a copy
            indices.insert(0, node.slice)
            node = node.value
        home = self.home(context, key)
        if home is context and key not in home.ready:
            home.shares.setdefault(key, []).append(Share(indices, g))
            return True
        self.materialise(home, key)
        context.out.append(self._adding(key, indices, g, target))
        return True

    def _adding(self, key: str, indices: list[ast.expr], g: Cotangent, target: ast.expr | None = None) -> ast.stmt:
        into: ast.Name | ast.Subscript = ast.Name(self.name_of(key), ast.Store())
        for one in indices:
            into = ast.Subscript(into, clone(one), ast.Store())
        del target
        if isinstance(into, ast.Subscript) and any(_repeats(one) for one in _parts(into.slice)):
            base = into.value
            if isinstance(base, (ast.Name, ast.Subscript)):
                base.ctx = ast.Load()
            made = ast.Call(parsed_with("np.add.at"), [base, into.slice, g.node], [])
            return ast.Expr(made)
        if is_minus(g.node):
            return ast.AugAssign(into, ast.Sub(), g.node.operand)
        return ast.AugAssign(into, ast.Add(), g.node)

    def materialise(self, home: Context, key: str) -> None:
        """Make the derivative an array that can be added to."""
        if key in home.ready:
            return
        home.ready.add(key)
        shares = home.shares.pop(key, [])
        whole = [one.cotangent for one in shares if not one.index]
        name = self.name_of(key)
        if whole:
            total = self._total(key, whole)
            node = total.node if _is_fresh(total.node) else parsed_with("{}.copy()", total.node)
            home.out.append(_assign(name, node))
        elif key.startswith("parameter:"):
            self.beginning.append(_assign(name, parsed_with("np.zeros_like({})", self.like(key))))
        else:
            home.out.append(_assign(name, self._zeros(key)))
        home.out.extend(self._adding(key, one.index, one.cotangent) for one in shares if one.index)

    def _zeros(self, key: str) -> ast.expr:
        value = self.value(key)
        if isinstance(value, dict):
            return _dict_of_zeros(key)
        if isinstance(value, (list, tuple)) and len({shape_of_value(one) for one in value}) > 1:
            return parsed_with("[np.zeros_like(one) for one in {}]", self.like(key))
        return parsed_with("np.zeros_like({})", self.like(key))

    def _total(self, key: str, whole: list[Cotangent]) -> Cotangent:
        shape = self.shape(key)
        node = added([one.node for one in whole])
        assert node is not None
        found = np.broadcast_shapes(*(one.shape for one in whole))
        if isinstance(self.value(key) if not key.startswith("parameter:") else None, (list, tuple)):
            if not found:
                return Cotangent(call("np.full_like", self.like(key), node), shape)
            like = call("np.shape", self.like(key))
            return Cotangent(node if found == shape else call("np.broadcast_to", node, like), shape)
        return full(Cotangent(node, found), shape, self.like(key))

    def logarithm_of_one(self, context: Context, key: str) -> tuple[ast.expr, Cotangent] | None:
        """Where a variable is read, and times what, if all that is made of it is the logarithm of entries of it."""
        shares = context.shares.get(key, [])
        if key in context.ready or len(shares) != 1 or len(shares[0].index) != 1:
            return None
        g, sign = shares[0].cotangent.node, 1
        if is_minus(g):
            g, sign = g.operand, -1
        match g:
            case ast.BinOp(left=factor, op=ast.Div(), right=ast.Subscript(value=ast.Name(id=name), slice=index)) if (
                name == key and ast.dump(index) == ast.dump(shares[0].index[0]) and not _reads(factor, key)
            ):
                del context.shares[key]
                found = Cotangent(factor, ())
                return shares[0].index[0], negated(found) if sign < 0 else found
        return None

    def take(self, context: Context, key: str) -> Cotangent | None:
        """The derivative of a variable whose uses have all been seen; None if there is none."""
        shape = self.shape(key)
        if key in context.ready:
            return Cotangent(ast.Name(self.name_of(key), ast.Load()), shape)
        shares = context.shares.get(key)
        if not shares:
            return None
        if any(one.index for one in shares):
            self.materialise(context, key)
            return Cotangent(ast.Name(self.name_of(key), ast.Load()), shape)
        del context.shares[key]
        total = self._total(key, [one.cotangent for one in shares])
        if isinstance(total.node, (ast.Name, ast.Constant)):
            return total
        context.out.append(_assign(self.name_of(key), total.node))
        return Cotangent(ast.Name(self.name_of(key), ast.Load()), shape)

    def keep(self, context: Context, hint: str, g: Cotangent) -> Cotangent:
        """A name for a derivative that is written more than once."""
        if isinstance(g.node, (ast.Name, ast.Constant)):
            return g
        name = self.names.fresh(hint)
        context.out.append(_assign(name, g.node))
        return Cotangent(ast.Name(name, ast.Load()), g.shape)


def _dict_of_zeros(key: str) -> ast.expr:
    return ast.parse(f"{{k: np.zeros_like(v) for k, v in {key}.items()}}", mode="eval").body


def _assign(name: str, node: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], node)


def _reads(node: ast.expr, name: str) -> bool:
    return any(isinstance(one, ast.Name) and one.id == name for one in ast.walk(node)) and not isinstance(
        node, ast.BinOp
    )


def _parts(index: ast.expr) -> list[ast.expr]:
    return list(index.elts) if isinstance(index, ast.Tuple) else [index]


def _repeats(index: ast.expr) -> bool:
    """Whether an index may name an entry more than once."""
    value = value_of(index)
    return isinstance(value, (np.ndarray, list)) and np.asarray(value).dtype.kind in "iu"


def _is_fresh(node: ast.expr) -> bool:
    """Whether the array is one that nothing else sees."""
    match node:
        case ast.Call(func=ast.Attribute(attr=name)):
            return name not in _VIEWS
        case ast.BinOp() | ast.UnaryOp():
            return True
    return False
