"""Rewrites expressions so that every operation goes through a hook; `rewriting` does so with statements."""

from __future__ import annotations

import ast

from gradcheck._tape.places import Kind, Place, Source, Statement
from gradcheck._usercode.rewriting import TAP

#: variables that rewritten code adds begin so
TEMPORARY = "_gradcheck_"
#: calls that look at the frame around them
_FRAME_BOUND = frozenset({"super", "locals", "globals", "vars", "eval", "exec", "dir"})
#: attributes that are no values of their own
_PLAIN_ATTRIBUTES = frozenset({"shape", "size", "ndim", "dtype", "itemsize", "nbytes", "strides", "flags", "base"})
_PASSED = (ast.Name, ast.Attribute, ast.Subscript, ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Await, ast.Yield)


class ExpressionRewriter(ast.NodeTransformer):
    """Rewrites expressions of the statement that is `current`; adds to `places`."""

    def __init__(self, source: Source, places: list[Place], statements: list[Statement], imports: set[str]) -> None:
        self.source, self.places, self.statements, self.imports = source, places, statements, imports
        self.names: list[str] = []
        self.classes: list[str] = []
        self.current: list[Statement] = []
        self.temporaries = 0

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

    def visit_Lambda(self, node: ast.Lambda) -> ast.expr:
        self.names.append("<lambda>")
        node.body = self._handed_on(node.body, "return")
        self.names.pop()
        return node

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

    def visit_Starred(self, node: ast.Starred) -> ast.expr:
        if isinstance(node.ctx, ast.Load):
            node.value = self._hook("iterate", self._place("iterate", node.value), self._visited(node.value))
        return node

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
