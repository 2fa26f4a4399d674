"""Functions of the user's: their syntax, what their names mean, and which of them a loss needs."""

from __future__ import annotations

import ast
import builtins
import functools
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from gradcheck._common.user_files import is_user_file
from gradcheck._usercode.source import Source

FunctionNode = ast.FunctionDef | ast.Lambda


@dataclass(eq=False)
class Scope:
    """One call of a function: what its names stand for now."""

    function: Callable[..., Any]
    node: FunctionNode
    #: each local name, by the expression that it stands for
    locals: dict[str, ast.expr] = field(default_factory=dict)
    returned: ast.expr | None = None
    #: which of several results are needed; None for all
    wanted: frozenset[int] | None = None

    @property
    def globals(self) -> dict[str, Any]:
        """The module's names."""
        found: dict[str, Any] = getattr(self.function, "__globals__", {})
        return found

    def closed_over(self, name: str) -> Any:
        """The value of a name of a function around it.

        Raises:
            KeyError: If it is none of these.
        """
        code, cells = getattr(self.function, "__code__", None), getattr(self.function, "__closure__", None)
        if code is None or not cells or name not in code.co_freevars:
            raise KeyError(name)
        return cells[code.co_freevars.index(name)].cell_contents

    def global_value(self, name: str) -> Any:
        """The value of a name of the module, or of Python's own.

        Raises:
            KeyError: If there is none.
        """
        return self.globals[name] if name in self.globals else vars(builtins)[name]


@dataclass(frozen=True)
class Path:
    """How an object is reached from the function that was begun with, so that it is found at other sizes too."""

    steps: tuple[tuple[str, str], ...] = ()

    def then(self, kind: str, name: str) -> Path:
        """One step further."""
        return Path((*self.steps, (kind, name)))

    def follow(self, begin: Any) -> Any:
        """The object."""
        found = begin
        for kind, name in self.steps:
            if kind == "self":
                found = found.__self__
            elif kind == "partial":
                found = found.keywords[name] if name in found.keywords else found.args[int(name)]
            elif kind == "function":
                found = getattr(found, "func" if isinstance(found, functools.partial) else "__func__")
            elif kind == "default":
                found = found.__defaults__[int(name)]
            else:
                found = found.__closure__[found.__code__.co_freevars.index(name)].cell_contents
        return found


def users_function(value: Any) -> tuple[types.FunctionType, list[Any]] | None:
    """The plain function that a call runs, if its source is the user's, and what it is handed first."""
    first: list[Any] = []
    if isinstance(value, types.MethodType):
        first, value = [value.__self__], value.__func__
    elif not isinstance(value, (types.FunctionType, type, types.BuiltinFunctionType, functools.partial)):
        call = next((vars(kind)["__call__"] for kind in type(value).__mro__ if "__call__" in vars(kind)), None)
        if isinstance(call, types.FunctionType) and is_user_file(call.__code__.co_filename):
            first, value = [value], call
    if not isinstance(value, types.FunctionType) or not is_user_file(value.__code__.co_filename):
        return None
    return value, first


