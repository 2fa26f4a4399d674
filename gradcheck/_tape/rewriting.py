"""Rewrites functions so that every operation goes through a hook (`hooks`).

``h = f * c`` becomes ``h = bind(5, binary(4, "Mult", read(2, f), read(3, c)))``, where the numbers are those of places.
What is called is an attribute of a string constant, in whose place the loader puts the hooks, so no name is added to
the user's modules. Order of evaluation, nesting of functions and line numbers stay as they are.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from gradcheck._rewrite import TAP
from gradcheck._tape.places import Kind, Place, Source, Statement

#: variables that rewritten code adds begin so
TEMPORARY = "_gradcheck_"
#: calls that look at the frame around them
_FRAME_BOUND = frozenset({"super", "locals", "globals", "vars", "eval", "exec", "dir"})
#: attributes that are no values of their own
_PLAIN_ATTRIBUTES = frozenset({"shape", "size", "ndim", "dtype", "itemsize", "nbytes", "strides", "flags", "base"})
_PASSED = (ast.Name, ast.Attribute, ast.Subscript, ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Await, ast.Yield)


def rewritten(source: Source, places: list[Place], statements: list[Statement]) -> ast.Module:
    """The file's tree with its functions rewritten; adds to `places` and `statements`."""
    tree = ast.parse(source.text)
    return ast.fix_missing_locations(_Rewriter(source, places, statements, _imported(tree)).module(tree))


def _imported(tree: ast.AST) -> set[str]:
    """The names that imports bind: reading them is of no interest."""
    imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}


