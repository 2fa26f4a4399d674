"""What is read is put in order: only what is needed, and lists whose elements are known by their place."""

from __future__ import annotations

import ast
from typing import Any

from gradcheck._deriving.statements import (
    Append,
    Block,
    Branch,
    Do,
    Let,
    Loop,
    Store,
    blocks_of,
    clone,
    every,
    expressions_of,
    names_in,
    root_of,
)  # fmt: skip
from gradcheck._mending.vjp import parsed_with


def needed_only(block: Block, names: set[str]) -> None:
    """Take out every statement that these names do not need."""
    names = set(names)
    before = -1
    while before != len(names):
        before = len(names)
        for one in every(block):
            if _is_needed(one, names):
                for tree in expressions_of(one):
                    names |= names_in(tree)
            if isinstance(one, Loop):
                for outside, inside in one.carried:
                    if outside in names or inside in names:
                        names |= {outside, inside}
    _take_out(block, names)


def _is_needed(one: Any, names: set[str]) -> bool:
    match one:
        case Let():
            return bool(set(one.names) & names)
        case Store():
            return root_of(one.target) in names
        case Append():
            return one.name in names
        case Do():
            return bool(names_in(one.statement) & names)
        case Loop() | Branch():
            return any(_is_needed(inner, names) for block in blocks_of(one) for inner in block)
    return False


def _take_out(block: Block, names: set[str]) -> None:
    for one in list(block):
        for inner in blocks_of(one):
            _take_out(inner, names)
        if isinstance(one, Loop):
            one.carried = [pair for pair in one.carried if pair[0] in names]
            empty = not one.body or all(
                isinstance(part, Let) and set(part.names) <= {pair[1] for pair in one.carried} for part in one.body
            )
            if empty:
                block.remove(one)
        elif isinstance(one, Branch):
            if not (one.body or one.otherwise):
                block.remove(one)
            elif not one.body:
                one.test = ast.UnaryOp(ast.Not(), one.test)
                one.body, one.otherwise = one.otherwise, []
        elif not _is_needed(one, names):
            block.remove(one)


def settle_positions(block: Block, values: dict[str, Any]) -> None:
    """Say where each ``append`` puts its element, and name ``list[-1]`` by its place in loops."""
    appends: dict[str, list[Append]] = {}
    for one in every(block):
        if isinstance(one, Append):
            appends.setdefault(one.name, []).append(one)
    for name, found in appends.items():
        length = _begins_with(block, name)
        if length is None:
            continue
        if len(found) == 1:
            _settle_in_loop(block, name, found[0], length)
        if any(one.position is None for one in found):
            _settle_straight(block, name, length)
    del values


def _begins_with(block: Block, name: str) -> int | None:
    """How many elements a list has where it is made."""
    for one in every(block):
        if isinstance(one, Let) and one.names == [name] and isinstance(one.expression, ast.List):
            return len(one.expression.elts)
    return None


def _settle_straight(block: Block, name: str, length: int) -> None:
    """Appends one after the other."""
    for inner in _all_blocks(block):
        own = [one for one in inner if isinstance(one, Append) and one.name == name]
        made = any(isinstance(one, Let) and one.names == [name] for one in inner)
        if made:
            for k, one in enumerate(own):
                one.position = ast.Constant(length + k)


def _settle_in_loop(block: Block, name: str, append: Append, length: int) -> None:
    for inner in _all_blocks(block):
        makes = any(isinstance(one, Let) and one.names == [name] for one in inner)
        for loop in inner:
            if not (isinstance(loop, Loop) and append in loop.body and makes):
                continue
            place = _counter(loop)
            if place is None:
                return
            append.position = _plus(place, length)
            at = loop.body.index(append)
            for k, one in enumerate(loop.body):
                last = length - 1 + (k > at)
                for statement in [one, *(each for part in blocks_of(one) for each in every(part))]:
                    for tree in expressions_of(statement):
                        _replace_last(tree, name, place, last + 1)


def _counter(loop: Loop) -> ast.expr | None:
    """How many steps of a loop came before."""
    match loop.over:
        case ast.Call(func=ast.Name(id="range"), args=[_]):
            return ast.Name(loop.index, ast.Load())
        case ast.Call(func=ast.Name(id="range"), args=[start, _]):
            return parsed_with(f"{loop.index} - {{}}", clone(start))
        case ast.Call(func=ast.Name(id="range"), args=[start, _, step]) if ast.unparse(step) == "-1":
            return parsed_with(f"{{}} - {loop.index}", clone(start))
        case ast.Call(func=ast.Name(id="reversed"), args=[ast.Call(func=ast.Name(id="range"), args=[count])]):
            return parsed_with(f"{{}} - 1 - {loop.index}", clone(count))
    return None


def _plus(place: ast.expr, k: int) -> ast.expr:
    if k == 0:
        return clone(place)
    return ast.BinOp(clone(place), ast.Add() if k > 0 else ast.Sub(), ast.Constant(abs(k)))


def _replace_last(tree: ast.AST, name: str, place: ast.expr, length: int) -> None:
    """``name[-k]`` by its place, where the list has so many elements and those of the steps before."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == name):
            continue
        match node.slice:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int(k))):
                node.slice = _plus(place, length - k)


def _all_blocks(block: Block) -> list[Block]:
    return [block, *(found for one in block for inner in blocks_of(one) for found in _all_blocks(inner))]
