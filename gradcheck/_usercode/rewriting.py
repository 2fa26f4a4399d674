"""Rewrites functions so that every value expression passes through a tap.

``c = f * c_ + i * g`` becomes ``c = tap(7, tap(5, tap(1, f) * tap(2, c_)) + tap(6, tap(3, i) * tap(4, g)))``: the tap
is handed the number of a `Site` and the value, and hands a value back. The tap itself is written as a string constant
that is called; whoever loads the code puts a callable in its place, so no name is added anywhere. Order and nesting of
functions, lambdas and comprehensions stay as they are, and so do line numbers.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from gradcheck._usercode.source import Source, first_line

#: stands for the tap in rewritten code, until a callable is put in its place
TAP = "\0gradcheck.tap"

#: "value" and "load": an expression; "bind": a name just bound; "after": an array just updated in place
Kind: TypeAlias = Literal["value", "load", "bind", "after"]

#: calls whose plain arguments are of no interest
_STRUCTURAL = frozenset(
    {"len", "range", "isinstance", "print", "type", "id", "hasattr", "getattr", "setattr", "enumerate", "zip", "list"}
    | {"reversed", "tuple", "dict", "set", "super", "iter", "next", "sorted", "int", "str", "bool", "vars"}
)


#: expressions that are no values of their own, or none that a derivative has, and the parts of them that are
DESCEND: dict[type[ast.expr], tuple[str, ...]] = {
    ast.Tuple: ("elts",),
    ast.List: ("elts",),
    ast.Dict: ("values",),
    ast.Starred: ("value",),
    ast.Await: ("value",),
    ast.Yield: ("value",),
    ast.YieldFrom: ("value",),
    ast.NamedExpr: ("value",),
    ast.IfExp: ("body", "orelse"),
    ast.Lambda: ("body",),
    ast.ListComp: ("elt",),
    ast.SetComp: ("elt",),
    ast.GeneratorExp: ("elt",),
    ast.DictComp: ("value",),
}


@dataclass
class Statement:
    """One statement of the user's source."""

    file: str
    node: ast.stmt
    text: str
    function: str
    sites: list[int] = field(default_factory=list)

    @property
    def line(self) -> int:
        """The first line."""
        return self.node.lineno


@dataclass
class Site:
    """One tap. `inputs` are the taps directly inside it."""

    number: int
    kind: Kind
    text: str
    line: int
    statement: Statement
    inputs: tuple[int, ...] = ()
    #: the value is the statement's: what it assigns, adds, returns or hands on
    is_statement_value: bool = False
    #: its derivative follows from that of another tap, so it need not be asked for
    derivative_follows: bool = False


