"""The statements whose values can be calculated anew where they stand: what each gives, and where that is tapped."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gradcheck._usercode.instrument import Program
from gradcheck._usercode.patching import source_node
from gradcheck._usercode.rewriting import Site, Statement
from gradcheck._usercode.source import Source

#: expressions that run their parts more than once, or some of them not at all
_REPEATING = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.Lambda, ast.IfExp, ast.NamedExpr)


@dataclass(frozen=True, eq=False)
class Place:
    """One statement: what it gives as an expression, and the sites that its values go through, in their order."""

    statement: Statement
    node: ast.stmt
    source: Source
    sites: tuple[int, ...]
    #: what is handed over by a call, such as ctx.save_for_backward, and by no name
    is_call: bool = False

    @property
    def expression(self) -> ast.expr | None:
        """What is calculated; of a call, all that it is handed."""
        return expression_of(self.node, is_call=self.is_call)


def expression_of(node: ast.stmt, *, is_call: bool) -> ast.expr | None:
    """What a statement calculates; of a call, all that it is handed; None if it calculates nothing."""
    value: ast.expr | None = getattr(node, "value", None)
    if not is_call:
        return value
    if not isinstance(value, ast.Call) or value.keywords:
        return None
    return ast.Tuple(value.args, ast.Load())


def places(program: Program) -> list[Place]:
    """The statements of a program that give values, in the order of the source."""
    found: list[Place] = []
    for statement in {id(site.statement): site.statement for site in program.sites}.values():
        place = _place(statement, program)
        if place is not None:
            found.append(place)
    return found


def _place(statement: Statement, program: Program) -> Place | None:
    source = program.sources[statement.file]
    if not isinstance(statement.node, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
        return None
    node = source_node(statement, source)
    value = getattr(node, "value", None)
    if value is None or any(isinstance(part, _REPEATING) for part in ast.walk(node)):
        return None
    tops = [program.sites[number] for number in statement.sites if _is_top(program.sites[number])]
    if not isinstance(node, ast.Expr):
        return Place(statement, node, source, tuple(site.number for site in tops))
    if not isinstance(value, ast.Call) or value.keywords or not tops:
        return None
    return Place(statement, node, source, tops[-1].inputs, is_call=True)


def _is_top(site: Site) -> bool:
    return site.is_statement_value and site.kind in ("value", "load")


def float_leaves(value: Any, is_array: Callable[[object], bool]) -> list[Any]:
    """The float arrays in what an expression gives, in the order in which its parts stand."""
    if isinstance(value, Mapping):
        return [leaf for one in value.values() for leaf in float_leaves(one, is_array)]
    if isinstance(value, (tuple, list)):
        return [leaf for one in value for leaf in float_leaves(one, is_array)]
    return [value] if is_array(value) else []
