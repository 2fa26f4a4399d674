"""Reads calls: of the user's functions in their place, of activations by their slope, of all others as they are."""

from __future__ import annotations

import ast
import types
from collections.abc import Callable
from typing import Any

from gradcheck._deriving.environment import is_simple
from gradcheck._deriving.expressions import ExpressionReader
from gradcheck._deriving.scopes import Needed, Scope, needed_of, syntax_of, users_function
from gradcheck._deriving.slopes import slope_of
from gradcheck._deriving.statements import CannotError, Info, holds_numbers, is_active, note, value_of

#: calls within calls
DEEPEST = 30


class CallReader(ExpressionReader):
    """Reads calls."""

    depth = 0
    scopes: list[Scope]

    def call(self, scope: Scope, node: ast.Call) -> ast.expr:
        """A call; its statements go before, if it is one of the user's functions."""
        function = self.read(scope, node.func)
        arguments: list[ast.expr] = []
        for one in node.args:
            if isinstance(one, ast.Starred):
                arguments.extend(self.parts(self.read(scope, one.value)))
            elif isinstance(one, ast.GeneratorExp):
                arguments.append(self.comprehension(scope, one))
            else:
                arguments.append(self.read(scope, one))
        keywords = {one.arg: self.read(scope, one.value) for one in node.keywords}
        if None in keywords:
            return self.word_for_word(scope, node)
        named = {name: value for name, value in keywords.items() if name is not None}
        return self.called(function, arguments, named, self.wanted(scope, node))

    def wanted(self, scope: Scope, node: ast.Call) -> frozenset[int] | None:
        """Which results of a call are needed."""
        return self.needed(scope).results.get(id(node))

    def needed(self, scope: Scope) -> Needed:
        """What is needed of the function."""
        found = self._needed.get(id(scope))
        if found is None:
            found = self._needed[id(scope)] = needed_of(scope.node, scope.wanted)
            self.kept.append(scope)
        return found

    @property
    def _needed(self) -> dict[int, Needed]:
        found: dict[int, Needed] = self.__dict__.setdefault("_needed_by_scope", {})
        return found

    def called(
        self,
        function: ast.expr,
        arguments: list[ast.expr],
        keywords: dict[str, ast.expr],
        wanted: frozenset[int] | None,
    ) -> ast.expr:
        """``function(*arguments, **keywords)``."""
        plain = users_function(value_of(function))
        made = ast.Call(function, arguments, [ast.keyword(name, value) for name, value in keywords.items()])
        if plain is None:
            return self._library(made)
        of, first = plain
        slope = self._slope(value_of(function), arguments, keywords)
        if slope is not None:
            self.noted(made)
            return note(made, Info(value_of(made), True, None, slope))
        handed = self._owner(function, first) + arguments
        state = len(self.block), self.depth
        try:
            return self.inlined(of, handed, keywords, wanted)
        except CannotError:
            if not _is_pure(of):
                raise
            del self.block[state[0] :]
            self.depth = state[1]
            made = self.noted(made)
            if holds_numbers(value_of(made)):
                raise
            return note(made, Info(value_of(made)))

    def _owner(self, function: ast.expr, first: list[Any]) -> list[ast.expr]:
        """The object whose method is called."""
        if not first:
            return []
        if isinstance(function, ast.Attribute) and value_of(function.value) is first[0]:
            return [function.value]
        if value_of(function) is first[0]:
            return [function]
        if isinstance(function, ast.Attribute) and isinstance(first[0], type):
            return [self.noted(ast.Attribute(function.value, "__class__", ast.Load()), first[0])]
        raise self.cannot(f"whose method {ast.unparse(function)} is cannot be told")

    def _library(self, made: ast.Call) -> ast.expr:
        """What is none of the user's functions."""
        match made:
            case ast.Call(func=ast.Name(id="float"), args=[one]) if is_active(one) and value_of(made.func) is float:
                return one
            case ast.Call(func=ast.Name(id="sum"), args=[one, *start]) if value_of(made.func) is sum and is_active(one):
                if isinstance(one, (ast.List, ast.Tuple)):
                    return self._summed(list(one.elts), start)
            case ast.Call(func=ast.Name(id="list" | "tuple"), args=[(ast.List() | ast.Tuple()) as one]):
                return one
            case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[key]) if isinstance(value_of(owner), dict):
                return self.item(owner, key)
        return self.noted(made)

    def _summed(self, parts: list[ast.expr], start: list[ast.expr]) -> ast.expr:
        parts = [*start, *parts]
        if not parts:
            return self.noted(ast.Constant(0), 0)
        result = parts[0]
        for one in parts[1:]:
            result = self.noted(ast.BinOp(result, ast.Add(), one))
        return result

    def _slope(self, function: Any, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> str | None:
        """The slope of a helper that is an activation."""
        if isinstance(function, types.FunctionType) and (
            function.__closure__ is None and len(arguments) >= 1 and is_active(arguments[0])
        ):
            rest = [*arguments[1:], *keywords.values()]
            if any(is_active(one) for one in rest) or not _is_pure(function):
                return None
            more = [value_of(one) for one in arguments[1:]]
            named = {name: value_of(one) for name, one in keywords.items()}
            return slope_of(lambda u: function(u, *more, **named), value_of(arguments[0]))
        return None

    # -- in the place of the call ----------------------------------------------------------------------------------

    def inlined(
        self,
        function: types.FunctionType,
        arguments: list[ast.expr],
        keywords: dict[str, ast.expr],
        wanted: frozenset[int] | None = None,
    ) -> ast.expr:
        """What the function returns; its statements are added to the block."""
        node = syntax_of(function)
        if node is None:
            raise self.cannot(f"the source of {function.__qualname__} is not at hand, or is no plain function")
        if self.depth >= DEEPEST:
            raise self.cannot(f"{function.__qualname__} calls itself")
        scope = Scope(function, node, wanted=wanted)
        self._hand_over(scope, arguments, dict(keywords))
        outer = self.line, self.where
        self.where = function.__code__.co_filename
        self.depth += 1
        self.scopes.append(scope)
        try:
            if isinstance(node, ast.Lambda):
                self.line = node.body.lineno
                return self.read(scope, node.body)
            self.run(scope, node.body)
            return scope.returned if scope.returned is not None else self.noted(ast.Constant(None), None)
        finally:
            self.depth -= 1
            self.scopes.pop()
            self.line, self.where = outer

    def _hand_over(self, scope: Scope, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> None:
        form, function = scope.node.args, scope.function
        names = [one.arg for one in [*form.posonlyargs, *form.args]]
        handed = dict(zip(names, arguments, strict=False)) | keywords
        if len(arguments) > len(names):
            if form.vararg is None:
                raise self.cannot(f"{scope.function.__name__} is given more than it takes")
            rest = [self.simple(one, form.vararg.arg) for one in arguments[len(names) :]]
            handed[form.vararg.arg] = self.noted(ast.Tuple(rest, ast.Load()))
        elif form.vararg is not None:
            handed[form.vararg.arg] = self.noted(ast.Tuple([], ast.Load()), ())
        if form.kwarg is not None:
            raise self.cannot(f"{function.__name__} takes **{form.kwarg.arg}")
        defaults = function.__defaults__ or ()
        known = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True)) | (function.__kwdefaults__ or {})
        for name, value in known.items():
            if name not in handed:
                if holds_numbers(value) and not isinstance(value, float):
                    raise self.cannot(f"the default of {name} is an array")
                handed[name] = self.noted(ast.Constant(value), value)
        for name, value in handed.items():
            often = sum(isinstance(one, ast.Name) and one.id == name for one in ast.walk(scope.node))
            scope.locals[name] = value if often <= 1 or is_simple(value) else self.named(name, value)

    def named(self, name: str, value: ast.expr) -> ast.expr:
        """A variable for it; for a tuple that is written out, one for each element."""
        if isinstance(value, ast.Tuple):
            parts = [one if is_simple(one) else self.named(f"{name}_{k}", one) for k, one in enumerate(value.elts)]
            return self.noted(ast.Tuple(parts, ast.Load()), value_of(value))
        return self.let(name, value)

    def run(self, scope: Scope, statements: list[ast.stmt]) -> None:
        """Read statements, until one returns."""
        raise NotImplementedError


def _is_pure(function: Callable[..., Any]) -> bool:
    """Whether a function keeps nothing, as far as its syntax says."""
    node = syntax_of(function) if isinstance(function, types.FunctionType) else None
    if node is None:
        return False
    return not any(
        (isinstance(one, (ast.Attribute, ast.Subscript)) and isinstance(one.ctx, ast.Store))
        or isinstance(one, ast.Global)
        for one in ast.walk(node)
    )