def syntax_of(function: types.FunctionType) -> FunctionNode | None:
    """The syntax of a function, None if its source is not at hand."""
    code = function.__code__
    source = Source.of_running(code.co_filename)
    if source is None:
        return None
    names = set(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
        if isinstance(node, ast.Lambda) and code.co_name == "<lambda>" and node.lineno == code.co_firstlineno:
            own = {one.arg for one in [*node.args.args, *node.args.kwonlyargs]}
            if own == names and _same_names(node, code):
                return node
    return None


def _same_names(node: ast.Lambda, code: types.CodeType) -> bool:
    """Whether the body reads what the code reads: several may stand in one line."""
    read = {one.id for one in ast.walk(node.body) if isinstance(one, ast.Name)}
    read |= {one.attr for one in ast.walk(node.body) if isinstance(one, ast.Attribute)}
    return read >= {*code.co_names, *code.co_freevars}


# -- which statements are needed -----------------------------------------------------------------------------------


@dataclass
class Needed:
    """The statements of a function that its result (or part of it) needs; and of which calls what part is needed."""

    statements: set[int] = field(default_factory=set)
    results: dict[int, frozenset[int]] = field(default_factory=dict)


def needed_of(node: FunctionNode, wanted: frozenset[int] | None) -> Needed:
    """By the names that statements bind and read; what may be kept elsewhere (attributes) is always needed."""
    found = Needed()
    if isinstance(node, ast.Lambda):
        _narrow(node.body, found)
        if wanted is not None and isinstance(node.body, ast.Call):
            found.results[id(node.body)] = wanted
        return found
    names: set[str] = set()
    before = -1
    while before != len(found.statements) + len(names):
        before = len(found.statements) + len(names)
        for statement in node.body:
            _visit(statement, names, wanted, found)
    return found


def _visit(statement: ast.stmt, names: set[str], wanted: frozenset[int] | None, found: Needed) -> bool:
    """Whether the statement is needed; adds the names that it reads."""
    inner = [one for one in ast.iter_child_nodes(statement) if isinstance(one, ast.stmt)]
    if inner and not isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        each = [_visit(one, names, wanted, found) for one in inner]  # all of them: they add names
        is_needed = any(each)
        trees: list[ast.AST] = [one for one in ast.iter_child_nodes(statement) if not isinstance(one, ast.stmt)]
    else:
        is_needed, trees = _is_needed(statement, names, wanted, found)
    if is_needed:
        found.statements.add(id(statement))
        for tree in trees:
            names.update(one.id for one in ast.walk(tree) if isinstance(one, ast.Name))
            _narrow(tree, found)
    return is_needed


def _is_needed(
    statement: ast.stmt, names: set[str], wanted: frozenset[int] | None, found: Needed
) -> tuple[bool, list[ast.AST]]:
    match statement:
        case ast.Return(value=ast.Tuple(elts=elements)) if wanted is not None:
            return True, [one for k, one in enumerate(elements) if k in wanted]
        case ast.Return(value=value):
            if wanted is not None and isinstance(value, ast.Call):
                found.results[id(value)] = wanted
            return True, [] if value is None else [value]
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Tuple(elts=values)) if len(targets) == len(
            values
        ) and all(isinstance(one, ast.Name) for one in targets):
            hits = [v for t, v in zip(targets, values, strict=True) if isinstance(t, ast.Name) and t.id in names]
            return bool(hits), list(hits)
        case ast.Assign(targets=[ast.Tuple(elts=targets)], value=ast.Call() as call) if not any(
            isinstance(one, (ast.Starred, ast.Attribute)) for one in targets
        ):
            hit = frozenset(k for k, one in enumerate(targets) if _roots(one) & names)
            if hit:
                found.results[id(call)] = hit
            return bool(hit), [call, *targets]
        case ast.Assign() | ast.AugAssign() | ast.AnnAssign():
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            hit_any = any(_roots(one) & names or _keeps(one) for one in targets)
            return hit_any, [statement]
        case ast.Expr(value=ast.Constant()) | ast.Pass() | ast.Import() | ast.ImportFrom() | ast.Assert():
            return isinstance(statement, (ast.Import, ast.ImportFrom)), []
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=owner), attr=method)) as call):
            if method in ("append", "insert", "extend", "fill", "update", "sort", "reverse"):
                return owner in names, [call]
            return True, [call]
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr="at" | "put_along_axis"), args=[first, *_]) as call):
            return bool(_roots(first) & names), [call]
        case ast.FunctionDef(name=name):
            return name in names, [statement]
    return True, [statement]


def _roots(target: ast.AST) -> set[str]:
    """The names that an assignment changes."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return {name for one in target.elts for name in _roots(one)}
    while isinstance(target, (ast.Subscript, ast.Starred)):
        target = target.value
    return {target.id} if isinstance(target, ast.Name) else set()


def _keeps(target: ast.AST) -> bool:
    """Whether it writes into an attribute."""
    if isinstance(target, (ast.Tuple, ast.List)):
        return any(_keeps(one) for one in target.elts)
    while isinstance(target, (ast.Subscript, ast.Starred)):
        target = target.value
    return isinstance(target, ast.Attribute)


def _narrow(tree: ast.AST, found: Needed) -> None:
    """``f(...)[0]`` needs one result of the call."""
    for one in ast.walk(tree):
        match one:
            case ast.Subscript(value=ast.Call() as call, slice=ast.Constant(value=int(k))) if k >= 0:
                found.results[id(call)] = frozenset({k})