class _Rewriter(ast.NodeTransformer):
    def __init__(self, source: Source, places: list[Place], statements: list[Statement], imports: set[str]) -> None:
        self.source, self.places, self.statements, self.imports = source, places, statements, imports
        self.names: list[str] = []
        self.classes: list[str] = []
        self.current: list[Statement] = []
        self.temporaries = 0

    # -- outside functions -----------------------------------------------------------------------------------------

    def module(self, tree: ast.Module) -> ast.Module:
        tree.body = [self._outside(node) for node in tree.body]
        return tree

    def _outside(self, node: ast.stmt) -> ast.stmt:
        """A statement that is in no function: only functions inside it are rewritten."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return self._function(node)
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

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.names.append("<lambda>")
        node.body = self._handed_on(node.body, "return")
        self.names.pop()
        return node

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
        result.append(ast.Assign([ast.Tuple(names, ast.Store())], ast.Name(whole, ast.Load())))
        starred = [isinstance(element, ast.Starred) for element in target.elts]
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

    # -- expressions -----------------------------------------------------------------------------------------------

    def _handed_on(self, node: ast.expr, kind: Kind) -> ast.expr:
        """An expression whose value goes elsewhere as it is, so that this use of it is a place of its own."""
        if not isinstance(node, _PASSED):
            return self._visited(node)
        place = self._place(kind, node)
        return ast.copy_location(self._hook("passed", place, self._visited(node)), node)

    def _visited(self, node: ast.expr) -> ast.expr:
        result = self.visit(node)
        assert isinstance(result, ast.expr)
        return result

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or node.id in self.imports or node.id in ("self", "cls", "__class__"):
            return node
        return self._hook("read", self._place("read", node, node.id), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or self._is_module(node):
            return node
        if node.attr in _PLAIN_ATTRIBUTES:
            node.value = self._visited(node.value)
            return node
        place = self._place("read", node, node.attr)
        return self._hook("attribute", place, self._visited(node.value), ast.Constant(self._mangled(node.attr)))

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if not isinstance(node.ctx, ast.Load):
            return node
        return self._hook("item", self._place("read", node), self._visited(node.value), self._index(node.slice))

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        place, name = self._place("operation", node), ast.Constant(type(node.op).__name__)
        return self._hook("binary", place, name, self._visited(node.left), self._visited(node.right))

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.expr:
        if isinstance(node.operand, ast.Constant) or isinstance(node.op, ast.Not):
            node.operand = self._visited(node.operand)
            return node
        place, name = self._place("operation", node), ast.Constant(type(node.op).__name__)
        return self._hook("unary", place, name, self._visited(node.operand))

    def visit_Call(self, node: ast.Call) -> ast.expr:
        function = node.func
        if isinstance(function, ast.Name) and function.id in _FRAME_BOUND:
            node.args = [self._visited(one) for one in node.args]
            return node
        place = self._place("call", node)
        attribute = isinstance(function, ast.Attribute) and not self._is_module(function)
        parts: list[ast.expr]
        if attribute:
            assert isinstance(function, ast.Attribute)
            parts = [self._visited(function.value), ast.Constant(self._mangled(function.attr))]
        elif isinstance(function, (ast.Name, ast.Attribute)):
            parts = [function]
        else:
            parts = [self._visited(function)]
        args = [self._visited(one) if isinstance(one, ast.Starred) else self._argument(one) for one in node.args]
        keywords = [ast.keyword(one.arg, self._argument(one.value)) for one in node.keywords]
        self.places[place].arguments = sum(self._is_argument(one) for one in [*args, *(one.value for one in keywords)])
        hook = self._hook("method" if attribute else "call", place, *parts, *args)
        hook.keywords = keywords
        return hook

    def _argument(self, node: ast.expr) -> ast.expr:
        return self._handed_on(node, "argument")

    def visit_Tuple(self, node: ast.Tuple) -> ast.expr:
        return self._written_out(node)

    def visit_List(self, node: ast.List) -> ast.expr:
        return self._written_out(node)

    def _written_out(self, node: ast.Tuple | ast.List) -> ast.expr:
        if not isinstance(node.ctx, ast.Load) or not node.elts:
            return node
        place = self._place("display", node)
        node.elts = [
            self._visited(one) if isinstance(one, ast.Starred) else self._handed_on(one, "element") for one in node.elts
        ]
        return self._hook("display", place, node)

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        if not node.values:
            return node
        place = self._place("display", node)
        keys = [None if key is None else self._visited(key) for key in node.keys]
        node.keys, node.values = keys, [self._handed_on(one, "element") for one in node.values]
        return self._hook("display", place, node)

    def visit_ListComp(self, node: ast.ListComp) -> ast.expr:
        return self._comprehension(node)

    def visit_SetComp(self, node: ast.SetComp) -> ast.expr:
        return self._comprehension(node)

    def visit_GeneratorExp(self, node: ast.GeneratorExp) -> ast.expr:
        return self._comprehension(node)

    def visit_DictComp(self, node: ast.DictComp) -> ast.expr:
        node.key, node.value = self._visited(node.key), self._handed_on(node.value, "element")
        self._generators(node.generators)
        return node

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> ast.expr:
        node.elt = self._handed_on(node.elt, "element")
        self._generators(node.generators)
        return node

    def _generators(self, generators: list[ast.comprehension]) -> None:
        for one in generators:
            place = self._place("iterate", one.iter)
            one.iter = self._hook("iterate", place, self._visited(one.iter))
            one.ifs = [self._visited(test) for test in one.ifs]

    def visit_NamedExpr(self, node: ast.NamedExpr) -> ast.expr:
        place = self._place("bind", node.target, node.target.id)
        node.value = self._hook("bind", place, self._handed_on(node.value, "value"))
        return node

    def visit_Yield(self, node: ast.Yield) -> ast.expr:
        node.value = None if node.value is None else self._handed_on(node.value, "yield")
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return node

    def _index(self, node: ast.expr) -> ast.expr:
        """What stands between brackets, as an expression."""
        if isinstance(node, ast.Slice):
            parts = [ast.Constant(None) if one is None else self._visited(one) for one in
                     (node.lower, node.upper, node.step)]  # fmt: skip
            return ast.copy_location(self._hook_of("slice", *parts), node)
        if isinstance(node, ast.Tuple):
            node.elts = [self._index(one) for one in node.elts]
            return node
        return self._visited(node)

    def _is_argument(self, node: ast.expr) -> bool:
        """Whether it is a hook's call for an argument that is handed on."""
        if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
            return False
        number = node.args[0].value
        return isinstance(number, int) and number < len(self.places) and self.places[number].kind == "argument"

    # -- parts -----------------------------------------------------------------------------------------------------

    def _begin(self, node: ast.stmt) -> None:
        head = node.end_lineno or node.lineno
        body = getattr(node, "body", None) or [case.pattern for case in getattr(node, "cases", [])]
        if body:
            head = max(node.lineno, body[0].lineno - 1)
        statement = Statement(self.source, node.lineno, head, ".".join(self.names), type(node).__name__)
        self.statements.append(statement)
        self.current.append(statement)

    def _place(self, kind: Kind, node: ast.expr | ast.arg, name: str | None = None) -> int:
        statement = self.current[-1]
        end = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
        place = Place(len(self.places), kind, statement, node.lineno, node.col_offset, *end, name)
        self.places.append(place)
        statement.places.append(place)
        return place.number

    def _hook(self, name: str, place: int, *parts: ast.expr) -> ast.Call:
        where = self.places[place]
        call = self._hook_of(name, ast.Constant(place), *parts)
        call.lineno, call.col_offset = where.line, where.column
        call.end_lineno, call.end_col_offset = where.end_line, where.end_column
        return call

    def _hook_of(self, name: str, *parts: ast.expr) -> ast.Call:
        return ast.Call(ast.Attribute(ast.Constant(TAP), name, ast.Load()), list(parts), [])

    def _temporary(self) -> str:
        self.temporaries += 1
        return f"{TEMPORARY}{self.temporaries}"

    def _mangled(self, name: str) -> str:
        if name.startswith("__") and not name.endswith("__") and self.classes and self.classes[-1].strip("_"):
            return f"_{self.classes[-1].lstrip('_')}{name}"
        return name

    def _is_module(self, node: ast.expr) -> bool:
        while isinstance(node, ast.Attribute):
            node = node.value
        return isinstance(node, ast.Name) and node.id in self.imports


class _Lambdas(ast.NodeTransformer):
    """Rewrites the lambdas in a statement that is in no function."""

    def __init__(self, rewriter: _Rewriter) -> None:
        self.rewriter = rewriter

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        return self.rewriter.visit_Lambda(node)


def _parameters(arguments: ast.arguments) -> list[ast.arg]:
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [one for one in named if one.arg not in ("self", "cls")]


def _assigned(name: str, value: ast.expr) -> ast.stmt:
    return ast.Assign([ast.Name(name, ast.Store())], value)
