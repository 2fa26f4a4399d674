"""Rewrites functions so that every operation goes through a hook (`hooks`).

``h = f * c`` becomes ``h = bind(5, binary(4, "Mult", read(2, f), read(3, c)))``, where the numbers are those of places.
What is called is an attribute of a string constant, in whose place the loader puts the hooks, so no name is added to
the user's modules. Order of evaluation, nesting of functions and line numbers stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable

from gradcheck._tape.expressions import ExpressionRewriter
from gradcheck._tape.places import Place, Source, Statement
from gradcheck._usercode.source import first_line


def rewritten(
    source: Source, places: list[Place], statements: list[Statement], lines: Collection[int] | None = None
) -> ast.Module:
    """The file's tree with its functions rewritten; adds to `places` and `statements`.

    `lines` are those at which the code begins that runs: functions without any of them are emptied. All, if not given.
    """
    tree = ast.parse(source.text)
    rewriter = _Rewriter(source, places, statements, _imported(tree))
    rewriter.lines = lines
    return ast.fix_missing_locations(rewriter.module(tree))


def _imported(tree: ast.AST) -> set[str]:
    """The names that imports bind: reading them is of no interest."""
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}


class _Rewriter(ExpressionRewriter):
    """Statements and functions."""

    #: where the code begins that runs; None for all code
    lines: Collection[int] | None = None

    # -- outside functions -----------------------------------------------------------------------------------------

    def module(self, tree: ast.Module) -> ast.Module:
        tree.body = [self._outside(node) for node in tree.body]
        return tree

    def _outside(self, node: ast.stmt) -> ast.stmt:
        """A statement that is in no function: only functions inside it are rewritten."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self._function(node) if self._runs(node) else _emptied(node)
        if isinstance(node, ast.ClassDef):
            return self._class(node)
        compound = False
        for name in ("body", "orelse", "finalbody", "handlers"):
            inner = getattr(node, name, None)
            if isinstance(inner, list):
                compound = True
                for one in inner:
                    if isinstance(one, ast.ExceptHandler):
                        one.body = [self._outside(part) for part in one.body]
                setattr(node, name, [self._outside(one) if isinstance(one, ast.stmt) else one for one in inner])
        if not compound:
            self._begin(node)
            _Lambdas(self).visit(node)
            self.current.pop()
        return node

    def _runs(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
        """Whether the function runs, or one inside it."""
        inside = range(first_line(node), (node.end_lineno or node.lineno) + 1)
        return self.lines is None or any(line in inside for line in self.lines)

    def _class(self, node: ast.ClassDef) -> ast.stmt:
        self.names.append(node.name)
        self.classes.append(node.name)
        node.body = [self._outside(one) for one in node.body]
        self.classes.pop()
        self.names.pop()
        return node

    # -- functions -------------------------------------------------------------------------------------------------

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
        self.names.append(node.name)
        start = 1 if ast.get_docstring(node, clean=False) is not None else 0
        self._begin(node)
        bound = [self._parameter(one, node) for one in _parameters(node.args)]
        self.current.pop()
        node.body = [*node.body[:start], *bound, *self._block(node.body[start:])] or node.body
        self.names.pop()
        return node

    def _parameter(self, parameter: ast.arg, function: ast.stmt) -> ast.stmt:
        name = parameter.arg
        value = self._hook("parameter", self._place("parameter", parameter, name), ast.Name(name, ast.Load()))
        return ast.copy_location(ast.Assign([ast.Name(name, ast.Store())], value), function)

    # -- statements ------------------------------------------------------------------------------------------------

    def _block(self, body: Iterable[ast.stmt]) -> list[ast.stmt]:
        return [part for node in body for part in self._inside(node)]

    def _inside(self, node: ast.stmt) -> list[ast.stmt]:
        """A statement of a rewritten function, as one or more."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return [self._function(node)]
        if isinstance(node, ast.ClassDef):
            return [self._class(node)]
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Delete, ast.Pass)):
            return [node]
        self._begin(node)
        try:
            return [ast.copy_location(one, node) for one in self._statement(node)]
        finally:
            self.current.pop()

    def _statement(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.Assign():
                return self._assign(node.targets, node.value)
            case ast.AnnAssign() if node.value is not None:
                return self._assign([node.target], node.value)
            case ast.AugAssign():
                return self._augmented(node)
            case ast.Return() if node.value is not None:
                node.value = self._handed_on(node.value, "return")
                return [node]
            case ast.For() | ast.AsyncFor():
                return self._loop(node)
            case ast.With() | ast.AsyncWith():
                return self._with(node)
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(node, name, None)
            if isinstance(inner, list):
                setattr(node, name, self._block(inner))
        for handler in [*getattr(node, "handlers", []), *getattr(node, "cases", [])]:
            handler.body = self._block(handler.body)
        for name in ("test", "value", "exc", "msg", "subject"):
            inner = getattr(node, name, None)
            if isinstance(inner, ast.expr):
                setattr(node, name, self.visit(inner))
        return [node]

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> list[ast.stmt]:
        new = self._handed_on(value, "value")
        if len(targets) == 1 and not isinstance(targets[0], (ast.Tuple, ast.List)):
            return self._stored(targets[0], new)
        temporary = self._temporary()
        first: list[ast.stmt] = [_assigned(temporary, new)]
        return first + [one for target in targets for one in self._stored(target, ast.Name(temporary, ast.Load()))]

    def _stored(self, target: ast.expr, value: ast.expr) -> list[ast.stmt]:
        """Statements that give a target this value, which is evaluated first."""
        match target:
            case ast.Name():
                place = self._place("bind", target, target.id)
                return [ast.Assign([target], self._hook("bind", place, value))]
            case ast.Attribute():
                place = self._place("store", target, target.attr)
                attribute = ast.Constant(self._mangled(target.attr))
                return [ast.Expr(self._hook("store_attribute", place, value, self.visit(target.value), attribute))]
            case ast.Subscript():
                place = self._place("store", target)
                owner, index = self.visit(target.value), self._index(target.slice)
                return [ast.Expr(self._hook("store_item", place, value, owner, index))]
            case ast.Tuple() | ast.List():
                return self._unpacked(target, value)
        return [ast.Assign([target], value)]

    def _unpacked(self, target: ast.Tuple | ast.List, value: ast.expr) -> list[ast.stmt]:
        whole, parts = self._temporary(), [self._temporary() for _ in target.elts]
        names: list[ast.expr] = []
        for part, element in zip(parts, target.elts, strict=True):
            name = ast.Name(part, ast.Store())
            names.append(ast.Starred(name, ast.Store()) if isinstance(element, ast.Starred) else name)
        result: list[ast.stmt] = [_assigned(whole, value)]
        starred = [isinstance(element, ast.Starred) for element in target.elts]
        unpacked: ast.expr = ast.Name(whole, ast.Load())
        if any(starred):
            unpacked = self._hook("iterate", self._place("iterate", target), unpacked)
        result.append(ast.Assign([ast.Tuple(names, ast.Store())], unpacked))
        for index, (part, element) in enumerate(zip(parts, target.elts, strict=True)):
            inner = element.value if isinstance(element, ast.Starred) else element
            load = ast.Name(part, ast.Load())
            if isinstance(inner, (ast.Tuple, ast.List)):
                result += self._unpacked(inner, load)
                continue
            position = ast.Constant(None if any(starred[: index + 1]) else index)
            place = self._place("bind", inner, inner.id if isinstance(inner, ast.Name) else None)
            item = self._hook("bind_item", place, load, ast.Name(whole, ast.Load()), position)
            result += [ast.Assign([inner], item)] if isinstance(inner, ast.Name) else self._stored(inner, item)
        return result

    def _augmented(self, node: ast.AugAssign) -> list[ast.stmt]:
        target, before = node.target, list[ast.stmt]()
        place = self._place("augment", target, getattr(target, "id", None))
        operator = ast.Constant(type(node.op).__name__)
        match target:
            case ast.Name():
                old: ast.expr = self.visit(ast.copy_location(ast.Name(target.id, ast.Load()), target))
            case ast.Attribute():
                owner = self._temporary()
                before.append(_assigned(owner, self.visit(target.value)))
                target.value = ast.Name(owner, ast.Load())
                name = ast.Constant(self._mangled(target.attr))
                old = self._hook("attribute", self._place("read", target), ast.Name(owner, ast.Load()), name)
            case ast.Subscript():
                owner, index = self._temporary(), self._temporary()
                before.append(_assigned(owner, self.visit(target.value)))
                before.append(_assigned(index, self._index(target.slice)))
                read = self._place("read", target)
                old = self._hook("item", read, ast.Name(owner, ast.Load()), ast.Name(index, ast.Load()))
        value = self._handed_on(node.value, "value")
        new = self._hook("augment", place, operator, old, value)
        if isinstance(target, ast.Subscript):
            store = self._place("store", target)
            names = ast.Name(owner, ast.Load()), ast.Name(index, ast.Load())
            return [*before, ast.Expr(self._hook("store_item", store, new, *names))]
        if isinstance(target, ast.Attribute):
            store = self._place("store", target, target.attr)
            stored = self._hook("store_attribute", store, new, target.value, name)
            return [*before, ast.Expr(stored)]
        return self._stored(target, new)

    def _loop(self, node: ast.For | ast.AsyncFor) -> list[ast.stmt]:
        place = self._place("iterate", node.iter)
        node.iter = self._hook("iterate", place, self.visit(node.iter))
        first: list[ast.stmt] = []
        if isinstance(node, ast.For):
            temporary = self._temporary()
            target, node.target = node.target, ast.copy_location(ast.Name(temporary, ast.Store()), node.target)
            first = self._stored(target, ast.Name(temporary, ast.Load()))
            first = [ast.copy_location(one, target) for one in first]
        node.body = [*first, *self._block(node.body)]
        node.orelse = self._block(node.orelse)
        return [node]

    def _with(self, node: ast.With | ast.AsyncWith) -> list[ast.stmt]:
        first: list[ast.stmt] = []
        for item in node.items:
            item.context_expr = self.visit(item.context_expr)
            if isinstance(item.optional_vars, ast.Name):
                name = item.optional_vars.id
                first += self._stored(ast.copy_location(ast.Name(name, ast.Store()), item.optional_vars),
                                      ast.Name(name, ast.Load()))  # fmt: skip
        node.body = [*(ast.copy_location(one, node) for one in first), *self._block(node.body)]
        return [node]


class _Lambdas(ast.NodeTransformer):
    """Rewrites the lambdas in a statement that is in no function."""

    def __init__(self, rewriter: _Rewriter) -> None:
        self.rewriter = rewriter

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        return self.rewriter.visit_Lambda(node)


def _emptied(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    """The function without what it does, in its place among others."""
    node.body = [ast.copy_location(ast.Pass(), node)]
    return node


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [one for one in named if one.arg not in ("self", "cls")]


def _assigned(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)