class Rewriter(ast.NodeTransformer):
    """Rewrites the functions among `wanted` (their first lines) of one module; adds to `sites`."""

    def __init__(self, source: Source, sites: list[Site], wanted: set[int] | None) -> None:
        self.file = source.file
        self.lines = source.lines
        self.sites = sites
        self.wanted = wanted
        self.imports: set[str] = set()
        self.statement: Statement | None = None
        self.functions: list[str] = []
        #: names of the function that are bound once and read once
        self.once: set[str] = set()
        #: the taps directly inside the expression that is being rewritten
        self.found: list[int] = []

    def rewritten(self, tree: ast.Module) -> ast.Module:
        """The module with its functions rewritten."""
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self.imports |= {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
        tree.body = [self._outside(node) for node in tree.body]
        return ast.fix_missing_locations(tree)

    # -- where it is -----------------------------------------------------------------------------------------------

    @contextmanager
    def _in_function(self, name: str, once: Collection[str] = ()) -> Iterator[None]:
        outer, self.once = self.once, {*once}
        self.functions.append(name)
        try:
            yield
        finally:
            self.functions.pop()
            self.once = outer

    @contextmanager
    def _in_statement(self, node: ast.stmt, text: str, function: str | None = None) -> Iterator[None]:
        outer, self.statement = self.statement, Statement(self.file, node, text, function or ".".join(self.functions))
        try:
            yield
        finally:
            self.statement = outer

    @contextmanager
    def _collecting(self) -> Iterator[list[int]]:
        """The taps that are put directly inside, while it is open."""
        outer, self.found = self.found, []
        try:
            yield self.found
        finally:
            self.found = outer

    # -- functions -------------------------------------------------------------------------------------------------

    def _outside(self, node: ast.stmt) -> ast.stmt:
        """A statement that is not in a function: only functions inside it are rewritten."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self._function(node)
        compound = False
        for name in ("body", "orelse", "finalbody"):
            inner = getattr(node, name, None)
            if isinstance(inner, list):
                compound = True
                setattr(node, name, [self._outside(one) if isinstance(one, ast.stmt) else one for one in inner])
        if compound:
            return node
        for inner_node in ast.walk(node):
            if isinstance(inner_node, ast.Lambda) and self._is_wanted(inner_node.lineno):
                self._lambda_outside(inner_node, node)
        return node

    def _lambda_outside(self, node: ast.Lambda, statement: ast.stmt) -> None:
        with self._in_function("<lambda>"), self._in_statement(statement, self._text(statement), "<lambda>"):
            node.body = self._value(node.body, top=True)

    def _is_wanted(self, line: int) -> bool:
        return self.wanted is None or line in self.wanted

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
        if not self._is_wanted(first_line(node)):
            with self._in_function(node.name):
                node.body = [self._outside(one) for one in node.body]
            return node
        with self._in_function(node.name, _loaded_once(node)):
            names = [arg.arg for arg in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
            body = self._block(node.body)
            start = 1 if ast.get_docstring(node, clean=False) is not None else 0
            with self._in_statement(node, self._header(node)):
                bound = [self._bound(name, node) for name in names if name not in ("self", "cls")]
            node.body = [*body[:start], *bound, *body[start:]]
        return node

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        result: list[ast.stmt] = []
        for node in body:
            result += self._inside(node)
        return result

    # -- statements ------------------------------------------------------------------------------------------------

    def _inside(self, node: ast.stmt) -> list[ast.stmt]:
        """A statement in a rewritten function, and what goes after it."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return [self._function(node)]
        if isinstance(node, (ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.Delete, ast.Pass)):
            return [node]
        with self._in_statement(node, self._text(node)):
            return self._with_taps(node)

    def _with_taps(self, node: ast.stmt) -> list[ast.stmt]:
        match node:
            case ast.Assign():
                node.value = self._value(node.value, top=True)
                after = [one for target in node.targets for one in self._after_target(target, node)]
                return [node, *after]
            case ast.AnnAssign() if node.value is not None:
                node.value = self._value(node.value, top=True)
                return [node, *self._after_target(node.target, node)]
            case ast.AugAssign():
                node.value = self._value(node.value, top=True)
                return [node, *self._after_update(node)]
            case ast.Return() if node.value is not None:
                node.value = self._value(node.value, top=True)
            case ast.Expr():
                node.value = self._value(node.value, top=True)
            case ast.For() | ast.AsyncFor():
                bound = [self._bound(name, node) for name in _names(node.target)]
                node.iter = self._value(node.iter)
                node.body = [*bound, *self._block(node.body)]
                node.orelse = self._block(node.orelse)
            case ast.While() | ast.If():
                node.body, node.orelse = self._block(node.body), self._block(node.orelse)
            case ast.With() | ast.AsyncWith():
                node.body = self._block(node.body)
            case ast.Try() | ast.TryStar():
                node.body, node.orelse = self._block(node.body), self._block(node.orelse)
                node.finalbody = self._block(node.finalbody)
                for handler in node.handlers:
                    handler.body = self._block(handler.body)
            case ast.Match():
                for case in node.cases:
                    case.body = self._block(case.body)
        return [node]

    def _after_target(self, target: ast.expr, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(target, (ast.Tuple, ast.List)):
            value = getattr(node, "value", None)
            if isinstance(value, (ast.Tuple, ast.List)):
                return [one for part in target.elts for one in self._after_target(part, node)]
            return [self._bound(name, node) for name in _names(target)]
        if isinstance(target, ast.Subscript) and _is_pure(target.value):
            return [self._statement_of(self._call("after", _loaded(target.value), ast.unparse(target)), node)]
        return []

    def _after_update(self, node: ast.AugAssign) -> list[ast.stmt]:
        if isinstance(node.target, ast.Name):
            return [self._bound(node.target.id, node, "after")]
        whole = node.target.value if isinstance(node.target, ast.Subscript) else node.target
        if not _is_pure(node.target):
            return []
        result = [self._statement_of(self._call("after", _loaded(whole), ast.unparse(whole)), node)]
        if whole is not node.target:
            result.append(self._statement_of(self._call("after", _loaded(node.target), ast.unparse(node.target)), node))
            self.sites[-1].derivative_follows = True
        return result

    def _statement_of(self, call: ast.expr, node: ast.stmt) -> ast.stmt:
        return self._placed(ast.Expr(call), node)

    def _bound(self, name: str, node: ast.stmt, kind: Kind = "bind") -> ast.stmt:
        call = self._call(kind, ast.Name(name, ast.Load()), name)
        return self._placed(ast.Assign([ast.Name(name, ast.Store())], call), node)

    # -- expressions -----------------------------------------------------------------------------------------------

    def _value(self, node: ast.expr, *, top: bool = False) -> ast.expr:
        """The expression with taps, outermost included."""
        match node:
            case ast.Constant() | ast.Compare() | ast.BoolOp() | ast.JoinedStr() | ast.Set():
                return node
            case ast.Name() | ast.Attribute() | ast.Subscript():
                return self._load(node, top)
            case ast.Tuple() | ast.List() | ast.Await() | ast.YieldFrom() | ast.IfExp():
                return self._descended(node, top)
            case ast.Starred():
                return self._descended(node, top=False)
            case _ if type(node) in DESCEND:
                return self._descended(node, top=True)
        text = ast.unparse(node)
        with self._collecting() as found:
            match node:
                case ast.BinOp():
                    node.left, node.right = self._value(node.left), self._value(node.right)
                case ast.UnaryOp():
                    node.operand = self._value(node.operand)
                case ast.Call():
                    self._call_parts(node)
        inner = tuple(found)
        site = self._site("value", text, node, inner, top)
        return self._tapped(site, node)

    def _call_parts(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and not self._is_module(function.value):
            function.value = self._value(function.value)
        elif isinstance(function, (ast.Call, ast.Lambda)):
            node.func = self._value(function)
        plain = isinstance(function, ast.Name) and function.id in _STRUCTURAL
        node.args = [
            one if plain and isinstance(one, (ast.Name, ast.Attribute)) else self._value(one) for one in node.args
        ]
        for keyword in node.keywords:
            if keyword.arg != "out":
                keyword.value = self._value(keyword.value)

    def _descended(self, node: ast.expr, top: bool) -> ast.expr:
        """An expression that is no value of its own, with taps in its parts."""
        for name in DESCEND[type(node)]:
            part = getattr(node, name)
            if isinstance(part, list):
                setattr(node, name, [self._value(one, top=top) for one in part])
            elif part is not None:
                setattr(node, name, self._value(part, top=top))
        for generator in getattr(node, "generators", ()):
            generator.iter = self._value(generator.iter)
        return node

    def _load(self, node: ast.Name | ast.Attribute | ast.Subscript, top: bool) -> ast.expr:
        if self._is_module(node) or (isinstance(node, ast.Name) and node.id in ("self", "cls")):
            return node
        text = ast.unparse(node)
        view = isinstance(node, ast.Attribute) and node.attr in ("T", "mT", "shape", "size", "ndim", "dtype")
        with self._collecting() as found:
            if not isinstance(node, ast.Name):
                base = node.value
                plain = isinstance(base, (ast.Name, ast.Attribute, ast.Subscript))
                if view or not plain:
                    node.value = self._value(base)
        site = self._site("value" if view else "load", text, node, tuple(found), top)
        site.derivative_follows = view or (isinstance(node, ast.Name) and node.id in self.once)
        return self._tapped(site, node)

    def _is_module(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.imports

    # -- taps ------------------------------------------------------------------------------------------------------

    def _site(self, kind: Kind, text: str, node: ast.expr, inner: tuple[int, ...] = (), top: bool = False) -> Site:
        assert self.statement is not None
        line = getattr(node, "lineno", self.statement.line)
        site = Site(len(self.sites), kind, text, line, self.statement, inner, top)
        self.sites.append(site)
        self.statement.sites.append(site.number)
        self.found.append(site.number)
        return site

    def _call(self, kind: Kind, value: ast.expr, text: str) -> ast.expr:
        with self._collecting():
            site = self._site(kind, text, value, top=True)
        return ast.Call(ast.Constant(TAP), [ast.Constant(site.number), value], [])

    def _tapped(self, site: Site, node: ast.expr) -> ast.expr:
        return ast.copy_location(ast.Call(ast.Constant(TAP), [ast.Constant(site.number), node], []), node)

    def _placed(self, new: ast.stmt, node: ast.stmt) -> ast.stmt:
        """The new statement, every part of it at the place of the old one's last line."""
        line = node.lineno
        for part in ast.walk(new):
            if "lineno" in part._attributes:
                part.lineno = part.end_lineno = line  # type: ignore[attr-defined]
                part.col_offset = part.end_col_offset = node.col_offset  # type: ignore[attr-defined]
        return new

    def _text(self, node: ast.stmt) -> str:
        end = node.end_lineno or node.lineno
        if isinstance(node, (ast.For, ast.While, ast.If, ast.With, ast.Try)):
            end = node.lineno
        return "\n".join(self.lines[node.lineno - 1 : end]).strip()

    def _header(self, node: ast.stmt) -> str:
        return self.lines[node.lineno - 1].strip()


def _names(target: ast.expr) -> list[str]:
    """Names that a target binds."""
    if isinstance(target, ast.Name):
        return [target.id] if target.id != "_" else []
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for part in target.elts for name in _names(part)]
    return _names(target.value) if isinstance(target, ast.Starred) else []


def _is_pure(node: ast.expr) -> bool:
    """Whether evaluating it twice does nothing that evaluating it once does not."""
    return not any(isinstance(part, (ast.Call, ast.NamedExpr, ast.Await, ast.Yield)) for part in ast.walk(node))


def _loaded(node: ast.expr) -> ast.expr:
    """A copy of a target, to be read."""
    return ast.parse(ast.unparse(node), mode="eval").body


def _loaded_once(function: ast.AST) -> set[str]:
    """Names bound once and read once: the reading has the derivative of the binding."""
    loads: Counter[str] = Counter()
    stores: Counter[str] = Counter()
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            (loads if isinstance(node.ctx, ast.Load) else stores)[node.id] += 1
        elif isinstance(node, ast.arg):
            stores[node.arg] += 1
    looped: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, (ast.For, ast.While, ast.comprehension)):
            names = [part for part in ast.walk(node) if isinstance(part, ast.Name)]
            bound = {name.id for name in names if isinstance(name.ctx, ast.Store)}
            looped |= {name.id for name in names} - bound
        elif isinstance(node, (ast.Lambda, ast.FunctionDef)) and node is not function:
            looped |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return {name for name, count in loads.items() if count == 1 and stores[name] == 1 and name not in looped}
